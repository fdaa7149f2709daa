import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { messageKind } from "../../../src/protocol/jsonrpc.ts";
import { assertPassed, assertRefused, pass, PING, post } from "./support.ts";

const REQUESTS = [
  PING,
  '{"jsonrpc":"2.0","id":0,"method":"ping"}',
  '{"jsonrpc":"2.0","id":"","method":"ping"}',
  '{"jsonrpc":"2.0","id":"constructor","method":"__proto__"}',
  '{"jsonrpc":"2.0","id":-7,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1.0,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1e3,"method":"ping"}',
  '{"jsonrpc":"2.0","id":9007199254740991,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"__proto__":{"id":2}},"extra":[1]}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","ID":null,"Method":1}',
];

const NOTIFICATIONS = [
  '{"jsonrpc":"2.0","method":"notifications/initialized"}',
  '{"jsonrpc":"2.0","method":"x","params":{"id":1}}',
  '{"jsonrpc":"2.0","method":"x","Id":1}',
];

const RESPONSES = [
  '{"jsonrpc":"2.0","id":1,"result":{}}',
  '{"jsonrpc":"2.0","id":"a","result":{"x":[]}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":-1,"message":""}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":-32600,"message":"x","data":null}}',
  '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"x"}}',
];

const NOTHING = [
  "null",
  "true",
  "1",
  '"ping"',
  "{}",
  '{"id":1,"method":"ping"}',
  '{"jsonrpc":"1.0","id":1,"method":"ping"}',
  '{"jsonrpc":2.0,"id":1,"method":"ping"}',
  '{"jsonrpc":"2.0 ","id":1,"method":"ping"}',
  '{"jsonrpc":["2.0"],"id":1,"method":"ping"}',
  '{"JSONRPC":"2.0","id":1,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1,"Method":"ping"}',
  '{"jsonrpc":"2.0","id":1}',
  '{"jsonrpc":"2.0"}',
  '{"jsonrpc":"2.0","id":1,"method":""}',
  '{"jsonrpc":"2.0","id":1,"method":null}',
  '{"jsonrpc":"2.0","id":1,"method":1}',
  '{"jsonrpc":"2.0","id":1,"method":["ping"]}',
  '{"jsonrpc":"2.0","method":""}',
  '{"jsonrpc":"2.0","id":null,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
  '{"jsonrpc":"2.0","id":9007199254740992,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1e400,"method":"ping"}',
  '{"jsonrpc":"2.0","id":true,"method":"ping"}',
  '{"jsonrpc":"2.0","id":[1],"method":"ping"}',
  '{"jsonrpc":"2.0","id":{},"method":"ping"}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":null}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}',
  '{"jsonrpc":"2.0","id":1,"method":"ping","error":{"code":1,"message":"x"}}',
  '{"jsonrpc":"2.0","result":{}}',
  '{"jsonrpc":"2.0","id":null,"result":{}}',
  '{"jsonrpc":"2.0","id":1.5,"result":{}}',
  '{"jsonrpc":"2.0","id":1,"result":null}',
  '{"jsonrpc":"2.0","id":1,"result":1}',
  '{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"x"}}',
  '{"jsonrpc":"2.0","id":1,"result":null,"error":{"code":1,"message":"x"}}',
  '{"jsonrpc":"2.0","id":1,"result":{},"error":null}',
  '{"jsonrpc":"2.0","id":1,"error":null}',
  '{"jsonrpc":"2.0","id":1,"error":"x"}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":1.5,"message":"x"}}',
  '{"jsonrpc":"2.0","id":1,"error":{"code":1}}',
  '{"jsonrpc":"2.0","error":{"code":1,"message":"x"}}',
  '{"jsonrpc":"2.0","id":1,"Result":{}}',
  '{"__proto__":{"jsonrpc":"2.0","id":1,"method":"ping"}}',
  '{"__proto__":{"method":"ping"},"jsonrpc":"2.0","id":1}',
  '{"jsonrpc":"2.0","method":"ping","__proto__":{"result":1},"id":{}}',
];

const KINDS = [["request", REQUESTS], ["notification", NOTIFICATIONS], [
  "response",
  RESPONSES,
]] as const;

describe("the JSON-RPC gate", () => {
  for (const [kind, texts] of KINDS) {
    for (const text of texts) {
      test(`[GATE-10] ${text} is a ${kind}`, async () => {
        const passed = assertPassed(await pass(post(text)));
        const message = JSON.parse(text);
        const { length } = text;
        assert.deepEqual(passed, { verb: "POST", json: true, sse: true, length, kind, message });
      });
    }
  }

  for (const text of NOTHING) {
    test(`[GATE-10] ${text} is no message`, async () => {
      await assertRefused(await pass(post(text)), 400, -32600, "envelope");
      await assertRefused(await pass(post(`[${PING},${text}]`)), 400, -32600, "envelope");
    });
  }

  test("[GATE-10] a batch passes with each message classified, in order", async () => {
    const texts = [...RESPONSES, ...NOTIFICATIONS, ...REQUESTS];
    const passed = assertPassed(await pass(post(`[${texts.join(",")}]`)));
    assert.ok(passed.verb === "POST" && passed.kind === "batch");
    assert.deepEqual(
      passed.batch.map(({ message }) => message),
      texts.map((text) => JSON.parse(text)),
    );
    assert.deepEqual(
      passed.batch.map(({ kind }) => kind),
      [
        ...RESPONSES.map(() => "response"),
        ...NOTIFICATIONS.map(() => "notification"),
        ...REQUESTS.map(() => "request"),
      ],
    );
    const one = assertPassed(await pass(post(`[${PING}]`)));
    assert.ok(one.verb === "POST" && one.kind === "batch" && one.batch.length === 1);
  });

  test("[GATE-10] an empty batch, and a batch in a batch, are refused", async () => {
    await assertRefused(await pass(post("[]")), 400, -32600, "batch");
    await assertRefused(await pass(post("[[]]")), 400, -32600, "envelope");
    await assertRefused(await pass(post(`[[${PING}]]`)), 400, -32600, "envelope");
  });

  test("[GATE-10] a batch has up to limits.batch messages", async () => {
    const batch = (size: number) => post(`[${Array(size).fill(PING).join(",")}]`);
    assertPassed(await pass(batch(100)));
    const message = await assertRefused(await pass(batch(101)), 400, -32600, "batch");
    assert.match(message, /limits\.batch.*100$/);
    assertPassed(await pass(batch(2), { limits: { batch: 2 } }));
    await assertRefused(await pass(batch(3), { limits: { batch: 2 } }), 400, -32600, "batch");
  });

  test("[GATE-10] limits.batch that is no positive integer is misuse", () => {
    for (const batch of [0, -1, 1.5, NaN]) {
      assert.throws(() => gateSettings({ limits: { batch } }), RangeError, `${batch}`);
    }
  });

  test("[GATE-10] inherited properties make no message", () => {
    assert.equal(messageKind(Object.create(null)), undefined);
    assert.equal(messageKind([]), undefined);
    assert.equal(messageKind(undefined), undefined);
  });

  test("[GATE-10] any JSON passes as what it is, or gets a 400", async () => {
    const id = fc.oneof(fc.integer(), fc.string(), fc.constant(null), fc.double());
    const error = fc.record({ code: fc.integer(), message: fc.string() }, { requiredKeys: [] });
    const almost = fc.record({
      jsonrpc: fc.oneof(fc.constant("2.0"), fc.string()),
      id,
      method: fc.oneof(fc.string(), fc.constant("ping"), fc.jsonValue()),
      params: fc.oneof(fc.object(), fc.jsonValue()),
      result: fc.oneof(fc.object(), fc.jsonValue()),
      error: fc.oneof(error, fc.jsonValue()),
    }, { requiredKeys: [] });
    const value = fc.oneof(almost, fc.array(almost, { maxLength: 4 }), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(value, async (given) => {
        const text = JSON.stringify(given);
        const outcome = await pass(post(text));
        if (outcome.response) {
          assert.equal(outcome.response.status, 400);
          return;
        }
        const passed = assertPassed(outcome);
        assert.ok(passed.verb === "POST");
        const all = passed.kind === "batch" ? passed.batch : [passed];
        assert.ok(all.length > 0);
        for (const { kind, message } of all) {
          assert.equal(message.jsonrpc, "2.0");
          if (kind === "response") {
            assert.ok(message.id !== undefined && !("method" in message));
            assert.notEqual("result" in message, "error" in message);
          } else {
            assert.ok(typeof message.method === "string" && message.method !== "");
            assert.equal(kind === "request", "id" in message);
            if (kind === "request") {
              assert.ok(typeof message.id === "string" || Number.isInteger(message.id));
            }
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
