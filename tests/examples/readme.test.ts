import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";

const read = (path: string): Promise<string> =>
  readFile(new URL(`../../${path}`, import.meta.url), "utf8");

/** The fields of an interface with their documented defaults. */
function fieldsOf(source: string, name: string): Map<string, string | undefined> {
  const [, body = ""] =
    source.match(new RegExp(`^export interface ${name} (?:extends \\w+ )?\\{\n([^]*?)^\\}`, "m")) ??
      [];
  const fields = new Map<string, string | undefined>();
  for (const [, doc = "", field = ""] of body.matchAll(/\/\*\*([^]*?)\*\/\s+readonly (\w+)/g)) {
    fields.set(field, doc.match(/@default \{(.*)\}/)?.[1]);
  }
  return fields;
}

/** The rows of the README's table whose first column is `head`: what is named, and its default. */
function rowsOf(readme: string, head: string): Map<string, string> {
  const [, table = ""] = readme.split(new RegExp(`^\\| ${head} +\\|.*\n.*\n`, "m"));
  const rows = (table.split(/\n\n/)[0] ?? "").matchAll(/^\| `([\w.]+)` +\| (.*?) +\|/gm);
  return new Map([...rows].map(([, name = "", value = ""]) => [name, value.replaceAll("`", "")]));
}

describe("README.md", () => {
  test("lists every option with its default", async () => {
    const source = await read("src/handler/types.ts");
    const groups = {
      limits: "HandlerLimits",
      sessions: "SessionOptions",
      streams: "StreamOptions",
      requests: "RequestOptions",
    };
    const access = await read("src/handler/access_options.ts");
    const expected = new Map([
      ...fieldsOf(source, "McpHandlerOptions"),
      ...fieldsOf(access, "AccessOptions"),
    ]);
    for (const [group, name] of Object.entries(groups)) {
      if (group !== "sessions") expected.delete(group);
      for (const [field, value] of fieldsOf(source, name)) expected.set(`${group}.${field}`, value);
    }
    const rows = rowsOf(await read("README.md"), "Option");
    assert.ok(rows.size > 30);
    assert.deepEqual([...rows.keys()].sort(), [...expected.keys()].sort());
    for (const [name, value] of expected) {
      if (value !== undefined) assert.equal(rows.get(name), value, name);
    }
  });

  test("lists every option of serve with its default", async () => {
    const expected = fieldsOf(await read("src/adapters/serve_options.ts"), "ServeOptions");
    assert.deepEqual(rowsOf(await read("README.md"), "Option of `serve`"), expected);
  });

  test("links to files that are there", async () => {
    const readme = await read("README.md");
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, path = ""]) => path);
    assert.ok(links.includes("examples/demo.ts"));
    for (const path of links) assert.notEqual(await read(path), "");
  });
});
