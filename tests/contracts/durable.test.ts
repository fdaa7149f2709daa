import { SqlEventLog } from "../../src/durable/event_log.ts";
import { SqlSessionStore } from "../../src/durable/session_store.ts";
import { SqlTables } from "../../src/durable/sql.ts";
import { FakeClock } from "../support/clock.ts";
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
