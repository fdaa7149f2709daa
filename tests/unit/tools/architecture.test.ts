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
    const folders = ORDER.filter((room) => !room.endsWith(".ts"));
    assert.deepEqual(listed, folders);
    const entries = await readdir(new URL("src/", ROOT), { withFileTypes: true });
    const found = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    assert.deepEqual(found.sort(), folders.sort());
  });

  test("has a reading order, of which each file says at its top where the next step is", async () => {
    const [, order = ""] = page.split(/^## (?:A reading order|The way of a request)$/m);
    const files = [...order.matchAll(/^\d+\. `([\w./]+)`/gm)].map(([, path = ""]) => path);
    assert.ok(files.length > 10);
    for (const [index, file] of files.entries()) {
      const path = file === "mod.ts" ? file : `src/${file}`;
      const [head = ""] = (await readFile(new URL(path, ROOT), "utf8")).split("*/");
      assert.ok(head.includes(`\`${files[index + 1] ?? "mod.ts"}\``), file);
    }
  });

  test("leads to files that exist", () => {
    const paths = [...places.matchAll(/`([\w/]+\.ts)`/g)].map(([, path = ""]) => path);
    assert.ok(paths.length > 20);
    const missing = paths.filter((path) => !existsSync(new URL(`src/${path}`, ROOT)));
    assert.deepEqual(missing, []);
  });
});
