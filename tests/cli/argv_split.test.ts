/**
 * Command lines, split without a shell.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { splitArgv } from "../../src/cli/config/argv_split.ts";
import { CliError } from "../../src/cli/errors.ts";

const CASES: readonly (readonly [string, readonly string[]])[] = [
  ["npx -y some-server", ["npx", "-y", "some-server"]],
  ["  npx\t-y\n x  ", ["npx", "-y", "x"]],
  ["a 'b c' d", ["a", "b c", "d"]],
  [`a "b 'c' d"`, ["a", "b 'c' d"]],
  [`a "say \\"hi\\" \\\\ \\n"`, ["a", 'say "hi" \\ \\n']],
  [`a --x='b c'd"e f"`, ["a", "--x=b cde f"]],
  ["a '' b", ["a", "", "b"]],
  ["a b\\ c", ["a", "b c"]],
  ["C:\\tools\\run.exe C:\\data", ["C:\\tools\\run.exe", "C:\\data"]],
  ["a '\\' b", ["a", "\\", "b"]],
  ["echo $HOME `id` $(id) *", ["echo", "$HOME", "`id`", "$(id)", "*"]],
  ["a '|' \"&&\" \\' a|b", ["a", "|", "&&", "'", "a|b"]],
  ["a FOO=1", ["a", "FOO=1"]],
];

for (const [line, args] of CASES) {
  test(`[GTW-7] splitArgv() splits ${JSON.stringify(line)} by its own rules`, () => {
    assert.deepEqual(splitArgv(line), args);
  });
}

const REFUSED: readonly (readonly [string, RegExp])[] = [
  ["", /Give a program/],
  ["   ", /Give a program/],
  ["'' a", /Give a program/],
  ["a 'b", /Close the quote that begins at character 3/],
  ['a "b\\"', /Close the quote that begins at character 3/],
  ["a | b", /No shell runs the command\. .*: \|$/],
  ["a && b", /No shell/],
  ["a ; b", /No shell/],
  ["a > /tmp/x", /No shell/],
  ["a 2>&1", /No shell/],
  ["a &", /No shell/],
  ["TOKEN=secret a", /--env .*TOKEN=…$/],
];

for (const [line, message] of REFUSED) {
  test(`[GTW-7] splitArgv() refuses ${JSON.stringify(line)}`, () => {
    assert.throws(() => splitArgv(line), (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.exitCode, 2);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
  });
}

test("[GTW-7] splitArgv() gives back whatever was put in single quotes", () => {
  const arg = fc.string({ unit: "grapheme" }).filter((text) => !text.includes("'"));
  fc.assert(fc.property(fc.array(arg), (args) => {
    const line = ["run", ...args.map((text) => `'${text}'`)].join(" ");
    assert.deepEqual(splitArgv(line), ["run", ...args]);
  }));
});
