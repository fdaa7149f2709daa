/**
 * Connects to a server with the official client, measures its answers, and explains its failures.
 *
 * @module
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { fetchError } from "../gateway/shared/upstream_error.ts";
import { clip } from "../internal/quote.ts";
import { CliError, messageOf } from "./errors.ts";
import { printable } from "./log.ts";
import type { Redact } from "./redact.ts";
import { VERSION } from "./version.ts";

/** The URL and options to connect with. */
export interface ConnectInit {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Takes secrets out of the server's own error messages. */
  readonly redact: Redact;
}

/** A result, and how long it took. */
export interface Timed<T> {
  readonly value: T;
  /** In milliseconds, with one decimal place. */
  readonly ms: number;
}

/** A connected client. */
export interface Connection {
  readonly url: URL;
  readonly client: Client;
  /** Time that it took to connect, in milliseconds. */
  readonly connectMs: number;
  /** Runs `work` with the options that limit its time, and measures it. */
  timed<T>(work: (options: { timeout: number }) => Promise<T>): Promise<Timed<T>>;
}

/** The advice for the status of a response. */
const STATUS_ADVICE: Readonly<Record<number, string>> = {
  401: "Send a token with --token-env NAME: the server requires one",
  403: "Send a token that allows this: the server refuses this one",
  404: "Correct the path: nothing speaks MCP there",
  405: "Correct the path: nothing speaks MCP there",
  429: "Try again later: the server accepts no more requests now",
};

/** The advice for a failed connection. */
const FAILURE_ADVICE: Readonly<Record<string, string>> = {
  refused: "Start the server, or correct the URL: nothing listens there",
  dns: "Correct the URL: its host has no address",
  tls: "Give the server a certificate that is trusted here",
  timeout: "Give the server more time with --timeout: it didn't answer",
};

/** Characters that are shown of a server's message. */
const MAX_LENGTH = 300;

/**
 * Opens a connection for `use`, and closes it.
 *
 * @throws {CliError} If the server can't be reached, or answers with an error
 */
export async function withConnection<T>(
  { url, headers, timeoutMs, redact }: ConnectInit,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const client = new Client({ name: "mooring-inspect", version: VERSION }, {
    versionNegotiation: { mode: "auto" },
  });
  const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
  const options = { timeout: timeoutMs };
  try {
    const { ms: connectMs } = await measured(() => client.connect(transport, options));
    const timed: Connection["timed"] = (work) => measured(() => work(options));
    return await use({ url, client, connectMs, timed });
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${adviceOn(error, url, redact)}: ${url.origin}${url.pathname}`);
  } finally {
    await transport.terminateSession().catch(() => {});
    await client.close().catch(() => {});
  }
}

async function measured<T>(work: () => Promise<T>): Promise<Timed<T>> {
  const start = performance.now();
  const value = await work();
  return { value, ms: Math.round((performance.now() - start) * 10) / 10 };
}

/** Returns the advice for an error, or the server's own message if there is none. */
function adviceOn(error: unknown, url: URL, redact: Redact): string {
  // Reading a property works on anything that the client throws
  const { status, code } = error as { readonly status?: unknown; readonly code?: unknown };
  const byStatus = typeof status === "number" ? STATUS_ADVICE[status] : undefined;
  if (byStatus !== undefined) return byStatus;
  const { kind } = fetchError(error, url.origin);
  const advice = code === "REQUEST_TIMEOUT" ? FAILURE_ADVICE["timeout"] : FAILURE_ADVICE[kind];
  return advice ?? clip(printable(redact(messageOf(error))), MAX_LENGTH);
}
