/**
 * Keeps records that expire in one Durable Object, for a Worker whose isolates share nothing else.
 *
 * @module
 */
import { MemoryRecords, MemoryRecordTable } from "../cluster/memory/records.ts";
import type { Store } from "../cluster/types.ts";
import { systemClock } from "../internal/clock.ts";
import type {
  RecordKeys,
  RecordStore,
  RecordWrite,
  StoredRecord,
} from "../internal/record_store.ts";
import { SqlTables } from "../sql/sql.ts";
import { StoredMap } from "../sql/stored_map.ts";
import type { DurableNamespace, DurableState } from "./workers_types.ts";

/** The name of the object. */
const NAME = "records";

/** What is asked of the object. */
type RecordOperation =
  | { readonly kind: "get"; readonly key: string }
  | {
    readonly kind: "put";
    readonly key: string;
    readonly value: string;
    readonly write: RecordWrite;
  }
  | { readonly kind: "delete"; readonly key: string; readonly expected?: string | undefined }
  | { readonly kind: "list"; readonly prefix: string; readonly cursor?: string | undefined };

/**
 * The class of the Durable Object that {@linkcode recordsIn} asks: export it from the module of the Worker,
 * and bind it. Its storage must be SQLite. It has 100,000 records at most.
 *
 * @example
 * ```ts
 * import { McpRecords } from "@mooring/mcp/workers";
 *
 * export { McpRecords };
 * ```
 */
export class McpRecords {
  readonly #records: RecordStore;

  /**
   * Reads what is stored. Called by the runtime.
   *
   * @param state The state of the object
   */
  constructor(state: DurableState) {
    const table = new MemoryRecordTable(new StoredMap(new SqlTables(state.storage.sql), "record"));
    this.#records = new MemoryRecords(systemClock, table);
  }

  /** Answers the Worker. Nobody else can reach an object. */
  async fetch(request: Request): Promise<Response> {
    const operation: RecordOperation = await request.json();
    return Response.json(await this.#do(operation) ?? null);
  }

  #do(operation: RecordOperation): unknown {
    switch (operation.kind) {
      case "get":
        return this.#records.get(operation.key);
      case "put":
        return this.#records.put(operation.key, operation.value, operation.write);
      case "delete":
        return this.#records.delete(operation.key, operation.expected);
      case "list":
        return this.#records.list(operation.prefix, operation.cursor);
    }
  }
}

/** {@linkcode RecordStore} in a Durable Object. */
class ObjectRecords implements RecordStore {
  readonly #namespace: DurableNamespace;

  constructor(namespace: DurableNamespace) {
    this.#namespace = namespace;
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    return await this.#ask<StoredRecord | null>({ kind: "get", key }) ?? undefined;
  }

  async put(key: string, value: string, write: RecordWrite): Promise<string | undefined> {
    return await this.#ask<string | null>({ kind: "put", key, value, write }) ?? undefined;
  }

  async delete(key: string, expected?: string): Promise<boolean> {
    return await this.#ask<boolean>({ kind: "delete", key, expected });
  }

  async list(prefix: string, cursor?: string): Promise<RecordKeys> {
    return await this.#ask<RecordKeys>({ kind: "list", prefix, cursor });
  }

  async #ask<Result>(operation: RecordOperation): Promise<Result> {
    const stub = this.#namespace.get(this.#namespace.idFromName(NAME));
    const response = await stub.fetch(
      new Request("https://object/", { method: "POST", body: JSON.stringify(operation) }),
    );
    return await response.json() as Result; // McpRecords has written it
  }
}

/**
 * Returns a store whose records are in one Durable Object: for `signIn()` on Workers, at all isolates. It has
 * nothing else, so a handler doesn't take it.
 *
 * @param namespace The binding to {@linkcode McpRecords}
 * @throws {TypeError} If it is no such binding
 *
 * @example
 * ```ts
 * import { type DurableNamespace, recordsIn } from "@mooring/mcp/workers";
 *
 * const storeOf = (env: { readonly MCP_RECORDS: DurableNamespace }) => recordsIn(env.MCP_RECORDS);
 * console.assert(typeof storeOf === "function");
 * ```
 */
export function recordsIn(namespace: DurableNamespace): Store {
  if (typeof namespace?.idFromName !== "function") {
    throw new TypeError("Bind the Durable Object of the class McpRecords, and give the binding");
  }
  const records = new ObjectRecords(namespace);
  return {
    shared: true,
    durable: true,
    open() {
      throw new TypeError("Give another store to a handler: recordsIn() has records alone");
    },
    records: () => records,
  };
}
