/**
 * Applies changes of the configuration file while the server runs.
 *
 * @module
 */
import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock } from "../../../mod.ts";
import { messageOf } from "../errors.ts";
import type { Config, ServerEntry } from "../config/schema.ts";
import { enabledServers } from "../config/settings.ts";
import type { Log } from "../log.ts";
import { exchangesIdTokens } from "./sign_in.ts";

/** The differences between two configurations. */
export interface ConfigChanges {
  /** Servers that are new or changed. */
  readonly set: ReadonlyMap<string, ServerEntry>;
  /** Names of servers that were removed. */
  readonly removed: readonly string[];
  /** Keys whose change needs a restart. */
  readonly restart: readonly string[];
}

/** Keys whose changes are applied, or mean nothing. */
const APPLIED: readonly (keyof Config)[] = ["mcpServers", "policy", "strict", "pins", "$schema"];

/** Compares two configurations. */
export function changesBetween(before: Config, after: Config): ConfigChanges {
  const [old, now] = [enabledServers(before), enabledServers(after)];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Config>;
  return {
    set: new Map([...now].filter(([name, entry]) => !same(old.get(name), entry))),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    restart: [
      ...[...keys].filter((key) => !APPLIED.includes(key) && !same(before[key], after[key])),
      // Logins that are there have no ID token that was kept
      ...exchangesIdTokens(after) && !exchangesIdTokens(before) && same(before.signIn, after.signIn)
        ? ["signIn"]
        : [],
    ],
  };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Options for {@linkcode Reloader}. */
export interface ReloaderInit {
  readonly file: string;
  /** Returns the file's text. */
  readonly read: () => Promise<string>;
  /** Applies a text. An error is logged, and must leave everything as it was. */
  readonly apply: (text: string) => Promise<void>;
  readonly log: Log;
  readonly clock: Clock;
}

/** Time without a change before the file is read, in milliseconds: editors write in steps. */
const QUIET_MS = 200;

/** Reads the file again after a change or on request, one reading at a time. */
export class Reloader {
  readonly #init: ReloaderInit;
  #text: string;
  #stopTimer: (() => void) | undefined;
  #stopWatching: (() => void) | undefined;
  #running: Promise<void> | undefined;
  /** Whether something has changed since the current reading began. */
  #again = false;
  #forced = false;
  #closed = false;

  /**
   * @param text The text that is applied already
   */
  constructor(init: ReloaderInit, text: string) {
    this.#init = init;
    this.#text = text;
  }

  /** Watches the file's folder, because editors replace files and deployments change links. */
  watch(): void {
    const { file, log } = this.#init;
    try {
      const watcher = watch(dirname(file), () => this.#soon());
      watcher.on("error", (error) => this.#unwatched(error));
      this.#stopWatching = () => watcher.close();
      log("debug", "watching", { file: basename(file) });
      // It may have changed since it was read
      this.#soon();
    } catch (error) {
      this.#unwatched(error);
    }
  }

  /** Reads and applies the file now, even if its text hasn't changed. */
  now(): Promise<void> {
    this.#forced = true;
    return this.#run();
  }

  /** Stops watching. Resolves when the current reading has ended. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopTimer?.();
    this.#stopWatching?.();
    await this.#running;
  }

  #soon(): void {
    this.#stopTimer?.();
    this.#stopTimer = this.#init.clock.timer(QUIET_MS, () => void this.#run());
  }

  #unwatched(error: unknown): void {
    const message = "The file isn't watched: send SIGHUP after a change";
    this.#init.log("warn", "not-watching", { message, cause: messageOf(error) });
  }

  #run(): Promise<void> {
    if (this.#running !== undefined) {
      this.#again = true;
      return this.#running;
    }
    return this.#running = this.#work().finally(() => this.#running = undefined);
  }

  async #work(): Promise<void> {
    do {
      this.#again = false;
      await this.#once();
    } while (this.#again && !this.#closed);
  }

  async #once(): Promise<void> {
    const { read, apply, log } = this.#init;
    const forced = this.#forced;
    this.#forced = false;
    try {
      const text = await read();
      if (this.#closed || (text === this.#text && !forced)) return;
      // Remembered before it is applied, so that its mistakes are logged only once
      this.#text = text;
      await apply(text);
    } catch (error) {
      for (const message of messageOf(error).split("\n")) {
        log("error", "reload-failed", { message });
      }
      log("warn", "reload-failed", { message: "The configuration stays as it was" });
    }
  }
}
