/**
 * Implements the store of one process in a SQLite file: a restart loses nothing.
 *
 * @module
 */
import { connectNodes } from "../cluster/connect.ts";
import { MemoryBus } from "../cluster/memory/bus.ts";
import { MemoryDocuments } from "../cluster/memory/documents.ts";
import { MemoryLeases } from "../cluster/memory/leases.ts";
import { MemoryClaims, MemoryNodes } from "../cluster/memory/nodes.ts";
import { MemoryCounts, MemoryQuotas } from "../cluster/memory/quotas.ts";
import { MemoryRecords, MemoryRecordTable } from "../cluster/memory/records.ts";
import { MemoryTaskStore } from "../cluster/memory/tasks.ts";
import type { Backplane, Store, StoreSettings } from "../cluster/types.ts";
import { fromBase64Url, toBase64Url } from "../internal/base64.ts";
import { integerOption, keysOption } from "../internal/check.ts";
import { checkNames, type NamesOf } from "../internal/known_names.ts";
import { SqlFile } from "./file.ts";
import { SqlSessionStore } from "./session_store.ts";
import { SqlRunLog } from "./run_log.ts";
import { openTables } from "./sealing.ts";
import type { SqlTables } from "./sql.ts";
import { StoredMap } from "./stored_map.ts";

/** Options for {@linkcode sqliteStore}. */
export interface SqliteStoreOptions {
  /** The path of the file, which is created if it isn't there. Its folder must exist. */
  readonly path: string;
  /**
   * The maximum size of the file, in bytes. When it is reached, what needs more room gets a 503 until
   * something has ended. Beside it there is a write-ahead log of about 16 megabytes.
   *
   * @default {1073741824}
   */
  readonly maxBytes?: number;
  /**
   * What a power cut may take. `"normal"`: what was stored in the last moments. `"full"`: nothing, at the
   * price of a write to the disk for each change. A process that is killed loses nothing with either.
   *
   * @default {"normal"}
   */
  readonly synchronous?: "normal" | "full";
  /**
   * Secrets of 32 bytes or more that seal what the file has: the first seals, all open. When the first is
   * another one than that of the file, or the file is in the clear, it is sealed anew as it is opened, so
   * that the old one can be left out the next time. Without keys, the file is in the clear.
   */
  readonly keys?: readonly (string | Uint8Array)[];
}

const OPTIONS = {
  path: true,
  maxBytes: true,
  synchronous: true,
  keys: true,
} satisfies NamesOf<SqliteStoreOptions>;

/** A store in a SQLite file. Close it after the handlers that use it. */
export interface SqliteStore extends Store, Disposable {
  /** Closes the file. Safe to call twice. */
  close(): void;
}

/** The size of a file when none is given, in bytes. */
const MAX_BYTES = 1024 * 1024 * 1024;
/** The time between two looks for unused pages and for sessions in use, in milliseconds. */
const TEND_MS = 30_000;

/**
 * Opens a store in a SQLite file, for the handlers of one process. Sessions with their state, subscriptions
 * and streams, tasks, shared documents, records, the state of users and kept answers are there again when the process is restarted: clients
 * go on where they were. Calls that were running end with an error that says so, or are begun again if the
 * tool has `retryOnNodeLoss`. Handlers with the same
 * store are one endpoint; the settings of the first apply to all.
 *
 * Without `keys`, the file has what sessions hold in the clear. One that is created can be read and written by its owner
 * alone. Needs a runtime with `node:sqlite`: Deno, Bun, or Node from 22.13 on.
 *
 * @throws {TypeError} If an option is unknown or has the wrong type
 * @throws {RangeError} If `maxBytes` is less than 1 MiB, or a key has less than 32 bytes
 * @throws {SqliteStoreError} If the file can't be used: another process uses it, it can't be written, is
 * damaged, is sealed with another key, or was written by a newer version
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { sqliteStore } from "@mooring/mcp/sqlite";
 *
 * using store = sqliteStore({ path: ":memory:" }); // such as "./mcp.sqlite"
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), { store });
 * ```
 */
export function sqliteStore(options: SqliteStoreOptions): SqliteStore {
  checkNames("sqliteStore()", options, OPTIONS);
  const { path, synchronous = "normal" } = options;
  if (typeof path !== "string" || path === "") {
    throw new TypeError(`Give the path of a file as "path": ${JSON.stringify(path)}`);
  }
  if (synchronous !== "normal" && synchronous !== "full") {
    throw new TypeError(`Give "normal" or "full" as "synchronous": ${JSON.stringify(synchronous)}`);
  }
  const maxBytes = integerOption("maxBytes", options.maxBytes, MAX_BYTES, 1024 * 1024);
  const keys = keysOption("keys", options.keys ?? []);
  return storeIn(new SqlFile({ path, maxBytes, synchronous }), keys, path);
}

/** Creates a store in an open file, which it closes. */
export function storeIn(
  file: SqlFile,
  keys: readonly (string | Uint8Array)[] = [],
  path = "",
): SqliteStore {
  const tables = tablesOf(file, keys, path);
  const counts = new MemoryCounts();
  let records: MemoryRecordTable | undefined;
  let users: MemoryRecordTable | undefined;
  let answers: MemoryRecordTable | undefined;
  let backplane: Backplane | undefined;
  let log: SqlRunLog | undefined;
  let stop: (() => void) | undefined;
  let closed = false;
  const close = (): void => {
    if (closed) return;
    closed = true;
    stop?.();
    log?.close();
    file.close();
  };
  return {
    durable: path !== ":memory:",
    open(settings) {
      if (backplane !== undefined) return backplane;
      const opened = open(tables, settings);
      const { sessions } = opened;
      ({ log } = opened);
      backplane = opened;
      const { clock } = settings;
      const tendLater = (): void => {
        stop = clock.timer(TEND_MS, () => {
          try {
            sessions.noteHeld();
            file.shrink();
          } catch {
            // A full disk, or a damaged file: what needs the store says so.
          }
          tendLater();
        });
      };
      tendLater();
      return backplane;
    },
    quotas: (clock) => new MemoryQuotas(clock, counts),
    records: (clock) => new MemoryRecords(clock, records ??= recordTable(tables, "record")),
    userStates: (clock, most) =>
      new MemoryRecords(clock, users ??= recordTable(tables, "user"), most),
    answers: (clock, most) =>
      new MemoryRecords(clock, answers ??= recordTable(tables, "answer"), most),
    close,
    [Symbol.dispose]: close,
  };
}

/** A backplane with the types of its own parts. */
type SqlBackplane = Backplane & { readonly sessions: SqlSessionStore; readonly log: SqlRunLog };

function tablesOf(
  file: SqlFile,
  keys: readonly (string | Uint8Array)[],
  path: string,
): SqlTables {
  try {
    return openTables(file, keys, path);
  } catch (error) {
    file.close();
    throw error;
  }
}

function open(
  tables: SqlTables,
  { caps, lifetimes, log: limits, clock }: StoreSettings,
): SqlBackplane {
  const sessions = new SqlSessionStore(tables, caps, lifetimes, clock);
  const log = new SqlRunLog(tables, limits, clock);
  return {
    sessions,
    log,
    bus: new MemoryBus(),
    leases: new MemoryLeases(),
    nodes: new MemoryNodes(clock),
    claims: new MemoryClaims(clock, new StoredMap(tables, "claim")),
    documents: new MemoryDocuments(new StoredMap(tables, "document")),
    tasks: new MemoryTaskStore(clock, new StoredMap(tables, "task")),
    connect: connectNodes,
    durable: true,
    secret: secretOf(tables),
  };
}

/** Returns the secret of all processes that use the file one after the other. */
function secretOf(tables: SqlTables): Uint8Array {
  const meta = new StoredMap<string>(tables, "meta");
  const known = fromBase64Url(meta.get("secret") ?? "");
  if (known?.length === 32) return known;
  const secret = crypto.getRandomValues(new Uint8Array(32));
  meta.set("secret", toBase64Url(secret));
  return secret;
}

function recordTable(tables: SqlTables, kind: string): MemoryRecordTable {
  return new MemoryRecordTable(new StoredMap(tables, kind));
}
