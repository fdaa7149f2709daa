/**
 * A process that starts a server over stdio and calls a tool of it, with nothing in between: as fast as
 * that is, nothing in front of the server can be.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Called } from "./call_load.ts";
import { CALLED } from "./gateway_tools.ts";
import { INITIALIZE, INITIALIZED } from "./messages.ts";
import { median } from "./pairs.ts";

/** What it is started with: how the server is. */
export interface DirectInit {
  readonly command: string;
  readonly args: readonly string[];
}

/** What it can be told: to call, so many calls at a time. */
export interface DirectOrder {
  readonly lanes: number;
  readonly ms: number;
}

const { command, args }: DirectInit = JSON.parse(process.argv[2] ?? "null");
const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map<unknown, (line: string) => void>();
createInterface({ input: child.stdout }).on("line", (line) => {
  const { id } = JSON.parse(line);
  waiting.get(id)?.(line);
});

/** Sends a request and waits for its answer. */
function ask(id: number, line: string): Promise<string> {
  const answered = new Promise<string>((resolve) => waiting.set(id, resolve));
  child.stdin.write(`${line}\n`);
  return answered;
}

/** Calls for a while. */
async function load({ lanes, ms }: DirectOrder): Promise<Called> {
  const times: number[] = [];
  const begin = performance.now();
  let now = begin;
  await Promise.all(Array.from({ length: lanes }, async (_, n) => {
    const params = { name: CALLED.nothing, arguments: { a: 2, b: 3 } };
    const line = JSON.stringify({ jsonrpc: "2.0", id: n + 2, method: "tools/call", params });
    let last = "";
    do {
      const sent = performance.now();
      last = await ask(n + 2, line);
      now = performance.now();
      times.push(now - sent);
    } while (now - begin < ms);
    assert.deepEqual(JSON.parse(last).result?.content, [{ type: "text", text: "5" }]);
  }));
  return { requests: times.length, ms: now - begin, p50: median(times) };
}

await ask(1, INITIALIZE);
child.stdin.write(`${INITIALIZED}\n`);
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await load(JSON.parse(line)));
}
child.kill();
process.exit();
