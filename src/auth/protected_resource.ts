/**
 * Tells clients where to get tokens for an endpoint: its metadata at a well-known path, and the
 * challenges that point there (RFC 9728).
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { pathOf } from "../http/gates/path.ts";
import { type Reply, reply } from "../http/reply.ts";
import { respond } from "../http/respond.ts";
import { bearerChallenge } from "./challenge.ts";
import { textOption, textsOption } from "./check.ts";
import { checkScopes } from "./scopes.ts";

/** Options for {@linkcode protectedResource}. */
export interface ProtectedResourceOptions {
  /**
   * The endpoint's URL, exactly as clients are to ask tokens for it (RFC 8707). Its path is the one
   * that clients call, also where a proxy changes it on the way.
   */
  readonly resource: string;
  /** The issuers of authorization servers that give tokens for it: at least one. */
  readonly authorizationServers: readonly string[];
  /**
   * The scopes that everybody needs for a start: what clients ask for unless a challenge says more.
   * Scopes of single tools are better left to the moment when they are needed.
   */
  readonly scopes?: readonly string[];
  /** The endpoint's name for people. */
  readonly name?: string;
  /** Where people read about it. */
  readonly documentation?: string;
  /** Anything else that the metadata should say (RFC 9728 §2). */
  readonly metadata?: JsonObject;
}

/** An endpoint's description of itself as a protected resource: a handler's option `resource`. */
export interface ProtectedResource {
  /** What is served. */
  readonly metadata: JsonObject;
  /** Where it is served, as challenges say. */
  readonly metadataUrl: string;
  /** What every challenge says. */
  readonly challenge: string;
  /**
   * Answers a request for the metadata as data; `undefined` to every other request. A handler with this
   * option calls it first.
   */
  reply(request: Request): Reply | undefined;
  /**
   * Answers a request for the metadata; `undefined` to every other request. Call it yourself where the
   * well-known path doesn't lead to the handler.
   */
  respond(request: Request): Response | undefined;
}

const WELL_KNOWN = "/.well-known/oauth-protected-resource";
/** Everybody may read it, from every page: it says nothing that isn't public. */
const CORS = { "access-control-allow-origin": "*" };
const METHODS = "GET, HEAD, OPTIONS";

/**
 * Describes an endpoint as a protected resource. Given to a handler as the option `resource`, the
 * description is served without authentication, both at the well-known path of the endpoint
 * (`/.well-known/oauth-protected-resource/mcp` for `/mcp`) and at that of its host, and every
 * challenge of the handler names it as `resource_metadata`.
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
  const { scopes, name, documentation } = options;
  const resource = textOption("resource", options.resource);
  const url = URL.parse(resource);
  if (url === null || !/^https?:$/.test(url.protocol) || resource.includes("#")) {
    throw new TypeError(`Give a URL without a fragment as "resource": ${resource}`);
  }
  const servers = textsOption("authorizationServers", options.authorizationServers);
  for (const server of servers) {
    if (/^https?:/.test(URL.parse(server)?.protocol ?? "")) continue;
    throw new TypeError(`Give URLs as "authorizationServers": ${server}`);
  }
  if (scopes !== undefined) checkScopes("scopes", scopes);
  const metadata: JsonObject = Object.freeze({
    ...options.metadata,
    resource,
    authorization_servers: servers,
    ...scopes !== undefined && { scopes_supported: [...scopes] },
    bearer_methods_supported: ["header"],
    ...name !== undefined && { resource_name: textOption("name", name) },
    ...documentation !== undefined && {
      resource_documentation: textOption("documentation", documentation),
    },
  });
  const path = `${WELL_KNOWN}${url.pathname === "/" ? "" : url.pathname}`;
  const metadataUrl = `${url.origin}${path}${url.search}`;
  const text = JSON.stringify(metadata);
  const replyTo = (request: Request): Reply | undefined => {
    const asked = pathOf(request.url);
    return asked === path || asked === WELL_KNOWN ? answer(request, text) : undefined;
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

function answer({ method, headers: asked }: Request, text: string): Reply {
  if (method === "GET" || method === "HEAD") {
    const headers = {
      ...CORS,
      "content-type": "application/json",
      "cache-control": "public, max-age=3600",
    };
    return reply(200, headers, method === "GET" ? text : null);
  }
  if (method !== "OPTIONS") return reply(405, { allow: METHODS }, null);
  // Official clients send MCP-Protocol-Version, which makes browsers ask first.
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
