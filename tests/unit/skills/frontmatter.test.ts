import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readFrontmatter } from "../../../src/skills/frontmatter.ts";

function read(yaml: string): unknown {
  return readFrontmatter(`---\nname: a\ndescription: Does a.\n${yaml}\n---\nText\n`);
}

describe("readFrontmatter()", () => {
  test("[EXT-9] gives every field as its author wrote it", () => {
    const text = `---
# A comment
name: pdf-processing
description: >-
  Fills forms,
  and: more
license: "Apache-2.0"
allowed-tools: [Bash, 'Read']
metadata:
  version: "2.1"
  count: 3
  old: false
  nothing: null
  date: 2026-07-28
  yes: yes
notes: |
  a
    b
---
# PDF
---
`;
    assert.deepEqual(readFrontmatter(text), {
      name: "pdf-processing",
      description: "Fills forms, and: more",
      license: "Apache-2.0",
      "allowed-tools": ["Bash", "Read"],
      metadata: {
        version: "2.1",
        count: 3,
        old: false,
        nothing: null,
        date: "2026-07-28",
        yes: "yes",
      },
      notes: "a\n  b\n",
    });
  });

  test("[EXT-9] takes a byte order mark, other ends of lines, and no text after it", () => {
    const expected = { name: "a", description: "x" };
    assert.deepEqual(
      readFrontmatter("\ufeff---\r\nname: a\r\ndescription: x\r\n---\r\n"),
      expected,
    );
    assert.deepEqual(readFrontmatter("---\nname: a\ndescription: x\n---"), expected);
    assert.deepEqual(readFrontmatter("---\nname: a\ndescription: x\n--- \t\nText"), expected);
  });

  test("[EXT-9] keeps keys that are names of other things", () => {
    const fields = read("constructor: 1\n__proto__: {polluted: true}") as object;
    assert.equal(Object.hasOwn(fields, "constructor"), true);
    assert.equal(Object.hasOwn(fields, "__proto__"), true);
    assert.equal(JSON.stringify(fields).includes('"__proto__":{"polluted":true}'), true);
    assert.equal(({} as { polluted?: unknown }).polluted, undefined);
  });

  const refused: Record<string, string> = {
    "nothing": "",
    "no opening line": "name: a\ndescription: x\n---\n",
    "something before it": "\n---\nname: a\ndescription: x\n---\n",
    "no closing line": "---\nname: a\ndescription: x\n",
    "too much of it": `---\nname: a\ndescription: x\nz: ${"z".repeat(70_000)}\n---\n`,
    "no name": "---\ndescription: x\n---\n",
    "a name that is a number": "---\nname: 7\ndescription: x\n---\n",
    "no description": "---\nname: a\n---\n",
    "an empty description": "---\nname: a\ndescription: '  '\n---\n",
    "a long description": `---\nname: a\ndescription: ${"x".repeat(1_025)}\n---\n`,
    "a list": "---\n- name\n---\n",
    "a text": "---\nname\n---\n",
    "several documents": "---\nname: a\ndescription: x\n...\nb: 1\n---\n",
    "the same key twice": "---\nname: a\nname: b\ndescription: x\n---\n",
    "YAML that is none": "---\nname: a: b\ndescription: x\n---\n",
  };
  for (const [what, text] of Object.entries(refused)) {
    test(`[EXT-9] refuses ${what}`, () => {
      assert.throws(() => readFrontmatter(text), TypeError);
    });
  }

  const unlikeJson: Record<string, string> = {
    "an alias": "b: &b [1]\nc: *b",
    "an alias that grows": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
    "a key that is no text": "? [1, 2]\n: 3",
    "bytes": "b: !!binary aGk=",
    "a type of its own": "b: !thing 1",
    "no number": "b: .nan",
    "no end": "b: .inf",
    "endless depth": `b: ${"[".repeat(30_000)}`,
    "depth": `b: ${"[".repeat(30_000)}${"]".repeat(30_000)}`,
  };
  for (const [what, yaml] of Object.entries(unlikeJson)) {
    test(`[EXT-9] refuses ${what}`, () => {
      assert.throws(() => read(yaml), { name: "TypeError", message: /SKILL\.md/ });
    });
  }

  for (const name of ["-a", "a-", "a--b", "A", "a_b", "ä", "a b", "../a", "a/b", "x".repeat(65)]) {
    test(`[EXT-9] refuses the name ${name.slice(0, 20)}`, () => {
      const text = `---\nname: ${JSON.stringify(name)}\ndescription: x\n---\n`;
      assert.throws(() => readFrontmatter(text), /lowercase letters, digits and single hyphens/);
    });
  }

  test("[EXT-9] takes names of up to 64 characters and descriptions of up to 1,024", () => {
    const name = "a1-".repeat(21) + "z";
    const description = "x".repeat(1_024);
    const text = `---\nname: ${name}\ndescription: ${description}\n---\n`;
    assert.deepEqual(readFrontmatter(text), { name, description });
  });
});
