import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { StateSealer } from "../../../src/calls/state/state.ts";
import { Retries } from "../../../src/cluster/lost_nodes/retries.ts";
import { checkJsonRpc } from "../../../src/http/gates/jsonrpc.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { accepted } from "../../../src/http/reply.ts";
import type { Principal } from "../../../src/protocol/exchange.ts";
import type { RequestId } from "../../../src/protocol/jsonrpc.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { Streams, type StreamSession } from "../../../src/streams/streams.ts";
import type { StoredRun } from "../../../src/streams/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { settle } from "../../support/settle.ts";
import { as, Events } from "../../support/wire.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const SETTINGS = {
  most: 10,
  mostPerPrincipal: 10,
  keepAliveMs: 15_000,
  retryMs: 1_000,
  bufferBytes: 65_536,
};
const DAY_MS = 24 * 60 * 60 * 1_000;

/** A log that keeps what a store of several processes does, where a test can change it. */
class OpenLog extends MemoryEventLog {
  readonly kept = new Map<string, string>();

  keepRequest(session: string, stream: string, request: string): void {
    this.kept.set(`${session}/${stream}`, request);
  }

  /** Called before a run moves. */
  onMove: () => void = () => {};

  moveRun(): boolean {
    this.onMove();
    return true;
  }
}

/** Nodes that share a log. */
function world() {
  const clock = new FakeClock();
  const log = new OpenLog({ events: 100, eventBytes: 10_000, retainMs: 60_000 }, clock);
  const events = new Events();
  const reporter = new Reporter(events.onEvent);
  const ran: { readonly node: string; readonly inbound: Inbound }[] = [];
  const node = (name: string, key = KEY) =>
    new Retries({
      node: name,
      calls: {
        states: new StateSealer({ keys: [key], ttlMs: 1_000, clock }),
        closing: false,
      },
      streams: new Streams(log, SETTINGS, clock, reporter),
      clock,
      reporter,
      mostBatch: 1,
      route(inbound) {
        ran.push({ node: name, inbound });
        return accepted();
      },
    });
  /** Has a node keep a call, and returns what the store then has. */
  const keep = async (
    at: Retries,
    { id = 1, name = "index", principal = {} }: {
      readonly id?: RequestId;
      readonly name?: string;
      readonly principal?: Partial<Principal>;
    } = {},
  ): Promise<string | undefined> => {
    const headers = { ...as("alice"), "mcp-session-id": "s" };
    const inbound = new Inbound(new Request("http://localhost/mcp", { method: "POST", headers }));
    inbound.principal = { id: "alice", ...principal };
    const params = { name, arguments: { word: "hush" } };
    const body = { jsonrpc: "2.0", id, method: "tools/call", params };
    assert.equal(checkJsonRpc(inbound, body, 1), undefined);
    inbound.findRoutes((message) => ({ ...message, retry: name === "index", run: () => ({}) }));
    log.kept.clear();
    log.open("s", "a");
    at.keep(inbound, "s", "a");
    await settle();
    return log.kept.get("s/a");
  };
  /** What a node makes of a run that it reads in the store. */
  const run = async (
    at: Retries,
    again: string | undefined,
    { session = "s", stream = "a", ...changed }:
      & Partial<StoredRun>
      & { readonly session?: string; readonly stream?: string } = {},
  ) => {
    const outcome = await at.run(session, stream, {
      ...{ node: "dead", requests: [1], again, mark: "mark" },
      ...changed,
    });
    await settle();
    return outcome;
  };
  return { clock, log, ran, node, keep, run };
}

describe("Retries", () => {
  test("[CLU-10] a kept request runs at another node, with its sender and arguments", async () => {
    const { ran, node, keep, run } = world();
    const again = await keep(node("dead"));
    assert.doesNotMatch(String(again), /hush|alice|Bearer/);
    assert.equal(await run(node("here"), again), "running");
    const [first] = ran;
    assert.equal(ran.length, 1);
    assert.equal(first?.inbound.principal.id, "alice");
    assert.equal(first.inbound.request.headers.get("authorization"), "Bearer alice");
    assert.equal(first.inbound.requestId, 1);
    assert.equal(await keep(node("dead"), { name: "other" }), undefined);
  });

  test("[CLU-10] the progress that the first node reports until its run moves isn't reported again", async () => {
    const { log, ran, node, keep, run } = world();
    const here = node("here");
    const again = await keep(node("dead"));
    const progress = (n: number) =>
      JSON.stringify({
        ...{ jsonrpc: "2.0", method: "notifications/progress" },
        params: { progressToken: "p", progress: n },
      });
    log.append("s", "a", progress(1));
    log.onMove = () => log.append("s", "a", progress(2));
    assert.equal(await run(here, again), "running");
    const [first] = ran;
    const session = { id: "s", connections: new Map() } as unknown as StreamSession;
    const reply = here.reply(first?.inbound ?? assert.fail(), session);
    reply?.send(progress(2));
    reply?.send(progress(3));
    const events = log.read("s", "a", 0)?.events ?? [];
    assert.deepEqual(events.map(({ data }) => data), [progress(1), progress(2), progress(3)]);
  });

  test("[CLU-12] a request that no node has kept is not run", async () => {
    const { ran, node, keep, run } = world();
    const kept = await keep(node("dead")) ?? assert.fail();
    const plain = JSON.stringify({
      headers: [],
      principal: { id: "alice" },
      url: "http://localhost/mcp",
      body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"index"}}',
      node: "dead",
    });
    const foreign = await keep(node("dead", "x".repeat(32)));
    const forged = [
      ...["", "x", plain, btoa(plain), kept.slice(0, -4), kept.slice(4), `${kept}AAAA`],
      ...[foreign, undefined],
    ];
    for (const again of forged) assert.equal(await run(node("here"), again), "refused", again);
    assert.deepEqual(ran, []);
  });

  test("[CLU-12] a kept request runs in no other session, stream or run", async () => {
    const { ran, node, keep, run } = world();
    const again = await keep(node("dead"));
    for (
      const other of [
        { session: "t" },
        { stream: "b" },
        { session: "a", stream: "s" },
        { requests: [2] },
        { requests: ["1"] },
        { requests: [] },
        { node: "here" },
        { node: "another" },
      ]
    ) {
      assert.equal(await run(node("here"), again, other), "refused", JSON.stringify(other));
    }
    assert.deepEqual(ran, []);
    assert.equal(await run(node("here"), again), "running");
  });

  test("[CLU-12] what a client can have sealed is no kept request", async () => {
    const { clock, ran, node, run } = world();
    const states = new StateSealer({ keys: [KEY], ttlMs: DAY_MS, clock });
    const data = {
      headers: [],
      principal: { id: "alice" },
      url: "http://localhost/",
      node: "dead",
    };
    const body = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"index"}}';
    for (const owner of ["", "alice"]) {
      const params = { session: "s", stream: "a" };
      const sealed = await states.seal({ ...data, body }, { owner, method: "tools/call", params });
      assert.equal(await run(node("here"), sealed), "refused");
    }
    assert.deepEqual(ran, []);
  });

  test("[CLU-12] a request that is put back after it ran does not run at that node again", async () => {
    const { clock, ran, node, keep, run } = world();
    const again = await keep(node("dead"));
    const here = node("here");
    assert.equal(await run(here, again), "running");
    assert.equal(await run(here, again), "refused");
    assert.equal(await run(here, again, { mark: "another mark" }), "refused");
    clock.set(clock.now() + DAY_MS - 1);
    assert.equal(await run(here, again), "refused");
    assert.equal(ran.length, 1);
    // For as long as it opens: then it runs nowhere.
    clock.set(clock.now() + 1);
    for (const at of [here, node("fresh")]) assert.equal(await run(at, again), "refused");
    assert.equal(ran.length, 1);
  });

  test("[CLU-10, AUTH-3] a request whose credentials have expired is not run", async () => {
    const { clock, ran, node, keep, run } = world();
    const expiresAt = clock.now() + 1_000;
    const again = await keep(node("dead"), { principal: { expiresAt } });
    clock.set(expiresAt);
    assert.equal(await run(node("here"), again), "refused");
    assert.deepEqual(ran, []);
  });
});
