/**
 * How a serving process ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Child, withProcess } from "./child_process.ts";
import type { ChildOptions } from "./child.ts";
import { callText } from "./raw.ts";
import { runtime } from "./runtime.ts";

function withChild(options: ChildOptions, body: (child: Child) => Promise<void>): Promise<void> {
  return withProcess(["run"], "./child.ts", [JSON.stringify(options)], body);
}

describe(`a serving process on ${runtime}`, () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(
      `[END-1] ${signal} lets a running call finish, then the process ends`,
      { timeout: 15_000 },
      () =>
        withChild({ graceMs: 5_000 }, async (child) => {
          const connection = await child.connect();
          const late = await child.connect();
          await connection.write(callText("wait", { ms: 800 }));
          await child.until(/wait\n/);
          child.signal(signal);
          await new Promise((resolve) => setTimeout(resolve, 200));
          await late.write(callText("echo"));
          await late.until(/^HTTP\/1\.1 503 /);
          await connection.until("done");
          assert.equal(await child.exited, 0, child.errors);
          assert.match(child.output, /finished\n$/);
          assert.equal(child.errors.replaceAll(WARNING, ""), "");
        }),
    );
  }

  test("[END-1] a call that never ends holds the process no longer than the grace", {
    timeout: 15_000,
  }, () =>
    withChild({ graceMs: 500 }, async (child) => {
      const connection = await child.connect();
      await connection.write(callText("hang"));
      await child.until(/hang\n/);
      const before = Date.now();
      child.signal("SIGTERM");
      assert.equal(await child.exited, 0, child.errors);
      const took = Date.now() - before;
      assert.ok(took >= 450 && took < 5_000, `The process took ${took} ms`);
    }));

  test(
    "[END-3] a second signal ends the process at once",
    { timeout: 15_000 },
    () =>
      withChild({ graceMs: 60_000 }, async (child) => {
        const connection = await child.connect();
        await connection.write(callText("hang"));
        await child.until(/hang\n/);
        // Two that arrive together, on a machine that stood still, count as one
        const again = setInterval(() => child.signal("SIGTERM"), 800);
        child.signal("SIGTERM");
        try {
          assert.notEqual(await child.exited, 0);
        } finally {
          clearInterval(again);
        }
      }),
  );

  test(
    "[END-3] a signal that arrives twice is one: a running call finishes",
    { timeout: 15_000 },
    () =>
      withChild({ graceMs: 10_000 }, async (child) => {
        const connection = await child.connect();
        await connection.write(callText("wait", { ms: 1_000 }));
        await child.until(/wait\n/);
        child.signal("SIGINT");
        await new Promise((resolve) => setTimeout(resolve, 100));
        child.signal("SIGINT");
        await connection.until("done");
        assert.equal(await child.exited, 0, child.errors);
        assert.match(child.output, /finished\n$/);
      }),
  );

  for (const what of ["handler", "gateway"]) {
    test(`[END-1] close() of a ${what} settles though nothing else is left`, {
      timeout: 15_000,
    }, () =>
      withProcess(["run"], "./close_child.ts", [what], async (child) => {
        assert.equal(await child.exited, 0, child.errors);
        assert.equal(child.output, "closed\n");
      }));
  }

  test("[END-2] a server that was closed leaves nothing that keeps the process alive", {
    timeout: 15_000,
  }, () =>
    withChild({ closeAfterMs: 100 }, async (child) => {
      const connection = await child.connect();
      await connection.write(callText("echo"));
      await connection.until(/^HTTP\/1\.1 200 /);
      await child.until(/finished\n/);
      const before = Date.now();
      assert.equal(await child.exited, 0, child.errors);
      assert.ok(Date.now() - before < 5_000);
    }));

  test("[END-2] a handler that is dropped leaves nothing that keeps the process alive", {
    timeout: 15_000,
  }, () =>
    withChild({ drop: true }, async (child) => {
      await child.until(/dropped\n/);
      const before = Date.now();
      assert.equal(await child.exited, 0, child.errors);
      assert.ok(Date.now() - before < 5_000);
    }));
});

/** What Node 22 says of itself when it strips types. */
const WARNING = /^\(node:\d+\) ExperimentalWarning: Type Stripping.*\n\(Use `node.*\n/g;

describe(`a default export on ${runtime}`, () => {
  const skip = runtime === "node" && "Node starts no server around a default export";

  test(
    "a handler as the default export is served",
    { skip, timeout: 15_000 },
    () =>
      withProcess(["serve", "--port", "0"], "./default_export.ts", [], async (child) => {
        const connection = await child.connect();
        await connection.write(callText("echo", { text: "served" }));
        await connection.until('"text":"served"');
      }),
  );
});
