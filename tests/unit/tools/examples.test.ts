/**
 * How `tools/examples.ts` finds the examples of doc comments and pages, and what fails their run.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { examplesIn } from "../../../tools/examples.ts";

const TOOL = new URL("../../../tools/examples.ts", import.meta.url).href;
const STRICT = fileURLToPath(new URL("../../../tools/strict_assert.ts", import.meta.url));

describe("examplesIn()", () => {
  test("finds the code of a doc comment, without its asterisks, at its line", () => {
    const text = "/**\n * Adds.\n *\n * ```ts\n * if (a) {\n *   b();\n * }\n * ```\n */\n";
    assert.deepEqual(examplesIn("src/a.ts", text), [
      { file: "src/a.ts", line: 5, code: "if (a) {\n  b();\n}" },
    ]);
  });

  test("finds the code of a page, in a list too", () => {
    const text = "# A\n\n```ts\na();\n```\n\n- b\n\n  ```ts\n  b();\n  ```\n";
    assert.deepEqual(examplesIn("docs/a.md", text).map(({ line, code }) => [line, code]), [
      [4, "a();"],
      [10, "b();"],
    ]);
  });

  test("skips other languages and what is marked", () => {
    const text =
      "```ts ignore\na();\n```\n\n```json\n{}\n```\n\n```sh\nls\n```\n\n```ts\nb();\n```\n";
    assert.deepEqual(examplesIn("docs/a.md", text).map(({ code }) => code), ["b();"]);
  });
});

describe("runExamples()", () => {
  /** Runs examples, and returns the exit code and what was printed. */
  async function outcomeOf(...codes: string[]): Promise<{ code: number | null; output: string }> {
    const folder = await mkdtemp(join(tmpdir(), "examples-"));
    try {
      const list = codes.map((_, at) => [`docs/a.md:${at}`, `${at}.ts`]);
      await Promise.all(
        codes.map((code, at) => writeFile(join(folder, `${at}.ts`), `${code}\nexport {};\n`)),
      );
      const main = join(folder, "run.ts");
      await writeFile(
        main,
        `await import(${JSON.stringify(pathToFileURL(STRICT).href)});
const { runExamples } = await import(${JSON.stringify(TOOL)});
await runExamples(${
          JSON.stringify(list)
        }, (name) => import(new URL(name, import.meta.url).href));\n`,
      );
      const args = "Deno" in globalThis ? ["run", "-A", "--no-check"] : [];
      const { status, stdout, stderr } = spawnSync(process.execPath, [...args, main], {
        encoding: "utf8",
        timeout: 60_000,
      });
      return { code: status, output: stdout + stderr };
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("passes when all have run", async () => {
    const { code, output } = await outcomeOf("console.assert(true);", "await Promise.resolve();");
    assert.equal(code, 0, output);
    assert.match(output, /^2 examples passed$/m);
  });

  for (
    const [what, example] of [
      ["an assertion that doesn't hold", "console.assert(1 > 2);"],
      ["an error", "throw new Error('x');"],
      ["a promise that nobody awaits", "void Promise.reject(new Error('x'));"],
      ["an exit code", "globalThis.process.exitCode = 3;"],
    ] as const
  ) {
    test(`fails for ${what}, and says where`, async () => {
      const { code, output } = await outcomeOf("await 1;", example, "await 1;");
      assert.equal(code, 1, output);
      assert.match(output, /FAILED docs\/a\.md:1/);
      assert.doesNotMatch(output, /examples passed/);
    });
  }

  test("prints no last line when an example ends the process", async () => {
    const { output } = await outcomeOf("globalThis.process.exit(0);", "await 1;");
    assert.doesNotMatch(output, /examples passed/);
  });
});
