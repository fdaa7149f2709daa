import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { requirementsOf } from "../../../tools/check_requirements.ts";
import { mutated, selected, summaryOf, verdictOf } from "../../../tools/mutate.ts";
import { type Mutation, MUTATIONS } from "../../../tools/mutations.ts";

const ROOT = new URL("../../../", import.meta.url);

const MUTATION: Mutation = {
  id: "A-1",
  file: "src/a/b.ts",
  find: "x >= 1",
  replace: "x > $&",
  tests: ["tests/a.test.ts"],
};

describe("mutated()", () => {
  test("puts the replacement in, as it is", () => {
    assert.equal(mutated("if (x >= 1) {}", MUTATION), "if (x > $&) {}");
  });

  test("returns nothing if the text is missing, or there more than once", () => {
    assert.equal(mutated("if (x > 1) {}", MUTATION), undefined);
    assert.equal(mutated("x >= 1 || x >= 1", MUTATION), undefined);
    assert.equal(mutated("aaa", { ...MUTATION, find: "aa" }), undefined, "overlapping");
    assert.equal(mutated("", MUTATION), undefined);
  });
});

describe("selected()", () => {
  test("selects by requirement, exactly, or by a part of the path", () => {
    const other: Mutation = { ...MUTATION, id: "A-10", file: "src/c.ts" };
    const ids = (only: string) => selected([MUTATION, other], only).map(({ id }) => id);
    assert.deepEqual(ids(""), ["A-1", "A-10"]);
    assert.deepEqual(ids("A-1"), ["A-1"]);
    assert.deepEqual(ids("src/c"), ["A-10"]);
    assert.deepEqual(ids("A"), []);
  });
});

describe("verdictOf()", () => {
  test("tells a fault that is noticed from one that isn't, and from what is no code", () => {
    assert.equal(verdictOf({ code: 0, output: "ok" }), "unnoticed");
    assert.equal(verdictOf({ code: 1, output: "error: Test failed" }), "noticed");
    assert.equal(verdictOf({ code: -1, output: "" }), "noticed", "killed at the time limit");
    const output = "Check\nerror: The module's source code could not be parsed: Expected ';'";
    assert.equal(verdictOf({ code: 1, output }), "broken");
  });
});

describe("summaryOf()", () => {
  test("counts each kind", () => {
    const verdicts = ["noticed", "noticed", "unnoticed", "outdated"] as const;
    assert.equal(summaryOf(verdicts), "2 of 4 noticed, 1 unnoticed, 1 outdated, 0 broken");
  });
});

describe("MUTATIONS", () => {
  test("each still fits the code: its text is in its file once, and would change it", async () => {
    const sources = new Map<string, string>();
    for (const mutation of MUTATIONS) {
      const { file, find, replace } = mutation;
      const source = sources.get(file) ?? await readFile(new URL(file, ROOT), "utf8");
      sources.set(file, source);
      const message = `Correct or remove the fault in tools/mutations/: ${file}: ${find}`;
      assert.ok(mutated(source, mutation) !== undefined, message);
      assert.notEqual(find, replace, message);
    }
  });

  test("each breaks a requirement that there is, and names tests that there are", async () => {
    const { served } = requirementsOf(
      await readFile(new URL("docs/requirements.md", ROOT), "utf8"),
    );
    const known = new Set(served);
    for (const { id, file, tests } of MUTATIONS) {
      assert.ok(known.has(id), `${file}: ${id}`);
      assert.ok(tests.length > 0, file);
      for (const path of tests) {
        assert.ok(existsSync(new URL(path, ROOT)), `${file}: ${path}`);
        // The test above would notice everything.
        assert.ok(!"tests/unit/tools/mutate.test.ts".startsWith(path), `${file}: ${path}`);
      }
    }
  });

  test("none is there twice", () => {
    const keys = MUTATIONS.map(({ file, find, replace }) => JSON.stringify([file, find, replace]));
    const twice = keys.filter((key, at) => keys.indexOf(key) !== at);
    assert.deepEqual(twice, []);
  });
});
