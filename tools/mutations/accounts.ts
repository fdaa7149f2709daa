/**
 * Faults in the accounts of users at upstreams.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const ATTACKS = "accounts/attacks.test.ts";
const VAULT = "accounts/vault.test.ts";
const SLICE = "accounts/slice.test.ts";
const CLIENT = "accounts/client.test.ts";
const DPOP = "accounts/dpop.test.ts";
const MACHINE = "accounts/client_credentials.test.ts";
const EXCHANGE = "accounts/token_exchange.test.ts";
const ID_JAG = "accounts/id_jag.test.ts";
const ASSERTIONS = "signin/id_jag.test.ts";

/** The faults of accounts, and of what is taken in place of a login. */
export const ACCOUNTS: FaultsByFile = {
  "accounts/flow.ts": {
    tests: [ATTACKS, DPOP],
    faults: [
      ["DPOP-12", "if (isUnbound && mustBeBound(login, ask)) {", "if (false) {"],
      [
        "UPA-12",
        'if (!isSameUser(ask.user, user)) return this.#refuse(step, "another-user", ask, user);',
        "",
      ],
      [
        "UPA-12",
        "if (!isSameUser(login.user, user) || !isSameUser(ask.user, user)) {",
        "if (false) {",
      ],
      [
        "UPA-13",
        'if (ask.state !== "open") return this.#refuse(step, "used-before", ask, user);',
        "",
      ],
      ["UPA-17", 'return isOther || (site !== null && site !== "same-origin");', "return false;"],
      [
        "UPA-14",
        "if (current === undefined) return await refuse();",
        "if (current === undefined) throw new Error();",
      ],
    ],
  },
  "accounts/dpop.ts": {
    tests: [DPOP],
    faults: [
      ["DPOP-12", "if (option === false) return undefined;", ""],
      ["DPOP-12", "option === true || bound.isRequired ||", "option === true ||"],
      ["DPOP-12", "if (alg !== undefined || !isRequired) return alg;", "if (true) return alg;"],
      ["DPOP-13", "own = nonce;", ""],
      ["DPOP-13", "nonce === null || !NONCE.test(nonce)", "nonce === null"],
      ["DPOP-14", "JSON.stringify({ kty, crv, x, y, n, e })", "JSON.stringify(arguments[0])"],
    ],
  },
  "accounts/credentials.ts": {
    tests: [DPOP],
    faults: [
      ["DPOP-12", "key === undefined || isBound !== true", "key === undefined"],
      ["DPOP-13", "isNew && response.status === 401 && challengeOf(response).wantsNonce", "false"],
    ],
  },
  "accounts/accounts.ts": {
    tests: [DPOP],
    faults: [[
      "DPOP-12",
      'if (bound === "required" && account.tokens',
      "if (false && account.tokens",
    ]],
  },
  "accounts/client_credentials.ts": {
    tests: [MACHINE, DPOP],
    faults: [
      ["UPA-55", "if (others !== undefined) return others;", ""],
      [
        "UPA-66",
        "new BoundedMap<string, KeptToken>(MOST_TOKENS, () => {})",
        "new Map<string, KeptToken>()",
      ],
      [
        "DPOP-15",
        "const key = alg === undefined ? undefined :",
        "const key = alg !== null ? undefined :",
      ],
    ],
  },
  "accounts/asks.ts": {
    tests: [ATTACKS, VAULT],
    faults: [
      ["UPA-28", "if (waiting.length >= MOST_ASKS) await this.#deleteOldest(waiting);", ""],
    ],
  },
  "accounts/vault.ts": {
    tests: [VAULT, DPOP],
    faults: [
      ["DPOP-12", "refreshToken, resource, key)", "refreshToken, resource)"],
      ["UPA-22", "{ ttlMs: RENEWING_MS, expected: null }", "{ ttlMs: RENEWING_MS }"],
      ["UPA-24", "{ ttlMs: RENEWING_MS,", "{ ttlMs: 3_600_000,"],
      ["UPA-24", "if (this.#settings.clock.now() >= until) throw error;", "throw error;"],
      ["UPA-25", "if (!isRefused && !this.#isOver(account)) return account;\n      throw", "throw"],
    ],
  },
  "accounts/provider.ts": {
    tests: [ATTACKS, SLICE, CLIENT, DPOP, "accounts/oidc_provider.test.ts"],
    faults: [
      ["DPOP-13", "if (prover !== undefined && wantsNonce(error)) return get(prover);", ""],
      ["UPA-65", "header.alg = alg;", ""],
      ["UPA-68", ": basicAuth(secret);", ": oauth.ClientSecretBasic(secret);"],
      ["UPA-68", 'application_type: url.startsWith("https:") ? "web" : "native",', ""],
      ["UPA-3", 'if (!Array.isArray(pkce) || !pkce.includes("S256")) {', "if (false) {"],
      ["UPA-3", "url === null || url.origin !== upstream.origin", "url === null"],
      ["UPA-4", "if (!isRight) throw", "if (false) throw"],
    ],
  },
  "accounts/caller_tokens.ts": {
    tests: [EXCHANGE],
    faults: [
      ["UPA-50", "if (got.accessToken === token) {", "if (false) {"],
      ["UPA-50", 'nameOf("caller", owner, url, sent)', 'nameOf("caller", url)'],
      ["UPA-48", "if (others !== undefined) return others;", ""],
      ["UPA-48", "now < known.endsAt && isPassing(error)", "false"],
    ],
  },
  "accounts/token_exchange.ts": {
    tests: [EXCHANGE],
    faults: [
      ["UPA-50", "issuedType: ACCESS_TOKEN,", ""],
      ["UPA-50", "checkAudience(tokens.accessToken, resource, audience);", ""],
    ],
  },
  "accounts/id_jag.ts": {
    tests: [ID_JAG],
    faults: [["UPA-52", "checkAssertion(assertion, server.issuer);", ""]],
  },
  "signin/assertions/id_jags.ts": {
    tests: [ASSERTIONS],
    faults: [
      ["FRONT-60", "if (named !== client.id)", "if (false)"],
      ["FRONT-60", "if (Array.isArray(aud) && aud.length !== 1)", "if (false)"],
      ["FRONT-60", 'typ: "oauth-id-jag+jwt" }', "...{} }"],
      ["FRONT-60", "if (resource === undefined || others.length > 0)", "if (false)"],
      ["FRONT-63", "if (found?.value.ended !== undefined) throw", "if (false) throw"],
    ],
  },
  "signin/assertions/jwts.ts": {
    tests: [ASSERTIONS],
    faults: [
      ["FRONT-61", '"1", write) !== undefined;', '"1", write) !== null;'],
      ["FRONT-60", "exp - iat <= MOST_LIFE_S &&", ""],
      ["FRONT-61", "exp + 2 * TOLERANCE_S", "exp - 200"],
    ],
  },
  "signin/assertions/client_authentication.ts": {
    tests: [ASSERTIONS],
    faults: [
      ["FRONT-62", "sameText(secret, client.secret)", "true"],
      ["FRONT-62", "principal.id === id && ", ""],
    ],
  },
};
