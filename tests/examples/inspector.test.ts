/**
 * The inspector that examples and docs tell to run: the version that the tests of clients run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NAMED = /@modelcontextprotocol\/inspector(@[\w.-]+)?/g;

const read = (path: string): string => readFileSync(`${ROOT}${path}`, "utf8");
const filesIn = (folder: string): string[] =>
  readdirSync(`${ROOT}${folder}`, { withFileTypes: true }).filter((entry) => entry.isFile())
    .map(({ name }) => `${folder}/${name}`);

test("[CMD-6] every line that tells to run the inspector names the version that is tested", () => {
  const [tested] = read("tests/clients/inspector.ts").match(NAMED) ?? [];
  assert.match(tested ?? "", /@\d+\.\d+\.\d+$/);
  let lines = 0;
  for (const path of ["README.md", ...["docs", "examples", "src/cli"].flatMap(filesIn)]) {
    for (const [found] of read(path).matchAll(NAMED)) {
      lines++;
      assert.equal(found, tested, path);
    }
  }
  assert.ok(lines >= 5, `Only ${lines} lines name it`);
});
