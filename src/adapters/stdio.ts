/**
 * Serves MCP over the pipes of this process, for clients that start their servers as programs.
 *
 * ```ts ignore
 * import { McpServer } from "@mooring/mcp";
 * import { serveStdio } from "@mooring/mcp/stdio";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("hello", { description: "Greets." }, () => "Hello!");
 * serveStdio(server);
 * ```
 *
 * @module
 */
import { checkNames, type NamesOf } from "../internal/known_names.ts";
import process from "node:process";
import { makeEndpoint } from "../handler/handler.ts";
import { checkOptionNames, OPTION_NAMES, type OptionNames } from "../handler/option_names.ts";
import type { HandlerLimits, McpHandlerOptions, StreamOptions } from "../handler/types.ts";
import { integerOption } from "../internal/check.ts";
import { systemClock } from "../internal/clock.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import { ANONYMOUS, type Dispatcher, type Principal } from "../protocol/exchange.ts";
import { copyPrincipal } from "../sessions/owner.ts";
import { errorLogFor, type LogOptions } from "./error_log.ts";
import { onSignals } from "./running_server.ts";
import { StdioConnection } from "./stdio_connection.ts";
import { processInput, processOutput, redirectPrints } from "./stdio_process.ts";
import { onStopSignals } from "./stop_signals.ts";

export type { LogOptions } from "./error_log.ts";

/** The grace period when the input ends: official clients wait for 2 seconds, and then send SIGTERM. */
const GRACE_MS = 1_500;
/** The maximum number of open `subscriptions/listen` requests. */
const LISTENS = 50;
/** The time after which the process ends although something keeps it alive, in milliseconds. */
const EXIT_MS = 1_000;

/** The limits of a server on pipes. */
export interface StdioLimits extends
  Pick<
    HandlerLimits,
    | "jsonDepth"
    | "batch"
    | "eventBytes"
    | "requests"
    | "resultBytes"
    | "page"
    | "subscriptions"
    | "stateBytes"
    | "longCalls"
    | "userStateBytes"
  > {
  /**
   * Bytes of one line from the client. A longer line is skipped and answered with an error.
   *
   * @default {1048576}
   */
  readonly bodyBytes?: number;
  /**
   * Open `subscriptions/listen` requests. Above it, another one gets an error.
   *
   * @default {50}
   */
  readonly listens?: number;
}

/** Options for the pipes, and for the process at their end. */
export interface StdioProcessOptions {
  /**
   * The sender of all requests: the user who started the process. Tools with `scopes` need it to have them.
   * `expiresAt` has no effect: the client can't renew what isn't a token.
   *
   * @default {{ id: "anonymous" }}
   */
  readonly principal?: Principal;
  /**
   * The time that running requests have when the client closes the input, in milliseconds. A signal
   * cancels them at once.
   *
   * @default {1500}
   */
  readonly graceMs?: number;
  /** The bytes from the client. The stdin of this process when left out. */
  readonly input?: ReadableStream<Uint8Array>;
  /** The bytes to the client. The stdout of this process when left out. */
  readonly output?: WritableStream<Uint8Array>;
  /**
   * Whether SIGINT and SIGTERM end the server.
   *
   * @default {true} if `input` and `output` are left out
   */
  readonly signals?: boolean;
  /**
   * Whether `console.log` and other prints to stdout go to stderr while the server runs: a client can't
   * read anything but messages.
   *
   * @default {true} if `output` is left out
   */
  readonly redirectPrints?: boolean;
  /**
   * Whether to end the process one second after `finished` has resolved, if something keeps it alive until
   * then.
   *
   * @default {true} if `input` and `output` are left out
   */
  readonly exit?: boolean;
}

/** Options for {@linkcode serveStdio}. */
export interface StdioOptions extends
  StdioProcessOptions,
  LogOptions,
  Pick<
    McpHandlerOptions,
    | "versions"
    | "authorize"
    | "middleware"
    | "requests"
    | "events"
    | "longCalls"
    | "onEvent"
    | "clock"
  > {
  /** The limits. */
  readonly limits?: StdioLimits;
  /** Options for progress notifications, and whether 2026 clients may subscribe to changes. */
  readonly streams?: Pick<StreamOptions, "progressHeartbeatMs" | "listen">;
}

/** A server on pipes. */
export interface StdioServer extends AsyncDisposable {
  /** Resolves when the client has closed the input, or the server was closed. Never rejects. */
  readonly finished: Promise<void>;
  /**
   * Lets running requests finish for `graceMs` milliseconds, by default the `graceMs` of the server,
   * cancels the rest, and writes what is left. Closing again does nothing.
   *
   * @throws {TypeError} If `graceMs` is not a number
   * @throws {RangeError} If `graceMs` is not an integer of 0 or more
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Serves a dispatcher over stdin and stdout, one JSON-RPC message in a line, until the client closes the
 * input (2025-11-25 and 2026-07-28, stdio). Clients of all versions get the same server.
 *
 * @example Over other streams
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { serveStdio } from "@mooring/mcp/stdio";
 *
 * const toServer = new TransformStream<Uint8Array, Uint8Array>();
 * const toClient = new TransformStream<Uint8Array, Uint8Array>();
 * await using server = serveStdio(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   input: toServer.readable,
 *   output: toClient.writable,
 * });
 * const writer = toServer.writable.getWriter();
 * await writer.write(new TextEncoder().encode('{"jsonrpc":"2.0","id":1,"method":"ping"}\n'));
 * const { value } = await toClient.readable.getReader().read();
 * console.assert(new TextDecoder().decode(value) === '{"jsonrpc":"2.0","id":1,"result":{}}\n');
 * ```
 *
 * @param source The server, gateway or other dispatcher to serve
 * @param options Options for the server; each has a default
 * @throws {TypeError} If an option has the wrong type, or a stream is locked
 * @throws {RangeError} If a number is out of range
 */
export function serveStdio(source: Dispatcher, options: StdioOptions = {}): StdioServer {
  const { principal: _principal, graceMs: grace, input, output, log: _log, ...others } = options;
  const own = input === undefined && output === undefined;
  const {
    signals = own,
    redirectPrints: redirect = output === undefined,
    exit = own,
    ...endpointOptions
  } = others;
  const { clock = systemClock } = endpointOptions;
  const graceMs = integerOption("graceMs", grace, GRACE_MS, 0);
  const principal = principalOption(options);
  const log = errorLogFor(options);
  const endpoint = makeEndpoint(source, handlerOptions(endpointOptions), undefined, log?.report);
  const connection = new StdioConnection({
    endpoint,
    principal,
    input: input ?? processInput(),
    output: output ?? processOutput(),
    graceMs,
  });
  // Only now has the output its own way to stdout.
  const restorePrints = redirect ? redirectPrints() : undefined;
  const forgetSignals = signals
    ? onStopSignals({ listen: onSignals, clock, stop: () => void connection.close(0) })
    : undefined;
  const finished = connection.finished.then(() => {
    forgetSignals?.();
    restorePrints?.();
    log?.end();
    if (exit) exitSoon();
  });
  const close: StdioServer["close"] = async (options = {}) => {
    checkNames("close()", options, { graceMs: true });
    await connection.close(integerOption("graceMs", options.graceMs, graceMs, 0));
    await finished;
  };
  return { finished, close, [Symbol.asyncDispose]: () => close() };
}

function principalOption(options: StdioOptions): Principal {
  const { principal = ANONYMOUS } = options;
  if ((options as McpHandlerOptions).authenticate !== undefined) {
    throw new TypeError('Give "principal" instead of "authenticate": a pipe has one user');
  }
  if (!isObject(principal) || typeof principal.id !== "string") {
    throw new TypeError('Give an object with a string "id" as "principal"');
  }
  const { expiresAt: _expiresAt, ...lasting } = copyPrincipal(principal);
  return lasting;
}

/** The options that the endpoint doesn't get. */
const OWN_NAMES = Object.keys(
  {
    principal: true,
    graceMs: true,
    input: true,
    output: true,
    signals: true,
    redirectPrints: true,
    exit: true,
    log: true,
  } satisfies NamesOf<StdioProcessOptions & LogOptions>,
);

/** The options of the endpoint that a pipe honours. */
const HONOURED: {
  readonly [K in Exclude<keyof Required<StdioOptions>, keyof (StdioProcessOptions & LogOptions)>]:
    OptionNames[string];
} = {
  versions: true,
  authorize: true,
  middleware: true,
  requests: OPTION_NAMES.requests,
  events: OPTION_NAMES.events,
  longCalls: OPTION_NAMES.longCalls,
  onEvent: true,
  clock: true,
  limits: {
    bodyBytes: true,
    jsonDepth: true,
    batch: true,
    eventBytes: true,
    requests: true,
    listens: true,
    resultBytes: true,
    page: true,
    subscriptions: true,
    stateBytes: true,
    longCalls: true,
    userStateBytes: true,
  } satisfies { readonly [K in keyof Required<StdioLimits>]: true },
  streams: { progressHeartbeatMs: true, listen: true },
};

/**
 * Returns the options of the endpoint. One client has it alone, and its session lasts as long as the pipe.
 */
function handlerOptions(
  options: Omit<StdioOptions, keyof (StdioProcessOptions & LogOptions)>,
): McpHandlerOptions {
  checkOptionNames(options, "stdio", HONOURED, OWN_NAMES);
  const { limits, streams } = options;
  const listens = integerOption("limits.listens", limits?.listens, LISTENS, 0);
  return {
    ...options,
    sessions: { idleMs: Infinity, absoluteMs: Infinity },
    streams: { ...streams, keepAliveMs: Infinity, retainMs: 0 },
    limits: {
      ...limits,
      streams: Infinity,
      streamsPerPrincipal: Infinity,
      listens,
      listensPerPrincipal: listens,
    },
  };
}

/** Ends the process when there was time for it to end by itself. */
function exitSoon(): void {
  systemClock.timer(EXIT_MS, () => process.exit());
}
