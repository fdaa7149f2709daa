import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readSender, type Sender, writeSender } from "../../../src/cluster/forwarding/sender.ts";

/** What another node reads, after a message. */
function sent(sender: Sender): Sender | undefined {
  return readSender(JSON.parse(JSON.stringify(writeSender(sender))));
}

const PRINCIPAL = { id: "alice", issuer: "https://as.example", clientId: "app", scopes: ["a"] };

describe("writeSender() and readSender()", () => {
  test("[CLU-5] headers of a connection or of the body stay behind, all others travel", () => {
    const before = new Headers({
      "authorization": "Bearer secret",
      "mcp-session-id": "s",
      "connection": "keep-alive",
      "content-length": "7",
      "transfer-encoding": "chunked",
      "upgrade": "h2c",
    });
    const opened = sent({ headers: before, principal: PRINCIPAL });
    assert.deepEqual(Object.fromEntries(opened?.headers ?? []), {
      "authorization": "Bearer secret",
      "mcp-session-id": "s",
    });
    assert.deepEqual(opened?.principal, PRINCIPAL);
  });

  test("[CLU-5, AUTH-3] credentials that never expire still don't, others keep their time", () => {
    const headers = new Headers();
    for (const [expiresAt, there] of [[Infinity, undefined], [5, 5]] as const) {
      const opened = sent({ headers, principal: { ...PRINCIPAL, expiresAt } });
      assert.equal(opened?.principal.expiresAt, there);
    }
  });

  test("[CLU-5, AUTH-3] fields that are getters of a principal's class travel, its own properties too", () => {
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
    const opened = sent({ headers: new Headers(), principal: new User() });
    const expected = { ...PRINCIPAL, expiresAt: 5, claims: { role: "x" }, tenant: "t" };
    assert.deepEqual(opened?.principal, expected);
  });

  test("[CLU-5] a text without a principal is no sender", () => {
    assert.equal(readSender({}), undefined);
    assert.equal(readSender({ headers: [], principal: "alice" }), undefined);
  });
});
