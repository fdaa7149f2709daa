/**
 * Keeps the state of a session or a user: JSON values by key, within a number of bytes.
 *
 * @module
 */
import { utf8Length } from "../internal/utf8.ts";

/** The maximum number of bytes of a session's keys and values, unless an option says otherwise. */
export const STATE_BYTES = 65_536;

/** JSON values by key. They are kept as text, so that callers share no objects with the session. */
export class StateValues {
  readonly #texts = new Map<string, string>();
  #bytes = 0;

  /** Creates values from what {@linkcode entries} returned. */
  constructor(entries: Iterable<readonly [key: string, text: string]> = []) {
    for (const [key, text] of entries) {
      this.#texts.set(key, text);
      this.#bytes += utf8Length(key) + utf8Length(text);
    }
  }

  /** The number of keys. */
  get size(): number {
    return this.#texts.size;
  }

  /** Returns each key with its value as JSON text. */
  entries(): readonly (readonly [key: string, text: string])[] {
    return [...this.#texts];
  }

  /** Whether a key has a value. */
  has(key: string): boolean {
    return this.#texts.has(key);
  }

  /** Returns a copy of a value, or `undefined`. */
  get(key: string): unknown {
    const text = this.#texts.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /**
   * Sets the value of a key; `undefined` deletes the key.
   *
   * @param most The maximum number of bytes of all keys and values, as JSON in UTF-8
   * @throws {TypeError} If the value can't be written as JSON
   * @throws {RangeError} If there would be more bytes, and more than before
   */
  set(key: string, value: unknown, most: number): void {
    if (value === undefined) return this.delete(key);
    if (!this.setText(key, stateText(value), most)) throw stateFull(most);
  }

  /**
   * Sets the value of a key to a JSON text.
   *
   * @param most The maximum number of bytes of all keys and values, as JSON in UTF-8
   * @returns `false`, and sets nothing, if there would be more bytes, and more than before
   */
  setText(key: string, text: string, most: number): boolean {
    const before = this.#sizeOf(key);
    const after = utf8Length(key) + utf8Length(text);
    const bytes = this.#bytes - before + after;
    if (after > before && bytes > most) return false;
    this.#texts.set(key, text);
    this.#bytes = bytes;
    return true;
  }

  /** Deletes a key. */
  delete(key: string): void {
    this.#bytes -= this.#sizeOf(key);
    this.#texts.delete(key);
  }

  #sizeOf(key: string): number {
    const text = this.#texts.get(key);
    return text === undefined ? 0 : utf8Length(key) + utf8Length(text);
  }
}

/**
 * Writes a value of a state as text.
 *
 * @param of Whose state it is, for the error
 * @throws {TypeError} If it can't be written as JSON
 */
export function stateText(value: unknown, of = "session"): string {
  const text: string | undefined = JSON.stringify(value);
  if (text !== undefined) return text;
  throw new TypeError(`Give a JSON value as ${of} state: ${typeof value}`);
}

/** Creates the error for state that would take too many bytes. */
export function stateFull(most: number): RangeError {
  return new RangeError(`Keep less session state: at most ${most} bytes`);
}
