/**
 * Renames the email of a user that a provider hasn't verified.
 *
 * @module
 */

/**
 * Returns claims whose `email` is one that the provider doesn't say is unverified: such a one is the claim
 * `unverified_email`, so that a rule on `email` can't let in somebody who just typed it.
 */
export function withVerifiedEmail(claims: Record<string, unknown>): Record<string, unknown> {
  if (claims.email_verified !== false && claims.email_verified !== "false") return claims;
  const { email, ...others } = claims;
  return { ...others, ...email === undefined ? {} : { unverified_email: email } };
}
