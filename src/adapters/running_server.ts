/**
 * Runs a server on any runtime, from listening to a graceful end.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import process from "node:process";
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { McpHandler, McpHandlerOptions } from "../handler/types.ts";
import { makeHandler } from "../handler/handler.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import type { ErrorLog } from "./error_log.ts";
import { listenError } from "./listen_error.ts";
import { onStopSignals } from "./stop_signals.ts";
import {
  freePort,
  groupMember,
  memberDone,
  memberReady,
  ProcessGroup,
  processStarter,
} from "./process_group.ts";
import {
  endpointUrl,
  type ServeOptions,
  type ServeSettings,
  serveSettings,
} from "./serve_options.ts";

/** A server that answers requests. */
export interface RunningServer extends AsyncDisposable {
  /** The URL of the endpoint on this machine. */
  readonly url: string;
  /** The port that the server listens on. */
  readonly port: number;
  /** The address that the server is bound to. */
  readonly hostname: string;
  /**
   * The handler.
   *
   * @throws {TypeError} In the process that has started others with `processes`: they have it
   */
  readonly handler: McpHandler;
  /** Resolves when the server has stopped. Never rejects. */
  readonly finished: Promise<void>;
  /**
   * Stops the server: refuses new requests, lets running ones finish for `graceMs` milliseconds (by
   * default the `graceMs` of the server), cancels the rest and closes all connections within another
   * second. Closing again does nothing.
   *
   * @throws {TypeError} If `graceMs` is not a number
   * @throws {RangeError} If `graceMs` is not an integer of 0 or more
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Answers requests: a handler of `createMcpHandler`, or any other function of this type. `context` is the
 * value that the runtime passes beside the request.
 */
export interface FetchHandler {
  /** Answers a request with a response. */
  (request: Request, context?: unknown): Promise<Response>;
  /** The function itself. Anything else shows that another function has a handler's members. */
  readonly fetch?: FetchHandler;
  /**
   * Answers a request with data, which can be written without a `Response`. Used only where `fetch` is the
   * function itself.
   */
  readonly reply?: McpHandler["reply"];
}

/** Options for `listen`. */
export interface ListenInit {
  /** The address to listen at. */
  readonly hostname: string;
  /** The port; 0 for any free one. */
  readonly port: number;
  /**
   * Whether other processes that say so too may listen on the same port: the system spreads connections
   * over them (`SO_REUSEPORT`, on Linux).
   *
   * @default {false}
   */
  readonly reusePort?: boolean;
  /**
   * The file descriptor of a listening socket to use in place of the address, such as one of systemd. Only
   * `listen` of `@mooring/mcp/node` has it, on Node and Deno.
   */
  readonly fd?: number;
  /** Answers the requests. */
  readonly fetch: FetchHandler;
  /** Called with errors outside of any request. MUST NOT throw. */
  readonly failed: (error: unknown) => void;
}

/** A runtime's server. */
export interface Listener {
  /** The port that it listens on. */
  readonly port: number;
  /** The address that it listens at, if it is known. */
  readonly address?: string | undefined;
  /**
   * Accepts no more connections, and closes each open one after its next response: another process accepts
   * them. Absent where the runtime can't do it without breaking connections.
   */
  handOver?(): void;
  /** Refuses new connections; resolves when the open ones have closed. */
  stop(): Promise<void>;
  /** Closes all connections at once. */
  kill(): void;
}

/** Starts a runtime's server. */
export type Listen = (init: ListenInit) => Promise<Listener>;

/** The time after the grace period within which a handler must close, in milliseconds. */
const GIVE_UP_MS = 500;

/** The time within which clients may close their connections, in milliseconds. */
const LINGER_MS = 400;

/** The time after the grace period within which other processes must end, in milliseconds. */
const GROUP_MS = 2_000;

/** The maximum delay of a timer, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Serves a dispatcher.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} If it can't listen at the address: says what to do, and has the `code` of the runtime's
 * error
 */
export async function run(
  listen: Listen,
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions,
): Promise<RunningServer> {
  const settings = serveSettings(options);
  const { graceMs, path, log, handler: init } = settings;
  const inDev = devPort();
  // In development one process serves, to this machine
  const several = inDev === undefined && settings.processes > 1;
  const hostname = inDev === undefined ? settings.hostname : "127.0.0.1";
  const member = several ? groupMember(process.env) : undefined;
  if (several && member === undefined) return await runGroup(settings);
  const port = member?.port ?? inDev ?? settings.port;
  const handler = makeHandler(source, init, { onError: log?.report });
  const failed = (error: unknown): void => reportFailure(settings, error);
  let listener: Listener;
  try {
    // On Node, the process that starts the others listens for all of them.
    const reusePort = member !== undefined && "Bun" in globalThis;
    listener = await listen({ hostname, port, reusePort, fetch: handler, failed });
  } catch (error) {
    await handler.close({ graceMs: 0 });
    throw listenError(error, { hostname, port }, { port: '"port"', hostname: '"hostname"' });
  }
  const url = endpointUrl(hostname, listener.port, path);
  const { clock = systemClock } = init;
  const server = new AdapterServer({
    url,
    hostname,
    handler,
    listener,
    graceMs,
    // Its group ends it by a signal
    signals: settings.signals || member !== undefined,
    clock,
    failed,
    log,
  });
  if (member !== undefined) {
    memberReady();
    void server.finished.then(memberDone);
  }
  return server;
}

/** The part of Deno that is used here. Other runtimes have none. */
interface DenoPermissions {
  readonly Deno?: {
    readonly permissions: {
      querySync(what: { name: "env"; variable: string }): { readonly state: string };
    };
  };
}

/** The variable in which `mooring dev` says where to listen. */
const DEV_PORT = "MOORING_DEV_PORT";

/** Returns where `mooring dev` has a server listen: beside the version that it replaces. */
function devPort(): number | undefined {
  const { Deno }: DenoPermissions = globalThis;
  // A server that may not read variables isn't asked for that
  const query = { name: "env", variable: DEV_PORT } as const;
  if (Deno !== undefined && Deno.permissions.querySync(query).state !== "granted") return undefined;
  const port = Number(process.env[DEV_PORT]);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}

/** Tells the application of an error outside of any request. */
function reportFailure({ log, handler: { onEvent } }: ServeSettings, error: unknown): void {
  try {
    const event = { type: "error", during: "serving", error } as const;
    log?.report(event);
    onEvent?.(event);
  } catch {
    // The application's own function failed: it can't be reported anywhere else.
  }
}

/**
 * Starts the processes that serve.
 *
 * @throws {TypeError} If the main module can't be run again here
 * @throws {Error} If a process can't start, or the port is in use
 */
async function runGroup(settings: ServeSettings): Promise<RunningServer> {
  const { hostname, port: wanted, processes: count, graceMs, signals, path, handler } = settings;
  if ("Deno" in globalThis) {
    throw new TypeError('Use deno serve --parallel instead of "processes" on Deno');
  }
  const { clock = systemClock } = handler;
  const port = await freePort(hostname, wanted).catch((error: unknown) => {
    const names = { port: '"port"', hostname: '"hostname"' };
    throw listenError(error, { hostname, port: wanted }, names);
  });
  const group = new ProcessGroup({
    count,
    start: processStarter({ count, port }),
    clock,
    died: (index, how) =>
      reportFailure(settings, new Error(`Process ${index} died (${how}), and is started again`)),
  });
  const server = new GroupServer(endpointUrl(hostname, port, path), port, hostname, group, graceMs);
  const forget = signals
    ? onStopSignals({ listen: onSignals, clock, stop: () => void server.close() })
    : undefined;
  void group.finished.then((failures) => {
    forget?.();
    for (const failure of failures) reportFailure(settings, new Error(failure));
    settings.log?.end();
  });
  await group.start();
  return server;
}

/** Processes that serve, as the one that has started them sees them. */
class GroupServer implements RunningServer {
  readonly url: string;
  readonly port: number;
  readonly hostname: string;
  readonly finished: Promise<void>;
  readonly #group: ProcessGroup;
  readonly #graceMs: number;

  constructor(url: string, port: number, hostname: string, group: ProcessGroup, graceMs: number) {
    this.url = url;
    this.port = port;
    this.hostname = hostname;
    this.#group = group;
    this.#graceMs = graceMs;
    this.finished = group.finished.then(() => {});
  }

  get handler(): McpHandler {
    throw new TypeError(
      'Use the handler in the processes that serve: with "processes" this is none',
    );
  }

  async close(options?: { readonly graceMs?: number }): Promise<void> {
    checkNames("close()", options, { graceMs: true });
    const graceMs = integerOption("graceMs", options?.graceMs, this.#graceMs, 0);
    await this.#group.stop(Math.min(graceMs + GROUP_MS, LONGEST_TIMER));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

interface AdapterServerInit extends Pick<RunningServer, "url" | "hostname" | "handler"> {
  readonly listener: Listener;
  readonly graceMs: number;
  readonly signals: boolean;
  readonly clock: Clock;
  readonly failed: (error: unknown) => void;
  readonly log: ErrorLog | undefined;
}

class AdapterServer implements RunningServer {
  readonly url: string;
  readonly port: number;
  readonly hostname: string;
  readonly handler: McpHandler;
  readonly finished: Promise<void>;
  readonly #init: AdapterServerInit;
  readonly #finish: () => void;
  #forgetSignals: (() => void) | undefined;
  /** Whether a signal has stopped the server. */
  #signalled = false;
  #closing = false;

  constructor(init: AdapterServerInit) {
    this.#init = init;
    this.url = init.url;
    this.port = init.listener.port;
    this.hostname = init.hostname;
    this.handler = init.handler;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    if (!init.signals) return;
    this.#forgetSignals = onStopSignals({
      listen: onSignals,
      clock: init.clock,
      stop: () => {
        this.#signalled = true;
        void this.close();
      },
    });
  }

  async close(options?: { readonly graceMs?: number }): Promise<void> {
    checkNames("close()", options, { graceMs: true });
    const graceMs = integerOption("graceMs", options?.graceMs, this.#init.graceMs, 0);
    if (!this.#closing) {
      this.#closing = true;
      // From now on a signal has its default effect, unless it repeats the one that stops the server.
      if (!this.#signalled) this.#forgetSignals?.();
      await this.#stop(graceMs);
      this.#init.log?.end();
      this.#finish();
    }
    await this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Closes the handler, which refuses new requests meanwhile, then the listener. */
  async #stop(graceMs: number): Promise<void> {
    const { handler, listener, failed } = this.#init;
    await settled(() => handler.close({ graceMs }), graceMs + GIVE_UP_MS, failed);
    if (await settled(() => listener.stop(), LINGER_MS, failed)) return;
    try {
      listener.kill();
    } catch (error) {
      failed(error);
    }
  }
}

/** Waits for work for at most `ms` milliseconds. Returns `false` if it takes longer. */
async function settled(
  work: () => Promise<void>,
  ms: number,
  failed: (error: unknown) => void,
): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), Math.min(ms, LONGEST_TIMER));
  try {
    work().catch(failed).then(() => resolve(true));
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

/** Calls a listener at each SIGINT and SIGTERM, until the returned function is called. */
export function onSignals(listener: () => void): () => void {
  process.on("SIGINT", listener);
  process.on("SIGTERM", listener);
  return () => {
    process.off("SIGINT", listener);
    process.off("SIGTERM", listener);
  };
}
