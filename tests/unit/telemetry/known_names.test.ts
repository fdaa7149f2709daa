import assert from "node:assert/strict";
import { test } from "node:test";
import type { UpstreamRequest } from "../../../src/gateway/types.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { KnownNames } from "../../../src/telemetry/known_names.ts";

function request(method: string, params: JsonObject = {}, upstream = "one"): UpstreamRequest {
  return {
    ...{ upstream, kind: "http", method, params, facts: undefined, principal: { id: "ada" } },
    request: new Request("http://localhost/mcp"),
    signal: new AbortController().signal,
  };
}

const call = (name: unknown, upstream?: string) => request("tools/call", { name }, upstream);

test("[TEL-8] a name is known once its upstream has listed it, or answered without an error", () => {
  const known = new KnownNames();
  known.learn(request("tools/list"), { tools: [{ name: "a" }, null, { name: 1 }, "x"] });
  known.learn(request("tools/list"), { tools: "none" });
  assert.equal(known.nameOf(call("a")), "a");
  assert.equal(known.nameOf(call("a", "two")), undefined, "of another upstream");
  assert.equal(known.nameOf(request("prompts/get", { name: "a" })), undefined, "a prompt");
  known.learn(call("b"), { isError: true });
  assert.equal(known.nameOf(call("b")), undefined, "servers answer unknown tools so");
  known.learn(call("b"), { content: [] });
  assert.equal(known.nameOf(call("b")), "b");
  for (const name of [undefined, 1, {}, "__proto__"]) {
    assert.equal(known.nameOf(call(name)), undefined);
  }
});

test("[TEL-8] the oldest names are forgotten", () => {
  const known = new KnownNames(3);
  known.learn(request("tools/list"), { tools: ["a", "b", "c"].map((name) => ({ name })) });
  known.learn(call("d"), {});
  assert.deepEqual(["a", "b", "c", "d"].map((name) => known.nameOf(call(name))), [
    undefined,
    ...["b", "c", "d"],
  ]);
  const many = Array.from({ length: 1_000 }, (_, i) => ({ name: `tool-${i}` }));
  known.learn(request("tools/list"), { tools: many });
  assert.equal(many.filter(({ name }) => known.nameOf(call(name)) !== undefined).length, 3);
});
