/**
 * Clients whose `client_id` is the address of their own description: Client ID Metadata Documents,
 * draft-ietf-oauth-client-id-metadata-document-00.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { BoundedMap, BoundedSet, isObject, onAbort } from "../../kit.ts";
import { FetchError } from "../fetch/errors.ts";
import { freshForMs } from "./freshness.ts";
import { described } from "./metadata.ts";
import { Rate } from "./rate.ts";
import { ClientError, type SignInClient } from "./types.ts";

/** What {@linkcode DocumentClients} works with. */
export interface DocumentClientsInit {
  /** Reads a document, with all bounds. */
  readonly read: (url: URL, known: boolean) => Promise<Response>;
  /** The longest time that a document is kept, in milliseconds. */
  readonly maxAgeMs: number;
  /** Whether `http:` on loopback is let through. */
  readonly allowInsecure: boolean;
  /** The source of time. */
  readonly clock: Clock;
}

interface Kept {
  readonly client: SignInClient;
  readonly readAt: number;
  readonly freshMs: number;
}

const MOST_KEPT = 1_000;
const ID_CHARACTERS = 2_000;
/** Look-ups in a minute: of unknown documents of one host, of all, and of one known document. */
const OF_A_HOST = 60;
const OF_ALL = 600;
const OF_A_KNOWN = 60;
const MINUTE_MS = 60_000;
/**
 * The time after a failure until the same document is asked for again, in milliseconds. The failure isn't
 * kept, which the draft forbids: who asks meanwhile is told to try again.
 */
const PAUSE_MS = 2_000;

/** Tells whether a `client_id` is meant as the address of a document. */
export function isDocumentId(id: string, allowInsecure: boolean): boolean {
  return /^https:/i.test(id) || allowInsecure && /^http:/i.test(id);
}

/** Reads clients from their documents. Callers that want the same one at a time share one look-up. */
export class DocumentClients {
  readonly #init: DocumentClientsInit;
  readonly #kept = new BoundedMap<string, Kept>(MOST_KEPT);
  /** Those that were right once: a flood of others can't lock them out. */
  readonly #known = new BoundedSet<string>(MOST_KEPT);
  readonly #failed = new BoundedMap<string, number>(MOST_KEPT);
  readonly #pending = new Map<string, Promise<SignInClient>>();
  readonly #ofHost: Rate;
  readonly #ofAll: Rate;
  readonly #ofKnown: Rate;

  constructor(init: DocumentClientsInit) {
    this.#init = init;
    this.#ofHost = new Rate(OF_A_HOST, MINUTE_MS, init.clock);
    this.#ofAll = new Rate(OF_ALL, MINUTE_MS, init.clock);
    this.#ofKnown = new Rate(OF_A_KNOWN, MINUTE_MS, init.clock);
  }

  /**
   * Returns the client that a document describes.
   *
   * @throws {ClientError} If there is none, or a wrong one
   * @throws {AbortSignal["reason"]} If the signal is aborted; the look-up goes on for others
   */
  async find(id: string, signal?: AbortSignal): Promise<SignInClient> {
    const url = documentUrl(id, this.#init.allowInsecure);
    const kept = this.#kept.get(id);
    if (kept !== undefined && this.#since(kept.readAt) < kept.freshMs) return kept.client;
    signal?.throwIfAborted();
    // On Workers nobody may wait for what another request began.
    if (this.#init.clock.perRequest === true) return await this.#begin(id, url);
    const pending = this.#pending.get(id) ?? this.#share(id, url);
    return await untilAborted(pending, signal);
  }

  #share(id: string, url: URL): Promise<SignInClient> {
    const pending = this.#begin(id, url).finally(() => this.#pending.delete(id));
    this.#pending.set(id, pending);
    return pending;
  }

  /** Bounded by the places of `read`, which rejects at once if none is free. */
  async #begin(id: string, url: URL): Promise<SignInClient> {
    const known = this.#known.has(id);
    this.#checkRates(id, url, known);
    try {
      const client = await this.#read(id, url, known);
      this.#failed.delete(id);
      this.#known.add(id);
      return client;
    } catch (error) {
      this.#kept.delete(id);
      if (!(error instanceof FetchError && error.reason === "busy")) {
        this.#failed.set(id, this.#init.clock.now());
      }
      throw asClientError(error);
    }
  }

  #checkRates(id: string, { host }: URL, known: boolean): void {
    const failedAt = this.#failed.get(id);
    if (failedAt !== undefined && this.#since(failedAt) < PAUSE_MS) {
      throw later("The client's document could not be used a moment ago", PAUSE_MS / 1000);
    }
    const waitS = known
      ? this.#ofKnown.take(id)
      : this.#ofHost.take(host) ?? this.#ofAll.take("all");
    if (waitS !== undefined) throw later("Too many documents of clients were read", waitS);
  }

  async #read(id: string, url: URL, known: boolean): Promise<SignInClient> {
    const response = await this.#init.read(url, known);
    const client = clientOf(id, url, await bodyOf(response));
    const readAt = this.#init.clock.now();
    const freshMs = freshForMs(response.headers, readAt, this.#init.maxAgeMs);
    if (freshMs > 0) this.#kept.set(id, { client, readAt, freshMs });
    else this.#kept.delete(id);
    return client;
  }

  /** Returns the milliseconds since a time; also positive if the clock was set back before it. */
  #since(then: number): number {
    return Math.abs(this.#init.clock.now() - then);
  }
}

/** Parses a `client_id` of section 3 of the draft. */
function documentUrl(id: string, allowInsecure: boolean): URL {
  if (id.length > ID_CHARACTERS) throw wrong(`The client_id has over ${ID_CHARACTERS} characters`);
  if (!URL.canParse(id)) throw wrong("The client_id is not a URL");
  const url = new URL(id);
  if (url.protocol !== "https:" && !(allowInsecure && url.protocol === "http:")) {
    throw wrong("The client_id isn't one of https:");
  }
  if (id.includes("#")) throw wrong("The client_id has a fragment");
  if (url.username !== "" || url.password !== "") {
    throw wrong("The client_id has a user name or password");
  }
  // Also refuses segments of dots, which the draft forbids, and every second spelling of an address.
  if (url.href !== id) throw wrong("The client_id is not in the one spelling that URLs have");
  if (url.pathname === "/") throw wrong("The client_id has no path");
  return url;
}

async function bodyOf(response: Response): Promise<unknown> {
  if (response.status !== 200) {
    await response.body?.cancel();
    const redirect = response.status >= 300 && response.status < 400;
    const problem = redirect ? ", and redirects are not followed" : "";
    throw wrong(`The client's document has status ${response.status}${problem}`);
  }
  const [type = ""] = (response.headers.get("content-type") ?? "").toLowerCase().split(";");
  if (!/^application\/([a-z0-9.-]+\+)?json$/.test(type.trim())) {
    await response.body?.cancel();
    throw wrong("The client's document isn't of the type application/json");
  }
  try {
    return await response.json();
  } catch {
    throw wrong("The client's document isn't JSON");
  }
}

function clientOf(id: string, { host }: URL, body: unknown): SignInClient {
  if (!isObject(body)) throw wrong("The client's document isn't a JSON object");
  if (body.client_id !== id) throw wrong("The client's document names another client_id");
  if (body.client_secret !== undefined || body.client_secret_expires_at !== undefined) {
    throw wrong("The client's document has a secret");
  }
  // With a key of its own, a client is public here all the same: the metadata offers "none" alone
  const method = body.token_endpoint_auth_method;
  if (method !== undefined && method !== "none" && method !== "private_key_jwt") {
    throw wrong('The client\'s document asks for another token_endpoint_auth_method than "none"');
  }
  return { id, kind: "document", host, ...described(body, host) };
}

function asClientError(error: unknown): unknown {
  if (error instanceof ClientError && error.code !== "invalid_client") {
    return wrong(`The client's document is wrong: ${error.message}`);
  }
  if (!(error instanceof FetchError)) return error;
  const { reason, message } = error;
  if (reason === "unavailable" || reason === "busy") return later(message, PAUSE_MS / 1000, error);
  return wrong(`The client's document can't be read: ${message}`, error);
}

function wrong(message: string, cause?: Error): ClientError {
  const error = new ClientError("invalid_client", message);
  if (cause !== undefined) error.cause = cause;
  return error;
}

function later(message: string, waitS: number, cause?: Error): ClientError {
  const error = new ClientError("temporarily_unavailable", message, waitS);
  if (cause !== undefined) error.cause = cause;
  return error;
}

async function untilAborted<T>(pending: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await pending;
  const { promise, reject } = Promise.withResolvers<never>();
  const off = onAbort(signal, () => reject(signal.reason));
  try {
    return await Promise.race([promise, pending]);
  } finally {
    off();
  }
}
