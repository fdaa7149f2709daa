/**
 * Reaches an upstream over Streamable HTTP, in either era.
 *
 * The official client's `Client` and transport aren't used: `Client` validates every result and drops
 * unknown fields; its transport doesn't relate messages to the request on whose stream they came, so
 * the questions and log messages of concurrent calls would be mixed up, and it doesn't limit the size
 * of bodies. A call through them also costs 1.5 to 2.5 times the processor time. Its OAuth is used
 * (see `http_auth.ts`).
 *
 * @module
 */
import { checkNames } from "../../kit.ts";
import type { Fetch } from "../../auth/mod.ts";
import { functionOption, isModern } from "../../kit.ts";
import { withShare } from "../client/common_sessions.ts";
import { EraMemory } from "../client/era_memory.ts";
import { checkShare, type ShareOptions } from "../client/share_options.ts";
import { openSession } from "../client/open_session.ts";
import {
  checkSessionOptions,
  type SessionSettings,
  type UpstreamSessionOptions,
} from "../client/session_options.ts";
import { HOPS_HEADER } from "../shared/hops.ts";
import type { OpenInit, Upstream, UpstreamSession } from "../types.ts";
import { checkForwardHeaders, type ForwardHeaders } from "./forward_headers.ts";
import { checkAuth, type HttpAuth } from "./http_auth.ts";
import { isUserAuth, signInOf, usersByAuth } from "./user_auth.ts";
import type { HttpTarget } from "./http_requests.ts";
import { HttpTransport } from "./http_transport.ts";
import { identityOf } from "./identity.ts";
import { HeaderParams, MirroringSession } from "./mirrored_headers.ts";

/** Options for {@linkcode http}. */
export interface HttpOptions extends UpstreamSessionOptions, ShareOptions {
  /** Sets the upstream's `http:` or `https:` URL, without a user and password. */
  readonly url: string | URL;
  /** Adds headers to every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Authorizes requests: a bearer token, a function that returns one for each request, or an
   * `AuthProvider` or `OAuthClientProvider` of `@modelcontextprotocol/client`, or each user's own account
   * (`accounts().auth()` of `@mooring/mcp/accounts`). The client's own
   * credentials are only forwarded by {@linkcode HttpOptions.forwardHeaders}.
   */
  readonly auth?: HttpAuth;
  /**
   * Names the headers of the client's request to forward; none by default. Headers about connections,
   * sessions, credentials and addresses are rejected here. Control characters are removed from
   * values, which are truncated to 4,096 characters.
   */
  readonly forwardHeaders?: ForwardHeaders;
  /**
   * Sends the requests. By default the global `fetch` does, looked up for each request. Pass another
   * for connection pools, proxies, client certificates or other time limits.
   *
   * @default {globalThis.fetch}
   */
  readonly fetch?: Fetch;
}

/** {@linkcode HttpOptions}, checked. */
interface HttpSettings extends SessionSettings, HttpTarget {
  readonly identity: string;
}

/**
 * Creates an upstream at a URL. Every session of the gateway gets its own session there, unless the
 * option `share` says otherwise.
 *
 * @throws {TypeError} If an option has the wrong type, or the URL contains credentials
 * @throws {RangeError} If a time limit is out of range
 *
 * @example
 * ```ts
 * import { http } from "@mooring/mcp/gateway";
 *
 * const search = http({
 *   url: "https://search.example/mcp",
 *   auth: ({ principal }) => `token-of-${principal.id}`,
 *   forwardHeaders: ["x-request-id"],
 * });
 * console.assert(search.kind === "http");
 * ```
 */
export function http(options: HttpOptions): Upstream {
  checkNames("http()", options, {
    versions: true,
    timeoutMs: true,
    probeTimeoutMs: true,
    longCalls: true,
    url: true,
    headers: true,
    auth: true,
    forwardHeaders: true,
    fetch: true,
    share: true,
    shareLimits: true,
  });
  const settings = checkHttpOptions(options);
  const share = checkShare("http()", options);
  if (share?.share === "all") checkForAll(settings);
  const eras = new EraMemory();
  return withShare({
    kind: "http",
    identity: settings.identity,
    signIn: signInOf(settings.auth),
    forwards: [...settings.forwarded.keys()],
    usersBy: usersByAuth(settings.auth),
    longCalls: () => settings.longCalls,
    open: (init) =>
      eras.open({
        ...settings,
        ...init,
        attempt: (versions, onSilent) => open({ ...settings, versions }, init, onSilent),
      }),
  }, share);
}

/**
 * Checks that nothing sent to the upstream is one user's.
 *
 * @throws {TypeError} If something is
 */
function checkForAll({ auth, forwarded }: HttpSettings): void {
  if (forwarded.size > 0) {
    throw new TypeError(
      'Leave out "forwardHeaders", or give "share": "user": headers are a user\'s',
    );
  }
  if (typeof auth === "function") {
    throw new TypeError('Give "share": "user" with a function as "auth": its tokens are a user\'s');
  }
  if (isUserAuth(auth)) {
    throw new TypeError('Give "share": "user" with accounts as "auth": each user has their own');
  }
}

async function open(
  settings: HttpSettings,
  init: OpenInit,
  onSilent: () => void,
): Promise<UpstreamSession> {
  const params = new HeaderParams();
  const transport = new HttpTransport(settings, init, params);
  const session = await openSession(transport, init, {
    ...settings,
    onVersion: (version) => transport.setVersion(version),
    onSilent,
  });
  if (!isModern(session.facts.protocolVersion)) return session;
  return new MirroringSession(session, params, init);
}

/** The headers that the transport sets itself. */
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
 * Checks options and copies them, so that later changes to the object have no effect.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
function checkHttpOptions(options: HttpOptions): HttpSettings {
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
    fetch: fetch ?? globalFetch,
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

/** Sends a request by the global `fetch` of this moment, which the application may replace. */
const globalFetch: Fetch = (url, init) => globalThis.fetch(url, init);

/**
 * Checks the URL of an upstream, and returns it without a fragment.
 *
 * @param option The name of the option, for errors
 * @throws {TypeError} If it isn't a URL of HTTP, or contains credentials
 */
export function checkUrl(given: string | URL, option = "url"): URL {
  const url = URL.parse(String(given));
  // The messages omit the URL, which may contain a password or a key.
  if (url === null) throw new TypeError(`Give an absolute URL as "${option}"`);
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(`Give an http: or https: URL as "${option}": ${url.protocol}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError(`Give credentials as "auth", not in the "${option}"`);
  }
  url.hash = "";
  return url;
}

/**
 * Checks headers for every request, and returns them with names in lower case.
 *
 * @throws {TypeError} If a name or value isn't valid, or the header is set otherwise
 */
export function checkHeaders(
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(given)) {
    const lower = name.toLowerCase();
    if (!NAME.test(lower)) throw new TypeError(`Give names of headers as "headers": ${name}`);
    if (RESERVED.has(lower) || lower.startsWith("mcp-")) {
      throw new TypeError(`Leave a header that the transport sets out of "headers": ${lower}`);
    }
    if (typeof value !== "string" || !VALUE.test(value)) {
      throw new TypeError(`Give at most 4096 printable characters as the header "${lower}"`);
    }
    headers[lower] = value;
  }
  return headers;
}
