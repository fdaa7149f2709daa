/**
 * An upstream over Streamable HTTP, in either era.
 *
 * The requests are sent here and not through the official client's `Client` and transport. `Client`
 * holds every result against a schema and drops what it doesn't know. Its transport doesn't tell which
 * request's stream a message came on, so the questions and log messages of two calls at a time would
 * be mixed up, and it takes bodies of any length. Checking every message, a call through them also
 * costs one and a half to two and a half times the processor time. What the official client does
 * better than anybody, OAuth, is left to it (see `http_auth.ts`).
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { headerParamsOf } from "../protocol/header_params.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { VERSIONS } from "../protocol/versions.ts";
import { ownCall } from "./handshake.ts";
import { HttpChannel } from "./http_channel.ts";
import { HeaderParams } from "./http_headers.ts";
import { checkHttpOptions, type HttpOptions, type HttpSettings } from "./http_options.ts";
import { openSession } from "./peer_session.ts";
import type { OpenInit, Upstream, UpstreamCall, UpstreamSession } from "./types.ts";

/** How many pages of tools are looked through for the one that was called. */
const MOST_PAGES = 20;

/**
 * An upstream at a URL. Every session of the gateway gets a session of its own there.
 *
 * @throws {TypeError} If an option is of the wrong kind, or the URL holds credentials
 * @throws {RangeError} If a time is out of range
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
  const settings = checkHttpOptions(options);
  return {
    kind: "http",
    identity: settings.identity,
    open: (init) => open(settings, init),
  };
}

async function open(settings: HttpSettings, init: OpenInit): Promise<UpstreamSession> {
  const params = new HeaderParams(headerParamsOf);
  const channel = new HttpChannel(settings, init, params);
  const session = await openSession(channel, init, {
    ...settings,
    agreed: (version) => channel.agree(version),
  });
  const modern = VERSIONS[session.facts.protocolVersion].era === "2026";
  return modern ? new MirroringSession(session, params, init) : session;
}

/** A session that repeats in headers those arguments that the upstream's tools want there. */
class MirroringSession implements UpstreamSession {
  readonly #session: UpstreamSession;
  readonly #params: HeaderParams;
  readonly #init: OpenInit;

  constructor(session: UpstreamSession, params: HeaderParams, init: OpenInit) {
    this.#session = session;
    this.#params = params;
    this.#init = init;
  }

  get facts(): UpstreamSession["facts"] {
    return this.#session.facts;
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    if (call.method === "tools/list") {
      return this.#params.learn(await this.#session.request(call));
    }
    try {
      return await this.#session.request(call);
    } catch (error) {
      const mismatch = error instanceof McpError && error.code === ErrorCode.HeaderMismatch;
      if (!mismatch || call.method !== "tools/call") throw error;
      // Refused for its headers, the call has not been made.
      await this.#relearn(call.signal);
      return await this.#session.request(call);
    }
  }

  /** Looks through the upstream's tools for what they want repeated. */
  async #relearn(signal: AbortSignal): Promise<void> {
    let cursor: unknown;
    for (let page = 0; page < MOST_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor };
      const result = await this.request(ownCall(this.#init, "tools/list", params, signal));
      cursor = result.nextCursor;
      if (typeof cursor !== "string") return;
    }
  }

  notify(...args: Parameters<UpstreamSession["notify"]>): Promise<void> {
    return this.#session.notify(...args);
  }

  close(): Promise<void> {
    return this.#session.close();
  }
}
