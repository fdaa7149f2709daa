/**
 * Runs a program in several processes that share one port, so that it uses all cores: starts them, starts
 * again the ones that die, passes signals on, and ends with the last of them.
 *
 * On Node and Bun the processes are workers of `node:cluster`; on Deno they run the same command line, and
 * the system spreads connections (`SO_REUSEPORT`).
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import cluster from "node:cluster";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import process from "node:process";
import { isMainThread } from "node:worker_threads";
import type { Clock } from "../internal/clock.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { bareHostname } from "./serve_options.ts";

/** The variable that tells a process which one of its group it is. */
const VARIABLE = "MOORING_PROCESS";
/** What a process sends when it serves. */
const READY = "mooring-ready";

/** The delay before a process that died is started again, which doubles up to the longest. */
const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** The time after which a process that serves has no failures any more, in milliseconds. */
export const STEADY_MS = 60_000;
/** The starts in a row that may fail before the group ends. */
const MOST_FAILURES = 6;
/** The time that the other processes have to end then, in milliseconds. */
const STOP_MS = 10_000;

/** Returns the delay before what has died so many times in a row is started again, in milliseconds. */
export function restartDelayMs(failures: number): number {
  return Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1));
}

/** A process of a group, as itself. */
export interface GroupMember {
  /** Its number, from 1 on. */
  readonly index: number;
  /** The number of processes. */
  readonly count: number;
  /** The port that they share. */
  readonly port: number;
  /** Whatever else its group has told it. */
  readonly data: JsonObject;
}

/** Returns which process of a group this one is; `undefined` if it was not started by one. */
export function groupMember(env: Readonly<Record<string, string | undefined>>):
  | GroupMember
  | undefined {
  const text = env[VARIABLE];
  if (text === undefined) return undefined;
  const told: unknown = JSON.parse(text);
  // Programs that a member starts may have its variables.
  if (!isObject(told) || told.parent !== process.ppid) return undefined;
  const { index, count, port, data } = told;
  if (typeof index !== "number" || typeof count !== "number" || typeof port !== "number") {
    return undefined;
  }
  return { index, count, port, data: isObject(data) ? data : {} };
}

/** Tells the group of this process that it serves. */
export function memberReady(): void {
  process.send?.(READY);
}

/** Lets this process end by itself: the connection to its group would keep it alive. */
export function memberDone(): void {
  // Not the process's own disconnect(), which Node takes for the death of the group.
  if (cluster.worker?.isConnected() === true) cluster.worker.disconnect();
}

/** Calls a function when the process that started the group of this one is gone, however that ended. */
export function onGroupGone(listener: () => void): void {
  // The runtimes' own listener ends the process.
  process.prependListener("disconnect", listener);
}

/** Why the members of a group can't be started here; `undefined` if they can. */
export function groupObstacle(): string | undefined {
  if (!isMainThread) return "this is a thread of another process";
  if ("Bun" in globalThis && process.platform !== "linux") {
    return "Bun shares a port between processes only on Linux";
  }
  if (process.argv[1] === undefined) return "there is no main module to run again";
  if (cluster.isWorker || Object.keys(cluster.workers ?? {}).length > 0) {
    return "this program has processes of its own already";
  }
  return undefined;
}

/**
 * Returns a port that can be listened on: the given one, or a free one for 0. Processes that share a port
 * would share it with another program's too, and nobody would be told.
 *
 * @throws {Error} The error of the system if the port is in use
 */
export async function freePort(hostname: string, port: number): Promise<number> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  server.listen(port, bareHostname(hostname), resolve);
  await promise;
  const address = server.address();
  await new Promise((closed) => server.close(closed));
  return typeof address === "object" && address !== null ? address.port : port;
}

/** A process that was started. */
export interface StartedProcess {
  readonly pid: number | undefined;
  signal(name: "SIGTERM" | "SIGHUP" | "SIGKILL"): void;
}

/** What is heard of a process. */
export interface ProcessListener {
  readonly ready: () => void;
  readonly ended: (how: string) => void;
}

/** Starts the process with a number. */
export type StartProcess = (index: number, listener: ProcessListener) => StartedProcess;

/** Options for {@linkcode ProcessGroup}. */
export interface ProcessGroupInit {
  /** The number of processes. */
  readonly count: number;
  readonly start: StartProcess;
  readonly clock: Clock;
  /** Called when a process that served has died, and is started again after a time. */
  readonly died: (index: number, how: string, delayMs: number) => void;
}

interface Member {
  readonly index: number;
  process: StartedProcess | undefined;
  /** Who waits for it to serve for the first time. */
  begun: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  /** Since when it serves; `undefined` if it doesn't yet. */
  readyAt: number | undefined;
  failures: number;
  stopTimer: (() => void) | undefined;
}

/** Processes that do the same work. */
export class ProcessGroup {
  /** Resolves when no process is left, with how those ended that failed. Never rejects. */
  readonly finished: Promise<readonly string[]>;
  readonly #init: ProcessGroupInit;
  readonly #members: readonly Member[];
  readonly #finish: (failures: readonly string[]) => void;
  readonly #failures: string[] = [];
  #stopping = false;

  /** Creates a group; nothing is started yet. */
  constructor(init: ProcessGroupInit) {
    this.#init = init;
    this.#members = Array.from({ length: init.count }, (_, i): Member => ({
      index: i + 1,
      process: undefined,
      begun: undefined,
      readyAt: undefined,
      failures: 0,
      stopTimer: undefined,
    }));
    const { promise, resolve } = Promise.withResolvers<readonly string[]>();
    this.finished = promise;
    this.#finish = resolve;
  }

  /**
   * Starts the first process and, when that serves, the others. Resolves when all serve.
   *
   * @throws {Error} If one ends before it serves; its own output says why. All have ended then
   */
  async start(): Promise<void> {
    const [first, ...others] = this.#members;
    try {
      if (first !== undefined) await this.#begin(first);
      await Promise.all(others.map((member) => this.#begin(member)));
    } catch (error) {
      await this.stop(0);
      throw error;
    }
  }

  /** Passes a signal on to every process. */
  signal(name: Parameters<StartedProcess["signal"]>[0]): void {
    for (const { process } of this.#members) process?.signal(name);
  }

  /**
   * Tells every process to end, and kills what is left after a time. Safe to call twice.
   *
   * @param ms The time that they have, in milliseconds
   */
  async stop(ms: number): Promise<void> {
    this.#stopping = true;
    for (const member of this.#members) {
      member.stopTimer?.();
      member.stopTimer = undefined;
    }
    this.signal("SIGTERM");
    const stopTimer = this.#init.clock.timer(ms, () => this.signal("SIGKILL"));
    this.#finishIfEmpty();
    await this.finished;
    stopTimer();
  }

  #begin(member: Member): Promise<void> {
    return new Promise((resolve, reject) => {
      member.begun = { resolve, reject };
      this.#start(member);
    });
  }

  #start(member: Member): void {
    if (this.#stopping) return member.begun?.reject(new Error("Stopped before it could start"));
    member.process = this.#init.start(member.index, {
      ready: () => {
        member.readyAt = this.#init.clock.now();
        member.begun?.resolve();
        member.begun = undefined;
      },
      ended: (how) => this.#ended(member, how),
    });
  }

  #ended(member: Member, how: string): void {
    const { clock, died } = this.#init;
    const { begun, readyAt } = member;
    member.process = member.readyAt = member.begun = undefined;
    const failure = `Process ${member.index}: ${how}`;
    begun?.reject(new Error(failure));
    if (this.#stopping) {
      if (how !== "code 0") this.#failures.push(failure);
      return this.#finishIfEmpty();
    }
    // Whoever waits for it stops the group.
    if (begun !== undefined) return;
    const steady = readyAt !== undefined && clock.now() - readyAt >= STEADY_MS;
    member.failures = steady ? 1 : member.failures + 1;
    if (readyAt === undefined && member.failures >= MOST_FAILURES) {
      this.#failures.push(failure);
      return void this.stop(STOP_MS);
    }
    const delayMs = restartDelayMs(member.failures);
    died(member.index, how, delayMs);
    member.stopTimer = clock.timer(delayMs, () => {
      member.stopTimer = undefined;
      this.#start(member);
    });
  }

  #finishIfEmpty(): void {
    if (!this.#stopping || this.#members.some(({ process }) => process !== undefined)) return;
    this.#finish(this.#failures);
  }
}

/** What the members of a group are told. */
export interface GroupFacts {
  readonly count: number;
  readonly port: number;
  readonly data?: JsonObject;
}

/**
 * Returns what starts a process of a group: the main module of this one, with the same arguments.
 *
 * @throws {TypeError} If it can't be run again here
 */
export function processStarter({ count, port, data = {} }: GroupFacts): StartProcess {
  const obstacle = groupObstacle();
  if (obstacle !== undefined) throw new TypeError(`Start one process only: ${obstacle}`);
  const variables = (index: number) => ({
    [VARIABLE]: JSON.stringify({ parent: process.pid, index, count, port, data }),
  });
  const start = "Deno" in globalThis ? ownCommandStarter() : startWorker;
  return (index, { ready, ended }) => {
    const child = start(variables(index));
    const { promise, resolve } = Promise.withResolvers<string>();
    child.on("message", (message: unknown) => message === READY && ready());
    child.once("error", (error) => resolve(error.message));
    child.once("exit", (code, signal) => resolve(signal ?? `code ${code}`));
    void promise.then(ended);
    return {
      pid: child.pid,
      signal(name) {
        // Not the child's own kill(): under Deno that reports the signal as the child's end.
        if (child.pid === undefined || child.exitCode !== null) return;
        try {
          process.kill(child.pid, name);
        } catch {
          // It has ended meanwhile.
        }
      },
    };
  };
}

function startWorker(variables: Readonly<Record<string, string>>): ChildProcess {
  cluster.setupPrimary({ exec: process.argv[1], args: process.argv.slice(2) });
  return cluster.fork(variables).process;
}

/** Returns what runs this process's own command line, with all of Deno's flags: only Linux tells it. */
function ownCommandStarter(): typeof startWorker {
  let line: string[];
  try {
    line = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  } catch (cause) {
    throw new TypeError("Start one process only: Deno starts more only on Linux", { cause });
  }
  const [, ...args] = line;
  return (variables) =>
    spawn(process.execPath, args, {
      env: { ...process.env, ...variables },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
}
