/**
 * Many sessions that come and go in every way there is, and what is left of them: nothing.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { http, local } from "../../src/gateway/mod.ts";
import { type Clock, systemClock } from "../../src/internal/clock.ts";
import { connect } from "../../src/testing/mod.ts";
import { contractServer } from "../contracts/upstream_servers.ts";
import { LONG } from "../faults/runs.ts";
import { as } from "../support/wire.ts";
import { childrenOf, tinyChild } from "./children.ts";
import { textOf } from "./core_support.ts";
import { served, until } from "./e2e_support.ts";
import { listen } from "./servers.ts";

const SESSIONS = 50;
const CHURN_MS = LONG ? 60_000 : 5_000;
/**
 * The most sessions of a slot, one after the other. Half of all are abandoned, and have their programs until they
 * are idle for long enough: more would be refused on a fast machine.
 */
const MOST_ROUNDS = LONG ? Infinity : 7;
/** Longer than a machine stands still during a handshake. */
const IDLE_MS = 10_000;

/** Expired sessions are looked for every minute: here it comes sooner. */
const hurried: Clock = {
  ...systemClock,
  timer: (ms, callback) => systemClock.timer(ms === 60_000 ? 500 : ms, callback),
};

/** What a session's client does in the end. */
const ENDS = ["delete", "abandon", "vanish", "delete in a call"] as const;

/** Opens a session, uses every upstream twice, and ends in one of the ways. */
async function live(url: string, who: string, end: (typeof ENDS)[number]): Promise<void> {
  const gone = new AbortController();
  const { signal } = gone;
  const client = await connect(
    (request) => fetch(request, { signal: AbortSignal.any([signal, request.signal]) }),
    { url, headers: as(who), listen: end !== "abandon" },
  );
  for (const tool of ["child__count", "far__count", "near__count"]) {
    for (const times of ["1", "2"]) {
      assert.equal(textOf({ ...await client.callTool(tool) }), times, `${tool} of ${who}`);
    }
  }
  const hanging = ["child__hang", "far__wait", "near__wait"];
  if (end === "vanish" || end === "delete in a call") {
    for (const tool of hanging) client.callTool(tool).catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  if (end.startsWith("delete")) await client.close();
  else gone.abort(new Error("Gone"));
}

/** What keeps this process busy, as far as its runtime tells: nothing on Bun and Deno, maybe. */
function busy(kind: string): number {
  const told = process.getActiveResourcesInfo?.() ?? [];
  return told.filter((each) => each === kind).length;
}

const LONGEST = { timeout: CHURN_MS + 60_000 };

test(
  "[GTW-1, GTW-3, GTW-7] of sessions that come and go in every way nothing is left",
  LONGEST,
  async () => {
    const before = { processes: busy("ProcessWrap"), children: childrenOf(process.pid).length };
    await using farHandler = createMcpHandler(contractServer(), { versions: ["2025-11-25"] });
    const far = await listen(farHandler.fetch);
    await using _stopped = { [Symbol.asyncDispose]: () => far.close() };
    let rounds = 0;
    await served({
      child: tinyChild([], { timeoutMs: 4_000, closeMs: 500 }),
      far: http({ url: far.url, versions: ["2025-11-25"], timeoutMs: 4_000 }),
      near: local(contractServer()),
    }, async ({ url, gw, server, events }) => {
      const end = Date.now() + CHURN_MS;
      await Promise.all(
        Array.from({ length: SESSIONS }, async (_, slot) => {
          // Several sessions of one user, too.
          const last = slot + MOST_ROUNDS;
          for (let round = slot; round < last && Date.now() < end; round++) {
            await live(url, `user${slot % 20}`, ENDS[round % ENDS.length] ?? "delete");
            rounds++;
          }
        }),
      );
      assert.ok(rounds >= SESSIONS);
      const stats = () => {
        const { sessions, streams, requests, questions } = server.handler.stats();
        const { sessions: upstream, programs, held } = gw.stats();
        return { sessions, streams, requests, questions, upstream, programs, held };
      };
      await until(
        () => Object.values(stats()).every((each) => each === 0),
        "the end of everything",
        40_000,
      ).catch(() => assert.fail(JSON.stringify(stats())));
      await until(() => farHandler.stats().sessions === 0, "the end of sessions over HTTP");
      assert.equal(farHandler.stats().streams, 0);
      await until(
        () => childrenOf(process.pid).length === before.children,
        "the end of all children",
      );
      const count = (type: string) => events.filter((each) => each.type === type).length;
      assert.equal(count("upstream-opened"), count("upstream-closed"));
      assert.equal(count("upstream-abandoned"), 0);
      assert.equal(count("error"), 0);
      await until(() => busy("ProcessWrap") === before.processes, "the end of process handles");
    }, {
      clock: hurried,
      sessions: { idleMs: IDLE_MS },
      streams: { retainMs: 500, progressHeartbeatMs: 0 },
      requests: { timeoutMs: 5_000 },
      limits: { sessions: 5_000, sessionsPerPrincipal: 1_000, streamsPerPrincipal: 1_000 },
    });
    await farHandler.close({ graceMs: 0 });
    await far.close();
    await until(() => far.connections === 0, "the end of all connections");
  },
);
