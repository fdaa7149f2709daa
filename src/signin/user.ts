/**
 * Tells who a user is here, and whether they may enter.
 *
 * @module
 */
import { clip, escapeInvisible } from "../kit.ts";
import type { ProviderLogin } from "./providers/types.ts";
import type { SignInSettings } from "./settings.ts";
import type { SignedInUser } from "./types.ts";

/** The claims that a user is called by, the best first. */
const NAME_CLAIMS = ["email", "preferred_username", "login", "name"];

/** Returns who a user is here, or `undefined` if they may not enter. */
export async function identify(
  { allow, principal, descriptions }: SignInSettings,
  login: ProviderLogin,
): Promise<Required<SignedInUser> | undefined> {
  if (allow !== undefined && await allow(login) !== true) return undefined;
  const given: SignedInUser = await principal?.(login) ?? { id: login.subject };
  const { id, issuer = login.issuer, scopes = [...descriptions.keys()] } = given;
  if (typeof id !== "string" || id === "" || typeof issuer !== "string") {
    throw new TypeError('Return an object with a non-empty id from "principal"');
  }
  const claimed = NAME_CLAIMS.map((claim) => login.claims[claim])
    .find((claim) => typeof claim === "string" && claim !== "");
  const name = escapeInvisible(clip(String(given.name ?? claimed ?? id), 100));
  const all = scopes.filter((scope) => descriptions.has(scope));
  return all.length === 0 ? undefined : { id, issuer, name, scopes: all };
}
