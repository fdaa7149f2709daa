/**
 * Authenticates requests by bearer tokens, JWTs or token introspection, and publishes the metadata from
 * which clients learn where to get tokens.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { jwt, protectedResource } from "@mooring/mcp/auth";
 *
 * const url = "https://api.example/mcp";
 * const issuer = "https://login.example";
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate: jwt({ issuer, audience: url, jwksUri: `${issuer}/jwks` }),
 *   resource: protectedResource({ resource: url, authorizationServers: [issuer] }),
 * });
 * ```
 *
 * The rights of an authenticated principal are decided by the handler's option `authorize` and by the
 * `scopes` of tools.
 *
 * @module
 */
export { bearer } from "./bearer.ts";
export { Forbidden, Unauthorized, Unavailable } from "./errors.ts";
export { introspection } from "./introspection.ts";
export { jwt } from "./jwt.ts";
export { protectedResource } from "./protected_resource.ts";

export type { Authenticate, BearerOptions } from "./bearer.ts";
export type { DpopOptions, ProofStore } from "./dpop.ts";
export type { ForbiddenOptions, UnauthorizedOptions } from "./errors.ts";
export type { IntrospectionOptions } from "./introspection.ts";
export type { JwkSet, JwtOptions } from "./jwt.ts";
export type { ProtectedResource, ProtectedResourceOptions } from "./protected_resource.ts";
export type { RequestHead, RequestSource } from "../http/inbound.ts";
export type { ImpliedScopes } from "./scopes.ts";
export type { Clock } from "../internal/clock.ts";
export type { Fetch, MaybePromise } from "../internal/types.ts";
export type { Principal } from "../protocol/exchange.ts";
export type { JsonObject } from "../protocol/jsonrpc.ts";
