/**
 * `mooring stdio`, as clients start it.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { PipedChild } from "../support/piped_child.ts";
import { counter, COUNTER_LINE, withConfig } from "./program.ts";

const MAIN = "../src/cli/main.ts";
const mooring = (...args: readonly string[]) => new PipedChild(MAIN, ["stdio", ...args]);

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until a process is gone, which the system may take a moment for. */
async function gone(pid: number): Promise<void> {
  for (let n = 0; n < 200 && isAlive(pid); n++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.equal(isAlive(pid), false);
}

test("[STD-9, STD-5] a file's servers are one, follow the file, and end with it", async () => {
  const servers = { one: counter("one"), two: counter("two") };
  const config = { mcpServers: servers, auth: { tokens: [{ id: "a", token: "x".repeat(40) }] } };
  await withConfig(config, async (file, write) => {
    await using child = mooring("--config", file, "--log", "json").read();
    await child.initialize();
    const first = Number(await child.call(1, "one__pid"));
    const second = Number(await child.call(2, "two__pid"));
    assert.ok(isAlive(first) && isAlive(second));
    assert.match(child.errors, /"not-honoured".*"keys":\["auth"\]/);
    await write({ ...config, mcpServers: { one: counter("one") } });
    await child.until(
      () => child.messages.some(({ method }) => method === "notifications/tools/list_changed"),
      "the change",
    );
    await gone(second);
    child.closeInput();
    assert.equal(await child.ended, 0, child.errors);
    await gone(first);
    for (const line of child.errors.trim().split("\n")) JSON.parse(line);
  });
});

test("[STD-9, STD-5] a signal while a call runs leaves no program behind", async () => {
  await using child = mooring("--stdio", COUNTER_LINE).read();
  await child.initialize();
  const pid = Number(await child.call(1, "pid"));
  child.send({ id: 2, method: "tools/call", params: { name: "slow", arguments: {} } });
  child.send({ id: 3, method: "ping" });
  await child.response(3);
  child.signal("SIGTERM");
  assert.equal(await child.ended, 0, child.errors);
  await gone(pid);
});

test("[STD-9] --only serves one server, and mistakes go to stderr", async () => {
  const config = { mcpServers: { one: counter("one"), two: counter("two") } };
  await withConfig(config, async (file) => {
    await using child = mooring("--config", file, "--only", "two").read();
    await child.initialize();
    assert.match(await child.call(1, "pid"), /^\d+$/);
    child.closeInput();
    assert.equal(await child.ended, 0, child.errors);
    for (
      const [args, code, message] of [
        [["--config", file, "--only", "tow"], 1, /"one", "two": "tow"/],
        [["--stdio", "x", "--only", "two"], 2, /--only only with --config/],
        [["--config", `${file}.missing`], 1, /missing/],
        [[], 2, /Give what to serve/],
        [["--port", "1", "--stdio", "x"], 2, /--port/],
      ] as const
    ) {
      await using wrong = mooring(...args).read();
      assert.equal(await wrong.ended, code, wrong.errors);
      assert.match(wrong.errors, message);
      assert.deepEqual(wrong.messages, []);
    }
  });
});
