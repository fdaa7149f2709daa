import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { LostRuns, type LostRunsInit } from "../../../src/cluster/lost_nodes/lost_runs.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";
import { ContinuedReply } from "../../../src/streams/continued_reply.ts";
import { LateAnswers } from "../../../src/streams/late_answers.ts";
import { openLoggedReply } from "../../../src/streams/logged_reply.ts";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { Streams, type StreamSession } from "../../../src/streams/streams.ts";
import type { StoredRun } from "../../../src/streams/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";

const SETTINGS = {
  most: 10,
  mostPerPrincipal: 10,
  keepAliveMs: 15_000,
  retryMs: 1_000,
  bufferBytes: 65_536,
};

/** A log with the runs that a test gives it. */
class RunLog extends MemoryEventLog {
  readonly runs = new Map<string, StoredRun>();
  /** How often a run was read. */
  reads = 0;
  failing = false;
  failingEnds = false;

  override end(session: string, stream: string): void {
    if (this.failingEnds) throw new Error("The store is away");
    super.end(session, stream);
  }

  run(_: string, stream: string): StoredRun | undefined {
    this.reads++;
    if (this.failing) throw new Error("The store is away");
    return this.runs.get(stream);
  }

  endRun(session: string, stream: string, run: StoredRun, messages: readonly string[]): boolean {
    if (this.runs.get(stream)?.mark !== run.mark) return false;
    this.runs.delete(stream);
    for (const message of messages) this.append(session, stream, message);
    this.end(session, stream);
    return true;
  }
}

function world(init: Partial<LostRunsInit> = {}) {
  const clock = new FakeClock();
  const log = new RunLog({ events: 100, eventBytes: 10_000, retainMs: 60_000 }, clock);
  const lost = new Set<string>();
  const events: McpEvent[] = [];
  const reporter = new Reporter((event) => void events.push(event));
  const lostRuns = new LostRuns({
    node: "here",
    log,
    presence: { isLost: (node) => Promise.resolve(lost.has(node)) },
    clock,
    reporter,
    retries: undefined,
    runsHere: () => false,
    ...init,
  });
  const runs = (stream: string, node: string, ...requests: number[]) => {
    log.open("s", stream);
    log.runs.set(stream, { node, requests, again: undefined, mark: crypto.randomUUID() });
  };
  const advance = async (ms: number) => {
    await settle();
    for (let left = ms; left >= 0; left -= 250) {
      await clock.advance(Math.min(left, 250));
      await settle();
    }
  };
  const messages = (stream: string) =>
    log.read("s", stream, 0)?.events.map(({ data }) => JSON.parse(data)) ?? [];
  return { clock, log, lost, events, reporter, lostRuns, runs, advance, messages };
}

describe("LostRuns", () => {
  test("[CLU-10] ends the streams of a lost node with an error for each request, and no others", async () => {
    const { lostRuns, runs, lost, advance, messages, log, events, clock } = world();
    runs("a", "dead", 1, 2);
    runs("b", "alive", 3);
    for (const stream of ["a", "b", "none"]) lostRuns.follow("s", stream);
    await advance(5_000);
    assert.deepEqual([...messages("a"), ...messages("b")], []);
    assert.equal(lostRuns.size, 2);
    lost.add("dead");
    await advance(1_000);
    assert.deepEqual(messages("a").map(({ id, error }) => [id, error.data.reason]), [
      [1, "node-lost"],
      [2, "node-lost"],
    ]);
    assert.equal(log.read("s", "a", 0)?.ended, true);
    assert.deepEqual(messages("b"), []);
    assert.deepEqual(
      events.flatMap((event) => event.type === "request-lost" ? event.outcome : []),
      ["failed"],
    );
    assert.equal(lostRuns.size, 1);
    lostRuns.close();
    assert.equal(clock.pending, 0);
  });

  test("[CLU-10] whoever has gone away is not looked after, and nothing is asked for nobody", async () => {
    const { lostRuns, runs, lost, advance, messages, log, clock } = world();
    runs("a", "dead", 1);
    const stop = lostRuns.follow("s", "a");
    await advance(1_000);
    stop();
    stop();
    lost.add("dead");
    await advance(5_000);
    assert.deepEqual(messages("a"), []);
    assert.equal(clock.pending, 0);
    const { reads } = log;
    await advance(10_000);
    assert.equal(log.reads, reads);
  });

  test("[CLU-10, CLU-8] a store that is away is asked once a second, and then all goes on", async () => {
    const { lostRuns, runs, lost, advance, messages, log } = world();
    runs("a", "dead", 1);
    lost.add("dead");
    log.failing = true;
    lostRuns.follow("s", "a");
    await advance(10_000);
    assert.ok(log.reads <= 12, `${log.reads}`);
    log.failing = false;
    await advance(1_000);
    assert.equal(messages("a").length, 1);
  });

  test("[CLU-10] a run that this node doesn't know to have is ended, but not while it may have it", async () => {
    let running = true;
    const { lostRuns, runs, advance, messages } = world({ runsHere: () => running });
    runs("a", "here", 1);
    lostRuns.follow("s", "a");
    await advance(10_000);
    assert.deepEqual(messages("a"), []);
    running = false;
    // Its answer may be on its way.
    await advance(2_000);
    assert.deepEqual(messages("a"), []);
    await advance(5_000);
    assert.equal(messages("a").length, 1);
  });

  test("[CLU-10] a request that runs again gets no error; one that can't does", async () => {
    const fates = new Map([["a", "running"], ["b", "refused"], ["c", "changed"]] as const);
    const asked: string[] = [];
    const { lostRuns, runs, lost, advance, messages, log, events } = world({
      retries: {
        run: (_, stream) => {
          asked.push(stream);
          const fate = fates.get(stream as "a") ?? "refused"; // one of these
          if (fate === "changed") log.runs.delete(stream);
          return Promise.resolve(fate);
        },
      },
    });
    lost.add("dead");
    for (const stream of ["a", "b", "c"]) {
      runs(stream, "dead", 1);
      lostRuns.follow("s", stream);
    }
    await advance(3_000);
    assert.deepEqual(asked.toSorted(), ["a", "b", "c"]);
    assert.deepEqual(["a", "b", "c"].map((stream) => messages(stream).length), [0, 1, 0]);
    assert.deepEqual(
      events.flatMap((event) => event.type === "request-lost" ? event.outcome : []).toSorted(),
      ["failed", "retried"],
    );
    assert.equal(lostRuns.size, 0);
  });
});

describe("LateAnswers", () => {
  const answer = (id: number) => JSON.stringify({ jsonrpc: "2.0", id, result: {} });

  test("[CLU-10, CLU-8] a response that the log did not take ends its stream later, once", async () => {
    const { clock, log, reporter, runs, advance, messages } = world();
    const late = new LateAnswers(log, clock, reporter);
    for (const stream of ["a", "b", "c"]) runs(stream, "here", 1);
    runs("batch", "here", 1, 2);
    log.failing = true;
    for (const stream of ["a", "b", "batch"]) assert.ok(late.add("s", stream, answer(1)));
    await advance(5_000);
    assert.deepEqual(messages("a"), []);
    // It was appended after all.
    log.runs.delete("b");
    log.failing = false;
    await advance(1_000);
    assert.deepEqual(messages("a").map(({ id }) => id), [1]);
    assert.equal(log.read("s", "a", 0)?.ended, true);
    assert.deepEqual(messages("b"), []);
    // Another request of the batch runs on.
    assert.deepEqual(messages("batch"), []);
    assert.equal(late.size, 1);
    assert.ok(late.add("s", "batch", answer(2)));
    await advance(1_000);
    assert.deepEqual(messages("batch").map(({ id }) => id), [1, 2]);
    assert.deepEqual([late.size, clock.pending], [0, 0]);
  });

  test("[CLU-10] what waits is bounded, in characters and in time", async () => {
    const { clock, log, reporter, runs, advance, events } = world();
    const late = new LateAnswers(log, clock, reporter);
    runs("a", "here", 1);
    log.failing = true;
    const large = "x".repeat(40 * 1024 * 1024);
    assert.ok(late.add("s", "a", large));
    assert.equal(late.add("s", "b", large), false);
    await advance(130_000);
    assert.equal(late.size, 0);
    assert.equal(clock.pending, 0);
    assert.equal(events.filter(({ type }) => type === "error").length, 1);
    assert.ok(late.add("s", "b", large));
    late.clear();
    assert.deepEqual([late.size, clock.pending], [0, 0]);
  });

  test("[CLU-10, CLU-8] a stream whose end failed ends later, once", async () => {
    const { clock, log, reporter, advance, messages } = world();
    const late = new LateAnswers(log, clock, reporter);
    const streams = new Streams(log, SETTINGS, clock, reporter);
    streams.keepLateAnswers(late);
    const session: StreamSession = {
      id: "s",
      connections: new Map(),
      nameStream: () => "first",
      hold() {},
      release() {},
    };
    const reader = {
      session,
      share: "alice",
      expiresAt: undefined,
      version: "2025-11-25",
    } as const;
    const first = openLoggedReply(streams, reader);
    log.open("s", "moved");
    const replies = [first, new ContinuedReply(streams, session, { stream: "moved", progress: 0 })];
    log.failingEnds = true;
    for (const reply of replies) {
      reply?.reply();
      reply?.answer(answer(1));
      reply?.end();
    }
    await advance(3_000);
    for (const stream of ["first", "moved"]) {
      assert.deepEqual(messages(stream).map(({ id }) => id), [1]);
      assert.equal(log.read("s", stream, 0)?.ended, false);
    }
    log.failingEnds = false;
    await advance(1_000);
    for (const stream of ["first", "moved"]) {
      assert.deepEqual(messages(stream).map(({ id }) => id), [1]);
      assert.equal(log.read("s", stream, 0)?.ended, true);
    }
    streams.dispose();
    assert.equal(late.size, 0);
  });

  test("[CLU-10] the ends that wait are bounded, in number and in time", async () => {
    const { clock, log, reporter, advance } = world();
    const many = new LateAnswers(log, clock, reporter);
    log.failingEnds = true;
    for (let n = 0; n < 10_001; n++) many.addEnd("s", `stream ${n}`);
    assert.equal(many.size, 10_000);
    many.clear();
    const late = new LateAnswers(log, clock, reporter);
    late.addEnd("s", "a");
    late.addEnd("s", "a");
    assert.equal(late.size, 1);
    await advance(130_000);
    assert.deepEqual([late.size, clock.pending], [0, 0]);
  });
});
