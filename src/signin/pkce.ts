/**
 * Proves that who redeems a code is who asked for it (RFC 7636).
 *
 * @module
 */
import { toBase64Url } from "../kit.ts";

/** Returns the S256 challenge of a verifier (RFC 7636 §4.2); an empty text for what is none. */
export async function challengeOf(verifier: string): Promise<string> {
  if (!/^[A-Za-z0-9\-._~]{43,128}$/.test(verifier)) return "";
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return toBase64Url(new Uint8Array(digest));
}
