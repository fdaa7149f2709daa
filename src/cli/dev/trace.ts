/**
 * Keeps the last messages between clients and the server, both ways, within a bound.
 *
 * @module
 */
import { BoundedMap, isObject, shortHash } from "../../kit.ts";

/** A message, or what happened to the server. */
export interface TraceEntry {
  /** Counts the entries, from 1. */
  readonly seq: number;
  /** When it passed, in milliseconds since 1970. */
  readonly at: number;
  /** From the client (`in`), to the client (`out`), or about the server (`server`). */
  readonly way: "in" | "out" | "server";
  /** A short hash of the session's id. */
  readonly session?: string | undefined;
  /** The protocol version, if the message's headers name it. */
  readonly version?: string | undefined;
  readonly kind: "request" | "response" | "error" | "notification" | "other";
  /** The method; of an answer, that of its request. */
  readonly method?: string | undefined;
  /** What a request is about: a tool, a prompt, a resource. */
  readonly name?: string | undefined;
  readonly id?: string | number | undefined;
  /** From the request to its answer, in milliseconds. */
  readonly ms?: number | undefined;
  /** The HTTP status of an answer that came without a stream. */
  readonly status?: number | undefined;
  /** Which version of the server. */
  readonly server?: number | undefined;
  /** The number of characters of the message. */
  readonly size: number;
  /** The message, up to {@linkcode MAX_TEXT} characters. */
  readonly text: string;
}

/** An entry, with what only a copy that asks for it shows. */
export interface KeptEntry extends TraceEntry {
  /** The URL that it was sent to. */
  readonly url?: string | undefined;
  /** The headers of its request which a copy needs. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What {@linkcode Trace.add} is told. */
export interface TraceInit {
  readonly way: "in" | "out";
  readonly text: string;
  /** The id of the session: a secret. */
  readonly session?: string | undefined;
  readonly version?: string | undefined;
  readonly status?: number | undefined;
  readonly server?: number | undefined;
  readonly url?: string | undefined;
  readonly headers?: Headers | undefined;
}

/** The most entries, and characters of them all. */
const MOST_ENTRIES = 1_000;
const MOST_CHARACTERS = 8 * 1024 * 1024;
/** The most characters of a message that are kept. */
export const MAX_TEXT = 64 * 1024;
/** Requests whose answers are awaited. */
const MOST_OPEN = 2_000;
/** Characters of a name. */
const MAX_NAME = 200;
/** The headers that a copy needs, and the most of them. */
const KEPT_HEADER = /^(?:authorization$|mcp-)/;
const MOST_HEADERS = 40;

/** The last messages. */
export class Trace {
  readonly #now: () => number;
  readonly #entries: KeptEntry[] = [];
  readonly #open = new BoundedMap<string, { readonly at: number; readonly method: string }>(
    MOST_OPEN,
  );
  readonly #listeners = new Set<() => void>();
  #characters = 0;
  #seq = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  /** The number of the last entry. */
  get last(): number {
    return this.#seq;
  }

  /** Adds a message. */
  add(init: TraceInit): void {
    const { way, text, session, headers } = init;
    const at = this.#now();
    const message = parse(text);
    const method = isObject(message) && typeof message["method"] === "string"
      ? message["method"]
      : undefined;
    const id = isObject(message) ? idOf(message["id"]) : undefined;
    // Both sides count their requests from their own beginning
    const key = (side: string) => `${side} ${session ?? ""} ${typeof id} ${id}`;
    const kind = kindOf(message, method, id);
    const asked = kind === "response" || kind === "error"
      ? this.#open.get(key(way === "in" ? "out" : "in"))
      : undefined;
    if (kind === "request" && method !== undefined) this.#open.set(key(way), { at, method });
    if (asked !== undefined) this.#open.delete(key(way === "in" ? "out" : "in"));
    const kept = Object.fromEntries(
      [...headers ?? []].filter(([name]) => KEPT_HEADER.test(name)).slice(0, MOST_HEADERS),
    );
    this.#push({
      ...{ at, way, kind, id, method: method ?? asked?.method, name: nameOf(message) },
      ...{ version: init.version, status: init.status, server: init.server, url: init.url },
      ...asked !== undefined && { ms: at - asked.at },
      ...session !== undefined && { session: shortHash(session) },
      ...headers !== undefined && { headers: kept },
      size: text.length,
      text: text.slice(0, MAX_TEXT),
    });
  }

  /** Adds what happened to the server. */
  note(method: string, text: string, server?: number): void {
    this.#push({
      ...{ at: this.#now(), way: "server", kind: "other", method, server },
      size: text.length,
      text: text.slice(0, MAX_TEXT),
    });
  }

  /** Returns the entries after one, oldest first, up to a number of them. */
  after(seq: number, most: number): readonly TraceEntry[] {
    const at = this.#entries.findIndex((entry) => entry.seq > seq);
    if (at < 0) return [];
    return this.#entries.slice(at, at + most).map(({ headers: _headers, ...entry }) => entry);
  }

  /** Returns an entry, if it is kept still. */
  get(seq: number): KeptEntry | undefined {
    return this.#entries.find((entry) => entry.seq === seq);
  }

  /** Returns the answer to an entry that is a request, if it is kept. */
  answerTo(request: KeptEntry): KeptEntry | undefined {
    const way = request.way === "in" ? "out" : "in";
    return this.#entries.find((entry) =>
      entry.seq > request.seq && entry.way === way && entry.id === request.id &&
      entry.session === request.session &&
      (entry.kind === "response" || entry.kind === "error")
    );
  }

  /** Forgets every entry. */
  clear(): void {
    this.#entries.length = 0;
    this.#characters = 0;
  }

  /** Calls a listener after each new entry. Returns what ends that. */
  onEntry(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #push(entry: Omit<KeptEntry, "seq">): void {
    this.#entries.push({ seq: ++this.#seq, ...entry });
    this.#characters += entry.text.length;
    while (this.#entries.length > MOST_ENTRIES || this.#characters > MOST_CHARACTERS) {
      this.#characters -= this.#entries.shift()?.text.length ?? 0;
    }
    for (const listener of [...this.#listeners]) listener();
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function idOf(value: unknown): string | number | undefined {
  return typeof value === "string" || typeof value === "number" ? value : undefined;
}

function kindOf(message: unknown, method: string | undefined, id: unknown): TraceEntry["kind"] {
  if (!isObject(message)) return "other";
  if (method !== undefined) return id === undefined ? "notification" : "request";
  if ("error" in message) return "error";
  return "result" in message ? "response" : "other";
}

function nameOf(message: unknown): string | undefined {
  const params = isObject(message) ? message["params"] : undefined;
  if (!isObject(params)) return undefined;
  const name = params["name"] ?? params["uri"];
  return typeof name === "string" ? name.slice(0, MAX_NAME) : undefined;
}
