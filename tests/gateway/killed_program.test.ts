/**
 * Calls that come right after a program was killed.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { gateway } from "../../src/gateway/mod.ts";
import { initialize, textOf } from "../support/wire.ts";
import { isAlive, tinyChild } from "./children.ts";

async function world() {
  const gw = gateway({ upstreams: { up: tinyChild() } });
  const handler = createMcpHandler(gw);
  const peer = await initialize(handler);
  let id = 0;
  const call = async (tool: string) => await (await peer.call(++id, `up__${tool}`)).json();
  /** Kills the program, and returns before anything here can have heard of it. */
  const kill = async () => {
    const pid = Number(textOf((await call("pid")).result));
    process.kill(pid, "SIGKILL");
    while (isAlive(pid)) { /* Nothing else runs here meanwhile */ }
    return pid;
  };
  const close = async () => {
    await handler.close({ graceMs: 0 });
    await gw.close();
  };
  return { call, kill, close };
}

test("[GTW-7] a call that can't have reached a killed program is run by the next one", async () => {
  const { call, kill, close } = await world();
  const first = await kill();
  const { result } = await call("pid");
  assert.notEqual(Number(textOf(result)), first);
  await close();
});

// Bun says that a write to a process that has ended is done, so that nothing tells it from one that was read.
const skip = "Bun" in globalThis && "Bun doesn't report failed writes to a process";

test("[GTW-7] several such calls are, too, each once", { skip }, async () => {
  const { call, kill, close } = await world();
  await kill();
  const counts = await Promise.all([call("count"), call("count"), call("count")]);
  assert.deepEqual(counts.map(({ result }) => textOf(result)).sort(), ["1", "2", "3"]);
  await close();
});

test("[GTW-7] a call that the killed program had read fails, and runs nowhere else", async () => {
  const { call, kill, close } = await world();
  const pid = Number(textOf((await call("pid")).result));
  const hanging = call("hang");
  // The program has read it: it answers one call after the other.
  await new Promise((resolve) => setTimeout(resolve, 100));
  process.kill(pid, "SIGKILL");
  const { error } = await hanging;
  assert.match(error.message, /can't be used now|ended/);
  await kill().catch(() => {});
  await close();
});
