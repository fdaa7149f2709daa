/**
 * Tells which user a browser belongs to, for pages beside the endpoint: by a login at the provider without a
 * client, kept in a cookie.
 *
 * @module
 */
import type { Principal } from "../../../mod.ts";
import { randomText } from "../../kit.ts";
import { ProviderError } from "../providers/types.ts";
import type { SignInSettings } from "../settings.ts";
import type { BrowserUsers, SignInEvent } from "../types.ts";
import { identify } from "../user.ts";
import { BrowserCookies } from "./browser.ts";
import { errorPage } from "./page.ts";

/** The time for which a browser is known, in milliseconds: an hour. */
const KNOWN_MS = 3_600_000;
/** The id of the cookie with the user. */
const USER = "current-user";
/** The most characters of the path to come back to. */
const MOST_PATH = 1_000;

/** A login at the provider, as the user's browser keeps it. */
interface Begun {
  readonly returnTo: string;
  readonly state: string;
  readonly nonce: string;
  readonly verifier: string;
  readonly until: number;
}

interface Known {
  readonly id: string;
  readonly issuer: string;
  readonly until: number;
}

/** The users of browsers. */
export class BrowserLogins implements BrowserUsers {
  readonly #settings: SignInSettings;
  readonly #logins: BrowserCookies;
  readonly #users: BrowserCookies;

  constructor(settings: SignInSettings) {
    this.#settings = settings;
    const { keys, issuer, lifetimes } = settings;
    const secure = issuer.startsWith("https:");
    this.#logins = new BrowserCookies({
      ...{ keys, secure, ttlMs: lifetimes.loginMs },
      use: { prefix: "signin-page-", purpose: "mooring sign-in page 1" },
    });
    this.#users = new BrowserCookies({
      ...{ keys, secure, ttlMs: KNOWN_MS },
      use: { prefix: "signin-user-", purpose: "mooring sign-in user 1" },
    });
  }

  /** Returns the user of a browser that has signed in here within an hour. */
  async principal(request: Request): Promise<Principal | undefined> {
    const kept = await this.#users.read(request, USER);
    if (kept === undefined) return undefined;
    // Sealed: nobody else can have written it
    const { id, issuer, until } = JSON.parse(kept) as Known;
    return this.#settings.clock.now() < until ? { id, issuer } : undefined;
  }

  /**
   * Sends a browser to the provider, and back to a page after that.
   *
   * @param returnTo The path and query of the page, on the issuer's own origin
   */
  async login(request: Request, returnTo: string): Promise<Response> {
    const { provider, clock, lifetimes } = this.#settings;
    if (!/^\/(?![/\\])/.test(returnTo) || returnTo.length > MOST_PATH) {
      throw new TypeError("Give the path of a page of this server to come back to");
    }
    const id = randomText(12);
    const begun: Begun = {
      ...{ returnTo, state: `${id}.${randomText(32)}`, nonce: randomText(32) },
      ...{ verifier: randomText(64), until: clock.now() + lifetimes.loginMs },
    };
    try {
      const cookies = await this.#logins.keep(request, id, JSON.stringify(begun));
      const url = await provider.authorizationUrl(this.#loginOf(begun), request.signal);
      return redirect(url.href, cookies);
    } catch (error) {
      return this.#failed(error);
    }
  }

  /** Answers the provider, if it sends back a browser that began a login of a page; else `undefined`. */
  async callback(request: Request): Promise<Response | undefined> {
    const settings = this.#settings;
    const query = new URL(request.url).searchParams;
    const [id = ""] = (query.get("state") ?? "").split(".");
    const kept = await this.#logins.read(request, id);
    if (kept === undefined) return undefined;
    // Sealed: nobody else can have written it
    const begun = JSON.parse(kept) as Begun;
    if (begun.state !== query.get("state") || settings.clock.now() >= begun.until) return undefined;
    try {
      const login = await settings.provider.finish(this.#loginOf(begun), query, request.signal);
      const user = await identify(settings, login);
      if (user === undefined) {
        this.#report("refused", "not-allowed", { user: login.subject });
        return errorPage({
          title: "You may not use this server",
          message: "Your account is known, but this server doesn't let it in. Ask its operator",
        }, 403);
      }
      const { id: own, issuer } = user;
      const known: Known = { id: own, issuer, until: settings.clock.now() + KNOWN_MS };
      this.#report("passed", "browser-signed-in", { user: user.id });
      return redirect(begun.returnTo, [
        this.#logins.drop(id),
        ...await this.#users.keep(request, USER, JSON.stringify(known)),
      ]);
    } catch (error) {
      return this.#failed(error);
    }
  }

  #loginOf({ state, nonce, verifier }: Begun) {
    const redirectUri = `${this.#settings.issuer}/signin/callback`;
    return { state, nonce, codeVerifier: verifier, redirectUri };
  }

  #failed(error: unknown): Response {
    const isKnown = error instanceof ProviderError;
    this.#report("failed", isKnown ? `provider-${error.reason}` : "internal-error", { error });
    const message = "The login at the provider failed: try again, or ask the operator";
    return errorPage({ title: "You could not sign in", message }, 502);
  }

  #report(
    outcome: SignInEvent["outcome"],
    reason: string,
    facts: Partial<Pick<SignInEvent, "user" | "error">>,
  ): void {
    this.#settings.report({ step: "login", outcome, reason, ...facts });
  }
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
