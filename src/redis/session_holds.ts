/**
 * Which sessions a node holds, and how the others learn of it.
 *
 * @module
 */
import type { Commands } from "./commands.ts";
import { HOLD_MS } from "./index_scripts.ts";
import { timeArgument } from "./script.ts";
import type { SessionIndex, SessionStoreInit } from "./session_index.ts";
import { MARK } from "./session_scripts.ts";

/** How often a hold is renewed, in milliseconds. */
const RENEW_MS = 10_000;

interface Hold {
  count: number;
  /** Whether Redis has been told. */
  told: boolean;
}

/**
 * Counts holds here and tells Redis of the first and the last alone: of the first when it still lasts in the
 * next turn, so that a short one costs nothing. A hold that lasts is renewed until it ends, and lapses when
 * this node dies. Nobody waits for any of it; what gets lost is told with the next renewal.
 */
export class SessionHolds {
  readonly #init: SessionStoreInit;
  readonly #commands: Commands;
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

  /** Whether this node holds a session. */
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
    this.#holds.set(id, { count: 1, told: false });
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
    if (!hold.told) return;
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

  /** Tells of the holds that nobody has been told of. */
  flush(): void {
    this.#stopSoon?.();
    this.#stopSoon = undefined;
    if (this.#fresh.size === 0) return;
    this.#tell(this.#fresh);
    this.#fresh.clear();
    this.#stopRenewing ??= this.#init.clock.timer(RENEW_MS, () => this.#renew());
  }

  #renew(): void {
    this.#tell(this.#holds.keys());
    this.#stopRenewing = this.#init.clock.timer(RENEW_MS, () => this.#renew());
  }

  #tell(ids: Iterable<string>): void {
    const now = timeArgument(this.#init.clock);
    for (const id of ids) {
      const hold = this.#holds.get(id);
      if (hold === undefined) continue;
      hold.told = true;
      this.#mark(id, now, String(HOLD_MS));
      this.#index.note(id, "held");
    }
    void this.#index.flush();
  }

  #mark(id: string, now: string, ms: string): void {
    const { keys, node } = this.#init;
    const { record, state, uris } = keys.session(id);
    this.#commands.run(MARK, [record, state, uris], [now, node, ms]).catch(() => {});
  }
}
