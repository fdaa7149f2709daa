/**
 * Creates the authentication of all endpoints from a configuration.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { RequestHead } from "../../../mod.ts";
import { readsHead } from "../../kit.ts";
import {
  type Authenticate,
  bearer,
  type DpopOptions,
  introspection,
  jwt,
  type Principal,
  type ProofStore,
  type ProtectedResource,
  protectedResource,
} from "../../auth/mod.ts";
import type { SignIn } from "../../signin/mod.ts";
import type { Config } from "../config/schema.ts";

type AuthConfig = NonNullable<Config["auth"]>;

/** The authentication of all endpoints. */
export interface Auth {
  /** Returns the sender of a request to any endpoint; `undefined` if everybody may call. */
  readonly authenticate: Authenticate | undefined;
  /** Returns the metadata of the endpoint at a URL, if clients get their tokens elsewhere. */
  resource(url: string): ProtectedResource | undefined;
}

/**
 * Creates the authentication of all endpoints. They share it, and so the keys of an issuer and the tokens
 * that are known: what is in a cache doesn't tell which endpoints there are.
 *
 * @param urlOf Returns the URL that clients reach the endpoint of a request at: the audience of its tokens,
 * unless the configuration names another one
 * @param onError Called when keys could not be fetched
 * @param store The store in which used proofs of keys are remembered, if processes share one
 */
export function authOf(
  auth: AuthConfig | undefined,
  urlOf: (request: RequestHead) => string,
  onError: (error: unknown) => void,
  store?: ProofStore,
): Auth {
  if (auth?.tokens !== undefined) {
    return { authenticate: fixedTokens(auth.tokens), resource: () => undefined };
  }
  const server = auth?.jwt ?? auth?.introspection;
  if (auth === undefined || server === undefined) {
    return { authenticate: undefined, resource: () => undefined };
  }
  const { issuer, requiredScopes, audience = urlOf } = server;
  const dpop = dpopOptions(server.dpop, store);
  return {
    authenticate: auth.jwt === undefined
      ? auth.introspection && introspection({ ...auth.introspection, audience, ...dpop })
      : jwt({ ...auth.jwt, audience, onError, ...dpop }),
    resource: (url) =>
      protectedResource({
        resource: url,
        authorizationServers: [issuer],
        ...requiredScopes !== undefined && { scopes: requiredScopes },
        ...dpop !== undefined && { dpop: dpop.dpop.use },
      }),
  };
}

/** Returns the option for tokens that are bound to a key, with the store of the command. */
function dpopOptions(
  given: DpopOptions | undefined,
  store: ProofStore | undefined,
): { readonly dpop: DpopOptions } | undefined {
  if (given === undefined) return undefined;
  return { dpop: { ...given, ...store?.records !== undefined && { store } } };
}

/** Returns the authentication of all endpoints by the tokens of sign-in, each by those for its own URL. */
export function authOfSignIn(front: SignIn, urlOf: (request: RequestHead) => string): Auth {
  return {
    authenticate: readsHead((request, context) =>
      front.at(urlOf(request)).authenticate(request, context)
    ),
    resource: (url) => front.at(url).resource,
  };
}

/** Accepts the configured tokens. Looks them up by digest, so that the time reveals nothing of them. */
function fixedTokens(tokens: NonNullable<AuthConfig["tokens"]>): Authenticate {
  const known = new Map<string, Principal>(
    tokens.map(({ id, token, scopes }) => [digest(token), { id, ...scopes && { scopes } }]),
  );
  return bearer({ verify: (token) => known.get(digest(token)) });
}

function digest(token: string): string {
  return createHash("sha256").update(token).digest("base64");
}
