/**
 * Says why a login by OpenID Connect failed, without quoting what could be secret.
 *
 * @module
 */
import { clip, escapeInvisible } from "../../kit.ts";
import { ProviderError, type ProviderErrorReason } from "./types.ts";

/** What is used of `oauth4webapi`. */
type OAuth = Pick<
  typeof import("oauth4webapi"),
  "AuthorizationResponseError" | "ResponseBodyError" | "WWWAuthenticateChallengeError"
>;

/** The codes of an authorization response (RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6). */
const REASONS: Readonly<Record<string, ProviderErrorReason>> = {
  access_denied: "denied",
  account_selection_required: "denied",
  consent_required: "denied",
  interaction_required: "denied",
  login_required: "denied",
  server_error: "unavailable",
  temporarily_unavailable: "unavailable",
};

/** Makes the error of a login out of any error. */
export function asProviderError(error: unknown, oauth: OAuth): ProviderError {
  if (error instanceof ProviderError) return error;
  if (error instanceof oauth.AuthorizationResponseError) {
    const reason = REASONS[error.error] ?? "invalid";
    return new ProviderError(reason, `The provider answered ${said(error)}`);
  }
  if (error instanceof oauth.ResponseBodyError) {
    const reason = REASONS[error.error] ?? "invalid";
    return new ProviderError(reason, `The provider answered ${said(error)}`);
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return new ProviderError("invalid", `The provider answered with status ${error.status}`);
  }
  // Its own words alone: the cause of such an error has the answer in it.
  const message = error instanceof Error ? error.message : "An unknown error";
  return new ProviderError("invalid", `The provider's answer is wrong: ${plain(message)}`);
}

function said({ error, error_description: why }: { error: string; error_description?: string }) {
  return why === undefined ? plain(error) : `${plain(error)}: ${plain(why)}`;
}

function plain(text: string): string {
  return clip(escapeInvisible(text.replace(/\s+/g, " ")), 200);
}
