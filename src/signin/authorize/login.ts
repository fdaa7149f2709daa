/**
 * Leads a user from a client's request through the provider's login and our question to a code.
 *
 * @module
 */
import { randomText, sameText } from "../../kit.ts";
import type { Clients, SignInClient } from "../clients/types.ts";
import type { GrantTable } from "../grants/grants.ts";
import { bodyForm, OAuthError } from "../http.ts";
import type { Keyring } from "../keyring.ts";
import { ProviderError, type ProviderLogin } from "../providers/types.ts";
import { keysOf, readJson } from "../sealed_records.ts";
import type { SignInSettings } from "../settings.ts";
import type { TokenIssuer } from "../tokens/tokens.ts";
import type { SignedInUser, SignInEvent } from "../types.ts";
import { identify } from "../user.ts";
import { BrowserCookies } from "./browser.ts";
import { consentPage, errorPage } from "./page.ts";
import {
  answerUrl,
  type Asker,
  askerOf,
  type AuthorizationRequest,
  destinationOf,
  requestOf,
} from "./request.ts";

/** The most questions of a user that wait for an answer. */
const MOST_QUESTIONS = 20;

/** A login at the provider, as the user's browser keeps it. */
interface BegunLogin {
  readonly request: AuthorizationRequest;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly until: number;
}

/** A question that waits for the user's answer, as it is stored. */
interface Question {
  readonly request: AuthorizationRequest;
  readonly client: SignInClient;
  readonly user: Required<SignedInUser>;
  readonly credential?: string | undefined;
  readonly idToken?: string | undefined;
  /** The secret that the user's browser has. */
  readonly browser: string;
  /** The token of the form. */
  readonly token: string;
  readonly allowed: readonly string[];
  /** When the consent that it is built on was read, in milliseconds since the epoch. */
  readonly at: number;
}

/** What {@linkcode LoginFlow} needs. */
export interface LoginFlowInit {
  readonly settings: SignInSettings;
  readonly clients: Clients;
  readonly keyring: Keyring;
  readonly grants: GrantTable;
  readonly tokens: TokenIssuer;
}

/** The pages of a login. */
export class LoginFlow {
  readonly #init: LoginFlowInit;
  readonly #cookies: BrowserCookies;

  constructor(init: LoginFlowInit) {
    this.#init = init;
    const { keys, issuer, lifetimes } = init.settings;
    const secure = issuer.startsWith("https:");
    this.#cookies = new BrowserCookies({ keys, secure, ttlMs: lifetimes.loginMs });
  }

  /** Answers an authorization request: sends the user to the provider. */
  async authorize(request: Request): Promise<Response> {
    const { settings, clients } = this.#init;
    const query = new URL(request.url).searchParams;
    let asker: Asker | undefined;
    try {
      asker = await askerOf(query, clients);
      return await this.#begin(request, requestOf(query, asker, settings));
    } catch (error) {
      return this.#failed("authorize", error, asker);
    }
  }

  /** Answers the provider, which sends the user back. */
  async callback(request: Request): Promise<Response> {
    const { settings } = this.#init;
    const query = new URL(request.url).searchParams;
    const [id = ""] = (query.get("state") ?? "").split(".");
    const kept = await this.#cookies.read(request, id);
    const begun = begunIn(kept);
    const isBegun = begun !== undefined && sameText(begun.state, query.get("state") ?? "") &&
      settings.clock.now() < begun.until;
    if (!isBegun) {
      this.#report({ step: "login", outcome: "refused", reason: "login-of-another-browser" });
      return errorPage({
        title: "This login has expired",
        message: "It was begun in another browser, or too long ago. " +
          "Go back to your application, and connect again",
      }, 400);
    }
    const response = await this.#finish(request, id, begun, query)
      .catch((error: unknown) => this.#failed("login", error));
    if (!response.headers.has("set-cookie")) {
      response.headers.append("set-cookie", this.#cookies.drop(id));
    }
    return response;
  }

  /** Answers the user: shows the question, or takes the answer. */
  async consent(request: Request): Promise<Response> {
    try {
      return request.method === "GET" ? await this.#ask(request) : await this.#answer(request);
    } catch (error) {
      return this.#failed("consent", error);
    }
  }

  async #begin(request: Request, asked: AuthorizationRequest): Promise<Response> {
    const { provider, clock, lifetimes } = this.#init.settings;
    const id = randomText(12);
    const begun: BegunLogin = {
      request: asked,
      state: `${id}.${randomText(32)}`,
      nonce: randomText(32),
      verifier: randomText(64),
      until: clock.now() + lifetimes.loginMs,
    };
    const cookies = await this.#cookies.keep(request, id, JSON.stringify(begun));
    const url = await provider.authorizationUrl(this.#loginOf(begun), request.signal);
    this.#report({
      step: "authorize",
      outcome: "passed",
      reason: "sent-to-provider",
      client: asked.clientId,
    });
    return redirect(url.href, 302, cookies);
  }

  async #finish(
    request: Request,
    id: string,
    begun: BegunLogin,
    query: URLSearchParams,
  ): Promise<Response> {
    const { settings, clients } = this.#init;
    const { request: asked } = begun;
    const client = await clients.find(asked.clientId).catch(() => undefined);
    if (client === undefined) {
      return this.#failed("login", new OAuthError("invalid_client", "The application is gone"));
    }
    const asker = { ...asked, client };
    let login: ProviderLogin;
    try {
      login = await settings.provider.finish(this.#loginOf(begun), query, request.signal);
    } catch (error) {
      return this.#failed("login", error, asker);
    }
    let user: Required<SignedInUser> | undefined;
    try {
      user = await identify(settings, login);
    } catch (error) {
      return this.#failed("login", error, asker);
    }
    const scopes = asked.scopes.filter((scope) => user?.scopes.includes(scope));
    if (user === undefined || scopes.length === 0) {
      const reason = user === undefined ? "not-allowed" : "no-scope-allowed";
      this.#report({
        step: "login",
        outcome: "refused",
        reason,
        client: client.id,
        user: login.subject,
      });
      return this.#page(403, asker, {
        title: "You may not use this server",
        message: "Your account is known, but this server doesn't let it in. Ask its operator",
      }, { error: "access_denied", error_description: "The user may not use this server" });
    }
    this.#report({
      step: "login",
      outcome: "passed",
      reason: "signed-in",
      client: client.id,
      user: user.id,
    });
    await clients.renew(client.id);
    const consent = await this.#consentKey(user, client, asked);
    const at = settings.clock.now();
    const before = (await readJson<string[]>(settings.records, consent))?.value ?? [];
    const allowed = before.filter((scope) => user.scopes.includes(scope));
    const isNew = scopes.some((scope) => !allowed.includes(scope));
    // Any program of a machine can wait at loopback, or take a scheme (RFC 8252 §8.6)
    const isSite = destinationOf(asked.redirectUri).kind === "site";
    const question: Question = {
      request: { ...asked, scopes },
      ...{ client, user, allowed, credential: login.credential },
      ...settings.idTokens === true && { idToken: login.idToken },
      ...{ browser: randomText(32), token: randomText(32), at },
    };
    if (!isNew && isSite && !asked.asksConsent) {
      this.#report({
        step: "consent",
        outcome: "passed",
        reason: "allowed-before",
        client: client.id,
        user: user.id,
      });
      return await this.#grant(question, consent, 302, [this.#cookies.drop(id)]);
    }
    return await this.#askLater(request, id, question);
  }

  /** Stores a question, and sends the user to it. */
  async #askLater(request: Request, id: string, question: Question): Promise<Response> {
    const { settings: { records, lifetimes, issuer }, grants } = this.#init;
    const name = await grants.userName(question.user);
    const waiting = await keysOf(records, `question:${name}.`, MOST_QUESTIONS);
    if (waiting.length >= MOST_QUESTIONS) await this.#deleteOldest(waiting);
    const text = JSON.stringify(question);
    await records.put(`question:${name}.${id}`, text, { ttlMs: lifetimes.loginMs, expected: null });
    const cookies = await this.#cookies.keep(request, id, question.browser);
    return redirect(`${issuer}/signin/consent?id=${name}.${id}`, 303, cookies);
  }

  /** Deletes the question that waits for the longest time: stores list keys in any order. */
  async #deleteOldest(keys: readonly string[]): Promise<void> {
    const { records } = this.#init.settings;
    const found = await Promise.all(keys.map(async (key) => {
      const question = await readJson<Question>(records, key);
      return { key, at: question?.value.at ?? 0 };
    }));
    const [oldest] = found.sort((one, other) => one.at - other.at);
    if (oldest !== undefined) await records.delete(oldest.key);
  }

  async #ask(request: Request): Promise<Response> {
    const { settings } = this.#init;
    const id = new URL(request.url).searchParams.get("id") ?? "";
    const { value: question } = await this.#questionOf(request, id);
    const { request: asked, client, user, allowed, token } = question;
    const { resource, scopes, redirectUri } = asked;
    const words = (some: readonly string[]) =>
      some.map((scope) => settings.descriptions.get(scope) ?? scope);
    const news = scopes.filter((scope) => !allowed.includes(scope));
    this.#report({
      step: "consent",
      outcome: "passed",
      reason: "asked",
      client: client.id,
      user: user.id,
    });
    return consentPage({
      ...{ client, resource, token, id },
      destination: destinationOf(redirectUri),
      user: user.name,
      provider: settings.provider.name,
      asked: words(news.length === 0 ? scopes : news),
      allowed: words(news.length === 0 ? [] : allowed),
      action: `${settings.basePath}/signin/consent`,
      switchUrl: this.#switchUrl(asked),
      formTarget: formTargetOf(redirectUri),
    });
  }

  async #answer(request: Request): Promise<Response> {
    const { settings } = this.#init;
    const { records, issuer } = settings;
    const origin = request.headers.get("origin");
    const site = request.headers.get("sec-fetch-site");
    // A policy of no referrer makes browsers send "null" with a form of our own page
    const isForeign = origin !== null && origin !== "null" && origin !== new URL(issuer).origin;
    if (isForeign || (site !== null && site !== "same-origin")) {
      throw new OAuthError("invalid_request", "Answer on the page of this server", 403);
    }
    const form = await bodyForm(request, settings.clock);
    const id = form.get("id") ?? "";
    const { value: question, version } = await this.#questionOf(request, id);
    if (!sameText(question.token, form.get("token") ?? "")) {
      throw new OAuthError("invalid_request", "Answer on the page of this server", 403);
    }
    // Whoever deletes it has the answer
    if (!await records.delete(`question:${id}`, version)) throw expired();
    const cookies = [this.#cookies.drop(cookieId(id))];
    const { request: asked, client, user } = question;
    if (form.get("answer") !== "allow") {
      this.#report({
        step: "consent",
        outcome: "refused",
        reason: "denied",
        client: client.id,
        user: user.id,
      });
      const denied = { error: "access_denied", error_description: "The user has denied access" };
      return redirect(answerUrl(asked, issuer, denied), 303, cookies);
    }
    this.#report({
      step: "consent",
      outcome: "passed",
      reason: "allowed",
      client: client.id,
      user: user.id,
    });
    const consent = await this.#consentKey(user, client, asked);
    await this.#remember(consent, asked.scopes);
    if (await this.#init.grants.hasLeft(user, question.at)) {
      await records.delete(consent);
      throw expired();
    }
    return await this.#grant(question, consent, 303, cookies);
  }

  /** Adds scopes to those that a user has allowed a client. */
  async #remember(consent: string, scopes: readonly string[]): Promise<void> {
    const { records, lifetimes } = this.#init.settings;
    for (let tries = 0; tries < 10; tries++) {
      const found = await readJson<string[]>(records, consent);
      const all = [...new Set([...found?.value ?? [], ...scopes])];
      const write = { ttlMs: lifetimes.consentMs, expected: found?.version ?? null };
      if (await records.put(consent, JSON.stringify(all), write) !== undefined) return;
    }
    throw new Error("The consent is being changed: try again");
  }

  /** Sends the user back with a code for what they have allowed, now and before. */
  async #grant(
    { request: asked, client, user, credential, idToken, allowed, at }: Question,
    consent: string,
    status: 302 | 303,
    cookies: readonly string[],
  ): Promise<Response> {
    const { settings, grants, tokens } = this.#init;
    const { id, issuer, name } = user;
    const { redirectUri, challenge, resource, scopes, jkt } = asked;
    const code = await tokens.newCode({
      ...{ redirectUri, challenge, jkt, needsKey: client.dpopBound },
      grant: {
        id: await grants.newId(user),
        user: { id, issuer, name },
        client: { id: client.id, kind: client.kind, name: client.name },
        scopes: [...new Set([...scopes, ...allowed])],
        ...{ resource, consent, credential, since: at, lastUsed: at },
        ...{ secret: randomText(43), turn: 0, uses: [] },
        ...idToken !== undefined && { idToken },
      },
    });
    return redirect(answerUrl(asked, settings.issuer, { code }), status, cookies);
  }

  /** Returns a question that waits for this browser's answer. */
  async #questionOf(
    request: Request,
    id: string,
  ): Promise<{ readonly value: Question; readonly version: string }> {
    if (!/^[\w-]{32}\.[\w-]{12}$/.test(id)) throw expired();
    const browser = await this.#cookies.read(request, cookieId(id));
    const found = await readJson<Question>(this.#init.settings.records, `question:${id}`);
    if (found === undefined || !sameText(found.value.browser, browser ?? "")) throw expired();
    return found;
  }

  async #consentKey(
    user: Required<SignedInUser>,
    client: SignInClient,
    { redirectUri, resource }: AuthorizationRequest,
  ): Promise<string> {
    const { keyring, grants } = this.#init;
    const { place } = destinationOf(redirectUri);
    return `consent:${await grants.userName(user)}.` +
      await keyring.nameOf("consent", client.id, place, resource);
  }

  #loginOf({ state, nonce, verifier, request }: BegunLogin) {
    const redirectUri = `${this.#init.settings.issuer}/signin/callback`;
    const { asksLogin } = request;
    return { redirectUri, state, nonce, codeVerifier: verifier, asksAnew: asksLogin };
  }

  /** Returns the client's request as an address, with which the provider asks the user anew. */
  #switchUrl(asked: AuthorizationRequest) {
    const { clientId, redirectUri, state, scopes, resource, challenge, jkt } = asked;
    const query = new URLSearchParams({
      ...{ response_type: "code", client_id: clientId, redirect_uri: redirectUri, resource },
      ...{ scope: scopes.join(" "), code_challenge: challenge, code_challenge_method: "S256" },
      ...state !== undefined && { state },
      ...jkt !== undefined && { dpop_jkt: jkt },
      prompt: "select_account",
    });
    return `${this.#init.settings.basePath}/authorize?${query}`;
  }

  /** Returns a page about an error, and reports it. */
  #failed(step: SignInEvent["step"], error: unknown, asker?: Asker): Response {
    const client = asker && { client: asker.client.id };
    if (error instanceof OAuthError) {
      const reason = `${error.code}: ${error.message}`;
      this.#report({ step, outcome: "refused", reason, ...client });
      const known = { error: error.code, error_description: error.message };
      return this.#page(error.status, asker, {
        title: "This can't go on",
        message: error.message,
      }, known);
    }
    if (error instanceof ProviderError && error.reason === "denied") {
      this.#report({
        step,
        outcome: "refused",
        reason: `provider-denied: ${error.message}`,
        ...client,
      });
      return this.#page(403, asker, {
        title: "You were not signed in",
        message: `${this.#init.settings.provider.name} has refused the login`,
      }, { error: "access_denied", error_description: "The login was refused" });
    }
    const isProvider = error instanceof ProviderError;
    const reason = isProvider ? `provider-${error.reason}: ${error.message}` : "internal-error";
    this.#report({ step, outcome: "failed", reason, error, ...client });
    const status = isProvider && error.reason === "invalid" ? 400 : 503;
    return this.#page(
      status,
      asker,
      {
        title: "Signing in doesn't work now",
        message: status === 400
          ? "The login was answered in a way that this server doesn't accept. Connect again"
          : "Try again in a moment. If it stays like this, tell the operator of this server",
      },
      status === 400
        ? { error: "access_denied", error_description: "The login failed" }
        : { error: "temporarily_unavailable", error_description: "Try again" },
    );
  }

  /**
   * Tells the user of an error. Only a client that the operator knows is sent the error without the user's
   * doing: to others this server would be an open redirect (RFC 9700 §4.11.2).
   */
  #page(
    status: number,
    asker: Asker | undefined,
    page: { readonly title: string; readonly message: string },
    answer: Readonly<Record<string, string>>,
  ): Response {
    if (asker === undefined) return errorPage(page, status);
    const url = answerUrl(asker, this.#init.settings.issuer, answer);
    if (asker.client.kind === "configured" && status < 500) return redirect(url, 302, []);
    return errorPage(
      { ...page, back: { url, place: destinationOf(asker.redirectUri).place } },
      status,
    );
  }

  #report(event: Omit<SignInEvent, "type">): void {
    this.#init.settings.report(event);
  }
}

/** Reads what a cookie keeps of a begun login; once the user is asked, it keeps something else. */
function begunIn(kept: string | undefined): BegunLogin | undefined {
  // Sealed: nobody else can have written it
  return kept?.startsWith("{") ? JSON.parse(kept) as BegunLogin : undefined;
}

/**
 * Returns the sources that the answer may be sent on to. Browsers hold each redirect that follows a form
 * against them, those of the client's own pages too, and know no source for an IPv6 address: the scheme it is.
 */
function formTargetOf(redirectUri: string): string {
  const { protocol } = new URL(redirectUri);
  return protocol === "http:" ? "http: https:" : protocol;
}

function cookieId(id: string): string {
  return id.split(".")[1] ?? "";
}

function expired(): OAuthError {
  return new OAuthError(
    "invalid_request",
    "This question was answered already, expired, or belongs to another browser: connect again",
  );
}

function redirect(location: string, status: 302 | 303, cookies: readonly string[]): Response {
  const headers = new Headers({
    location,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
  });
  for (const cookie of cookies) headers.append("set-cookie", cookie);
  return new Response(null, { status, headers });
}
