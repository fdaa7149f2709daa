import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Principal } from "../../../src/protocol/exchange.ts";
import { ownerKey } from "../../../src/sessions/owner.ts";

describe("ownerKey()", () => {
  test("[AUTH-3] is issuer, id and client alone: a refreshed token keeps its sessions", () => {
    const principal = { id: "alice", issuer: "https://i.example", clientId: "c" };
    const refreshed = { ...principal, scopes: ["more"], expiresAt: 9, claims: { jti: "other" } };
    assert.equal(ownerKey(principal), ownerKey(refreshed));
  });

  test("[OWN-1] differs whenever issuer, id or client does, whatever characters they have", () => {
    const text = fc.oneof(
      fc.string({ maxLength: 4 }),
      fc.constantFrom("", ",", "1,", ",,", "0", "1", "a", "a,a", "undefined"),
    );
    const principal = fc.record({ id: text, issuer: text, clientId: text }, {
      requiredKeys: ["id"],
    });
    fc.assert(
      fc.property(principal, principal, (a, b) => {
        const same = a.id === b.id && a.issuer === b.issuer && a.clientId === b.clientId;
        assert.equal(ownerKey(a) === ownerKey(b), same);
      }),
      { numRuns: 5_000 },
    );
  });

  test("[OWN-1] no issuer is not the empty issuer", () => {
    const principals: Principal[] = [
      { id: "a" },
      { id: "a", issuer: "" },
      { id: "a", clientId: "" },
      { id: "a", issuer: "", clientId: "" },
    ];
    // Nor is anybody somebody else whose id looks like a key.
    for (const id of principals.slice(1).map(ownerKey)) {
      principals.push({ id }, { id, issuer: "" });
    }
    const keys = principals.map(ownerKey);
    assert.equal(new Set(keys).size, keys.length);
  });
});
