/**
 * The contract of an identity provider: who a user is, is its answer.
 *
 * @module
 */

/** Why a login failed. */
export type ProviderErrorReason =
  /** The user, or the provider, refused. */
  | "denied"
  /** The provider can't be reached, or answers with an error of its own: to try again may help. */
  | "unavailable"
  /** The answer isn't one that the provider may give here: an attack, or a wrong configuration. */
  | "invalid";

/** The reason why a login at a provider failed. Its message is for the operator, and has no secrets. */
export class ProviderError extends Error {
  /** The name of the class. */
  override readonly name = "ProviderError";
  /** Why the login failed. */
  readonly reason: ProviderErrorReason;

  /**
   * Makes the error.
   *
   * @param reason Why the login failed
   * @param message What the operator can do
   * @param options The cause
   */
  constructor(reason: ProviderErrorReason, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

/** A login that a provider vouches for. */
export interface ProviderLogin {
  /** What the provider says about the user: of an ID token, and of UserInfo if that is asked. */
  readonly claims: Readonly<Record<string, unknown>>;
  /** The user's id: unique at the issuer, and never given to another user. */
  readonly subject: string;
  /** The identity provider's issuer. */
  readonly issuer: string;
  /**
   * A secret by which {@linkcode Provider.refresh} asks later whether the user is still there: the
   * provider's refresh token. Absent if the provider gave none. Keep it sealed.
   */
  readonly credential?: string;
  /** The ID token that the provider gave, verified. Absent if it gave none. Keep it sealed. */
  readonly idToken?: string;
}

/** One login: what its start and its end have in common. */
export interface LoginRequest {
  /** The address that the provider sends the user back to, as registered there. */
  readonly redirectUri: string;
  /** The value of `state`: random, and bound to the user's browser by the caller. */
  readonly state: string;
  /** The value of `nonce`: random. */
  readonly nonce: string;
  /** The verifier of PKCE: 43 to 128 characters (RFC 7636 section 4.1). */
  readonly codeVerifier: string;
  /** Whether the provider must ask the user again, even if it has a session. @default false */
  readonly asksAnew?: boolean;
}

/**
 * An identity provider.
 *
 * An implementation MUST
 *
 * - return from `finish` and `refresh` only what the provider itself vouches for, checked as its protocol
 *   asks: `state`, `nonce`, PKCE, issuer, audience, signature and time;
 * - throw nothing but {@linkcode ProviderError}, and the reason of the signal;
 * - bound the time and the size of every answer, and put no secret into an error.
 */
export interface Provider {
  /** The name to show to users: `GitHub`, `login.example`. */
  readonly name: string;
  /**
   * Returns the address to send the user's browser to.
   *
   * @throws {ProviderError} `"unavailable"` if the provider can't be reached
   */
  authorizationUrl(request: LoginRequest, signal?: AbortSignal): Promise<URL>;
  /**
   * Ends the login that `authorizationUrl` began, with what the provider added to the redirect address.
   *
   * @param request The login, as it began
   * @param callback The parameters of the query that the user's browser came back with
   * @throws {ProviderError} If the user is not logged in
   */
  finish(
    request: LoginRequest,
    callback: URLSearchParams,
    signal?: AbortSignal,
  ): Promise<ProviderLogin>;
  /**
   * Asks whether the user is still there. Absent if the provider can't be asked.
   *
   * @param credential What the last login had: the new one may have another
   * @returns The login, renewed, or `"ended"` if the provider no longer vouches for the user
   * @throws {ProviderError} `"unavailable"` if the provider can't be reached
   */
  refresh?(credential: string, signal?: AbortSignal): Promise<ProviderLogin | "ended">;
}
