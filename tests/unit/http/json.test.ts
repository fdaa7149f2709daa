import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { nestsDeeper } from "../../../src/internal/json_depth.ts";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { assertPassed, assertRefused, pass, post } from "./support.ts";

/** A ping whose params make it nest to `depth` levels. */
function nested(depth: number, open = "[", close = "]"): string {
  const levels = depth - 2;
  return `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":${open.repeat(levels)}${
    open === "[" ? "" : "1"
  }${close.repeat(levels)}}}`;
}

/** How deep a value nests, slowly and surely. */
function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

describe("the JSON gate", () => {
  const BAD = [
    "",
    " ",
    "{",
    "nul",
    "undefined",
    "{'a':1}",
    '{"a":1,}',
    '{"a":01}',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}x',
    '{"jsonrpc":"2.0","id":1,"method":"ping"}\n{"jsonrpc":"2.0","id":2,"method":"ping"}',
    '"\n"',
    "NaN",
    "// x\n{}",
    "jsonrpc=2.0&method=ping",
    "\u00a0{}",
  ];
  for (const text of BAD) {
    test(`[GATE-9] ${JSON.stringify(text)} is no JSON`, async () => {
      const message = await assertRefused(await pass(post(text)), 400, -32700, "json");
      assert.equal(message, "Send valid JSON");
    });
  }

  test("[GATE-9] 64 levels pass, 65 don't", async () => {
    for (const [open, close] of [["[", "]"], ['{"a":', "}"], ['[{"b":', "}]"]] as const) {
      const per = open === '[{"b":' ? 2 : 1;
      const text = (depth: number) => {
        const levels = (depth - 2) / per;
        return `{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":${open.repeat(levels)}1${
          close.repeat(levels)
        }}}`;
      };
      assertPassed(await pass(post(text(64))));
      const message = await assertRefused(await pass(post(text(64 + per))), 400, -32700, "json");
      assert.match(message, /limits\.jsonDepth.*64$/);
    }
    assertPassed(await pass(post(nested(64))));
    await assertRefused(await pass(post(nested(65))), 400, -32700, "json");
  });

  test("[GATE-9] limits.jsonDepth sets the levels", async () => {
    const options = { limits: { jsonDepth: 3 } };
    assertPassed(await pass(post(nested(3)), options));
    await assertRefused(await pass(post(nested(4)), options), 400, -32700, "json");
    assertPassed(await pass(post(nested(500)), { limits: { jsonDepth: 500 } }));
  });

  test("[GATE-9] many brackets that don't nest pass, in strings or side by side", async () => {
    const params = [
      `{"x":"${"[{".repeat(1000)}"}`,
      `{"x":"\\"${"[{".repeat(1000)}"}`,
      `{"x":"\\\\","y":[${"[],".repeat(1000)}[]]}`,
      `{"x":[${"{},".repeat(1000)}{}]}`,
      `{"${"[".repeat(1000)}":1}`,
      `{"x":"\\u005b\\u005b"}`,
    ];
    for (const text of params) {
      assertPassed(await pass(post(`{"jsonrpc":"2.0","id":1,"method":"p","params":${text}}`)));
    }
  });

  test("[GATE-9] brackets behind a string with escapes still count", async () => {
    for (const string of ['"\\\\"', '"\\""', '"\\\\\\""', '"]]]]"', '"}"', '"\\u0022"']) {
      const deep = `{"jsonrpc":"2.0","id":1,"method":"p","params":{"s":${string},"x":${
        "[".repeat(63)
      }${"]".repeat(63)}}}`;
      JSON.parse(deep);
      await assertRefused(await pass(post(deep)), 400, -32700, "json");
    }
  });

  test("[GATE-9] 1 MiB of open brackets doesn't touch the stack", async () => {
    for (const text of ["[", "{", '{"a":', '[{"a":']) {
      const body = text.repeat(Math.floor(1024 * 1024 / text.length));
      await assertRefused(await pass(post(body)), 400, -32700, "json");
    }
    const whole = "[".repeat(500_000) + "]".repeat(500_000);
    await assertRefused(await pass(post(whole)), 400, -32700, "json");
  });

  test("[GATE-9] `nestsDeeper()` counts as deep as the value nests", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 12 }), fc.integer({ min: 1, max: 12 }), (text, max) => {
        assert.equal(nestsDeeper(text, max), depthOf(JSON.parse(text)) > max);
      }),
    );
  });

  test("[GATE-9] levels that are no positive integer are misuse", () => {
    for (const jsonDepth of [0, -1, 1.5, NaN]) {
      assert.throws(() => gateSettings({ limits: { jsonDepth } }), RangeError, `${jsonDepth}`);
    }
  });
});
