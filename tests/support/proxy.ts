/**
 * nginx and Caddy, in front of an endpoint.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

const READY_MS = 10_000;

/** A reverse proxy. */
export interface Proxy {
  readonly program: "nginx" | "caddy";
  readonly version: string;
  /** Its file in `examples/hosts/`. */
  readonly file: string;
  /** Returns the whole configuration, for a folder of its own. */
  whole(example: string): string;
  args(file: string, folder: string): readonly string[];
  /** Ends it and all its processes, without waiting for connections. */
  readonly signal: "SIGTERM" | "SIGKILL";
}

/** The proxies that are tried. */
export const PROXIES: readonly Proxy[] = [
  {
    program: "nginx",
    version: "-v",
    file: "nginx.conf",
    whole: (example) =>
      `daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
       events {} http { access_log off; client_body_temp_path body; proxy_temp_path proxy;
       fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; ${example} }`,
    args: (file, folder) => ["-p", folder, "-c", file, "-e", "stderr"],
    signal: "SIGTERM",
  },
  {
    program: "caddy",
    version: "version",
    file: "Caddyfile",
    whole: (example) => `{\n\tadmin off\n\tauto_https off\n}\n${example}`,
    args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
    signal: "SIGKILL",
  },
];

/** Tells whether a proxy is on this machine. */
export function isInstalled({ program, version }: Proxy): boolean {
  try {
    execFileSync(program, [version], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

/** A proxy that runs. */
export interface RunningProxy {
  /** The URL of the endpoint behind it. */
  readonly url: string;
  kill(): Promise<void>;
}

/**
 * Starts a proxy, and waits until it answers.
 *
 * @param configuration Returns its configuration for a port
 * @param headers The headers of the first request
 */
export async function startProxy(
  proxy: Proxy,
  configuration: (port: number) => string | Promise<string>,
  headers: Readonly<Record<string, string>> = {},
): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), "proxy-"));
  // nginx's workers run as another user if it is started by root.
  await chmod(folder, 0o755);
  const port = await freePort();
  const file = join(folder, proxy.file);
  await writeFile(file, proxy.whole(await configuration(port)));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(proxy.program, proxy.args(file, folder), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  let gone = false;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void ended.then(() => gone = true);
  const kill = async (): Promise<void> => {
    if (child.pid !== undefined && !gone) process.kill(child.pid, proxy.signal);
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}/mcp`;
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const response = await fetch(url, { headers }).catch(() => undefined);
    await response?.body?.cancel();
    if (response !== undefined) return { url, kill };
    if (gone || Date.now() > deadline) {
      await kill();
      throw new Error(`${proxy.program} doesn't answer:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
