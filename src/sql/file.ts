/**
 * Opens a SQLite file for one process.
 *
 * @module
 */
import { closeSync, openSync } from "node:fs";
import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Sql, SqlValue } from "./sql.ts";

/** The version of the tables, in the file's `user_version`. */
const FORM = 2;
/** Marks a file as one of this library, in its `application_id`: "Moor". */
const APPLICATION = 0x4d6f6f72;
const PAGE_BYTES = 4_096;
/** The pages in the write-ahead log after which they are copied into the file, which waits for the disk: 16 MiB. */
const CHECKPOINT_PAGES = 4_096;
/** The pages that are kept in memory: 16 MiB. */
const CACHE_PAGES = 4_096;
/** The size up to which a file is checked as a whole when it is opened, in bytes. */
const CHECKED_BYTES = 64 * 1024 * 1024;

/** The mode of a file that is created: only the server's user may read what sessions hold. */
const MODE = 0o600;

/** What is wrong with a file that can't be used. */
export type SqliteProblem =
  /** Another process uses it. */
  | "locked"
  /** It, or its folder, can't be written. */
  | "read-only"
  /** It is damaged, or no database. */
  | "damaged"
  /** It is of another program. */
  | "foreign"
  /** A newer version of this library wrote it. */
  | "newer"
  /** It is sealed with another key than those that were given. */
  | "key"
  /** The disk is full. */
  | "full"
  /** It can't be created or opened for another reason. */
  | "unusable";

/** Thrown if a file can't be used. Its message says what to do. */
export class SqliteStoreError extends Error {
  /** The name of the class. */
  override readonly name = "SqliteStoreError";
  /** What is wrong. */
  readonly problem: SqliteProblem;

  /** Creates the error. */
  constructor(problem: SqliteProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}

/** The settings of a file. */
export interface SqlFileInit {
  readonly path: string;
  readonly maxBytes: number;
  readonly synchronous: "normal" | "full";
}

/** A SQLite file that this process alone uses. */
export class SqlFile implements Sql {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  /**
   * Opens a file, or creates it.
   *
   * @throws {SqliteStoreError} If another process uses it, it can't be written, is damaged, is no file of
   * this library or was written by a newer version: says what to do
   */
  constructor({ path, maxBytes, synchronous }: SqlFileInit) {
    let database: DatabaseSync | undefined;
    try {
      createFile(path);
      database = new DatabaseSync(path);
      this.#database = database;
      this.#prepare(path, maxBytes, synchronous);
    } catch (error) {
      database?.close();
      throw openError(path, error);
    }
  }

  exec(query: string, ...bindings: SqlValue[]): { toArray(): Record<string, SqlValue>[] } {
    let statement = this.#statements.get(query);
    if (statement === undefined) {
      // As many as there are different queries in this room.
      statement = this.#database.prepare(query);
      this.#statements.set(query, statement);
    }
    // Rows are plain objects of values of these types.
    const rows = statement.all(...bindings as (string | number | null)[]) as Record<
      string,
      SqlValue
    >[];
    return { toArray: () => rows };
  }

  atomic<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.exec("BEGIN IMMEDIATE");
    this.#depth++;
    try {
      const result = work();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        this.exec("ROLLBACK");
      } catch {
        // A full disk has rolled it back already.
      }
      throw error;
    } finally {
      this.#depth--;
    }
  }

  /** Gives pages that are not used any more back to the system, a bounded number of them. */
  shrink(): void {
    this.#database.exec("PRAGMA incremental_vacuum(1000)");
  }

  /** Writes the file anew, without what was deleted from it. */
  vacuum(): void {
    this.#database.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  }

  /** Writes everything into the file itself, and closes it. */
  close(): void {
    this.#statements.clear();
    this.#database.close();
  }

  #prepare(path: string, maxBytes: number, synchronous: string): void {
    const database = this.#database;
    const number = (pragma: string): number =>
      Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? { value: 0 })[0]);
    // Nobody waits for a lock: the other process keeps it until it ends.
    database.exec("PRAGMA busy_timeout = 0; PRAGMA locking_mode = EXCLUSIVE");
    const isNew = number("page_count") === 0;
    if (isNew) {
      database.exec(`PRAGMA page_size = ${PAGE_BYTES}; PRAGMA auto_vacuum = INCREMENTAL`);
    } else {
      const [application, form] = [number("application_id"), number("user_version")];
      if (application !== APPLICATION) {
        const message = `Give a file that Mooring has created, or a new one, as "path": ${path}`;
        throw new SqliteStoreError("foreign", message);
      }
      if (form > FORM) {
        const message = `Use the version of Mooring that wrote the file, or a newer one: ${path}`;
        throw new SqliteStoreError("newer", message);
      }
      if (number("page_count") * number("page_size") <= CHECKED_BYTES) this.#check();
    }
    database.exec("PRAGMA journal_mode = WAL");
    database.exec(`PRAGMA synchronous = ${synchronous}`);
    database.exec(
      `PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA cache_size = ${CACHE_PAGES}`,
    );
    database.exec(`PRAGMA max_page_count = ${Math.ceil(maxBytes / number("page_size"))}`);
    // A write takes the lock, also of a file that was there.
    database.exec(`PRAGMA application_id = ${APPLICATION}; PRAGMA user_version = ${FORM}`);
  }

  #check(): void {
    const row = this.#database.prepare("PRAGMA quick_check(1)").get() ?? {};
    const [verdict] = Object.values(row);
    if (verdict !== "ok") throw new Error(`database disk image is malformed: ${verdict}`);
  }
}

/** Creates a file that isn't there, for its owner alone. Its write-ahead log gets the same mode. */
function createFile(path: string): void {
  if (path === ":memory:") return;
  closeSync(openSync(path, "a", MODE));
}

/** What the reasons of failures mean, and what to do: the first that fits. */
const PROBLEMS: readonly (readonly [RegExp, SqliteProblem, string])[] = [
  [/locked|busy/i, "locked", "End the other process that uses the file, or give another path"],
  [
    /readonly|read-only|EACCES|EPERM|EROFS/i,
    "read-only",
    "Make the file and its folder writable",
  ],
  [
    /malformed|not a database/i,
    "damaged",
    "Move the damaged file away, or restore it from a copy",
  ],
  [/full|ENOSPC/i, "full", "Free space on the disk"],
];

/** Returns the error for a file that can't be opened, with what to do. */
function openError(path: string, cause: unknown): SqliteStoreError {
  if (cause instanceof SqliteStoreError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const [, problem, advice] = PROBLEMS.find(([pattern]) => pattern.test(reason)) ??
    [/^/, "unusable", "Give a path of a file that can be created"] as const;
  return new SqliteStoreError(problem, `${advice}: ${path}: ${reason}`, { cause });
}
