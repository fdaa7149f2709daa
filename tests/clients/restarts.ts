/**
 * What clients do when the server behind them is killed and started again, with its sessions in memory
 * and in a SQLite file. The table of `docs/clients.md` has what comes out.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SERVER = fileURLToPath(new URL("../restart/server.ts", import.meta.url));
const START_MS = 60_000;

/** How to run a file: the program, and its arguments before the path. */
export type Runner = readonly [string, ...string[]];

/** The runtime that this runs on. */
export const HERE: Runner = "Deno" in globalThis
  ? [process.execPath, "run", "-A", "--no-check", "--quiet"]
  : [process.execPath];

/** A server that is killed and started again, at one port. */
export class RestartedServer {
  readonly #runner: Runner;
  readonly #folder: string;
  readonly #file: string;
  #child: ChildProcess | undefined;
  #port = 0;

  private constructor(runner: Runner, folder: string, file: string) {
    this.#runner = runner;
    this.#folder = folder;
    this.#file = file;
  }

  /** Starts a server with its sessions in memory or in a file. */
  static async start(sessions: "memory" | "file", runner: Runner): Promise<RestartedServer> {
    const folder = await mkdtemp(join(tmpdir(), "restarts-"));
    const file = sessions === "file" ? join(folder, "data.sqlite") : "";
    await writeFile(join(folder, "effects"), "");
    const server = new RestartedServer(runner, folder, file);
    await server.start();
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  /** Kills the process and starts another. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Waits until so many calls of a tool that never answers have begun. */
  async slowCalls(count: number): Promise<void> {
    for (let tries = 0; tries < 1_200; tries++) {
      const lines = (await readFile(join(this.#folder, "effects"), "utf8")).split("\n");
      if (lines.filter((line) => line === "slow").length >= count) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`${count} calls never began`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }

  /** Starts the process, with what the one before has stored. */
  async start(): Promise<void> {
    const [program, ...args] = this.#runner;
    const child = spawn(program, [
      ...args,
      SERVER,
      this.#file,
      String(this.#port),
      join(this.#folder, "effects"),
    ], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    this.#port = Number(await lineOf(child, /^port (\d+)$/));
  }

  /** Kills the process, without a chance to store anything. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }
}

/** A program that does something for each line that it reads. */
export class CallingProgram implements AsyncDisposable {
  readonly #child: ChildProcess;

  constructor([program, ...args]: Runner, file: string, cwd: string) {
    this.#child = spawn(program, [...args, file], { cwd, stdio: ["pipe", "pipe", "pipe"] });
  }

  /** Lets it do something, and returns the line that it writes about that. */
  async call(what = "call"): Promise<string> {
    const said = lineOf(this.#child, /^CALLED (.*)$/);
    this.#child.stdin?.write(`${what}\n`);
    return await said;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#child.kill("SIGKILL");
    await ended;
  }
}

/**
 * What stands after the end of a program that is to be a {@linkcode CallingProgram}.
 *
 * @param doing The expression for each line that it reads
 */
export function callingLoop(doing: Readonly<Record<string, string>>): string {
  const members = Object.entries(doing).map(([name, code]) => `${name}: async () => ${code}`);
  return `
const { createInterface } = await import("node:readline");
const doing = { ${members.join(", ")} };
for await (const line of createInterface({ input: process.stdin })) {
  try {
    console.log("CALLED " + JSON.stringify(await doing[line]()));
  } catch (error) {
    console.log("CALLED " + JSON.stringify("FAILED " + error.message));
  }
}
`;
}

/** Waits for a line of a program's output. */
function lineOf(child: ChildProcess, pattern: RegExp): Promise<string> {
  let output = "";
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No line ${pattern}: ${output}`)), START_MS);
    const { stdout, stderr } = child;
    if (stdout === null || stderr === null) throw new TypeError("Start it with pipes");
    const lines = createInterface({ input: stdout });
    const end = (settle: () => void): void => {
      clearTimeout(timer);
      lines.close();
      child.off("exit", ended);
      settle();
    };
    const ended = () => end(() => reject(new Error(`It ended: ${output}`)));
    child.once("exit", ended);
    stderr.on("data", (piece) => output += String(piece));
    lines.on("line", (line) => {
      output += `${line}\n`;
      const [, found] = pattern.exec(line) ?? [];
      if (found !== undefined) end(() => resolve(found));
    });
  });
}
