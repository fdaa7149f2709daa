/**
 * Stands between clients and the version of the server that answers. Sessions and streams are those of the
 * relay: when another version takes over, the relay opens each session there again with what its client said
 * first, and goes on with its streams.
 *
 * @module
 */
import { createParser } from "eventsource-parser";
import type { JsonObject } from "../../../mod.ts";
import { BoundedMap, isLoopback, isObject, parseAuthority } from "../../kit.ts";
import { type DevFailure, placeText } from "./failure.ts";
import type { DevVersion } from "./launch.ts";
import type { Trace, TraceInit } from "./trace.ts";
import {
  capabilitiesIn,
  errorMessage,
  messageTexts,
  parseMessage,
  type RelayMessage,
  versionIn,
} from "./relay_messages.ts";
import { NoVersionError, type Versions } from "./versions.ts";

/** A session of a client. */
interface RelaySession {
  /** The id that the client has. */
  readonly id: string;
  /** What the client said first, with which it is opened again. */
  readonly initialize: string;
  /** What the server said that it has. */
  capabilities: JsonObject;
  /** What is set again, in its order: the log level, subscriptions. */
  readonly settings: BoundedMap<string, string>;
  /** Events that the version which answers has numbered. */
  readonly events: BoundedMap<string, true>;
  /** Who was asked or asks what, until the answer. */
  readonly open: BoundedMap<string, Leg>;
  leg: Leg;
  opening?: { readonly version: DevVersion; readonly done: Promise<Response | undefined> };
}

/** A session at one version. */
interface Leg {
  readonly version: DevVersion;
  /** Its id there, if the server gave one. */
  readonly id: string | undefined;
}

/** Sessions, and what is kept of one. */
const MOST_SESSIONS = 1_000;
const MOST_SETTINGS = 1_000;
const MOST_EVENTS = 1_000;
const MOST_OPEN = 1_000;
/** The most characters of what is said again. */
const MOST_SAID = 64 * 1024;
/** The most bytes of a request. */
const MOST_BYTES = 16 * 1024 * 1024;
/** The most characters of a stream's event. */
const MOST_CHARACTERS = 16 * 1024 * 1024;

const SESSION = "mcp-session-id";
/** What belongs to one connection, and isn't passed on. */
const OWN: readonly string[] = [
  ...["connection", "content-length", "host", "keep-alive", "te", "transfer-encoding", "upgrade"],
  ...["accept-encoding", "content-encoding", "expect"],
];
/** The lists that a version may have changed, by the capability that has them. */
const LISTS = ["tools", "prompts", "resources"] as const;
const SUBSCRIPTION_ID = "io.modelcontextprotocol/subscriptionId";

/** Passes requests on. */
export class Relay {
  readonly #versions: Versions;
  readonly #trace: Trace;
  readonly #sessions = new BoundedMap<string, RelaySession>(MOST_SESSIONS);

  constructor(versions: Versions, trace: Trace) {
    this.#versions = versions;
    this.#trace = trace;
  }

  /** The number of sessions. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Answers a request. */
  readonly fetch = async (request: Request): Promise<Response> => {
    // The server sees the relay's own host: nobody else would check this one (DNS rebinding)
    if (!isLocal(request)) return plain(403, "Use 127.0.0.1 or localhost: this is for development");
    const body = request.method === "GET" || request.method === "HEAD"
      ? undefined
      : await bodyOf(request);
    if (body === false) return plain(413, `Send at most ${MOST_BYTES} bytes`);
    const message = request.method === "POST" ? parseMessage(body) : undefined;
    if (request.method === "POST" && body !== undefined) this.#record("in", body, request);
    try {
      const version = await this.#versions.current();
      return await this.#pass({ request, body, message, version });
    } catch (error) {
      return this.#refusal(request, message, error);
    }
  };

  async #pass(given: Given): Promise<Response> {
    const { request, message } = given;
    const id = request.headers.get(SESSION);
    const session = id === null ? undefined : this.#sessions.get(id);
    if (session === undefined) return await this.#send(given, undefined, given.version, id);
    const leg = this.#legOf(session, message) ?? await this.#open(session, given);
    if (leg instanceof Response) return leg;
    this.#keep(session, message, given.body, leg);
    if (request.method === "DELETE") this.#sessions.delete(session.id);
    return await this.#send(given, session, leg.version, leg.id ?? null);
  }

  /** Returns where a message belongs that is about an earlier one: to the version which has that. */
  #legOf(session: RelaySession, message: RelayMessage | undefined): Leg | undefined {
    if (message === undefined) return undefined;
    const { method, id, params } = message;
    const key = method === undefined && id !== undefined
      ? `out ${id}`
      : method === "notifications/cancelled" && isObject(params)
      ? `in ${params["requestId"]}`
      : undefined;
    const leg = key === undefined ? undefined : session.open.get(key);
    return leg === undefined || leg.version.hasEnded() ? undefined : leg;
  }

  /** Notes what is set again at the next version, and which one has a request. */
  #keep(
    session: RelaySession,
    message: RelayMessage | undefined,
    body: string | undefined,
    leg: Leg,
  ): void {
    if (message?.method === undefined || body === undefined) return;
    const { method, id, params } = message;
    if (id !== undefined) session.open.set(`in ${id}`, leg);
    if (body.length > MOST_SAID) return;
    const uri = isObject(params) ? params["uri"] : undefined;
    if (method === "logging/setLevel") session.settings.set("level", body);
    if (method === "resources/subscribe") session.settings.set(`uri ${uri}`, body);
    if (method === "resources/unsubscribe") session.settings.delete(`uri ${uri}`);
  }

  /**
   * Opens a session at the version that answers, unless it is open there.
   *
   * @returns The refusal, if the server doesn't let the client in any more
   */
  async #open(session: RelaySession, { request, version }: Given): Promise<Leg | Response> {
    if (session.leg.version === version) return session.leg;
    if (session.opening?.version !== version) {
      session.opening = { version, done: this.#openAgain(session, version, request) };
    }
    const { opening } = session;
    const refusal = await opening.done.finally(() => {
      // The next request may be let in
      if (session.opening === opening) delete session.opening;
    });
    return refusal === undefined ? session.leg : refusal.clone();
  }

  async #openAgain(
    session: RelaySession,
    version: DevVersion,
    request: Request,
  ): Promise<Response | undefined> {
    const headers = headersTo(request, null);
    headers.delete("last-event-id");
    headers.set("content-type", "application/json");
    headers.set("accept", "application/json, text/event-stream");
    const path = pathOf(request);
    const post = (body: string) => version.fetch(path, { method: "POST", headers, body });
    const opened = await post(session.initialize);
    if (!opened.ok) return new Response(await opened.text(), answerInit(opened));
    const text = await opened.text();
    const id = opened.headers.get(SESSION) ?? undefined;
    if (id !== undefined) headers.set(SESSION, id);
    headers.set("mcp-protocol-version", versionIn(text) ?? "2025-11-25");
    const others = [
      JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" }),
      ...session.settings.values(),
    ];
    for (const body of others) await (await post(body)).body?.cancel();
    session.events.clear();
    session.leg = { version, id };
    return undefined;
  }

  /** Sends a request to a version, and passes its answer back. */
  async #send(
    given: Given,
    session: RelaySession | undefined,
    version: DevVersion,
    id: string | null,
  ): Promise<Response> {
    const { request, body, message } = given;
    const headers = headersTo(request, id);
    const last = headers.get("last-event-id");
    // An earlier version's number says nothing to this one
    if (session !== undefined && last !== null && !session.events.has(last)) {
      if (version.number > 1) headers.delete("last-event-id");
    }
    const send = (version: DevVersion, headers: Headers) =>
      version.fetch(pathOf(request), {
        method: request.method,
        headers,
        redirect: "manual",
        signal: request.signal,
        ...body !== undefined && { body },
      });
    const release = this.#versions.hold(version);
    let isHeld = true;
    try {
      const response = await send(version, headers);
      const made: OpenedSession = session === undefined
        ? await this.#opened(given, response, version)
        : { session };
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
      const source = { request, session: made.session, version, message };
      if (!isStream || response.body === null) {
        const text = made.text ?? await response.text();
        if (request.method === "POST") this.#record("out", text, request, response, version);
        return new Response(
          response.status === 204 || response.status === 304 ? null : text,
          answerInit(response, made.session),
        );
      }
      isHeld = false;
      const again = request.method === "GET"
        ? (next: DevVersion) => this.#listenAgain(source, next, send)
        : message?.method === "subscriptions/listen"
        ? (next: DevVersion) => send(next, headersTo(request, null))
        : undefined;
      // A stream that goes on with the next version keeps none
      if (again !== undefined) release();
      const stream = this.#stream(source, response.body, again, release);
      return new Response(stream, answerInit(response, made.session));
    } catch (error) {
      const failure = request.signal.aborted ? undefined : await endedSoon(version);
      if (failure === undefined) throw error;
      throw new NoVersionError({ ...failure, message: `It ended: ${failure.message}` });
    } finally {
      if (isHeld) release();
    }
  }

  /** Opens the stream of a session at the next version. */
  async #listenAgain(
    { request, session }: Source,
    next: DevVersion,
    send: (version: DevVersion, headers: Headers) => Promise<Response>,
  ): Promise<Response | undefined> {
    if (session === undefined) return undefined;
    const given = { request, body: undefined, message: undefined, version: next };
    const leg = await this.#open(session, given);
    if (leg instanceof Response) return undefined;
    const headers = headersTo(request, leg.id ?? null);
    headers.delete("last-event-id");
    return await send(next, headers);
  }

  /** Keeps a session that a server has opened. */
  async #opened(
    { message, body }: Given,
    response: Response,
    version: DevVersion,
  ): Promise<OpenedSession> {
    const id = response.headers.get(SESSION);
    if (id === null || message?.method !== "initialize" || body === undefined) return {};
    // One that can't be opened again isn't the relay's
    if (body.length > MOST_SAID) return {};
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
    const text = isStream ? undefined : await response.text();
    const session: RelaySession = {
      id,
      initialize: body,
      capabilities: capabilitiesIn(text ?? ""),
      settings: new BoundedMap(MOST_SETTINGS),
      events: new BoundedMap(MOST_EVENTS),
      open: new BoundedMap(MOST_OPEN),
      leg: { version, id },
    };
    this.#sessions.set(id, session);
    return { session, text };
  }

  /**
   * Passes a stream on, event by event. With `again`, it goes on with the next version, and says which lists
   * may have changed.
   */
  #stream(
    source: Source,
    first: ReadableStream<Uint8Array>,
    again: ((next: DevVersion) => Promise<Response | undefined>) | undefined,
    done: () => void,
  ): ReadableStream<Uint8Array> {
    const { session, message } = source;
    let version = source.version;
    let reader: ReadableStreamDefaultReader<Uint8Array> | undefined = first.getReader();
    let next: DevVersion | undefined;
    let wake: (() => void) | undefined;
    let isAnswered = message?.id === undefined;
    let buffer = "";
    let decoder = new TextDecoder();
    const encoder = new TextEncoder();
    let isFirstEvent = false;
    const parser = createParser({
      onEvent: ({ data, id }) => {
        if (id !== undefined) session?.events.set(id, true);
        if (data === "") return;
        const sent = parseMessage(data);
        if (sent?.id !== undefined) {
          if (sent.method === undefined) {
            isAnswered ||= sent.id === message?.id;
            if (session !== undefined && message?.method === "initialize") {
              session.capabilities = capabilitiesIn(data);
            }
          } else if (session !== undefined) {
            session.open.set(`out ${sent.id}`, { version, id: session.leg.id });
          }
        }
        this.#record("out", data, source.request, undefined, version);
      },
    });
    /** Returns the events of a text that are whole. The rest waits. */
    const whole = (text: string): string => {
      buffer += text;
      const ends = ["\n\n", "\r\n\r\n"].map((blank) => {
        const at = buffer.lastIndexOf(blank);
        return at < 0 ? 0 : at + blank.length;
      });
      const end = Math.max(...ends);
      if (end === 0 && buffer.length > MOST_CHARACTERS) throw new Error("An event is too long");
      const events = buffer.slice(0, end);
      buffer = buffer.slice(end);
      return events;
    };
    const unlisten = again && this.#versions.onAnswering((to) => {
      next = to;
      void reader?.cancel().catch(() => {});
      wake?.();
    });
    const end = (controller?: ReadableStreamDefaultController<Uint8Array>): void => {
      unlisten?.();
      done();
      controller?.close();
    };
    /** Goes on with the next version. */
    const move = async (to: DevVersion): Promise<string> => {
      version = to;
      buffer = "";
      decoder = new TextDecoder();
      parser.reset();
      const response = await again?.(to).catch(() => undefined);
      const isStream = response?.headers.get("content-type")?.startsWith("text/event-stream");
      if (!isStream) await response?.body?.cancel();
      reader = isStream ? response?.body?.getReader() : undefined;
      // The client has got one
      isFirstEvent = message?.method === "subscriptions/listen";
      return changesOf(source).map((change) => {
        const data = JSON.stringify(change);
        this.#record("out", data, source.request, undefined, to);
        return `data: ${data}\n\n`;
      }).join("");
    };
    return new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        try {
          for (;;) {
            if (next !== undefined) {
              const to = next;
              next = undefined;
              const text = await move(to);
              if (text !== "") return controller.enqueue(encoder.encode(text));
            }
            if (reader === undefined) {
              // The next version may listen again
              await new Promise<void>((resolve) => wake = resolve);
              continue;
            }
            const chunk = await reader.read().catch(() => undefined);
            if (next !== undefined) continue;
            if (chunk === undefined || chunk.done) {
              // A version that ended by itself has one after it
              if (again !== undefined && await endedSoon(version) !== undefined) {
                reader = undefined;
                continue;
              }
              const failure = isAnswered ? undefined : await endedSoon(version);
              if (failure !== undefined) {
                controller.enqueue(encoder.encode(this.#lost(source, failure)));
              }
              return end(controller);
            }
            let text = whole(decoder.decode(chunk.value, { stream: true }));
            if (isFirstEvent && text !== "") {
              const at = /\r?\n\r?\n/.exec(text);
              const from = (at?.index ?? 0) + (at?.[0].length ?? 0);
              if (text.slice(0, from).includes("data:")) isFirstEvent = false;
              text = text.slice(from);
            }
            if (text === "") continue;
            parser.feed(text);
            return controller.enqueue(encoder.encode(text));
          }
        } catch (error) {
          end();
          controller.error(error);
        }
      },
      cancel: async () => {
        end();
        wake?.();
        await reader?.cancel().catch(() => {});
      },
    }, { highWaterMark: 0 });
  }

  /** Writes the answer to a call whose version has ended. */
  #lost({ request, message, version }: Source, failure: DevFailure): string {
    const data = JSON.stringify(errorMessage(message?.id, `It ended: ${textOf(failure)}`));
    this.#record("out", data, request, undefined, version);
    return `data: ${data}\n\n`;
  }

  /** Answers a request that no version answers: who calls learns where the error is. */
  #refusal(request: Request, message: RelayMessage | undefined, error: unknown): Response {
    const text = error instanceof NoVersionError
      ? textOf(error.failure)
      : `The server can't be reached: ${error instanceof Error ? error.message : String(error)}`;
    if (message?.method === undefined || message.id === undefined) return plain(503, text);
    const body = JSON.stringify(errorMessage(message.id, text));
    this.#record("out", body, request);
    return new Response(body, { headers: { "content-type": "application/json" } });
  }

  #record(
    way: TraceInit["way"],
    text: string,
    request: Request,
    response?: Response,
    version?: DevVersion,
  ): void {
    // The answer to the first request goes with it, which has no session yet
    const id = request.headers.get(SESSION) ?? undefined;
    for (const each of messageTexts(text)) {
      this.#trace.add({
        way,
        text: each,
        session: id,
        version: request.headers.get("mcp-protocol-version") ?? undefined,
        status: response?.status,
        server: version?.number,
        ...way === "in" && { url: request.url, headers: request.headers },
      });
    }
  }
}

/** How long a version whose connection broke may take to end, in milliseconds. */
const END_MS = 500;

/** Returns how a version has ended, if it has, or does at once. */
async function endedSoon(version: DevVersion): Promise<DevFailure | undefined> {
  if (version.hasEnded()) return await version.ended;
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => resolve(undefined), END_MS);
  const failure = await Promise.race([version.ended, promise]);
  clearTimeout(timer);
  return failure;
}

/** A request on its way. */
interface Given {
  readonly request: Request;
  readonly body: string | undefined;
  readonly message: RelayMessage | undefined;
  readonly version: DevVersion;
}

/** Where a stream comes from. */
interface Source {
  readonly request: Request;
  readonly session: RelaySession | undefined;
  readonly version: DevVersion;
  readonly message: RelayMessage | undefined;
}

/** What the answer to `initialize` was. */
interface OpenedSession {
  readonly session?: RelaySession;
  /** Its text, if it was read. */
  readonly text?: string | undefined;
}

/** Returns the notifications that another version answers, for a stream. */
function changesOf({ session, message }: Source): JsonObject[] {
  if (session !== undefined) {
    return LISTS.filter((list) => isObject(session.capabilities[list]))
      .map((list) => ({ jsonrpc: "2.0", method: `notifications/${list}/list_changed` }));
  }
  const params = message?.params;
  const wanted = isObject(params) ? params["notifications"] : undefined;
  if (message?.id === undefined || !isObject(wanted)) return [];
  const { id } = message;
  return LISTS.filter((list) => wanted[`${list}ListChanged`] === true).map((list) => ({
    jsonrpc: "2.0",
    method: `notifications/${list}/list_changed`,
    params: { _meta: { [SUBSCRIPTION_ID]: id } },
  }));
}

function textOf(failure: NoVersionError["failure"]): string {
  const place = placeText(failure);
  return place === "" ? failure.message : `${place}: ${failure.message}`;
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

function pathOf(request: Request): string {
  const { pathname, search } = new URL(request.url);
  return `${pathname}${search}`;
}

function isLocal(request: Request): boolean {
  const authority = parseAuthority(request.headers.get("host") ?? new URL(request.url).host);
  return authority !== undefined && isLoopback(authority.host);
}

/** Returns the headers for the server. */
function headersTo(request: Request, session: string | null): Headers {
  const headers = new Headers(request.headers);
  for (const name of OWN) headers.delete(name);
  if (session === null) headers.delete(SESSION);
  else headers.set(SESSION, session);
  return headers;
}

/** Returns status and headers for the client. */
function answerInit(response: Response, session?: RelaySession): ResponseInit {
  const headers = new Headers(response.headers);
  for (const name of OWN) headers.delete(name);
  if (session !== undefined && headers.has(SESSION)) headers.set(SESSION, session.id);
  return { status: response.status, headers };
}

/** Reads the body; `false` if it is too long. */
async function bodyOf(request: Request): Promise<string | undefined | false> {
  if (request.body === null) return undefined;
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of request.body) {
    bytes += chunk.byteLength;
    if (bytes > MOST_BYTES) return false;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
