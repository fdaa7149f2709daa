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
import { callingLoop, CallingProgram, RestartedServer } from "./restarts.ts";
import { run } from "../../tools/process.ts";
import { CLIENTS, commandOf, install, installClients, ROOT } from "../../tools/runtimes.ts";
import { tallyLine } from "../../tools/tally.ts";

const LIMIT_MS = 60_000;
const URL_ON_PAGE = "https://api.example/mcp";

/** What the clients of the page do when their server was killed and started again. */
interface Restarts {
  /** The call of a tool without arguments, which has the name `TOOL`. */
  readonly call: string;
  /** The version that the client speaks. */
  readonly version: string;
  /** What the next two calls bring, with sessions in memory and in a file. */
  readonly memory: readonly [RegExp, RegExp];
  readonly file: readonly [RegExp, RegExp];
}

const LOST = /FAILED .*Session not found/;
const FIRST = /\b1 nobody\b/;

/** The same rows are on the page. By package. */
const RESTARTS: Readonly<Record<string, Restarts>> = {
  "@ai-sdk/mcp": {
    call: `await tools.TOOL.execute({}, { toolCallId: "1", messages: [] })`,
    version: "2026-07-28",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
  "@langchain/mcp-adapters": {
    call: `await tools.find(({ name }) => name === "TOOL").invoke({})`,
    version: "2025-11-25",
    memory: [LOST, LOST],
    file: [/\b2 nobody\b/, /\b3 nobody\b/],
  },
  "@openai/agents": {
    call: `await notes.callTool("TOOL", {})`,
    version: "2026-07-28",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
  "@mastra/mcp": {
    call: `await tools.notes_TOOL.execute({}, {})`,
    version: "2026-07-28",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
};

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

/** Kills the server of a program, starts it again, and compares what the next calls bring. */
async function proveRestarts(name: string, text: string): Promise<void> {
  const { call, version, ...expected } = RESTARTS[name] ?? assert.fail(name);
  const { program } = commandOf("node");
  const folder = join(CLIENTS, "work");
  for (const sessions of ["memory", "file"] as const) {
    await using server = await RestartedServer.start(sessions, [program]);
    const lines = text.replaceAll(URL_ON_PAGE, server.url).trimEnd().split("\n");
    const start = lines.slice(0, -1).join("\n");
    const file = join(folder, "restarts.mjs");
    await writeFile(file, start + callingLoop(call.replace("TOOL", "version")));
    await using asking = new CallingProgram([program], file, folder);
    assert.match(await asking.call(), new RegExp(version));
    await writeFile(file, start + callingLoop(call.replace("TOOL", "count")));
    await using counting = new CallingProgram([program], file, folder);
    assert.match(await counting.call(), FIRST);
    await server.restart();
    for (const pattern of expected[sessions]) assert.match(await counting.call(), pattern);
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
      const proofs = [
        [`[HOST-6] the program for ${name} lists the tools, and can call one`, () => {
          return prove(name, text, server.url);
        }],
        [`[DUR-20] ${name} does what the page says when its server has restarted`, () => {
          return proveRestarts(name, text);
        }],
      ] as const;
      for (const [title, run] of proofs) {
        try {
          await run();
          console.log(`ok ${++tally.passed} - ${title}`);
        } catch (error) {
          console.log(`not ok ${++tally.failed} - ${title}`);
          console.log(String(error instanceof Error ? error.stack : error).replace(/^/gm, "  # "));
        }
      }
    }
  } finally {
    await server.stop();
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
