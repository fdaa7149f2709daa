/**
 * Finds what can't hold in the `oauth` of a server: keys that don't fit its grant, or the rest of the file.
 *
 * @module
 */
import { isObject } from "../../kit.ts";

/** The grants by which a server's tokens are got without asking its users. */
export const GRANTS = ["client_credentials", "token_exchange", "id_jag"] as const;

const CLIENT_KEYS = ["clientId", "clientSecret", "issuer", "scopes", "audience"];
const KEY_KEYS = ["privateKey", "algorithm"];

/** The keys of each grant, beside `grant`; of users' own accounts without one. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  none: CLIENT_KEYS,
  client_credentials: [...CLIENT_KEYS, ...KEY_KEYS],
  token_exchange: [...CLIENT_KEYS, ...KEY_KEYS, "subject"],
  id_jag: [...CLIENT_KEYS, ...KEY_KEYS, "subject", "identityProvider"],
};

/** The grants for which a token of the caller is needed. */
const ON_BEHALF: readonly unknown[] = ["token_exchange", "id_jag"];

/** What is wrong, and at which key of `oauth`. */
export interface OAuthProblem {
  readonly key?: string;
  readonly message: string;
}

/** Finds what can't hold in an `oauth` whose values may not be checked yet. */
export function oauthProblems(
  oauth: unknown,
  { signIn, auth }: Readonly<Record<string, unknown>>,
): readonly OAuthProblem[] {
  const given = isObject(oauth) ? oauth : {};
  const grant = typeof given["grant"] === "string" ? given["grant"] : "none";
  const known = KEYS[grant];
  // The schema names the grants that there are
  if (known === undefined) return [];
  return [
    ...Object.keys(given).filter((key) => key !== "grant" && ALL.has(key) && !known.includes(key))
      .map((key) => ({ key, message: misplaced(key, grant) })),
    ...grant === "none" ? accountProblems(given, signIn) : [],
    ...ON_BEHALF.includes(grant) ? behalfProblems(given, signIn, auth) : [],
  ];
}

const ALL = new Set(Object.values(KEYS).flat());

function misplaced(key: string, grant: string): string {
  const grants = GRANTS.filter((each) => KEYS[each]?.includes(key));
  const names = grants.map((each) => `"${each}"`).join(" or ");
  return grant === "none"
    ? `Add the "grant" that it is for: ${names}`
    : `Leave it out: it is for the grant ${names}`;
}

function accountProblems(
  { clientId, clientSecret, issuer }: Readonly<Record<string, unknown>>,
  signIn: unknown,
): readonly OAuthProblem[] {
  const found: OAuthProblem[] = [];
  if (signIn === undefined) {
    const message =
      'Add "signIn" to the file: each user has an account there, so users must sign in here';
    found.push({ message });
  }
  if (clientSecret !== undefined && clientId === undefined) {
    found.push({ message: 'Give the "clientId" that the "clientSecret" belongs to' });
  }
  if (clientSecret !== undefined && issuer === undefined) {
    found.push({ message: 'Give the "issuer" that the "clientSecret" is for' });
  }
  return found;
}

/** Finds why there is no token of callers that could be exchanged. */
function behalfProblems(
  { subject }: Readonly<Record<string, unknown>>,
  signIn: unknown,
  auth: unknown,
): readonly OAuthProblem[] {
  if (signIn === undefined && subject === "sign_in") {
    const message = 'Add "signIn" to the file, or give "caller": no user logs in here';
    return [{ key: "subject", message }];
  }
  if (signIn === undefined && auth === undefined) {
    const message = 'Add "signIn" or "auth" to the file: tokens are exchanged for known callers';
    return [{ message }];
  }
  if (isObject(auth) && auth["tokens"] !== undefined) {
    const message =
      'Give "jwt" or "introspection" as auth: no server exchanges tokens of this file';
    return [{ message }];
  }
  const provider = isObject(signIn) ? signIn["provider"] : undefined;
  if (subject !== "caller" && isObject(provider) && provider["type"] === "github") {
    return [{ message: "GitHub gives no ID tokens that could be exchanged" }];
  }
  return [];
}
