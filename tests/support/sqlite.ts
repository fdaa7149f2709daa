/**
 * A database in memory that answers as the storage of a Durable Object does.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import type { Sql, SqlValue } from "../../src/sql/sql.ts";

/** Makes an empty database. */
export function memorySql(): Sql & { close(): void } {
  const database = new DatabaseSync(":memory:");
  return {
    exec(query, ...bindings) {
      // Rows are plain objects of values of these types.
      const rows = database.prepare(query).all(
        ...bindings as (string | number | null)[],
      ) as Record<string, SqlValue>[];
      return { toArray: () => rows };
    },
    close: () => database.close(),
  };
}
