/**
 * Runs other programs with a time limit, and kills them when this process ends.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** Options of {@linkcode run} and {@linkcode start}. */
export interface RunOptions {
  /** The working folder. The current one by default. */
  readonly cwd?: string;
  /** Environment variables to add to those of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Milliseconds after which the program is killed with everything that it started. */
  readonly limitMs: number;
  /** Called with each line of output, without its line end. */
  readonly onLine?: (line: string) => void;
  /** Kills the program. */
  readonly signal?: AbortSignal;
}

/** How a program ended. */
export interface Outcome {
  /** Its exit code. -1 when it was killed or could not be started. */
  readonly code: number;
  /** What it wrote to its output and its error output. */
  readonly output: string;
  /** Milliseconds from its start to its end. */
  readonly ms: number;
  /** Whether it was killed at its time limit. */
  readonly late: boolean;
}

/** A program that runs until it is stopped. */
export interface Service {
  /** Resolves when the program has ended. */
  readonly ended: Promise<Outcome>;
  /** Kills it with everything that it started, and waits for its end. Safe to call twice. */
  stop(): Promise<Outcome>;
}

const running = new Set<ChildProcess>();
let guarded = false;

/** Kills all programs when this process ends. */
function guard(): void {
  if (guarded) return;
  guarded = true;
  process.on("exit", () => running.forEach(kill));
  for (const [name, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    process.on(name, () => process.exit(code));
  }
}

/** Runs a program to its end. Never rejects: a program that can't be started has the code -1. */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions,
): Promise<Outcome> {
  return start(command, args, options).ended;
}

/** Starts a program and doesn't wait for its end. */
export function start(command: string, args: readonly string[], options: RunOptions): Service {
  guard();
  const began = performance.now();
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: "1", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    // A process group of its own, so that a kill reaches what the program started, too.
    detached: true,
  });
  running.add(child);
  let output = "";
  let late = false;
  for (const stream of [child.stdout, child.stderr]) {
    const lines = lineSplitter(options.onLine);
    stream.setEncoding("utf8");
    stream.on("data", (text: string) => {
      output += text;
      lines.push(text);
    });
    stream.on("end", lines.end);
  }
  const timer = setTimeout(() => {
    late = true;
    kill(child);
  }, options.limitMs);
  const stop = (): void => kill(child);
  options.signal?.addEventListener("abort", stop, { once: true });
  if (options.signal?.aborted) stop();

  const ended = new Promise<Outcome>((resolve) => {
    const end = (code: number): void => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", stop);
      running.delete(child);
      resolve({ code, output, ms: performance.now() - began, late });
    };
    child.once("error", (error) => {
      output += `${error.message}\n`;
      end(-1);
    });
    // A child that the program left running would keep its output open.
    child.once("exit", () => kill(child));
    child.once("close", (code) => end(code ?? -1));
  });
  return {
    ended,
    stop: () => {
      kill(child);
      return ended;
    },
  };
}

/** Kills a child's whole process group, which may have ended already. */
function kill(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch {
    // Nothing of the group is left.
  }
}

/** Splits text that arrives in pieces into lines. */
function lineSplitter(onLine: ((line: string) => void) | undefined): {
  push(text: string): void;
  end(): void;
} {
  let rest = "";
  return {
    push(text) {
      if (onLine === undefined) return;
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      lines.forEach(onLine);
    },
    end() {
      if (rest !== "") onLine?.(rest);
      rest = "";
    },
  };
}
