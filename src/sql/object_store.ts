/**
 * Implements the store of the one session that a Durable Object holds.
 *
 * @module
 */
import { connectNodes } from "../cluster/connect.ts";
import { MemoryBus } from "../cluster/memory/bus.ts";
import { MemoryDocuments } from "../cluster/memory/documents.ts";
import { MemoryLeases } from "../cluster/memory/leases.ts";
import { MemoryClaims, MemoryNodes } from "../cluster/memory/nodes.ts";
import type { Backplane, Store, StoreSettings } from "../cluster/types.ts";
import { SqlEventLog } from "./event_log.ts";
import { SqlSessionStore } from "./session_store.ts";
import { type Sql, SqlTables } from "./sql.ts";

/** A store in SQLite, and what its owner does with it. */
export interface SqlStore extends Store {
  /** The sessions; `undefined` until a handler has opened the store. */
  readonly sessions: SqlSessionStore | undefined;
  /** The event log; `undefined` until a handler has opened the store. */
  readonly log: SqlEventLog | undefined;
  /** Whether the database has anything to delete. */
  readonly used: boolean;
}

/**
 * Creates a store whose sessions and streams are in a SQLite database that only one process uses at a
 * time. What lasts no longer than that process, such as leases, is in memory. Streams whose requests ran in
 * an earlier process are ended with an error for each.
 */
export function sqlStore(sql: Sql): SqlStore {
  const tables = new SqlTables(sql);
  let opened: { sessions: SqlSessionStore; log: SqlEventLog; backplane: Backplane } | undefined;
  return {
    get sessions() {
      return opened?.sessions;
    },
    get log() {
      return opened?.log;
    },
    get used() {
      return tables.exist;
    },
    open: (settings) => (opened ??= open(tables, settings)).backplane,
  };
}

function open(tables: SqlTables, { caps, lifetimes, log: limits, clock }: StoreSettings) {
  const sessions = new SqlSessionStore(tables, caps, lifetimes, clock);
  const log = new SqlEventLog(tables, limits, clock);
  log.endInterrupted();
  const backplane: Backplane = {
    sessions,
    log,
    bus: new MemoryBus(),
    leases: new MemoryLeases(),
    nodes: new MemoryNodes(clock),
    claims: new MemoryClaims(clock),
    documents: new MemoryDocuments(),
    connect: connectNodes,
    durable: true,
  };
  return { sessions, log, backplane };
}
