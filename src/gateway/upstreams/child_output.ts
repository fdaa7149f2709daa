/**
 * Reports what a child process prints, within bounds.
 *
 * @module
 */
import type { OpenInit } from "../types.ts";
import { Lines } from "../../kit.ts";

/** The most bytes of a line that are reported. */
const MAX_BYTES = 4096;
/** The most lines that are reported in each interval; the others are counted. */
const MAX_LINES = 100;
const INTERVAL_MS = 1000;

/** Reports the lines that one child process prints as `upstream-output` events. */
export class ChildOutput {
  readonly #init: Pick<OpenInit, "clock" | "report" | "name">;
  readonly #lines = new Lines({ maxBytes: MAX_BYTES, cut: true });
  readonly #decoder = new TextDecoder();
  #intervalStart = 0;
  #count = 0;

  constructor(init: Pick<OpenInit, "clock" | "report" | "name">) {
    this.#init = init;
  }

  /** Adds bytes of its stderr. */
  push(chunk: Uint8Array): void {
    for (const line of this.#lines.push(chunk)) this.addLine(line);
  }

  /** Adds a line of any length. */
  addLine(bytes: Uint8Array): void {
    if (bytes.length === 0 || !this.#mayReport()) return;
    this.#report(this.#decoder.decode(bytes.subarray(0, MAX_BYTES)));
  }

  #mayReport(): boolean {
    const now = this.#init.clock.now();
    if (now - this.#intervalStart >= INTERVAL_MS || now < this.#intervalStart) {
      const omitted = this.#count - MAX_LINES;
      if (omitted > 0) this.#report(`… and ${omitted} lines more`);
      this.#intervalStart = now;
      this.#count = 0;
    }
    return ++this.#count <= MAX_LINES;
  }

  #report(text: string): void {
    this.#init.report({ type: "upstream-output", upstream: this.#init.name, text });
  }
}
