/**
 * Authenticates requests: calls the application's `authenticate`, and refuses what it rejects.
 *
 * The next step of a call is in `protocol/route.ts`.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { checkRateLimit, type RateLimiter } from "../http/gates/rate_limit.ts";
import type { Inbound, RequestHead } from "../http/inbound.ts";
import { type Refusal, refusal } from "../http/reply.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import { ANONYMOUS, type Principal } from "../protocol/exchange.ts";
import { isObject, type RequestId } from "../protocol/jsonrpc.ts";
import { bearerChallenge, joinChallenges } from "./challenge.ts";
import { Forbidden, Unauthorized, Unavailable } from "./errors.ts";
import { scopesToAskFor } from "./scopes.ts";
import { dropUnderscoreHeaders, visibleHead } from "./underscore_headers.ts";

/** Marks a function that authenticates by the head of a request. */
const READS_HEAD = Symbol("Authenticates by the head of a request");

/** Authenticates by the head of a request, for which hosts such as Node need not make a `Request`. */
export type AuthenticateHead = (request: RequestHead, context?: unknown) => MaybePromise<Principal>;

/** Marks a function, so that it is called with a head where the host has no `Request`. */
export function readsHead<F extends AuthenticateHead>(authenticate: F): F {
  return Object.assign(authenticate, { [READS_HEAD]: true });
}

/** The checked options of authentication. */
export interface AuthSettings {
  /** Returns the sender of a request. Without it every request is sent by {@linkcode ANONYMOUS}. */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /** The clock by which credentials expire. */
  readonly clock: Clock;
  /** Limits requests once their principal is known. */
  readonly rateLimit?: RateLimiter;
  /** A challenge whose parameters are added to every challenge of the scheme `Bearer`. */
  readonly challenge?: string;
}

/** The context in which the application's function threw. */
export interface AuthFailure {
  /** The function that threw. */
  readonly during: "authenticate" | "authorize";
  /** The sender, once known. */
  readonly principal?: Principal;
  /** The request's id, once known. */
  readonly id?: RequestId | null;
}

const EXPIRED = bearerChallenge({ error: "invalid_token" });
const AUTHENTICATE: AuthFailure = { during: "authenticate" };

/** Fills in the sender of a request, or refuses the request. Never throws or rejects. */
export function authenticate(
  inbound: Inbound,
  settings: AuthSettings,
): MaybePromise<Refusal | undefined> {
  const refused = identify(inbound, settings);
  const { rateLimit } = settings;
  if (rateLimit === undefined) return refused;
  const limit = (refused: Refusal | undefined) =>
    refused ?? checkRateLimit(inbound, rateLimit, inbound.principal);
  return isPromise(refused) ? refused.then(limit) : limit(refused);
}

function identify(inbound: Inbound, settings: AuthSettings): MaybePromise<Refusal | undefined> {
  if (settings.authenticate === undefined) {
    inbound.principal = ANONYMOUS;
    return undefined;
  }
  try {
    const principal = ask(settings.authenticate, inbound);
    if (!isPromise(principal)) return admit(inbound, principal, settings);
    return principal.then((value) => admit(inbound, value, settings))
      .then(undefined, (error: unknown) => refuseFor(error, settings));
  } catch (error) {
    return refuseFor(error, settings);
  }
}

/** Calls a function with the least of a request that it needs. */
function ask(
  authenticate: NonNullable<AuthSettings["authenticate"]>,
  { source, context }: Inbound,
): MaybePromise<Principal> {
  if (isHeadReader(authenticate)) return authenticate(visibleHead(source), context);
  const request = "toRequest" in source ? source.toRequest() : dropUnderscoreHeaders(source);
  return authenticate(request, context);
}

function isHeadReader(
  authenticate: (...args: never[]) => unknown,
): authenticate is AuthenticateHead {
  return READS_HEAD in authenticate;
}

/** Checks the value that the application's `authenticate` returned: only a valid principal passes. */
function admit(
  inbound: Inbound,
  principal: unknown,
  settings: AuthSettings,
): Refusal | undefined {
  if (!isPrincipal(principal)) {
    throw new TypeError('Return a principal, an object with a non-empty id, from "authenticate"');
  }
  const { expiresAt } = principal;
  if (expiresAt !== undefined && expiresAt <= settings.clock.now()) {
    return refuse(settings, {
      status: 401,
      message: "Send new credentials: these have expired",
      reason: "credentials-expired",
      challenge: EXPIRED,
    });
  }
  inbound.principal = principal;
  return undefined;
}

/** Tells whether the members of a value that decide about ownership, scopes and expiry are valid. */
function isPrincipal(value: unknown): value is Principal {
  if (!isObject(value)) return false;
  const { id, issuer, clientId, scopes, expiresAt } = value;
  return typeof id === "string" && id !== "" &&
    (issuer === undefined || typeof issuer === "string") &&
    (clientId === undefined || typeof clientId === "string") &&
    // A string has `includes` too, which would match a part of a scope.
    (scopes === undefined || Array.isArray(scopes)) &&
    (expiresAt === undefined || (typeof expiresAt === "number" && !Number.isNaN(expiresAt)));
}

/** Refuses a request with the error that `authenticate` or `authorize` threw. */
export function refuseFor(
  error: unknown,
  settings: Pick<AuthSettings, "challenge">,
  failure: AuthFailure = AUTHENTICATE,
): Refusal {
  const { during, id } = failure;
  if (error instanceof Unauthorized) {
    const { message, challenge, headers } = error;
    const reason = "unauthorized";
    return refuse(settings, { status: 401, message, reason, challenge, headers }, id);
  }
  if (error instanceof Forbidden) {
    const { message } = error;
    const challenge = challengeOf(error, failure.principal);
    return refuse(settings, { status: 403, message, reason: "forbidden", challenge }, id);
  }
  const reason = `${during}-failed` as const;
  const code = ErrorCode.InternalError;
  const common = { code, reason, id, failure: { during, error } };
  if (error instanceof Unavailable) {
    const { message } = error;
    return refusal({ ...common, status: 503, message, headers: { "retry-after": "1" } });
  }
  return refusal({ ...common, status: 500, message: "Internal error" });
}

/** Returns a challenge with the scopes to request: those that the principal has and those that it lacks. */
function challengeOf({ challenge, scopes }: Forbidden, principal: Principal | undefined): string {
  if (scopes.length === 0 || principal === undefined) return challenge;
  return bearerChallenge({
    error: "insufficient_scope",
    scopes: scopesToAskFor(scopes, principal.scopes),
  });
}

interface Refused {
  readonly status: number;
  readonly message: string;
  readonly reason: RefusalReason;
  readonly challenge: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function refuse(
  settings: Pick<AuthSettings, "challenge">,
  { challenge, headers, ...refused }: Refused,
  id?: RequestId | null,
): Refusal {
  return refusal({
    ...refused,
    id,
    code: ErrorCode.NotAvailable,
    headers: { ...headers, "www-authenticate": joinChallenges(settings.challenge, challenge) },
  });
}
