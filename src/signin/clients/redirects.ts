/**
 * The addresses that a client may be answered at.
 *
 * @module
 */
import { isLoopback } from "../../kit.ts";
import { ClientError, type SignInClient } from "./types.ts";

const MOST = 20;
const MOST_CHARACTERS = 2_000;
/** Printable ASCII but what browsers and other programs read differently. */
const PLAIN = /^[!#-;=?-\[\]_a-z~]+$/;
const LOOPBACK = /^http:\/\/(\[[0-9a-f:]+\]|[^/?#:@]+)(?::([0-9]{1,5}))?([/?].*)?$/;
/** Schemes that a browser runs, reads files by, or handles itself. */
const REFUSED_SCHEMES: ReadonlySet<string> = new Set([
  "about:",
  "blob:",
  "chrome:",
  "data:",
  "file:",
  "filesystem:",
  "ftp:",
  "intent:",
  "javascript:",
  "mailto:",
  "sms:",
  "tel:",
  "vbscript:",
  "view-source:",
  "ws:",
  "wss:",
]);

/**
 * Tells whether a client may be answered at an address: at one that it has in the same characters, or at
 * one on loopback over `http:` that differs from its own in the port alone (RFC 8252 section 7.3).
 *
 * @param client The client
 * @param redirectUri The address, as requested
 */
export function redirectAllowed(client: SignInClient, redirectUri: string): boolean {
  if (redirectUri.length > MOST_CHARACTERS || !PLAIN.test(redirectUri)) return false;
  if (client.redirectUris.includes(redirectUri)) return true;
  const asked = withoutPort(redirectUri);
  return asked !== undefined && client.redirectUris.some((own) => withoutPort(own) === asked);
}

/** Returns an address on loopback without its port, or `undefined` for any other. */
function withoutPort(uri: string): string | undefined {
  const [, host = "", port, rest = ""] = LOOPBACK.exec(uri) ?? [];
  if (!isLoopback(host.replace(/^\[(.*)\]$/, "$1"))) return undefined;
  if (port !== undefined && !(Number(port) >= 1 && Number(port) <= 65_535)) return undefined;
  return `${host}${rest}`;
}

/**
 * Returns the addresses that a client gives for itself.
 *
 * @throws {ClientError} `"invalid_redirect_uri"` if there is none, or one that isn't allowed
 */
export function redirectUrisOf(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MOST) {
    throw new ClientError("invalid_redirect_uri", `Give 1 to ${MOST} addresses as redirect_uris`);
  }
  const uris = [...new Set<unknown>(value)];
  for (const uri of uris) {
    const problem = typeof uri === "string" ? redirectProblem(uri) : "is not a string";
    if (problem !== undefined) {
      throw new ClientError("invalid_redirect_uri", `An address of redirect_uris ${problem}`);
    }
  }
  // Checked one by one
  return uris as string[];
}

/** Returns what is wrong with an address, as the end of a sentence. */
function redirectProblem(uri: string): string | undefined {
  if (uri.length > MOST_CHARACTERS) return `has over ${MOST_CHARACTERS} characters`;
  if (uri.includes("#")) return "has a fragment";
  if (!PLAIN.test(uri)) return "has a character that must be written as %XX";
  if (!URL.canParse(uri)) return "is not a URL";
  const { protocol, hostname, username, password } = new URL(uri);
  if (username !== "" || password !== "") return "has a user name or password";
  if (!uri.startsWith(protocol)) return "has a scheme that isn't in lower case";
  if (REFUSED_SCHEMES.has(protocol)) return `has a scheme that isn't allowed: ${protocol}`;
  if (protocol === "http:" && !isLoopback(hostname.replace(/^\[(.*)\]$/, "$1"))) {
    return "is of http: on another host than loopback";
  }
  const special = protocol === "http:" || protocol === "https:";
  if (special && !uri.startsWith(`${protocol}//${hostname}`)) {
    return "has its host in another spelling than URLs do";
  }
  return undefined;
}
