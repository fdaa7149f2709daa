/**
 * Puts the accounts of users at upstreams together.
 *
 * @module
 */
import type { Clock } from "../../mod.ts";
import { isAnonymous } from "../kit.ts";
import { SignInRequiredError, UpstreamError, type UserAuth } from "../gateway/mod.ts";
import type { UserAuthContext } from "../gateway/mod.ts";
import { errorJson, OAuthError, wrongMethod } from "../signin/http.ts";
import { Asks } from "./asks.ts";
import { challengeOf } from "./challenge.ts";
import { tokenIn, UpstreamCredentials } from "./credentials.ts";
import { AccountPages } from "./flow.ts";
import { accountId, userName, userOf } from "./names.ts";
import { Providers } from "./provider.ts";
import { authOptions, settingsOf } from "./settings.ts";
import type { AccountAuthOptions, Accounts, AccountsOptions, UserAccount } from "./types.ts";
import { type StoredAccount, Vault } from "./vault.ts";

/** The time after a login in which a refused token is no reason for another one, in milliseconds. */
const LOOP_MS = 300_000;
/** The time after a renewal in which a refused token is not renewed again, in milliseconds. */
const FRESH_MS = 30_000;

/**
 * Creates the accounts of users at the upstreams of a gateway: each user signs in there once, by a link that
 * only that user can open, and each call has the token of its own user.
 *
 * @param options The address of the pages, who a browser belongs to, and the store
 * @throws {TypeError} If an option has the wrong type, or is unknown
 * @throws {RangeError} If a lifetime is out of range
 *
 * @example
 * ```ts
 * import { accounts } from "@mooring/mcp/accounts";
 * import { gateway, http } from "@mooring/mcp/gateway";
 *
 * const own = accounts({
 *   url: "https://gateway.example",
 *   browser: (request) => {
 *     const user = request.headers.get("x-user");
 *     return user === null ? undefined : { id: user };
 *   },
 * });
 * const gw = gateway({
 *   upstreams: { notes: http({ url: "https://notes.example/mcp", auth: own.auth() }) },
 * });
 * console.assert(own.paths.includes("/accounts/connect"));
 * own.close();
 * await gw.close();
 * ```
 */
export function accounts(options: AccountsOptions): Accounts {
  const settings = settingsOf(options);
  const providers = new Providers(settings, settings);
  const vault = new Vault(settings, providers);
  const asks = new Asks(settings);
  const { basePath, records, report, clock } = settings;
  const closing = new AbortController();

  const list: Accounts["list"] = async ({ user, cursor } = {}) => {
    const prefix = user === undefined ? "account:" : `account:${await userName(userOf(user))}.`;
    const page = await records.list(prefix, cursor);
    const found = await Promise.all(page.keys.map(async (key) => {
      const id = key.slice("account:".length);
      const stored = (await vault.read(id))?.account;
      return stored === undefined ? [] : [accountOf(id, stored)];
    }));
    return { accounts: found.flat(), ...page.cursor !== undefined && { cursor: page.cursor } };
  };

  const disconnect: Accounts["disconnect"] = async (id) => {
    const stored = await vault.delete(id);
    if (stored === undefined) return false;
    const { server, client, tokens, user, upstream } = stored;
    const token = tokens.refreshToken ?? tokens.accessToken;
    const isRevoked = token !== "" && await providers.revoke(server, client, token);
    report({
      ...{ step: "disconnect", outcome: "passed", upstream, issuer: server.issuer },
      reason: isRevoked ? "revoked" : "forgotten",
      ...{ user: user.id, userIssuer: user.issuer },
    });
    return true;
  };

  const pages = new AccountPages({
    ...{ settings, asks, providers, vault },
    accounts: { list, disconnect },
  });
  const routes = new Map<string, AccountRoute>([
    [`${basePath}/accounts`, {
      methods: ["GET", "POST"],
      answer: (request) => pages.list(request),
    }],
    [`${basePath}/accounts/connect`, {
      methods: ["GET", "POST"],
      answer: (request) => pages.connect(request),
    }],
    [`${basePath}/accounts/callback`, {
      methods: ["GET"],
      answer: (request) => pages.callback(request),
    }],
    [`${basePath}/accounts/client.json`, { methods: ["GET"], answer: () => pages.document() }],
  ]);

  return {
    paths: [...routes.keys()],
    list,
    disconnect,
    auth: (given = {}) =>
      userAuth(authOptions(given), { asks, vault, providers, clock }, closing.signal),
    async routes(request) {
      const route = routes.get(new URL(request.url).pathname);
      if (route === undefined) return undefined;
      if (!route.methods.includes(request.method)) return wrongMethod(route.methods.join(", "));
      try {
        return await route.answer(request);
      } catch (error) {
        if (error instanceof OAuthError) return errorJson(error);
        report({ step: "open", outcome: "failed", reason: "internal-error", error });
        return errorJson(new OAuthError("temporarily_unavailable", "Try again", 503, 1));
      }
    },
    close: () => closing.abort(new UpstreamError("closed")),
  };
}

interface AccountRoute {
  readonly methods: readonly string[];
  answer(request: Request): Promise<Response> | Response;
}

interface UserAuthInit {
  readonly asks: Asks;
  readonly vault: Vault;
  readonly providers: Providers;
  readonly clock: Clock;
}

/** Returns what authorizes the requests to an upstream by each user's own account. */
function userAuth(
  options: AccountAuthOptions,
  { asks, vault, providers, clock }: UserAuthInit,
  closing: AbortSignal,
): UserAuth {
  const idOf = ({ principal, upstream, url }: UserAuthContext) =>
    accountId(principal, upstream, url);
  const credentials = new UpstreamCredentials(providers.proofs);
  return {
    async headers(context): Promise<Readonly<Record<string, string>>> {
      if (isAnonymous(context.principal)) return {};
      const account = await vault.usable(await idOf(context));
      if (account === undefined) return {};
      return await credentials.headers(context, account);
    },
    answered: (response, _sent, context) => credentials.answered(response, context),
    async refused(response, { authorization }, context) {
      const { upstream, url } = context;
      const { metadataUrl, scopes, error, bound } = challengeOf(response);
      const need = { scopes, metadataUrl, bound, url, isStepUp: false };
      const token = tokenIn(authorization);
      if (token === undefined) throw new SignInRequiredError(upstream, need);
      const id = await idOf(context);
      const account = (await vault.read(id))?.account;
      if (response.status === 403 || error === "insufficient_scope") {
        const known = account?.asked ?? [];
        const isAsked = scopes.every((scope) => known.includes(scope));
        if (isAsked) throw new UpstreamError("forbidden", { status: response.status });
        const union = [...new Set([...account?.scopes ?? [], ...scopes])];
        throw new SignInRequiredError(upstream, { ...need, scopes: union, isStepUp: true });
      }
      if (account === undefined || account.ended === true) {
        throw new SignInRequiredError(upstream, need);
      }
      // A renewal gives no key to tokens that have none
      if (bound === "required" && account.tokens.isBound !== true && options.dpop !== false) {
        await vault.end(id, token);
        throw new SignInRequiredError(upstream, need);
      }
      // Another call or node has renewed it
      if (account.tokens.accessToken !== token) return true;
      // Right after a renewal another one can't help
      const isFresh = clock.now() - account.renewed < FRESH_MS;
      if (!isFresh && await isRenewedFor(vault, id, token)) return true;
      const isNew = clock.now() - account.since < LOOP_MS;
      if (isNew && !await hasMoved(providers, account, { ...need, issuer: options.issuer })) {
        throw new UpstreamError("unauthorized", {
          status: 401,
          advice:
            "Check the upstream: it refuses the tokens that its authorization server has just given",
        });
      }
      await vault.end(id, token);
      throw new SignInRequiredError(upstream, need);
    },
    begin: (need, asker) => asks.begin(need, asker, options),
    settled: (id, signal) => asks.settled(id, AbortSignal.any([signal, closing])),
    isOpen: async (id) => (await asks.find(id))?.ask.state === "open",
    cancel: (id) => asks.cancel(id),
  };
}

/** Renews a token that the upstream refuses. Returns whether there is another one now. */
async function isRenewedFor(vault: Vault, id: string, token: string): Promise<boolean> {
  const account = await vault.renew(id, token);
  return account !== undefined && account.ended !== true && account.tokens.accessToken !== token;
}

/** Tells whether an upstream names another authorization server than that of an account (SEP-2352). */
async function hasMoved(
  providers: Providers,
  { server: { issuer: before } }: StoredAccount,
  { url, metadataUrl, issuer }: {
    readonly url: string;
    readonly metadataUrl: string | undefined;
    readonly issuer: string | undefined;
  },
): Promise<boolean> {
  try {
    return (await providers.find(url, metadataUrl, issuer)).server.issuer !== before;
  } catch {
    return false;
  }
}

function accountOf(id: string, stored: StoredAccount): UserAccount {
  const { user, upstream, server, scopes, since, renewed, ended } = stored;
  return {
    id,
    user,
    upstream,
    issuer: server.issuer,
    scopes,
    since,
    renewed,
    isEnded: ended === true,
  };
}
