/**
 * Starts the official inspector, connected: it has forms for tools, prompts and resources, shows results and
 * progress, and asks the user what the server asks.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** The inspector that this was tried with. */
export const INSPECTOR = "@modelcontextprotocol/inspector@2.12.0";

/** The entries of its list of servers: this server, in each era that it speaks. */
const ERAS = { "2025-11-25": "legacy", "2026-07-28": "modern" } as const;

/** How the inspector is started. */
export interface InspectorStart {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The list of servers that it reads: without one it writes one of programs that npx fetches. */
  readonly catalog: { readonly path: string; readonly text: string };
  /** Where a browser finds it, connected. */
  readonly link: string;
}

/**
 * Returns how the inspector is started.
 *
 * @param url The URL of the server's endpoint
 * @param port The port for the inspector
 * @param token The inspector's own secret, without which no page connects it to anything
 * @param folder An empty folder: the user's own list of servers stays as it is
 */
export function inspectorStart(
  url: string,
  port: number,
  token: string,
  folder: string,
): InspectorStart {
  const query = new URLSearchParams({
    MCP_INSPECTOR_API_TOKEN: token,
    serverUrl: url,
    transport: "http",
    // Only a link that knows the secret connects by itself
    autoConnect: token,
  });
  const path = join(folder, "servers.json");
  const servers = Object.entries(ERAS).map(([version, protocolEra]) => [
    `This server, ${version}`,
    { type: "streamable-http", url, protocolEra },
  ]);
  return {
    command: ["npx", "-y", INSPECTOR],
    catalog: { path, text: JSON.stringify({ mcpServers: Object.fromEntries(servers) }, null, 2) },
    env: {
      CLIENT_PORT: String(port),
      MCP_AUTO_OPEN_ENABLED: "false",
      MCP_CATALOG_PATH: path,
      MCP_INSPECTOR_API_TOKEN: token,
      MCP_INSPECTOR_SECRET_STORE: "memory",
    },
    link: `http://127.0.0.1:${port}/?${query}`,
  };
}

/** A running inspector. */
export interface Inspector {
  /** Ends it. */
  close(): Promise<void>;
}

/**
 * Starts the inspector.
 *
 * @param say Takes its link once it listens, or why it doesn't run
 */
export async function startInspector(
  url: string,
  port: number,
  token: string,
  say: (text: string) => void,
): Promise<Inspector> {
  const folder = await mkdtemp(join(tmpdir(), "mooring-inspector-"));
  const { command, catalog, env, link } = inspectorStart(url, port, token, folder);
  const [program = "", ...args] = command;
  await writeFile(catalog.path, catalog.text, { mode: 0o600 });
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // With what npx starts
    detached: process.platform !== "win32",
  });
  let output = "";
  let isUp = false;
  const read = (text: string): void => {
    output = `${output}${text}`.slice(-2_000);
    if (isUp || !output.includes("up and running")) return;
    isUp = true;
    say(`Forms: ${link}`);
  };
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", read);
  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(process.platform === "win32" ? child.pid : -child.pid, "SIGTERM");
    } catch {
      // It has ended
    }
  };
  process.once("exit", kill);
  const ended = new Promise<void>((resolve) => {
    child.once("error", (error) => {
      say(`Can't start the inspector: ${error.message}`);
      resolve();
    });
    child.once("close", (code) => {
      if (!isUp && code !== null) say(`The inspector ended with ${code}: ${output}`);
      resolve();
    });
  });
  return {
    async close() {
      process.off("exit", kill);
      isUp = true;
      kill();
      await ended;
      await rm(folder, { recursive: true, force: true });
    },
  };
}
