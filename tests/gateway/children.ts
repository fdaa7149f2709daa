/**
 * Programs to be upstreams, and what is left of them.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import type { StdioUpstreamOptions } from "../../src/gateway/upstreams/stdio.ts";
import type { Upstream } from "../../src/gateway/types.ts";

const CHILD = fileURLToPath(new URL("./fixtures/child.ts", import.meta.url));

/** What runs a module under the runtime that runs this one. */
export function runs(
  path: string,
  ...args: readonly string[]
): { command: string; args: string[] } {
  const own = "Deno" in globalThis ? ["run", "-A", "--quiet"] : [];
  return { command: process.execPath, args: [...own, path, ...args] };
}

/** The server that behaves badly. */
export function badChild(
  flags: readonly string[] = [],
  options: Partial<StdioUpstreamOptions> = {},
): Upstream {
  return stdio({ ...runs(CHILD, ...flags), versions: ["2025-11-25"], ...options });
}

/** A published server, started as its users start it. */
export function publishedServer(name: string, ...args: readonly string[]): Upstream {
  return stdio({ command: binary(name), args });
}

/** The path of a published server's program. */
export function binary(name: string): string {
  return fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url));
}

/** Whether a process is still there, not counting one that nobody has waited for. */
export function isAlive(pid: number): boolean {
  try {
    const state = execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
    return !state.trim().startsWith("Z");
  } catch {
    return false;
  }
}

/** The processes that this one has started and that are still there, reapers included. */
export function childrenOf(pid: number): string[] {
  const list = execFileSync("ps", ["-eo", "pid=,ppid=,stat=,args="], { encoding: "utf8" });
  return list.split("\n").filter((line) => {
    const [, parent, state = ""] = line.trim().split(/\s+/);
    return parent === String(pid) && !state.startsWith("Z") && !/\bps -eo\b/.test(line);
  });
}

const TINY = fileURLToPath(new URL("./fixtures/tiny.sh", import.meta.url));

/** A server that costs next to nothing to start. Its tools are `count`, `pid` and `hang`. */
export function tinyChild(
  flags: readonly string[] = [],
  options: Partial<StdioUpstreamOptions> = {},
): Upstream {
  return stdio({
    command: "/bin/sh",
    args: [TINY, ...flags],
    versions: ["2025-11-25"],
    ...options,
  });
}
