/**
 * The examples as people run them: each a process of its own, under the runtime that the tests run on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect, type TestClient } from "../../src/testing/mod.ts";

const globals: { readonly Bun?: unknown; readonly Deno?: unknown } = globalThis;

/** The runtime that the tests run on. */
export const runtime = globals.Deno ? "deno" : globals.Bun ? "bun" : "node";

const EXAMPLES = new URL("../../examples/", import.meta.url);
const READY_MS = 20_000;
const END_MS = 10_000;

/** A running example. */
export interface Program {
  /** Where it says that it listens. */
  readonly url: string;
  /** Everything that it has printed. */
  readonly output: () => string;
  /** Asks it to end, and waits until it has. */
  readonly stop: () => Promise<number | null>;
}

/** A running example that nobody stops. */
export interface StartedProgram extends Program {
  /** Ends it at once, if it still runs, and waits until it has ended. */
  readonly kill: () => Promise<void>;
}

/** Runs an example on a free port for as long as `use` takes. It must end by itself when asked to. */
export async function running(
  file: string,
  use: (program: Program) => Promise<void>,
): Promise<void> {
  const program = await start(file);
  try {
    await use(program);
    assert.equal(await program.stop(), 0, program.output());
  } finally {
    await program.kill();
  }
}

/** Starts an example on a free port. */
export function start(file: string): Promise<StartedProgram> {
  const before = runtime === "deno" ? ["run", "-A", "--no-check"] : [];
  return startCommand([...before, fileURLToPath(new URL(file, EXAMPLES)), "--port", "0"]);
}

/** Starts the runtime with some arguments, and waits until it says where it listens. */
export async function startCommand(args: readonly string[]): Promise<StartedProgram> {
  const child = spawn(process.execPath, args, {
    env: { ...process.env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const { promise: ended, resolve } = Promise.withResolvers<number | null>();
  let gone = false;
  child.once("exit", () => gone = true);
  child.once("close", resolve);
  // Not the child's own kill(): under Deno that reports the signal as the child's end.
  const signal = (name: "SIGTERM" | "SIGKILL"): void => {
    if (child.pid !== undefined && !gone) process.kill(child.pid, name);
  };
  const kill = async (): Promise<void> => {
    signal("SIGKILL");
    await ended;
  };
  try {
    const output = collect(child);
    const url = await listening(child, output);
    let stopped: Promise<number | null> | undefined;
    const stop = (): Promise<number | null> => {
      if (stopped === undefined) {
        signal("SIGTERM");
        const killer = setTimeout(() => signal("SIGKILL"), END_MS);
        stopped = ended.finally(() => clearTimeout(killer));
      }
      return stopped;
    };
    return { url, output, stop, kill };
  } catch (error) {
    await kill();
    throw error;
  }
}

/** Connects to what listens at a URL. */
export function reach(
  url: string,
  options: Parameters<typeof connect>[1] = {},
): Promise<TestClient> {
  return connect((request) => fetch(request), { url, ...options });
}

/** Runs the `curl` lines that an example has printed, where there is a `curl`. */
export async function pasted({ output }: Program): Promise<string[]> {
  const lines = output().split("\n").filter((line) => /^ +curl /.test(line));
  assert.notEqual(lines.length, 0, "It prints a line to try");
  const run = promisify(execFile);
  try {
    await run("curl", ["--version"]);
  } catch {
    return [];
  }
  return await Promise.all(lines.map(async (line) => (await run("sh", ["-c", line])).stdout));
}

function collect(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (piece: string) => text += piece);
  }
  return () => text;
}

async function listening(child: ChildProcess, output: () => string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const look = () => {
    // `deno serve` writes "on", and an address that means any.
    const found = output().match(/Listening (?:at|on) (http:\S+\/(?:mcp)?)[^]*\n/i);
    if (found?.[1] !== undefined) resolve(found[1].replace("0.0.0.0", "127.0.0.1"));
  };
  child.stdout?.on("data", look);
  child.stderr?.on("data", look);
  child.once("error", reject);
  child.once("exit", () => reject(new Error(`It ended instead of listening: ${output()}`)));
  const timer = setTimeout(() => reject(new Error(`It doesn't listen: ${output()}`)), READY_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}
