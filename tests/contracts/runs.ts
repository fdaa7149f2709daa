/**
 * What every {@linkcode EventLog} must do that several processes can use: it says which node runs the
 * requests of a stream, and lets others end them, once.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { RequestId } from "../../src/protocol/jsonrpc.ts";
import type { EventLog, EventLogLimits, StoredRun } from "../../src/streams/types.ts";
import { uniqueId } from "./unique.ts";

/** A log under test. */
export interface RunsUnderTest {
  /** The log as one more process sees it. */
  log(): EventLog;
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a place for logs. */
export type MakeRuns = (limits: Required<EventLogLimits>) => MaybePromise<RunsUnderTest>;

/** The methods that such a log has. */
type RunLog = EventLog & Required<Pick<EventLog, "run" | "keepRequest" | "endRun" | "moveRun">>;

const LIMITS: Required<EventLogLimits> = { events: 8, eventBytes: 1_000, retainMs: 2_000 };

function response(id: RequestId, result = {}): string {
  return JSON.stringify({ jsonrpc: "2.0", id, result });
}

/** Runs the suite against the logs that `make` makes. */
export function runsContract(name: string, make: MakeRuns): void {
  /** Three processes: one that runs requests, and two others. */
  async function using(
    run: (logs: readonly [RunLog, RunLog, RunLog], session: string) => Promise<void>,
  ): Promise<void> {
    const made = await make(LIMITS);
    const session = uniqueId();
    const log = () => made.log() as RunLog; // as the contract demands
    const logs = [log(), log(), log()] as const;
    try {
      await run(logs, session);
      await logs[0].drop(session);
    } finally {
      await made.close();
    }
  }

  const runOf = async (log: RunLog, session: string, stream = "s"): Promise<StoredRun> =>
    await log.run(session, stream) ?? assert.fail("no run");

  const messages = async (log: RunLog, session: string, stream = "s") => {
    const slice = await log.read(session, stream, 0);
    return [slice?.ended, ...slice?.events.map(({ data }) => data) ?? []];
  };

  describe(`${name}: runs`, () => {
    test("[CLU-10] everybody sees which node runs the requests of a stream", async () => {
      await using(async ([a, b], session) => {
        assert.equal(await b.run(session, "s"), undefined);
        await a.open(session, "s", { node: "one", requests: [0, "", 'a"\n|', 9007199254740991] });
        const { node, requests, again } = await runOf(b, session);
        assert.deepEqual({ node, requests, again }, {
          node: "one",
          requests: [0, "", 'a"\n|', 9007199254740991],
          again: undefined,
        });
        // Streams that answer nothing have none, nor does another session or stream.
        await a.open(session, "t");
        await a.append(session, "u", "x");
        for (const stream of ["t", "u", "s:", "__proto__"]) {
          assert.equal(await b.run(session, stream), undefined);
        }
        assert.equal(await b.run(uniqueId(), "s"), undefined);
        // The first run stays.
        await b.open(session, "s", { node: "two", requests: [2] });
        assert.equal((await runOf(b, session)).node, "one");
      });
    });

    test("[CLU-10] a run has the requests without a response, and ends with its stream", async () => {
      await using(async ([a, b], session) => {
        await a.open(session, "s", { node: "one", requests: [1, "1", 1, "\ud83d\ude00\ud800"] });
        await a.append(session, "s", '{"method":"x","id":1}');
        await a.append(session, "s", response(1), true);
        assert.deepEqual((await runOf(b, session)).requests, ["1", 1, "\ud83d\ude00\ud800"]);
        await a.append(session, "s", response("1"), true);
        assert.deepEqual((await runOf(b, session)).requests, [1, "\ud83d\ude00\ud800"]);
        await a.append(session, "s", response(1), true);
        // The only one left needs no look at its id.
        await a.append(session, "s", response("\ud83d\ude00\ud800"), true);
        assert.deepEqual((await runOf(b, session)).requests, []);
        await a.end(session, "s");
        assert.equal(await b.run(session, "s"), undefined);
        await a.open(session, "s", { node: "one", requests: [2] });
        assert.equal(await b.run(session, "s"), undefined);
      });
    });

    test("[CLU-10] of many who end a run one does, and the stream ends with its messages", async () => {
      await using(async ([a, b, c], session) => {
        await a.open(session, "s", { node: "one", requests: [1] });
        await a.append(session, "s", "before");
        const run = await runOf(b, session);
        const ended = await Promise.all([
          b.endRun(session, "s", run, ["b1", "b2"]),
          c.endRun(session, "s", run, ["c1", "c2"]),
          b.endRun(session, "s", run, ["b3"]),
        ]);
        assert.equal(ended.filter((done) => done).length, 1);
        const winner = ended[0] ? ["b1", "b2"] : ended[1] ? ["c1", "c2"] : ["b3"];
        assert.deepEqual(await messages(c, session), [true, "before", ...winner]);
        assert.equal(await c.run(session, "s"), undefined);
      });
    });

    test("[CLU-10] whose run was ended is fenced: what it says later has no effect", async () => {
      await using(async ([a, b], session) => {
        await a.open(session, "s", { node: "one", requests: [1] });
        assert.equal(await b.endRun(session, "s", await runOf(b, session), ["lost"]), true);
        assert.equal(await a.append(session, "s", "late"), 0);
        assert.equal(await a.append(session, "s", response(1), true), 0);
        await a.end(session, "s");
        assert.deepEqual(await messages(a, session), [true, "lost"]);
      });
    });

    test("[CLU-10] a run that has changed is neither ended nor moved", async () => {
      await using(async ([a, b, c], session) => {
        await a.open(session, "s", { node: "one", requests: [1, 2] });
        const old = await runOf(b, session);
        await a.append(session, "s", response(1), true);
        assert.equal(await b.endRun(session, "s", old, ["lost"]), false);
        assert.equal(await b.moveRun(session, "s", old, "two"), false);
        const present = await runOf(b, session);
        assert.equal(await c.moveRun(session, "s", present, "three"), true);
        assert.equal(await b.endRun(session, "s", present, ["lost"]), false);
        assert.deepEqual(await messages(b, session), [false, response(1)]);
        const moved = await runOf(b, session);
        assert.deepEqual([moved.node, moved.requests], ["three", [2]]);
        await c.append(session, "s", response(2), true);
        await c.end(session, "s");
        assert.equal(await b.endRun(session, "s", moved, ["lost"]), false);
        assert.deepEqual(await messages(b, session), [true, response(1), response(2)]);
      });
    });

    test("[CLU-10] a moved run is that of its new process alone", async () => {
      await using(async ([a, b, c], session) => {
        await a.open(session, "s", { node: "one", requests: [1] });
        await a.append(session, "s", "first");
        await a.keepRequest(session, "s", "the request");
        const run = await runOf(b, session);
        assert.equal(run.again, "the request");
        const moved = await Promise.all(
          [b, c].map((log, n) => log.moveRun(session, "s", run, `${n}`)),
        );
        assert.equal(moved.filter((done) => done).length, 1);
        const [next, other] = moved[0] ? [b, c] : [c, b];
        assert.equal((await runOf(other, session)).again, undefined);
        for (const log of [a, other]) {
          assert.equal(await log.append(session, "s", "late"), 0);
          assert.equal(await log.append(session, "s", response(1), true), 0);
          await log.keepRequest(session, "s", "again");
          await log.end(session, "s");
        }
        assert.equal((await runOf(a, session)).again, undefined);
        assert.equal(await next.append(session, "s", "second"), 2);
        await next.append(session, "s", response(1), true);
        await next.end(session, "s");
        assert.deepEqual(await messages(a, session), [true, "first", "second", response(1)]);
      });
    });

    test("[CLU-10] kept requests are bounded for a session, and go with the response", async () => {
      await using(async ([a, b], session) => {
        for (const stream of ["s", "t", "u"]) {
          await a.open(session, stream, { node: "one", requests: [1] });
          await a.keepRequest(session, stream, stream.repeat(400));
        }
        const kept = async (stream: string) => (await runOf(b, session, stream)).again?.length ?? 0;
        assert.deepEqual([await kept("s"), await kept("t"), await kept("u")], [400, 400, 0]);
        await a.keepRequest(session, "s", "short");
        assert.equal(await kept("s"), 5);
        await a.append(session, "s", response(1), true);
        assert.equal(await kept("s"), 0);
        await a.keepRequest(session, "s", "too late");
        assert.equal(await kept("s"), 0);
        await a.keepRequest(session, "u", "u".repeat(600));
        assert.equal(await kept("u"), 600);
        await a.end(session, "t");
        await b.endRun(session, "u", await runOf(b, session, "u"), []);
        await a.open(session, "v", { node: "one", requests: [1] });
        await a.keepRequest(session, "v", "v".repeat(1_000));
        assert.equal(await kept("v"), 1_000);
      });
    });

    test("[CLU-10] nothing is left of the runs of a dropped session", async () => {
      await using(async ([a, b], session) => {
        await a.open(session, "s", { node: "one", requests: [1] });
        const run = await runOf(b, session);
        await b.drop(session);
        assert.equal(await a.run(session, "s"), undefined);
        assert.equal(await a.endRun(session, "s", run, ["lost"]), false);
        assert.equal(await a.moveRun(session, "s", run, "two"), false);
        await a.keepRequest(session, "s", "request");
        await a.open(session, "s", { node: "one", requests: [1] });
        assert.equal(await a.run(session, "s"), undefined);
      });
    });
  });
}
