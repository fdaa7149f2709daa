import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { manifestOf, repaired, summaryOf } from "../../../tools/pack.ts";

const source = JSON.parse(
  await readFile(new URL("../../../package.json", import.meta.url), "utf8"),
);
const packed = {
  name: "@mooring/mcp",
  version: "1.2.3",
  license: "MIT",
  main: "./mod.js",
  types: "./mod.d.ts",
  exports: { ".": { types: "./mod.d.ts", default: "./mod.js" } },
};

describe("the package.json of the npm package", () => {
  test("installs exact versions, and leaves to the application what only some need", () => {
    const made = manifestOf(packed, source);
    const dependencies = made["dependencies"] as Record<string, string>;
    for (const version of Object.values(dependencies)) assert.match(version, /^\d+\.\d+\.\d+$/);
    for (const name of ["@modelcontextprotocol/client", "redis", "yaml"]) {
      assert.ok(!(name in dependencies), name);
    }
    const peers = Object.keys(made["peerDependencies"] as object);
    const meta = made["peerDependenciesMeta"] as Record<string, unknown>;
    assert.deepEqual(Object.keys(meta), peers);
    for (const each of Object.values(meta)) assert.deepEqual(each, { optional: true });
  });

  test("says who may run it, and where the command is", () => {
    const { version, engines, bin, exports } = manifestOf(packed, source);
    assert.equal(version, "1.2.3");
    assert.deepEqual(engines, source.engines);
    assert.deepEqual(bin, { mooring: "bin/mooring.js" });
    assert.ok("./cli" in (exports as object));
  });

  test("fails for a dependency that nobody would install", () => {
    const dependencies = { ...source.dependencies, "left-out": "1.0.0" };
    assert.throws(() => manifestOf(packed, { ...source, dependencies }), /left-out/);
  });

  test("fails for a package in its lists that the source doesn't have", () => {
    const { hono: _, ...dependencies } = source.dependencies;
    assert.throws(() => manifestOf(packed, { ...source, dependencies }), /"hono"/);
  });
});

test("what was made is said in one line", () => {
  const made = { name: "@mooring/mcp 0.1.0", files: 1_234, bytes: 2_345_678, tarball: 456_789 };
  assert.equal(
    summaryOf(made),
    "Made @mooring/mcp 0.1.0: 1,234 files of 2,346 kB, 457 kB as a tarball",
  );
});

test("declarations: a member's comment doesn't come between readonly and its name", () => {
  const given =
    "{ readonly /**\n * One.\n */ One: 1; readonly /** Two. */ Two: 2; readonly three: 3 }";
  const wanted =
    "{ /**\n * One.\n */ readonly One: 1; /** Two. */ readonly Two: 2; readonly three: 3 }";
  assert.equal(repaired(given), wanted);
});
