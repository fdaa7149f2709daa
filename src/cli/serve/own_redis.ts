/**
 * Starts a Redis for the processes of one command, on a socket file that only its user reaches, and stops
 * it with the command.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { access, chmod, constants, mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { Clock } from "../../../mod.ts";
import { restartDelayMs, STEADY_MS } from "../../kit_node.ts";
import { CliError, messageOf } from "../errors.ts";
import type { Env } from "../config/env.ts";
import type { Log } from "../log.ts";

/** The programs that can be started, the first that is found. */
const PROGRAMS = ["redis-server", "valkey-server"] as const;
/** The bytes that the path of a socket file may have on every system. */
const MOST_PATH = 103;
/** The time for a Redis to answer after its start, in milliseconds: it may read a file first. */
const START_MS = 30_000;
const TRY_MS = 25;
/** The time for the Redis of an earlier command to end, in milliseconds. */
const LEFT_MS = 10_000;
/** The time for it to write its file at the end, in milliseconds. */
const STOP_MS = 10_000;
/** The characters of its output that are kept for an error. */
const MOST_OUTPUT = 2_000;

/** Options for {@linkcode startOwnRedis}. */
export interface OwnRedisInit {
  readonly env: Env;
  readonly log: Log;
  readonly clock: Clock;
  /**
   * The folder of its socket and its data, which are kept. Without it the data is in memory, and the folder
   * a new one that is deleted at the end.
   */
  readonly folder?: string | undefined;
}

/** A Redis that runs. */
export interface RunningRedis {
  /** The folder of its socket and its data. */
  readonly folder: string;
  /** The socket file. */
  readonly path: string;
  /** Whether its data is kept. */
  readonly isKept: boolean;
  /** Stops it. Safe to call twice. */
  stop(): Promise<void>;
}

/**
 * Starts a `redis-server` or a `valkey-server`. One that dies is started again, with the same data if that is
 * kept.
 *
 * @throws {CliError} If neither program is there, or it doesn't start
 */
export async function startOwnRedis(
  { env, log, clock, folder }: OwnRedisInit,
): Promise<RunningRedis> {
  const program = await findProgram(env);
  const own = folder ?? await mkdtemp(join(tmpdir(), "mooring-"));
  if (folder !== undefined) await makeFolder(folder);
  const redis = new OwnRedisServer(program, own, folder !== undefined, log, clock);
  try {
    await chmod(own, 0o700);
    await redis.start();
  } catch (error) {
    await redis.stop();
    throw error instanceof CliError ? error : new CliError(messageOf(error));
  }
  return redis;
}

/** @throws {CliError} If it can't be made */
async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const message = `Give a folder that can be written as --data: ${messageOf(cause)}`;
    throw new CliError(message, undefined, { cause });
  }
}

/** Asks the Redis of a folder to end, at once: for a process that has no time to wait. */
export function endOwnRedis(folder: string): void {
  try {
    process.kill(Number(readFileSync(pidFile(folder), "utf8")), "SIGTERM");
  } catch {
    // It has ended already.
  }
}

/** @throws {CliError} If there is none */
async function findProgram(env: Env): Promise<string> {
  for (const folder of (env["PATH"] ?? "").split(delimiter).filter((part) => part !== "")) {
    for (const name of PROGRAMS) {
      const path = join(folder, name);
      if (await access(path, constants.X_OK).then(() => true, () => false)) return path;
    }
  }
  throw new CliError(
    "Install redis-server or valkey-server, such as with apt install redis-server, or name a Redis " +
      "with --redis URL: processes share sessions there",
  );
}

class OwnRedisServer implements RunningRedis {
  readonly folder: string;
  readonly path: string;
  readonly isKept: boolean;
  readonly #program: string;
  readonly #log: Log;
  readonly #clock: Clock;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #output = "";
  /** How often it has died soon after its start, in a row. */
  #deaths = 0;
  #startedAt = 0;
  #stopTimer: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(program: string, folder: string, isKept: boolean, log: Log, clock: Clock) {
    this.#program = program;
    this.folder = folder;
    this.path = join(folder, "redis.sock");
    this.isKept = isKept;
    this.#log = log;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    if (new TextEncoder().encode(this.path).length > MOST_PATH) {
      throw new CliError(`Choose a folder with a shorter path, for its socket: ${this.folder}`);
    }
    // That of a command that was killed ends soon.
    for (let left = LEFT_MS / TRY_MS; await answers(this.path); left--) {
      if (left <= 0) {
        const what = "End the other process that uses this folder, or give another one as --data";
        throw new CliError(`${what}: ${this.folder}`);
      }
      await new Promise<void>((resolve) => void setTimeout(resolve, TRY_MS));
    }
    this.#spawn();
    await this.#answered();
    void this.#ended.then(() => this.#died());
  }

  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#stopTimer?.();
    const child = this.#child;
    if (child?.pid !== undefined && child.exitCode === null && child.signalCode === null) {
      signal(child.pid, "SIGTERM");
      const timer = setTimeout(() => signal(child.pid, "SIGKILL"), STOP_MS);
      await this.#ended;
      clearTimeout(timer);
    }
    if (!this.isKept) await rm(this.folder, { recursive: true, force: true });
  }

  #spawn(): void {
    this.#startedAt = this.#clock.now();
    const options: Readonly<Record<string, string>> = {
      port: "0",
      unixsocket: this.path,
      unixsocketperm: "700",
      dir: this.folder,
      pidfile: pidFile(this.folder),
      // What is kept is in the file that is appended to.
      save: "",
      appendonly: this.isKept ? "yes" : "no",
      daemonize: "no",
      loglevel: "warning",
    };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    // In a group of its own: Ctrl-C in a terminal must not end it before the processes that use it.
    const child = spawn(this.#program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"] });
    const take = (text: string) => this.#output = (this.#output + text).slice(-MOST_OUTPUT);
    this.#output = "";
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
    this.#ended = new Promise((resolve) => {
      child.once("error", (error) => {
        take(error.message);
        resolve();
      });
      child.once("exit", () => resolve());
    });
    this.#child = child;
    this.#log("info", "redis-started", {
      program: this.#program,
      pid: child.pid,
      folder: this.folder,
    });
  }

  /** @throws {CliError} If it ends before it answers, or doesn't answer in time */
  async #answered(): Promise<void> {
    let ended = false;
    void this.#ended.then(() => ended = true);
    for (let left = START_MS / TRY_MS; left > 0 && !ended; left--) {
      if (await answers(this.path)) return;
      await new Promise<void>((resolve) => void setTimeout(resolve, TRY_MS));
    }
    const said = this.#output.trim().split("\n").slice(-3).join(" ");
    throw new CliError(`Check ${this.#program}, which doesn't start: ${said}`);
  }

  #died(): void {
    if (this.#stopped !== undefined) return;
    const steady = this.#clock.now() - this.#startedAt >= STEADY_MS;
    this.#deaths = steady ? 1 : this.#deaths + 1;
    const delayMs = restartDelayMs(this.#deaths);
    const message = this.isKept
      ? "Redis died: starting it again with its data"
      : "Redis died, and all sessions with it: starting it again";
    this.#log("error", "redis-died", { message, delayMs });
    this.#stopTimer = this.#clock.timer(delayMs, () => {
      this.#spawn();
      void this.#ended.then(() => this.#died());
    });
  }
}

function pidFile(folder: string): string {
  return join(folder, "redis.pid");
}

function signal(pid: number | undefined, name: "SIGTERM" | "SIGKILL"): void {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Whether a Redis answers on a socket file. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const finish = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("connect", () => socket.write("PING\r\n"));
    socket.on("data", (bytes) => finish(bytes.toString().startsWith("+PONG")));
  });
}
