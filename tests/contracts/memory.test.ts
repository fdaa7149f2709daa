import { MemoryBus } from "../../src/cluster/memory/bus.ts";
import { MemoryDocuments } from "../../src/cluster/memory/documents.ts";
import { MemoryLeases } from "../../src/cluster/memory/leases.ts";
import { MemoryClaims, MemoryNodes } from "../../src/cluster/memory/nodes.ts";
import { MemoryQuotas } from "../../src/cluster/memory/quotas.ts";
import { MemoryRecords, MemoryRecordTable } from "../../src/cluster/memory/records.ts";
import { MemorySessionStore } from "../../src/sessions/memory_store.ts";
import { MemoryEventLog } from "../../src/streams/memory_log.ts";
import { MemoryTaskStore } from "../../src/cluster/memory/tasks.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { busContract } from "./bus.ts";
import { documentsContract } from "./documents.ts";
import { eventLogContract } from "./event_log.ts";
import { leasesContract } from "./leases.ts";
import { nodesContract } from "./nodes.ts";
import { quotasContract } from "./quotas.ts";
import { recordStoreContract } from "./record_store.ts";
import { sessionStoreContract } from "./session_store.ts";
import { taskStoreContract } from "./task_store.ts";

eventLogContract("MemoryEventLog", (limits) => {
  const clock = new FakeClock();
  return {
    log: new MemoryEventLog(limits, clock),
    advance: (ms) => clock.advance(ms),
    close() {},
  };
});

sessionStoreContract("MemorySessionStore", ({ caps, lifetimes }) => {
  const clock = new FakeClock();
  return {
    store: new MemorySessionStore(caps, lifetimes, clock),
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close() {},
  };
});

busContract("MemoryBus", () => {
  const bus = new MemoryBus();
  return { bus: () => bus, settle: flush, close() {} };
});

leasesContract("MemoryLeases", () => {
  const leases = new MemoryLeases();
  return { leases: () => leases, settle: flush, advance: flush, close() {} };
});

nodesContract("Memory", () => {
  const clock = new FakeClock();
  const nodes = new MemoryNodes(clock);
  const claims = new MemoryClaims(clock);
  return {
    nodes: () => nodes,
    claims: () => claims,
    advance: (ms) => clock.advance(ms),
    close() {},
  };
});

documentsContract("MemoryDocuments", () => {
  const documents = new MemoryDocuments();
  return { documents: () => documents, close() {} };
});

quotasContract("MemoryQuotas", () => {
  const clock = new FakeClock();
  const quotas = new MemoryQuotas(clock);
  return { quotas: () => quotas, advance: (ms) => clock.advance(ms), close() {} };
});

taskStoreContract("MemoryTaskStore", () => {
  const clock = new FakeClock();
  const store = new MemoryTaskStore(clock);
  return {
    store,
    other: store,
    now: () => clock.now(),
    advance: (ms) => clock.advance(ms),
    close() {},
  };
});

recordStoreContract("MemoryRecords", () => {
  const clock = new FakeClock();
  const table = new MemoryRecordTable();
  return {
    records: (most) => new MemoryRecords(clock, table, most),
    advance: (ms) => clock.advance(ms),
    close() {},
  };
});
