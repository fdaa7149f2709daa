/**
 * Implements the session store in memory.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { LinkedList } from "../internal/linked_list.ts";
import { MemoryEntry, SessionAllowance } from "./memory_entry.ts";
import { shareKey } from "./owner.ts";
import { StateValues } from "./state_values.ts";
import { Subscribers } from "./subscribers.ts";
import type {
  EndedSession,
  Found,
  Reservation,
  SessionCaps,
  SessionLifetimes,
  SessionPatch,
  SessionRecord,
  SessionStore,
} from "./types.ts";

const UNKNOWN = Object.freeze<Found>({ refusal: "unknown" });
const FOREIGN = Object.freeze<Found>({ refusal: "foreign" });

/**
 * A {@linkcode SessionStore} in memory. All its methods are synchronous, and their time doesn't depend
 * on the number of sessions.
 *
 * It doesn't remember the ids of ended sessions: an id of 192 random bits is never generated twice. A
 * session that gets its owner at its first use counts for the share's cap, but is not refused for it.
 */
export class MemorySessionStore implements SessionStore {
  readonly #caps: SessionCaps;
  readonly #lifetimes: SessionLifetimes;
  readonly #clock: Clock;
  /** The sessions, oldest first. */
  readonly #entries = new Map<string, MemoryEntry>();
  readonly #reserved = new Map<string, SessionAllowance | undefined>();
  /** The shares of users with sessions, by their key. */
  readonly #shares = new Map<string, SessionAllowance>();
  /** The sessions without holds, least recently used first. */
  readonly #free = new LinkedList<MemoryEntry>();
  readonly #subscribers = new Subscribers();

  /**
   * Creates an empty store.
   *
   * @param caps The maximum numbers of sessions
   * @param lifetimes The lifetimes of sessions
   * @param clock The source of time
   */
  constructor(caps: SessionCaps, lifetimes: SessionLifetimes, clock: Clock) {
    this.#caps = caps;
    this.#lifetimes = lifetimes;
    this.#clock = clock;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the share key of a session's owner; `undefined` if there is no such session, or no owner yet. */
  shareOf(id: string): string | undefined {
    return this.#entries.get(id)?.share?.key;
  }

  reserve(id: string, owner: string | undefined): Reservation {
    const ended: EndedSession[] = [];
    if (this.#entries.has(id) || this.#reserved.has(id)) return { admitted: false, ended };
    const known = owner === undefined ? undefined : this.#shares.get(shareKey(owner));
    const admitted = this.#makeRoom(known, ended);
    if (admitted) this.#reserved.set(id, this.#addToShare(owner));
    return { admitted, ended };
  }

  release(id: string): void {
    if (!this.#reserved.has(id)) return;
    this.#removeFromShare(this.#reserved.get(id));
    this.#reserved.delete(id);
  }

  create(record: SessionRecord): boolean {
    const { id } = record;
    if (!this.#reserved.has(id)) return false;
    // Counted before the reservation is released, so that the share is not forgotten in between.
    const entry = new MemoryEntry(record, this.#addToShare(record.owner));
    this.release(id);
    this.#entries.set(id, entry);
    this.#touch(entry, this.#clock.now());
    return true;
  }

  use(id: string, owner: string): Found {
    const entry = this.#entries.get(id);
    if (entry === undefined) return UNKNOWN;
    const current = entry.record.owner;
    if (current !== undefined && current !== owner) return FOREIGN;
    const now = this.#clock.now();
    const reason = this.#expiry(entry, now);
    if (reason !== undefined) {
      this.#remove(entry);
      return { refusal: "expired", ended: { id, reason } };
    }
    if (current === undefined) this.#assignOwner(entry, owner);
    this.#touch(entry, now);
    return entry;
  }

  peek(id: string): SessionRecord | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || this.#expiry(entry, this.#clock.now()) !== undefined) {
      return undefined;
    }
    return entry.record;
  }

  update(id: string, patch: SessionPatch): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) entry.record = { ...entry.record, ...patch };
  }

  hold(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    entry.holds += 1;
    this.#free.remove(entry);
    entry.share?.free.remove(entry.shareEntry);
  }

  free(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.holds === 0) return;
    entry.holds -= 1;
    this.#touch(entry, this.#clock.now());
  }

  end(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry !== undefined) this.#remove(entry);
    return entry !== undefined;
  }

  sweep(limit: number): readonly EndedSession[] {
    const ended: EndedSession[] = [];
    const now = this.#clock.now();
    let idle = this.#free.first;
    while (idle !== undefined && ended.length < limit && this.#expire(idle, now, ended)) {
      idle = this.#free.first;
    }
    for (const entry of this.#entries.values()) {
      if (ended.length >= limit || !this.#expire(entry, now, ended)) return ended;
    }
    return ended;
  }

  ids(): Iterable<string> {
    return this.#entries.keys();
  }

  *uses(): Iterable<readonly [id: string, usedAt: number | undefined]> {
    for (const [id, { holds, usedAt }] of this.#entries) {
      yield [id, holds > 0 ? undefined : usedAt];
    }
  }

  getState(id: string, key: string): unknown {
    return this.#entries.get(id)?.state?.get(key);
  }

  setState(id: string, key: string, value: unknown, most = Infinity): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined) (entry.state ??= new StateValues()).set(key, value, most);
  }

  deleteState(id: string, key: string): void {
    this.#entries.get(id)?.state?.delete(key);
  }

  subscribe(id: string, uri: string, cap: number): "subscribed" | "full" | "gone" {
    const entry = this.#entries.get(id);
    if (entry === undefined) return "gone";
    const subscriptions = entry.subscriptions ??= new Set();
    if (subscriptions.has(uri)) return "subscribed";
    if (subscriptions.size >= cap) return "full";
    subscriptions.add(uri);
    this.#subscribers.add(uri, id);
    return "subscribed";
  }

  unsubscribe(id: string, uri: string): void {
    if (this.#entries.get(id)?.subscriptions?.delete(uri)) this.#subscribers.remove(uri, id);
  }

  subscribers(uri: string): Iterable<string> {
    return this.#subscribers.of(uri);
  }

  /** Ends sessions until one more fits under both caps. Returns `false` if too many have holds. */
  #makeRoom(share: SessionAllowance | undefined, ended: EndedSession[]): boolean {
    const { sessions, sessionsPerPrincipal } = this.#caps;
    while (true) {
      const sharesCap = share !== undefined && share.count >= sessionsPerPrincipal;
      const count = this.#entries.size + this.#reserved.size;
      if (!sharesCap && count < sessions) return true;
      const own = share?.free.first?.entry;
      const victim = sharesCap ? own : own ?? this.#free.first;
      if (victim === undefined) return false;
      const reason = this.#expiry(victim, this.#clock.now()) ?? "evicted";
      this.#remove(victim);
      ended.push({ id: victim.record.id, reason });
    }
  }

  /** Ends a session if it has expired. */
  #expire(entry: MemoryEntry, now: number, ended: EndedSession[]): boolean {
    const reason = this.#expiry(entry, now);
    if (reason === undefined) return false;
    this.#remove(entry);
    ended.push({ id: entry.record.id, reason });
    return true;
  }

  #expiry({ record, usedAt, holds }: MemoryEntry, now: number): "idle" | "expired" | undefined {
    if (now - record.createdAt >= this.#lifetimes.absoluteMs) return "expired";
    return holds === 0 && now - usedAt >= this.#lifetimes.idleMs ? "idle" : undefined;
  }

  /** Assigns a session without an owner to the first principal that uses it. */
  #assignOwner(entry: MemoryEntry, owner: string): void {
    entry.record = { ...entry.record, owner };
    entry.share = this.#addToShare(owner);
  }

  /** Marks a session as used; without holds, it becomes the last one to be evicted. */
  #touch(entry: MemoryEntry, now: number): void {
    entry.usedAt = now;
    if (entry.holds > 0) return;
    this.#free.append(entry);
    entry.share?.free.append(entry.shareEntry);
  }

  #remove(entry: MemoryEntry): void {
    const { id } = entry.record;
    this.#entries.delete(id);
    this.#free.remove(entry);
    entry.share?.free.remove(entry.shareEntry);
    this.#removeFromShare(entry.share);
    for (const uri of entry.subscriptions ?? []) this.#subscribers.remove(uri, id);
  }

  /** Counts one more session of an owner, and returns the owner's share. */
  #addToShare(owner: string | undefined): SessionAllowance | undefined {
    if (owner === undefined) return undefined;
    const key = shareKey(owner);
    let share = this.#shares.get(key);
    if (share === undefined) this.#shares.set(key, share = new SessionAllowance(key));
    share.count += 1;
    return share;
  }

  #removeFromShare(share: SessionAllowance | undefined): void {
    if (share === undefined) return;
    share.count -= 1;
    if (share.count === 0) this.#shares.delete(share.key);
  }
}
