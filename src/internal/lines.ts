/**
 * Splits chunks of bytes into lines of a bounded length.
 *
 * @module
 */

const LF = 0x0a;
const CR = 0x0d;

/** The number of bytes that are kept of the end of a truncated line. */
const END_BYTES = 256;

/** Options for {@linkcode Lines}. */
export interface LinesOptions {
  /** The most bytes of a line, without its end. */
  readonly maxBytes: number;
  /**
   * Truncates a line that is too long, instead of throwing.
   *
   * @default {false}
   */
  readonly cut?: boolean;
}

/** Splits bytes into lines that end with LF or CRLF. Buffers an incomplete line, within the bound. */
export class Lines {
  readonly #maxBytes: number;
  readonly #cut: boolean;
  #pieces: Uint8Array[] = [];
  #length = 0;
  /** The last bytes of the line, if its rest is skipped. */
  #skipped: Uint8Array | undefined;
  #cutEnd: Uint8Array | undefined;

  constructor({ maxBytes, cut = false }: LinesOptions) {
    this.#maxBytes = maxBytes;
    this.#cut = cut;
  }

  /** The last bytes, at most 256, of the line that was yielded last, if it was truncated. */
  get cutEnd(): Uint8Array | undefined {
    return this.#cutEnd;
  }

  /** Returns the incomplete line at the end of the input; empty if there is none. */
  rest(): Uint8Array {
    return this.#take();
  }

  /**
   * Adds a chunk and yields the lines that end in it.
   *
   * @throws {RangeError} If a line is too long and `cut` is off
   */
  *push(chunk: Uint8Array): Generator<Uint8Array> {
    let begin = 0;
    for (let end = chunk.indexOf(LF); end >= 0; end = chunk.indexOf(LF, begin)) {
      this.#add(chunk.subarray(begin, end));
      begin = end + 1;
      yield this.#take();
    }
    this.#add(chunk.subarray(begin));
  }

  #add(piece: Uint8Array): void {
    if (piece.length === 0) return;
    if (this.#skipped !== undefined) return this.#skip(piece);
    const room = this.#maxBytes - this.#length;
    if (piece.length > room) {
      if (!this.#cut) throw new RangeError(`Send lines of at most ${this.#maxBytes} bytes`);
      this.#skip(piece);
      piece = piece.subarray(0, room);
    }
    this.#length += piece.length;
    this.#pieces.push(piece);
  }

  #skip(piece: Uint8Array): void {
    const before = this.#skipped ?? new Uint8Array();
    const last = piece.subarray(-END_BYTES);
    this.#skipped = joined([before, last], before.length + last.length).slice(-END_BYTES);
  }

  #take(): Uint8Array {
    const line = joined(this.#pieces, this.#length);
    this.#cutEnd = this.#skipped;
    this.#pieces = [];
    this.#length = 0;
    this.#skipped = undefined;
    return line.at(-1) === CR ? line.subarray(0, -1) : line;
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
