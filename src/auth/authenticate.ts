/**
 * Finds out who sends a request, or turns the sender away.
 *
 * @module
 */
import { isResponse } from "../internal/whole.ts";
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject, type RequestId } from "../protocol/jsonrpc.ts";
import { checkRateLimit } from "../http/gates/rate_limit.ts";
import { refusal, type Report } from "../http/reply.ts";
import type { RateLimiter } from "../http/gates/types.ts";
import { bearerChallenge, joinChallenges } from "./challenge.ts";
import { Forbidden, Unauthorized, Unavailable } from "./errors.ts";
import { scopesToAskFor } from "./scopes.ts";
import { dropUnderscoreHeaders } from "./underscore_headers.ts";

export { Forbidden, Unauthorized, Unavailable } from "./errors.ts";
export type { ForbiddenOptions, UnauthorizedOptions } from "./errors.ts";

/** What is needed to find out who sends a request. */
export interface AuthSettings {
  /** Tells who sends a request. Without it everybody is {@linkcode ANONYMOUS}. */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /** What expiry goes by. */
  readonly clock: Clock;
  /** Told of refusals and of what `authenticate` threw. */
  readonly report: Report;
  /** Asked once it is known who sends a request. */
  readonly rateLimit?: RateLimiter;
  /** What every challenge of the scheme `Bearer` says besides its error. */
  readonly challenge?: string;
}

/** What was being done for a request when it was turned away. */
export interface TurnedAway {
  /** The function that threw. */
  readonly during: "authenticate" | "authorize";
  /** Who asks, once that is known. */
  readonly principal?: Principal;
  /** The request's id, once that is known. */
  readonly id?: RequestId | null;
}

/** Everybody, where nothing authenticates requests. */
export const ANONYMOUS: Principal = Object.freeze({ id: "anonymous" });

const EXPIRED = bearerChallenge({ error: "invalid_token" });
const AUTHENTICATE: TurnedAway = { during: "authenticate" };

/** Who sends a request, or the response that turns the sender away. Never throws or rejects. */
export function principalOf(
  request: Request,
  context: unknown,
  settings: AuthSettings,
): MaybePromise<Principal | Response> {
  const known = identify(request, context, settings);
  const { rateLimit, report } = settings;
  if (rateLimit === undefined) return known;
  const limit = (principal: Principal | Response) => {
    if (isResponse(principal)) return principal;
    const limited = checkRateLimit(request, context, rateLimit, report, principal);
    if (!isPromise(limited)) return limited ?? principal;
    return limited.then((response) => response ?? principal);
  };
  return isPromise(known) ? known.then(limit) : limit(known);
}

function identify(
  request: Request,
  context: unknown,
  settings: AuthSettings,
): MaybePromise<Principal | Response> {
  const { authenticate } = settings;
  if (authenticate === undefined) return ANONYMOUS;
  try {
    const principal = authenticate(dropUnderscoreHeaders(request), context);
    if (!isPromise(principal)) return admit(principal, settings);
    return principal.then((value) => admit(value, settings))
      .then(undefined, (error: unknown) => turnAway(error, settings));
  } catch (error) {
    return turnAway(error, settings);
  }
}

function admit(principal: Principal, settings: AuthSettings): Principal | Response {
  if (!isPrincipal(principal)) {
    throw new TypeError("Return a principal from authenticate: an object with a non-empty id");
  }
  const { expiresAt } = principal;
  if (expiresAt === undefined || expiresAt > settings.clock.now()) return principal;
  return refuse(settings, {
    status: 401,
    message: "Send new credentials: these have expired",
    reason: "credentials-expired",
    challenge: EXPIRED,
  });
}

/** Whether a value is a principal, in all that decides about owning and expiry. */
function isPrincipal(value: unknown): value is Principal {
  if (!isObject(value)) return false;
  const { id, issuer, clientId, scopes, expiresAt } = value;
  return typeof id === "string" && id !== "" &&
    (issuer === undefined || typeof issuer === "string") &&
    (clientId === undefined || typeof clientId === "string") &&
    // A text has `includes` too, and would find half a scope in it.
    (scopes === undefined || Array.isArray(scopes)) &&
    (expiresAt === undefined || (typeof expiresAt === "number" && !Number.isNaN(expiresAt)));
}

/** The response to a request for which `authenticate` or `authorize` threw. */
export function turnAway(
  error: unknown,
  settings: AuthSettings,
  where: TurnedAway = AUTHENTICATE,
): Response {
  if (error instanceof Unauthorized) {
    const { message, challenge } = error;
    return refuse(settings, { status: 401, message, reason: "unauthorized", challenge }, where.id);
  }
  if (error instanceof Forbidden) {
    const { message } = error;
    const challenge = challengeOf(error, where.principal);
    return refuse(settings, { status: 403, message, reason: "forbidden", challenge }, where.id);
  }
  const { during, id } = where;
  settings.report({ type: "error", during, error });
  const reason = `${during}-failed` as const;
  const code = ErrorCode.InternalError;
  if (error instanceof Unavailable) {
    const { message } = error;
    const headers = { "retry-after": "1" };
    return refusal({ status: 503, code, message, reason, id, headers }, settings.report);
  }
  return refusal({ status: 500, code, message: "Internal error", reason, id }, settings.report);
}

/** What a client is to ask for: not only what it lacks, but also what it has. */
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
}

function refuse(
  settings: AuthSettings,
  { challenge, ...refused }: Refused,
  id?: RequestId | null,
): Response {
  return refusal({
    ...refused,
    id,
    code: ErrorCode.NotAvailable,
    headers: { "www-authenticate": joinChallenges(settings.challenge, challenge) },
  }, settings.report);
}
