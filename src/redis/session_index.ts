/**
 * A node's view of the index of all sessions.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { SessionCaps, SessionLifetimes } from "../sessions/types.ts";
import type { Commands } from "./commands.ts";
import { ADMIT, DUE, NOTE, RELEASE, RESERVE } from "./index_scripts.ts";
import { digest, type Keys } from "./keys.ts";
import { integer, strings } from "./replies.ts";
import { bounded, type Script, timeArgument } from "./script.ts";

/** How long notes may wait to be written together, in milliseconds. */
const NOTE_MS = 1_000;
/** How many notes are written together at most. */
const MOST_NOTES = 500;
/** For how long a place is reserved, in milliseconds: longer than any session takes to begin. */
const RESERVATION_MS = 120_000;
/** For how long a new session isn't proposed to go, in milliseconds, until it is known to be there. */
const BEGIN_MS = 10_000;

/** What became of a session. */
type News = "free" | "held" | "gone";

interface Note {
  readonly news: News;
  /** A time, or nothing for now. */
  readonly at: string;
  /** The digest of an owner that is new, or nothing. */
  readonly owner: string;
}

/** What everything that keeps sessions is made with. */
export interface SessionStoreInit {
  readonly commands: Commands;
  readonly keys: Keys;
  /** This process's name. */
  readonly node: string;
  readonly caps: SessionCaps;
  readonly lifetimes: SessionLifetimes;
  readonly clock: Clock;
}

/** How an owner is named in the index. */
export function ownerDigest(owner: string | undefined): string {
  return owner === undefined ? "-" : digest(owner);
}

/**
 * Asks the index, and tells it what became of sessions: not at once but with the next question, or a second
 * later, many at a time. Notes that get lost make the index lag, which the sessions themselves put right.
 */
export class SessionIndex {
  readonly #init: SessionStoreInit;
  readonly #ttl: string;
  readonly #notes = new Map<string, Note>();
  #stop: (() => void) | undefined;
  #size = 0;

  constructor(init: SessionStoreInit) {
    this.#init = init;
    this.#ttl = String(bounded(init.lifetimes.absoluteMs) + 2 * RESERVATION_MS);
  }

  /** How many sessions there were when the index was asked last. */
  get size(): number {
    return this.#size;
  }

  /** Takes down what became of a session. */
  note(id: string, news: News, at = "", owner = this.#notes.get(id)?.owner ?? ""): void {
    // Written again where it comes in last, so that a full batch is the oldest.
    this.#notes.delete(id);
    this.#notes.set(id, { news, at, owner });
    if (this.#notes.size >= MOST_NOTES) void this.flush();
    this.#stop ??= this.#init.clock.timer(NOTE_MS, () => void this.flush());
  }

  /** Tells the index what has been taken down. Never fails. */
  async flush(): Promise<void> {
    this.#stop?.();
    this.#stop = undefined;
    if (this.#notes.size === 0) return;
    const args = [...this.#notes].flatMap(([id, { news, at, owner }]) => [id, news, at, owner]);
    this.#notes.clear();
    try {
      await this.#run(NOTE, args);
    } catch {
      // Lost: the index lags.
    }
  }

  /** Reserves a place, or says who should go first and since when the index believes it unused. */
  async reserve(
    id: string,
    owner: string | undefined,
  ): Promise<"admitted" | "refused" | { readonly id: string; readonly used: number }> {
    void this.flush();
    const { sessions, sessionsPerPrincipal } = this.#init.caps;
    const [answer, first = "", used] = await this.#run(RESERVE, [
      id,
      ownerDigest(owner),
      String(bounded(sessions)),
      String(bounded(sessionsPerPrincipal)),
      String(RESERVATION_MS),
    ]);
    if (answer === "proposed") return { id: first, used: integer(used, "index") };
    return answer === "admitted" ? "admitted" : "refused";
  }

  /** Gives a reservation back. */
  async release(id: string): Promise<void> {
    await this.#run(RELEASE, [id]);
  }

  /** Turns a reservation into a session whose record comes next. `false` when there is none. */
  async admit(id: string, owner: string | undefined): Promise<boolean> {
    const [answer] = await this.#run(ADMIT, [id, ownerDigest(owner), String(BEGIN_MS)]);
    return answer === "admitted";
  }

  /** Who may have expired. */
  async due(limit: number): Promise<string[]> {
    void this.flush();
    const { idleMs, absoluteMs } = this.#init.lifetimes;
    const times = [idleMs, absoluteMs, limit].map((ms) => String(bounded(ms)));
    return (await this.#run(DUE, times)).slice(0, limit);
  }

  /** The ids of all sessions. */
  async ids(): Promise<string[]> {
    void this.flush();
    const { commands, keys } = this.#init;
    const [, age = ""] = keys.index;
    const ids = strings(await commands.send("ZRANGE", age, "0", "-1"), "index");
    this.#size = ids.length;
    return ids;
  }

  async #run(script: Script, args: readonly string[]): Promise<string[]> {
    const { commands, keys, clock } = this.#init;
    const all = [timeArgument(clock), this.#ttl, ...args];
    const [size, ...rest] = strings(await commands.run(script, keys.index, all), "index");
    this.#size = integer(size, "index");
    return rest;
  }
}
