/**
 * Keeps secrets out of everything that is written.
 *
 * @module
 */

/** Takes the secrets out of a text. */
export type Redact = (text: string) => string;

/** Shorter texts are no secrets, and would take words out of every line. */
const SHORTEST = 6;

/** How many are known at a time. A file that is changed again and again brings new ones. */
const MOST = 10_000;

/** Secrets, as they become known, and what replaces them. */
export class Secrets {
  readonly #known = new Set<string>();
  /** The longest first, so that none is left half covered by a shorter one. */
  #ordered: readonly string[] | undefined;

  /** Learns secrets, also as they look in JSON and in URLs. */
  add(secrets: Iterable<string>): void {
    for (const secret of secrets) {
      if (secret.length < SHORTEST) continue;
      for (const form of [secret, JSON.stringify(secret).slice(1, -1), encoded(secret)]) {
        this.#known.delete(form);
        this.#known.add(form);
      }
    }
    for (const oldest of this.#known) {
      if (this.#known.size <= MOST) break;
      this.#known.delete(oldest);
    }
    this.#ordered = undefined;
  }

  /** Replaces every secret in a text. */
  readonly redact: Redact = (text) => {
    this.#ordered ??= [...this.#known].sort((a, b) => b.length - a.length);
    let clean = text;
    for (const secret of this.#ordered) clean = clean.replaceAll(secret, "[secret]");
    return clean;
  };
}

function encoded(secret: string): string {
  return encodeURIComponent(secret.toWellFormed());
}
