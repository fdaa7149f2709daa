import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StateSealer } from "../../../src/calls/state.ts";
import { openSender, sealSender } from "../../../src/cluster/sealed_sender.ts";
import { FakeClock } from "../../support/clock.ts";

function sealer(key: string): StateSealer {
  return new StateSealer({ keys: [key.repeat(32)], ttlMs: 1_000, clock: new FakeClock() });
}

const PRINCIPAL = { id: "alice", issuer: "https://as.example", clientId: "app", scopes: ["a"] };

describe("sealSender() and openSender()", () => {
  test("[CLU-5] headers of a connection or of the body stay behind, all others travel", async () => {
    const keys = sealer("k");
    const sent = new Headers({
      "authorization": "Bearer secret",
      "mcp-session-id": "s",
      "connection": "keep-alive",
      "content-length": "7",
      "transfer-encoding": "chunked",
      "upgrade": "h2c",
    });
    const sealed = await sealSender(keys, { headers: sent, principal: PRINCIPAL });
    const opened = await openSender(keys, sealed);
    assert.deepEqual(Object.fromEntries(opened?.headers ?? []), {
      "authorization": "Bearer secret",
      "mcp-session-id": "s",
    });
    assert.deepEqual(opened?.principal, PRINCIPAL);
  });

  test("[CLU-5, AUTH-3] credentials that never expire still don't, others keep their time", async () => {
    const keys = sealer("k");
    const headers = new Headers();
    for (const [expiresAt, there] of [[Infinity, undefined], [5, 5]] as const) {
      const sealed = await sealSender(keys, { headers, principal: { ...PRINCIPAL, expiresAt } });
      assert.equal((await openSender(keys, sealed))?.principal.expiresAt, there);
    }
  });

  test("[CLU-5, AUTH-3] fields that are getters of a principal's class travel, its own properties too", async () => {
    class User {
      readonly tenant = "t";
      get id(): string {
        return "alice";
      }
      get issuer(): string {
        return "https://as.example";
      }
      get clientId(): string {
        return "app";
      }
      get scopes(): readonly string[] {
        return ["a"];
      }
      get expiresAt(): number {
        return 5;
      }
      get claims() {
        return { role: "x" };
      }
    }
    const keys = sealer("k");
    const sealed = await sealSender(keys, { headers: new Headers(), principal: new User() });
    const opened = await openSender(keys, sealed);
    const expected = { ...PRINCIPAL, expiresAt: 5, claims: { role: "x" }, tenant: "t" };
    assert.deepEqual(opened?.principal, expected);
  });

  test("[CLU-6, ASK-5] nothing else opens as a sender", async () => {
    const keys = sealer("k");
    const sender = { headers: [], principal: PRINCIPAL };
    const foreign = await sealSender(sealer("x"), { headers: new Headers(), principal: PRINCIPAL });
    const binding = { owner: "alice", method: "tools/call", params: {} };
    const state = await keys.seal(sender, binding);
    for (const sealed of [foreign, state, "", "x", JSON.stringify(sender)]) {
      assert.equal(await openSender(keys, sealed), undefined);
    }
  });
});
