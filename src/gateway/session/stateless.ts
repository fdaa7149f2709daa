/**
 * Gives clients without a session (2026 era) upstream sessions: for one principal as long as it keeps
 * sending requests, or for one request.
 *
 * @module
 */
import type { Exchange, UpstreamCloseReason } from "../../../mod.ts";
import { BoundedMap, isModern } from "../../kit.ts";
import { type LimitedKind, shareOf } from "./capacity.ts";
import { LATE_LIST_MS, ListCache } from "./list_cache.ts";
import { listsKey, type SharingFacts, sharingKey, userKey } from "./sharing_key.ts";
import type { ServedUpstreams } from "./served_upstreams.ts";
import { UpstreamSessions } from "./upstream_sessions.ts";

/** Represents upstream sessions that a request may use. */
export interface AcquiredSessions {
  readonly sessions: UpstreamSessions;
  /** Keeps the sessions open until the returned function is called. That is safe to call twice. */
  readonly retain: () => () => void;
}

/** A value that expires after a time without use. */
interface ExpiringValue<T> {
  readonly value: T;
  stopTimer: () => void;
}

interface SharedSessions {
  readonly sessions: UpstreamSessions;
  /** When they end, whether they are in use or not. */
  readonly endsAt: number;
  /** Stops the timer for that. */
  readonly stopLimit: () => void;
  /** The number of requests that use them. */
  users: number;
  /** The number of open subscriptions that they are kept for, as long as nobody needs their place. */
  listeners: number;
}

/** Limits how often one user's upstream sessions are kept: for so many clients with other capabilities. */
const MOST_EACH = 16;

/** Keeps the upstream sessions of clients without a session. */
export class StatelessClients {
  readonly #served: ServedUpstreams;
  /** The sessions of single requests, and those that are closing. */
  readonly #single = new Set<UpstreamSessions>();
  /** The sessions of principals, those used least recently first. */
  readonly #shared = new Map<string, ExpiringValue<SharedSessions>>();
  /** The cached lists of principals, those used least recently first. */
  readonly #lists: BoundedMap<string, ExpiringValue<ListCache>>;
  #hasReported = false;

  constructor(served: ServedUpstreams) {
    this.#served = served;
    const { principals } = served.settings.limits;
    this.#lists = new BoundedMap(principals, ({ stopTimer }) => stopTimer());
  }

  /** Returns all sessions. */
  get all(): readonly UpstreamSessions[] {
    return [...this.#single, ...[...this.#shared.values()].map(({ value }) => value.sessions)];
  }

  /** Returns the sessions that are kept for the sender of a notification, if any. */
  peek(sender: SharingFacts): UpstreamSessions | undefined {
    const key = sharingKey(sender, this.#served.isAlone);
    return key === undefined ? undefined : this.#shared.get(key)?.value.sessions;
  }

  /** Returns the sessions that a request may use. */
  acquire(exchange: Exchange): AcquiredSessions {
    const acquired = this.#acquire(exchange);
    acquired.sessions.logLevel = exchange.logLevel;
    return acquired;
  }

  /**
   * Returns the sessions whose changes a subscription tells of. Those that only subscriptions use end where
   * their place is needed.
   */
  listen(sender: SharingFacts): AcquiredSessions {
    return this.#acquire(sender, true);
  }

  #acquire(exchange: SharingFacts, isListener = false): AcquiredSessions {
    const { clock, stateless } = this.#served.settings;
    if (stateless === "request" || !isModern(exchange.protocolVersion)) {
      return this.#acquireSingle(exchange);
    }
    const key = sharingKey(exchange, this.#served.isAlone);
    if (key === undefined) {
      if (!this.#hasReported) this.#served.report({ type: "upstream-unshared" });
      this.#hasReported = true;
      return this.#acquireSingle(exchange);
    }
    let shared = this.#shared.get(key);
    if (shared !== undefined && shared.value.endsAt <= clock.now()) {
      this.#closeShared(key, "expired");
      shared = undefined;
    }
    shared ??= this.#createShared(key, exchange);
    if (shared === undefined) return this.#acquireSingle(exchange);
    // The one used last goes to the end.
    this.#shared.delete(key);
    this.#shared.set(key, shared);
    const { sessions } = shared.value;
    const use = isListener ? "listeners" : "users";
    return { sessions, retain: () => this.#retain(key, shared, use) };
  }

  /** Creates sessions to keep; returns `undefined` if there is no room for them. */
  #createShared(key: string, exchange: SharingFacts): ExpiringValue<SharedSessions> | undefined {
    const { clock, principalAbsoluteMs, limits: { principals } } = this.#served.settings;
    const share = shareOf(exchange.principal);
    const own = ({ sessions }: SharedSessions) => sessions.share === share;
    let count = 0;
    for (const { value } of this.#shared.values()) if (own(value)) count++;
    // A user with many clients takes the place of its own ones.
    if (share !== undefined && count >= MOST_EACH && !this.#evictOne(own)) return undefined;
    if (this.#shared.size >= principals && !this.#evictOne()) return undefined;
    const sessions = this.#create(exchange, this.#createCache(), key);
    const endsAt = clock.now() + principalAbsoluteMs;
    const stopLimit = clock.timer(principalAbsoluteMs, () => this.#closeShared(key, "expired"));
    if (this.#shared.size === 0) this.#served.capacity.reclaimers.add(this.#reclaim);
    return { value: { sessions, endsAt, stopLimit, users: 0, listeners: 0 }, stopTimer() {} };
  }

  /** Closes sessions that aren't in use, because a place for something else is needed. */
  readonly #reclaim = (kind: LimitedKind, share: string | undefined): boolean =>
    this.#evictOne(({ sessions }) =>
      (share === undefined || sessions.share === share) && sessions.holds(kind)
    );

  /** Removes the cached lists of an upstream that was removed or replaced. */
  removeLists(upstream: string): void {
    for (const { value } of this.#lists.values()) value.remove(upstream);
  }

  /** Ends all sessions. */
  async close(reason: UpstreamCloseReason): Promise<void> {
    const { all } = this;
    for (const { stopTimer } of [...this.#shared.values(), ...this.#lists.values()]) stopTimer();
    for (const { value } of this.#shared.values()) value.stopLimit();
    this.#shared.clear();
    this.#lists.clear();
    this.#served.capacity.reclaimers.delete(this.#reclaim);
    await Promise.all(all.map((sessions) => sessions.close(reason)));
  }

  #acquireSingle(exchange: SharingFacts): AcquiredSessions {
    const sessions = this.#create(exchange, this.#cacheFor(exchange));
    this.#single.add(sessions);
    let users = 0;
    const retain = () => {
      users++;
      return once(() => {
        if (--users === 0) this.#closeSingle(sessions, "ended");
      });
    };
    return { sessions, retain };
  }

  #retain(
    key: string,
    shared: ExpiringValue<SharedSessions>,
    use: "users" | "listeners",
  ): () => void {
    const { value } = shared;
    shared.stopTimer();
    value[use]++;
    return once(() => {
      value[use]--;
      if (value.users > 0 || value.listeners > 0 || value.sessions.isClosed) return;
      const { clock, principalIdleMs } = this.#served.settings;
      shared.stopTimer = clock.timer(principalIdleMs, () => this.#closeShared(key, "idle"));
    });
  }

  /** Closes the shared sessions that were used least recently and aren't in use now, if any. */
  #evictOne(mayGo: (shared: SharedSessions) => boolean = () => true): boolean {
    for (const [key, { value }] of this.#shared) {
      if (value.users > 0 || !mayGo(value)) continue;
      this.#closeShared(key, "evicted");
      return true;
    }
    return false;
  }

  #closeShared(key: string, reason: UpstreamCloseReason): void {
    const shared = this.#shared.get(key);
    if (shared === undefined) return;
    this.#shared.delete(key);
    shared.stopTimer();
    shared.value.stopLimit();
    if (this.#shared.size === 0) this.#served.capacity.reclaimers.delete(this.#reclaim);
    this.#closeSingle(shared.value.sessions, reason);
  }

  /** Closes sessions. They are counted until they are closed. */
  #closeSingle(sessions: UpstreamSessions, reason: UpstreamCloseReason): void {
    this.#single.add(sessions);
    void sessions.close(reason).then(() => this.#single.delete(sessions));
  }

  #cacheFor(exchange: SharingFacts): ListCache {
    const { clock, listCacheMs } = this.#served.settings;
    if (listCacheMs === 0) return this.#createCache();
    const key = listsKey(exchange, this.#served.isAlone);
    const cached = this.#lists.get(key) ?? { value: this.#createCache(), stopTimer() {} };
    cached.stopTimer();
    // No list is valid for much longer, but some may be fetched after this request has begun.
    const ms = Math.max(2 * listCacheMs, LATE_LIST_MS);
    cached.stopTimer = clock.timer(ms, () => this.#lists.delete(key));
    this.#lists.set(key, cached);
    return cached.value;
  }

  #createCache(): ListCache {
    return new ListCache(this.#served.settings.clock);
  }

  #create(exchange: SharingFacts, lists: ListCache, key?: string): UpstreamSessions {
    const { principal, client, protocolVersion: version } = exchange;
    const served = this.#served;
    const init = { served, sessionId: undefined, principal, client, version, lists };
    const stranger = key !== undefined && { stranger: key };
    return new UpstreamSessions({ ...init, ...stranger, user: userKey(exchange) });
  }
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
