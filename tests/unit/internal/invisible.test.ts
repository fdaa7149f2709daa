import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { escapeInvisible, escapeInvisibleJson } from "../../../src/internal/invisible.ts";

/** Characters of each kind, with how they are shown. */
const KINDS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  "C0 controls": [["\0", "\\u0000"], ["\x1b", "\\u001b"], ["\x08", "\\u0008"], ["\x0b", "\\u000b"]],
  "a carriage return that ends no line": [["a\rb", "a\\u000db"], ["a\r\r\n", "a\\u000d\r\n"]],
  "DEL and C1 controls": [["\x7f", "\\u007f"], ["\x80", "\\u0080"], ["\x9b", "\\u009b"]],
  "the soft hyphen": [["a\u00adb", "a\\u00adb"]],
  "joiners": [["\u034f", "\\u034f"], ["\u200c", "\\u200c"], ["\u200d", "\\u200d"]],
  "zero-width spaces": [["\u200b", "\\u200b"], ["\u2060", "\\u2060"], ["\ufeff", "\\ufeff"]],
  "marks of direction": [["\u200e", "\\u200e"], ["\u200f", "\\u200f"], ["\u061c", "\\u061c"]],
  "changes of direction": [["\u202a", "\\u202a"], ["\u202e", "\\u202e"]],
  "isolates": [["\u2066", "\\u2066"], ["\u2069", "\\u2069"]],
  "separators of lines and paragraphs": [["\u2028", "\\u2028"], ["\u2029", "\\u2029"]],
  "Hangul fillers": [
    ["\u115f", "\\u115f"],
    ["\u1160", "\\u1160"],
    ["\u3164", "\\u3164"],
    ["\uffa0", "\\uffa0"],
  ],
  "the Braille blank": [["\u2800", "\\u2800"]],
  "Mongolian and Khmer signs": [["\u180e", "\\u180e"], ["\u180b", "\\u180b"], [
    "\u17b4",
    "\\u17b4",
  ]],
  "variation selectors": [
    ["\ufe00", "\\ufe00"],
    ["\ufe0f", "\\ufe0f"],
    ["\u{e0100}", "\\u{e0100}"],
    ["\u{e01ef}", "\\u{e01ef}"],
  ],
  "tags": [["\u{e0001}", "\\u{e0001}"], ["\u{e0041}", "\\u{e0041}"], ["\u{e007f}", "\\u{e007f}"]],
  "signs of annotation": [["\ufff9", "\\ufff9"], ["\ufffb", "\\ufffb"]],
  "signs of shorthand and music": [["\u{1bca0}", "\\u{1bca0}"], ["\u{1d173}", "\\u{1d173}"]],
  "halves of characters": [["a\ud800b", "a\\ud800b"], ["\udc01", "\\udc01"]],
  "parts of emoji": [["\u2764\ufe0f", "\u2764\\ufe0f"], ["👩\u200d🚀", "👩\\u200d🚀"]],
};

describe("escapeInvisible()", () => {
  for (const [what, cases] of Object.entries(KINDS)) {
    test(`[ASK-4] shows ${what}`, () => {
      for (const [given, shown] of cases) assert.equal(escapeInvisible(given), shown);
    });
  }

  test("[ASK-4] leaves everything else, and what is escaped already", () => {
    const texts = [
      "",
      "Plain text\nof two\tlines\r\n",
      "Grüße, 日本語, עברית, العربية, हिन्दी",
      "😀 👍🏽 𝒳",
      "\u00a0\u3000",
      "\\u202e \\u{e0041}",
    ];
    for (const text of texts) assert.equal(escapeInvisible(text), text);
    for (const [given] of Object.values(KINDS).flat()) {
      const once = escapeInvisible(given);
      assert.equal(escapeInvisible(once), once);
    }
  });

  test("[ASK-4] knows every character that Unicode says is not shown", () => {
    const hidden =
      /^[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}]$/u;
    for (let code = 0; code <= 0x10ffff; code++) {
      const character = String.fromCodePoint(code);
      if (!hidden.test(character) || character === "\n" || character === "\t") continue;
      const hex = code.toString(16);
      const shown = code > 0xffff ? `\\u{${hex}}` : `\\u${hex.padStart(4, "0")}`;
      assert.equal(escapeInvisible(character), shown);
    }
  });
});

describe("escapeInvisibleJson()", () => {
  test("[ASK-4] changes how the JSON is written, not what it says", () => {
    for (const [given] of Object.values(KINDS).flat()) {
      const value = { [given]: [given, `x${given}y`] };
      const text = escapeInvisibleJson(JSON.stringify(value, null, 2));
      assert.deepEqual(JSON.parse(text), value);
      assert.equal(escapeInvisible(text), text);
    }
  });
});
