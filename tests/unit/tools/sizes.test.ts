import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { longFiles, longFunctions, MOST_FILE_LINES } from "../../../tools/check_sizes.ts";

describe("longFiles()", () => {
  test("names a file only when it is over the limit, comments included", () => {
    const text = (lines: number) => "// a comment\n".repeat(lines);
    const texts = new Map([["a.ts", text(MOST_FILE_LINES)], ["b.ts", text(MOST_FILE_LINES + 1)]]);
    assert.deepEqual(longFiles(texts), [`b.ts: ${MOST_FILE_LINES + 1} lines, over 400`]);
  });
});

describe("longFunctions()", () => {
  const diagnostic = {
    filename: "file:///p/src/a.ts",
    message: "a function of 90 lines, over 80",
    range: { start: { line: 7, col: 0 } },
  };

  test("reads the output of `deno lint --json`, with other lines around it", () => {
    const report = JSON.stringify({ version: 1, diagnostics: [diagnostic], errors: [] });
    assert.deepEqual(longFunctions(`Download x\n${report}\nnote\n`, "/p"), [
      "src/a.ts:7: a function of 90 lines, over 80",
    ]);
  });

  test("throws where a file could not be parsed, and on output that is no report", () => {
    const errors = [{ file_path: "/p/src/a.ts", message: "Expected a semicolon" }];
    const report = JSON.stringify({ version: 1, diagnostics: [], errors });
    assert.throws(() => longFunctions(report, "/p"), /src\/a\.ts: Expected a semicolon$/);
    assert.throws(() => longFunctions("error: no such file", "/p"));
  });
});
