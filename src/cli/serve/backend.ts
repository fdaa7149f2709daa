/**
 * Creates the gateway and its upstreams from a configuration.
 *
 * @module
 */
import {
  cached,
  type Gateway,
  gateway,
  type GatewayOptions,
  http,
  type HttpOptions,
  lazy,
  openapi,
  type OpenApiOptions,
  stdio,
  type Upstream,
} from "../../gateway/mod.ts";
import type { Accounts } from "../../accounts/mod.ts";
import type { ServerEntry } from "../config/schema.ts";
import { grantAuth, type IdTokenSource } from "./upstream_auth.ts";

/** What authorizes requests for users who log in here. */
export interface UsersAuth extends Pick<Accounts, "auth"> {
  /** Returns the ID token of a user's login. */
  readonly idToken?: IdTokenSource;
}

/** Creates a gateway and its upstreams. Tests have one without processes and networks. */
export interface Backend {
  gateway(options: GatewayOptions): Gateway;
  /**
   * Throws a `TypeError` for a server that can't be reached as configured.
   *
   * @param users What authorizes requests for users, where they are known
   */
  upstream(entry: ServerEntry, users?: UsersAuth): Upstream;
}

/** The backend with real programs and connections. */
export const backend: Backend = {
  gateway,
  upstream(entry, users) {
    const {
      type: _type,
      disabled: _disabled,
      policy: _policy,
      lists,
      toolSearch: _search,
      cache,
      ...options
    } = entry;
    const upstream = "url" in options
      ? http(httpOptions(options, users, cache))
      : "openapi" in options
      ? openapi(apiOptions(options, users))
      : stdio(options);
    const kept = cache === undefined ? upstream : cached(upstream, cache);
    return lists === "lazy" ? lazy(kept) : kept;
  },
};

/** Returns the options of `http()` for an entry of the configuration. */
function httpOptions(
  { oauth = false, ...options }: Omit<HttpEntry, "type" | "disabled" | "policy" | "cache">,
  users: UsersAuth | undefined,
  cache: ServerEntry["cache"],
): HttpOptions {
  if (oauth !== false && cache?.scope === "all") {
    throw new TypeError('Give "user" as "cache.scope": users have accounts there');
  }
  const { grant, ...client } = typeof oauth === "object" ? oauth : {};
  if (grant !== undefined) {
    return { ...options, auth: grantAuth({ grant, ...client }, users?.idToken) };
  }
  if (oauth === false || users === undefined) return options;
  return { ...options, auth: users.auth(client) };
}

/** A server of the configuration that is reached at a URL. */
type HttpEntry = Extract<ServerEntry, { readonly url: string }>;

/**
 * Returns the options of `openapi()` for an entry of the configuration.
 *
 * @param accounts The accounts of users, where there are any
 */
export function apiOptions(
  entry: ApiEntry,
  accounts: Pick<Accounts, "auth"> | undefined,
): OpenApiOptions {
  const { openapi: document, baseUrl, headers, forwardHeaders, timeoutMs, longCalls } = entry;
  const auth = apiAuth(entry, accounts);
  return {
    document,
    ...baseUrl !== undefined && { baseUrl },
    ...auth !== undefined && { auth },
    ...headers !== undefined && { headers },
    ...forwardHeaders !== undefined && { forwardHeaders },
    ...timeoutMs !== undefined && { timeoutMs },
    ...longCalls !== undefined && { longCalls },
  };
}

/** Returns the credentials of an API: each user's own account is for one of its security schemes. */
function apiAuth(
  { auth, oauth = false }: Pick<ApiEntry, "auth" | "oauth">,
  accounts: Pick<Accounts, "auth"> | undefined,
): OpenApiOptions["auth"] {
  if (oauth === false || accounts === undefined) return auth;
  const { scheme, ...own } = oauth === true ? {} : oauth;
  const account = accounts.auth(own);
  if (scheme === undefined) return account;
  return { schemes: { ...typeof auth === "object" && auth.schemes, [scheme]: account } };
}

/** An API of the configuration. */
export type ApiEntry = Extract<ServerEntry, { readonly openapi: string }>;
