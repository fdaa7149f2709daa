/**
 * The way from the floor to what a resumable stream needs, in steps: each rung does one thing more with a
 * notification than the one before it.
 *
 * @module
 */
import { systemClock } from "../../src/internal/clock.ts";
import { type Delay, DelayLine } from "../../src/internal/delay_line.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { floor } from "./floor.ts";
import type { Stack, StackModule } from "./types.ts";

/** How high each rung is above the floor. */
const LEVELS = { promise: 1, id: 2, log: 3, keepAlive: 4, room: 5 };

/** The name of a rung. */
export type NotifyRung = keyof typeof LEVELS;

/** The rungs above the floor, the lowest first. */
export const NOTIFY_RUNGS = Object.keys(LEVELS) as readonly NotifyRung[]; // the keys of a constant

/** What each rung adds to the one before it. */
export const NOTIFY_RUNG_TITLES: Readonly<Record<NotifyRung, string>> = {
  promise: "+ a promise of whether it was sent",
  id: "+ an event id",
  log: "+ the text kept, in a limit of bytes",
  keepAlive: "+ the keep-alive wait begins anew",
  room: "+ a buffer that is limited in bytes",
};

const KEEP_ALIVE_MS = 15_000;
const BUFFER_BYTES = 65_536;
/** The bytes that a session may keep: 1,000 sessions together as many as Mooring keeps by default. */
const MOST_BYTES = 67_108;
/** What an event is taken to need beside its text, in bytes. */
const EVENT_BYTES = 512;

const SSE = { headers: { "content-type": "text/event-stream" } };
const encoder = new TextEncoder();

/** A session, with the stream that it has open. */
class Session {
  readonly controller: ReadableStreamDefaultController<Uint8Array>;
  /** The wait until a comment is due, from the rung on that has it. */
  readonly keepAlive: Delay | undefined;
  last = 0;
  /** The texts of its events, the oldest at `begin`. */
  texts: string[] = [];
  begin = 0;
  bytes = 0;

  constructor(
    controller: ReadableStreamDefaultController<Uint8Array>,
    line: DelayLine | undefined,
  ) {
    this.controller = controller;
    this.keepAlive = line?.add(() => controller.enqueue(encoder.encode(": keep-alive\n\n")));
  }

  keep(text: string): void {
    this.texts.push(text);
    this.bytes += EVENT_BYTES + text.length;
    while (this.bytes > MOST_BYTES) {
      this.bytes -= EVENT_BYTES + (this.texts[this.begin] ?? "").length;
      this.begin += 1;
    }
    if (this.begin < 128) return;
    this.texts = this.texts.slice(this.begin);
    this.begin = 0;
  }
}

class NotifyLadder implements Stack {
  readonly #level: number;
  readonly #floor: Stack;
  readonly #sessions = new Map<string, Session>();
  readonly #keepAlive = new DelayLine(systemClock, KEEP_ALIVE_MS);

  constructor(rung: NotifyRung, floor: Stack) {
    this.#level = LEVELS[rung];
    this.#floor = floor;
  }

  /** Opens streams; what comes before them is as on the floor. */
  answer(request: Request): MaybePromise<Response> {
    if (request.method !== "GET") return this.#floor.answer(request);
    return this.#open(request.headers.get("mcp-session-id") ?? "");
  }

  // Asynchronous, because this is what the rung adds.
  async notify(id: string): Promise<boolean> {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    const params = { level: "info", data: "News" };
    const text = JSON.stringify({ jsonrpc: "2.0", method: "notifications/message", params });
    const n = session.last += 1;
    if (this.#passes("log")) session.keep(text);
    const { controller } = session;
    // What has no room stays in the log.
    if (this.#passes("room") && (controller.desiredSize ?? 0) <= 0) return true;
    const head = this.#passes("id") ? `id: ${id}.${n}\n` : "";
    controller.enqueue(encoder.encode(`${head}event: message\ndata: ${text}\n\n`));
    session.keepAlive?.restart();
    return true;
  }

  #open(id: string): Response {
    const line = this.#passes("keepAlive") ? this.#keepAlive : undefined;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void this.#sessions.set(id, new Session(controller, line)),
    }, this.#passes("room") ? { highWaterMark: BUFFER_BYTES, size: byteLength } : undefined);
    return new Response(body, SSE);
  }

  #passes(rung: NotifyRung): boolean {
    return this.#level >= LEVELS[rung];
  }
}

function byteLength(chunk: Uint8Array): number {
  return chunk.byteLength;
}

/** Returns one rung. */
export function notifyRungOf(name: NotifyRung): StackModule {
  return {
    title: NOTIFY_RUNG_TITLES[name],
    kinds: ["notify"],
    make: async (init) => new NotifyLadder(name, await floor.make(init)),
  };
}
