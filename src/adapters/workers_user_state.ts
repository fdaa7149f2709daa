/**
 * Keeps the state of each user in a Durable Object of its own, of the class that sessions have too.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import type { RecordWrite, StoredRecord } from "../internal/record_store.ts";
import type { OwnedRecords } from "../sessions/owned_values.ts";
import { SqlTables } from "../sql/sql.ts";
import { StoredMap } from "../sql/stored_map.ts";
import { operationRequest } from "./workers_routing.ts";
import type { DurableNamespace, DurableStorage } from "./workers_types.ts";

/** The characters of a version: random, as no two writes may have the same. */
const VERSION_CHARS = 16;
/** The only key in an object. */
const KEY = "state";

/** What is asked of the object of a user. */
type StateOperation =
  | { readonly kind: "get" }
  | { readonly kind: "put"; readonly value: string; readonly write: RecordWrite }
  | { readonly kind: "delete"; readonly expected: string | undefined };

/** The records of users, each in the object of its name. */
export class UserObjects implements OwnedRecords {
  readonly #namespace: () => DurableNamespace;

  /** @param namespace Returns the binding to the objects, or throws what is wrong with it */
  constructor(namespace: () => DurableNamespace) {
    this.#namespace = namespace;
  }

  async get(name: string): Promise<StoredRecord | undefined> {
    return await this.#ask<StoredRecord | null>(name, { kind: "get" }) ?? undefined;
  }

  async put(name: string, value: string, write: RecordWrite): Promise<string | undefined> {
    return await this.#ask<string | null>(name, { kind: "put", value, write }) ?? undefined;
  }

  async delete(name: string, expected?: string): Promise<boolean> {
    return await this.#ask<boolean>(name, { kind: "delete", expected });
  }

  async #ask<Result>(name: string, operation: StateOperation): Promise<Result> {
    const namespace = this.#namespace();
    const stub = namespace.get(namespace.idFromName(name));
    const response = await stub.fetch(operationRequest(name, "user-state", operation));
    return await response.json() as Result; // UserObject has written it
  }
}

/** A record as its object stores it. */
interface KeptRecord extends StoredRecord {
  /** When it expires, in milliseconds since the epoch; `null` for never. */
  readonly until: number | null;
}

/** The record of the user whose object this is. */
export class UserObject {
  readonly #storage: DurableStorage;
  readonly #tables: SqlTables;
  readonly #now: () => number;
  #records: StoredMap<KeptRecord>;
  /** When the alarm is set for, if this instance has set it. */
  #alarmAt: number | undefined;

  constructor(storage: DurableStorage, now: () => number) {
    this.#storage = storage;
    this.#now = now;
    this.#tables = new SqlTables(storage.sql);
    this.#records = new StoredMap(this.#tables, "user");
  }

  /** Whether the object stores a user's record, perhaps one that has expired. */
  get used(): boolean {
    return this.#records.has(KEY);
  }

  /** Answers {@linkcode UserObjects}. */
  async answer(request: Request): Promise<Response> {
    const operation: StateOperation = await request.json();
    return Response.json(await this.#do(operation));
  }

  /** Deletes the record if it has expired. */
  async alarm(): Promise<void> {
    this.#alarmAt = undefined;
    const kept = this.#records.get(KEY);
    if (kept !== undefined && this.#current !== undefined) await this.#setAlarm(kept.until);
    else await this.#clear();
  }

  async #do(operation: StateOperation): Promise<unknown> {
    const found = this.#current;
    switch (operation.kind) {
      case "get":
        return found === undefined ? null : { value: found.value, version: found.version };
      case "put": {
        const { value, write: { ttlMs, expected } } = operation;
        if (expected !== undefined && (found?.version ?? null) !== expected) return null;
        const version = randomText(VERSION_CHARS);
        // JSON has no Infinity.
        const until = ttlMs === null ? null : this.#now() + ttlMs;
        this.#records.set(KEY, { value, version, until });
        await this.#setAlarm(until);
        return version;
      }
      case "delete":
        if (found === undefined) return false;
        if (operation.expected !== undefined && operation.expected !== found.version) return false;
        await this.#clear();
        return true;
    }
  }

  get #current(): KeptRecord | undefined {
    const kept = this.#records.get(KEY);
    const expired = kept !== undefined && kept.until !== null && kept.until <= this.#now();
    return expired ? undefined : kept;
  }

  /** Sets the alarm, unless it is set for then or before: it looks again. */
  async #setAlarm(until: number | null): Promise<void> {
    if (until === null || (this.#alarmAt !== undefined && this.#alarmAt <= until)) return;
    this.#alarmAt = until;
    await this.#storage.setAlarm(until);
  }

  async #clear(): Promise<void> {
    this.#records.delete(KEY);
    this.#alarmAt = undefined;
    await this.#storage.deleteAlarm();
    // Another request may have written meanwhile.
    if (!this.used && this.#tables.exist) {
      this.#tables.forget();
      await this.#storage.deleteAll();
    }
  }
}
