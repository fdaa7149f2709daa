/**
 * Answers that are over in the turn in which they began: one body, and resumable all the same.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Reply } from "../../src/http/reply.ts";
import { respond } from "../../src/http/respond.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { type FaultKind, FaultyStore } from "../faults/faulty_store.ts";
import { assertNothingInside, quiet } from "../faults/invariants.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  type Act,
  Events,
  type Frame,
  initialize,
  openStore,
  type Peer,
  refused,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const NOTHING = { sessions: 1, streams: 0, requests: 0, questions: 0, listens: 0 };
const TOKEN = "a\n\ndata: \u2028";

function progress(exchange: Exchange, count: number): void {
  for (let progress = 1; progress <= count; progress++) {
    const params = { progressToken: TOKEN, progress, message: `${progress} of ${count}` };
    exchange.notify({ method: "notifications/progress", params });
  }
}

/** Calls a tool that is to tell of its progress. */
function call(peer: Peer, id: number, name: string, count: number): Promise<Response> {
  const params = { name, arguments: { count }, _meta: { progressToken: TOKEN } };
  return peer.request(id, "tools/call", params);
}

function countOf({ params }: Exchange): number {
  return (params.arguments as { count: number }).count;
}

function endpoint(options: McpHandlerOptions = {}, tools: Readonly<Record<string, Act>> = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const store = openStore();
  const stub = new Stub({
    atOnce(exchange) {
      progress(exchange, countOf(exchange));
      return text("done");
    },
    async soon(exchange) {
      for (let i = 0; i < 10; i++) await Promise.resolve();
      progress(exchange, countOf(exchange));
      await Promise.resolve();
      return text("done");
    },
    async later(exchange) {
      progress(exchange, countOf(exchange));
      await flush();
      return text("done");
    },
    ...tools,
  });
  const handler = createMcpHandler(stub, { clock, store, onEvent: events.onEvent, ...options });
  return { clock, events, store, stub, handler };
}

/** The replies to a peer, as data. */
function recording(handler: McpHandler, peer: Peer): { peer: Peer; replies: Reply[] } {
  const replies: Reply[] = [];
  const fetch = async (request: Request) => {
    const reply = await handler.reply(request);
    replies.push(reply);
    return respond(reply);
  };
  return { peer: peer.with({ fetch }), replies };
}

/** What a stream says, in short: the progress, or the result. */
function said(frames: readonly Frame[]): unknown[] {
  return frames.flatMap(({ message }) => {
    if (message === undefined) return [];
    return [textOf(message.result) ?? (message.params as JsonObject).progress];
  });
}

/** What is said of so many steps. */
function steps(count: number): unknown[] {
  return [...Array.from({ length: count }, (_, i) => i + 1), "done"];
}

describe("STR: an answer that is over at once", () => {
  for (const name of ["atOnce", "soon"]) {
    test(`[STR-2, STR-3, STR-4] is one body: a priming event, and ids from 1 (${name})`, async () => {
      const { handler } = endpoint();
      const { peer, replies } = recording(handler, await initialize(handler));
      const response = await call(peer, 1, name, 20);
      const body = replies.at(-1)?.body;
      const frames = await peer.frames(response).rest();
      assert.equal(frames.map(({ raw }) => `${raw}\n\n`).join(""), body);
      const [prime, ...messages] = frames;
      assert.deepEqual([prime?.data, prime?.retry], ["", 1_000]);
      const [stream] = prime?.id?.split(".") ?? [];
      assert.deepEqual(frames.map(({ id }) => id), [...frames.keys()].map((n) => `${stream}.${n}`));
      assert.deepEqual(messages.map(({ event }) => event), Array(21).fill("message"));
      assert.deepEqual(said(frames), steps(20));
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[STR-1] one that is not over at the end of the turn is no such body", async () => {
    const { handler } = endpoint();
    const { peer, replies } = recording(handler, await initialize(handler));
    const response = await call(peer, 1, "later", 3);
    assert.notEqual(typeof replies.at(-1)?.body, "string");
    assert.deepEqual(said(await peer.frames(response).rest()), steps(3));
    await handler.close();
  });

  for (const version of ["2025-03-26", "2025-06-18", "2025-11-25"]) {
    test(`[STR-6] ${version}: resumes after each id with exactly the rest`, async () => {
      const { handler, events } = endpoint();
      const { peer, replies } = recording(handler, await initialize(handler, { version }));
      const primed = version === "2025-11-25";
      const response = await call(peer, 1, "atOnce", 5);
      assert.equal(typeof replies.at(-1)?.body, "string");
      const frames = await peer.frames(response).rest();
      assert.equal(frames.length, primed ? 7 : 6);
      for (const [place, { id }] of frames.entries()) {
        const resumed = await (await peer.listen(id)).rest();
        const rest = frames.slice(place + 1).map(({ raw }) => raw);
        const heard = resumed.filter(({ message }) => message !== undefined);
        assert.deepEqual(heard.map(({ raw }) => raw), rest, id);
        assert.equal(resumed.length - heard.length, primed ? 1 : 0);
      }
      assert.deepEqual(events.of("resume-failed"), []);
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[STR-6] a client that lost the body asks in whatever order, and gets that stream alone", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const streams: Frame[][] = [];
    for (const count of [1, 4, 2]) {
      streams.push(await peer.frames(await call(peer, count, "soon", count)).rest());
    }
    for (const frames of streams.toReversed()) {
      for (const [place, { id }] of [...frames.entries()].toReversed()) {
        const resumed = await (await peer.listen(id)).rest();
        assert.deepEqual(said(resumed), said(frames.slice(place + 1)), id);
      }
    }
    await handler.close();
  });

  test("[STR-7] is kept for streams.retainMs, and then no more", async () => {
    const { handler, clock, events, store } = endpoint({ streams: { retainMs: 5_000 } });
    const peer = await initialize(handler);
    const [prime] = await peer.frames(await call(peer, 1, "atOnce", 2)).rest();
    await clock.advance(4_999);
    assert.deepEqual(said(await (await peer.listen(prime?.id)).rest()), steps(2));
    await clock.advance(1);
    const [stream = ""] = prime?.id?.split(".") ?? [];
    assert.equal(store.backplane().log.read(String(peer.sessionId), stream, 0), undefined);
    await (await peer.listen(prime?.id)).cancel();
    assert.deepEqual(events.of("resume-failed").map(({ reason }) => reason), ["unknown"]);
    await handler.close();
  });

  test("[STR-11] keeps no place among the streams, read or not", async () => {
    const { handler, events } = endpoint({ limits: { streams: 1, streamsPerPrincipal: 1 } });
    const peer = await initialize(handler);
    const responses: Response[] = [];
    for (let id = 1; id <= 5; id++) {
      responses.push(await call(peer, id, "atOnce", 1));
      assert.deepEqual(handler.stats(), NOTHING);
    }
    for (const response of responses) {
      assert.deepEqual(said(await peer.frames(response).rest()), steps(1));
    }
    const closed = events.of("stream-closed").map(({ stream, reason }) => [stream, reason]);
    assert.equal(events.of("stream-opened").length, 5);
    assert.deepEqual(closed, Array(5).fill(["request", "ended"]));
    await handler.close();
  });
});

describe("STR: an answer that is over at once, and can't be kept", () => {
  /** Answers a call over a store that fails at the calls that are named. */
  async function answeredOver(faults: Readonly<Record<string, FaultKind>>) {
    const store = new FaultyStore();
    const { handler, events } = endpoint({ store });
    const peer = await initialize(handler);
    store.fault = (name) => faults[name];
    const response = await call(peer, 1, "atOnce", 3);
    const frames = await peer.frames(response).rest();
    for (const { raw } of frames) assertNothingInside(raw);
    store.heal();
    await quiet();
    assert.ok(store.calls.get("log.appendStream"));
    assert.deepEqual(handler.stats(), NOTHING);
    const during = events.of("error").map(({ during }) => during);
    return { handler, events, peer, frames, during };
  }

  // Whether its failure is told, and whether the stream is there to be resumed.
  const kinds = [
    ["throws", true, false],
    ["rejects", true, false],
    ["stuck", true, false],
    ["lost", true, true],
    ["unheard", false, true],
    ["late", false, true],
  ] as const;
  for (const [kind, told, kept] of kinds) {
    test(`[STR-4, STR-6] the client gets its answer, once, over a log: ${kind}`, async () => {
      const { handler, events, peer, frames, during } = await answeredOver({
        "log.appendStream": kind,
      });
      assert.deepEqual(said(frames), steps(3));
      assert.deepEqual(during, told ? ["appending to a stream"] : []);
      const again = await peer.listen(frames[0]?.id);
      if (kept) assert.deepEqual(said(await again.rest()), steps(3));
      else await again.cancel();
      const failed = events.of("resume-failed").map(({ reason }) => reason);
      assert.deepEqual(failed, kept ? [] : ["unknown"]);
      await handler.close();
    });
  }

  test("[STR-4] the client gets its answer where nothing can be kept at all", async () => {
    const nothing = ["appendStream", "append", "open", "end", "deliver"].map((name) => [
      `log.${name}`,
      "throws" as const,
    ]);
    const { handler, frames, during } = await answeredOver(Object.fromEntries(nothing));
    assert.deepEqual(said(frames), steps(3));
    assert.deepEqual(during, ["appending to a stream"]);
    await handler.close();
  });
});

describe("SES: a session that ends in the middle of such a call", () => {
  type End = (handler: McpHandler, peer: Peer) => Promise<unknown> | undefined;
  const ways: Readonly<Record<string, End>> = {
    "sessions.end()": (handler, { sessionId }) => handler.sessions.end(String(sessionId)),
    "sessions.end(), not waited for": (handler, { sessionId }) => {
      handler.sessions.end(String(sessionId));
      return undefined;
    },
    "the client's DELETE": (_handler, peer) => peer.delete(),
  };

  /** Has a tool end its own session after some messages. */
  async function endedBy(end: End, count: number) {
    const world = endpoint({}, {
      async ends(exchange) {
        progress(exchange, count);
        await end(world.handler, peer);
        exchange.notify({ method: "notifications/message", params: { level: "info", data: "" } });
        return text("done");
      },
    });
    const peer = await initialize(world.handler);
    const other = await initialize(world.handler);
    const response = await call(peer, 1, "ends", count);
    await quiet();
    return { ...world, peer, other, response };
  }

  for (const [name, end] of Object.entries(ways)) {
    test(`[SES-6] nothing is left of either, and nothing more is said (${name})`, async () => {
      const { handler, clock, events, store, stub, ...rest } = await endedBy(end, 3);
      const { peer, other, response } = rest;
      const frames = await peer.frames(response).rest();
      assert.deepEqual(said(frames), [1, 2, 3]);
      const [stream = ""] = frames[0]?.id?.split(".") ?? [];
      const id = String(peer.sessionId);
      assert.equal(store.backplane().log.read(id, stream, 0), undefined);
      assert.equal(store.backplane().sessions.peek(id), undefined);
      assert.deepEqual(stub.ended.map((ended) => ended.id), [id]);
      await refused(await peer.request(2, "ping"), 404, -32001);
      await refused(await peer.get(frames[1]?.id), 404, -32001);
      assert.deepEqual(handler.stats(), NOTHING);
      await clock.advance(60_000);
      assert.deepEqual(events.of("error"), []);
      assert.deepEqual(said(await other.frames(await call(other, 1, "soon", 2)).rest()), steps(2));
      await handler.close();
    });

    test(`[SES-6] a call that has said nothing is told that its session is over (${name})`, async () => {
      const { handler, events, response } = await endedBy(end, 0);
      await refused(response, 404, -32001, 1);
      assert.deepEqual(handler.stats(), NOTHING);
      assert.deepEqual(events.of("error"), []);
      await handler.close();
    });
  }
});
