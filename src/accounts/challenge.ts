/**
 * Reads the challenge of an upstream that refuses a request (RFC 6750 §3, RFC 9449 §7.1, RFC 9728 §5.1).
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
  /** Whether tokens that are bound to a key are taken beside others, or nothing else is. */
  readonly bound: "offered" | "required" | undefined;
  /** Whether a proof has to have the nonce of the response. */
  readonly wantsNonce: boolean;
}

/** The most characters of a header that are read, and the most scopes. */
const MOST_CHARS = 8_192;
const MOST_SCOPES = 50;
/** A parameter, or else a word, which may be a scheme. */
const PART = /([\w-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))|([\w-]+)/g;

/** Returns what the `Bearer` and `DPoP` challenges of a response ask for. */
export function challengeOf(response: Response): Challenge {
  const header = (response.headers.get("www-authenticate") ?? "").slice(0, MOST_CHARS);
  const found = { bearer: new Map<string, string>(), dpop: new Map<string, string>() };
  const schemes = new Set<"bearer" | "dpop">();
  let scheme: "bearer" | "dpop" | undefined;
  for (const [, name, quoted, plain, word = ""] of header.matchAll(PART)) {
    const key = (name ?? word).toLowerCase();
    if (name === undefined) {
      if (key === "bearer" || key === "dpop") schemes.add(scheme = key);
      continue;
    }
    if (scheme === undefined || found[scheme].has(key)) continue;
    found[scheme].set(key, quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "");
  }
  const { bearer, dpop } = found;
  const of = (key: string) => bearer.get(key) ?? dpop.get(key);
  return {
    metadataUrl: of("resource_metadata"),
    scopes: scopesIn(of("scope")),
    error: of("error"),
    bound: !schemes.has("dpop") ? undefined : schemes.has("bearer") ? "offered" : "required",
    wantsNonce: dpop.get("error") === "use_dpop_nonce",
  };
}

/** Returns the scopes in a text, without what can't be one (RFC 6749 §3.3). */
export function scopesIn(text: unknown): readonly string[] {
  if (typeof text !== "string") return [];
  const scopes = text.split(" ").filter((scope) => /^[!#-[\]-~]{1,200}$/.test(scope));
  return [...new Set(scopes)].slice(0, MOST_SCOPES);
}
