/**
 * Gives the command its environment, its output and its signals.
 *
 * @module
 */
import process from "node:process";
import type { Env } from "./env.ts";
import type { Sink } from "./log.ts";
import { type Redact, Secrets } from "./redact.ts";

/** A signal that the command handles. */
export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** The parts of the process that the command uses. */
export interface Io {
  readonly env: Env;
  /** The secrets that both sinks replace. */
  readonly secrets: Secrets;
  readonly out: Sink;
  readonly err: Sink;
  /** Whether stderr is a terminal. */
  readonly terminal: boolean;
  /** Whether that terminal shows colours. */
  readonly color: boolean;
  /** Calls `listener` on each of the signals, until the returned function is called. */
  onSignal(names: readonly Signal[], listener: () => void): () => void;
}

/** Bytes that may wait to be written to the log. Lines beyond that are dropped. */
const MAX_BUFFERED = 1024 * 1024;

/** Time for the last output to be read, in milliseconds. */
const FLUSH_MS = 2_000;

/** Returns the real process. */
export function processIo(): Io {
  const { env, stdout, stderr } = process;
  const terminal = stderr.isTTY === true;
  const secrets = new Secrets();
  const { redact } = secrets;
  return {
    env,
    secrets,
    out: sinkOf(stdout, redact),
    err: sinkOf(stderr, redact, MAX_BUFFERED),
    terminal,
    color: terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    onSignal(names, listener) {
      for (const name of names) process.on(name, listener);
      return () => {
        for (const name of names) process.off(name, listener);
      };
    },
  };
}

/** Resolves when all output has left the process, or too much time has passed. */
export async function flush(): Promise<void> {
  const { stdout, stderr } = process;
  const { promise, resolve } = Promise.withResolvers<void>();
  const late = setTimeout(resolve, FLUSH_MS);
  let open = 2;
  const done = (): void => void (--open === 0 && resolve());
  for (const stream of [stdout, stderr]) stream.write("", done);
  await promise;
  clearTimeout(late);
}

/** The part of stdout and stderr that is used here. */
interface Writable {
  readonly writableLength: number;
  write(text: string): unknown;
  on(event: "error", listener: () => void): unknown;
}

function sinkOf(stream: Writable, redact: Redact, maxBuffered = Infinity): Sink {
  // A closed pipe must not end the command
  stream.on("error", () => {});
  return {
    write(line): void {
      if (stream.writableLength <= maxBuffered) stream.write(redact(line));
    },
  };
}
