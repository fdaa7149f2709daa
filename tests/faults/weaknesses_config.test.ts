/**
 * Weaknesses that were published about programs that are started as a configuration says.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { splitArgv } from "../../src/cli/argv_split.ts";
import { Child } from "../../src/gateway/child.ts";
import { checkStdioOptions, type StdioOptions } from "../../src/gateway/stdio_options.ts";
import { systemClock } from "../../src/internal/clock.ts";

/** What a program that was started as an option says wrote to its stdout. */
async function outputOf(options: StdioOptions): Promise<string> {
  const decoder = new TextDecoder();
  let output = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const child = await Child.start({
    ...checkStdioOptions(options),
    clock: systemClock,
    onStdout: (chunk) => output += decoder.decode(chunk, { stream: true }),
    onStderr: () => {},
    onExit: () => resolve(),
  });
  await promise;
  await child.close();
  return output;
}

describe("CVE-2026-30623: commands from a configuration", () => {
  // What stood in a configuration was handed to a shell, so that whoever could write a name, an argument
  // or a variable into it could run whatever they liked.
  const inject = (file: string): readonly string[] => [
    `; touch ${file}`,
    `$(touch ${file})`,
    `\`touch ${file}\``,
    `| touch ${file}`,
    `&& touch ${file}`,
    `\n touch ${file}\n`,
    `'; touch ${file}; '`,
    `"; touch ${file}; "`,
    `> ${file}`,
    "$HOME",
    "*",
    "%PATH%",
    "",
  ];

  /** Does something with the name of a file that nothing may make. */
  async function withMarker(act: (file: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "weakness-"));
    const file = join(folder, "marker");
    try {
      await act(file);
      assert.equal(existsSync(file), false, "a shell ran");
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("[GTW-7] CVE-2026-30623 an argument reaches the program as it stands, whatever it is", async () => {
    await withMarker(async (file) => {
      const args = inject(file);
      const output = await outputOf({ command: "printf", args: ["<%s>", ...args] });
      assert.equal(output, args.map((arg) => `<${arg}>`).join(""));
    });
  });

  test("[GTW-7] CVE-2026-30623 a command is the name of a program, whatever it is", async () => {
    await withMarker(async (file) => {
      for (const text of inject(file)) {
        for (const command of [`true${text}`, text]) {
          if (command === "true") continue;
          await assert.rejects(async () => await outputOf({ command }), Error);
        }
      }
    });
  });

  test("[GTW-7] CVE-2026-30623 a variable is its value, and none of this process's own is handed on", async () => {
    process.env["MOORING_TEST_SECRET"] = "hunter2";
    try {
      await withMarker(async (file) => {
        const [first = "", second = ""] = inject(file);
        const output = await outputOf({ command: "env", env: { ONE: first, TWO: second } });
        assert.ok(output.includes(`ONE=${first}\n`) && output.includes(`TWO=${second}\n`));
        assert.doesNotMatch(output, /hunter2/);
      });
    } finally {
      delete process.env["MOORING_TEST_SECRET"];
    }
  });

  test("[GTW-7] CVE-2026-30623 nothing but a program and its arguments comes of a command line", () => {
    for (const text of inject("x")) {
      let argv: readonly string[];
      try {
        argv = splitArgv(`printf %s ${text}`);
      } catch {
        continue; // Refused, since only a shell could run it
      }
      assert.equal(argv[0], "printf");
      assert.ok(argv.every((arg) => !/^(?:[|&;<>]+)$/.test(arg)), argv.join(" "));
    }
  });
});
