/**
 * Processes of the runtime that the tests run on.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { RawConnection } from "./raw.ts";
import { runtime } from "./runtime.ts";

/** A serving process, and what it has written. */
export class Child {
  readonly #process: ChildProcess;
  readonly #wakes = new Set<() => void>();
  #gone = false;
  output = "";
  errors = "";
  /** The code it exited with, or the signal that ended it. */
  readonly exited: Promise<number | string | null>;

  constructor(args: readonly string[]) {
    this.#process = spawn(process.execPath, [...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PORT: "0" },
    });
    this.#process.stdout?.on("data", (chunk: Uint8Array) => {
      this.output += new TextDecoder().decode(chunk);
      for (const wake of this.#wakes) wake();
    });
    this.#process.stderr?.on("data", (chunk: Uint8Array) => {
      this.errors += new TextDecoder().decode(chunk);
      for (const wake of this.#wakes) wake();
    });
    this.exited = new Promise((resolve) => {
      this.#process.on("exit", (code, signal) => {
        this.#gone = true;
        resolve(code ?? signal);
      });
    });
  }

  /** Waits until the child has written something. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.output) ?? pattern.exec(this.errors);
      if (found !== null) return found;
      await new Promise<void>((resolve, reject) => {
        this.#wakes.add(resolve);
        this.exited.then(() => reject(new Error(`The child exited: ${this.output}${this.errors}`)));
      });
    }
  }

  /** Connects to the child's server. */
  async connect(): Promise<RawConnection> {
    const [, port] = await this.until(/(?:port |http:\/\/[\w.]+:)(\d+)/);
    return RawConnection.open(Number(port));
  }

  signal(name: "SIGTERM" | "SIGINT" | "SIGKILL"): void {
    const { pid } = this.#process;
    if (pid === undefined || this.#gone) return;
    // Not the child's own kill(): under Deno that sends one signal only, and reports it as the exit.
    process.kill(pid, name);
  }
}

/**
 * Runs a module in a process, a test's body with it, and ends it whatever happens.
 *
 * @param subcommand What Deno is to do with the module; the other runtimes know by themselves
 */
export async function withProcess(
  subcommand: readonly string[],
  module: string,
  args: readonly string[],
  body: (child: Child) => Promise<void>,
): Promise<void> {
  const path = fileURLToPath(new URL(module, import.meta.url));
  const before = runtime === "deno" ? [...subcommand, "-A"] : [];
  const child = new Child([...before, path, ...args]);
  try {
    await body(child);
  } finally {
    child.signal("SIGKILL");
    await child.exited;
  }
}
