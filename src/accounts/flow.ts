/**
 * Leads a user from the link of a question through the login at an authorization server to an account.
 *
 * @module
 */
import type { Principal } from "../../mod.ts";
import { escapeInvisible, randomText, sameText, TextSealer } from "../kit.ts";
import { BrowserCookies } from "../signin/authorize/browser.ts";
import { bodyForm, OAuthError } from "../signin/http.ts";
import { readJson } from "../signin/sealed_records.ts";
import type { Asks, FoundAsk, StoredAsk } from "./asks.ts";
import { makeProofKey, proofAlgorithm, type ProofKey } from "./dpop.ts";
import { AccountError } from "./errors.ts";
import { accountId, isSameUser, type User, userName, userOf } from "./names.ts";
import { connectPage, listPage, messagePage } from "./page.ts";
import {
  checkAudience,
  clientMetadata,
  type FoundServer,
  pkceChallenge,
  type Providers,
  type StoredClient,
} from "./provider.ts";
import type { AccountsSettings } from "./settings.ts";
import type { AccountEvent, Accounts, AccountStep, UserAccount } from "./types.ts";
import type { Vault } from "./vault.ts";

/** A login at an authorization server, as it is stored. */
interface Login extends FoundServer {
  readonly ask: string;
  readonly user: User;
  readonly client: StoredClient;
  readonly state: string;
  readonly verifier: string;
  /** The secret that the user's browser has. */
  readonly browser: string;
  readonly asked: readonly string[];
  /** The key that the tokens are to be bound to, if they are. */
  readonly key?: ProofKey | undefined;
}

/** What {@linkcode AccountPages} needs. */
export interface AccountPagesInit {
  readonly settings: AccountsSettings;
  readonly asks: Asks;
  readonly providers: Providers;
  readonly vault: Vault;
  readonly accounts: Pick<Accounts, "list" | "disconnect">;
}

/** Why a link leads nowhere. Nobody is told which of the reasons it is. */
const DEAD_TITLE = "This link can't be used";
const DEAD = "It is for another user, was used before, or is too old. " +
  "Go back to your application, and call the tool again";

/** The pages of accounts. */
export class AccountPages {
  readonly #init: AccountPagesInit;
  readonly #cookies: BrowserCookies;
  readonly #tokens: TextSealer;

  constructor(init: AccountPagesInit) {
    this.#init = init;
    const { keys, url, lifetimes } = init.settings;
    this.#tokens = new TextSealer(keys, "mooring accounts page 1");
    this.#cookies = new BrowserCookies({
      ...{ keys, secure: url.startsWith("https:"), ttlMs: lifetimes.linkMs },
      use: { prefix: "accounts-", purpose: "mooring accounts browser 1" },
    });
  }

  /** Returns the gateway's own document, which is its client id at servers that read it. */
  document(): Response {
    const { settings } = this.#init;
    const id = `${settings.url}/accounts/client.json`;
    return new Response(JSON.stringify({ client_id: id, ...clientMetadata(settings) }), {
      headers: {
        "content-type": "application/json",
        "cache-control": "public, max-age=3600",
        "access-control-allow-origin": "*",
        "x-content-type-options": "nosniff",
      },
    });
  }

  /** Answers the link of a question: shows what is asked, or begins the login. */
  async connect(request: Request): Promise<Response> {
    const { asks, settings } = this.#init;
    const isPost = request.method === "POST";
    if (isPost && this.#isForeign(request)) return this.#refuse("start", "foreign-form");
    const form = isPost
      ? await bodyForm(request, settings.clock)
      : new URL(request.url).searchParams;
    const id = form.get("ask") ?? "";
    const user = await this.#user(request);
    if (user instanceof Response) return user;
    const step = isPost ? "start" : "open";
    const found = await asks.find(id);
    if (found === undefined) return this.#refuse(step, "unknown-or-late", undefined, user);
    const { ask } = found;
    // Before anything is started, and before anything is said about the question
    if (!isSameUser(ask.user, user)) return this.#refuse(step, "another-user", ask, user);
    if (ask.state !== "open") return this.#refuse(step, "used-before", ask, user);
    if (!isPost) {
      this.#report("open", "passed", "opened", ask);
      return connectPage({
        ...{
          upstream: ask.upstream,
          user: ask.user.id,
          program: ask.program,
          id,
          token: ask.token,
        },
        ...{ host: new URL(ask.need.url).host, gateway: settings.name, scopes: ask.need.scopes },
        ...{ isStepUp: ask.need.isStepUp, action: `${settings.basePath}/accounts/connect` },
        allowInsecure: settings.allowInsecure,
      });
    }
    if (!await sameText(form.get("token") ?? "", ask.token)) {
      return this.#refuse("start", "foreign-form", ask, user);
    }
    if (form.get("answer") !== "connect") {
      if (!await asks.change(id, found, "failed")) {
        return this.#refuse(step, "used-before", ask, user);
      }
      this.#report("start", "refused", "denied", ask);
      return messagePage("Nothing was connected", "You can close this page", 200);
    }
    // Whoever changes it first has it
    if (!await asks.change(id, found, "started")) {
      return this.#refuse(step, "used-before", ask, user);
    }
    try {
      return await this.#start(request, id, ask);
    } catch (error) {
      return await this.#failed("start", id, ask, error);
    }
  }

  async #start(request: Request, id: string, ask: StoredAsk): Promise<Response> {
    const { settings, providers, vault } = this.#init;
    const { need, auth } = ask;
    const { signal } = request;
    const found = await providers.find(need.url, need.metadataUrl, auth.issuer, signal);
    const client = await providers.client(found.server, auth, signal);
    const before = await vault.get(await accountId(ask.user, ask.upstream, need.url));
    const first = need.scopes.length > 0 ? need.scopes : auth.scopes ?? found.scopes;
    const own = [...first, ...need.isStepUp ? before?.asked ?? [] : auth.scopes ?? []];
    const offersOffline = found.server.scopes_supported?.includes("offline_access") === true;
    const asked = [...new Set([...own, ...offersOffline ? ["offline_access"] : []])];
    const alg = proofAlgorithm(found, auth.dpop, need.bound);
    const key = alg === undefined ? undefined : await makeProofKey(alg);
    const name = randomText(12);
    const login: Login = {
      ...found,
      ...{ ask: id, user: ask.user, client, asked, key },
      state: `${name}.${randomText(32)}`,
      verifier: randomText(64),
      browser: randomText(32),
    };
    const ttlMs = Math.max(1_000, ask.until - settings.clock.now());
    await settings.records.put(`login:${name}`, JSON.stringify(login), { ttlMs, expected: null });
    const cookies = await this.#cookies.keep(request, name, login.browser);
    const url = new URL(found.server.authorization_endpoint ?? "");
    const parameters: Record<string, string> = {
      response_type: "code",
      client_id: client.id,
      redirect_uri: this.#redirectUri,
      state: login.state,
      code_challenge: await pkceChallenge(login.verifier),
      code_challenge_method: "S256",
      resource: found.resource,
      ...asked.length > 0 && { scope: asked.join(" ") },
      ...key !== undefined && { dpop_jkt: key.jkt },
      // OpenID Connect Core 1.0 §11: no refresh token without it
      ...offersOffline && { prompt: "consent" },
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    this.#report("start", "passed", "sent-to-server", ask, found.server.issuer);
    return redirect(url.href, cookies);
  }

  /** Answers an authorization server, which sends the user back. */
  async callback(request: Request): Promise<Response> {
    const { settings, asks } = this.#init;
    const query = new URL(request.url).searchParams;
    const [key = ""] = (query.get("state") ?? "").split(".");
    const kept = await this.#cookies.read(request, key);
    if (kept === undefined) return this.#refuse("connect", "another-browser");
    const user = await this.#user(request);
    if (user instanceof Response) return user;
    const record = await readJson<Login>(settings.records, `login:${key}`);
    if (record === undefined) return this.#refuse("connect", "unknown-or-late", undefined, user);
    const login = record.value;
    const { ask: id } = login;
    const isOwn = await sameText(kept, login.browser) &&
      await sameText(query.get("state") ?? "", login.state);
    if (!isOwn) return this.#refuse("connect", "foreign-state", undefined, user);
    const found = await asks.find(id);
    if (found === undefined) {
      return this.#refuse("connect", "session-ended-or-late", undefined, user);
    }
    const { ask } = found;
    if (!isSameUser(login.user, user) || !isSameUser(ask.user, user)) {
      return this.#refuse("connect", "another-user", ask, user);
    }
    // Whoever deletes it has the answer
    if (!await settings.records.delete(`login:${key}`, record.version) || ask.state !== "started") {
      return this.#refuse("connect", "used-before", ask, user);
    }
    try {
      return await this.#finish(request, login, found, query, key);
    } catch (error) {
      return await this.#failed("connect", id, ask, error, login.server.issuer);
    }
  }

  async #finish(
    request: Request,
    login: Login,
    found: FoundAsk,
    query: URLSearchParams,
    key: string,
  ): Promise<Response> {
    const { settings, providers, vault, asks } = this.#init;
    const { ask } = found;
    const { server, client, resource, asked, key: proofKey } = login;
    const redirectUri = this.#redirectUri;
    const { signal } = request;
    const tokens = await providers.redeem(server, client, { ...login, redirectUri }, query, signal);
    const isUnbound = login.key !== undefined && tokens.isBound !== true;
    try {
      checkAudience(tokens.accessToken, resource, ask.auth.audience);
      if (isUnbound && mustBeBound(login, ask)) {
        throw new AccountError("unbound-token", "The server answered without a bound token");
      }
    } catch (error) {
      await providers.revoke(server, client, tokens.refreshToken ?? tokens.accessToken);
      throw error;
    }
    // The session of the question may have ended meanwhile
    const current = await asks.find(login.ask);
    const refuse = async () => {
      await providers.revoke(server, client, tokens.refreshToken ?? tokens.accessToken);
      return this.#refuse("connect", "session-ended-or-late", ask);
    };
    if (current === undefined) return await refuse();
    const now = settings.clock.now();
    const id = await accountId(ask.user, ask.upstream, ask.need.url);
    const { issuer, token_endpoint, revocation_endpoint } = server;
    await vault.put(id, {
      ...{ user: ask.user, upstream: ask.upstream, url: ask.need.url, client, resource, tokens },
      server: { issuer, token_endpoint, revocation_endpoint },
      audience: ask.auth.audience,
      ...proofKey !== undefined && { key: proofKey },
      ...{ scopes: tokens.scopes ?? asked, asked, since: now, renewed: now },
    });
    if (!await asks.change(login.ask, current, "done")) {
      await vault.delete(id);
      return await refuse();
    }
    this.#report("connect", "passed", "connected", ask, issuer);
    const response = messagePage(
      "Your account is connected",
      `${settings.name} can use ${ask.upstream} for you now. You can close this page`,
      200,
    );
    response.headers.append("set-cookie", this.#cookies.drop(key));
    return response;
  }

  /** Shows a user's accounts, or disconnects one. */
  async list(request: Request): Promise<Response> {
    const { settings, accounts } = this.#init;
    const user = await this.#user(request);
    if (user instanceof Response) return user;
    const name = await userName(user);
    if (request.method === "POST") {
      if (this.#isForeign(request)) {
        return this.#refuse("disconnect", "foreign-form", undefined, user);
      }
      const form = await bodyForm(request, settings.clock);
      const token = await this.#tokens.open(name, form.get("token") ?? "");
      if (token !== "disconnect") {
        return this.#refuse("disconnect", "foreign-form", undefined, user);
      }
      const id = form.get("account") ?? "";
      if (!id.startsWith(`${name}.`)) {
        return this.#refuse("disconnect", "another-user", undefined, user);
      }
      await accounts.disconnect(id);
      return redirect(`${settings.url}/accounts`, []);
    }
    const all: UserAccount[] = [];
    let cursor: string | undefined;
    do {
      const page = await accounts.list({ user, cursor });
      all.push(...page.accounts);
      cursor = page.cursor;
    } while (cursor !== undefined && all.length < 100);
    const token = await this.#tokens.seal(name, "disconnect");
    return listPage(user.id, all, `${settings.basePath}/accounts`, token);
  }

  get #redirectUri(): string {
    return `${this.#init.settings.url}/accounts/callback`;
  }

  /** Returns the user of a browser, or the answer that leads to a login. */
  async #user(request: Request): Promise<User | Response> {
    const { browser, basePath } = this.#init.settings;
    let principal: Principal | undefined;
    try {
      principal = await browser.principal(request);
    } catch (error) {
      const failure = {
        step: "open",
        outcome: "failed",
        reason: "browser-unknown",
        error,
      } as const;
      this.#init.settings.report(failure);
      return messagePage("Try again later", "This server can't tell who you are now", 503);
    }
    if (typeof principal?.id === "string" && principal.id !== "") return userOf(principal);
    const { pathname, search } = new URL(request.url);
    if (browser.login !== undefined && request.method === "GET") {
      return await browser.login(request, pathname + search);
    }
    const message = `Sign in to this server first, and open the link again (${basePath || "/"})`;
    return messagePage("Who are you?", message, 401);
  }

  /** Tells whether a form was sent by a page of another site. */
  #isForeign(request: Request): boolean {
    const origin = request.headers.get("origin");
    const site = request.headers.get("sec-fetch-site");
    // A policy of no referrer makes browsers send "null" with a form of our own page
    const isOther = origin !== null && origin !== "null" &&
      origin !== new URL(this.#init.settings.url).origin;
    return isOther || (site !== null && site !== "same-origin");
  }

  async #failed(
    step: "start" | "connect",
    id: string,
    ask: StoredAsk,
    error: unknown,
    issuer?: string,
  ): Promise<Response> {
    const { asks, providers } = this.#init;
    if (error instanceof OAuthError) throw error;
    const isKnown = error instanceof AccountError;
    const reason = isKnown ? error.reason : "internal-error";
    // The next login registers anew, if it was that
    if (issuer !== undefined && reason === "token-refused") await providers.forgetClient(issuer);
    const found = await asks.find(id);
    if (found !== undefined && found.ask.state !== "done") await asks.change(id, found, "failed");
    this.#report(step, isKnown ? "refused" : "failed", reason, ask, issuer, error);
    const message = isKnown ? error.message : "Something failed here";
    return messagePage(
      "Nothing was connected",
      `${escapeInvisible(message)}. Ask the operator`,
      502,
    );
  }

  #refuse(step: AccountStep, reason: string, ask?: StoredAsk, browser?: User): Response {
    const { report } = this.#init.settings;
    report({
      ...{ step, outcome: "refused", reason },
      ...ask && { upstream: ask.upstream, user: ask.user.id, userIssuer: ask.user.issuer },
      ...browser !== undefined && browser.id !== ask?.user.id && { browserUser: browser.id },
    });
    return messagePage(DEAD_TITLE, DEAD, 400);
  }

  #report(
    step: AccountStep,
    outcome: AccountEvent["outcome"],
    reason: string,
    { upstream, user }: StoredAsk,
    issuer?: string,
    error?: unknown,
  ): void {
    this.#init.settings.report({
      ...{ step, outcome, reason, upstream, user: user.id, userIssuer: user.issuer, issuer },
      ...error !== undefined && { error },
    });
  }
}

/** Tells whether a bearer token is of no use. */
function mustBeBound({ bound }: Login, { need, auth }: StoredAsk): boolean {
  return bound.isRequired || need.bound === "required" || auth.dpop === true;
}

function redirect(location: string, cookies: readonly string[]): Response {
  const headers = new Headers({
    location,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
  });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status: 303, headers });
}
