/**
 * Whether `docs/architecture.md` describes the folders and files that there are.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { ORDER } from "../../../tools/check_layers.ts";

const ROOT = new URL("../../../", import.meta.url);
const page = await readFile(new URL("docs/architecture.md", ROOT), "utf8");
const [, rooms = "", places = ""] = page.split(/^## (?:The rooms|Where is X\?|One JSON.*)$/m);

describe("docs/architecture.md", () => {
  test("lists the folders of src/ in their order", async () => {
    const listed = [...rooms.matchAll(/^\| `(\w+)`/gm)].map(([, room]) => room);
    assert.deepEqual(listed, ORDER);
    const entries = await readdir(new URL("src/", ROOT), { withFileTypes: true });
    const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    assert.deepEqual(folders.sort(), [...ORDER].sort());
  });

  test("leads to files that exist", () => {
    const paths = [...places.matchAll(/`([\w/]+\.ts)`/g)].map(([, path = ""]) => path);
    assert.ok(paths.length > 20);
    const missing = paths.filter((path) => !existsSync(new URL(`src/${path}`, ROOT)));
    assert.deepEqual(missing, []);
  });
});
