/**
 * Seals what a SQLite file has with keys of the user's choice: contents as different texts each time, and
 * names, by which rows are found, always as the same.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { BoundedMap } from "../internal/bounded_map.ts";
import { SyncSealer } from "../internal/sync_sealer.ts";
import { SqliteStoreError } from "./file.ts";
import { PLAIN, type RowName, type Sealing, type Sql, SqlTables, type SqlValue } from "./sql.ts";

const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PURPOSE = "mooring sqlite 1";
/** The sealed names that are remembered. */
const MOST_NAMES = 10_000;
/** The text that shows with which key a file is sealed, and its row. */
const CHECK = "mooring";
const CHECK_ROW: RowName = ["mooring_entry", "seal", "check"];
/** The number of events that are sealed anew at a time. */
const BATCH = 1_000;

/** Seals with one key. */
export class KeySealing implements Sealing {
  readonly #sealer: SyncSealer;
  readonly #names: Uint8Array;
  readonly #nonces: Uint8Array;
  readonly #known = new BoundedMap<string, string>(MOST_NAMES);

  /** @param key A secret of 32 bytes or more */
  constructor(key: string | Uint8Array) {
    this.#sealer = new SyncSealer([key], `${PURPOSE} texts`);
    const derive = (use: string) =>
      new Uint8Array(hkdfSync("sha256", key, "", `${PURPOSE} ${use}`, 32));
    this.#names = derive("names");
    this.#nonces = derive("nonces");
  }

  seal(text: string, ...row: RowName): string {
    return this.#sealer.seal(text, "row", ...row.map(String));
  }

  open(sealed: string, ...row: RowName): string {
    const text = this.tryOpen(sealed, ...row);
    if (text === undefined) throw damaged();
    return text;
  }

  /** Returns `undefined` for a text that was sealed with another key, or was changed since. */
  tryOpen(sealed: string, ...row: RowName): string | undefined {
    return this.#sealer.tryOpen(sealed, "row", ...row.map(String));
  }

  name(text: string): string {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    // The nonce is made of the text, so that the same text has the same name, and no other one its nonce.
    const nonce = createHmac("sha256", this.#nonces).update(text).digest().subarray(0, NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#names, nonce);
    const parts = [nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()];
    const name = Buffer.concat(parts).toString("base64url");
    this.#known.set(text, name);
    return name;
  }

  named(name: string): string {
    const bytes = Buffer.from(name, "base64url");
    try {
      const decipher = createDecipheriv(CIPHER, this.#names, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      const text = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8");
      return text + decipher.final("utf8");
    } catch (cause) {
      throw damaged(cause);
    }
  }
}

function damaged(cause?: unknown): Error {
  return new Error("A part of the SQLite file was changed, or sealed with another key", { cause });
}

/** The columns of a table. */
interface Columns {
  /** Those that are sealed as names. */
  readonly names: readonly string[];
  /** Those that are sealed as contents. */
  readonly contents: readonly string[];
  /** Those whose values a content is sealed with. */
  readonly row: readonly string[];
}

const COLUMNS: Readonly<Record<string, Columns>> = {
  mooring_session: { names: ["id"], contents: ["record"], row: ["id"] },
  mooring_state: { names: ["session", "key"], contents: ["value"], row: ["session", "key"] },
  mooring_subscription: { names: ["session", "uri"], contents: [], row: [] },
  mooring_stream: { names: ["session"], contents: ["requests"], row: ["session", "name"] },
  mooring_event: { names: ["session"], contents: ["data"], row: ["session", "stream", "n"] },
  mooring_journal: { names: [], contents: ["changes"], row: ["seq"] },
  mooring_entry: { names: ["key"], contents: ["value"], row: ["kind", "key"] },
};

/**
 * Opens the tables of a file, sealed with the first of the keys if there are any. What is in the clear, or
 * sealed with another one of the keys, is sealed anew first.
 *
 * @throws {SqliteStoreError} If the file is sealed with none of the keys
 */
export function openTables(
  sql: Sql & { vacuum(): void },
  keys: readonly (string | Uint8Array)[],
  path: string,
): SqlTables {
  const plain = new SqlTables(sql);
  const check = checkOf(plain);
  if (keys.length === 0) {
    if (check === undefined) return plain;
    throw new SqliteStoreError("key", `Give the key of the file as "keys": it is sealed: ${path}`);
  }
  const sealings = keys.map((key) => new KeySealing(key));
  const [first] = sealings;
  if (first === undefined) return plain;
  const tables = new SqlTables(sql, first);
  if (check === undefined && !plain.exist) {
    writeCheck(tables, first);
    return tables;
  }
  const before = check === undefined
    ? PLAIN
    : sealings.find((sealing) => sealing.tryOpen(check, ...CHECK_ROW) !== undefined);
  if (before === undefined) {
    const message = `Give the key that the file was sealed with, as one of "keys": ${path}`;
    throw new SqliteStoreError("key", message);
  }
  if (before === first) return tables;
  tables.atomic(() => {
    plain.change("DELETE FROM mooring_entry WHERE kind = 'seal'");
    for (const table of Object.keys(COLUMNS)) sealAnew(plain, table, before, first);
    writeCheck(tables, first);
  });
  // Nothing of what was there stays in pages that aren't used any more.
  sql.vacuum();
  return tables;
}

function checkOf(tables: SqlTables): string | undefined {
  const [row] = tables.rows("SELECT value FROM mooring_entry WHERE kind = 'seal'");
  return row === undefined ? undefined : String(row.value);
}

function writeCheck(tables: SqlTables, sealing: Sealing): void {
  tables.add(
    "INSERT INTO mooring_entry (kind, key, value) VALUES ('seal', 'check', ?)",
    sealing.seal(CHECK, ...CHECK_ROW),
  );
}

/** Seals the rows of a table anew. */
function sealAnew(tables: SqlTables, table: string, before: Sealing, after: Sealing): void {
  const { names = [], contents = [], row: naming = [] } = COLUMNS[table] ?? {};
  const columns = [...names, ...contents];
  const read = [...new Set([...columns, ...naming])];
  const changed = (row: Record<string, SqlValue>): SqlValue[] => {
    const now: Record<string, SqlValue> = { ...row };
    for (const name of names) now[name] = after.name(before.named(String(row[name])));
    for (const content of contents) {
      const { [content]: sealed = null } = row;
      if (sealed === null) continue;
      const text = before.open(String(sealed), table, ...naming.map((column) => row[column]));
      now[content] = after.seal(text, table, ...naming.map((column) => now[column]));
    }
    return columns.map((column) => now[column] ?? null);
  };
  const set = columns.map((column) => `${column} = ?`).join(", ");
  if (table !== "mooring_event") {
    const keys = [...new Set([...names, ...naming])];
    const where = keys.map((column) => `${column} = ?`).join(" AND ");
    for (const row of tables.rows(`SELECT ${read.join(", ")} FROM ${table}`)) {
      const own = keys.map((column) => row[column] ?? null);
      tables.change(`UPDATE ${table} SET ${set} WHERE ${where}`, ...changed(row), ...own);
    }
    return;
  }
  for (let last = 0;;) {
    const rows = tables.rows(
      `SELECT seq, ${read.join(", ")} FROM ${table} WHERE seq > ? ORDER BY seq LIMIT ${BATCH}`,
      last,
    );
    if (rows.length === 0) return;
    for (const row of rows) {
      last = Number(row.seq);
      tables.change(`UPDATE ${table} SET ${set} WHERE seq = ?`, ...changed(row), last);
    }
  }
}
