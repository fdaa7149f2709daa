/**
 * The official inspector's command line, as people paste it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { delimiter, dirname, isAbsolute } from "node:path";
import process from "node:process";
import { run } from "../../tools/process.ts";
import { commandOf } from "../../tools/runtimes.ts";
import type { Scenario } from "./scenarios.ts";

const INSPECTOR = "@modelcontextprotocol/inspector@2.12.0";
/** The first run fetches it. */
const LIMIT_MS = 120_000;

/** The environment in which `npx` runs the Node that the tests run under. */
function environment(): Record<string, string> {
  const node = commandOf("node").program;
  const path = isAbsolute(node) ? [dirname(node), process.env.PATH] : [process.env.PATH];
  return { PATH: path.join(delimiter) };
}

/** Whether there is an `npx` to run it with. Deno alone brings none. */
export async function canInspect(): Promise<boolean> {
  const { code } = await run("npx", ["--version"], { env: environment(), limitMs: LIMIT_MS });
  return code === 0;
}

function inspect(url: string, ...args: readonly string[]): Promise<string> {
  return runInspector(url, "--transport", "http", ...args);
}

async function runInspector(...args: readonly string[]): Promise<string> {
  const command = ["-y", INSPECTOR, "--cli", ...args];
  const { code, output } = await run("npx", [...command, "--format", "json", "--quiet"], {
    env: environment(),
    limitMs: LIMIT_MS,
  });
  assert.equal(code, 0, output);
  return output;
}

/** What the inspector does with a server that it starts. */
export const PIPE_INSPECTIONS: readonly Scenario[] = ["legacy", "modern"].map((era) => ({
  limitMs: LIMIT_MS,
  name: `[STD-1] calls a tool of a program, ${era}`,
  async run({ command = [] }) {
    const output = await runInspector(
      ...command,
      ...["--protocol-era", era],
      ...["--method", "tools/call", "--tool-name", "test_simple_text"],
    );
    assert.match(output, /simple text response/);
  },
}));

/** What the inspector does. */
export const INSPECTIONS: readonly Scenario[] = [
  {
    limitMs: LIMIT_MS,
    name: "[SRV-1] lists tools",
    async run({ url }) {
      const output = await inspect(url, "--method", "tools/list");
      assert.match(output, /test_simple_text/);
    },
  },
  {
    limitMs: LIMIT_MS,
    name: "[SRV-1] calls a tool",
    async run({ url }) {
      const output = await inspect(
        url,
        ...["--method", "tools/call", "--tool-name", "count"],
        ...["--tool-args-json", JSON.stringify({ to: 3, ms: 10 })],
      );
      assert.match(output, /Counted to 3/);
    },
  },
  {
    limitMs: LIMIT_MS,
    name: "[ERA-1] calls a tool in 2026-07-28",
    async run({ url }) {
      const output = await inspect(
        url,
        ...["--protocol-era", "modern"],
        ...["--method", "tools/call", "--tool-name", "test_simple_text"],
      );
      assert.match(output, /simple text response/);
    },
  },
  {
    limitMs: LIMIT_MS,
    name: "[AUTH-1] calls a tool with a token",
    async run({ guardedUrl }) {
      const output = await inspect(
        guardedUrl,
        ...["--header", "Authorization: Bearer demo-token-of-ada"],
        ...["--method", "tools/call", "--tool-name", "list_notes"],
      );
      assert.match(output, /"structuredContent":\{"notes":/);
    },
  },
];
