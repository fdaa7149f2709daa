/**
 * A program that serves MCP on its pipes, as a process of the runtime that the tests run on.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

const globals: { readonly Bun?: unknown; readonly Deno?: unknown } = globalThis;
const BEFORE = globals.Deno ? ["run", "-A", "--no-check", "--quiet"] : [];
const LONGEST_MS = 30_000;

/** A message that came. */
export interface Message {
  readonly id?: unknown;
  readonly method?: string;
  // deno-lint-ignore no-explicit-any -- tests read what they know to be there
  readonly result?: any;
  readonly error?: { readonly code: number; readonly message: string };
}

/** A client of the process, which checks that every line on stdout is a message. */
export class PipedChild {
  readonly child: ChildProcess;
  /** Every message that came. */
  readonly messages: Message[] = [];
  /** What it has written to stderr. */
  errors = "";
  /** The code that it exited with, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  readonly #wakes = new Set<() => void>();
  #rest = "";
  #gone = false;

  /** @param module The program, from the folder of the tests */
  constructor(
    module: string,
    args: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ) {
    const path = fileURLToPath(new URL(`../${module}`, import.meta.url));
    this.child = spawn(process.execPath, [...BEFORE, path, ...args], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", ...env },
    });
    this.child.stdin?.on("error", () => {});
    this.child.stderr?.setEncoding("utf8").on("data", (piece: string) => {
      this.errors += piece;
      this.#wake();
    });
    this.child.once("exit", () => this.#gone = true);
    const timer = setTimeout(() => this.signal("SIGKILL"), LONGEST_MS);
    this.ended = new Promise((resolve) => {
      this.child.once("close", (code, signal) => {
        clearTimeout(timer);
        resolve(code ?? signal);
        this.#wake();
      });
    });
  }

  /** Begins to read stdout. */
  read(): this {
    this.child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
      const lines = (this.#rest + piece).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) this.messages.push(JSON.parse(line));
      this.#wake();
    });
    return this;
  }

  send(...messages: readonly object[]): void {
    const lines = messages.map((one) => `${JSON.stringify({ jsonrpc: "2.0", ...one })}\n`);
    this.child.stdin?.write(lines.join(""));
  }

  /** Shakes hands as a client of the 2025 era. */
  async initialize(): Promise<Message> {
    const clientInfo = { name: "piped", version: "1.0.0" };
    const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo };
    this.send({ id: "hello", method: "initialize", params });
    this.send({ method: "notifications/initialized" });
    return await this.response("hello");
  }

  /** Calls a tool, and returns the text of its result. */
  async call(id: number, name: string, args: object = {}): Promise<string> {
    this.send({ id, method: "tools/call", params: { name, arguments: args } });
    const { result, error } = await this.response(id);
    return result?.content[0].text ?? error?.message;
  }

  /** Waits for the response to a request. */
  async response(id: unknown): Promise<Message> {
    const find = () => this.messages.find((one) => one.id === id && one.method === undefined);
    await this.until(() => find() !== undefined, `a response to ${id}`);
    return find() ?? assert.fail();
  }

  /** Waits until something is so. */
  async until(so: () => boolean, what: string): Promise<void> {
    while (!so()) {
      if (this.#gone) assert.fail(`It ended without ${what}: ${this.errors}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await promise;
      this.#wakes.delete(resolve);
    }
  }

  /** Closes its stdin. */
  closeInput(): void {
    this.child.stdin?.end();
  }

  signal(name: "SIGTERM" | "SIGINT" | "SIGHUP" | "SIGKILL"): void {
    const { pid } = this.child;
    // Not the child's own kill(): under Deno that reports the signal as the child's end.
    if (pid !== undefined && !this.#gone) process.kill(pid, name);
  }

  /** Ends it, whatever it does. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.signal("SIGKILL");
    this.child.stdout?.resume();
    await this.ended;
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
  }
}
