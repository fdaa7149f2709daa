/**
 * A process that takes orders: one line of JSON each, and one as the answer.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandOf, ROOT, type Runtime } from "../tools/runtimes.ts";

/** What lets a process collect garbage when it wants to. Bun needs nothing. */
const GC_FLAGS: Readonly<Record<Runtime, readonly string[]>> = {
  deno: ["--v8-flags=--expose-gc"],
  bun: [],
  node: ["--expose-gc"],
};

/** How long any single answer may take, in milliseconds. */
const LIMIT_MS = 180_000;

/** A process that takes orders. It ends when it is told to, and with this process. */
export class Subordinate implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  #errors = "";

  /**
   * Starts a script of this folder and waits until it is ready.
   *
   * @param init What it gets as its one argument
   */
  static async start(runtime: Runtime, script: string, init: unknown): Promise<Subordinate> {
    const started = new Subordinate(runtime, script, init);
    await started.#answer();
    return started;
  }

  private constructor(runtime: Runtime, script: string, init: unknown) {
    const { program, args } = commandOf(runtime);
    const path = fileURLToPath(new URL(script, import.meta.url));
    const command = [...args, ...GC_FLAGS[runtime], path, JSON.stringify(init)];
    const stdio = ["pipe", "pipe", "pipe"] as const;
    const child = spawn(program, command, {
      cwd: ROOT,
      stdio: [...stdio],
      env: { ...process.env, NO_COLOR: "1", NODE_ENV: "production" },
    });
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-4_000);
    });
    // A process that has ended can't be told anything: its silence says so.
    child.stdin.on("error", () => {});
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  /** The process's id. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Gives an order and waits until it is done.
   *
   * @throws {Error} With what the process wrote to its error output, if it doesn't answer
   */
  async order<Answer>(order: unknown): Promise<Answer> {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
    return JSON.parse(await this.#answer());
  }

  /** Ends the process. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }

  async #answer(): Promise<string> {
    const late = setTimeout(() => this.#child.kill("SIGKILL"), LIMIT_MS);
    try {
      const { done, value } = await this.#answers.next();
      if (!done) return value;
    } finally {
      clearTimeout(late);
    }
    throw new Error(
      `A process of the benchmark ended: ${this.#errors.trim() || "it said nothing"}`,
    );
  }
}
