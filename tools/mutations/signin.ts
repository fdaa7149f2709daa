/**
 * Faults in sign-in.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const DPOP = "signin/dpop.test.ts";
const ATTACKS = "signin/attacks.test.ts";

/** The faults of sign-in. */
export const SIGN_IN: FaultsByFile = {
  "signin/tokens/tokens.ts": {
    tests: [DPOP, ATTACKS],
    faults: [
      ["DPOP-7", 'proof === undefined ? "Bearer" : "DPoP"', '"Bearer"'],
      ["DPOP-7", "const bound = { ...grant, jkt };", "const bound = grant;"],
      ["DPOP-7", "const isBinding = jkt !== grant.jkt;", "const isBinding = false;"],
      ["DPOP-7", 'proofs?.use === "require" || ', ""],
      ["DPOP-8", "{ addresses: [issuer] }", "{ addresses: [issuer, request.url] }"],
      ["DPOP-8", "if (proof !== undefined && !isSpent) await settings.proofs?.spend(proof);", ""],
      [
        "DPOP-9",
        "if (grant.jkt !== undefined && grant.jkt !== proof?.thumbprint) {",
        "if (false) {",
      ],
      [
        "DPOP-10",
        'if (code.jkt !== undefined && code.jkt !== jkt) throw refuse("key-differs", id);',
        "",
      ],
      [
        "DPOP-10",
        'if (code.needsKey === true && jkt === undefined) throw refuse("key-missing", id);',
        "",
      ],
    ],
  },
  "signin/tokens/access_tokens.ts": {
    tests: [DPOP, ATTACKS],
    faults: [
      ["DPOP-7", "...idp, ...cnf }", "...idp }"],
      ["DPOP-9", "if (claims.cnf !== undefined && proofs === undefined) return undefined;", ""],
    ],
  },
  "signin/clients/registration.ts": {
    tests: [DPOP],
    faults: [["DPOP-10", "dpopBound === true && this.#init.bindsTokens", "dpopBound === true"]],
  },
};
