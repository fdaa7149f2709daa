/**
 * Reaches an upstream that is a program: starts it for each session, and exchanges one JSON text a
 * line over its standard streams (2025-11-25, Transports, stdio).
 *
 * @module
 */
import { checkNames, delayOption, integerOption, Lines } from "../../kit.ts";
import { withShare } from "../client/common_sessions.ts";
import { EraMemory } from "../client/era_memory.ts";
import { openSession } from "../client/open_session.ts";
import {
  checkSessionOptions,
  type SessionSettings,
  type UpstreamSessionOptions,
} from "../client/session_options.ts";
import { checkShare, type ShareOptions } from "../client/share_options.ts";
import type { Message, Transport } from "../client/transport.ts";
import { parseUpstreamJson } from "../shared/parse_json.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { OpenInit, Upstream } from "../types.ts";
import { Child, type ChildSettings } from "./child.ts";
import { ChildOutput } from "./child_output.ts";
import { identityOf } from "./identity.ts";

/** Options for {@linkcode stdio}. */
export interface StdioUpstreamOptions extends UpstreamSessionOptions, ShareOptions {
  /** The name of the program: a path, or a name to look up in `PATH`. It is never passed to a shell. */
  readonly command: string;
  /** Its arguments, which are passed unchanged. */
  readonly args?: readonly string[];
  /**
   * Adds environment variables to the few that every program gets, such as `PATH`, `HOME` and `LANG`.
   * Nothing else of the gateway's own environment is passed on.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** Sets its working directory; the gateway's own by default. */
  readonly cwd?: string;
  /**
   * Limits the bytes that wait for the program to read them. Calls beyond that fail.
   *
   * @default {4194304}
   */
  readonly maxQueueBytes?: number;
  /**
   * Limits the wait for the program to exit after its stdin ends, and again after SIGTERM, before it
   * is killed, in milliseconds.
   *
   * @default {2000}
   */
  readonly closeMs?: number;
}

/** {@linkcode StdioUpstreamOptions}, checked. */
export interface StdioSettings extends SessionSettings, ChildSettings {
  readonly identity: string;
}

/**
 * Creates an upstream that is a program. Every session gets its own process, which ends with the
 * session, unless the option `share` says otherwise: first its stdin is closed, then its process group gets SIGTERM, then SIGKILL. What it
 * writes to stderr is reported by `upstream-output` events.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { stdio } from "@mooring/mcp/gateway";
 *
 * const files = stdio({ command: "mcp-server-filesystem", args: ["/srv/files"] });
 * console.assert(files.kind === "stdio");
 * ```
 */
export function stdio(options: StdioUpstreamOptions): Upstream {
  checkNames("stdio()", options, {
    versions: true,
    timeoutMs: true,
    probeTimeoutMs: true,
    longCalls: true,
    command: true,
    args: true,
    env: true,
    cwd: true,
    maxQueueBytes: true,
    closeMs: true,
    share: true,
    shareLimits: true,
  });
  const settings = checkStdioOptions(options);
  const share = checkShare("stdio()", options);
  const eras = new EraMemory();
  return withShare({
    kind: "stdio",
    identity: settings.identity,
    longCalls: () => settings.longCalls,
    open: (init) =>
      eras.open({
        ...settings,
        ...init,
        async attempt(versions, onSilent) {
          init.signal.throwIfAborted();
          const transport = await StdioTransport.start(settings, init);
          return await openSession(transport, init, { ...settings, versions, onSilent });
        },
      }),
  }, share);
}

/**
 * Checks options and copies them, so that later changes to the object have no effect.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function checkStdioOptions(options: StdioUpstreamOptions): StdioSettings {
  const { command, cwd } = options;
  const args = [...options.args ?? []];
  const env = { ...options.env };
  if (!isText(command) || command === "") {
    throw new TypeError(`Give a program as "command": ${typeof command}`);
  }
  if (!args.every(isText)) throw new TypeError('Give an array of strings as "args"');
  if (cwd !== undefined && (!isText(cwd) || cwd === "")) {
    throw new TypeError(`Give a folder as "cwd": ${typeof cwd}`);
  }
  for (const [name, value] of Object.entries(env)) {
    // The message omits the value, which may be a secret.
    if (!/^[^=\0]+$/.test(name) || !isText(value)) {
      throw new TypeError(`Give names and strings as "env": ${name}`);
    }
  }
  const maxQueueBytes = integerOption("maxQueueBytes", options.maxQueueBytes, 4_194_304);
  const closeMs = delayOption("closeMs", options.closeMs, 2000);
  const child: ChildSettings = { command, args, env, cwd, maxQueueBytes, closeMs };
  const session = checkSessionOptions(options);
  return { ...session, ...child, identity: identityOf("stdio", [child, session]) };
}

/** Tells whether a value is a text that the system accepts. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

/** The most bytes of a message. */
const MAX_BYTES = 16 * 1024 * 1024;

/** Carries the messages of one session over the standard streams of its process. */
class StdioTransport implements Transport {
  onmessage: Transport["onmessage"];
  onclose: Transport["onclose"];
  onunsent: Transport["onunsent"];
  readonly singleStream = true;
  readonly #lines = new Lines({ maxBytes: MAX_BYTES });
  // A line that isn't UTF-8 isn't a message: bad bytes must not be replaced.
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #output: ChildOutput;
  #child: Child | undefined;
  #isOver = false;

  private constructor(init: OpenInit) {
    this.#output = new ChildOutput(init);
  }

  /**
   * Starts the program.
   *
   * @throws {UpstreamError} If it can't be started
   * @throws {Error} If too many programs run
   * @throws {AbortSignal["reason"]} If `init.signal` aborts before
   */
  static async start(settings: StdioSettings, init: OpenInit): Promise<StdioTransport> {
    const transport = new StdioTransport(init);
    const release = await init.takeProgram?.() ?? (() => {});
    try {
      init.signal.throwIfAborted();
      transport.#child = await Child.start({
        ...settings,
        clock: init.clock,
        onStdout: (chunk) => transport.#receive(chunk),
        onStderr: (chunk) => transport.#output.push(chunk),
        onGone: release,
        onExit: (error) => transport.#end(error),
      });
    } catch (error) {
      release();
      throw error;
    }
    return transport;
  }

  send(message: Message): void {
    // JSON escapes line feeds, so a message is one line.
    const isRequest = "method" in message && "id" in message;
    const unsent = isRequest
      ? (error: UpstreamError) => this.onunsent?.(message.id, error)
      : undefined;
    this.#child?.write(JSON.stringify(message), unsent);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#child?.close();
  }

  #receive(chunk: Uint8Array): void {
    if (this.#isOver) return;
    try {
      for (const line of this.#lines.push(chunk)) this.#receiveLine(line);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#end(new UpstreamError("protocol", { detail: "a line over 16 MiB" }));
    }
  }

  #receiveLine(line: Uint8Array): void {
    const message = this.#parse(line);
    if (message !== undefined) this.onmessage?.(message);
    // Some programs print logs to stdout.
    else this.#output.addLine(line);
  }

  #parse(line: Uint8Array): unknown {
    try {
      return parseUpstreamJson(this.#decoder.decode(line));
    } catch {
      return undefined;
    }
  }

  #end(error: UpstreamError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onclose?.(error);
  }
}
