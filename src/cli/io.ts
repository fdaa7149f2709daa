/**
 * The process that the command runs in, as far as the command has to do with it.
 *
 * @module
 */
import process from "node:process";
import type { Env } from "./env.ts";
import type { Sink } from "./log.ts";
import { type Redact, Secrets } from "./redact.ts";

/** A signal that the command listens to. */
export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** What the command reads and writes. */
export interface Io {
  readonly env: Env;
  /** What must not be written. Both sinks keep to it. */
  readonly secrets: Secrets;
  readonly out: Sink;
  readonly err: Sink;
  /** Whether the log is read on a terminal. */
  readonly terminal: boolean;
  /** Whether that terminal wants colours. */
  readonly color: boolean;
  /** Calls `heard` on each of the signals, until the returned function is called. */
  onSignal(names: readonly Signal[], heard: () => void): () => void;
}

/** How much may wait to be written, in bytes: where nobody reads the log, it isn't kept. */
const MOST_WAITING = 1024 * 1024;

/** How long a reader may take for what was written last, in milliseconds. */
const FLUSH_MS = 2_000;

/** The process as it is. */
export function processIo(): Io {
  const { env, stdout, stderr } = process;
  const terminal = stderr.isTTY === true;
  const secrets = new Secrets();
  const { redact } = secrets;
  return {
    env,
    secrets,
    out: sinkOf(stdout, redact),
    err: sinkOf(stderr, redact, MOST_WAITING),
    terminal,
    color: terminal && !env["NO_COLOR"] && env["TERM"] !== "dumb",
    onSignal(names, heard) {
      for (const name of names) process.on(name, heard);
      return () => {
        for (const name of names) process.off(name, heard);
      };
    },
  };
}

/** Resolves when everything that was written has left the process. */
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

/** The part of a stream of the process that is used here. */
interface Writable {
  readonly writableLength: number;
  write(text: string): unknown;
  on(event: "error", heard: () => void): unknown;
}

function sinkOf(stream: Writable, redact: Redact, mostWaiting = Infinity): Sink {
  // A reader that went away is no reason to fail.
  stream.on("error", () => {});
  return {
    write(line): void {
      if (stream.writableLength <= mostWaiting) stream.write(redact(line));
    },
  };
}
