/**
 * Programs that serve MCP on their pipes, as clients start them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PipedChild } from "../support/piped_child.ts";

const PROGRAM = "runtimes/stdio_child.ts";

test("[STD-6] what a program prints goes to stderr", async () => {
  await using child = new PipedChild(PROGRAM).read();
  await child.initialize();
  assert.equal(await child.call(1, "print"), "printed");
  for (const how of ["log", "info", "dir", "table", "group", "write"]) {
    const printed = new RegExp(`printed.*by ${how}|by ${how}`);
    await child.until(() => printed.test(child.errors), String(printed));
  }
  child.closeInput();
  assert.equal(await child.ended, 0);
  // Each line was parsed as JSON.
  assert.deepEqual(child.messages.map(({ id }) => id), ["hello", 1]);
});

test("[STD-5] the process ends with its input, though something keeps it alive", async () => {
  await using child = new PipedChild(PROGRAM, ["1", "alive"]).read();
  await child.initialize();
  child.send({ id: 1, method: "tools/call", params: { name: "wait" } });
  await child.until(() => child.errors.includes("waiting"), "the tool");
  child.closeInput();
  assert.equal(await child.ended, 0, child.errors);
  assert.match(child.errors, /stopped: shutdown[^]*finished/);
  assert.match((await child.response(1)).error?.message ?? "", /shutting down/);
});

test("[STD-5] lines from a file are answered before the process ends", async () => {
  await using child = new PipedChild(PROGRAM).read();
  const initialized = child.initialize();
  child.send({ id: 1, method: "tools/call", params: { name: "big" } }, { id: 2, method: "ping" });
  child.closeInput();
  await initialized;
  assert.equal(await child.ended, 0, child.errors);
  assert.deepEqual(child.messages.map(({ id }) => id).sort(), [1, 2, "hello"]);
});

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`[STD-5] ${signal} ends it at once, while a call runs and nobody reads`, async () => {
    await using child = new PipedChild(PROGRAM, ["600000"]);
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientInfo": { name: "slow", version: "1.0.0" },
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    child.send({ id: 0, method: "tools/call", params: { name: "wait", _meta } });
    await child.until(() => child.errors.includes("waiting"), "the tool");
    for (let id = 1; id < 4; id++) {
      child.send({ id, method: "tools/call", params: { name: "big", _meta } });
    }
    child.signal(signal);
    await child.until(() => child.errors.includes("finished"), "its end");
    assert.match(child.errors, /stopped: shutdown/);
    child.child.stdout?.resume();
    assert.equal(await child.ended, 0, child.errors);
  });
}

test("[STD-5] it ends when its output is closed", async () => {
  await using child = new PipedChild(PROGRAM, ["600000"]).read();
  await child.initialize();
  child.child.stdout?.destroy();
  // The pipe may close a moment later: what is written before doesn't fail.
  let id = 0;
  const pings = setInterval(() => child.send({ id: ++id, method: "ping" }), 50);
  assert.equal(await child.ended.finally(() => clearInterval(pings)), 0, child.errors);
});
