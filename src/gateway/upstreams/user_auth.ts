/**
 * Defines what authorizes requests to an upstream for each user.
 *
 * @module
 */
import type { MaybePromise, Principal } from "../../../mod.ts";
import type { UpstreamSignIn } from "../types.ts";

/** A request to an upstream, whose credentials are wanted. */
export interface UserAuthContext {
  /** The name of the upstream. */
  readonly upstream: string;
  /** The URL of the upstream, as it was configured. */
  readonly url: string;
  /** The URL of this request. */
  readonly target: string;
  /** The method of this request. */
  readonly method: string;
  /** The sender of the client's request, with the rights that it has now. */
  readonly principal: Principal;
  /** The client's HTTP request that causes the request to the upstream. */
  readonly request: Request;
  /** Aborts when the request is no longer needed. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Authorizes requests to an upstream, for each user by an account of their own or by rights of the gateway's.
 *
 * An implementation MUST return credentials of the user of the context alone, and leave every secret out of
 * errors.
 */
export interface UserAuth extends Partial<UpstreamSignIn> {
  /**
   * Returns the headers with credentials, in lower case; none if there are none yet.
   *
   * @throws {UserAuthError} If the user can have none
   */
  headers(context: UserAuthContext): MaybePromise<Readonly<Record<string, string>>>;
  /**
   * Learns from an answer, before {@linkcode UserAuth.refused} does.
   *
   * @param sent The headers that {@linkcode UserAuth.headers} returned for the request
   * @returns Whether the upstream asks for the same request once more, with what the answer has, such as a nonce
   */
  answered?(
    response: Response,
    sent: Readonly<Record<string, string>>,
    context: UserAuthContext,
  ): boolean;
  /**
   * Learns that the upstream refused a request: by 401, or by 403 with a challenge.
   *
   * @param sent The headers that {@linkcode UserAuth.headers} returned for it
   * @returns Whether to send it once more, with other headers
   * @throws {SignInRequiredError} If the user has to sign in
   * @throws {UserAuthError} If the user may not do this
   * @throws {UpstreamError} If that can't help
   */
  refused(
    response: Response,
    sent: Readonly<Record<string, string>>,
    context: UserAuthContext,
  ): Promise<boolean>;
}

/** Tells whether a value authorizes requests for each user. */
export function isUserAuth(value: unknown): value is UserAuth {
  return typeof value === "object" && value !== null && "headers" in value && "refused" in value &&
    typeof value.headers === "function" && typeof value.refused === "function";
}

/** Returns what tells an upstream which user calls, if the credentials may be one user's. */
export function usersByAuth(auth: unknown): string | undefined {
  if (typeof auth === "function") return 'a function as "auth"';
  return isUserAuth(auth) ? 'accounts as "auth"' : undefined;
}

/** Returns what asks users to sign in, if the credentials are those of each user's own account. */
export function signInOf(auth: unknown): UpstreamSignIn | undefined {
  if (!isUserAuth(auth)) return undefined;
  const { begin, settled, isOpen, cancel } = auth;
  if (begin === undefined || settled === undefined) return undefined;
  if (isOpen === undefined || cancel === undefined) return undefined;
  return {
    begin: (need, asker) => begin.call(auth, need, asker),
    settled: (id, signal) => settled.call(auth, id, signal),
    isOpen: (id) => isOpen.call(auth, id),
    cancel: (id) => cancel.call(auth, id),
  };
}
