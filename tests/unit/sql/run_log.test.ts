import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RequestId } from "../../../src/protocol/jsonrpc.ts";
import { SqlRunLog } from "../../../src/sql/run_log.ts";
import { SqlTables } from "../../../src/sql/sql.ts";
import type { StoredRun } from "../../../src/streams/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { memorySql } from "../../support/sqlite.ts";

const LIMITS = { events: 8, eventBytes: 1_000, retainMs: 2_000 };

const response = (id: RequestId): string => JSON.stringify({ jsonrpc: "2.0", id, result: {} });

/** A database, and logs that open it one after the other. */
function logs(): { open(): SqlRunLog; close(): void } {
  const sql = memorySql();
  const clock = new FakeClock();
  return {
    open: () => new SqlRunLog(new SqlTables(sql), LIMITS, clock),
    close: () => sql.close(),
  };
}

const runOf = (log: SqlRunLog, stream = "s"): StoredRun =>
  log.run("a", stream) ?? assert.fail("no run");
const messages = (log: SqlRunLog, stream = "s"): readonly string[] =>
  log.read("a", stream, 0)?.events.map(({ data }) => data) ?? [];

describe("SqlRunLog", () => {
  test("[DUR-9] a run has the requests without a response, and ends with its stream", () => {
    const { open, close } = logs();
    const log = open();
    log.open("a", "s", { node: "one", requests: [1, "1", 2] });
    log.open("a", "s", { node: "two", requests: [3] });
    log.open("a", "t");
    assert.equal(log.run("a", "t"), undefined);
    assert.equal(log.run("b", "s"), undefined);
    assert.deepEqual([runOf(log).node, runOf(log).requests], ["one", [1, "1", 2]]);
    log.append("a", "s", response("1"), true);
    assert.deepEqual(runOf(log).requests, [1, 2]);
    log.append("a", "s", response(2), true);
    log.append("a", "s", response(1), true);
    assert.deepEqual(runOf(log).requests, []);
    log.end("a", "s");
    assert.equal(log.run("a", "s"), undefined);
    log.open("a", "s", { node: "one", requests: [4] });
    assert.equal(log.run("a", "s"), undefined);
    close();
  });

  test("[DUR-9] what is kept is there after a restart, and everything else has ended", () => {
    const { open, close } = logs();
    const before = open();
    for (const stream of ["kept", "other", "answered", "dropped"]) {
      before.open(stream === "dropped" ? "b" : "a", stream, { node: "one", requests: [1] });
    }
    before.keepRequest("a", "kept", "the request");
    before.keepRequest("a", "answered", "another request");
    before.keepRequest("b", "dropped", "one more");
    before.append("a", "answered", response(1), true);
    before.drop("b");
    const log = open();
    assert.deepEqual(
      [runOf(log, "kept").node, runOf(log, "kept").again, runOf(log, "kept").requests],
      ["one", "the request", [1]],
    );
    for (const stream of ["other", "answered", "dropped"]) {
      assert.equal(log.run("a", stream), undefined, stream);
    }
    assert.match(messages(log, "other")[0] ?? "", /"mayHaveRun":true/);
    assert.deepEqual(messages(log, "answered"), [response(1)]);
    // Moved to a node of the new process, it is not kept any more: it ends with the next restart.
    assert.equal(log.moveRun("a", "kept", runOf(log, "kept"), "two"), true);
    assert.deepEqual([runOf(log, "kept").node, runOf(log, "kept").again], ["two", undefined]);
    const after = open();
    assert.equal(after.run("a", "kept"), undefined);
    assert.match(messages(after, "kept")[0] ?? "", /"mayHaveRun":true/);
    close();
  });

  test("[DUR-9] a run that has changed is neither ended nor moved", () => {
    const { open, close } = logs();
    const log = open();
    log.open("a", "s", { node: "one", requests: [1, 2] });
    const old = runOf(log);
    log.append("a", "s", response(1), true);
    assert.equal(log.endRun("a", "s", old, ["lost"]), false);
    assert.equal(log.moveRun("a", "s", old, "two"), false);
    const present = runOf(log);
    assert.equal(log.moveRun("a", "s", present, "two"), true);
    assert.equal(log.endRun("a", "s", present, ["lost"]), false);
    assert.equal(log.endRun("a", "s", runOf(log), ["lost"]), true);
    assert.deepEqual(messages(log), [response(1), "lost"]);
    assert.equal(log.append("a", "s", "late"), 0);
    close();
  });

  test("[DUR-9] what a session keeps is bounded, and goes with the response", () => {
    const { open, close } = logs();
    const log = open();
    for (const stream of ["s", "t", "u"]) {
      log.open("a", stream, { node: "one", requests: [1] });
      log.keepRequest("a", stream, stream.repeat(400));
    }
    const kept = (stream: string) => log.run("a", stream)?.again?.length ?? 0;
    assert.deepEqual([kept("s"), kept("t"), kept("u")], [400, 400, 0]);
    log.keepRequest("a", "s", "short");
    assert.equal(kept("s"), 5);
    log.append("a", "s", response(1), true);
    log.keepRequest("a", "s", "too late");
    assert.equal(kept("s"), 0);
    log.keepRequest("a", "u", "u".repeat(600));
    assert.equal(kept("u"), 600);
    close();
  });
});
