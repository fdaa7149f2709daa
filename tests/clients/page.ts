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
import type { Connected } from "./client.ts";
import { callingLoop, CallingProgram, RestartedServer } from "./restarts.ts";
import { sdkV1 } from "./sdk_v1.ts";
import { run } from "../../tools/process.ts";
import { CLIENTS, commandOf, install, installClients, ROOT } from "../../tools/runtimes.ts";
import { tallyLine } from "../../tools/tally.ts";

const LIMIT_MS = 60_000;
/** Where the server of the page is. */
export const URL_ON_PAGE = "https://api.example/mcp";

const MCP_REMOTE = join(CLIENTS, "node_modules/mcp-remote/dist/proxy.js");
/** How many calls a client has under way when its server is killed. */
const RUNNING = 10;

/** What a client does when its server was killed and started again. */
interface AtRestart {
  /** The version that it speaks with the server. */
  readonly version: string;
  /** What a call fails with, when it ran at that moment or comes while the server is down. */
  readonly error: string;
  /** What the next two calls bring, with sessions in memory and in a file. */
  readonly memory: readonly [RegExp, RegExp];
  readonly file: readonly [RegExp, RegExp];
}

/** A program of the page. */
interface Restarts extends AtRestart {
  /** The call of a tool without arguments, which has the name `TOOL`. */
  readonly call: string;
  /** The list of the tools' names, asked for anew. */
  readonly list: string;
}

/** An official client that starts `mcp-remote`. */
interface Remote extends AtRestart {
  readonly protocol: "legacy" | "auto";
}

const LOST = /FAILED .*Session not found/;
const FIRST = /\b1 nobody\b/;

/** The same rows are on the page. By package. */
const RESTARTS: Readonly<Record<string, Restarts>> = {
  "@ai-sdk/mcp": {
    call: `await tools.TOOL.execute({}, { toolCallId: "1", messages: [] })`,
    list: `Object.keys(await client.tools())`,
    version: "2026-07-28",
    error: "Failed to process server response",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
  "@langchain/mcp-adapters": {
    call: `await tools.find(({ name }) => name === "TOOL").invoke({})`,
    list: `(await client.getTools()).map(({ name }) => name)`,
    version: "2025-11-25",
    error: "fetch failed",
    memory: [LOST, LOST],
    file: [/\b2 nobody\b/, /\b3 nobody\b/],
  },
  "@openai/agents": {
    call: `await notes.callTool("TOOL", {})`,
    list: `(await notes.listTools()).map(({ name }) => name)`,
    version: "2026-07-28",
    error: "fetch failed",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
  "@mastra/mcp": {
    call: `await tools.notes_TOOL.execute({}, {})`,
    list: `Object.keys(await client.listTools())`,
    version: "2026-07-28",
    error: "fetch failed",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
};

/** The same of `mcp-remote`, which is a program of its own. */
const REMOTES: readonly Remote[] = [
  {
    protocol: "legacy",
    version: "2025-11-25",
    error: "mcp-remote: fetch failed",
    // It begins another session by itself.
    memory: [FIRST, /\b2 nobody\b/],
    file: [/\b2 nobody\b/, /\b3 nobody\b/],
  },
  {
    protocol: "auto",
    version: "2026-07-28",
    error: "mcp-remote: fetch failed",
    memory: [FIRST, FIRST],
    file: [FIRST, FIRST],
  },
];

/** A line at the end of each program that calls a tool, before the line that closes. By package. */
const CALLS: Readonly<Record<string, string>> = {
  "@ai-sdk/mcp": `await tools.add_note.execute({ text: "x" }, { toolCallId: "1", messages: [] })`,
  "@langchain/mcp-adapters":
    `await tools.find(({ name }) => name === "add_note").invoke({ text: "x" })`,
  "@openai/agents": `await notes.callTool("add_note", { text: "x" })`,
  "@mastra/mcp": `await tools.notes_add_note.execute({ text: "x" }, {})`,
};

/** The programs of the page, by the package that they import first. */
export async function programs(): Promise<Map<string, string>> {
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
    await writeFile(file, start + callingLoop({ call: call.replace("TOOL", "version") }));
    await using asking = new CallingProgram([program], file, folder);
    assert.match(await asking.call(), new RegExp(version));
    await writeFile(file, start + callingLoop({ call: call.replace("TOOL", "count") }));
    await using counting = new CallingProgram([program], file, folder);
    assert.match(await counting.call(), FIRST);
    await server.restart();
    for (const pattern of expected[sessions]) assert.match(await counting.call(), pattern);
  }
}

/** What a client is told to do. Each gives a text: of the answer, of the error, or of a list. */
interface Doing {
  /** Begins {@linkcode RUNNING} calls that never end. */
  readonly begin: () => Promise<unknown>;
  /** Says how these calls have ended. */
  readonly ends: () => Promise<string>;
  readonly call: () => Promise<string>;
  readonly list: () => Promise<string>;
}

/** Kills a server while calls run, calls while it is down, and goes on when it is back. */
async function checkLoad(
  server: RestartedServer,
  client: Doing,
  expected: AtRestart,
): Promise<void> {
  assert.match(await client.call(), FIRST);
  await client.begin();
  await server.slowCalls(RUNNING);
  await server.kill();
  const down = await client.call();
  assert.ok(down.includes("FAILED") && down.includes(expected.error), down);
  await server.start();
  const ends = await client.ends();
  assert.equal(ends.split(expected.error).length - 1, RUNNING, ends);
  const names = await client.list();
  for (const name of ["count", "version", "slow", "again"]) assert.ok(names.includes(name), names);
  for (const pattern of expected.file) assert.match(await client.call(), pattern);
}

/** Kills the server of a program while it has calls under way. */
async function proveLoad(name: string, text: string): Promise<void> {
  const { call, list, ...expected } = RESTARTS[name] ?? assert.fail(name);
  const { program } = commandOf("node");
  const folder = join(CLIENTS, "work");
  await using server = await RestartedServer.start("file", [program]);
  const lines = text.replaceAll(URL_ON_PAGE, server.url).trimEnd().split("\n");
  const file = join(folder, "load.mjs");
  const slow = `(async () => ${call.replace("TOOL", "slow")})()`;
  const loop = callingLoop({
    call: call.replace("TOOL", "count"),
    list,
    begin: `{ running = Promise.allSettled(Array.from({ length: ${RUNNING} }, () => ${slow})); }`,
    ends: `(await running).map(({ value, reason }) => value ?? reason.message)`,
  });
  await writeFile(file, `${lines.slice(0, -1).join("\n")}\nlet running;\n${loop}`);
  await using client = new CallingProgram([program], file, folder);
  await checkLoad(server, {
    begin: () => client.call("begin"),
    ends: () => client.call("ends"),
    call: () => client.call(),
    list: () => client.call("list"),
  }, expected);
}

/** Connects an official client to `mcp-remote`, which connects to a server. */
export function connectRemote(
  { url }: Pick<RestartedServer, "url">,
  protocol: string,
): Promise<Connected> {
  // What it keeps of its logins is not for the user's own folder.
  const home = `HOME=${join(CLIENTS, "work")}`;
  const options = ["--allow-http", "--transport", "http-only", "--protocol", protocol];
  const command = ["env", home, commandOf("node").program, MCP_REMOTE, url, ...options] as const;
  return sdkV1.connect({ url, command });
}

function saidBy(client: Connected, tool: string): Promise<string> {
  return client.call(tool).then(({ text }) => text, (error) => `FAILED ${error.message}`);
}

/** The same of a client that starts `mcp-remote`. */
async function proveRemote({ protocol, version, ...expected }: Remote): Promise<void> {
  const { program } = commandOf("node");
  for (const sessions of ["memory", "file"] as const) {
    await using server = await RestartedServer.start(sessions, [program]);
    const client = await connectRemote(server, protocol);
    try {
      assert.equal(await saidBy(client, "version"), version);
      assert.match(await saidBy(client, "count"), FIRST);
      await server.restart();
      for (const pattern of expected[sessions]) {
        assert.match(await saidBy(client, "count"), pattern);
      }
    } finally {
      await client.close();
    }
  }
}

async function proveRemoteLoad({ protocol, ...expected }: Remote): Promise<void> {
  await using server = await RestartedServer.start("file", [commandOf("node").program]);
  const client = await connectRemote(server, protocol);
  let running: readonly Promise<string>[] = [];
  try {
    await checkLoad(server, {
      begin() {
        running = Array.from({ length: RUNNING }, () => saidBy(client, "slow"));
        return Promise.resolve();
      },
      ends: async () => (await Promise.all(running)).join(),
      call: () => saidBy(client, "count"),
      list: async () => (await client.tools()).join(),
    }, expected);
  } finally {
    await client.close();
  }
}

/** Checks that the page's table has what the tests compare. */
async function checkTable(): Promise<void> {
  const page = await readFile(join(ROOT, "docs/clients.md"), "utf8");
  const rows = [...Object.entries(RESTARTS), ...REMOTES.map((row) => ["mcp-remote", row] as const)];
  for (const [name, { error, version }] of rows) {
    const pattern = `^\\|[^|]*\`${name}\`[^|]*\\| ${version} +\\| \`${error}\` +\\|$`;
    assert.match(page, new RegExp(pattern, "m"));
  }
}

/** The tests of everything on the page. */
async function proofs(url: string): Promise<(readonly [string, () => Promise<void>])[]> {
  const found = await programs();
  assert.deepEqual([...found.keys()], Object.keys(CALLS));
  const ofPrograms = [...found].flatMap(([name, text]) =>
    [
      [`[HOST-6] the program for ${name} lists the tools, and can call one`, () => {
        return prove(name, text, url);
      }],
      [`[DUR-20] ${name} does what the page says when its server has restarted`, () => {
        return proveRestarts(name, text);
      }],
      [`[DUR-29] ${name} keeps its tools when its server is killed under load`, () => {
        return proveLoad(name, text);
      }],
    ] as const
  );
  const ofRemotes = REMOTES.flatMap((row) =>
    [
      [`[DUR-20] mcp-remote, ${row.protocol}, does what the page says at a restart`, () => {
        return proveRemote(row);
      }],
      [
        `[DUR-29] mcp-remote, ${row.protocol}, keeps its tools when its server is killed under load`,
        () => {
          return proveRemoteLoad(row);
        },
      ],
    ] as const
  );
  return [...ofPrograms, ...ofRemotes, ["[DUR-29] the page has these rows", checkTable]];
}

async function main(): Promise<number> {
  await install();
  await installClients();
  const server = await startFixture("node", "examples/notes.ts");
  const tally = { passed: 0, failed: 0, skipped: 0 };
  try {
    for (const [title, run] of await proofs(server.url)) {
      try {
        await run();
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
