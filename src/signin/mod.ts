/**
 * Signs users in: an authorization server for MCP clients, in front of the identity provider that there is.
 *
 * @module
 */
export { signIn } from "./sign_in.ts";
export type {
  BrowserUsers,
  Grant,
  GrantEndReason,
  Grants,
  SignedInUser,
  SignIn,
  SignInEvent,
  SignInGuard,
  SignInLifetimes,
  SignInOptions,
  SignInStep,
} from "./types.ts";
export { ClientError } from "./clients/types.ts";
export type { IdJagClient, IdJagProvider } from "./assertions/types.ts";
export type {
  ClientErrorCode,
  ClientKind,
  ConfiguredClient,
  DocumentOptions,
  RegistrationOptions,
  SignInClient,
} from "./clients/types.ts";
export { github } from "./providers/github.ts";
export type { GithubOptions } from "./providers/github.ts";
export type { ProviderHttpOptions } from "./providers/http.ts";
export { oidc } from "./providers/oidc.ts";
export type { OidcOptions } from "./providers/oidc.ts";
export { auth0, entra, google, keycloak, okta } from "./providers/presets.ts";
export type {
  Auth0Options,
  EntraOptions,
  GoogleOptions,
  KeycloakOptions,
  OktaOptions,
  PresetOptions,
} from "./providers/presets.ts";
export { ProviderError } from "./providers/types.ts";
export type {
  LoginRequest,
  Provider,
  ProviderErrorReason,
  ProviderLogin,
} from "./providers/types.ts";
export type { Clock } from "../../mod.ts";
