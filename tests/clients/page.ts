/**
 * Runs the programs of `docs/clients.md` with the packages that they import, against a server that asks
 * for a token. Prints a line for each, and ends with `N passed, N failed`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { startFixture } from "../../tools/fixture.ts";
import { run } from "../../tools/process.ts";
import { CLIENTS, commandOf, install, installClients, ROOT } from "../../tools/runtimes.ts";
import { tallyLine } from "../../tools/tally.ts";

const LIMIT_MS = 60_000;
const URL_ON_PAGE = "https://api.example/mcp";

/** A line at the end of each program that calls a tool, before the line that closes. By package. */
const CALLS: Readonly<Record<string, string>> = {
  "@ai-sdk/mcp": `await tools.add_note.execute({ text: "x" }, { toolCallId: "1", messages: [] })`,
  "@langchain/mcp-adapters":
    `await tools.find(({ name }) => name === "add_note").invoke({ text: "x" })`,
  "@openai/agents": `await notes.callTool("add_note", { text: "x" })`,
  "@mastra/mcp": `await tools.notes_add_note.execute({ text: "x" }, {})`,
};

/** The programs of the page, by the package that they import first. */
async function programs(): Promise<Map<string, string>> {
  const page = await readFile(join(ROOT, "docs/clients.md"), "utf8");
  const found = new Map<string, string>();
  for (const [, text = ""] of page.matchAll(/^```ts ignore\n([^]*?)^```/gm)) {
    found.set(/from "([^"]+)"/.exec(text)?.[1] ?? "", text);
  }
  return found;
}

/** Runs a program as it stands on the page, and then with a call of a tool. */
async function prove(name: string, text: string, url: string): Promise<void> {
  const call = CALLS[name];
  assert.ok(call !== undefined && text.includes(URL_ON_PAGE), name);
  const here = text.replaceAll(URL_ON_PAGE, url);
  const lines = here.trimEnd().split("\n");
  const calling = [
    ...lines.slice(0, -1),
    `console.log(JSON.stringify(${call}));`,
    ...lines.slice(-1),
  ];
  const folder = join(CLIENTS, "work");
  await mkdir(folder, { recursive: true });
  for (
    const [program, token, expected] of [
      [here, "demo-token-of-ada", /list_notes/],
      [calling.join("\n"), "demo-token-of-ada", /You have \d+ notes/],
      [here, "a-wrong-token", undefined],
    ] as const
  ) {
    const file = join(folder, `${name.replaceAll(/\W+/g, "-").slice(1)}.mjs`);
    await writeFile(file, program);
    const { code, output } = await run(commandOf("node").program, [file], {
      cwd: folder,
      limitMs: LIMIT_MS,
      env: { NOTES_TOKEN: token },
    });
    if (expected === undefined) {
      assert.match(output, /401|Unauthorized|HTTP_AUTHENTICATION/);
      assert.doesNotMatch(output, /list_notes/);
      continue;
    }
    assert.equal(code, 0, output);
    assert.match(output, expected);
  }
}

async function main(): Promise<number> {
  await install();
  await installClients();
  const server = await startFixture("node", "examples/notes.ts");
  const tally = { passed: 0, failed: 0, skipped: 0 };
  try {
    const found = await programs();
    assert.deepEqual([...found.keys()], Object.keys(CALLS));
    for (const [name, text] of found) {
      const title = `[HOST-6] the program for ${name} lists the tools, and can call one`;
      try {
        await prove(name, text, server.url);
        console.log(`ok ${++tally.passed} - ${title}`);
      } catch (error) {
        console.log(`not ok ${++tally.failed} - ${title}`);
        console.log(String(error instanceof Error ? error.stack : error).replace(/^/gm, "  # "));
      }
    }
  } finally {
    await server.stop();
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
