/**
 * GitHub, which has OAuth and no OpenID Connect: an OAuth app of it.
 *
 * @module
 */
import { booleanOption, checkNames, isObject, type NamesOf } from "../../kit.ts";
import { stringOption } from "../fetch/options.ts";
import {
  HTTP_NAMES,
  type ProviderHttp,
  providerHttp,
  type ProviderHttpOptions,
  urlOption,
} from "./http.ts";
import { type LoginRequest, type Provider, ProviderError, type ProviderLogin } from "./types.ts";
import { challengeOf } from "../pkce.ts";

/** Options for {@linkcode github}. */
export interface GithubOptions extends ProviderHttpOptions {
  /** The client id of the OAuth app. */
  readonly clientId: string;
  /** A client secret of the OAuth app. */
  readonly clientSecret: string;
  /** The name to show to users. @default "GitHub" */
  readonly name?: string;
  /** Whether the claim `orgs` has the names of the user's organizations. Asks for `read:org`. @default false */
  readonly orgs?: boolean;
  /** Whether the claim `teams` has the user's teams, as `org/team`. Asks for `read:org`. @default false */
  readonly teams?: boolean;
  /** The URL of a GitHub Enterprise Server. @default "https://github.com" */
  readonly url?: string;
}

const NAMES: NamesOf<GithubOptions> = {
  clientId: true,
  clientSecret: true,
  name: true,
  orgs: true,
  teams: true,
  url: true,
  ...HTTP_NAMES,
};
const PER_PAGE = 100;
const MOST_PAGES = 5;
const MOST_CHARACTERS = 2_000;

/**
 * Makes the provider of GitHub accounts. The claims are `sub` (the number of the account), `login`, `name`,
 * `picture`, `email` (the primary one, if it is verified), `email_verified`, and `orgs` and `teams` if they
 * are asked for. An organization that restricts OAuth apps is seen after its owners allow the app.
 *
 * ```ts
 * import { github } from "@mooring/mcp/signin";
 *
 * const provider = github({ clientId: "Ov23…", clientSecret: "…", orgs: true });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function github(options: GithubOptions): Provider {
  checkNames("github()", options, NAMES);
  return new GithubProvider(options);
}

class GithubProvider implements Provider {
  readonly name: string;
  readonly #http: ProviderHttp;
  readonly #clientId: string;
  readonly #secret: string;
  readonly #orgs: boolean;
  readonly #teams: boolean;
  readonly #site: string;
  readonly #api: string;

  constructor(options: GithubOptions) {
    this.#http = providerHttp(options);
    this.name = options.name === undefined ? "GitHub" : stringOption("name", options.name);
    this.#clientId = stringOption("clientId", options.clientId);
    this.#secret = stringOption("clientSecret", options.clientSecret);
    this.#orgs = booleanOption("orgs", options.orgs, false);
    this.#teams = booleanOption("teams", options.teams, false);
    const url = urlOption("url", options.url ?? "https://github.com", this.#http.allowInsecure);
    this.#site = url.href.replace(/\/$/, "");
    const own = this.#site === "https://github.com";
    this.#api = own ? "https://api.github.com" : `${this.#site}/api/v3`;
  }

  async authorizationUrl(request: LoginRequest): Promise<URL> {
    const url = new URL(`${this.#site}/login/oauth/authorize`);
    const scopes = ["read:user", "user:email"];
    if (this.#orgs || this.#teams) scopes.push("read:org");
    const parameters = {
      client_id: this.#clientId,
      redirect_uri: request.redirectUri,
      scope: scopes.join(" "),
      state: request.state,
      code_challenge: await challengeOf(request.codeVerifier),
      code_challenge_method: "S256",
      ...(request.asksAnew ? { prompt: "select_account" } : {}),
    };
    for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
    return url;
  }

  async finish(
    request: LoginRequest,
    callback: URLSearchParams,
    signal?: AbortSignal,
  ): Promise<ProviderLogin> {
    if (single(callback, "state") !== request.state) {
      throw new ProviderError("invalid", 'The callback has another "state" than the login');
    }
    const error = single(callback, "error");
    if (error !== undefined) {
      const denied = error === "access_denied";
      throw new ProviderError(denied ? "denied" : "invalid", `GitHub answered ${known(error)}`);
    }
    const code = single(callback, "code");
    if (code === undefined) throw new ProviderError("invalid", 'The callback has no "code"');
    const token = await this.#exchange(code, request, signal);
    const login = await this.#login(token, signal);
    if (login !== "ended") return login;
    throw new ProviderError("invalid", "GitHub doesn't take the token that it gave");
  }

  async refresh(credential: string, signal?: AbortSignal): Promise<ProviderLogin | "ended"> {
    return await this.#login(credential, signal);
  }

  async #exchange(code: string, request: LoginRequest, signal?: AbortSignal): Promise<string> {
    const response = await this.#http.send(`${this.#site}/login/oauth/access_token`, {
      method: "POST",
      headers: { accept: "application/json" },
      body: new URLSearchParams({
        client_id: this.#clientId,
        client_secret: this.#secret,
        code,
        redirect_uri: request.redirectUri,
        code_verifier: request.codeVerifier,
      }),
    }, signal);
    const body = await jsonOf(response);
    // GitHub answers an error with status 200.
    if (isObject(body) && typeof body.error === "string") {
      throw new ProviderError("invalid", `GitHub answered ${known(body.error)}`);
    }
    if (isObject(body) && typeof body.access_token === "string") return body.access_token;
    throw new ProviderError("invalid", "GitHub's answer has no access token");
  }

  async #login(token: string, signal?: AbortSignal): Promise<ProviderLogin | "ended"> {
    const user = await this.#get("/user", token, signal);
    if (user === "ended") return "ended";
    if (!isObject(user) || !Number.isSafeInteger(user.id) || typeof user.login !== "string") {
      throw new ProviderError("invalid", "GitHub's answer is no user");
    }
    const subject = String(user.id);
    const claims: Record<string, unknown> = {
      sub: subject,
      iss: this.#site,
      login: user.login,
      preferred_username: user.login,
      ...(typeof user.name === "string" ? { name: user.name } : {}),
      ...(typeof user.avatar_url === "string" ? { picture: user.avatar_url } : {}),
    };
    const emails = await this.#all("/user/emails", token, signal);
    const primary = emails.find((entry) => entry.primary === true && entry.verified === true);
    if (typeof primary?.email === "string") {
      claims.email = primary.email;
      claims.email_verified = true;
    }
    if (this.#orgs) {
      const orgs = await this.#all("/user/orgs", token, signal);
      claims.orgs = orgs.flatMap(({ login }) => typeof login === "string" ? [login] : []);
    }
    if (this.#teams) claims.teams = teamsOf(await this.#all("/user/teams", token, signal));
    return { claims, subject, issuer: this.#site, credential: token };
  }

  /** Returns the entries of a list, of several pages. */
  async #all(path: string, token: string, signal?: AbortSignal) {
    const all: Record<string, unknown>[] = [];
    for (let page = 1; page <= MOST_PAGES; page++) {
      const entries = await this.#get(`${path}?per_page=${PER_PAGE}&page=${page}`, token, signal);
      if (!Array.isArray(entries)) {
        throw new ProviderError("invalid", `GitHub's answer is no list: ${path}`);
      }
      all.push(...entries.filter(isObject));
      if (entries.length < PER_PAGE) return all;
    }
    return all;
  }

  async #get(path: string, token: string, signal?: AbortSignal): Promise<unknown> {
    const response = await this.#http.send(`${this.#api}${path}`, {
      headers: {
        accept: "application/vnd.github+json",
        authorization: `Bearer ${token}`,
        "user-agent": "mooring",
        "x-github-api-version": "2022-11-28",
      },
    }, signal);
    const { status, headers } = response;
    if (status === 401) return "ended";
    if (status === 403 && headers.get("x-ratelimit-remaining") === "0") {
      throw new ProviderError("unavailable", "GitHub's rate limit is reached");
    }
    if (status !== 200) throw new ProviderError("invalid", `GitHub answered with status ${status}`);
    return await jsonOf(response);
  }
}

function teamsOf(teams: readonly Record<string, unknown>[]): string[] {
  return teams.flatMap(({ slug, organization }) =>
    typeof slug === "string" && isObject(organization) && typeof organization.login === "string"
      ? [`${organization.login}/${slug}`]
      : []
  );
}

/** Returns a parameter that is there once. */
function single(parameters: URLSearchParams, name: string): string | undefined {
  const [value, ...others] = parameters.getAll(name);
  if (others.length > 0) throw new ProviderError("invalid", `The callback has "${name}" twice`);
  if (value !== undefined && value.length > MOST_CHARACTERS) {
    throw new ProviderError("invalid", `The callback has a "${name}" that is too long`);
  }
  return value;
}

/** Returns a code of an error, if it looks like one. */
function known(error: string): string {
  return /^[a-z_]{1,60}$/.test(error) ? error : "an unknown error";
}

async function jsonOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new ProviderError("invalid", "GitHub's answer isn't JSON");
  }
}
