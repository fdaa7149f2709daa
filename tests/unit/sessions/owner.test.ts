import { describe, test } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Principal } from "../../../src/protocol/exchange.ts";
import { copyPrincipal, ownerKey, shareKey } from "../../../src/sessions/owner.ts";

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

  test("[OWN-1, AUTH-3] parts of the same length are told apart, and so is where one ends", () => {
    const parts = ["", "a", "b", "ab", "ba", ",1", "1,"];
    const principals = parts.flatMap((id) =>
      parts.flatMap((issuer) => parts.map((clientId) => ({ id, issuer, clientId })))
    );
    assert.equal(new Set(principals.map(ownerKey)).size, parts.length ** 3);
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

describe("shareKey()", () => {
  const text = fc.oneof(
    fc.string({ maxLength: 4 }),
    fc.constantFrom("", ",", "1,", ",,", "0", "1", "a", "a,a", ",1,1,", "undefined"),
  );
  const principal = fc.record({ id: text, issuer: text, clientId: text }, {
    requiredKeys: ["id"],
  });

  test("[SES-5] is issuer and id alone, whatever characters they have: clients share it", () => {
    fc.assert(
      fc.property(principal, principal, (a, b) => {
        const same = a.id === b.id && a.issuer === b.issuer;
        assert.equal(shareKey(ownerKey(a)) === shareKey(ownerKey(b)), same);
      }),
      { numRuns: 5_000 },
    );
  });

  test("[SES-5] is the owner key of the user without a client", () => {
    fc.assert(
      fc.property(principal, ({ clientId: _, ...user }) => {
        assert.equal(shareKey(ownerKey(user)), ownerKey(user));
        assert.equal(shareKey(ownerKey({ ...user, clientId: "c" })), ownerKey(user));
      }),
    );
  });
});

describe("copyPrincipal()", () => {
  test("[AUTH-3] reads the getters of an application's own class, and leaves out what there isn't", () => {
    const all: Required<Principal> = {
      id: "ada",
      issuer: "https://issuer.example",
      clientId: "editor",
      scopes: ["read"],
      expiresAt: 1_000,
      claims: { role: "admin" },
    };
    class User implements Required<Principal> {
      get id() {
        return all.id;
      }
      get issuer() {
        return all.issuer;
      }
      get clientId() {
        return all.clientId;
      }
      get scopes() {
        return all.scopes;
      }
      get expiresAt() {
        return all.expiresAt;
      }
      get claims() {
        return all.claims;
      }
    }
    assert.deepEqual(copyPrincipal(new User()), all);
    assert.deepEqual(copyPrincipal({ id: "ada" }), { id: "ada" });
  });
});
