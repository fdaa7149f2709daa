/**
 * The options of an upstream over HTTP.
 *
 * @module
 */
import { functionOption } from "../internal/check.ts";
import { defaultFetch } from "./default_fetch.ts";
import { checkForwardHeaders, type ForwardHeaders } from "./forward_headers.ts";
import { checkAuth, type Fetch, type HttpAuth } from "./http_auth.ts";
import { HOPS_HEADER } from "./hops.ts";
import { identityOf } from "./identity.ts";
import { checkSessionOptions, type SessionOptions, type SessionSettings } from "./peer_session.ts";

/** Options for {@linkcode http}. */
export interface HttpOptions extends SessionOptions {
  /** Where the upstream is: an `http:` or `https:` URL without a user and password. */
  readonly url: string | URL;
  /** Headers that every request carries. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * What requests are authorized by: a bearer token, a function that gives one for each request, or
   * an `AuthProvider` or `OAuthClientProvider` of `@modelcontextprotocol/client`. The client's own
   * login is never handed on but by {@linkcode HttpOptions.forwardHeaders}.
   */
  readonly auth?: HttpAuth;
  /**
   * Headers of the client's request that the upstream gets too; none when left out. Headers about
   * connections, sessions, logins and addresses are refused here. Values lose their control characters
   * and what is beyond 4,096 characters.
   */
  readonly forwardHeaders?: ForwardHeaders;
  /**
   * Sends the requests. When left out they are sent as the global `fetch` sends them; on Node by
   * `node:http` and connections of their own, unless `fetch` was replaced or given a dispatcher.
   *
   * @default {fetch}
   */
  readonly fetch?: Fetch;
}

/** {@linkcode HttpOptions}, checked. */
export interface HttpSettings extends SessionSettings {
  readonly url: string;
  readonly origin: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: HttpAuth | undefined;
  readonly forwarded: ReadonlyMap<string, string>;
  readonly fetch: Fetch;
  readonly identity: string;
}

/** What the transport says by itself. Anything else the operator may say in his own name. */
const RESERVED: ReadonlySet<string> = new Set([
  "accept",
  "connection",
  "content-length",
  "content-type",
  "host",
  "keep-alive",
  "last-event-id",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  HOPS_HEADER,
]);

const NAME = /^[!#$%&'*+.^`|~0-9a-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]{0,4096}$/;

/**
 * Checks options and keeps what they say now, whatever happens to the object.
 *
 * @throws {TypeError} If one is of the wrong kind
 * @throws {RangeError} If a number is out of range
 */
export function checkHttpOptions(options: HttpOptions): HttpSettings {
  const url = checkUrl(options.url);
  const headers = checkHeaders(options.headers ?? {});
  const { auth } = options;
  checkAuth(auth);
  const forwarded = checkForwardHeaders(options.forwardHeaders);
  if (auth !== undefined) {
    const others = [...Object.keys(headers), ...forwarded.values()];
    if (others.includes("authorization")) {
      throw new TypeError('Give either "auth" or an authorization header');
    }
  }
  const fetch = functionOption("fetch", options.fetch);
  const session = checkSessionOptions(options);
  return {
    ...session,
    url: url.href,
    origin: url.origin,
    headers,
    auth,
    forwarded,
    fetch: fetch ?? defaultFetch,
    identity: identityOf("http", [
      url.href,
      Object.entries(headers).sort(),
      auth,
      [...forwarded].sort(),
      fetch,
      session,
    ]),
  };
}

function checkUrl(given: string | URL): URL {
  const url = URL.parse(String(given));
  // The value is in no message: it may hold a password or a key.
  if (url === null) throw new TypeError('Give a whole URL as "url"');
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`Give an http: or https: URL as "url": ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError('Give credentials as "auth", not in the "url"');
  }
  url.hash = "";
  return url;
}

function checkHeaders(given: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase();
    if (!NAME.test(lower)) throw new TypeError(`Give names of headers as "headers": ${name}`);
    if (RESERVED.has(lower) || lower.startsWith("mcp-")) {
      throw new TypeError(`Leave a header that is set here out of "headers": ${lower}`);
    }
    if (typeof value !== "string" || !VALUE.test(value)) {
      throw new TypeError(`Give at most 4096 printable characters as the header "${lower}"`);
    }
    headers[lower] = value;
  }
  return headers;
}
