/**
 * Reads the challenge of an upstream that refuses a request (RFC 6750 §3, RFC 9728 §5.1).
 *
 * @module
 */

/** What a challenge asks for. */
export interface Challenge {
  /** The URL of the protected resource metadata. */
  readonly metadataUrl: string | undefined;
  /** The scopes; empty if none are named. */
  readonly scopes: readonly string[];
  /** The error code. */
  readonly error: string | undefined;
}

/** The most characters of a header that are read, and the most scopes. */
const MOST_CHARS = 8_192;
const MOST_SCOPES = 50;
const PARAMETER = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g;

/** Returns what the `Bearer` challenge of a response asks for. */
export function challengeOf(response: Response): Challenge {
  const header = (response.headers.get("www-authenticate") ?? "").slice(0, MOST_CHARS);
  const at = header.search(/(?:^|[\s,])Bearer(?:\s|$)/i);
  const found = new Map<string, string>();
  if (at >= 0) {
    for (const [, name = "", quoted, plain] of header.slice(at).matchAll(PARAMETER)) {
      const key = name.toLowerCase();
      if (!found.has(key)) found.set(key, quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "");
    }
  }
  return {
    metadataUrl: found.get("resource_metadata"),
    scopes: scopesIn(found.get("scope")),
    error: found.get("error"),
  };
}

/** Returns the scopes in a text, without what can't be one (RFC 6749 §3.3). */
export function scopesIn(text: unknown): readonly string[] {
  if (typeof text !== "string") return [];
  const scopes = text.split(" ").filter((scope) => /^[!#-[\]-~]{1,200}$/.test(scope));
  return [...new Set(scopes)].slice(0, MOST_SCOPES);
}
