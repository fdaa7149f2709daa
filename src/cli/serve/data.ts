/**
 * Opens the stores in which the command keeps sessions between two starts: SQLite files in a folder, one
 * for each endpoint.
 *
 * @module
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SqliteProblem, SqliteStore } from "../../sql/mod.ts";
import { dataFolder, type DataFolderInit } from "../config/data_folder.ts";
import type { Config } from "../config/schema.ts";
import { enabledServers } from "../config/settings.ts";
import { randomText } from "../../kit.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import type { Stores } from "./stores.ts";

/** Options for {@linkcode openData}. */
export interface DataInit extends DataFolderInit {
  readonly config: Config;
  readonly log: Log;
  /** Loads the stores: not every runtime has SQLite. */
  readonly load?: () => Promise<SqliteModule>;
}

/** The part of the entry point `/sqlite` that is used. */
export type SqliteModule = Pick<
  typeof import("../../sql/mod.ts"),
  "sqliteStore" | "SqliteStoreError"
>;

/** The stores, and where they are. */
export interface OpenedData {
  /** The stores; `undefined` if everything is in memory. */
  readonly stores: Stores | undefined;
  /** Logs where the sessions are, in one line. */
  announce(): void;
}

/** Only its owner may look into the folder. */
const MODE = 0o700;
/** The file of the endpoint for all servers together. */
const ALL = "all.sqlite";
/** The file of the key that sign-in seals with if there is no secret. */
const SIGN_IN_KEY = "sign-in.key";
/** The names of the files of single servers, and of what SQLite puts beside them. */
const SINGLE = /^server-(.+)\.sqlite(?:-wal|-shm|-journal)?$/;

/**
 * Opens the folder that the configuration names, or the user's own. With `"none"`, or on a runtime without
 * SQLite if no folder is named, everything stays in memory.
 *
 * @throws {CliError} If the folder can't be used, with what to do
 */
export async function openData(init: DataInit): Promise<OpenedData> {
  const { config, log, load = () => import("../../sql/mod.ts") } = init;
  const { data } = config;
  if (data === "none") {
    const message = "Sessions are in memory: they end with this process";
    return { stores: undefined, announce: () => log("info", "data", { message }) };
  }
  const sql = await load().catch((cause: unknown) => {
    if (isMissing(cause)) return undefined;
    throw cause;
  });
  if (sql === undefined) {
    const missing = "This runtime has no SQLite, which Deno, Bun and Node from 22.13 on have";
    if (data !== undefined) {
      throw new CliError(
        `Use another runtime, or --data none to keep sessions in memory. ${missing}`,
      );
    }
    const message = `${missing}: sessions are in memory, and end with this process`;
    return { stores: undefined, announce: () => log("warn", "data", { message }) };
  }
  const folder = data ?? folderOf(init);
  await makeFolder(folder);
  const keys = config.secret === undefined ? [] : [config.secret].flat();
  const stores = new DataFolder(folder, sql, keys);
  if (config.signIn !== undefined) stores.signInKey = await signInKeyIn(folder, keys.length === 0);
  await stores.forgetOthers(new Set(enabledServers(config).keys()));
  const message = "Sessions are kept in this folder: they go on after a restart";
  return { stores, announce: () => log("info", "data", { message, folder }) };
}

/** Reads the key that sign-in seals with if there is no secret, or makes it: as safe as the folder itself. */
async function signInKeyIn(folder: string, makes: boolean): Promise<string | undefined> {
  const file = join(folder, SIGN_IN_KEY);
  try {
    const known = await readFile(file, "utf8").catch((error: unknown) => {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    });
    if (known !== undefined || !makes) return known;
    const key = randomText(43);
    await writeFile(file, key, { mode: 0o600, flag: "wx" });
    return key;
  } catch (cause) {
    throw unusable(folder, "unusable", cause);
  }
}

function folderOf(init: DataInit): string {
  try {
    return dataFolder(init);
  } catch (cause) {
    const advice = "Give a folder as --data, or --data none to keep sessions in memory";
    const message = `${advice}: this user has no home folder: ${messageOf(cause)}`;
    throw new CliError(message, ExitCode.Failed, { cause });
  }
}

async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: MODE });
  } catch (cause) {
    throw unusable(folder, "unusable", cause);
  }
}

/** Tells whether a module isn't there because the runtime doesn't have it. */
function isMissing(error: unknown): boolean {
  return /No such built-in module/i.test(messageOf(error));
}

/** What to do about each problem; the message of the store for any other. */
const ADVICE: Partial<Record<SqliteProblem, string>> = {
  locked: "End the other process that uses this folder, or give another one as --data",
  "read-only": "Give a folder that can be written as --data",
  unusable: "Give a folder that can be written as --data",
  key:
    "Give the secret that the folder is sealed with as --secret-env, or another folder as --data",
  full: "Free space on the disk, or give a folder on another one as --data",
};

function unusable(folder: string, problem: SqliteProblem, cause: unknown): CliError {
  const { [problem]: advice } = ADVICE;
  const message = advice === undefined
    ? `${messageOf(cause)}. Or give another folder as --data`
    : `${advice}, or --data none to keep sessions in memory: ${folder}: ${messageOf(cause)}`;
  return new CliError(message, ExitCode.Failed, { cause });
}

/** The open files of a folder. */
class DataFolder implements Stores {
  readonly #folder: string;
  readonly #sql: SqliteModule;
  readonly #keys: readonly string[];
  readonly #open = new Map<string, SqliteStore>();
  signInKey: string | undefined;

  /**
   * Opens the file of all servers together, which keeps other processes out of the folder.
   *
   * @throws {CliError} If it can't be used
   */
  constructor(folder: string, sql: SqliteModule, keys: readonly string[]) {
    this.#folder = folder;
    this.#keys = keys;
    this.#sql = sql;
    this.store(undefined);
  }

  store(name: string | undefined): SqliteStore {
    const file = name === undefined ? ALL : fileOf(name);
    const known = this.#open.get(file);
    if (known !== undefined) return known;
    const { sqliteStore, SqliteStoreError } = this.#sql;
    try {
      const store = sqliteStore({ path: join(this.#folder, file), keys: this.#keys });
      this.#open.set(file, store);
      return store;
    } catch (error) {
      if (!(error instanceof SqliteStoreError)) throw error;
      throw unusable(this.#folder, error.problem, error);
    }
  }

  async remove(name: string): Promise<void> {
    const file = fileOf(name);
    this.#open.get(file)?.close();
    this.#open.delete(file);
    await this.#delete([file, `${file}-wal`, `${file}-shm`]);
  }

  /** Forgets the servers that are not served any more. */
  async forgetOthers(names: ReadonlySet<string>): Promise<void> {
    const files = await readdir(this.#folder);
    const served = new Set([...names].map(fileOf));
    await this.#delete(files.filter((file) => {
      const [, name] = SINGLE.exec(file) ?? [];
      return name !== undefined && !served.has(`server-${name}.sqlite`);
    }));
  }

  close(): Promise<void> {
    for (const store of this.#open.values()) store.close();
    this.#open.clear();
    return Promise.resolve();
  }

  async #delete(files: readonly string[]): Promise<void> {
    await Promise.all(files.map((file) => rm(join(this.#folder, file), { force: true })));
  }
}

/** Names the file of a server. Names that differ in case alone have different files on every disk. */
function fileOf(name: string): string {
  return `server-${name.replace(/[A-Z]/g, (letter) => `+${letter.toLowerCase()}`)}.sqlite`;
}
