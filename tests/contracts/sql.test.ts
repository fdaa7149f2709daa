import { SqlEventLog } from "../../src/sql/event_log.ts";
import { SqlSessionStore } from "../../src/sql/session_store.ts";
import { SqlTables } from "../../src/sql/sql.ts";
import { MemoryDocuments } from "../../src/cluster/memory/documents.ts";
import { MemoryClaims, MemoryNodes } from "../../src/cluster/memory/nodes.ts";
import { MemoryRecords, MemoryRecordTable } from "../../src/cluster/memory/records.ts";
import { MemoryTaskStore } from "../../src/cluster/memory/tasks.ts";
import { SqlFile } from "../../src/sql/file.ts";
import { openTables } from "../../src/sql/sealing.ts";
import { StoredMap } from "../../src/sql/stored_map.ts";
import { FakeClock } from "../support/clock.ts";
import { documentsContract } from "./documents.ts";
import { nodesContract } from "./nodes.ts";
import { recordStoreContract } from "./record_store.ts";
import { taskStoreContract } from "./task_store.ts";
import { memorySql } from "../support/sqlite.ts";
import { eventLogContract } from "./event_log.ts";
import { sessionStoreContract } from "./session_store.ts";

eventLogContract("SqlEventLog", (limits) => {
  const clock = new FakeClock();
  const sql = memorySql();
  return {
    log: new SqlEventLog(new SqlTables(sql), limits, clock),
    advance: (ms) => clock.advance(ms),
    close: () => sql.close(),
  };
});

sessionStoreContract("SqlSessionStore", ({ caps, lifetimes }) => {
  const clock = new FakeClock();
  const sql = memorySql();
  return {
    store: new SqlSessionStore(new SqlTables(sql), caps, lifetimes, clock),
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close: () => sql.close(),
  };
});

/** Makes a sealed file in memory, as `sqliteStore` opens one. */
function fileInMemory(): { readonly tables: SqlTables; close(): void } {
  const file = new SqlFile({ path: ":memory:", maxBytes: 1 << 30, synchronous: "normal" });
  const tables = openTables(file, ["a key of thirty-two bytes or more"], ":memory:");
  return { tables, close: () => file.close() };
}

eventLogContract("SqlEventLog in a sealed file", (limits) => {
  const clock = new FakeClock();
  const { tables, close } = fileInMemory();
  return {
    log: new SqlEventLog(tables, limits, clock),
    advance: (ms) => clock.advance(ms),
    close,
  };
});

sessionStoreContract("SqlSessionStore in a sealed file", ({ caps, lifetimes }) => {
  const clock = new FakeClock();
  const { tables, close } = fileInMemory();
  return {
    store: new SqlSessionStore(tables, caps, lifetimes, clock),
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close,
  };
});

taskStoreContract("MemoryTaskStore with stored tasks", () => {
  const clock = new FakeClock();
  const { tables, close } = fileInMemory();
  const store = new MemoryTaskStore(clock, new StoredMap(tables, "task"));
  return {
    store,
    other: store,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close,
  };
});

nodesContract("MemoryClaims with stored claims", () => {
  const clock = new FakeClock();
  const { tables, close } = fileInMemory();
  const nodes = new MemoryNodes(clock);
  const claims = new MemoryClaims(clock, new StoredMap(tables, "claim"));
  return {
    nodes: () => nodes,
    claims: () => claims,
    advance: (ms) => clock.advance(ms),
    close,
  };
});

documentsContract("MemoryDocuments with stored documents", () => {
  const { tables, close } = fileInMemory();
  const documents = new MemoryDocuments(new StoredMap(tables, "document"));
  return { documents: () => documents, close };
});

recordStoreContract("MemoryRecords with stored records", () => {
  const clock = new FakeClock();
  const { tables, close } = fileInMemory();
  const table = new MemoryRecordTable(new StoredMap(tables, "record"));
  return {
    records: (most) => new MemoryRecords(clock, table, most),
    advance: (ms) => clock.advance(ms),
    close,
  };
});
