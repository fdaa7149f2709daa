import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MetaKey } from "../../../src/protocol/envelope.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { type CacheHint, fullCacheHint } from "../../../src/server/cache_hint.ts";
import { ModernResults } from "../../../src/server/modern_results.ts";
import { FakeExchange } from "../../support/exchange.ts";
import { makeServer, request } from "./helpers.ts";

const INFO = { name: "unit", version: "1.2.3", title: "Unit" };
const SERVER_META = { [MetaKey.ServerInfo]: INFO };
const MODERN = { protocolVersion: "2026-07-28" } as const;

const CACHEABLE = [
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
];

function answer(
  method: string,
  result: JsonObject,
  cache?: CacheHint,
  params: JsonObject = {},
): JsonObject | Promise<JsonObject> {
  const exchange = new FakeExchange(method, params, MODERN);
  return new ModernResults(INFO, cache).answer(exchange, () => result);
}

describe("ModernResults", () => {
  test("[ERA-2] every result says its kind and who made it, at once where the method does", () => {
    const result = answer("tools/call", { content: [] });
    assert.deepEqual(result, { resultType: "complete", content: [], _meta: SERVER_META });
  });

  test("[ERA-2] a method that takes time is completed in the same way", async () => {
    const exchange = new FakeExchange("prompts/get", {}, MODERN);
    const results = new ModernResults(INFO);
    const result = await results.answer(exchange, async () => ({ messages: [] }));
    assert.deepEqual(result, { resultType: "complete", messages: [], _meta: SERVER_META });
  });

  test("[ERA-2] what a result says in _meta stays, but not who it claims to be", async () => {
    const _meta = { "example.com/key": 1, [MetaKey.ServerInfo]: { name: "x", version: "0" } };
    const result = await answer("tools/call", { content: [], _meta });
    assert.deepEqual(result._meta, { "example.com/key": 1, ...SERVER_META });
  });

  for (const method of CACHEABLE) {
    test(`[ERA-2] ${method} may be kept: not at all and for nobody else, unless told otherwise`, async () => {
      const { ttlMs, cacheScope } = await answer(method, {});
      assert.deepEqual({ ttlMs, cacheScope }, { ttlMs: 0, cacheScope: "private" });
      const told = await answer(method, {}, { ttlMs: 60_000, cacheScope: "public" });
      assert.deepEqual([told.ttlMs, told.cacheScope], [60_000, "public"]);
    });
  }

  for (const method of ["tools/call", "prompts/get", "completion/complete"]) {
    test(`[ERA-2] ${method} has nothing to be kept`, async () => {
      const result = await answer(method, {}, { ttlMs: 60_000, cacheScope: "public" });
      assert.deepEqual(Object.keys(result).sort(), ["_meta", "resultType"]);
    });
  }

  test("[ERA-2] a result knows better than the server how long it may be kept", async () => {
    const read = await answer("resources/read", { contents: [], ttlMs: 5 }, { ttlMs: 60_000 });
    assert.deepEqual([read.ttlMs, read.cacheScope], [5, "private"]);
  });

  test("[ERA-2] a question is not kept", async () => {
    const asked = { resultType: "input_required", inputRequests: {}, requestState: "s" };
    const result = await answer("resources/read", asked, { ttlMs: 60_000, cacheScope: "public" });
    assert.deepEqual(result, { ...asked, _meta: SERVER_META });
  });

  for (
    const [what, params] of [
      ["state", { requestState: "{}" }],
      ["answers", { inputResponses: {} }],
    ] as const
  ) {
    test(`[ERA-2] a result that came about by ${what} is kept by nobody`, async () => {
      const hint = { ttlMs: 60_000, cacheScope: "public" } as const;
      const result = await answer("resources/read", { contents: [], ...hint }, hint, params);
      assert.deepEqual([result.ttlMs, result.cacheScope], [0, "private"]);
    });
  }

  test("[ASK-5] a state that can't be opened ends the request before its method runs", async () => {
    const exchange = new FakeExchange("tools/call", { requestState: "no JSON" }, MODERN);
    let ran = false;
    const answered = new ModernResults(INFO).answer(exchange, () => {
      ran = true;
      return {};
    });
    await assert.rejects(Promise.resolve(answered));
    assert.equal(ran, false);
  });
});

describe("cache hints", () => {
  // The point is what happens when the type is not kept.
  const wrong = [
    [{ ttlMs: -1 }, RangeError],
    [{ ttlMs: 0.5 }, RangeError],
    [{ ttlMs: Infinity }, RangeError],
    [{ ttlMs: NaN }, RangeError],
    [{ ttlMs: "60" }, RangeError],
    [{ cacheScope: "shared" }, TypeError],
  ] as unknown as [CacheHint, ErrorConstructor][];
  for (const [hint, type] of wrong) {
    test(`[ERA-2] ${JSON.stringify(hint)} is misuse, for a server and for a resource`, () => {
      assert.throws(() => fullCacheHint(hint), type);
      assert.throws(() => makeServer({ cache: hint }), type);
      const server = makeServer();
      const register = () => server.registerResource("r", "test://r", { cache: hint }, () => "");
      assert.throws(register, type);
    });
  }

  test("[ERA-2] a resource's own hint is for its contents, not for the list", async () => {
    const server = makeServer({ cache: { ttlMs: 1_000 } });
    const resource = server.registerResource(
      "r",
      "test://r",
      { cache: { ttlMs: 9, cacheScope: "public" } },
      () => "text",
    );
    const read = () => request(server, "resources/read", { uri: "test://r" }, MODERN);
    assert.deepEqual(pick(await read()), [9, "public"]);
    const list = await request(server, "resources/list", {}, MODERN);
    assert.deepEqual(pick(list), [1_000, "private"]);
    assert.doesNotMatch(JSON.stringify(list.resources), /ttlMs|cache/);
    resource.update({ cache: { ttlMs: 10 } });
    assert.deepEqual(pick(await read()), [10, "private"]);
  });

  test("[ERA-2] to the 2025 era nothing of it is said", async () => {
    const server = makeServer({ cache: { ttlMs: 1_000 } });
    server.registerResource("r", "test://r", { cache: { ttlMs: 9 } }, () => "text");
    const result = await request(server, "resources/read", { uri: "test://r" });
    assert.deepEqual(result, { contents: [{ uri: "test://r", text: "text" }] });
    assert.deepEqual(Object.keys(await request(server, "resources/list")), ["resources"]);
  });
});

function pick({ ttlMs, cacheScope }: JsonObject): unknown[] {
  return [ttlMs, cacheScope];
}
