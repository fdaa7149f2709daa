/**
 * A connection of the official client, with the time that its answers take.
 *
 * @module
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { CliError, messageOf } from "./errors.ts";
import { printable } from "./log.ts";
import { fetchError } from "../gateway/shared/upstream_error.ts";
import { clip } from "../internal/quote.ts";
import type { Redact } from "./redact.ts";
import { VERSION } from "./version.ts";

/** Where to connect, and how. */
export interface ConnectInit {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Takes secrets out of what a server says about a failure. */
  readonly redact: Redact;
}

/** What something took. */
export interface Timed<T> {
  readonly value: T;
  /** In milliseconds, with one digit behind the point. */
  readonly ms: number;
}

/** A connected client. */
export interface Connection {
  readonly url: URL;
  readonly client: Client;
  /** How long it took to connect, in milliseconds. */
  readonly connectMs: number;
  /** Does something with the client's time limit, and measures it. */
  timed<T>(work: (options: { timeout: number }) => Promise<T>): Promise<Timed<T>>;
}

const STATUS: Readonly<Record<number, string>> = {
  401: "Send a token with --token-env NAME: the server asks for one",
  403: "Send a token that allows this: the server refuses",
  404: "Correct the path: nothing speaks MCP there",
  405: "Correct the path: nothing speaks MCP there",
  429: "Try again later: the server takes no more requests now",
};

const KINDS: Readonly<Record<string, string>> = {
  refused: "Start the server, or correct the URL: nothing listens there",
  dns: "Correct the URL: its host has no address",
  tls: "Give the server a certificate that is trusted here",
  timeout: "Give the server more time with --timeout: it said nothing",
};

/** The longest message of others that is shown, in characters. */
const LONGEST = 300;

/**
 * Connects, does something with the connection, and ends it.
 *
 * @throws {CliError} If the server can't be reached or answers with an error
 */
export async function inspecting<T>(
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

/** What to do about a failure; the server's own words when nothing is known about it. */
function adviceOn(error: unknown, url: URL, redact: Redact): string {
  // Looking for properties harms nothing, whatever was thrown
  const { status, code } = error as { readonly status?: unknown; readonly code?: unknown };
  const byStatus = typeof status === "number" ? STATUS[status] : undefined;
  if (byStatus !== undefined) return byStatus;
  const { kind } = fetchError(error, url.origin);
  const advice = code === "REQUEST_TIMEOUT" ? KINDS["timeout"] : KINDS[kind];
  return advice ?? clip(printable(redact(messageOf(error))), LONGEST);
}
