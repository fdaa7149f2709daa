/**
 * Reads a stream of server-sent events (HTML Living Standard, §9.2.6).
 *
 * @module
 */

/** One event. */
export interface SseEvent {
  /** The id that was set since the event before, if one was. */
  readonly id?: string;
  /** Its type, if it has one; an event without is a `message`. */
  readonly event?: string;
  /** Its data: the `data` lines, joined by line feeds. */
  readonly data: string;
  /** The wait before reconnecting, in milliseconds, that was set since the event before, if one was. */
  readonly retry?: number;
}

/** Options for {@linkcode parseEvents}. */
export interface ParseEventsOptions {
  /** Called with each comment, without its colon. */
  readonly onComment?: (text: string) => void;
  /** Called with each wait before reconnecting, in milliseconds, even if no event follows. */
  readonly onRetry?: (ms: number) => void;
  /**
   * Characters that a line, and the data of an event, may have.
   *
   * @default {16777216}
   */
  readonly maxLength?: number;
}

const DEFAULT_MAX_LENGTH = 16 * 1024 * 1024;

/**
 * The events of a body, as they arrive. Leaving the loop early cancels the body; an event that the
 * body's end cuts short is not one.
 *
 * @throws {RangeError} If a line or an event's data is too long
 *
 * @example
 * ```ts
 * import { parseEvents } from "./sse_parser.ts";
 *
 * const { body } = new Response("id: s.1\ndata: {}\n\n");
 * if (body !== null) {
 *   for await (const event of parseEvents(body)) console.assert(event.id === "s.1");
 * }
 * ```
 */
export async function* parseEvents(
  body: ReadableStream<Uint8Array>,
  options: ParseEventsOptions = {},
): AsyncGenerator<SseEvent> {
  const lines = new Lines(options.maxLength ?? DEFAULT_MAX_LENGTH);
  const block = new Block(options);
  const decoder = new TextDecoder();
  const reader = body.getReader();
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      for (const line of lines.push(decoder.decode(value, { stream: true }))) {
        const event = block.push(line);
        if (event !== undefined) yield event;
      }
    }
  } finally {
    // Nobody reads on. How a body that has ended or failed takes that is of no interest.
    reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

/** Cuts text that comes in pieces into lines, ended by LF, CR or both. */
class Lines {
  readonly #maxLength: number;
  /** The pieces of a line that has not ended yet: joined once, when it does. */
  #pieces: string[] = [];
  #length = 0;
  /** Whether the piece before ended with CR, so that LF would belong to it. */
  #afterCr = false;

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  *push(text: string): Generator<string> {
    if (text === "") return;
    let begin = this.#afterCr && text.startsWith("\n") ? 1 : 0;
    this.#afterCr = text.endsWith("\r");
    const ends = /\r\n?|\n/g;
    ends.lastIndex = begin;
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      this.#add(text.slice(begin, end.index));
      begin = ends.lastIndex;
      const line = this.#pieces.join("");
      this.#pieces = [];
      this.#length = 0;
      yield line;
    }
    this.#add(text.slice(begin));
  }

  #add(piece: string): void {
    if (piece === "") return;
    this.#length += piece.length;
    if (this.#length > this.#maxLength) {
      throw new RangeError(`Send lines of at most ${this.#maxLength} characters`);
    }
    this.#pieces.push(piece);
  }
}

/** Gathers the lines of an event. */
class Block {
  readonly #options: ParseEventsOptions;
  readonly #maxLength: number;
  #data: string[] = [];
  #length = 0;
  #event = "";
  #id: string | undefined;
  #retry: number | undefined;

  constructor(options: ParseEventsOptions) {
    this.#options = options;
    this.#maxLength = options.maxLength ?? DEFAULT_MAX_LENGTH;
  }

  /** Takes a line; the empty one ends the event, which is then returned if it has data. */
  push(line: string): SseEvent | undefined {
    if (line === "") return this.#end();
    const colon = line.indexOf(":");
    if (colon === 0) {
      this.#options.onComment?.(line.slice(1));
      return undefined;
    }
    if (colon < 0) this.#field(line, "");
    else {
      const from = line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1;
      this.#field(line.slice(0, colon), line.slice(from));
    }
    return undefined;
  }

  #field(name: string, value: string): void {
    if (name === "data") this.#addData(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) {
      this.#retry = Number(value);
      this.#options.onRetry?.(this.#retry);
    }
  }

  #addData(value: string): void {
    this.#length += value.length + 1;
    if (this.#length > this.#maxLength + 1) {
      throw new RangeError(`Send events of at most ${this.#maxLength} characters`);
    }
    this.#data.push(value);
  }

  #end(): SseEvent | undefined {
    const data = this.#data;
    const event = this.#event;
    this.#event = "";
    if (data.length === 0) return undefined;
    this.#data = [];
    this.#length = 0;
    const id = this.#id;
    const retry = this.#retry;
    this.#id = this.#retry = undefined;
    return {
      ...id !== undefined && { id },
      ...event !== "" && { event },
      data: data.join("\n"),
      ...retry !== undefined && { retry },
    };
  }
}
