/**
 * Calls a tool of ten minutes with real clients, all at the same time, each with its own limit: all get the
 * result by the handle, from two nodes of which one is killed and started again meanwhile. Beside it each
 * calls a tool that isn't answered early, which shows the client's limit. Prints a line for each client, and
 * ends with `N passed, N failed`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { run } from "../../tools/process.ts";
import { CLIENTS, commandOf, install, installClients } from "../../tools/runtimes.ts";
import { tallyLine } from "../../tools/tally.ts";
import { Front } from "../faults/cluster/front.ts";
import { uniquePrefix, useServer } from "../support/redis.ts";
import type { ClientKind } from "./client.ts";
import { callBoth, type CallTool, type LongRow, readRow } from "./long_flow.ts";
import { connectRemote, programs, URL_ON_PAGE } from "./page.ts";
import { sdkV1 } from "./sdk_v1.ts";
import { sdkV2, sdkV2Auto } from "./sdk_v2.ts";

const USAGE = "Usage: deno run -A tests/clients/ten_minutes.ts [--minutes N]";
const SERVER = fileURLToPath(new URL("./long_server.ts", import.meta.url));
const FLOW = new URL("./long_flow.ts", import.meta.url).href;
const INSPECTOR = join(
  CLIENTS,
  "node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js",
);
const START_MS = 120_000;
/** What a run takes beside its tools, on a machine with much to do. */
const MORE_MS = 300_000;

/** A client that calls both tools at an endpoint. */
interface Caller {
  readonly name: string;
  call(url: string, limitMs: number): Promise<LongRow>;
}

/** One process of the server. */
class LongNode {
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;
  #port = 0;
  #began = 0;

  /** @param ms How long its tools run */
  constructor(name: string, redis: string, prefix: string, ms: number) {
    this.#args = [name, redis, prefix, String(ms)];
  }

  get port(): number {
    return this.#port;
  }

  /** The number of tools that have begun here. */
  get began(): number {
    return this.#began;
  }

  /** Starts the process, at the port that it had before. */
  async start(): Promise<void> {
    const [name = "", ...rest] = this.#args;
    const args = [SERVER, name, String(this.#port), ...rest];
    const child = spawn(commandOf("node").program, args, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    const lines = createInterface({ input: child.stdout });
    const started = new Promise<number>((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`Node ${name} ended: ${code}`)));
      setTimeout(() => reject(new Error(`Node ${name} doesn't start`)), START_MS).unref();
      lines.on("line", (line) => {
        const [, port] = /^port (\d+)$/.exec(line) ?? [];
        if (port !== undefined) resolve(Number(port));
        if (line.startsWith("began ")) this.#began++;
      });
    });
    this.#port = await started;
  }

  /** Kills the process. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}

/** The expressions by which the programs of `docs/clients.md` call a tool. By package. */
const CALLS: Readonly<Record<string, string>> = {
  "@ai-sdk/mcp": `tools[name].execute(args, { toolCallId: "1", messages: [] })`,
  "@langchain/mcp-adapters": `tools.find((tool) => tool.name === name).invoke(args)`,
  "@openai/agents": `notes.callTool(name, args)`,
  "@mastra/mcp": `tools["notes_" + name].execute(args, {})`,
};

function ofKind(kind: ClientKind): Caller {
  return { name: kind.name, call: (url) => withClient(() => kind.connect({ url })) };
}

async function withClient(connect: () => ReturnType<ClientKind["connect"]>): Promise<LongRow> {
  const client = await connect();
  try {
    return await callBoth(async (name, args) => (await client.call(name, args)).text);
  } finally {
    await client.close();
  }
}

function ofRemote(protocol: string): Caller {
  return {
    name: `mcp-remote, ${protocol}`,
    call: (url) => withClient(() => connectRemote({ url }, protocol)),
  };
}

function ofProgram(name: string, text: string): Caller {
  return {
    name,
    async call(url, limitMs) {
      const expression = CALLS[name] ?? assert.fail(name);
      const folder = join(CLIENTS, "work");
      await mkdir(folder, { recursive: true });
      const lines = text.replaceAll(URL_ON_PAGE, url).trimEnd().split("\n");
      const program = [
        ...lines.slice(0, -1),
        `const { callBothHere } = await import(${JSON.stringify(FLOW)});`,
        `await callBothHere(async (name, args) => JSON.stringify(await ${expression}));`,
        ...lines.slice(-1),
      ];
      const file = join(folder, `long${name.replaceAll(/\W+/g, "-")}.mjs`);
      await writeFile(file, program.join("\n"));
      const { output } = await run(commandOf("node").program, [file], { cwd: folder, limitMs });
      return readRow(output);
    },
  };
}

/** The inspector's command is one process for each call. */
function ofInspector(era: string): Caller {
  return {
    name: `inspector --cli, ${era}`,
    call(url, limitMs) {
      const call: CallTool = async (name, args) => {
        const command = [
          ...[INSPECTOR, "--cli", url, "--transport", "http", "--protocol-era", era],
          ...["--method", "tools/call", "--tool-name", name],
          ...["--tool-args-json", JSON.stringify(args), "--format", "json", "--quiet"],
        ];
        const { code, output } = await run(commandOf("node").program, command, { limitMs });
        if (code !== 0) throw new Error(output.trim());
        return output.trim();
      };
      return callBoth(call);
    },
  };
}

async function callers(): Promise<readonly Caller[]> {
  return [
    ...[sdkV1, sdkV2, sdkV2Auto].map(ofKind),
    ...["legacy", "auto"].map(ofRemote),
    ...[...await programs()].map(([name, text]) => ofProgram(name, text)),
    ...["legacy", "modern"].map(ofInspector),
  ];
}

/** Waits until something is so, for as long as a busy machine may take. */
async function until(holds: () => boolean, what: string): Promise<void> {
  for (let waitedMs = 0; waitedMs < MORE_MS; waitedMs += 500) {
    if (holds()) return;
    await pause(500);
  }
  throw new Error(`Waited in vain for ${what}`);
}

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { minutes: { type: "string", default: "10" } } });
  const ms = Number(values.minutes) * 60_000;
  if (!(ms > 0)) throw new Error(USAGE);
  await install();
  await installClients();
  const redis = await useServer();
  const prefix = uniquePrefix();
  const [first, second] = ["first", "second"].map((name) =>
    new LongNode(name, redis.url, prefix, ms)
  ) as [LongNode, LongNode];
  const began = performance.now();
  const say = (text: string) =>
    console.log(`# ${Math.round((performance.now() - began) / 1_000)} s: ${text}`);
  await Promise.all([first.start(), second.start()]);
  // The tools run at the first node; later both answer.
  const front = await Front.before([first]);
  const all = await callers();
  const tally = { passed: 0, failed: 0, skipped: 0 };
  try {
    const rows = all.map(async ({ name, call }) => {
      try {
        const row = await call(front.url, ms + MORE_MS);
        assert.match(row.text, /Done at first/);
        console.log(`ok ${++tally.passed} - [LONG-21] ${name} gets the result of its long call`);
        console.log(`  # ${JSON.stringify(row)}`);
      } catch (error) {
        console.log(`not ok ${++tally.failed} - [LONG-21] ${name}`);
        console.log(String(error instanceof Error ? error.stack : error).replace(/^/gm, "  # "));
      }
    });
    await until(() => first.began === all.length * 2, "the calls of all clients");
    say(`${first.began} tools of ${ms / 1_000} s run`);
    await pause(ms * 0.15);
    front.targets = [first, second];
    say("both nodes answer from now on");
    await pause(ms * 0.35);
    await second.kill();
    say("the second node was killed");
    await pause(5_000);
    await second.start();
    say("the second node is back");
    await Promise.all(rows);
    say("all clients have ended");
    assert.equal(second.began, 0);
  } finally {
    await Promise.all([first.kill(), second.kill()]);
    await front.close();
    await redis.stop();
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
