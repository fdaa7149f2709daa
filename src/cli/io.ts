/**
 * Gives the command its environment, its output and its signals.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import type { Env } from "./config/env.ts";
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
  /** Opens a page in the user's browser, if there may be one. */
  openUrl?(url: URL): void;
  /** Returns the terminal for a program that fills it; `undefined` if stdin or stdout is none. */
  openTerminal?(): Terminal | undefined;
}

/** A terminal that a program fills. */
export interface Terminal {
  /** Takes the screen, and the keys. */
  begin(listeners: {
    readonly onKeys: (keys: readonly string[]) => void;
    readonly onResize: () => void;
  }): void;
  /** Returns the number of columns and lines. */
  size(): { readonly columns: number; readonly rows: number };
  /** Replaces what is on the screen. */
  draw(lines: readonly string[]): void;
  /** Gives the screen and the keys back. Safe to call twice. */
  end(): void;
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
    openUrl(url) {
      if (terminal) openBrowser(url);
    },
    openTerminal: () =>
      process.stdin.isTTY === true && stdout.isTTY === true ? processTerminal(redact) : undefined,
  };
}

/** The programs that open a page, by the operating system: no shell sees the URL. */
const OPENERS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  darwin: ["open"],
  win32: ["rundll32", "url.dll,FileProtocolHandler"],
};

/** Opens a page. Without a browser nothing happens: the URL is shown, too. */
function openBrowser({ href }: URL): void {
  const [program, ...args] = OPENERS[process.platform] ?? ["xdg-open"];
  const child = spawn(program, [...args, href], { stdio: "ignore", detached: true });
  child.on("error", () => {});
  child.unref();
}

/** Returns the terminal of this process. */
function processTerminal(redact: Redact): Terminal {
  const { stdin, stdout } = process;
  let onKeys: ((text: string) => void) | undefined;
  let onResize: (() => void) | undefined;
  const write = (text: string): void => {
    // A terminal that doesn't read gets fewer screens.
    if (stdout.writableLength <= MAX_BUFFERED) stdout.write(text);
  };
  const end = (): void => {
    if (onKeys === undefined || onResize === undefined) return;
    stdin.off("data", onKeys);
    stdout.off("resize", onResize);
    onKeys = onResize = undefined;
    stdin.setRawMode(false);
    stdin.pause();
    // Shows the cursor, and what was on the screen before
    stdout.write("\x1b[?25h\x1b[?1049l");
  };
  return {
    begin(listeners) {
      onKeys = (text) => listeners.onKeys(splitKeys(text));
      onResize = listeners.onResize;
      stdin.setRawMode(true);
      stdin.setEncoding("utf8");
      stdin.on("data", onKeys);
      stdout.on("resize", onResize);
      stdin.resume();
      write("\x1b[?1049h\x1b[?25l");
    },
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    draw(lines) {
      // Lines are written over each other, not erased first: nothing flickers.
      write(`\x1b[H${lines.map((line) => `${redact(line)}\x1b[K`).join("\r\n")}\x1b[J`);
    },
    end,
  };
}

/** Splits what a terminal sent at a time into keys: an escape sequence is one. */
export function splitKeys(text: string): readonly string[] {
  // deno-lint-ignore no-control-regex -- a terminal sends control characters
  return text.match(/\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|[^]/gu) ?? [];
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
