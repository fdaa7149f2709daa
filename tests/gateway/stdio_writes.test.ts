import assert from "node:assert/strict";
import { test } from "node:test";
import { Child } from "../../src/gateway/upstreams/child.ts";
import { systemClock } from "../../src/internal/clock.ts";

test("[GTW-7] lines that are written together arrive whole and in order, also right before the end", async () => {
  let echoed = "";
  const decoder = new TextDecoder();
  const ended = Promise.withResolvers<unknown>();
  const child = await Child.start({
    command: "cat",
    args: [],
    env: {},
    cwd: undefined,
    maxQueueBytes: 1_000_000,
    closeMs: 5_000,
    clock: systemClock,
    onStdout: (chunk) => echoed += decoder.decode(chunk, { stream: true }),
    onStderr() {},
    onExit: ended.resolve,
  });
  const lines = Array.from({ length: 200 }, (_, n) => `{"n":${n},"text":"ä€😀"}`);
  for (const line of lines.slice(0, 100)) child.write(line);
  await new Promise((resolve) => setTimeout(resolve, 0));
  for (const line of lines.slice(100)) child.write(line);
  await child.close();
  await ended.promise;
  assert.deepEqual(echoed.split("\n"), [...lines, ""]);
});

test("[GTW-7] what waits to be written with other lines counts for the bound", async () => {
  const child = await Child.start({
    command: "cat",
    args: [],
    env: {},
    cwd: undefined,
    maxQueueBytes: 1_000,
    closeMs: 5_000,
    clock: systemClock,
    onStdout() {},
    onStderr() {},
    onExit() {},
  });
  const write = () => {
    for (let n = 0; n < 20; n++) child.write("x".repeat(99));
  };
  assert.throws(write, /the upstream doesn't read/);
  await child.close();
});
