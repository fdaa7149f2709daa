/**
 * Replaces secrets in everything that is written.
 *
 * @module
 */

/** Replaces the secrets in a text. */
export type Redact = (text: string) => string;

/** Characters that a secret must have: replacing shorter ones would garble every line. */
const MIN_LENGTH = 6;

/** Texts that are known at a time. A file that changes again and again brings new ones. */
const MAX_KNOWN = 10_000;

/** The secrets that are known. */
export class Secrets {
  readonly #known = new Set<string>();
  /** The longest first, so that a shorter one doesn't leave half of it. */
  #ordered: readonly string[] | undefined;

  /** Adds secrets, and how they look in JSON and in URLs. */
  add(secrets: Iterable<string>): void {
    for (const secret of secrets) {
      if (secret.length < MIN_LENGTH) continue;
      for (const form of [secret, JSON.stringify(secret).slice(1, -1), encoded(secret)]) {
        this.#known.delete(form);
        this.#known.add(form);
      }
    }
    for (const oldest of this.#known) {
      if (this.#known.size <= MAX_KNOWN) break;
      this.#known.delete(oldest);
    }
    this.#ordered = undefined;
  }

  /** Replaces every known secret in a text. */
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
