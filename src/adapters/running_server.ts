/**
 * A server from its beginning to its end, the same on every runtime: listens, serves, drains.
 *
 * @module
 */
import process from "node:process";
import { integerOption } from "../internal/check.ts";
import type { McpHandler, McpHandlerOptions } from "../handler/types.ts";
import { createMcpHandler } from "../handler/handler.ts";
import type { Dispatcher } from "../protocol/exchange.ts";
import { endpointUrl, type ServeOptions, serveSettings } from "./serve_options.ts";

/** A server that answers requests. */
export interface RunningServer extends AsyncDisposable {
  /** Where this machine reaches the endpoint. */
  readonly url: string;
  /** The port that the server listens on. */
  readonly port: number;
  /** The address that the server is bound to. */
  readonly hostname: string;
  /** The handler that answers. */
  readonly handler: McpHandler;
  /** Resolves when the server has stopped, for whatever reason. Never rejects. */
  readonly finished: Promise<void>;
  /**
   * Stops: refuses what is new, lets what runs finish for `graceMs` milliseconds (the server's own
   * when left out), cancels the rest and closes all connections within another second. Doing it again
   * changes nothing.
   */
  close(options?: { readonly graceMs?: number }): Promise<void>;
}

/**
 * Answers a request; `context` is what the runtime passes beside it. What `createMcpHandler` returns
 * also answers as data, which a host can write without a `Response`.
 */
export interface FetchHandler {
  /** Answers a request with a response. */
  (request: Request, context?: unknown): Promise<Response>;
  /** Answers a request with data. */
  readonly reply?: McpHandler["reply"];
}

/** What to listen with. */
export interface ListenInit {
  readonly hostname: string;
  readonly port: number;
  readonly fetch: FetchHandler;
  /** Told of what fails outside of any request. MUST NOT throw. */
  readonly failed: (error: unknown) => void;
}

/** A runtime's server. */
export interface Listener {
  /** The port that it listens on. */
  readonly port: number;
  /** Takes no new connections; resolves when the open ones have ended. */
  stop(): Promise<void>;
  /** Ends all connections at once. */
  kill(): void;
}

/** How a runtime listens. */
export type Listen = (init: ListenInit) => Promise<Listener>;

/** How long after the grace period a handler may take to give up, in milliseconds. */
const GIVE_UP_MS = 500;

/** How long connections may take to end by themselves when nothing runs any more, in milliseconds. */
const LINGER_MS = 400;

/** The longest time that a timer holds, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Serves a dispatcher.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 * @throws {Error} The runtime's own error if it can't listen there
 */
export async function run(
  listen: Listen,
  source: Dispatcher,
  options: ServeOptions & McpHandlerOptions,
): Promise<RunningServer> {
  const { hostname, port, graceMs, signals, path, handler: init } = serveSettings(options);
  const handler = createMcpHandler(source, init);
  const failed = (error: unknown): void => {
    try {
      init.onEvent?.({ type: "error", during: "serving", error });
    } catch {
      // Nobody is left to tell.
    }
  };
  let listener: Listener;
  try {
    listener = await listen({ hostname, port, fetch: handler, failed });
  } catch (error) {
    await handler.close({ graceMs: 0 });
    throw error;
  }
  const url = endpointUrl(hostname, listener.port, path);
  return new Server({ url, hostname, handler, listener, graceMs, signals, failed });
}

interface ServerInit extends Pick<RunningServer, "url" | "hostname" | "handler"> {
  readonly listener: Listener;
  readonly graceMs: number;
  readonly signals: boolean;
  readonly failed: (error: unknown) => void;
}

class Server implements RunningServer {
  readonly url: string;
  readonly port: number;
  readonly hostname: string;
  readonly handler: McpHandler;
  readonly finished: Promise<void>;
  readonly #init: ServerInit;
  readonly #finish: () => void;
  #forgetSignals: (() => void) | undefined;
  #closing = false;

  constructor(init: ServerInit) {
    this.#init = init;
    this.url = init.url;
    this.port = init.listener.port;
    this.hostname = init.hostname;
    this.handler = init.handler;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
    if (init.signals) this.#forgetSignals = onStopSignal(() => void this.close());
  }

  async close(options?: { readonly graceMs?: number }): Promise<void> {
    const graceMs = integerOption("graceMs", options?.graceMs, this.#init.graceMs, 0);
    if (!this.#closing) {
      this.#closing = true;
      // From here on a signal does again what it does by default: it ends the process.
      this.#forgetSignals?.();
      await this.#drain(graceMs);
      this.#finish();
    }
    await this.finished;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** The endpoint goes on refusing politely until nothing runs; only then is nobody there any more. */
  async #drain(graceMs: number): Promise<void> {
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

/** Waits for some work, but no longer than `ms` milliseconds. `false` when it took longer. */
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

/** Calls `stop` on the first signal that asks the process to end, until the returned function is called. */
function onStopSignal(stop: () => void): () => void {
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  return () => {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  };
}
