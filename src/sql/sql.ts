/**
 * Defines the part of a Durable Object's storage that the stores here use, and the tables in it.
 *
 * @module
 */

/** A value in a row. */
export type SqlValue = string | number | null | ArrayBuffer;

/** A synchronous SQLite database: the `storage.sql` of a Durable Object, or one that a test brings. */
export interface Sql {
  /** Runs a statement, and returns its rows. */
  exec(
    query: string,
    ...bindings: SqlValue[]
  ): { toArray(): Record<string, SqlValue>[] };
  /**
   * Runs statements that are stored all or not at all. Left out where everything that runs in one turn is
   * stored as a whole, as in a Durable Object.
   */
  atomic?<T>(work: () => T): T;
}

/** A table, and what is in those columns of a row that name it, as it is stored. */
export type RowName = readonly [table: string, ...names: readonly (SqlValue | undefined)[]];

/** Seals the texts that are stored, or leaves them as they are. */
export interface Sealing {
  /** Seals a content as that of its row: it can't be opened as another one's. */
  seal(text: string, ...row: RowName): string;
  /** Opens a content. */
  open(sealed: string, ...row: RowName): string;
  /** Seals a name: the same each time, so that its rows are found. */
  name(text: string): string;
  /** Opens a name. */
  named(name: string): string;
}

/** Leaves everything as it is. */
export const PLAIN: Sealing = {
  seal: (text) => text,
  open: (sealed) => sealed,
  name: (text) => text,
  named: (name) => name,
};

const JOURNAL =
  "CREATE TABLE IF NOT EXISTS mooring_journal (seq INTEGER PRIMARY KEY, changes TEXT NOT NULL)";

/** Times are in milliseconds since the epoch. */
const TABLES = [
  JOURNAL,
  `CREATE TABLE IF NOT EXISTS mooring_session (
    id TEXT PRIMARY KEY, record TEXT NOT NULL, used_at INTEGER NOT NULL
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mooring_state (
    session TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (session, key)
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mooring_subscription (
    session TEXT NOT NULL, uri TEXT NOT NULL, PRIMARY KEY (session, uri)
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mooring_stream (
    session TEXT NOT NULL, name TEXT NOT NULL, last INTEGER NOT NULL, first INTEGER NOT NULL,
    delivered INTEGER NOT NULL, ended INTEGER NOT NULL, done_at INTEGER, requests TEXT,
    PRIMARY KEY (session, name)
  ) WITHOUT ROWID`,
  `CREATE TABLE IF NOT EXISTS mooring_event (
    seq INTEGER PRIMARY KEY, session TEXT NOT NULL, stream TEXT NOT NULL, n INTEGER NOT NULL,
    data TEXT, bytes INTEGER NOT NULL, held INTEGER NOT NULL, count INTEGER NOT NULL DEFAULT 1
  )`,
  `CREATE INDEX IF NOT EXISTS mooring_event_of ON mooring_event (session, stream, n)`,
  `CREATE TABLE IF NOT EXISTS mooring_entry (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,
    UNIQUE (kind, key)
  )`,
];

/** The column of a table that an earlier version has created without it. */
const ADDED = "ALTER TABLE mooring_event ADD COLUMN count INTEGER NOT NULL DEFAULT 1";

/** A database whose tables are created when something is first written: an unused object stores nothing. */
export class SqlTables {
  /** How texts are stored. */
  readonly sealing: Sealing;
  readonly #sql: Sql;
  #exist: boolean | undefined;

  /** Looks at nothing yet. */
  constructor(sql: Sql, sealing: Sealing = PLAIN) {
    this.#sql = sql;
    this.sealing = sealing;
  }

  /** Whether the tables exist, of the present form. */
  get exist(): boolean {
    return this.#exist ??= this.#find();
  }

  /** Whether what runs in one turn is to be gathered into one transaction. */
  get groups(): boolean {
    return this.#sql.atomic !== undefined;
  }

  /** Notes that everything is about to be deleted, the tables too. */
  forget(): void {
    this.#exist = false;
  }

  /** Runs statements that are stored all or not at all. */
  atomic<T>(work: () => T): T {
    return this.#sql.atomic === undefined ? work() : this.#sql.atomic(work);
  }

  /** Returns the rows of a query. */
  read(query: string, ...bindings: SqlValue[]): Record<string, SqlValue>[] {
    return this.#sql.exec(query, ...bindings).toArray();
  }

  /** Returns the rows of a query about the tables: none if they don't exist. */
  rows(query: string, ...bindings: SqlValue[]): Record<string, SqlValue>[] {
    return this.exist ? this.read(query, ...bindings) : [];
  }

  /** Runs a statement that changes rows, if there can be any. */
  change(statement: string, ...bindings: SqlValue[]): void {
    if (this.exist) this.read(statement, ...bindings);
  }

  /** Runs a statement that adds rows, and creates the tables before the first one. */
  add(statement: string, ...bindings: SqlValue[]): void {
    if (!this.exist) {
      this.atomic(() => TABLES.forEach((table) => this.read(table)));
      this.#exist = true;
    }
    this.read(statement, ...bindings);
  }

  /** Tells whether the tables exist, and adds to those of an earlier version what they don't have. */
  #find(): boolean {
    const [table] = this.read(
      "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'mooring_event'",
    );
    if (table === undefined) return false;
    if (!String(table.sql).includes("count INTEGER")) {
      [ADDED, JOURNAL].forEach((sql) => this.read(sql));
    }
    return true;
  }
}
