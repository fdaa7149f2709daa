import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isSimple, TooMuchWorkError, Work } from "../../../src/internal/work.ts";
import { gateway, type GatewayPolicy } from "../../../src/gateway/mod.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { withoutArguments } from "../../../src/gateway/policy/definition.ts";
import { parseUpstreamJson } from "../../../src/gateway/shared/parse_json.ts";
import {
  ask,
  FakeUpstream,
  GatewayExchange,
  GatewayHost,
  sessionOf,
} from "../../gateway/core_support.ts";

/** A schema of a hundred bytes whose references double with each level: 2^32 when they are expanded. */
const DOUBLING: JsonObject = {
  type: "object",
  $defs: { a: { allOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } },
  allOf: [{ $ref: "#/$defs/a" }],
};

/** A value that is nested so many levels. */
function nested(levels: number): JsonObject {
  let value: JsonObject = {};
  for (let level = 0; level < levels; level++) value = { properties: { a: value } };
  return value;
}

const wide = (values: number): JsonObject => ({
  properties: Object.fromEntries(Array.from({ length: values }, (_, i) => [`p${i}`, {}])),
});

async function listed(inputSchema: JsonObject, policy?: GatewayPolicy) {
  const tools = [{ name: "odd", inputSchema }, { name: "plain", inputSchema: { type: "object" } }];
  const up = new FakeUpstream({
    answers: {
      "tools/list": () => ({ tools }),
      "tools/call": () => ({ content: [] }),
    },
  });
  const gw = gateway({ upstreams: { up }, ...policy !== undefined && { policy } });
  const host = new GatewayHost();
  gw.attach?.(host);
  const session = sessionOf("a");
  const list = () => ask(gw, new GatewayExchange("tools/list", {}, { session }));
  const names = async () => ((await list()).tools as JsonObject[]).map(({ name }) => name);
  const first = await names();
  assert.deepEqual(await names(), first);
  const reported = host.reported.filter(({ type }) => type === "upstream-entries-dropped");
  await gw.close();
  return { names: first, reported };
}

const HIDE: GatewayPolicy = { upstreams: { up: { tools: { hide: { "*": ["key"] } } } } };
const FIX: GatewayPolicy = { upstreams: { up: { tools: { fix: { "*": { key: 1 } } } } } };

describe("work over what upstreams send has a bound", () => {
  for (const [rule, policy] of [["hide", HIDE], ["fix", FIX]] as const) {
    test(`[POL-13] references that multiply withhold a tool with ${rule}, reported once`, async () => {
      const { names, reported } = await listed(DOUBLING, policy);
      assert.deepEqual(names, ["up__plain"]);
      assert.deepEqual(reported.map((event) => "reason" in event && event.reason), ["complexity"]);
    });
  }

  test("[POL-13] without rules that change them, definitions pass on as they are", async () => {
    assert.deepEqual((await listed(DOUBLING)).names, ["up__odd", "up__plain"]);
  });

  test("[POL-13] a definition that is too deep or has too many values is dropped", async () => {
    for (const schema of [nested(100), wide(60_000)]) {
      const { names, reported } = await listed(schema);
      assert.deepEqual(names, ["up__plain"]);
      assert.deepEqual(reported.map((event) => "reason" in event && event.reason), ["complexity"]);
    }
  });

  test("[POL-13] expanding references counts its steps", () => {
    const entry = { name: "odd", inputSchema: DOUBLING };
    assert.throws(() => withoutArguments(entry, new Set(["key"])), TooMuchWorkError);
    const repeated = {
      $defs: { a: wide(1_000) },
      allOf: Array.from({ length: 10 }, () => ({ $ref: "#/$defs/a" })),
    };
    withoutArguments({ name: "few", inputSchema: repeated }, new Set(["key"]));
    const many = {
      $defs: { a: wide(1_000) },
      allOf: Array.from({ length: 100 }, () => ({ $ref: "#/$defs/a" })),
    };
    const large = { name: "many", inputSchema: many };
    assert.throws(() => withoutArguments(large, new Set(["key"])), TooMuchWorkError);
  });

  test("[POL-13] messages of upstreams are parsed up to a depth", () => {
    assert.deepEqual(
      parseUpstreamJson("[".repeat(500) + "]".repeat(500)),
      JSON.parse(
        "[".repeat(500) + "]".repeat(500),
      ),
    );
    assert.throws(() => parseUpstreamJson("[".repeat(513) + "]".repeat(513)), SyntaxError);
  });

  test("isSimple() counts values and levels, and looks no further", () => {
    assert.ok(isSimple([1, [2, {}]], 5, 2));
    assert.ok(!isSimple([1, [2, {}]], 4, 2));
    assert.ok(!isSimple([1, [2, {}]], 5, 1));
    let read = 0;
    const endless = {
      get next() {
        read++;
        return endless;
      },
    };
    assert.ok(!isSimple(endless, 1_000, 10));
    assert.ok(read <= 11);
  });

  test("Work throws past its steps", () => {
    const work = new Work(3);
    work.take(3);
    assert.throws(() => work.take(), TooMuchWorkError);
  });
});
