/**
 * Receives request bodies: each limited in bytes and in time, and all together in bytes.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { DelayLine, Wait } from "../../internal/delay_line.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { HeaderName } from "../../protocol/headers.ts";
import type { Inbound } from "../inbound.ts";

/** The reason why a body could not be read. */
export type NoBody = { readonly missing: "too-large" | "too-slow" | "no-room" | "unreadable" };

/** The result of reading a body: text, bytes unless its length was declared as small, or a failure. */
export type Body = string | Uint8Array | NoBody;

/** The limits of bodies. */
export interface ArrivalSettings {
  /** The most bytes in a body. */
  readonly bodyBytes: number;
  /** The most bytes in all bodies that have not been released. */
  readonly totalBodyBytes: number;
  /** The time within which a body must arrive, in milliseconds. */
  readonly bodyMs: number;
}

/**
 * The largest declared length that is read as text in one call. It is faster than reading and decoding
 * bytes, but shows nothing before the end, and can't be cancelled: hosts take up to four times the bytes
 * meanwhile.
 */
const MOST_TEXT_BYTES = 64 * 1024;

const TOO_LARGE: NoBody = { missing: "too-large" };
const TOO_SLOW: NoBody = { missing: "too-slow" };
const NO_ROOM: NoBody = { missing: "no-room" };
const UNREADABLE: NoBody = { missing: "unreadable" };

const DIGITS = /^[0-9]+$/;

/** Returns the length that a request declares for its body, if it declares a valid one. */
export function declaredLength(inbound: Inbound): number | undefined {
  const declared = inbound.header(HeaderName.ContentLength);
  return declared !== null && DIGITS.test(declared) ? Number(declared) : undefined;
}

/** A body that is being received, with its time limit. */
class Arrival extends Wait {
  /** The result. Never rejects. */
  readonly body: Promise<Body>;
  readonly #arrivals: Arrivals;
  readonly #inbound: Inbound;
  #reader: ReadableStreamDefaultReader<unknown> | undefined;
  #resolve: ((body: Body) => void) | undefined;

  constructor(arrivals: Arrivals, inbound: Inbound) {
    super();
    this.#arrivals = arrivals;
    this.#inbound = inbound;
    this.body = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  /** Reads a small body as text. */
  readText(): void {
    this.#settle(this.#inbound.source.text());
  }

  /** Reads a body while counting its bytes. */
  readBytes(limit: number): void {
    this.#reader = this.#inbound.source.body?.getReader();
    this.#settle(this.#readCounted(limit));
  }

  /**
   * Counts bytes of the body. The budget may then have no room for it.
   *
   * @returns Whether the body is still being received
   */
  hold(bytes: number): boolean {
    if (!this.pending) return false;
    const more = bytes - this.#inbound.heldBytes;
    this.#inbound.heldBytes = bytes;
    this.#arrivals.take(more);
    return this.pending;
  }

  /** Stops reading when the time is up. */
  elapsed(): void {
    this.stop(TOO_SLOW);
  }

  /** Stops reading. */
  stop(reason: NoBody): void {
    this.#end(reason);
    // Not awaited: a source whose cancellation never settles must not delay the response.
    this.#reader?.cancel().catch(() => {});
  }

  #settle(reading: Promise<Body>): void {
    reading.then((body) => this.#end(body), () => this.#end(UNREADABLE));
  }

  #end(body: Body): void {
    if (this.#resolve === undefined) return;
    this.cancel();
    if (isMissing(body)) this.#arrivals.release(this.#inbound);
    this.#resolve(body);
    this.#resolve = undefined;
  }

  async #readCounted(limit: number): Promise<Body> {
    let bytes: Uint8Array = new Uint8Array(0);
    let size = 0;
    for (;;) {
      const { done, value } = await this.#reader?.read() ?? { done: true };
      if (done) return bytes.subarray(0, size);
      if (!(value instanceof Uint8Array)) throw new TypeError("Give a body of bytes");
      const end = size + value.byteLength;
      if (end > limit) {
        this.stop(TOO_LARGE);
        return TOO_LARGE;
      }
      // A single chunk is used without copying. Several are copied into one buffer, since each small
      // chunk takes far more memory than its bytes.
      if (size === 0) bytes = value;
      else bytes = appended(bytes, size, value, limit);
      size = end;
      if (!this.hold(size)) return NO_ROOM;
    }
  }
}

/**
 * The bodies of one endpoint, from their first byte until their sender is known.
 *
 * They share a budget of bytes. When it is exceeded, the body that has been arriving for longest is
 * refused, so that bodies that nobody completes make room for those that arrive.
 */
export class Arrivals {
  readonly #settings: ArrivalSettings;
  /** The bodies that are being received, oldest first. */
  readonly #line: DelayLine;
  #held = 0;

  /** Creates it; no timer runs until a body is read. */
  constructor(settings: ArrivalSettings, clock: Clock) {
    this.#settings = settings;
    this.#line = new DelayLine(clock, settings.bodyMs);
  }

  /**
   * Reads a body. One that declares a small length takes that from the budget, any other the bytes that
   * have arrived, until {@linkcode release} is called.
   *
   * The HTTP server enforces a declared length, so a small body with one may be read as text. Without an
   * HTTP server the declared length may be wrong: `checkBody` checks the actual one.
   *
   * @returns The body, or the reason why it could not be read, which takes nothing; never rejects
   */
  read(inbound: Inbound): MaybePromise<Body> {
    const { bodyBytes } = this.#settings;
    const declared = declaredLength(inbound);
    if (declared !== undefined && declared > bodyBytes) return TOO_LARGE;
    const arrival = new Arrival(this, inbound);
    this.#line.begin(arrival);
    try {
      if (declared === undefined || declared > MOST_TEXT_BYTES) arrival.readBytes(bodyBytes);
      else if (arrival.hold(declared)) arrival.readText();
    } catch {
      arrival.stop(UNREADABLE);
    }
    return arrival.body;
  }

  /** Takes bytes from the budget; past it, refuses the oldest bodies until there is room. */
  take(bytes: number): void {
    this.#held += bytes;
    while (this.#held > this.#settings.totalBodyBytes) {
      const { oldest } = this.#line;
      if (!(oldest instanceof Arrival)) return;
      oldest.stop(NO_ROOM);
    }
  }

  /** Gives back what a body takes from the budget. Safe to call at any time, more than once. */
  release(inbound: Inbound): void {
    this.#held -= inbound.heldBytes;
    inbound.heldBytes = 0;
  }

  /** Stops the timer, unless a body is being received: its time limit stays. */
  rest(): void {
    this.#line.rest();
  }
}

/** Tells whether a result is the reason why there is no body. */
export function isMissing(body: Body): body is NoBody {
  return typeof body !== "string" && "missing" in body;
}

function appended(bytes: Uint8Array, size: number, chunk: Uint8Array, limit: number): Uint8Array {
  const end = size + chunk.byteLength;
  let target = bytes;
  if (target.byteLength < end) {
    target = new Uint8Array(Math.min(limit, Math.max(end, target.byteLength * 2)));
    target.set(bytes.subarray(0, size));
  }
  target.set(chunk, size);
  return target;
}
