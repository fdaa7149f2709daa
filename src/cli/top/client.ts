/**
 * Speaks to the dashboard of a running server, for `mooring top`.
 *
 * @module
 */
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { RowChanges } from "../../dashboard/assets/rows.js";
import type { OperatorRequest, OperatorResult, OperatorSnapshot } from "../../dashboard/mod.ts";
import { isObject } from "../../kit.ts";
import { CliError, messageOf, usageError } from "../errors.ts";

/** The time to wait for an answer, in milliseconds. */
const ANSWER_MS = 10_000;
/** The characters of one event. */
const MOST_EVENT = 64 * 1024 * 1024;

/** Where a dashboard is, and how to sign in. */
export interface TopTarget {
  /** The dashboard's URL, without a link. */
  readonly url: URL;
  /** The secret of a link that works once. */
  readonly link: string | undefined;
  /** A token that always works. */
  readonly token: string | undefined;
}

/**
 * Reads the URL of a dashboard.
 *
 * @throws {CliError} If it is no such URL, or there is no way to sign in
 */
export function topTarget(text: string, token: string | undefined): TopTarget {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw usageError('Give the URL of a dashboard: it begins with "http://" or "https://"');
  }
  const link = url.hash === "" ? undefined : url.hash.slice(1);
  if (link === undefined && token === undefined) {
    throw usageError("Give a link that works once, in quotes, or --token-env NAME");
  }
  url.hash = "";
  if (!url.pathname.endsWith("/")) url.pathname += "/";
  return { url, link: token === undefined ? link : undefined, token };
}

/** A change of the tables. */
export interface TableChanges extends RowChanges {
  readonly at: number;
  readonly omitted: number;
}

/** A signed-in connection to a dashboard. */
export class TopClient {
  readonly #url: URL;
  readonly #headers: Readonly<Record<string, string>>;
  #actToken = "";

  private constructor(url: URL, headers: Readonly<Record<string, string>>) {
    this.#url = url;
    this.#headers = headers;
  }

  /**
   * Signs in.
   *
   * @throws {CliError} If the dashboard can't be reached, or doesn't let this program in
   */
  static async signIn({ url, link, token }: TopTarget): Promise<TopClient> {
    if (token !== undefined) {
      const client = new TopClient(url, { authorization: `Bearer ${token}` });
      await client.#hello();
      return client;
    }
    const response = await request(new URL("session", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ link }),
    });
    const cookie = response.headers.get("set-cookie")?.split(";")[0];
    await response.body?.cancel();
    if (cookie === undefined) throw new CliError("The dashboard has no links that work once");
    const client = new TopClient(url, { cookie });
    await client.#hello();
    return client;
  }

  /** Returns the state of every node. */
  async snapshot(): Promise<OperatorSnapshot> {
    const response = await this.#get("snapshot");
    return await response.json();
  }

  /** Yields changes of the tables until the signal aborts or the connection ends. */
  async *changes(signal: AbortSignal): AsyncIterable<TableChanges> {
    const response = await request(new URL("events", this.#url), {
      headers: { ...this.#headers, accept: "text/event-stream" },
      signal,
    }, false);
    const events = (response.body ?? new ReadableStream<Uint8Array<ArrayBuffer>>())
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream({ maxBufferSize: MOST_EVENT }));
    const reader = events.getReader();
    try {
      for (let read = await reader.read(); !read.done; read = await reader.read()) {
        // The dashboard of the same package wrote it.
        if (read.value.event === "changes") yield JSON.parse(read.value.data) as TableChanges;
      }
    } finally {
      await reader.cancel().catch(() => {});
    }
  }

  /** Acts. */
  async act(act: OperatorRequest): Promise<OperatorResult> {
    const response = await request(new URL("act", this.#url), {
      method: "POST",
      headers: {
        ...this.#headers,
        "content-type": "application/json",
        "x-mooring-operator": this.#actToken,
      },
      body: JSON.stringify(act),
    });
    return await response.json();
  }

  async #hello(): Promise<void> {
    const hello: unknown = await (await this.#get("session")).json();
    this.#actToken = isObject(hello) && typeof hello.token === "string" ? hello.token : "";
  }

  async #get(path: string): Promise<Response> {
    return await request(new URL(path, this.#url), { headers: this.#headers });
  }
}

/** Sends a request; without `limited` the answer may last. */
async function request(url: URL, init: RequestInit, limited = true): Promise<Response> {
  let response: Response;
  try {
    const signal = limited ? AbortSignal.timeout(ANSWER_MS) : init.signal ?? null;
    response = await fetch(url, { ...init, signal, redirect: "error" });
  } catch (cause) {
    if (init.signal?.aborted) throw init.signal.reason;
    throw new CliError(
      `Start the server with --dashboard, or correct the URL: ${url.origin} can't be reached ` +
        `(${messageOf(cause)})`,
      undefined,
      { cause },
    );
  }
  if (response.ok) return response;
  const text = (await response.text()).trim().slice(0, 200);
  throw new CliError(
    response.status === 401
      ? `${text}. Make a new link on the page, or give --token-env NAME`
      : `The dashboard answers with ${response.status}: ${text}`,
  );
}
