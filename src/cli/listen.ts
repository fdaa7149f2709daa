/**
 * Listens, with `node:http`, which Deno, Bun and Node all have: so clients' addresses, slow readers and
 * the end are the same on each.
 *
 * @module
 */
import { createServer } from "node:http";
import { type Fetch, toNodeHandler } from "../adapters/node.ts";
import { bareHostname } from "../adapters/serve_options.ts";
import { CliError, messageOf } from "./errors.ts";

/** What to listen with. */
export interface ListenInit {
  readonly host: string;
  readonly port: number;
  readonly fetch: Fetch;
  /** Told of what fails outside of any request. */
  readonly failed: (error: unknown) => void;
}

/** A server that listens. */
export interface Listener {
  /** The port that it listens on. */
  readonly port: number;
  /** Takes no new connections, and ends those that are open a moment later. */
  stop(): Promise<void>;
}

/** How long a request's headers may take to arrive, in milliseconds. */
const HEADERS_TIMEOUT_MS = 30_000;
/** How long a whole request may take to arrive, in milliseconds. */
const REQUEST_TIMEOUT_MS = 60_000;
/** How long a connection is kept for the next request: longer than proxies keep theirs. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long the last answers may take to leave, in milliseconds. */
const LINGER_MS = 400;

/** What to do about the failures that people meet. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "Choose another port with --port, or stop what listens on this one",
  EACCES: "Choose a port above 1023 with --port: this one needs more rights",
  EADDRNOTAVAIL: "Choose an address of this machine with --host",
  // What Deno calls the same
  EINVAL: "Choose an address of this machine with --host",
  ENOTFOUND: "Choose an address of this machine with --host",
};

/**
 * Listens.
 *
 * @throws {CliError} If it can't
 */
export async function listen({ host, port, fetch, failed }: ListenInit): Promise<Listener> {
  const server = createServer({
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
  }, toNodeHandler(fetch));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  try {
    server.listen(port, bareHostname(host), resolve);
    await promise;
  } catch (cause) {
    throw new CliError(`${adviceOn(cause)}: ${host}:${port}`, undefined, { cause });
  }
  server.off("error", reject);
  // A connection that can't be accepted, for want of file descriptors say, must not end the process.
  server.on("error", failed);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    async stop() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      const timer = setTimeout(() => server.closeAllConnections(), LINGER_MS);
      await stopped;
      clearTimeout(timer);
    },
  };
}

function adviceOn(error: unknown): string {
  // Looking for a property harms nothing, whatever was thrown
  const { code } = error as { readonly code?: unknown };
  const advice = typeof code === "string" ? ADVICE[code] : undefined;
  return advice ?? `Can't listen there: ${messageOf(error)}`;
}
