/**
 * The command as people run it: a process of its own, under the runtime that the tests run on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { connect, type TestClient } from "../../src/testing/mod.ts";

const globals: { readonly Bun?: unknown; readonly Deno?: unknown } = globalThis;

/** The runtime that the tests run on. */
export const runtime = globals.Deno ? "deno" : globals.Bun ? "bun" : "node";

const BEFORE = runtime === "deno" ? ["run", "-A", "--no-check", "--quiet"] : [];
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const COUNTER = fileURLToPath(new URL("./fixtures/counter.ts", import.meta.url));
const LONGEST_MS = 30_000;

/** Stands in for the user's own folder, where the command keeps its data. */
const STATE = mkdtempSync(join(tmpdir(), "cli-state-"));
process.on("exit", () => rmSync(STATE, { recursive: true, force: true }));

/** How a configuration starts the counting server. */
export function counter(name: string, more: object = {}): object {
  return { command: process.execPath, args: [...BEFORE, COUNTER, name], ...more };
}

/** The same as a command line. */
export const COUNTER_LINE = [process.execPath, ...BEFORE, COUNTER, "counter"]
  .map((arg) => `'${arg}'`).join(" ");

/** A running command. */
export class Program {
  readonly #child: ChildProcess;
  readonly #wakes = new Set<() => void>();
  #gone = false;
  out = "";
  err = "";
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;

  constructor(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    main = MAIN,
    runner: readonly string[] = [],
  ) {
    const [program, ...rest] = [...runner, process.execPath, ...BEFORE, main, ...args];
    this.#child = spawn(program ?? process.execPath, rest, {
      env: { ...process.env, NO_COLOR: "1", XDG_STATE_HOME: STATE, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const take = (key: "out" | "err") => (piece: string) => {
      this[key] += piece;
      for (const wake of this.#wakes) wake();
    };
    this.#child.stdout?.setEncoding("utf8").on("data", take("out"));
    this.#child.stderr?.setEncoding("utf8").on("data", take("err"));
    this.#child.once("exit", () => this.#gone = true);
    this.ended = new Promise((resolve) => {
      this.#child.once("close", (code, signal) => {
        resolve(code ?? signal);
        for (const wake of this.#wakes) wake();
      });
    });
  }

  /** Waits until it has written something. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    const start = performance.now();
    for (;;) {
      const found = pattern.exec(this.err) ?? pattern.exec(this.out);
      if (found !== null) return found;
      if (this.#gone || performance.now() - start > LONGEST_MS) {
        assert.fail(`It never wrote ${pattern}: ${this.out}${this.err}`);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, 1_000);
      this.#wakes.add(resolve);
      await promise;
      this.#wakes.delete(resolve);
      clearTimeout(timer);
    }
  }

  /** The id of its process. */
  get pid(): number {
    return this.#child.pid ?? assert.fail("It has not started");
  }

  /** Where it says that it listens. */
  async url(): Promise<string> {
    const [, url = ""] = await this.until(/"url":"([^"]+)"/);
    return url;
  }

  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): void {
    const { pid } = this.#child;
    // Not the child's own kill(): under Deno that reports the signal as the child's end.
    if (pid !== undefined && !this.#gone) process.kill(pid, name);
  }
}

/** Runs the command to its end. */
export async function run(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: unknown; readonly out: string; readonly err: string }> {
  const program = new Program(args, env);
  const timer = setTimeout(() => program.signal("SIGKILL"), LONGEST_MS);
  const code = await program.ended;
  clearTimeout(timer);
  return { code, out: program.out, err: program.err };
}

/**
 * Serves for as long as `use` takes; a port of its own, the log as JSON, and sessions in memory unless
 * `args` say where. What `use` hasn't ended is asked to end, and must exit with `code`.
 */
export async function serving(
  args: readonly string[],
  use: (program: Program, url: string) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
  code: number | string = 0,
): Promise<void> {
  const data = args.includes("--data") ? [] : ["--data", "none"];
  const program = new Program(["serve", ...args, ...data, "--port", "0", "--log", "json"], env);
  try {
    await use(program, await program.url());
    program.signal("SIGTERM");
    assert.equal(await program.ended, code, program.err);
  } finally {
    program.signal("SIGKILL");
    await program.ended;
  }
}

/** A folder with a configuration file in it, for as long as `use` takes. */
export async function withConfig(
  config: unknown,
  use: (file: string, write: (config: unknown) => Promise<void>) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "cli-"));
  const file = join(folder, "mooring.json");
  const write = async (config: unknown): Promise<void> => {
    // As careful editors do, and deployments: nobody ever sees half a file
    await writeFile(`${file}.new`, typeof config === "string" ? config : JSON.stringify(config));
    await rename(`${file}.new`, file);
  };
  try {
    await write(config);
    await use(file, write);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Connects to an endpoint. */
export function reach(
  url: string,
  options: Parameters<typeof connect>[1] = {},
): Promise<TestClient> {
  return connect((request) => fetch(request), { url, ...options });
}

/** Calls a tool and gives the text of its answer. */
export async function textOf(client: TestClient, tool: string, args = {}): Promise<string> {
  const { content } = await client.callTool(tool, args);
  const [block] = content;
  return block?.type === "text" ? block.text : "";
}
