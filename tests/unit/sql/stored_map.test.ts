import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryRecords, MemoryRecordTable } from "../../../src/cluster/memory/records.ts";
import { SqlTables } from "../../../src/sql/sql.ts";
import { StoredMap } from "../../../src/sql/stored_map.ts";
import { allKeys } from "../../contracts/record_store.ts";
import { FakeClock } from "../../support/clock.ts";
import { memorySql } from "../../support/sqlite.ts";

describe("StoredMap", () => {
  test("[DUR-1] has its entries in their order when it is opened again, as the map before had", () => {
    const sql = memorySql();
    const open = (kind = "a") => new StoredMap<number>(new SqlTables(sql), kind);
    const map = open();
    for (const [at, key] of ["x", "y", "z"].entries()) map.set(key, at);
    open("b").set("y", 9);
    map.set("x", 5);
    map.delete("y");
    map.set("y", 7);
    assert.deepEqual([...open()], [...map]);
    assert.deepEqual([...map], [["x", 5], ["z", 2], ["y", 7]]);
    assert.deepEqual([...open("b")], [["y", 9]]);
    sql.close();
  });

  test("[DUR-1] a write that fails changes nothing", () => {
    const sql = memorySql();
    const tables = new SqlTables(sql);
    const map = new StoredMap<number>(tables, "a");
    map.set("x", 1);
    tables.read(
      "CREATE TRIGGER full BEFORE UPDATE ON mooring_entry BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    assert.throws(() => map.set("x", 2), /full/);
    assert.equal(map.get("x"), 1);
    sql.close();
  });

  test("[FRONT-20] records are listed whole after a restart, whatever was written again before it", async () => {
    const clock = new FakeClock();
    const sql = memorySql();
    const open = () =>
      new MemoryRecords(
        clock,
        new MemoryRecordTable(new StoredMap(new SqlTables(sql), "record")),
      );
    const records = open();
    const names = Array.from({ length: 250 }, (_, at) => `k${at}`);
    for (const name of names) records.put(name, "1", { ttlMs: 60_000 });
    for (const name of names.slice(0, 120)) records.put(name, "2", { ttlMs: 60_000 });
    const found = await allKeys(open(), "k");
    assert.deepEqual(found.sort(), [...names].sort());
    sql.close();
  });
});
