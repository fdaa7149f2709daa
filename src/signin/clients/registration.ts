/**
 * Clients that register themselves: Dynamic Client Registration, RFC 7591.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import type { RecordStore } from "../../cluster/mod.ts";
import { isObject, randomText } from "../../kit.ts";
import { networkOf } from "../fetch/addresses.ts";
import { readJson } from "../sealed_records.ts";
import { described, grantsOf } from "./metadata.ts";
import { Rate } from "./rate.ts";
import { ClientError, type SignInClient } from "./types.ts";

/** What {@linkcode RegisteredClients} works with. */
export interface RegisteredClientsInit {
  /** Where they are stored. */
  readonly records: RecordStore;
  /** Registrations of one sender in an hour. */
  readonly perSenderHourly: number;
  /** Registrations of all senders in an hour. */
  readonly perHour: number;
  /** The time until a client that isn't used is forgotten, in milliseconds. */
  readonly expiresMs: number;
  /** Whether tokens can be bound to a key. */
  readonly bindsTokens: boolean;
  /** The source of time. */
  readonly clock: Clock;
}

/** What is stored of a client. */
interface Stored {
  readonly client: Omit<SignInClient, "id" | "kind">;
  /** When its time to live last began, in milliseconds since the epoch; absent if nobody has signed in. */
  readonly usedAt?: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/**
 * The longest time until a client is forgotten with which nobody has signed in, in milliseconds. With the
 * rate of all senders together, it bounds what a flood of registrations takes of the store.
 */
const UNUSED_MS = 3 * DAY_MS;
const ID = /^registered_[A-Za-z0-9_-]{32}$/;
/** The characters of all metadata together, as JSON. */
const MOST_CHARACTERS = 20_000;
const KEY = "client:";

/** Registers clients, and finds those that are registered. */
export class RegisteredClients {
  readonly #init: RegisteredClientsInit;
  readonly #bySender: Rate;
  readonly #all: Rate;

  constructor(init: RegisteredClientsInit) {
    this.#init = init;
    this.#bySender = new Rate(init.perSenderHourly, HOUR_MS, init.clock);
    this.#all = new Rate(init.perHour, HOUR_MS, init.clock);
  }

  /**
   * Registers a client. It gets no secret, whichever method it asks for: RFC 7591 section 2 lets a server
   * replace what a client wants, and the answer says what it has.
   *
   * @throws {ClientError} If the metadata is wrong, too many are registered, or the store is full
   */
  async register(metadata: unknown, from: string): Promise<Record<string, unknown>> {
    if (!isObject(metadata) || JSON.stringify(metadata).length > MOST_CHARACTERS) {
      throw new ClientError(
        "invalid_client_metadata",
        `Give a JSON object of at most ${MOST_CHARACTERS} characters`,
      );
    }
    const { dpopBound, ...others } = described(metadata, "A client without a name");
    // What can't be kept is left out, here and in the answer (RFC 7591 §2)
    const isBound = dpopBound === true && this.#init.bindsTokens;
    const client = { ...others, ...isBound && { dpopBound: true } };
    const waitS = this.#bySender.take(networkOf(from)) ?? this.#all.take("all");
    if (waitS !== undefined) {
      throw new ClientError("too_many_requests", "Too many clients were registered", waitS);
    }
    const id = `registered_${randomText(32)}`;
    const now = this.#init.clock.now();
    await this.#write(id, { client }, null);
    return {
      client_id: id,
      client_id_issued_at: Math.floor(now / 1000),
      client_name: client.name,
      redirect_uris: [...client.redirectUris],
      token_endpoint_auth_method: "none",
      grant_types: grantsOf(metadata.grant_types),
      response_types: ["code"],
      ...(client.scope === undefined ? {} : { scope: client.scope }),
      ...(client.uri === undefined ? {} : { client_uri: client.uri }),
      ...(client.logoUri === undefined ? {} : { logo_uri: client.logoUri }),
      ...isBound && { dpop_bound_access_tokens: true },
    };
  }

  /** Returns a registered client. */
  async find(id: string): Promise<SignInClient | undefined> {
    const found = await this.#read(id);
    return found && { ...found.value.client, id, kind: "registered" };
  }

  /** Begins a client's time to live anew, at most once a day. Returns whether there is one. */
  async renew(id: string): Promise<boolean> {
    const found = await this.#read(id);
    if (found === undefined) return false;
    const { value: { client, usedAt = -Infinity }, version } = found;
    const { clock, expiresMs } = this.#init;
    const now = clock.now();
    if (Math.abs(now - usedAt) >= Math.min(DAY_MS, expiresMs / 10)) {
      // Another node may be first: then the time begins anew by its hand.
      await this.#write(id, { client, usedAt: now }, version).catch(() => {});
    }
    return true;
  }

  async #read(id: string) {
    if (!ID.test(id)) return undefined;
    // Written below, and sealed by who gave the store
    return await readJson<Stored>(this.#init.records, KEY + id);
  }

  async #write(id: string, stored: Stored, expected: string | null): Promise<void> {
    try {
      const { records, expiresMs } = this.#init;
      const ttlMs = stored.usedAt === undefined ? Math.min(UNUSED_MS, expiresMs) : expiresMs;
      await records.put(KEY + id, JSON.stringify(stored), { ttlMs, expected });
    } catch (cause) {
      const error = new ClientError(
        "temporarily_unavailable",
        "The client can't be stored now",
        60,
      );
      error.cause = cause;
      throw error;
    }
  }
}
