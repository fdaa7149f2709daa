/**
 * Runs a child process and writes to its stdin.
 *
 * @module
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { type Clock, ErrorCode, McpError } from "../../../mod.ts";
import { EndOfTurn, quote } from "../../kit.ts";
import { childEnv } from "./child_env.ts";
import { childGroups, HAS_GROUPS, killGroup } from "./child_groups.ts";
import { startProblem } from "./start_problem.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import { UpstreamError } from "../shared/upstream_error.ts";

/** A program and the bounds of its process. */
export interface ChildSettings {
  readonly command: string;
  readonly args: readonly string[];
  /** Holds variables in addition to the inherited ones. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  /** The most bytes that wait to be read by the program. */
  readonly maxQueueBytes: number;
  /** The longest wait for its exit, before and after SIGTERM, in milliseconds. */
  readonly closeMs: number;
}

/** Options for {@linkcode Child.start}. */
export interface ChildInit extends ChildSettings {
  readonly clock: Clock;
  /** Takes what the program writes. */
  readonly onStdout: (chunk: Uint8Array) => void;
  readonly onStderr: (chunk: Uint8Array) => void;
  /** Called once when the process has exited. */
  readonly onGone?: () => void;
  /** Called once when the process has exited and all of its output was delivered. */
  readonly onExit: (error: UpstreamError) => void;
}

/** The most bytes that are written whole or not at all (POSIX, `PIPE_BUF`). */
const MAX_ATOMIC = 4096;

/** The longest wait for the output of a process after its exit, in milliseconds. */
const DRAIN_MS = 1000;

/** Takes the error of a line that a program can't have read. */
type Unsent = (error: UpstreamError) => void;

/** A running child process. */
export class Child {
  readonly #init: ChildInit;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exited = Promise.withResolvers<void>();
  readonly #encoder = new TextEncoder();
  readonly #endOfTurn = new EndOfTurn();
  /** The lines to write together at the end of the turn; `undefined` if none was written yet. */
  #batch: string | undefined;
  /** What to call if the batch can't be written. */
  readonly #batchUnsent: Unsent[] = [];
  /** What to call once it has exited. */
  readonly #unsent: Unsent[] = [];
  #queuedBytes = 0;
  #isOver = false;
  /** Whether the program no longer reads: its exit follows. */
  #isGone = false;
  #closed: Promise<void> | undefined;

  private constructor(init: ChildInit, child: ChildProcessWithoutNullStreams) {
    this.#init = init;
    this.#process = child;
    if (child.pid !== undefined) childGroups.add(child.pid);
    child.stdout.on("data", init.onStdout);
    child.stderr.on("data", init.onStderr);
    // A broken stream is followed by the exit of the process, or by the timeout of a call.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => {});
    child.on("error", () => {});
    child.once("exit", (code, signal) => this.#onExit(code, signal));
  }

  /**
   * Starts a program, never through a shell.
   *
   * @throws {UpstreamError} If it can't be started
   */
  static async start(init: ChildInit): Promise<Child> {
    const { command, args, env, cwd } = init;
    try {
      const child = spawn(command, [...args], {
        cwd,
        env: childEnv(env),
        shell: false,
        detached: HAS_GROUPS,
        windowsHide: true,
        stdio: ["pipe", "pipe", "pipe"],
      });
      if (child.pid === undefined) {
        throw await new Promise((resolve) => child.once("error", resolve));
      }
      return new Child(init, child);
    } catch (error) {
      const { code } = error as { code?: unknown }; // `spawn` throws objects only
      const known = typeof code === "string" ? { code } : {};
      const problem = await startProblem(init);
      const advice = problem?.advice ??
        `Correct this program, or the interpreter in its first line: ${quote(command)}`;
      throw new UpstreamError("refused", { advice, ...known });
    }
  }

  /** The process id, which is also the id of its process group. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * Writes a line to stdin.
   *
   * @param unsent Called once the program has exited if it can't have read any of the line
   * @throws {McpError} If `maxQueueBytes` wait already
   * @throws {UpstreamError} If the process has exited
   */
  write(line: string, unsent?: Unsent): void {
    if (this.#isOver || this.#closed !== undefined) {
      throw new UpstreamError("closed", { unsent: true });
    }
    // Its exit, which follows, says why.
    if (this.#isGone) return void (unsent && this.#unsent.push(unsent));
    if (this.#queuedBytes > this.#init.maxQueueBytes) {
      throw new McpError(ErrorCode.Refused, "Call again later: the upstream doesn't read");
    }
    if (this.#batch !== undefined) {
      this.#batch += `${line}\n`;
      if (unsent !== undefined) this.#batchUnsent.push(unsent);
      this.#queuedBytes += line.length + 1;
      return;
    }
    // The first line of a turn is written at once, later ones together: a write costs more than a call.
    this.#batch = "";
    this.#endOfTurn.defer(() => this.#flush());
    this.#write(`${line}\n`, unsent);
  }

  #flush(): void {
    const lines = this.#batch ?? "";
    const unsent = this.#batchUnsent.splice(0);
    this.#batch = undefined;
    if (lines === "") return;
    this.#queuedBytes -= lines.length;
    if (this.#isOver || this.#isGone) return void this.#unsent.push(...unsent);
    this.#write(lines, (error) => unsent.forEach((each) => each(error)));
  }

  #write(lines: string, unsent?: Unsent): void {
    const bytes = this.#encoder.encode(lines);
    this.#queuedBytes += bytes.length;
    this.#process.stdin.write(bytes, (error) => {
      this.#queuedBytes -= bytes.length;
      if (!error) return;
      // Nothing that is written later reaches it either.
      this.#isGone = true;
      // A longer text is written in parts, of which the program may have read some.
      if (bytes.length <= MAX_ATOMIC && unsent !== undefined) this.#unsent.push(unsent);
      this.#unsent.push(...this.#batchUnsent.splice(0));
    });
  }

  /**
   * Ends the process: closes its stdin, then sends SIGTERM and then SIGKILL to its process group. Safe
   * to call twice.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#flush();
    this.#process.stdin.end();
    if (await this.#exitsWithin(this.#init.closeMs)) return;
    this.#kill("SIGTERM");
    if (await this.#exitsWithin(this.#init.closeMs)) return;
    this.#kill("SIGKILL");
    await this.#exitsWithin(DRAIN_MS);
  }

  #kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#isOver) return;
    if (HAS_GROUPS) killGroup(this.pid, signal);
    else this.#process.kill(signal);
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    if (this.#isOver) return true;
    const { signal, clear } = deadline(this.#init.clock, ms);
    await abortable(this.#exited.promise, signal).catch(() => {});
    clear();
    return this.#isOver;
  }

  #onExit(code: number | null, signal: string | null): void {
    this.#isOver = true;
    // Kills the child's own children, which may keep its output streams open.
    childGroups.remove(this.pid);
    this.#exited.resolve();
    this.#init.onGone?.();
    const detail = signal === null ? `it exited with ${code}` : `it was ended by ${signal}`;
    const finish = () => {
      stopTimer();
      this.#process.off("close", finish);
      this.#process.stdout.destroy();
      this.#process.stderr.destroy();
      const isUnsent = this.#unsent.length > 0;
      for (const each of this.#unsent.splice(0)) {
        each(new UpstreamError("closed", { detail, unsent: true }));
      }
      const end = () => this.#init.onExit(new UpstreamError("closed", { detail }));
      // Calls that were not sent are told apart from those that fail with the connection.
      if (isUnsent) setTimeout(end, 0);
      else end();
    };
    const stopTimer = this.#init.clock.timer(DRAIN_MS, finish);
    this.#process.once("close", finish);
  }
}
