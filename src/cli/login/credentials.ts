/**
 * Keeps what `mooring login` gets: a file in the user's folder for the state of programs, which only that user
 * can read.
 *
 * @module
 */
import { mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import type { OAuthServerInfo, OAuthTokens } from "@modelcontextprotocol/client";
import { isObject } from "../../kit.ts";
import type { Env } from "../config/env.ts";
import { stateFolder } from "../config/data_folder.ts";
import { CliError } from "../errors.ts";

/** A client as the authorization server knows it. */
export interface LoginClient {
  readonly client_id: string;
  readonly client_secret?: string;
}

/** What is kept of a login at one server. */
export interface StoredLogin {
  readonly client: LoginClient;
  readonly tokens: OAuthTokens;
  /** The authorization server, and what it and the server say about themselves. */
  readonly issuer: OAuthServerInfo;
  /** When the access token ends, in milliseconds since 1970; `undefined` if the server didn't say. */
  readonly expiresAt?: number;
}

/** Servers that are kept. The oldest login makes room. */
const MAX_LOGINS = 200;
/** Bytes of the file. */
const MAX_BYTES = 4 * 1024 * 1024;
/** A lock that is older was left by a process that died, in milliseconds. */
const STALE_MS = 60_000;
/** How long a process waits for another one, and how long between two attempts, in milliseconds. */
const WAIT_MS = 30_000;
const RETRY_MS = 50;

/** Returns what tells servers apart: the URL without its query and its fragment. */
export function loginKey(url: URL): string {
  return `${url.origin}${url.pathname}`;
}

/** The logins of a user. */
export class Credentials {
  readonly #file: string;
  readonly #waitMs: number;

  /** @param waitMs How long to wait for another process, in milliseconds */
  constructor(env: Env, waitMs: number = WAIT_MS) {
    this.#waitMs = waitMs;
    this.#file = join(stateFolder({ env }), "mooring", "logins.json");
  }

  /**
   * Returns the login at a server.
   *
   * @throws {CliError} If the file can't be used
   */
  async get(url: URL): Promise<StoredLogin | undefined> {
    return (await this.#read()).get(loginKey(url));
  }

  /**
   * Replaces the login at a server by what `change` returns. One process at a time does so, so that a refresh
   * token is used once.
   *
   * @throws {CliError} If the file can't be used, or another process doesn't end with it
   */
  async update(
    url: URL,
    change: (login: StoredLogin | undefined) => Promise<StoredLogin | undefined>,
  ): Promise<StoredLogin | undefined> {
    const folder = dirname(this.#file);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const unlock = await this.#lock();
    try {
      const logins = await this.#read();
      const key = loginKey(url);
      const before = logins.get(key);
      const login = await change(before);
      if (login === before) return login;
      logins.delete(key);
      if (login !== undefined) logins.set(key, login);
      const kept = [...logins].slice(-MAX_LOGINS);
      const text = `${JSON.stringify({ version: 1, logins: Object.fromEntries(kept) }, null, 2)}\n`;
      const next = `${this.#file}.${process.pid}`;
      await writeFile(next, text, { mode: 0o600 });
      await rename(next, this.#file);
      return login;
    } finally {
      await unlock();
    }
  }

  async #read(): Promise<Map<string, StoredLogin>> {
    let text: string;
    try {
      text = await readFile(this.#file, "utf8");
    } catch (error) {
      if (isCode(error, "ENOENT")) return new Map();
      throw new CliError(`Allow this user to read the file: ${this.#file}`);
    }
    const value = text.length > MAX_BYTES ? undefined : parsed(text);
    const logins = isObject(value) ? value["logins"] : undefined;
    if (!isObject(logins)) {
      throw new CliError(`Remove this file, and sign in again: it is broken: ${this.#file}`);
    }
    return new Map(
      Object.entries(logins).flatMap(([key, login]) => isLogin(login) ? [[key, login]] : []),
    );
  }

  /** Waits for other processes, and keeps them waiting until the returned function is called. */
  async #lock(): Promise<() => Promise<void>> {
    const file = `${this.#file}.lock`;
    for (let waited = 0;; waited += RETRY_MS) {
      try {
        const handle = await open(file, "wx", 0o600);
        await handle.close();
        return () => rm(file, { force: true });
      } catch (error) {
        if (!isCode(error, "EEXIST")) {
          throw new CliError(`Allow this user to write the folder: ${dirname(file)}`);
        }
      }
      const made = await stat(file).then(({ mtimeMs }) => mtimeMs, () => Date.now());
      if (Date.now() - made > STALE_MS) await rm(file, { force: true });
      else if (waited >= this.#waitMs) {
        throw new CliError(`Wait for the other mooring that signs in, or remove its lock: ${file}`);
      } else await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isLogin(value: unknown): value is StoredLogin {
  return isObject(value) && isObject(value["client"]) && isObject(value["issuer"]) &&
    isObject(value["tokens"]) && typeof value["tokens"]["access_token"] === "string";
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
