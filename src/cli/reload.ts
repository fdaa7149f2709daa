/**
 * Takes changes of the configuration file over while the server runs.
 *
 * @module
 */
import { watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { Clock } from "../internal/clock.ts";
import { messageOf } from "./errors.ts";
import type { Config, ServerEntry } from "./config_schema.ts";
import { enabledServers } from "./settings.ts";
import type { Log } from "./log.ts";

/** What is different between two configurations. */
export interface Changes {
  /** Servers that are new or different. */
  readonly set: ReadonlyMap<string, ServerEntry>;
  /** Servers that are gone. */
  readonly removed: readonly string[];
  /** Keys whose change shows only after a restart. */
  readonly restart: readonly string[];
}

/** Compares two configurations. */
export function changesBetween(before: Config, after: Config): Changes {
  const [old, now] = [enabledServers(before), enabledServers(after)];
  const keys = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Config>;
  return {
    set: new Map([...now].filter(([name, entry]) => !same(old.get(name), entry))),
    removed: [...old.keys()].filter((name) => !now.has(name)),
    restart: [...keys].filter((key) =>
      key !== "mcpServers" && key !== "$schema" && !same(before[key], after[key])
    ),
  };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** What a {@linkcode Reloader} works with. */
export interface ReloaderInit {
  readonly file: string;
  /** The file's text as it is now. */
  readonly read: () => Promise<string>;
  /** Takes a text over. What it throws is reported, and nothing has changed. */
  readonly apply: (text: string) => Promise<void>;
  readonly log: Log;
  readonly clock: Clock;
}

/** How long a file must be left alone before it is read, in milliseconds: editors write in steps. */
const QUIET_MS = 200;

/** Reads the file again when it has changed, or when it is told to. One thing at a time. */
export class Reloader {
  readonly #init: ReloaderInit;
  #text: string;
  #stopTimer: (() => void) | undefined;
  #stopWatching: (() => void) | undefined;
  #running: Promise<void> | undefined;
  /** Whether something happened while it was busy. */
  #again = false;
  #forced = false;
  #closed = false;

  /**
   * @param init What it works with
   * @param text The text that is in force
   */
  constructor(init: ReloaderInit, text: string) {
    this.#init = init;
    this.#text = text;
  }

  /** Looks at the file whenever something happens in its folder: files are replaced, and linked to. */
  watch(): void {
    const { file, log } = this.#init;
    try {
      const watcher = watch(dirname(file), () => this.#soon());
      watcher.on("error", (error) => this.#unwatched(error));
      this.#stopWatching = () => watcher.close();
      log("debug", "watching", { file: basename(file) });
      // It may have changed since it was read.
      this.#soon();
    } catch (error) {
      this.#unwatched(error);
    }
  }

  /** Reads the file now, whether it has changed or not. */
  now(): Promise<void> {
    this.#forced = true;
    return this.#run();
  }

  /** Watches no longer. Resolves when nothing is under way any more. */
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
      // Also when it is no good: it is complained about once.
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
