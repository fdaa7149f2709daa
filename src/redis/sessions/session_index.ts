/**
 * Accesses the index of all sessions.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { shareKey } from "../../sessions/owner.ts";
import type { SessionCaps, SessionLifetimes } from "../../sessions/types.ts";
import type { RedisCommands } from "../clients/commands.ts";
import { ADMIT, DUE, IDS, NOTE, RELEASE, RESERVE, USES } from "../scripts/session_index.ts";
import { digest, type Keys } from "../keys.ts";
import { integer, strings } from "../replies.ts";
import { bounded, type Script, timeArgument } from "../scripts/script.ts";
import type { Sealer } from "../seal.ts";
import { SessionNames } from "./session_names.ts";

/** The longest delay before notes are written together, in milliseconds. */
const NOTE_MS = 1_000;
/** The most notes that are written together. */
const MOST_NOTES = 500;
/** The life of a reservation, in milliseconds: longer than the start of any session takes. */
const RESERVATION_MS = 120_000;
/**
 * Gives the time for which a new session is not proposed for eviction, in milliseconds, as its
 * record may not exist yet.
 */
const BEGIN_MS = 10_000;

/** The new state of a session in the index. */
type IndexState = "free" | "held" | "gone";

interface Note {
  readonly state: IndexState;
  /** The time of the change; empty for now. */
  readonly at: string;
  /** The digest of a new owner's share; empty for no change. */
  readonly owner: string;
}

/** Configures the session store and its parts. */
export interface SessionStoreInit {
  readonly commands: RedisCommands;
  readonly keys: Keys;
  readonly sealer: Sealer;
  /** The name of this process. */
  readonly node: string;
  readonly caps: SessionCaps;
  readonly lifetimes: SessionLifetimes;
  readonly clock: Clock;
}

/** Returns the name in the index of the share that an owner's sessions count for. */
export function shareDigest(owner: string | undefined): string {
  return owner === undefined ? "-" : digest(shareKey(owner));
}

/**
 * Queries the index and notes changes of sessions, which are written with the next query or a
 * second later, many at a time. Lost notes make the index lag, which is corrected when the session
 * itself is read.
 */
export class SessionIndex {
  readonly #init: SessionStoreInit;
  readonly #ttl: string;
  /** The sessions, as the index knows only their names. */
  readonly names: SessionNames;
  readonly #notes = new Map<string, Note>();
  #stop: (() => void) | undefined;
  #size = 0;

  constructor(init: SessionStoreInit) {
    this.#init = init;
    this.names = new SessionNames(init.sealer);
    this.#ttl = String(bounded(init.lifetimes.absoluteMs) + 2 * RESERVATION_MS);
  }

  /** Returns the number of sessions at the last answer of the index. */
  get size(): number {
    return this.#size;
  }

  /** Notes a change of a session. */
  note(id: string, state: IndexState, at = "", owner?: string): void {
    this.#note(this.names.name(id), state, at, owner);
  }

  #note(name: string, state: IndexState, at = "", owner = this.#notes.get(name)?.owner ?? "") {
    // Re-inserted at the end, so that a full batch contains the oldest notes.
    this.#notes.delete(name);
    this.#notes.set(name, { state, at, owner });
    if (this.#notes.size >= MOST_NOTES) void this.flush();
    this.#stop ??= this.#init.clock.timer(NOTE_MS, () => void this.flush());
  }

  /** Writes the notes to the index. Never fails. */
  async flush(): Promise<void> {
    this.#stop?.();
    this.#stop = undefined;
    if (this.#notes.size === 0) return;
    const args = [...this.#notes].flatMap((
      [name, { state, at, owner }],
    ) => [name, state, at, owner]);
    this.#notes.clear();
    try {
      await this.#run(NOTE, args);
    } catch {
      // The notes are lost: the index lags.
    }
  }

  /**
   * Reserves a place for a session, or proposes a session to evict first, with the time of its last
   * use that the index knows. An entry that no node has written is removed: then the answer is to
   * try again.
   */
  async reserve(
    id: string,
    owner: string | undefined,
  ): Promise<"admitted" | "refused" | "again" | { readonly id: string; readonly used: number }> {
    void this.flush();
    const { sessions, sessionsPerPrincipal } = this.#init.caps;
    const [answer, first = "", used, sealed = ""] = await this.#run(RESERVE, [
      this.names.name(id),
      shareDigest(owner),
      String(bounded(sessions)),
      String(bounded(sessionsPerPrincipal)),
      String(RESERVATION_MS),
      this.names.seal(id),
    ]);
    if (answer === "proposed") {
      const proposed = this.names.id(first, sealed);
      if (proposed !== undefined) return { id: proposed, used: integer(used, "index") };
      this.#note(first, "gone");
      await this.flush();
      return "again";
    }
    return answer === "admitted" ? "admitted" : "refused";
  }

  /** Releases a reservation. */
  async release(id: string): Promise<void> {
    await this.#run(RELEASE, [this.names.name(id)]);
  }

  /**
   * Turns a reservation into a session, whose record must be created next. Returns `false` when the
   * reservation is gone.
   */
  async admit(id: string, owner: string | undefined): Promise<boolean> {
    const name = this.names.name(id);
    const [answer] = await this.#run(ADMIT, [name, shareDigest(owner), String(BEGIN_MS)]);
    return answer === "admitted";
  }

  /** Returns sessions that may have expired. Entries that no node has written are removed. */
  async due(limit: number): Promise<string[]> {
    void this.flush();
    const { idleMs, absoluteMs } = this.#init.lifetimes;
    const times = [idleMs, absoluteMs, limit].map((ms) => String(bounded(ms)));
    const flat = await this.#run(DUE, times);
    const ids: string[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      const name = flat[at] ?? "";
      const id = this.names.id(name, flat[at + 1] ?? "");
      if (id === undefined) this.#note(name, "gone");
      else if (ids.length < limit) ids.push(id);
    }
    return ids;
  }

  /** Returns the ids of all sessions. */
  async ids(): Promise<string[]> {
    void this.flush();
    const { commands, keys } = this.#init;
    const flat = strings(await commands.run(IDS, keys.index, []), "index");
    this.#size = flat.length / 2;
    return this.names.ids(flat);
  }

  /** Returns the ids of all sessions with the time of their last use; none while they are held. */
  async uses(): Promise<Map<string, number | undefined>> {
    void this.flush();
    const { commands, keys } = this.#init;
    // By a script: a client that speaks RESP3 gets the scores in another form.
    const flat = strings(await commands.run(USES, keys.index, []), "index");
    const all = new Map<string, number | undefined>();
    for (let at = 0; at < flat.length; at += 3) {
      const [name = "", sealed = "", usedAt = ""] = flat.slice(at, at + 3);
      const id = this.names.id(name, sealed);
      if (id !== undefined) all.set(id, usedAt === "" ? undefined : Number(usedAt));
    }
    this.#size = all.size;
    return all;
  }

  async #run(script: Script, args: readonly string[]): Promise<string[]> {
    const { commands, keys, clock } = this.#init;
    const all = [timeArgument(clock), this.#ttl, ...args];
    const [size, ...rest] = strings(await commands.run(script, keys.index, all), "index");
    this.#size = integer(size, "index");
    return rest;
  }
}
