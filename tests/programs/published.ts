/**
 * Servers in Go, Rust and C#, as npm has them. They behave as their libraries do: mcp-go, the official
 * SDKs for Go and C#, and rmcp.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { StdioUpstreamOptions } from "../../src/gateway/mod.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";

/** A published program, and what is expected of it. */
export interface Published {
  readonly name: string;
  readonly stdio: StdioUpstreamOptions;
  /** Returns what starts it as an HTTP server, and where. */
  readonly http: (port: number) => {
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
    readonly url: string;
  };
  /** The version that it speaks with default options. */
  readonly version: ProtocolVersion;
  /** The version that it speaks over HTTP, if that is another. */
  readonly httpVersion?: ProtocolVersion;
  /** Other versions to pin it to. */
  readonly alsoSpeaks?: readonly ProtocolVersion[];
  /** The name that it gives itself. */
  readonly title: string;
  readonly tools: number;
  /** A call, and what its result contains. */
  readonly call?: readonly [tool: string, args: JsonObject, expected: RegExp];
  /** Whether it dies of the probe for the 2026 era. */
  readonly diesOfProbe?: boolean;
}

const PLACE = fileURLToPath(new URL("../../tools/programs/node_modules/", import.meta.url));
const KUBECONFIG = fileURLToPath(new URL("./kubeconfig.yaml", import.meta.url));
const ONE_DAY = { start: "2026-01-01T00:00:00Z", end: "2026-01-02T00:00:00Z" };

/** A home for the files that programs write. */
export const home = mkdtempSync(join(tmpdir(), "programs-"));
process.once("exit", () => rmSync(home, { recursive: true, force: true }));
const env = { HOME: home };

/** All of them. */
export const PUBLISHED: readonly Published[] = [
  {
    name: "Go, mcp-go",
    stdio: { command: `${PLACE}mcp-time-linux-x64/bin/mcp-time`, env },
    http: (port) => {
      const url = `http://127.0.0.1:${port}/mcp`;
      return { args: ["--transport", "stream", "--address", url], url };
    },
    version: "2025-03-26",
    title: "mcp-time",
    tools: 5,
    call: ["current_time", { timezone: "UTC" }, /\d{4}/],
  },
  {
    name: "Go, the official SDK",
    stdio: {
      command: `${PLACE}kubernetes-mcp-server-linux-amd64/bin/kubernetes-mcp-server-linux-amd64`,
      args: ["--kubeconfig", KUBECONFIG],
      env,
    },
    http: (port) => ({
      args: ["--kubeconfig", KUBECONFIG, "--bind-address", "127.0.0.1", "--port", String(port)],
      url: `http://127.0.0.1:${port}/mcp`,
    }),
    version: "2026-07-28",
    // It has sessions there, which the 2026 era hasn't.
    httpVersion: "2025-11-25",
    alsoSpeaks: ["2025-11-25", "2025-06-18"],
    title: "kubernetes-mcp-server",
    tools: 20,
    call: ["configuration_view", {}, /127\.0\.0\.1:9/],
  },
  {
    name: "Rust, rmcp",
    stdio: { command: `${PLACE}@temporal-cortex/cortex-mcp-linux-x64/bin/cortex-mcp`, env },
    http: (port) => ({
      args: [],
      env: { HTTP_PORT: String(port), HTTP_HOST: "127.0.0.1" },
      url: `http://127.0.0.1:${port}/mcp`,
    }),
    version: "2025-06-18",
    title: "temporal-cortex-mcp",
    tools: 18,
    call: ["compute_duration", ONE_DAY, /86400|1 day|24/],
    diesOfProbe: true,
  },
  {
    name: "C#, the official SDK",
    stdio: {
      command: `${PLACE}@azure/mcp-template-linux-x64/dist/mcptmp`,
      args: ["server", "start"],
      env,
    },
    http: (port) => ({
      args: [
        ...["server", "start", "--transport", "http"],
        "--dangerously-disable-http-incoming-auth",
      ],
      env: { ASPNETCORE_URLS: `http://127.0.0.1:${port}`, Logging__LogLevel__Default: "None" },
      url: `http://127.0.0.1:${port}/`,
    }),
    version: "2026-07-28",
    alsoSpeaks: ["2025-11-25"],
    title: "Template MCP Server",
    tools: 0,
  },
];
