/**
 * Tracks which sessions a node holds, and records it in Redis.
 *
 * @module
 */
import type { RedisCommands } from "../clients/commands.ts";
import { HOLD_MS } from "../scripts/session_index.ts";
import { timeArgument } from "../scripts/script.ts";
import type { SessionIndex, SessionStoreInit } from "./session_index.ts";
import { MARK } from "../scripts/session.ts";

/** The interval between renewals of a hold, in milliseconds. */
const RENEW_MS = 10_000;

interface Hold {
  count: number;
  /** Whether Redis knows of the hold. */
  written: boolean;
}

/**
 * Counts holds in memory and writes only the first and the last of a session to Redis: the first
 * only if it still lasts in the next turn, so that short holds cost nothing. A lasting hold is
 * renewed until it ends, and lapses when this node dies. No caller waits for the writes; a lost
 * write is made up for by the next renewal.
 */
export class SessionHolds {
  readonly #init: SessionStoreInit;
  readonly #commands: RedisCommands;
  readonly #index: SessionIndex;
  readonly #holds = new Map<string, Hold>();
  readonly #fresh = new Set<string>();
  #stopSoon: (() => void) | undefined;
  #stopRenewing: (() => void) | undefined;

  constructor(init: SessionStoreInit, index: SessionIndex) {
    this.#init = init;
    this.#commands = init.commands;
    this.#index = index;
  }

  /** Tells whether this node holds a session. */
  has(id: string): boolean {
    return this.#holds.has(id);
  }

  /** Adds a hold. */
  hold(id: string): void {
    const hold = this.#holds.get(id);
    if (hold !== undefined) {
      hold.count += 1;
      return;
    }
    this.#holds.set(id, { count: 1, written: false });
    this.#fresh.add(id);
    this.#stopSoon ??= this.#init.clock.timer(0, () => this.flush());
  }

  /** Ends a hold. */
  free(id: string): void {
    const hold = this.#holds.get(id);
    if (hold === undefined) return;
    hold.count -= 1;
    if (hold.count > 0) return;
    this.drop(id);
    if (!hold.written) return;
    const now = timeArgument(this.#init.clock);
    this.#mark(id, now, "");
    this.#index.note(id, "free", now);
    void this.#index.flush();
  }

  /** Forgets a session that has ended. */
  drop(id: string): void {
    this.#holds.delete(id);
    this.#fresh.delete(id);
    if (this.#holds.size > 0) return;
    this.#stopRenewing?.();
    this.#stopRenewing = undefined;
  }

  /** Writes the new holds to Redis. */
  flush(): void {
    this.#stopSoon?.();
    this.#stopSoon = undefined;
    if (this.#fresh.size === 0) return;
    this.#write(this.#fresh);
    this.#fresh.clear();
    this.#stopRenewing ??= this.#init.clock.timer(RENEW_MS, () => this.#renew());
  }

  #renew(): void {
    this.#write(this.#holds.keys());
    this.#stopRenewing = this.#init.clock.timer(RENEW_MS, () => this.#renew());
  }

  #write(ids: Iterable<string>): void {
    const now = timeArgument(this.#init.clock);
    for (const id of ids) {
      const hold = this.#holds.get(id);
      if (hold === undefined) continue;
      hold.written = true;
      this.#mark(id, now, String(HOLD_MS));
      this.#index.note(id, "held");
    }
    void this.#index.flush();
  }

  #mark(id: string, now: string, ms: string): void {
    const { keys, node } = this.#init;
    const { record, state, uris } = keys.session(this.#index.names.name(id));
    this.#commands.run(MARK, [record, state, uris], [now, node, ms]).catch(() => {});
  }
}
