/**
 * Finds out who sends a request, or turns the sender away.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { RefusalReason } from "../protocol/events.ts";
import type { Principal } from "../protocol/exchange.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { refusal, type Report } from "../gates/refusal.ts";
import { Forbidden, Unauthorized } from "./errors.ts";
import { dropUnderscoreHeaders } from "./underscore_headers.ts";

export { Forbidden, Unauthorized } from "./errors.ts";
export type { ForbiddenOptions, UnauthorizedOptions } from "./errors.ts";

/** What is needed to find out who sends a request. */
export interface AuthSettings {
  /** Tells who sends a request. Without it everybody is {@linkcode ANONYMOUS}. */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /** What expiry goes by. */
  readonly clock: Clock;
  /** Told of refusals and of what `authenticate` threw. */
  readonly report: Report;
  /** What every challenge of the scheme `Bearer` says besides its error. */
  readonly challenge?: string;
}

/** Everybody, where nothing authenticates requests. */
export const ANONYMOUS: Principal = Object.freeze({ id: "anonymous" });

const BEARER = "Bearer";
const EXPIRED = 'Bearer error="invalid_token"';

/** Who sends a request, or the response that turns the sender away. Never throws or rejects. */
export function principalOf(
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
  const { id, issuer, clientId, expiresAt } = value;
  return typeof id === "string" && id !== "" &&
    (issuer === undefined || typeof issuer === "string") &&
    (clientId === undefined || typeof clientId === "string") &&
    (expiresAt === undefined || (typeof expiresAt === "number" && !Number.isNaN(expiresAt)));
}

function turnAway(error: unknown, settings: AuthSettings): Response {
  if (error instanceof Unauthorized) {
    const { message, challenge } = error;
    return refuse(settings, { status: 401, message, reason: "unauthorized", challenge });
  }
  if (error instanceof Forbidden) {
    const { message, challenge } = error;
    return refuse(settings, { status: 403, message, reason: "forbidden", challenge });
  }
  settings.report({ type: "error", during: "authenticate", error });
  return refusal({
    status: 500,
    code: ErrorCode.InternalError,
    message: "Internal error",
    reason: "authenticate-failed",
  }, settings.report);
}

interface Refused {
  readonly status: number;
  readonly message: string;
  readonly reason: RefusalReason;
  readonly challenge: string;
}

function refuse(settings: AuthSettings, { challenge, ...refused }: Refused): Response {
  return refusal({
    ...refused,
    code: ErrorCode.NotAvailable,
    headers: { "www-authenticate": joinChallenges(settings.challenge, challenge) },
  }, settings.report);
}

/** What an endpoint says in every challenge, with what this one says besides. */
function joinChallenges(base: string | undefined, own: string): string {
  if (base === undefined) return own;
  if (own === BEARER) return base;
  if (!base.startsWith(`${BEARER} `) || !own.startsWith(`${BEARER} `)) return own;
  return `${base}, ${own.slice(BEARER.length + 1)}`;
}
