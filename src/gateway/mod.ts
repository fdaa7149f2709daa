/**
 * Serves any number of MCP servers behind one endpoint.
 *
 * @module
 */
export type { Fetch } from "../auth/mod.ts";
export { gateway } from "./gateway.ts";
export type { Gateway, GatewayStats, ViewOptions } from "./gateway.ts";
export type { GatewayLimits, GatewayOptions } from "./options.ts";
export { definitionDigest } from "./policy/definition.ts";
export type {
  DefinitionOverride,
  EntryRules,
  GatewayPolicy,
  PinnedNames,
  PrincipalFilter,
  PrincipalPolicy,
  PromptRules,
  ResourceRules,
  ToolRules,
  UpstreamPins,
  UpstreamPolicies,
  UpstreamPolicy,
  UseLimiter,
} from "./policy/types.ts";
export { http } from "./upstreams/http.ts";
export type { HttpOptions } from "./upstreams/http.ts";
export type { ForwardHeaders } from "./upstreams/forward_headers.ts";
export type {
  HttpAuth,
  OAuthProvider,
  RefusedToken,
  TokenContext,
  TokenProvider,
} from "./upstreams/http_auth.ts";
export type { UserAuth, UserAuthContext } from "./upstreams/user_auth.ts";
export { SignInRequiredError } from "./shared/sign_in_required.ts";
export { UserAuthError } from "./shared/user_auth_error.ts";
export type { UpstreamSessionOptions } from "./client/session_options.ts";
export type { ShareLimits, ShareOptions } from "./client/share_options.ts";
export { stdio } from "./upstreams/stdio.ts";
export type { StdioUpstreamOptions } from "./upstreams/stdio.ts";
export { UpstreamError } from "./shared/upstream_error.ts";
export type { UpstreamErrorInit, UpstreamFailure } from "./shared/upstream_error.ts";
export { cached } from "./upstreams/cached.ts";
export type { CacheOptions } from "./upstreams/cached.ts";
export { lazy } from "./upstreams/lazy.ts";
export { local } from "./upstreams/local.ts";
export { openapi } from "./upstreams/openapi.ts";
export type { OpenApiLimits, OpenApiOptions } from "./upstreams/openapi.ts";
export type { ApiCredentials } from "./upstreams/openapi_requests.ts";
export type { DocumentSource } from "./openapi/document.ts";
export { sdk } from "./upstreams/sdk.ts";
export type { HostedServer, SdkInit, SdkServer } from "./upstreams/sdk.ts";
export type {
  AloneInit,
  CacheSettings,
  Caller,
  Downstream,
  OpenInit,
  SignInAsker,
  SignInNeed,
  SignInQuestion,
  Upstream,
  UpstreamCall,
  UpstreamFacts,
  UpstreamKind,
  UpstreamMiddleware,
  UpstreamRequest,
  UpstreamSession,
  UpstreamShare,
  UpstreamSignIn,
} from "./types.ts";
