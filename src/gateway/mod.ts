/**
 * Anybody's MCP servers behind one endpoint.
 *
 * @module
 */
export { gateway } from "./gateway.ts";
export type { Gateway, GatewayStats } from "./gateway.ts";
export type { GatewayLimits, GatewayOptions } from "./options.ts";
export { http } from "./http.ts";
export type { ForwardHeaders } from "./forward_headers.ts";
export type {
  Fetch,
  HttpAuth,
  OAuthProvider,
  RefusedToken,
  TokenContext,
  TokenProvider,
} from "./http_auth.ts";
export type { SessionOptions } from "./peer_session.ts";
export type { HttpOptions } from "./http_options.ts";
export { stdio } from "./stdio.ts";
export type { StdioOptions } from "./stdio_options.ts";
export { UpstreamError } from "./upstream_error.ts";
export type { UpstreamErrorInit, UpstreamFailure } from "./upstream_error.ts";
export { local } from "./local.ts";
export { sdk } from "./sdk.ts";
export type { SdkInit, SdkServer } from "./sdk.ts";
export type {
  Downstream,
  OpenInit,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamSession,
} from "./types.ts";
