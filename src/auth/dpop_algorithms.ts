/**
 * Names the algorithms of DPoP proofs.
 *
 * @module
 */

/** The algorithms that proofs may be signed with: asymmetric ones that every runtime has (RFC 9449 §5.1). */
export const DPOP_ALGORITHMS: readonly string[] = [
  "ES256",
  "ES384",
  "PS256",
  "RS256",
  "EdDSA",
  "Ed25519",
];
