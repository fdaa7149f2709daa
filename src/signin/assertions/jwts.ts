/**
 * What assertions of providers and of clients have in common: keys, one use, and a short life.
 *
 * @module
 */
import type { JwkSet, JwtOptions, RequestHead } from "../../auth/mod.ts";
import type { Clock, Principal } from "../../../mod.ts";
import type { RecordStore } from "../../cluster/mod.ts";
import { fromBase64Url, isObject, sha256, toBase64Url } from "../../kit.ts";
import type { SignInSettings } from "../settings.ts";

/** The tolerated difference of clocks, in seconds. */
export const TOLERANCE_S = 30;
/** The longest life of an assertion, in seconds. */
const MOST_LIFE_S = 3_600;
/** The most characters of the id of an assertion. */
const MOST_ID = 1_000;

/** Returns how the signature of an assertion is verified. */
export function keyOptions(
  { jwks, jwksUri }: { readonly jwks?: JwkSet; readonly jwksUri?: string },
  { clock, allowInsecure, fetch }: SignInSettings,
): Omit<JwtOptions, "issuer" | "audience"> {
  return {
    ...{ clock, clockToleranceS: TOLERANCE_S, allowHttp: allowInsecure },
    ...jwks !== undefined && { jwks },
    ...jwksUri !== undefined && { jwksUri },
    ...fetch !== undefined && { fetch: (url, init) => fetch(new URL(url), init ?? {}) },
  };
}

/** Returns a request that has an assertion as its token. */
export function bearerRequest(assertion: string): RequestHead {
  const headers = { authorization: `Bearer ${assertion}` };
  return new Request("https://assertion.invalid/", { headers });
}

/** Returns the claims of a JWT, unverified. */
export function unverified(token: string): Readonly<Record<string, unknown>> {
  try {
    const [, payload = ""] = token.split(".");
    const claims: unknown = JSON.parse(new TextDecoder().decode(fromBase64Url(payload)));
    return isObject(claims) ? claims : {};
  } catch {
    return {};
  }
}

/** Tells whether a verified assertion was issued for a short time, and not later than now. */
export function isShortLived({ claims }: Principal, clock: Clock): boolean {
  const { iat, exp } = claims ?? {};
  return typeof iat === "number" && typeof exp === "number" && exp - iat <= MOST_LIFE_S &&
    iat <= clock.now() / 1000 + TOLERANCE_S;
}

/**
 * Uses a verified assertion: of any number of tries, at all nodes that share the store, one succeeds.
 *
 * @returns Whether it was the first use of an assertion that has an id and a short life
 */
export async function claimOnce(
  records: RecordStore,
  assertion: Principal,
  clock: Clock,
): Promise<boolean> {
  const { jti, exp, iss } = assertion.claims ?? {};
  if (typeof jti !== "string" || jti === "" || jti.length > MOST_ID) return false;
  if (typeof exp !== "number" || !isShortLived(assertion, clock)) return false;
  const name = toBase64Url(await sha256(new TextEncoder().encode(JSON.stringify([iss, jti]))));
  const ttlMs = (exp + 2 * TOLERANCE_S) * 1000 - clock.now();
  const write = { ttlMs: Math.max(1_000, ttlMs), expected: null };
  return await records.put(`assertion:${name}`, "1", write) !== undefined;
}
