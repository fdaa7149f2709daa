/**
 * Seals the messages of streams and opens them.
 *
 * @module
 */
import type { Sealer } from "../seal.ts";
import { sizedText, textOf } from "./sized_text.ts";

/** The most messages that are remembered until they are read. */
const MOST_MESSAGES = 256;
/** The most characters of these messages. */
const MOST_CHARS = 1024 * 1024;

/** A message that this process has sealed. */
interface OwnMessage {
  readonly session: string;
  readonly stream: string;
  readonly data: string;
}

/**
 * Seals messages, each for its stream, with its size before it. What this process has sealed it need
 * not decrypt: the connection of a stream is mostly at the node that appends to it, and reads each
 * message once, soon.
 */
export class SealedEvents {
  readonly #sealer: Sealer;
  readonly #own = new Map<string, OwnMessage>();
  #chars = 0;

  constructor(sealer: Sealer) {
    this.#sealer = sealer;
  }

  /** Returns the numbers of the messages that are remembered, and of their characters. */
  get size(): { readonly messages: number; readonly chars: number } {
    return { messages: this.#own.size, chars: this.#chars };
  }

  /** Seals a message. */
  seal(session: string, stream: string, data: string): string {
    const text = sizedText(data, this.#sealer.seal(data, "event", session, stream));
    this.#own.set(text, { session, stream, data });
    this.#chars += data.length;
    for (const oldest of this.#own.keys()) {
      if (this.#own.size <= MOST_MESSAGES && this.#chars <= MOST_CHARS) break;
      this.#take(oldest);
    }
    return text;
  }

  /**
   * Opens a message.
   *
   * @throws {Error} If it is not a message of the stream that a node has sealed
   */
  open(session: string, stream: string, text: string): string {
    const own = this.#take(text);
    // It may have been moved from another stream.
    if (own?.session === session && own.stream === stream) return own.data;
    return this.#sealer.open(textOf(text), "event", session, stream);
  }

  #take(text: string): OwnMessage | undefined {
    const own = this.#own.get(text);
    if (own === undefined) return undefined;
    this.#own.delete(text);
    this.#chars -= own.data.length;
    return own;
  }
}
