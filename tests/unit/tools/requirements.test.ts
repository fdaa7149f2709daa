import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  mentionsOf,
  requirementProblems,
  requirementsOf,
  testList,
} from "../../../tools/check_requirements.ts";

const DOCUMENT = `# Requirements

Text with A-9 in it.

## Served

### A: things

- A-1 The first,
  over two lines, not A-7.
- A-2 The second.

## Planned

### A: things

- A-3 The third.
`;

/** A test's name with ids, put together here so that this file itself names no requirement. */
function named(ids: string[], quote = '"'): string {
  return `${quote}${ids.map((id) => `[${id}]`).join("")} does something${quote}`;
}

function ids(source: string): string[] {
  return mentionsOf("a.test.ts", source).map(({ id }) => id);
}

describe("requirementsOf()", () => {
  test("reads the ids that are served and those that are planned", () => {
    assert.deepEqual(requirementsOf(DOCUMENT), { served: ["A-1", "A-2"], planned: ["A-3"] });
  });
});

describe("mentionsOf()", () => {
  test("finds ids at the start of names, one or many", () => {
    assert.deepEqual(ids(`test(${named(["A-1"])}, run);`), ["A-1"]);
    assert.deepEqual(ids(`test(${named(["A-1, B-10"])}, run);`), ["A-1", "B-10"]);
    const source = `test(${named(["A-1", "A-2"])}, run);\ntest(${named(["A-3"])}, run);`;
    assert.deepEqual(ids(source), ["A-1", "A-2", "A-3"]);
  });

  test("finds them in every kind of quotes, in groups and in tables", () => {
    assert.deepEqual(ids(`describe(${named(["A-1"], "'")}, run);`), ["A-1"]);
    assert.deepEqual(ids(`test(\n  ${named(["A-1"], "`")},\n run);`), ["A-1"]);
    assert.deepEqual(ids(`{ url: "http://x", name: ${named(["A-1"])} },`), ["A-1"]);
  });

  test("ignores comments, other texts and skipped tests", () => {
    const name = named(["A-1"]);
    assert.deepEqual(ids(`// test(${name}, run);`), []);
    assert.deepEqual(ids(`run(); // ${name}`), []);
    assert.deepEqual(ids(`/**\n * test(${name}, run);\n */`), []);
    assert.deepEqual(ids(`test.skip(${name}, run);`), []);
    assert.deepEqual(ids(`test(${'"about [A-1]"'}, run);`), []);
  });

  test("returns the line", () => {
    const source = `/*\n*/\n\ntest(${named(["A-1"])}, run);`;
    assert.deepEqual(mentionsOf("a.test.ts", source), [{ id: "A-1", file: "a.test.ts", line: 4 }]);
  });
});

describe("requirementProblems()", () => {
  const mention = (id: string) => ({ id, file: "a.test.ts", line: 1 });
  const requirements = requirementsOf(DOCUMENT);

  test("returns nothing when everything served is tested", () => {
    assert.deepEqual(requirementProblems(requirements, [mention("A-1"), mention("A-2")]), []);
  });

  test("reports ids without a test", () => {
    const [found, ...more] = requirementProblems(requirements, [mention("A-2")]);
    assert.match(found ?? "", /in brackets.*: A-1$/);
    assert.deepEqual(more, []);
  });

  test("reports an id that isn't in the document", () => {
    const mentions = ["A-1", "A-2", "A-3", "A-9"].map(mention);
    const [found, ...more] = requirementProblems(requirements, mentions);
    assert.match(found ?? "", /^a\.test\.ts:1: .*: A-9$/);
    assert.deepEqual(more, []);
  });

  test("reports an id that is in the document twice, once", () => {
    const twice = requirementsOf(`- A-1 x\n- A-1 y\n## Planned\n- A-1 z\n`);
    assert.equal(requirementProblems(twice, [mention("A-1")]).length, 1);
  });
});

describe("testList()", () => {
  const at = (id: string, file: string) => ({ id, file, line: 1 });
  const items = (...mentions: ReturnType<typeof at>[]) =>
    testList(requirementsOf(DOCUMENT), mentions).split("\n").slice(6);

  test("lists each file once, by id in the order of the document, under a heading", () => {
    const mentions = [
      at("A-2", "tests/a.test.ts"),
      at("A-1", "tests/b.test.ts"),
      at("A-1", "tests/a.test.ts"),
      at("A-1", "tests/b.test.ts"),
    ];
    assert.deepEqual(items(...mentions), [
      "## A",
      "",
      "- A-1: `tests/a.test.ts`, `tests/b.test.ts`",
      "- A-2: `tests/a.test.ts`",
      "",
    ]);
  });

  test("leaves out ids without a test, and lists planned ones that have one", () => {
    assert.deepEqual(items(at("A-3", "tests/a.test.ts")), [
      "## A",
      "",
      "- A-3: `tests/a.test.ts`",
      "",
    ]);
  });

  test("breaks lines at 100 columns", () => {
    const file = `tests/${"x".repeat(40)}.ts`;
    const [, , first, second] = items(at("A-1", file), at("A-1", `${file}x`));
    assert.equal(first, `- A-1: \`${file}\`,`);
    assert.equal(second, `  \`${file}x\``);
  });
});
