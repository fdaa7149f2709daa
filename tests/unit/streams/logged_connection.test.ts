import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { EventSourceParserStream } from "eventsource-parser/stream";
import fc from "fast-check";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import {
  LoggedConnection,
  type LoggedConnectionOptions,
} from "../../../src/streams/logged_connection.ts";
import { MemoryEventLog } from "../../../src/streams/memory_log.ts";
import { frame, KEEP_ALIVE, primingFrame, retryFrame } from "../../../src/streams/sse.ts";
import type { EventLog, EventLogLimits } from "../../../src/streams/types.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { AsyncLog } from "./async_log.ts";

const KEEP_ALIVE_MS = 15_000;
const SESSION = "session";
const STREAM = "s";

class Bench {
  readonly clock = new FakeClock();
  readonly memory: MemoryEventLog;
  readonly keepAlive = new DelayLine(this.clock, KEEP_ALIVE_MS);
  readonly closed: string[] = [];
  readonly reports: McpEvent[] = [];

  constructor(limits: Partial<EventLogLimits> = {}) {
    const whole = { events: 256, eventBytes: 1 << 20, retainMs: 60_000, ...limits };
    this.memory = new MemoryEventLog(whole, this.clock);
  }

  connect(options: Partial<LoggedConnectionOptions> = {}): LoggedConnection {
    return new LoggedConnection({
      log: this.memory,
      session: SESSION,
      stream: STREAM,
      after: 0,
      priming: false,
      retryMs: 1_000,
      keepAlive: this.keepAlive,
      onClose: (reason) => this.closed.push(reason),
      report: (event) => this.reports.push(event),
      ...options,
    });
  }

  append(...texts: string[]): void {
    for (const text of texts) this.memory.append(SESSION, STREAM, text);
  }

  end(): void {
    this.memory.end(SESSION, STREAM);
  }
}

/** The events of a body. */
function eventsOf(body: ReadableStream<Uint8Array>) {
  return body.pipeThrough(
    new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>,
  )
    .pipeThrough(new EventSourceParserStream());
}

/** A log like another one, some of whose methods may be replaced. */
function passingOn(log: EventLog): EventLog {
  return {
    open: (session, stream) => log.open(session, stream),
    append: (session, stream, data) => log.append(session, stream, data),
    end: (session, stream) => log.end(session, stream),
    read: (session, stream, after) => log.read(session, stream, after),
    deliver: (session, stream, n) => log.deliver(session, stream, n),
    delivered: (session, stream) => log.delivered(session, stream),
    watch: (session, stream, wake) => log.watch(session, stream, wake),
    drop: (session) => log.drop(session),
  };
}

/** Reads a body as text, one chunk at a time. */
class Reader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();

  constructor({ body }: LoggedConnection) {
    this.#reader = body.getReader();
  }

  async next(): Promise<string | undefined> {
    const { done, value } = await this.#reader.read();
    return done ? undefined : this.#decoder.decode(value);
  }

  async rest(): Promise<string> {
    let text = "";
    for (let chunk = await this.next(); chunk !== undefined; chunk = await this.next()) {
      text += chunk;
    }
    return text;
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

function frames(from: number, ...texts: string[]): string {
  return texts.map((text, i) => frame(`${STREAM}.${from + i}`, text)).join("");
}

describe("LoggedConnection: what it sends", () => {
  test("[STR-3] begins with the priming event where the version has it, and nothing else does", async () => {
    const bench = new Bench();
    const connection = bench.connect({ priming: true });
    const other = bench.connect();
    bench.append("1");
    bench.end();
    assert.equal(await new Reader(connection).rest(), primingFrame("s.0", 1_000) + frames(1, "1"));
    assert.equal(await new Reader(other).rest(), frames(1, "1"));
  });

  test("[STR-3] the stream that was primed can be resumed before its first message", () => {
    const bench = new Bench();
    bench.connect({ priming: true }).close("released");
    assert.deepEqual(bench.memory.read(SESSION, STREAM, 0)?.last, 0);
    bench.memory.drop(SESSION);
    bench.connect({ stream: "t" }).close("released");
    assert.equal(bench.memory.read(SESSION, "t", 0), undefined);
  });

  test("[STR-6] hands over what comes next as it is, and reads the log where it has no room for it", async () => {
    const bench = new Bench();
    let reads = 0;
    const log = { ...passingOn(bench.memory) };
    log.read = (...where) => {
      reads++;
      return bench.memory.read(...where);
    };
    const long = "x".repeat(600);
    const connection = bench.connect({ log, priming: true, bufferBytes: 1_000 });
    const reader = new Reader(connection);
    assert.equal(await reader.next(), primingFrame("s.0", 1_000));
    const before = reads;
    bench.append("1", "2");
    assert.equal(connection.lastSent, 2);
    assert.equal(reads, before);
    assert.equal(bench.memory.delivered(SESSION, STREAM), 2);
    // One more than there is room for.
    bench.append(long, long, long, "6");
    assert.equal(connection.lastSent, 4);
    bench.end();
    assert.equal(await reader.rest(), frames(1, "1", "2", long, long, long, "6"));
    assert.ok(reads > before);
    assert.deepEqual(bench.closed, ["ended"]);
  });

  test("[STR-6] sends what was kept after the cursor, then what comes, once and in order, to the end", async () => {
    const bench = new Bench();
    bench.append("1", "2", "3");
    const connection = bench.connect({ after: 1, priming: true });
    const reader = new Reader(connection);
    assert.equal(await reader.next(), primingFrame("s.1", 1_000));
    assert.equal(await reader.next(), frames(2, "2"));
    assert.equal(await reader.next(), frames(3, "3"));
    assert.equal(connection.lastSent, 3);
    const next = reader.next();
    bench.append("4");
    assert.equal(await next, frames(4, "4"));
    bench.append("5");
    bench.end();
    assert.equal(connection.open, false);
    assert.equal(await reader.rest(), frames(5, "5"));
    assert.deepEqual(bench.closed, ["ended"]);
    assert.equal(bench.memory.delivered(SESSION, STREAM), 5);
  });

  test("[STR-6] a finished stream is replayed and ends", async () => {
    const bench = new Bench();
    bench.append("1", "2");
    bench.end();
    const connection = bench.connect({ after: 1 });
    assert.deepEqual(bench.closed, [], "onClose is never called before the constructor returns");
    assert.equal(connection.open, false);
    assert.equal(await new Reader(connection).rest(), frames(2, "2"));
    assert.deepEqual(bench.closed, ["ended"]);
    const nothing = bench.connect({ after: 2 });
    assert.equal(await new Reader(nothing).rest(), "");
    assert.deepEqual(bench.closed, ["ended", "ended"]);
  });

  test("an append goes out in the same turn while there is room", () => {
    const bench = new Bench();
    const connection = bench.connect();
    for (let n = 1; n <= 3; n++) {
      bench.append("x");
      assert.equal(connection.lastSent, n);
      assert.equal(bench.memory.delivered(SESSION, STREAM), n);
    }
  });

  test("a stream that is unknown yet is waited for", async () => {
    const bench = new Bench();
    const reader = new Reader(bench.connect());
    const next = reader.next();
    await flush();
    assert.deepEqual(bench.closed, []);
    bench.append("1");
    assert.equal(await next, frames(1, "1"));
  });

  test("what was thrown away before it began is skipped, and told", async () => {
    const bench = new Bench({ events: 2 });
    bench.append("1", "2", "3", "4");
    const connection = bench.connect();
    assert.deepEqual(bench.reports.map(({ type }) => type), ["resume-failed"]);
    const reader = new Reader(connection);
    assert.equal(await reader.next(), frames(3, "3"));
    assert.equal(await reader.next(), frames(4, "4"));
    assert.deepEqual(bench.closed, []);
  });
});

describe("LoggedConnection: a slow reader", () => {
  test("[STR-10] 500 × 100 KB to an unread connection stay within the bounds, and close it", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    const text = "x".repeat(100_000);
    for (let i = 0; i < 500; i++) bench.append(text);
    // The connection holds one event more than its buffer takes; the log, at most its bytes.
    assert.equal(connection.lastSent, 1);
    const kept = bench.memory.read(SESSION, STREAM, 0)?.events.length ?? 0;
    assert.ok(kept * text.length <= 1 << 20);
    await flush();
    assert.equal(connection.lastSent, 1);
    assert.deepEqual(bench.closed, ["slow"]);
    assert.equal(await new Reader(connection).rest(), frames(1, text) + retryFrame(1_000));
    assert.equal(bench.memory.append(SESSION, STREAM, "the stream goes on"), 501);
  });

  test("[STR-10] small events fill the buffer and no more, the rest waits in the log", async () => {
    const bench = new Bench({ events: 1_000 });
    const connection = bench.connect({ bufferBytes: 1_000 });
    const text = "x".repeat(60);
    const size = frames(1, text).length;
    for (let i = 0; i < 100; i++) bench.append(text);
    assert.ok(connection.lastSent * size < 1_000 + 2 * size, `handed ${connection.lastSent} over`);
    bench.end();
    const events = [];
    for await (const event of eventsOf(connection.body)) events.push(event.id);
    assert.deepEqual(events, Array.from({ length: 100 }, (_, i) => `s.${i + 1}`));
    assert.deepEqual(bench.closed, ["ended"]);
  });

  test("[STR-10] a replay fills the buffer and no more, the rest waits in the log", async () => {
    const bench = new Bench();
    for (let i = 0; i < 100; i++) bench.append("x".repeat(60));
    const connection = bench.connect({ bufferBytes: 1_000 });
    assert.ok(connection.lastSent < 15, `handed ${connection.lastSent} over`);
    bench.end();
    const events = [];
    for await (const event of eventsOf(connection.body)) events.push(event.id);
    assert.deepEqual(events, Array.from({ length: 100 }, (_, i) => `s.${i + 1}`));
  });

  test("[STR-10] a burst while the reader waits loses nothing that the log can keep", async () => {
    const bench = new Bench({ eventBytes: 60_000_000, events: 1_000 });
    const connection = bench.connect();
    const reader = new Reader(connection);
    const first = reader.next();
    await flush();
    const text = "x".repeat(100_000);
    for (let i = 0; i < 500; i++) bench.append(text);
    bench.end();
    assert.ok(connection.lastSent <= 3, `handed ${connection.lastSent} over`);
    assert.equal((await first)?.length, frames(1, text).length);
    let count = 1;
    for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
      count += 1;
    }
    assert.equal(count, 500);
    assert.deepEqual(bench.closed, ["ended"]);
  });

  test("[STR-10] a buffer that is exactly full takes no more, live or replayed", () => {
    const size = frames(1, "x").length;
    for (const replayed of [true, false]) {
      const bench = new Bench();
      if (replayed) bench.append("x", "x", "x");
      const connection = bench.connect({ bufferBytes: 2 * size });
      if (!replayed) bench.append("x", "x", "x");
      assert.equal(connection.lastSent, 2);
    }
  });

  test("[STR-10] the first event that is dropped unsent closes it at once", async () => {
    const bench = new Bench({ events: 2 });
    const connection = bench.connect({ bufferBytes: 10 });
    bench.append("1", "2", "3");
    assert.deepEqual(bench.closed, []);
    bench.append("4");
    assert.deepEqual(bench.closed, ["slow"]);
    assert.equal(await new Reader(connection).rest(), frames(1, "1") + retryFrame(1_000));
  });

  test("[STR-10] a gap after a burst that came before anything was read closes it as well", async () => {
    const bench = new Bench({ events: 2 });
    const connection = bench.connect({ bufferBytes: 10 });
    bench.append("1", "2", "3", "4");
    const text = await new Reader(connection).rest();
    assert.equal(text, frames(1, "1") + retryFrame(1_000));
    assert.deepEqual(bench.closed, ["slow"]);
  });

  test("[STR-10] a gap that other streams made closes it when it reads on", async () => {
    const bench = new Bench({ events: 2 });
    const connection = bench.connect({ bufferBytes: 10 });
    bench.append("1", "2");
    for (let i = 0; i < 2; i++) bench.memory.append(SESSION, "other", "x");
    await flush();
    assert.deepEqual(bench.closed, []);
    const text = await new Reader(connection).rest();
    assert.equal(text, frames(1, "1") + retryFrame(1_000));
    assert.deepEqual(bench.closed, ["slow"]);
  });
});

describe("LoggedConnection: closing", () => {
  test("[STR-9] close() ends the connection, not the stream, after a wait to come back", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    bench.append("1");
    connection.close("released", { retryMs: 50 });
    connection.close("shutdown", { retryMs: 60 });
    bench.append("2");
    assert.equal(await new Reader(connection).rest(), frames(1, "1") + retryFrame(50));
    assert.deepEqual(bench.closed, ["released"]);
    const again = bench.connect({ after: connection.lastSent });
    bench.end();
    assert.equal(await new Reader(again).rest(), frames(2, "2"));
  });

  test("[STR-6] a message that could not be logged is the last one sent, once", async () => {
    for (const [last, sent] of [["2", frame(undefined, "2")], ["1", ""]] as const) {
      const bench = new Bench();
      const connection = bench.connect();
      bench.append("1");
      connection.close("failed", { last });
      assert.equal(await new Reader(connection).rest(), frames(1, "1") + sent);
    }
  });

  test("[STR-6] a reader that goes away leaves the stream as it is", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    const reader = new Reader(connection);
    bench.append("1");
    assert.equal(await reader.next(), frames(1, "1"));
    await reader.cancel();
    assert.deepEqual(bench.closed, ["disconnected"]);
    bench.append("2");
    connection.close("shutdown", { retryMs: 5 });
    bench.end();
    await bench.clock.advance(2 * KEEP_ALIVE_MS);
    assert.deepEqual(bench.closed, ["disconnected"]);
    assert.equal(connection.lastSent, 1);
    assert.equal(bench.memory.delivered(SESSION, STREAM), 1);
  });

  test("a reader that goes away after close() changes nothing", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    bench.append("1");
    connection.close("replaced");
    await connection.body.cancel();
    assert.deepEqual(bench.closed, ["replaced"]);
  });

  test("a session that is dropped takes the connections of its streams along", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    bench.append("1");
    bench.memory.drop(SESSION);
    assert.equal(await new Reader(connection).rest(), frames(1, "1"));
    assert.deepEqual(bench.closed, ["session-ended"]);
  });

  test("nothing watches or waits any more after a connection closed, whatever closed it", async () => {
    const ways: Record<string, (bench: Bench, connection: () => LoggedConnection) => unknown> = {
      close: (_, connect) => connect().close("replaced"),
      cancel: (_, connect) => connect().body.cancel(),
      end(bench, connect) {
        connect();
        bench.end();
      },
      "end before": (bench, connect) => {
        bench.end();
        connect();
      },
      drop(bench, connect) {
        bench.append("1");
        connect();
        bench.memory.drop(SESSION);
      },
    };
    for (const [name, way] of Object.entries(ways)) {
      const bench = new Bench({ retainMs: 1 });
      const log = new AsyncLog(bench.memory);
      await way(bench, () => bench.connect({ log }));
      await flush();
      assert.equal(bench.closed.length, 1, name);
      assert.equal(log.watching, 0, name);
      await bench.clock.advance(2 * KEEP_ALIVE_MS);
      assert.equal(bench.clock.pending, 0, name);
      const sync = new Bench();
      let watching = 0;
      const counting: EventLog = {
        ...passingOn(sync.memory),
        watch(session, stream, wake) {
          const stop = sync.memory.watch(session, stream, wake);
          watching += 1;
          wake();
          return () => {
            watching -= 1;
            stop();
          };
        },
      };
      await way(sync, () => sync.connect({ log: counting }));
      assert.equal(watching, 0, `${name}, at once`);
    }
  });
});

describe("LoggedConnection: keep-alive", () => {
  test("[STR-2] a comment follows each quiet time, and none any traffic", async () => {
    const bench = new Bench();
    const reader = new Reader(bench.connect());
    let next = reader.next();
    await bench.clock.advance(KEEP_ALIVE_MS);
    assert.equal(await next, KEEP_ALIVE);
    next = reader.next();
    await bench.clock.advance(10_000);
    bench.append("1");
    assert.equal(await next, frames(1, "1"));
    next = reader.next();
    await bench.clock.advance(KEEP_ALIVE_MS - 1);
    bench.append("2");
    assert.equal(await next, frames(2, "2"));
    next = reader.next();
    await bench.clock.advance(KEEP_ALIVE_MS);
    assert.equal(await next, KEEP_ALIVE);
  });

  test("[STR-10] an unread connection piles no comments up", async () => {
    const bench = new Bench();
    const connection = bench.connect();
    await bench.clock.advance(100 * KEEP_ALIVE_MS);
    connection.close("shutdown");
    assert.equal(await new Reader(connection).rest(), KEEP_ALIVE);
  });
});

describe("LoggedConnection: an asynchronous log", () => {
  test("[STR-6] sends everything once and in order, with one read at a time", async () => {
    const bench = new Bench();
    const log = new AsyncLog(bench.memory);
    const connection = bench.connect({ log, priming: true });
    const reader = new Reader(connection);
    const texts = Array.from({ length: 50 }, (_, i) => String(i + 1));
    for (const [i, text] of texts.entries()) {
      bench.append(text);
      if (i % 7 === 0) await flush();
    }
    bench.end();
    assert.equal(await reader.rest(), primingFrame("s.0", 1_000) + frames(1, ...texts));
    assert.equal(log.mostReading, 1);
    assert.ok(log.reads < 30, `${log.reads} reads`);
    await flush();
    assert.equal(bench.memory.delivered(SESSION, STREAM), 50);
    assert.deepEqual(bench.closed, ["ended"]);
  });

  test("[STR-6] news during a read are not lost", async () => {
    const bench = new Bench();
    const log = new AsyncLog(bench.memory);
    log.held = [];
    const connection = bench.connect({ log });
    await flush();
    assert.equal(log.reading, 1);
    bench.append("1");
    bench.end();
    await flush();
    assert.equal(connection.lastSent, 0);
    log.release();
    assert.equal(await new Reader(connection).rest(), frames(1, "1"));
  });

  test("reads nothing again that it has read, however often it is asked for more", async () => {
    const bench = new Bench();
    const log = new AsyncLog(bench.memory);
    const reader = new Reader(bench.connect({ log }));
    for (let i = 1; i <= 5; i++) {
      bench.append("x");
      assert.equal(await reader.next(), frames(i, "x"));
      await flush();
    }
    assert.ok(log.reads <= 6, `${log.reads} reads`);
  });

  test("[STR-10] a burst of 500 × 100 KB before the first answer closes it as too slow", async () => {
    const bench = new Bench();
    const log = new AsyncLog(bench.memory);
    const connection = bench.connect({ log });
    const text = "x".repeat(100_000);
    for (let i = 0; i < 500; i++) bench.append(text);
    assert.equal(await new Reader(connection).rest(), retryFrame(1_000));
    assert.deepEqual(bench.closed, ["slow"]);
  });

  test("what was thrown away before it began is skipped also when news come before the answer", async () => {
    const bench = new Bench({ events: 2 });
    const log = new AsyncLog(bench.memory);
    bench.append("1", "2", "3", "4");
    log.held = [];
    const reader = new Reader(bench.connect({ log, after: 1 }));
    await flush();
    bench.append("5");
    log.release();
    assert.equal(await reader.next(), frames(3, "3"));
    assert.equal(await reader.next(), frames(4, "4"));
    assert.equal(await reader.next(), frames(5, "5"));
    assert.deepEqual(bench.closed, []);
  });

  test("a read that is answered after close() does nothing more", async () => {
    const bench = new Bench();
    const log = new AsyncLog(bench.memory);
    log.held = [];
    bench.append("1");
    const connection = bench.connect({ log });
    await flush();
    connection.close("released");
    log.release();
    await flush();
    assert.equal(await new Reader(connection).rest(), "");
    assert.equal(connection.lastSent, 0);
    assert.deepEqual(bench.closed, ["released"]);
    assert.deepEqual(bench.reports, []);
  });
});

describe("LoggedConnection: a log that fails", () => {
  const failures: Record<string, () => Partial<EventLog>> = {
    read: () => ({
      read() {
        throw new Error("away");
      },
    }),
    "a later read": () => ({ read: () => Promise.reject(new Error("away")) }),
    watch: () => ({
      watch() {
        throw new Error("away");
      },
    }),
    open: () => ({ open: () => Promise.reject(new Error("away")) }),
    deliver: () => ({ deliver: () => Promise.reject(new Error("away")) }),
  };
  for (const [name, fail] of Object.entries(failures)) {
    test(`is told and closes the connection so that the client comes back: ${name}`, async () => {
      const bench = new Bench();
      const { memory } = bench;
      const log: EventLog = {
        ...passingOn(memory),
        ...fail(),
      };
      const connection = bench.connect({ log, priming: true });
      bench.append("1");
      const text = await new Reader(connection).rest();
      // Nobody could resume a stream that the log doesn't know.
      if (name === "open") assert.doesNotMatch(text, /^id: s\.0$/m);
      else assert.ok(text.startsWith(primingFrame("s.0", 1_000)));
      assert.ok(text.endsWith(retryFrame(1_000)));
      assert.deepEqual(bench.closed, ["failed"]);
      const [event] = bench.reports;
      assert.ok(event?.type === "error" && event.error instanceof Error);
      assert.equal(event.error.message, "away");
      assert.equal(bench.reports.length, 1);
    });
  }
});

describe("LoggedConnection: any history", () => {
  const step = fc.constantFrom("append", "append", "read", "drop-connection", "flush");

  async function compare(steps: readonly string[], later: boolean): Promise<void> {
    const bench = new Bench();
    const log = later ? new AsyncLog(bench.memory) : bench.memory;
    const seen: string[] = [];
    let sent = 0;
    let connection = bench.connect({ log, bufferBytes: 60 });
    let reader = new Reader(connection);
    // What the client has, not what was handed over: it comes back with the last id that it saw.
    const take = async () => {
      const text = await reader.next();
      for (const [, id] of text?.matchAll(/^id: s\.(\d+)$/gm) ?? []) seen.push(id ?? "");
      return text !== undefined;
    };
    for (const name of steps) {
      if (name === "append") bench.append(`${++sent}`);
      else if (name === "flush") await flush();
      else if (name === "read" && seen.length < sent) await take();
      else if (name === "drop-connection") {
        await reader.cancel();
        connection = bench.connect({ log, bufferBytes: 60, after: seen.length });
        reader = new Reader(connection);
      }
    }
    bench.end();
    while (await take());
    assert.deepEqual(seen, Array.from({ length: sent }, (_, i) => `${i + 1}`));
  }

  for (const later of [false, true]) {
    test(
      `[STR-6] each message once, in order, whenever the client goes and comes back (${
        later ? "later" : "at once"
      })`,
      async () => {
        await fc.assert(
          fc.asyncProperty(
            fc.array(step, { maxLength: 40, size: "max" }),
            (steps) => compare(steps, later),
          ),
          { numRuns: 100 },
        );
      },
    );
  }
});
