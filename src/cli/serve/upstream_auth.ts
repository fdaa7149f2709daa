/**
 * Makes what authorizes the requests to a server by a grant of the file, without asking users.
 *
 * @module
 */
import {
  clientCredentials,
  idJag,
  type SubjectTokenSource,
  tokenExchange,
  type UserAuth,
} from "../../accounts/mod.ts";
import type { Principal } from "../../../mod.ts";
import type { GRANTS } from "../config/oauth.ts";

/** The type of ID tokens (RFC 8693 §3). */
const ID_TOKEN = "urn:ietf:params:oauth:token-type:id_token";

/** How this server is a client of an authorization server, by the file. */
interface OAuthClientConfig {
  readonly clientId?: string | undefined;
  readonly clientSecret?: string | undefined;
  readonly privateKey?: string | Readonly<Record<string, unknown>> | undefined;
  readonly algorithm?: string | undefined;
  readonly issuer?: string | undefined;
}

/** The `oauth` of a server with a grant. */
export interface GrantConfig extends OAuthClientConfig {
  readonly grant: typeof GRANTS[number];
  readonly scopes?: readonly string[] | undefined;
  readonly audience?: string | undefined;
  /** Whose token is exchanged: that of the client's request, or the ID token of the login here. */
  readonly subject?: "caller" | "sign_in" | undefined;
  readonly identityProvider?: OAuthClientConfig | undefined;
}

/** Returns the ID token of the login of a principal, where users log in here. */
export type IdTokenSource = (principal: Principal) => Promise<string | undefined>;

/**
 * Makes what authorizes the requests to a server by a grant.
 *
 * @param idToken Where users log in here
 * @throws {TypeError} If something is missing, or doesn't fit
 */
export function grantAuth(
  { grant, subject, identityProvider, ...client }: GrantConfig,
  idToken: IdTokenSource | undefined,
): UserAuth {
  const own = { ...named(client), ...accessOf([client.issuer, identityProvider?.issuer]) };
  if (grant === "client_credentials") return clientCredentials(own);
  const source = subject === "caller" ? undefined : idToken;
  const onBehalf = { ...own, ...source !== undefined && { subject: subjectOf(source) } };
  if (grant === "token_exchange") return tokenExchange(onBehalf);
  return idJag({ ...onBehalf, identityProvider: named(identityProvider ?? {}) });
}

/** Returns a client as the library takes it, which says by name what is missing. */
function named<T extends OAuthClientConfig>(client: T) {
  return client as T & { readonly clientId: string; readonly issuer: string };
}

function subjectOf(idToken: IdTokenSource): SubjectTokenSource {
  return async ({ principal }) => {
    const token = await idToken(principal);
    return token === undefined ? undefined : { token, type: ID_TOKEN };
  };
}

/** Returns how the servers that the file names are reached: they may be in an inner network. */
export function accessOf(issuers: readonly (string | undefined)[]): {
  readonly allowInsecure: boolean;
  readonly innerHosts: readonly string[];
} {
  const urls = issuers.flatMap((issuer) => URL.parse(issuer ?? "") ?? []);
  return {
    // On loopback alone, whatever this says
    allowInsecure: urls.some(({ protocol }) => protocol === "http:"),
    innerHosts: urls.map(({ host }) => host),
  };
}
