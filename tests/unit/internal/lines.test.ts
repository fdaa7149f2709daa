import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Lines } from "../../../src/internal/lines.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function read(lines: Lines, ...pieces: Uint8Array[]): string[] {
  return pieces.flatMap((piece) => [...lines.push(piece)].map(decode));
}

test("[GTW-7] lines end with LF or CRLF, wherever the pieces are cut", () => {
  fc.assert(fc.property(
    fc.array(fc.string({ unit: "binary", maxLength: 20 })),
    fc.array(fc.nat(50)),
    (texts, cuts) => {
      const whole = texts.map((text) => text.replace(/[\r\n]/g, "").toWellFormed());
      const bytes = encode(whole.map((text, i) => `${text}${i % 2 ? "\r\n" : "\n"}`).join(""));
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const cut of cuts) {
        pieces.push(bytes.subarray(at, at + cut));
        at += cut;
      }
      pieces.push(bytes.subarray(at));
      assert.deepEqual(read(new Lines({ maxBytes: 1000 }), ...pieces), whole);
    },
  ));
});

test("[GTW-7] what has no end yet is kept", () => {
  const lines = new Lines({ maxBytes: 10 });
  assert.deepEqual(read(lines, encode("ab")), []);
  assert.deepEqual(read(lines, encode("c\nd")), ["abc"]);
  assert.deepEqual(read(lines, encode("\n\n")), ["d", ""]);
});

test("[GTW-7] a line that is too long is an error, as soon as it is", () => {
  assert.deepEqual(read(new Lines({ maxBytes: 3 }), encode("abc\n")), ["abc"]);
  const lines = new Lines({ maxBytes: 3 });
  assert.throws(() => read(lines, encode("abcd")), RangeError);
  const pieces = new Lines({ maxBytes: 3 });
  read(pieces, encode("ab"));
  assert.throws(() => read(pieces, encode("cd")), RangeError);
});

test("[GTW-7] or it is cut, its rest left out, and the next one is whole", () => {
  const lines = new Lines({ maxBytes: 3, cut: true });
  assert.deepEqual(read(lines, encode("abcd"), encode("efg"), encode("h\nij\n")), ["abc", "ij"]);
});

test("[STD-2] the end of a line that was cut is known, and the last line needs no end", () => {
  const lines = new Lines({ maxBytes: 3, cut: true });
  const ends: (string | undefined)[] = [];
  const long = `${"x".repeat(300)}tail`;
  for (const piece of ["abcd", long.slice(0, 200), `${long.slice(200)}\nok\nab`]) {
    for (const _line of lines.push(encode(piece))) {
      ends.push(lines.cutEnd && decode(lines.cutEnd));
    }
  }
  assert.deepEqual(ends, [long.slice(-256), undefined]);
  assert.equal(decode(lines.rest()), "ab");
  assert.equal(decode(lines.rest()), "");
});
