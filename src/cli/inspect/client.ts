/**
 * Connects to a server with the official client, measures its answers, and explains its failures.
 *
 * @module
 */
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { fetchError } from "../../gateway/shared/upstream_error.ts";
import { clip, isObject } from "../../kit.ts";
import { CliError, messageOf } from "../errors.ts";
import { printable } from "../log.ts";
import type { Redact } from "../redact.ts";
import { VERSION } from "../version.ts";

/** The URL and options to connect with. */
export interface InspectInit {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  /** Takes secrets out of the server's own error messages. */
  readonly redact: Redact;
  /** Sends the requests, in place of the network. */
  readonly fetch?: (url: string | URL, init?: RequestInit) => Promise<Response>;
  /** What is shown in place of the URL. */
  readonly shown?: string;
}

/** A result, and how long it took. */
export interface Timed<T> {
  readonly value: T;
  /** In milliseconds, with one decimal place. */
  readonly ms: number;
}

/** A connected client. */
export interface InspectedServer {
  /** The URL without its query, or what stands for it. */
  readonly shown: string;
  readonly client: Client;
  /** Time that it took to connect, in milliseconds. */
  readonly connectMs: number;
  /** Runs `work` with the options that limit its time, and measures it. */
  timed<T>(work: (options: { timeout: number }) => Promise<T>): Promise<Timed<T>>;
}

const NOT_MCP = "Correct the URL: what answers there doesn't speak MCP";
const SERVER_FAILED = "Find out why the server failed, as in its log";
const TIMED_OUT = "Give the server more time with --timeout: it didn't answer";

/** The advice for the status of a response. */
const STATUS_ADVICE: Readonly<Record<number, string>> = {
  401: "Send a token with --token-env NAME, or sign in with mooring login: the server requires one",
  403: "Send a token that allows this: the server refuses this one",
  404: "Correct the path: nothing speaks MCP there",
  405: "Correct the path: nothing speaks MCP there",
  429: "Try again later: the server accepts no more requests now",
};

/** The advice for a failed connection. */
const FAILURE_ADVICE: Readonly<Record<string, string>> = {
  refused: "Start the server, or correct the URL: nothing listens there",
  dns: "Correct the URL: its host has no address",
  tls:
    "Give the server a certificate that is trusted here, or begin the URL with http: if it has none",
  timeout: TIMED_OUT,
};

/** Characters that are shown of a server's message. */
const MAX_LENGTH = 300;

/**
 * Opens a connection for `use`, and closes it.
 *
 * @throws {CliError} If the server can't be reached, or answers with an error
 */
export async function withConnection<T>(
  { url, headers, timeoutMs, redact, fetch, shown: given }: InspectInit,
  use: (connection: InspectedServer) => Promise<T>,
): Promise<T> {
  const client = new Client({ name: "mooring-inspect", version: VERSION }, {
    versionNegotiation: { mode: "auto" },
  });
  const transport = new StreamableHTTPClientTransport(url, {
    requestInit: { headers },
    ...fetch !== undefined && { fetch },
  });
  const place = given ?? `${url.origin}${url.pathname}`;
  const options = { timeout: timeoutMs };
  try {
    const { ms: connectMs } = await measured(() => client.connect(transport, options));
    const timed: InspectedServer["timed"] = (work) => measured(() => work(options));
    return await use({ shown: place, client, connectMs, timed });
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${adviceOn(error, url, redact)}: ${place}`);
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

/** Returns the advice for an error, and what the server says itself. */
function adviceOn(error: unknown, url: URL, redact: Redact): string {
  // Reading a property works on anything that the client throws
  const { status, code, data, cause } = error as Readonly<Record<string, unknown>>;
  if (typeof status === "number") {
    const advice = STATUS_ADVICE[status] ?? (status >= 500 ? SERVER_FAILED : NOT_MCP);
    const words = serverWords(data);
    return words === undefined ? advice : `${advice}. It says "${shown(words, redact)}"`;
  }
  if (code === "REQUEST_TIMEOUT") return TIMED_OUT;
  const { kind } = fetchError(error, url.origin);
  const advice = FAILURE_ADVICE[kind];
  if (advice !== undefined) return advice;
  // The client checks messages with a schema, and shows all that doesn't fit
  const isParsing = cause instanceof Error && /^(?:ZodError|SyntaxError)$/.test(cause.name);
  return isParsing ? NOT_MCP : shown(messageOf(error), redact);
}

/** Returns the message of the JSON-RPC error in a response's body. */
function serverWords(data: unknown): string | undefined {
  const text = isObject(data) ? data["text"] : undefined;
  if (typeof text !== "string") return undefined;
  try {
    const body: unknown = JSON.parse(text);
    const message = isObject(body) && isObject(body["error"])
      ? body["error"]["message"]
      : undefined;
    return typeof message === "string" ? message : undefined;
  } catch {
    return undefined;
  }
}

function shown(text: string, redact: Redact): string {
  return clip(printable(redact(text)), MAX_LENGTH);
}
