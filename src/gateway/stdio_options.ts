/**
 * The options of an upstream that is a program.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { identityOf } from "./identity.ts";
import {
  checkSessionOptions,
  type SessionOptions,
  type SessionSettings,
  timeout,
} from "./peer_session.ts";

/** Options for {@linkcode stdio}. */
export interface StdioOptions extends SessionOptions {
  /** The program: a path, or a name that is looked up in `PATH`. It is never given to a shell. */
  readonly command: string;
  /** Its arguments, each as it is. */
  readonly args?: readonly string[];
  /**
   * Environment variables, besides the few that every program gets, such as `PATH`, `HOME` and `LANG`.
   * Nothing else of the gateway's own environment is handed on.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** The folder that it runs in; the gateway's own when left out. */
  readonly cwd?: string;
  /**
   * How many bytes may wait for the program to read them. Calls beyond that fail.
   *
   * @default {4194304}
   */
  readonly maxQueueBytes?: number;
  /**
   * How long it has to end when its stdin does, and once more after SIGTERM, before it is killed, in
   * milliseconds.
   *
   * @default {2000}
   */
  readonly closeMs?: number;
}

/** {@linkcode StdioOptions}, checked. */
export interface StdioSettings extends SessionSettings {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly maxQueueBytes: number;
  readonly closeMs: number;
  readonly identity: string;
}

/**
 * Checks options and keeps what they say now, whatever happens to the object.
 *
 * @throws {TypeError} If one is of the wrong kind
 * @throws {RangeError} If a number is out of range
 */
export function checkStdioOptions(options: StdioOptions): StdioSettings {
  const { command, cwd } = options;
  const args = [...options.args ?? []];
  const env = { ...options.env };
  if (!isText(command) || command === "") {
    throw new TypeError(`Give a program as "command": ${typeof command}`);
  }
  if (!args.every(isText)) throw new TypeError('Give texts as "args"');
  if (cwd !== undefined && (!isText(cwd) || cwd === "")) {
    throw new TypeError(`Give a folder as "cwd": ${typeof cwd}`);
  }
  for (const [name, value] of Object.entries(env)) {
    // The value is in no message: it may be a secret.
    if (!/^[^=\0]+$/.test(name) || !isText(value)) {
      throw new TypeError(`Give names and texts as "env": ${name}`);
    }
  }
  const queue = integerOption("maxQueueBytes", options.maxQueueBytes, 4_194_304);
  const closeMs = timeout("closeMs", options.closeMs, 2000);
  const own = { command, args, env, cwd, maxQueueBytes: queue, closeMs };
  const session = checkSessionOptions(options);
  return { ...session, ...own, identity: identityOf("stdio", [own, session]) };
}

/** Whether a value is a text that the system can take. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}
