import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import {
  as,
  Blocker,
  BOTH,
  byToken,
  Events,
  type Frame,
  Gate,
  initialize,
  isPending,
  logData,
  logMessage,
  Peer,
  refused,
  seen,
  soon,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";

const NOTHING = { sessions: 1, streams: 0, requests: 0, questions: 0, listens: 0 };
const LIST_CHANGED = ["notifications/tools/list_changed", "notifications/prompts/list_changed"];
const SUBSCRIBE = {
  "resources/subscribe": async ({ session, params }: Exchange): Promise<JsonObject> => {
    await session?.subscribe(String(params.uri));
    return {};
  },
  "resources/unsubscribe": async ({ session, params }: Exchange): Promise<JsonObject> => {
    await session?.unsubscribe(String(params.uri));
    return {};
  },
};

/** A tool that says numbers when it is told to, until it is told to finish. */
class Speaker {
  readonly #finish = new Gate<string>();
  #said = 0;
  exchange: Exchange | undefined;

  readonly act = async (exchange: Exchange): Promise<JsonObject> => {
    this.exchange = exchange;
    this.say(1);
    return text(await this.#finish.promise);
  };

  say(count: number): void {
    for (let i = 0; i < count; i++) this.exchange?.notify(logMessage(++this.#said));
  }

  finish(): void {
    this.#finish.open("finished");
  }
}

function endpoint(options: McpHandlerOptions = {}, listChanged: readonly string[] = []) {
  const clock = new FakeClock();
  const events = new Events();
  const blocker = new Blocker();
  const speaker = new Speaker();
  const stub = new Stub(
    {
      hello: () => text("Hello"),
      block: blocker.act,
      speak: speaker.act,
      async chat(exchange) {
        const { count = 3 } = exchange.params.arguments as { count?: number };
        for (let i = 1; i <= count; i++) exchange.notify(logMessage(i));
        await Promise.resolve();
        return text("bye");
      },
    },
    SUBSCRIBE,
    listChanged,
  );
  const handler = createMcpHandler(stub, { clock, onEvent: events.onEvent, ...options });
  return { clock, events, blocker, speaker, stub, handler };
}

function ids(frames: readonly Frame[]): unknown[] {
  return frames.flatMap(({ id }) => id ?? []);
}

function messagesOf(frames: readonly Frame[]): JsonObject[] {
  return frames.flatMap(({ message }) => message === undefined ? [] : [message]);
}

/** What a stream says, in short: the numbers of a {@linkcode Speaker}, or the result. */
function said(messages: readonly JsonObject[]): unknown[] {
  return messages.map((message) => logData(message) ?? textOf(message.result));
}

describe("STR: JSON or a stream", () => {
  test("[STR-1] what is answered without a word before is JSON, at once or after a while", async () => {
    const { handler, clock, blocker } = endpoint();
    const peer = await initialize(handler);
    assert.equal(textOf((await peer.json(await peer.call(1, "hello"))).result), "Hello");
    const call = peer.call(2, "block");
    await blocker.running();
    await clock.advance(999);
    assert.equal(await isPending(call), true);
    blocker.gate.open("done");
    assert.equal(textOf((await peer.json(await call)).result), "done");
    await handler.close();
  });

  test("[STR-1] a word before the answer makes it a stream", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const messages = await peer.frames(await peer.call(1, "chat")).messages();
    assert.deepEqual(said(messages), [1, 2, 3, "bye"]);
    await handler.close();
  });

  test("[STR-1] a word in the very turn of the answer makes it a stream too", async () => {
    const stub = new Stub({
      quick(exchange) {
        exchange.notify(logMessage(1));
        return text("quick");
      },
    });
    const handler = createMcpHandler(stub);
    const peer = await initialize(handler);
    assert.deepEqual(said(await peer.frames(await peer.call(1, "quick")).messages()), [1, "quick"]);
    await handler.close();
  });

  test("[STR-1] streams.sseAfterMs makes a long call a stream, 1,000 by default", async () => {
    for (const [options, ms] of [[{}, 1_000], [{ streams: { sseAfterMs: 50 } }, 50]] as const) {
      const { handler, clock, blocker } = endpoint(options);
      const peer = await initialize(handler);
      const call = peer.call(1, "block");
      await blocker.running();
      await clock.advance(ms - 1);
      assert.equal(await isPending(call), true);
      await clock.advance(1);
      const frames = peer.frames(await call);
      blocker.gate.open("done");
      assert.deepEqual(said(await frames.messages()), ["done"]);
      await handler.close();
    }
  });

  for (const accept of ["text/event-stream", "text/event-stream, application/json;q=0"]) {
    test(`[STR-1] a client that accepts ${accept} gets a stream, error or not`, async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler, { accept });
      assert.deepEqual(said(await peer.frames(await peer.call(1, "hello")).messages()), ["Hello"]);
      const [error] = await peer.frames(await peer.request(2, "tools/list")).messages();
      assert.equal((error?.error as { code: number }).code, -32601);
      await handler.close();
    });
  }

  test("[STR-1] a client that accepts only JSON gets JSON, and an event tells what was dropped", async () => {
    const { handler, clock, blocker, events } = endpoint();
    const peer = await initialize(handler, { accept: "application/json" });
    assert.equal(textOf((await peer.json(await peer.call(1, "chat"))).result), "bye");
    const dropped = events.of("message-dropped");
    assert.deepEqual(dropped.map(({ reason }) => reason), ["no-stream", "no-stream", "no-stream"]);
    assert.equal(dropped[0]?.method, "notifications/message");
    const call = peer.call(2, "block");
    await blocker.running();
    await clock.advance(3_600_000);
    blocker.gate.open("done");
    assert.equal(textOf((await peer.json(await call)).result), "done");
    await handler.close();
  });

  test("[STR-1] one POST is decided once: what follows a stream's begin stays in it", async () => {
    const { handler, clock, speaker } = endpoint();
    const peer = await initialize(handler);
    const frames = peer.frames(await peer.call(1, "speak"));
    await clock.advance(10_000);
    speaker.say(2);
    speaker.finish();
    assert.deepEqual(said(await frames.messages()), [1, 2, 3, "finished"]);
    await handler.close();
  });
});

describe("STR: frames", () => {
  test("[STR-2] the headers of a stream, whatever opened it", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const call = await peer.call(1, "chat");
    const cursor = (await peer.frames(call).next())?.id;
    for (const response of [call, await peer.get(), await peer.get(cursor)]) {
      assert.equal(response.headers.get("content-type"), "text/event-stream");
      assert.equal(response.headers.get("cache-control"), "no-cache, no-transform");
      assert.equal(response.headers.get("x-accel-buffering"), "no");
    }
    await handler.close();
  });

  test("[STR-2] every frame is one message in one line of data, of the type message", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const text = "line\nline\r\nline\rend\u2028\u2029\0 data: x\n\nid: 7";
    const stream = await peer.listen();
    await stream.next();
    await handler.notify(String(peer.sessionId), logMessage(text));
    const frame = await stream.next();
    assert.equal(frame?.event, "message");
    assert.equal(frame.raw.split("\n").length, 3);
    assert.equal(logData(frame.message), text);
    const frames = await peer.frames(await peer.call(1, "chat")).rest();
    for (const { event } of frames.slice(1)) assert.equal(event, "message");
    await handler.close();
  });

  test("[STR-2] a quiet stream gets a comment every keepAliveMs, without an id", async () => {
    const { handler, clock } = endpoint();
    const peer = await initialize(handler, { version: "2025-06-18" });
    const stream = await peer.listen();
    for (let i = 0; i < 3; i++) {
      const next = stream.next();
      await clock.advance(14_999);
      assert.equal(await isPending(next), true);
      await clock.advance(1);
      const frame = await next;
      assert.ok(frame);
      assert.ok(frame.raw.startsWith(":"), frame.raw);
      assert.deepEqual([frame.id, frame.data, frame.event], [undefined, undefined, undefined]);
    }
    await handler.close();
  });

  test("[STR-2] comments come on the stream of a call, and on one without a session", async () => {
    for (const sessions of [undefined, false] as const) {
      const { handler, clock, speaker } = endpoint({ sessions, streams: { keepAliveMs: 100 } });
      const peer = await initialize(handler, { version: "2025-06-18" });
      const frames = peer.frames(await peer.call(1, "speak"));
      await frames.message();
      await clock.advance(100);
      assert.ok((await frames.next())?.raw.startsWith(":"));
      speaker.finish();
      assert.deepEqual(said(await frames.messages()), ["finished"]);
      assert.equal(handler.stats().streams, 0);
      await handler.close();
    }
  });

  test("[STR-3] ids are <stream>.<n>, rising by one, unique in the session", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const calls = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => peer.frames(await peer.call(i, "chat")).rest()),
    );
    const server = await peer.listen();
    await handler.notify(String(peer.sessionId), logMessage(1));
    const pushed = [await server.next(), await server.next()].flatMap((frame) => frame ?? []);
    const all = [...calls, pushed].flatMap((frames) => {
      const [stream] = String(frames[0]?.id).split(".");
      assert.match(String(stream), /^[\w-]+$/);
      assert.deepEqual(ids(frames), frames.map((_, n) => `${stream}.${n}`));
      return ids(frames);
    });
    assert.equal(new Set(all).size, all.length);
    await handler.close();
  });

  for (const version of ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]) {
    test(`[STR-3] ${version}: a stream ${version === "2025-11-25" ? "begins" : "doesn't begin"} with a priming event`, async () => {
      const { handler, speaker } = endpoint({ streams: { retryMs: 1_234 } });
      const peer = await initialize(handler, { version });
      const call = peer.frames(await peer.call(1, "speak"));
      const first = await call.next();
      const server = await peer.listen();
      await handler.notify(String(peer.sessionId), logMessage("pushed"));
      const firstPushed = await server.next();
      for (const frame of [first, firstPushed]) {
        assert.ok(frame);
        if (version !== "2025-11-25") {
          assert.match(String(frame.id), /\.1$/);
          assert.ok(frame.message);
          assert.equal(frame.retry, undefined);
          continue;
        }
        assert.match(String(frame.id), /\.0$/);
        assert.equal(frame.data, "");
        assert.equal(frame.retry, 1_234);
        assert.equal(frame.message, undefined);
      }
      speaker.finish();
      await handler.close();
    });
  }

  test("[STR-4] one response, the last message on its own POST's stream, which then ends", async () => {
    const { handler, events, speaker } = endpoint();
    const peer = await initialize(handler);
    const server = await peer.listen();
    const frames = peer.frames(await peer.call("only", "speak"));
    speaker.say(2);
    speaker.finish();
    const messages = await frames.messages();
    assert.deepEqual(messages.map(({ id }) => id), [undefined, undefined, undefined, "only"]);
    speaker.say(1);
    assert.deepEqual(events.of("message-dropped").map(({ reason }) => reason), ["finished"]);
    assert.deepEqual(handler.stats(), { ...NOTHING, streams: 1 });
    await peer.delete();
    assert.deepEqual(await server.messages(), []);
    await handler.close();
  });
});

describe("STR: ids of requests", () => {
  for (const accept of [BOTH, "application/json"]) {
    test(`[STR-5] requests under one id each get their own answer, accepting ${accept}`, async () => {
      const gates = new Map<string, Gate<string>>();
      const stub = new Stub({
        async named(exchange) {
          const { name } = exchange.params.arguments as { name: string };
          const gate = new Gate<string>();
          gates.set(name, gate);
          exchange.notify(logMessage(name));
          return text(await gate.promise);
        },
      });
      const handler = createMcpHandler(stub);
      const peer = await initialize(handler, { accept });
      const names = ["a", "b", "c", "d"];
      const calls = names.map(async (name) => peer.result(await peer.call(1, "named", { name })));
      while (gates.size < names.length) await flush();
      for (const name of names.toReversed()) gates.get(name)?.open(`answer to ${name}`);
      const answers = await soon(Promise.all(calls));
      assert.deepEqual(answers.map(textOf), names.map((name) => `answer to ${name}`));
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  for (const id of [0, -1, "", "0", " ", Number.MAX_SAFE_INTEGER, "__proto__", "a".repeat(1_000)]) {
    test(`[STR-5] ${JSON.stringify(id).slice(0, 20)} is an id, given back as it came`, async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler);
      assert.equal((await peer.json(await peer.call(id, "hello"))).id, id);
      const messages = await peer.frames(await peer.call(id, "chat")).messages();
      assert.equal(messages.at(-1)?.id, id);
      await handler.close();
    });
  }
});

describe("STR: coming back", () => {
  for (const cut of [0, 1, 2, 3, 4]) {
    test(`[STR-6] cut after ${cut} messages, the rest comes once, in order, and live to the end`, async () => {
      const { handler, speaker } = endpoint();
      const peer = await initialize(handler);
      const frames = peer.frames(await peer.call(1, "speak"));
      let last = await frames.next();
      const before: JsonObject[] = [];
      speaker.say(3);
      for (let i = 0; i < cut; i++) {
        last = await frames.messageFrame();
        if (last?.message) before.push(last.message);
      }
      await frames.cancel();
      assert.equal(handler.stats().requests, 1, "a disconnect cancels nothing");
      speaker.say(2);
      const resumed = await peer.listen(last?.id);
      const first = await resumed.message();
      speaker.say(1);
      speaker.finish();
      assert.ok(first);
      const after = [first, ...await resumed.messages()];
      assert.deepEqual(said([...before, ...after]), [1, 2, 3, 4, 5, 6, 7, "finished"]);
      assert.deepEqual(handler.stats(), NOTHING);
      await handler.close();
    });
  }

  test("[STR-6] a stream may be cut again and again", async () => {
    const { handler, speaker } = endpoint();
    const peer = await initialize(handler);
    let frames = peer.frames(await peer.call(1, "speak"));
    const heard: unknown[] = [];
    let cursor = (await frames.next())?.id;
    for (let i = 0; i < 10; i++) {
      const frame = await frames.messageFrame();
      heard.push(logData(frame?.message));
      cursor = frame?.id;
      await frames.cancel();
      speaker.say(1);
      frames = await peer.listen(cursor);
    }
    speaker.finish();
    heard.push(...said(await frames.messages()));
    assert.deepEqual(heard, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, "finished"]);
    await handler.close();
  });

  test("[STR-6] a finished stream replays from anywhere, and ends", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const frames = await peer.frames(await peer.call(1, "chat")).rest();
    const all = messagesOf(frames);
    for (const [n, { id }] of frames.entries()) {
      assert.deepEqual(await (await peer.listen(id)).messages(), all.slice(n), id);
    }
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[STR-6] a client that has everything is told to stay away when it comes back twice", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const frames = await peer.frames(await peer.call(1, "chat")).rest();
    const last = { "accept": BOTH, "last-event-id": frames.at(-1)?.id };
    const first = await peer.send("GET", last);
    assert.deepEqual([first.status, await peer.frames(first).messages()], [200, []]);
    for (let i = 0; i < 2; i++) {
      const again = await peer.send("GET", last);
      assert.deepEqual([again.status, again.headers.get("allow")], [405, "POST, DELETE"]);
    }
    assert.equal((await (await peer.listen(frames.at(-2)?.id)).messages()).length, 1);
    await handler.close();
  });

  test("[STR-6] the answer that came while nobody was there is kept", async () => {
    const { handler, speaker, clock } = endpoint();
    const peer = await initialize(handler);
    const frames = peer.frames(await peer.call(1, "speak"));
    const cursor = (await frames.next())?.id;
    await frames.cancel();
    speaker.finish();
    // Not delivered, so it is kept for longer than what was.
    await clock.advance(10 * 60_000);
    assert.deepEqual(said(await (await peer.listen(cursor)).messages()), [1, "finished"]);
    await handler.close();
  });

  test("[STR-6] only that stream is resumed: neither another call's nor the server's", async () => {
    const { handler, speaker } = endpoint();
    const peer = await initialize(handler);
    const mine = peer.frames(await peer.call(1, "speak"));
    const cursor = (await mine.next())?.id;
    await mine.cancel();
    const resumed = await peer.listen(cursor);
    await handler.notify(String(peer.sessionId), logMessage("the server's"));
    await peer.frames(await peer.call(2, "chat")).messages();
    speaker.finish();
    assert.deepEqual(said(await resumed.messages()), [1, "finished"]);
    await handler.close();
  });

  test("[STR-6] a second connection to one stream takes over, the first ends", async () => {
    const { handler, speaker, events } = endpoint();
    const peer = await initialize(handler);
    const first = peer.frames(await peer.call(1, "speak"));
    const cursor = (await first.next())?.id;
    const second = await peer.listen(cursor);
    assert.deepEqual(said(await first.messages()), [1]);
    assert.deepEqual(events.of("stream-closed").map(({ reason }) => reason), ["replaced"]);
    assert.equal(handler.stats().streams, 1);
    speaker.finish();
    assert.deepEqual(said(await second.messages()), [1, "finished"]);
    await handler.close();
  });

  for (const version of ["2025-03-26", "2025-06-18", "2025-11-25"]) {
    test(`[STR-6] ${version}: resuming tells where it resumed, in the version's way`, async () => {
      const { handler } = endpoint();
      const peer = await initialize(handler, { version });
      const frames = await peer.frames(await peer.call(1, "chat")).rest();
      const middle = frames.find(({ message }) => logData(message) === 2);
      const resumed = await (await peer.listen(middle?.id)).rest();
      const [prime] = version === "2025-11-25" ? resumed.splice(0, 1) : [];
      assert.equal(prime?.data, version === "2025-11-25" ? "" : undefined);
      if (prime !== undefined) assert.equal(prime.id, middle?.id);
      assert.deepEqual(ids(resumed), ids(frames).slice(-2));
      await handler.close();
    });
  }
});

describe("STR: what is kept", () => {
  /** Asks for a cursor that must not be found, and gives what the GET says. */
  async function lost(
    { handler, events }: ReturnType<typeof endpoint>,
    peer: Peer,
    cursor: string,
    reason: string,
  ): Promise<string[]> {
    events.all.length = 0;
    const stream = await peer.listen(cursor);
    assert.deepEqual(events.of("resume-failed").map((event) => event.reason), [reason]);
    await handler.notify(String(peer.sessionId), logMessage("the end"));
    const methods: string[] = [];
    for (let message = await stream.message(); message; message = await stream.message()) {
      if (logData(message) === "the end") break;
      methods.push(String(message.method));
    }
    await stream.cancel();
    return methods;
  }

  test("[STR-7] the last 256 events of a session are kept, an older cursor fell off", async () => {
    const world = endpoint({}, LIST_CHANGED);
    const peer = await initialize(world.handler);
    const frames = peer.frames(await peer.call(1, "speak"));
    const prime = (await frames.next())?.id;
    const one = (await frames.next())?.id;
    await frames.cancel();
    world.speaker.say(256);
    const resumed = await peer.listen(one);
    const all = [];
    for (let i = 0; i < 256; i++) all.push(await resumed.message());
    assert.deepEqual(all.map(logData), Array.from({ length: 256 }, (_, i) => i + 2));
    await resumed.cancel();
    assert.deepEqual(await lost(world, peer, String(prime), "gap"), LIST_CHANGED);
    world.speaker.finish();
    await world.handler.close();
  });

  test("[STR-7] limits.eventBytes of messages are kept", async () => {
    const world = endpoint({ limits: { eventBytes: 10_000 } });
    const peer = await initialize(world.handler);
    const id = String(peer.sessionId);
    for (let i = 0; i < 5; i++) {
      await world.handler.notify(id, logMessage(`${i}${"x".repeat(3_000)}`));
    }
    const stream = await peer.listen();
    await stream.next();
    const first = String(logData(await stream.message()));
    assert.equal(first[0], "2");
    assert.deepEqual(world.events.of("resume-failed").map(({ reason }) => reason), ["gap"]);
    await world.handler.close();
  });

  test("[STR-14] one event larger than the limit reaches who is connected, and is a gap to others", async () => {
    const { handler, events } = endpoint({ limits: { eventBytes: 100 } });
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    const stream = await peer.listen();
    await handler.notify(id, logMessage("x".repeat(5_000)));
    assert.equal(String(logData(await stream.message())).length, 5_000);
    await stream.cancel();
    await handler.notify(id, logMessage("y".repeat(5_000)));
    await handler.notify(id, logMessage("z"));
    const again = await peer.listen();
    assert.equal(logData(await again.message()), "z");
    assert.deepEqual(events.of("resume-failed").map(({ reason }) => reason), ["gap"]);
    await handler.close();
  });

  test("[STR-7] what is finished and delivered is kept for retainMs, 60,000 by default", async () => {
    const world = endpoint();
    const { handler, clock } = world;
    const peer = await initialize(handler);
    const [prime] = await peer.frames(await peer.call(1, "chat")).rest();
    const cursor = String(prime?.id);
    await clock.advance(59_999);
    assert.equal((await (await peer.listen(cursor)).messages()).length, 4);
    await clock.advance(1);
    assert.deepEqual(await lost(world, peer, cursor, "unknown"), []);
    await handler.close();
  });

  const cursors = {
    "no dot": "abc",
    "no number": "s.",
    "no stream": ".1",
    "a negative number": "s.-1",
    "a fraction": "s.1.5",
    "a leading zero": "s.01",
    "a huge number": `s.${"9".repeat(30)}`,
    "a long name": `${"s".repeat(500)}.1`,
    "a strange name": "../s.1",
    "spaces": "s .1",
  };
  for (const [name, cursor] of Object.entries(cursors)) {
    test(`[STR-7] a cursor with ${name} opens the stream with nothing replayed`, async () => {
      const world = endpoint({}, LIST_CHANGED);
      const peer = await initialize(world.handler);
      assert.deepEqual(await lost(world, peer, cursor, "malformed"), LIST_CHANGED);
      await world.handler.close();
    });
  }

  for (const cursor of ["nowhere.1", "s.77", "__proto__.1", "constructor.0"]) {
    test(`[STR-7] the cursor ${cursor} that nobody was given opens the stream with nothing replayed`, async () => {
      const world = endpoint({}, LIST_CHANGED);
      const peer = await initialize(world.handler);
      assert.deepEqual(await lost(world, peer, cursor, "unknown"), LIST_CHANGED);
      await world.handler.close();
    });
  }

  test("[STR-7] where nothing can change there is no hint", async () => {
    const world = endpoint();
    const peer = await initialize(world.handler);
    assert.deepEqual(await lost(world, peer, "nowhere.1", "unknown"), []);
    await world.handler.close();
  });

  test("[STR-7] another session's stream is as unknown as none", async () => {
    const world = endpoint({}, LIST_CHANGED);
    const mine = await initialize(world.handler);
    const other = await initialize(world.handler);
    const [prime] = await mine.frames(await mine.call(1, "chat")).rest();
    assert.deepEqual(await lost(world, other, String(prime?.id), "unknown"), LIST_CHANGED);
    await world.handler.close();
  });

  test("[STR-7] a failed resumption leaves the open server stream alone", async () => {
    const { handler } = endpoint({}, LIST_CHANGED);
    const peer = await initialize(handler);
    const server = await peer.listen();
    await server.next();
    const hints = await (await peer.listen("nowhere.1")).messages();
    assert.deepEqual(hints.map(({ method }) => method), LIST_CHANGED);
    await handler.notify(String(peer.sessionId), logMessage("still"));
    assert.equal(logData(await server.message()), "still");
    await handler.close();
  });
});

describe("STR: the server's stream", () => {
  test("[STR-8] messages before the first GET are delivered on it, in order, once", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    for (const n of [1, 2, 3]) assert.equal(await handler.notify(id, logMessage(n)), true);
    const first = await peer.listen();
    for (const n of [1, 2, 3]) assert.equal(logData(await first.message()), n);
    await first.cancel();
    await handler.notify(id, logMessage(4));
    const second = await peer.listen();
    assert.equal(logData(await second.message()), 4);
    await handler.close();
  });

  test("[STR-8] a second GET replaces the first, whose close can't hurt it", async () => {
    const { handler, events } = endpoint();
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    const responses = [];
    for (let i = 0; i < 5; i++) responses.push(await peer.get());
    const streams = responses.map((response) => peer.frames(response));
    const newest = streams.pop();
    assert.ok(newest);
    for (const old of streams) {
      assert.deepEqual(await old.messages(), []);
      await old.cancel();
    }
    assert.equal(handler.stats().streams, 1);
    assert.deepEqual(
      events.of("stream-closed").map(({ reason }) => reason),
      Array(4).fill("replaced"),
    );
    await handler.notify(id, logMessage("to the newest"));
    assert.equal(logData(await newest.message()), "to the newest");
    await newest.cancel();
    assert.equal(handler.stats().streams, 0);
    await handler.close();
  });

  test("[STR-8] of many GETs at once exactly one stays open", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const responses = await Promise.all(Array.from({ length: 20 }, () => peer.get()));
    assert.equal(handler.stats().streams, 1);
    await handler.notify(String(peer.sessionId), logMessage("once"));
    await peer.delete();
    const heard = await Promise.all(responses.map((response) => peer.frames(response).messages()));
    assert.deepEqual(heard.flat().map(logData), ["once"]);
    await handler.close();
  });

  test('[STR-8] secondGet: "reject" → 409, until the first has closed', async () => {
    const { handler } = endpoint({ streams: { secondGet: "reject" } });
    const peer = await initialize(handler);
    const first = await peer.listen();
    await first.next();
    await refused(await peer.get(), 409, -32000);
    await refused(await peer.get("s.0"), 409, -32000);
    await handler.notify(String(peer.sessionId), logMessage("first"));
    assert.equal(logData(await first.message()), "first");
    await first.cancel();
    const second = await peer.listen();
    await handler.notify(String(peer.sessionId), logMessage("second"));
    assert.equal(logData(await second.message()), "second");
    await handler.close();
  });

  test("[STR-8] it resumes like any other stream", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    for (const n of [1, 2, 3]) await handler.notify(id, logMessage(n));
    const first = await peer.listen();
    const one = await first.messageFrame();
    await first.message();
    await first.message();
    await first.cancel();
    await handler.notify(id, logMessage(4));
    const resumed = await peer.listen(one?.id);
    for (const n of [2, 3, 4]) assert.equal(logData(await resumed.message()), n);
    await handler.notify(id, logMessage(5));
    assert.equal(logData(await resumed.message()), 5);
    await handler.close();
  });

  test("[STR-8] one message goes on one stream only", async () => {
    const { handler, speaker } = endpoint();
    const peer = await initialize(handler);
    const server = await peer.listen();
    const call = peer.frames(await peer.call(1, "speak"));
    const other = peer.frames(await peer.call(2, "chat"));
    await handler.notify(String(peer.sessionId), logMessage("pushed"));
    speaker.finish();
    assert.deepEqual(said(await call.messages()), [1, "finished"]);
    assert.deepEqual(said(await other.messages()), [1, 2, 3, "bye"]);
    await peer.delete();
    assert.deepEqual(said(await server.messages()), ["pushed"]);
    await handler.close();
  });

  test("[STR-9] closeStream ends the connection after a retry field, not the stream", async () => {
    const { handler, speaker, clock } = endpoint();
    const peer = await initialize(handler);
    const frames = peer.frames(await peer.call(1, "speak"));
    await frames.message();
    speaker.exchange?.closeStream({ retryMs: 4_321 });
    const rest = await frames.rest();
    assert.deepEqual(rest.map(({ retry }) => retry), [4_321]);
    assert.deepEqual(rest.map(({ data }) => data), [undefined]);
    assert.deepEqual(handler.stats(), { ...NOTHING, requests: 1 });
    speaker.say(1);
    await clock.advance(4_321);
    const first = await peer.frames(await peer.call(2, "chat")).rest();
    assert.equal(first.length, 5, "other calls don't notice");
    speaker.finish();
    await handler.close();
  });

  test("[STR-9] the client polls a closed stream back, as often as need be", async () => {
    const { handler, speaker } = endpoint();
    const peer = await initialize(handler);
    let frames = peer.frames(await peer.call(1, "speak"));
    const heard: unknown[] = [];
    for (let i = 0; i < 3; i++) {
      speaker.exchange?.closeStream();
      const rest = await frames.rest();
      assert.equal(rest.at(-1)?.retry, 1_000, "streams.retryMs by default");
      heard.push(...said(messagesOf(rest)));
      const cursor = ids(rest).at(-1);
      speaker.say(1);
      frames = await peer.listen(String(cursor));
    }
    speaker.finish();
    heard.push(...said(await frames.messages()));
    assert.deepEqual(heard, [1, 2, 3, 4, "finished"]);
    await handler.close();
  });

  test("[STR-9] a client that has no event id yet is not let go: it couldn't come back", async () => {
    const { handler, clock, blocker } = endpoint();
    const peer = await initialize(handler, { version: "2025-06-18" });
    const call = peer.call(1, "block");
    await blocker.running();
    await clock.advance(1_000);
    const frames = peer.frames(await call);
    const [run] = blocker.runs;
    run?.closeStream();
    assert.equal(handler.stats().streams, 1);
    run?.notify(logMessage("now it has one"));
    assert.equal(logData(await frames.message()), "now it has one");
    run?.closeStream();
    assert.equal((await frames.rest()).at(-1)?.retry, 1_000);
    assert.equal(handler.stats().streams, 0);
    blocker.gate.open("done");
    await handler.close();
  });

  test("[STR-9] a call that hasn't streamed yet does so to be closed", async () => {
    const { handler } = endpoint();
    const stub = new Stub({
      async close(exchange) {
        exchange.closeStream({ retryMs: 5 });
        await flush();
        return text("done");
      },
    });
    const other = createMcpHandler(stub);
    const peer = await initialize(other);
    const frames = await peer.frames(await peer.call(1, "close")).rest();
    assert.deepEqual(frames.map(({ retry }) => retry), [1_000, 5]);
    assert.deepEqual(said(await (await peer.listen(frames[0]?.id)).messages()), ["done"]);
    const json = await initialize(other, { accept: "application/json" });
    assert.equal(textOf(await json.result(await json.call(1, "close"))), "done");
    await Promise.all([handler.close(), other.close()]);
  });
});

describe("STR: slots", () => {
  test("[STR-11] limits.requests → 503 with the request's id; the slot is given back", async () => {
    const { handler, blocker, events } = endpoint({ limits: { requests: 2 } });
    const peer = await initialize(handler);
    const calls = [1, 2].map((id) => peer.call(id, "block", {}, { accept: "application/json" }));
    await blocker.running(2);
    const response = await peer.request("third", "ping");
    assert.equal(response.headers.get("retry-after"), "1");
    assert.equal((await refused(response, 503, -32000, "third")).message, "Server busy");
    await refused(await new Peer(handler).post(peer.initializeRequest(0)), 503, -32000, 0);
    assert.deepEqual(events.refusals, ["request-limit", "request-limit"]);
    // What needs no slot passes: a client can still cancel.
    await peer.cancel(1);
    assert.equal((await soon(calls[0] ?? Promise.reject())).status, 202);
    await peer.result(await peer.request(4, "ping"));
    blocker.gate.open("done");
    await Promise.all(calls);
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });

  test("[STR-11] limits.requests counts the messages of a batch, all or none", async () => {
    const { handler, stub } = endpoint({ limits: { requests: 2 } });
    const peer = await initialize(handler, { version: "2025-03-26" });
    const before = stub.exchanges.length;
    const ping = (id: number) => ({ jsonrpc: "2.0", id, method: "ping" });
    await refused(await peer.post([ping(1), ping(2), ping(3)]), 503, -32000);
    assert.equal(stub.exchanges.length, before);
    assert.equal(handler.stats().requests, 0);
    assert.equal((await (await peer.post([ping(1), ping(2)])).json()).length, 2);
    await handler.close();
  });

  test("[STR-11] limits.streams and streamsPerPrincipal → 503 for a GET", async () => {
    for (
      const [limits, others] of [[{ streams: 2 }, 503], [{ streamsPerPrincipal: 2 }, 200]] as const
    ) {
      const { handler, events } = endpoint({ limits, authenticate: byToken });
      const peers = [];
      for (let i = 0; i < 3; i++) peers.push(await initialize(handler, { headers: as("alice") }));
      const [first, second, third] = peers;
      assert.ok(first && second && third);
      const open = await first.listen();
      await second.listen();
      const response = await third.get();
      assert.equal(response.headers.get("retry-after"), "1");
      await refused(response, 503, -32000);
      assert.equal(events.refusals.at(-1), "stream-limit");
      const bob = await initialize(handler, { headers: as("bob") });
      const theirs = await bob.get();
      assert.equal(theirs.status, others);
      await theirs.body?.cancel();
      await open.cancel();
      const late = await third.listen();
      assert.equal((await late.next())?.id, "s.0");
      assert.equal(handler.stats().streams, 2);
      await handler.close();
    }
  });

  test("[STR-11] a call that finds no slot for its stream is answered with JSON", async () => {
    const { handler, speaker, clock } = endpoint({ limits: { streams: 1 } });
    const peer = await initialize(handler);
    await peer.listen();
    assert.equal(textOf((await peer.json(await peer.call(1, "chat"))).result), "bye");
    const slow = peer.call(2, "speak");
    await clock.advance(10_000);
    speaker.finish();
    assert.equal(textOf((await peer.json(await slow)).result), "finished");
    await handler.close();
  });

  test("[STR-11] a client that takes no JSON gets what its call came to, though there is no slot", async () => {
    const { handler, blocker } = endpoint({ limits: { streams: 1 } });
    const peer = await initialize(handler, { accept: "text/event-stream" });
    const call = peer.call(1, "block");
    await blocker.running();
    await peer.listen();
    blocker.gate.open("done");
    assert.deepEqual(said(await peer.frames(await call).messages()), ["done"]);
    assert.deepEqual(handler.stats(), { ...NOTHING, streams: 1 });
    await handler.close();
  });

  test("[STR-11] a GET that replaces its predecessor needs no slot more", async () => {
    const { handler } = endpoint({ limits: { streams: 1 } });
    const peer = await initialize(handler);
    await peer.listen();
    const second = await peer.listen();
    assert.equal((await second.next())?.id, "s.0");
    await handler.close();
  });

  test("[STR-11] a client that comes back to a stream before its connection is missed needs no slot more", async () => {
    const { handler, speaker } = endpoint({ limits: { streamsPerPrincipal: 1 } });
    const peer = await initialize(handler);
    const first = peer.frames(await peer.call(1, "speak"));
    const cursor = (await first.next())?.id;
    const resumed = await peer.listen(cursor);
    speaker.finish();
    assert.deepEqual(said(await resumed.messages()), [1, "finished"]);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[STR-11] slots come back however a stream and a call end", async () => {
    const { handler, clock, speaker } = endpoint({ limits: { streams: 3, requests: 3 } });
    for (let i = 0; i < 20; i++) {
      const peer = await initialize(handler);
      const stream = await peer.listen();
      await stream.next();
      await peer.frames(await peer.call(1, "chat")).messages();
      const left = peer.frames(await peer.call(2, "chat"));
      await left.next();
      await left.cancel();
      const running = peer.frames(await peer.call(3, "speak"));
      if (i % 3 === 0) await peer.cancel(3);
      if (i % 3 === 1) speaker.finish();
      await peer.delete();
      await running.messages();
      await stream.messages();
    }
    await clock.advance(60_000);
    assert.deepEqual(handler.stats(), { ...NOTHING, sessions: 0 });
    await handler.close();
  });
});

describe("STR: pushing", () => {
  test("[STR-12] a notification never carries an id, and nothing but method and params", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const stream = await peer.listen();
    const notification = { ...logMessage(1), id: 7, jsonrpc: "1.0", extra: true };
    assert.equal(await handler.notify(String(peer.sessionId), notification), true);
    assert.deepEqual(await stream.message(), { jsonrpc: "2.0", ...logMessage(1) });
    await handler.close();
  });

  test("[STR-12] what is told as its session ends is false: nobody keeps it", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const told = handler.notify(String(peer.sessionId), logMessage(1));
    const ended = handler.sessions.end(String(peer.sessionId));
    assert.deepEqual([await told, await ended], [false, true]);
    await handler.close();
  });

  test("[STR-12] misuse throws, an unknown session is false", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler);
    const id = String(peer.sessionId);
    await assert.rejects(handler.notify(id, { method: "" }), TypeError);
    // The point of these is what happens when the types are not kept.
    await assert.rejects(handler.notify(id, { method: 7 as unknown as string }), TypeError);
    const params = "a" as unknown as JsonObject;
    await assert.rejects(handler.notify(id, { method: "a", params }), TypeError);
    for (const unknown of ["", "x", "U".repeat(32), "__proto__"]) {
      assert.equal(await handler.notify(unknown, logMessage(1)), false);
    }
    await peer.delete();
    assert.equal(await handler.notify(id, logMessage(1)), false);
    await handler.close();
  });

  test("[STR-12, STR-13] a dispatcher may copy what its host offers, or take functions out of it", async () => {
    const { handler, stub, clock } = endpoint();
    const peer = await initialize(handler);
    await peer.result(await peer.request(1, "resources/subscribe", { uri: "test://a" }));
    const stream = await peer.listen();
    const copy = stub.host && { ...stub.host };
    assert.ok(copy?.notify);
    const { broadcast, resourceUpdated, notify } = copy;
    broadcast({ method: "notifications/tools/list_changed" });
    notify(String(peer.sessionId), logMessage(1));
    resourceUpdated("test://a");
    await clock.advance(250);
    const methods = [await stream.message(), await stream.message(), await stream.message()];
    assert.deepEqual(methods.map((message) => message?.method), [
      "notifications/tools/list_changed",
      "notifications/message",
      "notifications/resources/updated",
    ]);
    await handler.close();
  });

  test("[STR-13] list_changed goes once to each session, on the server's stream", async () => {
    const { handler, stub, speaker } = endpoint();
    const peers = [await initialize(handler), await initialize(handler)];
    const absent = await initialize(handler);
    const streams = await Promise.all(peers.map((peer) => peer.listen()));
    const call = peers[0]?.frames(await peers[0].call(1, "speak"));
    const method = "notifications/tools/list_changed";
    stub.host?.broadcast({ method });
    await flush();
    for (const stream of streams) {
      assert.deepEqual(await stream.message(), { jsonrpc: "2.0", method });
    }
    // Who is away hears of it once, however often it happened.
    for (let i = 0; i < 10; i++) stub.host?.broadcast({ method });
    await flush();
    const late = await absent.listen();
    assert.equal((await late.message())?.method, method);
    await handler.notify(String(absent.sessionId), logMessage("next"));
    assert.equal(logData(await late.message()), "next");
    speaker.finish();
    assert.deepEqual(said(await call?.messages() ?? []), [1, "finished"]);
    await handler.close();
  });

  test("[STR-13] resources/updated goes to subscribers alone, a burst as one after 250 ms", async () => {
    const { handler, stub, clock } = endpoint();
    const subscriber = await initialize(handler);
    const other = await initialize(handler);
    const uri = "test://a";
    await subscriber.result(await subscriber.request(1, "resources/subscribe", { uri }));
    const stream = await subscriber.listen();
    const others = await other.listen();
    for (let i = 0; i < 50; i++) {
      stub.host?.resourceUpdated(uri);
      stub.host?.resourceUpdated("test://b");
    }
    await stream.next();
    const next = stream.message();
    await clock.advance(249);
    assert.equal(await isPending(next), true);
    await clock.advance(1);
    assert.deepEqual(await next, {
      jsonrpc: "2.0",
      method: "notifications/resources/updated",
      params: { uri },
    });
    stub.host?.resourceUpdated(uri);
    await clock.advance(250);
    assert.deepEqual((await stream.message())?.params, { uri });
    await subscriber.result(await subscriber.request(2, "resources/unsubscribe", { uri }));
    stub.host?.resourceUpdated(uri);
    await clock.advance(1_000);
    await subscriber.delete();
    await other.delete();
    assert.deepEqual(await stream.messages(), []);
    assert.deepEqual(await others.messages(), []);
    await handler.close();
  });

  test("[STR-13] bursts of different resources are told apart, and one that never stops is told", async () => {
    const { handler, stub, clock } = endpoint();
    const peer = await initialize(handler);
    const uris = ["test://a", "test://b", "test://c"];
    for (const [i, uri] of uris.entries()) await peer.request(i, "resources/subscribe", { uri });
    const stream = await peer.listen();
    for (const uri of uris) stub.host?.resourceUpdated(uri);
    await clock.advance(250);
    const told = [];
    for (const _ of uris) told.push((await stream.message())?.params);
    assert.deepEqual(told, uris.map((uri) => ({ uri })));
    for (let i = 0; i < 20; i++) {
      stub.host?.resourceUpdated("test://a");
      await clock.advance(100);
    }
    assert.deepEqual((await stream.message())?.params, { uri: "test://a" });
    await handler.close();
  });
});

describe("STR: two streams of answers", () => {
  test("[STR-4, STR-5] answers in a batch come on one stream, which ends after the last", async () => {
    const { handler, speaker } = endpoint();
    const peer = await initialize(handler, { version: "2025-03-26" });
    const call = (id: number, name: string) => ({
      jsonrpc: "2.0",
      id,
      method: "tools/call",
      params: { name, arguments: {} },
    });
    const frames = peer.frames(
      await peer.post([call(1, "hello"), call(2, "speak"), call(3, "chat")]),
    );
    speaker.finish();
    const messages = await frames.messages();
    const answers = messages.filter(({ id }) => id !== undefined).map(({ id }) => id);
    assert.deepEqual(answers.toSorted(), [1, 2, 3]);
    assert.deepEqual(handler.stats(), NOTHING);
    await handler.close();
  });

  test("[STR-2] what a client gets of a stream that was over before is whole", async () => {
    const { handler } = endpoint();
    const peer = await initialize(handler, { accept: "text/event-stream" });
    const { status, body } = await seen(await peer.call(1, "hello"));
    assert.equal(status, 200);
    assert.ok(body.endsWith("\n\n"));
    await handler.close();
  });
});
