/**
 * Sends the requests of an API: with the credentials that each operation needs, and within one origin.
 *
 * @module
 */
import type { MaybePromise } from "../../../mod.ts";
import type { Fetch } from "../../auth/mod.ts";
import { checkNames, isObject, quote, toBase64 } from "../../kit.ts";
import type { ApiOperation, Complaint } from "../openapi/operations.ts";
import type { ApiRequest } from "../openapi/request.ts";
import type { CredentialPlace, SecuritySchemes } from "../openapi/security.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import { fetchError, UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, UpstreamSignIn } from "../types.ts";
import { cleanValue, forwardedHeaders } from "./forward_headers.ts";
import {
  callProvider,
  checkAuth,
  createAuthorizer,
  type HttpAuth,
  type TokenContext,
} from "./http_auth.ts";
import { discard } from "./http_body.ts";
import { signInOf } from "./user_auth.ts";

/**
 * Authorizes the requests of an API: as {@linkcode HttpAuth}, for the one security scheme of its document,
 * or for several by their names there.
 */
export type ApiCredentials = HttpAuth | {
  /** The credentials of security schemes, by their names in the document. */
  readonly schemes: Readonly<Record<string, HttpAuth>>;
};

/** What requests are sent with. */
export interface RequestSettings {
  readonly headers: Readonly<Record<string, string>>;
  readonly forwarded: ReadonlyMap<string, string>;
  readonly fetch: Fetch;
}

/** Options for {@linkcode ApiAuth.send}. */
export interface SendInit {
  readonly request: ApiRequest;
  readonly operation: ApiOperation;
  /** The name of the upstream. */
  readonly upstream: string;
  readonly settings: RequestSettings;
  /** The client's request that causes this one, and its sender. */
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

/** An answer, and the credentials of its request. */
export interface Answered {
  readonly response: Response;
  readonly secrets: readonly string[];
}

const CREDENTIAL = /^[\x20-\x7e\u0080-\uffff]{1,16384}$/;
const HEADER_VALUE = /^[\x20-\x7e\x80-\xff]{1,16384}$/;
const COOKIE_VALUE = /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,4096}$/;
const MAX_REDIRECTS = 3;

/**
 * Checks the option `auth`.
 *
 * @throws {TypeError} If it is neither a credential nor a source of them
 */
export function checkApiAuth(auth: ApiCredentials | undefined): void {
  if (!isSchemes(auth)) return checkOne(auth);
  checkNames("openapi()", auth, { schemes: true }, "auth.");
  if (!isObject(auth.schemes)) throw new TypeError('Give an object as "auth.schemes"');
  for (const each of Object.values(auth.schemes)) checkOne(each);
}

function checkOne(auth: HttpAuth | undefined): void {
  // A user and password may have blanks; the message omits them.
  if (typeof auth !== "string") return checkAuth(auth);
  if (!CREDENTIAL.test(auth)) throw new TypeError('Give printable characters as "auth"');
}

function isSchemes(auth: ApiCredentials | undefined): auth is Exclude<ApiCredentials, HttpAuth> {
  return typeof auth === "object" && auth !== null && "schemes" in auth;
}

/**
 * Returns what asks users to sign in at an API, if credentials of a scheme are those of each user's own account.
 *
 * @throws {TypeError} If several schemes have accounts of their own: a question is of one of them
 */
export function apiSignIn(auth: ApiCredentials | undefined): UpstreamSignIn | undefined {
  const all = isSchemes(auth) ? Object.values(auth.schemes) : [auth];
  const [one, ...others] = new Set(all.filter((each) => signInOf(each) !== undefined));
  if (others.length > 0) {
    throw new TypeError('Give the same accounts for all schemes in "auth.schemes"');
  }
  return signInOf(one);
}

/** A credential, and where it goes. */
interface Credential {
  readonly place: CredentialPlace;
  readonly auth: HttpAuth;
}

/** The credentials of an API. */
export class ApiAuth {
  /** By the names of schemes; for a document without any, under the empty name. */
  readonly #credentials: ReadonlyMap<string, Credential>;
  readonly #schemes: SecuritySchemes;

  /** @throws {UpstreamError} If a credential fits no scheme of the document */
  constructor(auth: ApiCredentials | undefined, schemes: SecuritySchemes) {
    this.#credentials = credentialsOf(auth, schemes);
    this.#schemes = schemes;
  }

  /** Says which operations need credentials that there aren't. */
  complaintsAbout(operations: readonly ApiOperation[]): Complaint[] {
    const missing = new Map<string, number>();
    for (const { security } of operations) {
      if (this.#credentials.has("") || this.#needed(security) !== undefined) continue;
      const [first = []] = security ?? [];
      const names = first.map((name) => this.#described(name)).join(" and ");
      missing.set(names, (missing.get(names) ?? 0) + 1);
    }
    return [...missing].map(([names, count]) => ({
      kind: "loosened",
      about: "the document",
      text: `${count} ${count === 1 ? "operation needs" : "operations need"} the credential of ` +
        `${names}, which "auth" doesn't have`,
    }));
  }

  /** Returns the name of a scheme with what it is, or why it can't be used. */
  #described(name: string): string {
    const place = this.#schemes.get(name);
    if (place === undefined) return `${quote(name)} (not in the document)`;
    if (typeof place === "string") return `${quote(name)} (${place} isn't supported)`;
    const what = "name" in place ? `the ${place.in} ${quote(place.name)}` : place.in;
    return `${quote(name)} (${what})`;
  }

  /**
   * Sends a request, and follows redirects within its origin.
   *
   * @throws {SignInRequiredError} If the user has to sign in
   * @throws {UpstreamError} If there is no answer
   */
  async send(sending: SendInit): Promise<Answered> {
    const { request, operation, upstream, settings, caller, signal } = sending;
    const { principal, request: clients } = caller;
    const context = { principal, request: clients };
    const secrets: string[] = [];
    const parts = new RequestParts(request);
    let bearer: HttpAuth | undefined;
    for (const { place, auth } of this.#needed(operation.security) ?? []) {
      if (place.in === "bearer") bearer = auth;
      else await parts.add(place, auth, context, secrets);
    }
    const { forwarded, fetch } = settings;
    const headers = {
      ...forwarded.size > 0 && forwardedHeaders(clients.headers, forwarded),
      ...request.headers,
      ...settings.headers,
      ...parts.headers(),
    };
    // An authorization that is forwarded or configured is a credential as well.
    if (headers["authorization"] !== undefined) addSecrets(secrets, headers["authorization"]);
    const recording: Fetch = (url, init) => {
      const sent = new Headers(init?.headers).get("authorization");
      if (sent !== null) addSecrets(secrets, sent);
      return fetch(url, init);
    };
    const authorizer = createAuthorizer(bearer, operation.base, recording, upstream);
    const send = (url: string, init: RequestInit) =>
      authorizer.send(url, { ...init, headers: { ...headers, ...authorizer.headers } }, context);
    const response = await this.#follow(parts.url, request, send, signal);
    return { response, secrets };
  }

  async #follow(
    first: string,
    { method, body }: ApiRequest,
    send: (url: string, init: RequestInit) => Promise<Response>,
    signal: AbortSignal,
  ): Promise<Response> {
    const { origin } = new URL(first);
    let url = first;
    let init: RequestInit = {
      method,
      redirect: "manual",
      signal,
      ...body !== undefined && { body },
    };
    try {
      for (let redirects = 0;; redirects++) {
        const response = await send(url, init);
        const to = redirectOf(response, url);
        const becomesGet = response.status === 303;
        const isSame = init.method === "GET" || becomesGet || KEEPING.has(response.status);
        // Credentials must not leave their origin.
        if (to?.origin !== origin || !isSame || redirects >= MAX_REDIRECTS) return response;
        discard(response);
        url = to.href;
        if (becomesGet) init = { method: "GET", redirect: "manual", signal };
      }
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof SignInRequiredError ? error : fetchError(error, origin);
    }
  }

  /** Returns the credentials that suffice for an operation; `undefined` if there are none. */
  #needed(security: ApiOperation["security"]): readonly Credential[] | undefined {
    // A document that says nothing of them may need all that there are.
    if (security === undefined || this.#credentials.has("")) return [...this.#credentials.values()];
    const found = security.filter((names) => names.every((name) => this.#credentials.has(name)));
    const best = found.find((names) => names.length > 0) ?? found[0];
    return best?.flatMap((name) => this.#credentials.get(name) ?? []);
  }
}

/** The redirects that keep the method and body (RFC 9110 §15.4). */
const KEEPING: ReadonlySet<number> = new Set([307, 308]);
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

function redirectOf({ status, headers }: Response, url: string): URL | null {
  const location = headers.get("location");
  return REDIRECTS.has(status) && location !== null ? URL.parse(location, url) : null;
}

/** The parts of a request that credentials are added to. */
class RequestParts {
  url: string;
  readonly #cookies: string[];
  readonly #headers: Record<string, string> = {};

  constructor({ url, cookies }: ApiRequest) {
    this.url = url;
    this.#cookies = [...cookies];
  }

  headers(): Readonly<Record<string, string>> {
    return this.#cookies.length === 0
      ? this.#headers
      : { ...this.#headers, cookie: this.#cookies.join("; ") };
  }

  async add(
    place: Exclude<CredentialPlace, { in: "bearer" }>,
    auth: HttpAuth,
    context: TokenContext,
    secrets: string[],
  ): Promise<void> {
    const value = await valueOf(auth, context);
    if (value === undefined) return;
    addSecrets(secrets, value);
    if (place.in === "basic") {
      const coded = toBase64(new TextEncoder().encode(value));
      this.#headers["authorization"] = `Basic ${coded}`;
      addSecrets(secrets, coded);
      // The password alone is one as well.
      secrets.push(value.slice(value.indexOf(":") + 1));
    } else if (place.in === "query") {
      const pair = `${encodeURIComponent(place.name)}=${encodeURIComponent(value)}`;
      this.url += `${this.url.includes("?") ? "&" : "?"}${pair}`;
      secrets.push(encodeURIComponent(value));
    } else if (place.in === "header") {
      if (!HEADER_VALUE.test(value)) throw unusable();
      this.#headers[place.name] = value;
    } else {
      if (!COOKIE_VALUE.test(value)) throw unusable();
      this.#cookies.push(`${place.name}=${value}`);
    }
  }
}

function unusable(): UpstreamError {
  return new UpstreamError("unauthorized", { detail: "the credential isn't valid" });
}

async function valueOf(auth: HttpAuth, context: TokenContext): Promise<string | undefined> {
  // Only these two kinds were accepted for such a scheme.
  const source = auth as string | ((context: TokenContext) => MaybePromise<string | undefined>);
  if (typeof source === "string") return source;
  const value = await callProvider(() => source(context));
  if (value !== undefined && !CREDENTIAL.test(value)) throw unusable();
  return value;
}

/** Adds a credential, and the forms in which an answer may repeat it. */
function addSecrets(secrets: string[], value: string): void {
  const bare = value.replace(/^(?:Bearer|Basic|DPoP|Token) /i, "");
  for (const each of new Set([value, bare, JSON.stringify(bare).slice(1, -1), cleanValue(bare)])) {
    if (!secrets.includes(each)) secrets.push(each);
  }
}

function credentialsOf(
  auth: ApiCredentials | undefined,
  schemes: SecuritySchemes,
): ReadonlyMap<string, Credential> {
  if (auth === undefined) return new Map();
  const known = [...schemes.keys()].map((name) => quote(name)).join(", ");
  if (isSchemes(auth)) {
    return new Map(
      Object.entries(auth.schemes).map(([name, each]) => {
        const place = schemes.get(name);
        if (place !== undefined) return [name, credential(name, place, each)];
        const has = known === "" ? "has none" : `has ${known}`;
        throw wrong(`Correct the name in "auth.schemes", the document ${has}: ${quote(name)}`);
      }),
    );
  }
  if (schemes.size === 0) return new Map([["", credential("", { in: "bearer" }, auth)]]);
  const isBearer = ([, place]: [string, CredentialPlace | string]) =>
    typeof place !== "string" && place.in === "bearer";
  const supported = [...schemes].filter(([, place]) => typeof place !== "string");
  // Nothing else takes tokens of accounts and providers
  const usable = typeof auth === "object" ? supported.filter(isBearer) : supported;
  const areBearers = usable.every(isBearer);
  if (usable.length > 1 && !areBearers) {
    throw wrong(`Give "auth" as { "schemes": … }, since the document has several: ${known}`);
  }
  const used = usable.length === 0 ? [...schemes].slice(0, 1) : usable;
  return new Map(used.map(([name, place]) => [name, credential(name, place, auth)]));
}

function credential(name: string, place: CredentialPlace | string, auth: HttpAuth): Credential {
  if (typeof place === "string") {
    throw wrong(`Leave "auth" out for the scheme ${quote(name)}: ${place} isn't supported`);
  }
  if (place.in === "bearer") {
    if (typeof auth === "string" && /[^\x21-\x7e]/.test(auth)) {
      throw wrong(`Give a token without blanks as "auth" for the scheme ${quote(name)}`);
    }
  } else if (typeof auth === "object") {
    throw wrong(`Give a text or a function as "auth": the scheme ${quote(name)} takes no provider`);
  } else if (place.in === "basic" && typeof auth === "string" && !auth.includes(":")) {
    throw wrong(`Give "user:password" as "auth" for the scheme ${quote(name)}`);
  }
  return { place, auth };
}

function wrong(advice: string): UpstreamError {
  return new UpstreamError("protocol", { advice });
}
