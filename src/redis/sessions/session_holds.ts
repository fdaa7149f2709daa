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

/** The time after which a hold that lasts is written, in milliseconds; up to twice that when there are many. */
export const WRITE_MS = 500;
/** The interval between renewals of a hold, in milliseconds. */
const RENEW_MS = 10_000;

interface Hold {
  count: number;
  /** Whether Redis knows of the hold. */
  written: boolean;
}

/**
 * Counts holds in memory and writes only the first and the last of a session to Redis: the first
 * only if it lasts, so that short calls cost nothing. Until then the use of the session protects it, see
 * `busy` in its record. A lasting hold is
 * renewed until it ends, and lapses when this node dies. No caller waits for the writes; a lost
 * write is made up for by the next renewal.
 */
export class SessionHolds {
  readonly #init: SessionStoreInit;
  readonly #commands: RedisCommands;
  readonly #index: SessionIndex;
  readonly #holds = new Map<string, Hold>();
  /** The holds that are not written: those of this interval, and those that were there before it. */
  #fresh = new Set<string>();
  #lasting = new Set<string>();
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

  /** Tells whether Redis knows that this node holds a session. */
  isWritten(id: string): boolean {
    return this.#holds.get(id)?.written === true;
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
    this.#armWrite();
  }

  /** Ends a hold. */
  free(id: string): void {
    const hold = this.#holds.get(id);
    if (hold === undefined) return;
    hold.count -= 1;
    if (hold.count > 0) return;
    this.drop(id);
    const now = timeArgument(this.#init.clock);
    this.#index.note(id, "free", now);
    if (!hold.written) return;
    this.#mark(id, now, "");
    void this.#index.flush();
  }

  /** Forgets a session that has ended. */
  drop(id: string): void {
    this.#holds.delete(id);
    this.#fresh.delete(id);
    this.#lasting.delete(id);
    if (this.#holds.size > 0) return;
    this.#stopRenewing?.();
    this.#stopRenewing = undefined;
  }

  /** Writes all new holds to Redis. */
  flush(): void {
    this.#writeLasting();
    this.#writeLasting();
  }

  #armWrite(): void {
    this.#stopSoon ??= this.#init.clock.timer(WRITE_MS, () => this.#writeLasting());
  }

  /** Writes the holds that have lasted, and looks at the others later. */
  #writeLasting(): void {
    this.#stopSoon?.();
    this.#stopSoon = undefined;
    const lasting = this.#lasting;
    if (lasting.size > 0) {
      this.#write(lasting);
      lasting.clear();
      this.#stopRenewing ??= this.#init.clock.timer(RENEW_MS, () => this.#renew());
    }
    [this.#lasting, this.#fresh] = [this.#fresh, lasting];
    if (this.#lasting.size > 0) this.#armWrite();
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
