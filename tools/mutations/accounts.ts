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

/** The faults of accounts. */
export const ACCOUNTS: FaultsByFile = {
  "accounts/flow.ts": {
    tests: [ATTACKS],
    faults: [
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
  "accounts/asks.ts": {
    tests: [ATTACKS, VAULT],
    faults: [
      ["UPA-28", "if (waiting.length >= MOST_ASKS) await this.#deleteOldest(waiting);", ""],
    ],
  },
  "accounts/vault.ts": {
    tests: [VAULT],
    faults: [
      [
        "UPA-22",
        "if (account.renewing !== undefined && clock.now() < account.renewing.until) {",
        "if (false) {",
      ],
      ["UPA-24", "clock.now() < account.renewing.until", "true"],
      ["UPA-25", "if (!isRefused && !this.#isOver(account)) return account;\n      throw", "throw"],
    ],
  },
  "accounts/provider.ts": {
    tests: [ATTACKS, SLICE, CLIENT],
    faults: [
      ["UPA-68", ": basicAuth(secret);", ": oauth.ClientSecretBasic(secret);"],
      ["UPA-68", 'application_type: url.startsWith("https:") ? "web" : "native",', ""],
      ["UPA-3", 'if (!Array.isArray(pkce) || !pkce.includes("S256")) {', "if (false) {"],
      ["UPA-3", "url === null || url.origin !== upstream.origin", "url === null"],
      ["UPA-4", "if (!isRight) throw", "if (false) throw"],
    ],
  },
};
