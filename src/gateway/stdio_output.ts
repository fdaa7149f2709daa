/**
 * Hands what a child says to its operator on as events, a bounded amount of it.
 *
 * @module
 */
import type { McpEvent } from "../protocol/events.ts";
import { Lines } from "./lines.ts";
import type { OpenInit } from "./types.ts";

/** How much of a line is handed on, in bytes. */
const MOST_BYTES = 4096;
/** How many lines are handed on in each span of time; the others are counted. */
const MOST_LINES = 100;
const SPAN_MS = 1000;

/** The operator's view of one child. */
export class ChildOutput {
  readonly #init: Pick<OpenInit, "clock" | "report" | "name">;
  readonly #lines = new Lines({ maxBytes: MOST_BYTES, cut: true });
  readonly #decoder = new TextDecoder();
  #begun = 0;
  #count = 0;

  constructor(init: Pick<OpenInit, "clock" | "report" | "name">) {
    this.#init = init;
  }

  /** Takes a piece of its stderr. */
  push(chunk: Uint8Array): void {
    for (const line of this.#lines.push(chunk)) this.line(line);
  }

  /** Takes a line, of whatever length. */
  line(bytes: Uint8Array): void {
    if (bytes.length === 0 || !this.#mayTell()) return;
    const text = this.#decoder.decode(bytes.subarray(0, MOST_BYTES));
    this.#report(text);
  }

  #mayTell(): boolean {
    const now = this.#init.clock.now();
    if (now - this.#begun >= SPAN_MS || now < this.#begun) {
      const left = this.#count - MOST_LINES;
      if (left > 0) this.#report(`… and ${left} lines more`);
      this.#begun = now;
      this.#count = 0;
    }
    return ++this.#count <= MOST_LINES;
  }

  #report(text: string): void {
    const event: McpEvent = { type: "upstream-output", upstream: this.#init.name, text };
    this.#init.report(event);
  }
}
