/**
 * Publishes where clients get tokens for an endpoint: protected resource metadata at a well-known path,
 * and its URL in challenges (RFC 9728).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { isSamePath, pathOf } from "../http/gates/path.ts";
import type { RequestHead } from "../http/inbound.ts";
import { isReply, type Reply, reply } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import { bearerChallenge } from "./challenge.ts";
import { stringOption, stringsOption } from "./check.ts";
import { DPOP_ALGORITHMS } from "./dpop_algorithms.ts";
import { checkScopes } from "./scopes.ts";

/** Options for {@linkcode protectedResource}. */
export interface ProtectedResourceOptions {
  /**
   * The endpoint's URL, exactly as clients request tokens for it (RFC 8707). Its path is the one that
   * clients use, even if a proxy rewrites it.
   */
  readonly resource: string;
  /** The issuers of authorization servers that issue tokens for it: at least one. */
  readonly authorizationServers: readonly string[];
  /**
   * The scopes that every client needs, and requests first. Leave out the scopes of single tools: a
   * challenge names them when they are needed.
   */
  readonly scopes?: readonly string[];
  /**
   * Whether tokens may be bound to a key of the client (DPoP, RFC 9449), or must be: as the option `dpop` of
   * `jwt` or `introspection`.
   */
  readonly dpop?: "accept" | "require";
  /** The endpoint's name for people. */
  readonly name?: string;
  /** The URL of its documentation for people. */
  readonly documentation?: string;
  /** Additional members of the metadata (RFC 9728 §2). */
  readonly metadata?: JsonObject;
}

/** The protected resource metadata of an endpoint: the type of a handler's option `resource`. */
export interface ProtectedResource {
  /** The metadata. */
  readonly metadata: JsonObject;
  /** The URL of the metadata, which challenges name. */
  readonly metadataUrl: string;
  /** The challenge that names the metadata: the value of a WWW-Authenticate header. */
  readonly challenge: string;
  /**
   * Answers a request for the metadata as data; returns `undefined` for other requests. A handler calls
   * this before anything else.
   */
  reply(request: RequestHead): Reply | undefined;
  /**
   * Answers a request for the metadata; returns `undefined` for other requests. Call it yourself if the
   * well-known path is not routed to the handler.
   */
  respond(request: Request): Response | undefined;
}

/**
 * Answers a request for the metadata of an endpoint with the option `resource`; `undefined` to every
 * other request.
 *
 * @throws {TypeError} If the application's object returns anything but a reply or `undefined`
 */
export function resourceReply(
  resource: ProtectedResource,
  request: RequestHead,
): Reply | undefined {
  const reply: unknown = resource.reply(request);
  if (reply === undefined || isReply(reply)) return reply;
  throw new TypeError(`Return a reply or undefined from resource.reply: ${typeof reply}`);
}

const WELL_KNOWN = "/.well-known/oauth-protected-resource";
/** Allows every origin: the metadata is public. */
const CORS = { "access-control-allow-origin": "*" };
const METHODS = "GET, HEAD, OPTIONS";

/**
 * Creates the protected resource metadata of an endpoint. A handler with the option `resource` serves it
 * without authentication, both at the well-known path of the endpoint
 * (`/.well-known/oauth-protected-resource/mcp` for `/mcp`) and at that of the host, and names its URL in
 * every challenge as `resource_metadata`.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { bearer, protectedResource } from "@mooring/mcp/auth";
 *
 * const resource = protectedResource({
 *   resource: "https://api.example/mcp",
 *   authorizationServers: ["https://login.example"],
 *   scopes: ["notes:read"],
 * });
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   path: "/mcp",
 *   resource,
 *   authenticate: bearer({ verify: () => undefined }),
 * });
 *
 * const { status, headers } = await handler(
 *   new Request("https://api.example/mcp", { method: "DELETE" }),
 * );
 * console.assert(status === 401);
 * console.assert(headers.get("www-authenticate")?.includes(`resource_metadata="${resource.metadataUrl}"`));
 *
 * const found = await handler(new Request(resource.metadataUrl));
 * console.assert((await found.json()).authorization_servers[0] === "https://login.example");
 * ```
 *
 * @throws {TypeError} If an option is missing or has the wrong type
 */
export function protectedResource(options: ProtectedResourceOptions): ProtectedResource {
  checkNames("protectedResource()", options, {
    resource: true,
    authorizationServers: true,
    scopes: true,
    dpop: true,
    name: true,
    documentation: true,
    metadata: true,
  });
  const { scopes, dpop, name, documentation } = options;
  const resource = stringOption("resource", options.resource);
  const url = URL.parse(resource);
  if (url === null || !/^https?:$/.test(url.protocol) || resource.includes("#")) {
    throw new TypeError(`Give a URL without a fragment as "resource": ${resource}`);
  }
  const servers = stringsOption("authorizationServers", options.authorizationServers);
  for (const server of servers) {
    if (/^https?:/.test(URL.parse(server)?.protocol ?? "")) continue;
    throw new TypeError(`Give URLs as "authorizationServers": ${server}`);
  }
  if (scopes !== undefined) checkScopes("scopes", scopes);
  if (dpop !== undefined && dpop !== "accept" && dpop !== "require") {
    throw new TypeError(`Give "accept" or "require" as "dpop": ${String(dpop)}`);
  }
  const metadata: JsonObject = Object.freeze({
    ...options.metadata,
    resource,
    authorization_servers: servers,
    ...scopes !== undefined && { scopes_supported: [...scopes] },
    bearer_methods_supported: ["header"],
    ...dpop !== undefined && {
      dpop_signing_alg_values_supported: DPOP_ALGORITHMS,
      dpop_bound_access_tokens_required: dpop === "require",
    },
    ...name !== undefined && { resource_name: stringOption("name", name) },
    ...documentation !== undefined && {
      resource_documentation: stringOption("documentation", documentation),
    },
  });
  const path = `${WELL_KNOWN}${url.pathname === "/" ? "" : url.pathname}`;
  const metadataUrl = `${url.origin}${path}${url.search}`;
  const text = JSON.stringify(metadata);
  const replyTo = (request: RequestHead): Reply | undefined => {
    const asked = pathOf(request.url);
    return isSamePath(asked, path) || isSamePath(asked, WELL_KNOWN)
      ? answer(request, text)
      : undefined;
  };
  return {
    metadata,
    metadataUrl,
    challenge: bearerChallenge({ resourceMetadata: metadataUrl }),
    reply: replyTo,
    respond(request) {
      const described = replyTo(request);
      return described && respond(described);
    },
  };
}

function answer({ method, headers: asked }: RequestHead, text: string): Reply {
  if (method === "GET" || method === "HEAD") {
    const headers = {
      ...CORS,
      "content-type": "application/json",
      "cache-control": "public, max-age=3600",
    };
    return reply(200, headers, method === "GET" ? text : null);
  }
  if (method !== "OPTIONS") return reply(405, { allow: METHODS }, null);
  // Official clients send MCP-Protocol-Version, which makes browsers send a preflight.
  const wanted = asked.get("access-control-request-headers");
  const headers = {
    ...CORS,
    "allow": METHODS,
    "access-control-allow-methods": "GET",
    "access-control-max-age": "3600",
    "vary": "Access-Control-Request-Headers",
    ...wanted !== null && { "access-control-allow-headers": wanted },
  };
  return reply(204, headers, null);
}
