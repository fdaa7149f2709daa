/**
 * Keeps the entries of a map in a table, so that what a store in memory decides is there again after a
 * restart.
 *
 * @module
 */
import type { SqlTables } from "./sql.ts";

/**
 * A map whose entries are stored as JSON: written before they are in the map, so that a failed write changes
 * nothing, and read when it is created. The order of the entries is stored too.
 */
export class StoredMap<V> extends Map<string, V> {
  readonly #tables: SqlTables;
  readonly #kind: string;

  /**
   * Creates a map with the stored entries.
   *
   * @param tables The database
   * @param kind What the entries are: another one for each map of a database
   */
  constructor(tables: SqlTables, kind: string) {
    super();
    this.#tables = tables;
    this.#kind = kind;
    const rows = tables.rows(
      "SELECT key, value FROM mooring_entry WHERE kind = ? ORDER BY seq",
      kind,
    );
    const { sealing } = tables;
    for (const { key, value } of rows) {
      const text = sealing.open(String(value), "mooring_entry", kind, key);
      super.set(sealing.named(String(key)), JSON.parse(text));
    }
  }

  /** Stores an entry. */
  override set(key: string, value: V): this {
    // The constructor of Map sets nothing, so the fields are there.
    const { sealing } = this.#tables;
    const name = sealing.name(key);
    this.#tables.add(
      // An entry that is set again keeps its place, as in any map.
      `INSERT INTO mooring_entry (kind, key, value) VALUES (?, ?, ?)
        ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value`,
      this.#kind,
      name,
      sealing.seal(JSON.stringify(value), "mooring_entry", this.#kind, name),
    );
    return super.set(key, value);
  }

  /** Deletes an entry. */
  override delete(key: string): boolean {
    if (!super.has(key)) return false;
    const name = this.#tables.sealing.name(key);
    this.#tables.change("DELETE FROM mooring_entry WHERE kind = ? AND key = ?", this.#kind, name);
    return super.delete(key);
  }
}
