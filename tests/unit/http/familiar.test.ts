import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FamiliarBodies } from "../../../src/http/gates/familiar.ts";
import { type GateSettings, gateSettings } from "../../../src/http/gates/options.ts";
import type { Passed } from "../../../src/http/gates/order.ts";
import { passGates, post } from "./support.ts";

const settings = () => gateSettings({});

function initialize(name = "client", id: unknown = 1): string {
  const params = {
    protocolVersion: "2025-11-25",
    capabilities: { roots: { listChanged: true }, sampling: {} },
    clientInfo: { name, version: "1.0.0" },
  };
  return JSON.stringify({ jsonrpc: "2.0", id, method: "initialize", params });
}

/** What becomes of a request that passes the gates of one endpoint. */
async function pass(request: Request, gates: GateSettings): Promise<Passed> {
  const passed = await passGates(request, undefined, gates, () => {});
  assert.ok(!(passed instanceof Response));
  return passed;
}

function messageOf(passed: Passed): object {
  assert.ok(passed.verb === "POST" && passed.kind === "request");
  return passed.message;
}

describe("bodies that come again", () => {
  test("say the same as before, in the same object, which nobody can change", async () => {
    const gates = settings();
    const first = messageOf(await pass(post(initialize()), gates));
    const second = messageOf(await pass(post(initialize()), gates));
    assert.equal(second, first);
    assert.deepEqual(second, JSON.parse(initialize()));
    const frozen = (value: unknown): boolean =>
      typeof value !== "object" || value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen));
    assert.ok(frozen(second));
  });

  test("are told apart where only one character differs", async () => {
    const gates = settings();
    for (const name of ["client-a", "client-b", "client-a"]) {
      const message = messageOf(await pass(post(initialize(name)), gates));
      assert.deepEqual(message, JSON.parse(initialize(name)));
    }
  });

  test("are answered as the second request says, too", async () => {
    const gates = settings();
    await pass(post(initialize()), gates);
    const passed = await pass(post(initialize(), { accept: "text/event-stream" }), gates);
    assert.ok(passed.verb === "POST");
    assert.equal(passed.json, false);
    assert.equal(passed.sse, true);
    assert.equal(passed.length, initialize().length);
  });

  test("are no others than initialize: what a tool gets is its own", async () => {
    const gates = settings();
    const call = JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "initialize", arguments: {} },
    });
    const first = messageOf(await pass(post(call), gates));
    const second = messageOf(await pass(post(call), gates));
    assert.notEqual(second, first);
    assert.equal(Object.isFrozen(second), false);
  });

  test("are bounded: one of each length, and none that is long", () => {
    const bodies = new FamiliarBodies();
    const note = (text: string) =>
      bodies.note(text, {
        verb: "POST",
        json: true,
        sse: true,
        length: text.length,
        kind: "request",
        message: JSON.parse(text),
      });
    note(initialize("client-a"));
    note(initialize("client-b"));
    assert.equal(bodies.find(initialize("client-a")), undefined);
    assert.deepEqual(bodies.find(initialize("client-b")), JSON.parse(initialize("client-b")));
    const longest = initialize("x".repeat(1024 - initialize("").length));
    assert.equal(longest.length, 1024);
    note(longest);
    assert.ok(bodies.find(longest) !== undefined);
    const long = initialize("x".repeat(1025 - initialize("").length));
    note(long);
    assert.equal(bodies.find(long), undefined);
  });
});
