/**
 * Whether each exported type of `src/` has a name that no other type there has.
 */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { describe, test } from "node:test";

const SRC = new URL("../../../src/", import.meta.url);
const TYPE = /^(export\s+)?(?:declare\s+|abstract\s+)*(?:interface|type|class)\s+(\w+)/gm;

describe("names of types", () => {
  test("an exported type has a name of its own", async () => {
    const files = (await readdir(SRC, { recursive: true })).filter((path) => path.endsWith(".ts"));
    const byName = new Map<string, { file: string; isExported: boolean }[]>();
    for (const file of files) {
      const text = await readFile(new URL(file, SRC), "utf8");
      for (const [, exported, name = ""] of text.matchAll(TYPE)) {
        const known = byName.get(name) ?? [];
        byName.set(name, [...known, { file, isExported: exported !== undefined }]);
      }
    }
    const ambiguous = [...byName].filter(([, found]) =>
      found.length > 1 && found.some(({ isExported }) => isExported)
    );
    assert.deepEqual(ambiguous.map(([name, found]) => [name, found.map(({ file }) => file)]), []);
  });
});
