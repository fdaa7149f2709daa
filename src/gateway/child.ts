/**
 * A child process that is spoken to over its standard streams.
 *
 * @module
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Clock } from "../internal/clock.ts";
import { EndOfTurn } from "../internal/end_of_turn.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { childEnv } from "./child_env.ts";
import { childGroups, HAS_GROUPS, killGroup } from "./child_groups.ts";
import type { StdioSettings } from "./stdio_options.ts";
import { UpstreamError } from "./upstream_error.ts";

/** What is started. */
export interface ChildInit extends
  Pick<
    StdioSettings,
    "command" | "args" | "env" | "cwd" | "maxQueueBytes" | "closeMs"
  > {
  readonly clock: Clock;
  /** Takes what it writes. */
  readonly onStdout: (chunk: Uint8Array) => void;
  readonly onStderr: (chunk: Uint8Array) => void;
  /** Told once when it has ended, and everything that it wrote has been taken. */
  readonly onExit: (error: UpstreamError) => void;
}

/** How long what a child has written may take to arrive after its end, in milliseconds. */
const DRAIN_MS = 1000;

/** A running child process. */
export class Child {
  readonly #init: ChildInit;
  readonly #process: ChildProcessWithoutNullStreams;
  readonly #exited = Promise.withResolvers<void>();
  readonly #encoder = new TextEncoder();
  readonly #endOfTurn = new EndOfTurn();
  /** Lines that are written together when this turn ends; `undefined` when nothing waits for that. */
  #together: string | undefined;
  #queuedBytes = 0;
  #isOver = false;
  #closed: Promise<void> | undefined;

  private constructor(init: ChildInit, child: ChildProcessWithoutNullStreams) {
    this.#init = init;
    this.#process = child;
    if (child.pid !== undefined) childGroups.add(child.pid);
    child.stdout.on("data", init.onStdout);
    child.stderr.on("data", init.onStderr);
    // A stream that breaks is followed by the child's end, or by a call that isn't answered.
    for (const stream of [child.stdin, child.stdout, child.stderr]) stream.on("error", () => {});
    child.on("error", () => {});
    child.once("exit", (code, signal) => this.#ended(code, signal));
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
      const { code } = error as { code?: unknown }; // whatever was thrown, it is an object
      const known = typeof code === "string" ? { code } : {};
      const detail = "the program, or the folder that it is to run in, can't be used";
      throw new UpstreamError("refused", { detail, ...known });
    }
  }

  /** Its process id, which is also its group's. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /**
   * Writes a line to its stdin.
   *
   * @throws {McpError} If too much waits already for the child to read it
   * @throws {UpstreamError} If the child has ended
   */
  write(line: string): void {
    if (this.#isOver || this.#closed !== undefined) throw new UpstreamError("closed");
    if (this.#queuedBytes > this.#init.maxQueueBytes) {
      throw new McpError(ErrorCode.Refused, "Call again later: the upstream doesn't read");
    }
    if (this.#together !== undefined) {
      this.#together += `${line}\n`;
      this.#queuedBytes += line.length + 1;
      return;
    }
    // The first line goes at once, those that follow in the same turn as one: a write costs more than a call.
    this.#together = "";
    this.#endOfTurn.defer(() => this.#flush());
    this.#write(`${line}\n`);
  }

  #flush(): void {
    const lines = this.#together ?? "";
    this.#together = undefined;
    if (lines === "" || this.#isOver) return;
    this.#queuedBytes -= lines.length;
    this.#write(lines);
  }

  #write(lines: string): void {
    const bytes = this.#encoder.encode(lines);
    this.#queuedBytes += bytes.length;
    this.#process.stdin.write(bytes, () => this.#queuedBytes -= bytes.length);
  }

  /**
   * Ends it: closes its stdin, and if it doesn't go by itself tells its whole group to, and then makes
   * it. Safe to call twice.
   */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#flush();
    this.#process.stdin.end();
    if (await this.#endsWithin(this.#init.closeMs)) return;
    this.#kill("SIGTERM");
    if (await this.#endsWithin(this.#init.closeMs)) return;
    this.#kill("SIGKILL");
    await this.#endsWithin(DRAIN_MS);
  }

  #kill(signal: "SIGTERM" | "SIGKILL"): void {
    if (this.#isOver) return;
    if (HAS_GROUPS) killGroup(this.pid, signal);
    else this.#process.kill(signal);
  }

  async #endsWithin(ms: number): Promise<boolean> {
    if (this.#isOver) return true;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = this.#init.clock.timer(ms, resolve);
    await Promise.race([this.#exited.promise, promise]);
    stop();
    return this.#isOver;
  }

  #ended(code: number | null, signal: string | null): void {
    this.#isOver = true;
    // Frees the streams that the child's own children may still hold.
    childGroups.remove(this.pid);
    this.#exited.resolve();
    const detail = signal === null ? `it exited with ${code}` : `it was ended by ${signal}`;
    const tell = once(() => {
      stop();
      this.#process.stdout.destroy();
      this.#process.stderr.destroy();
      this.#init.onExit(new UpstreamError("closed", { detail }));
    });
    const stop = this.#init.clock.timer(DRAIN_MS, tell);
    this.#process.once("close", tell);
  }
}

function once(callback: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    callback();
  };
}
