/**
 * Gives clients without a session (2026 era) upstream sessions: for one request, or for one principal
 * as long as it keeps sending requests.
 *
 * @module
 */
import { shortHash } from "../../internal/random.ts";
import type { UpstreamCloseReason } from "../../protocol/events.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isModern } from "../../protocol/versions.ts";
import { ListCache } from "./list_cache.ts";
import { ownerKey } from "../../sessions/owner.ts";
import { upstreamCapabilities } from "./translate.ts";
import { type SessionsHost, UpstreamSessions } from "./upstream_sessions.ts";

/** Represents upstream sessions that a request may use. */
export interface AcquiredSessions {
  readonly sessions: UpstreamSessions;
  /** Keeps the sessions open until the returned function is called. That is safe to call twice. */
  readonly retain: () => () => void;
}

/** Represents a value that expires after a time without use. */
interface Expiring<T> {
  readonly value: T;
  stopTimer: () => void;
}

interface SharedSessions {
  readonly sessions: UpstreamSessions;
  users: number;
}

/** Keeps the upstream sessions of clients without a session. */
export class StatelessClients {
  readonly #host: SessionsHost;
  /** Holds the sessions of single requests, and those that are closing. */
  readonly #single = new Set<UpstreamSessions>();
  /** Holds the sessions of principals, those used least recently first. */
  readonly #shared = new Map<string, Expiring<SharedSessions>>();
  /** Holds the cached lists of principals, those used least recently first. */
  readonly #lists = new Map<string, Expiring<ListCache>>();

  constructor(host: SessionsHost) {
    this.#host = host;
  }

  /** Returns all sessions. */
  get all(): readonly UpstreamSessions[] {
    return [...this.#single, ...[...this.#shared.values()].map(({ value }) => value.sessions)];
  }

  /** Returns the sessions that a request may use. */
  acquire(exchange: Exchange): AcquiredSessions {
    const { stateless, limits: { principals } } = this.#host.settings;
    if (stateless === "request" || !isModern(exchange.protocolVersion)) {
      return this.#acquireSingle(exchange);
    }
    const key = clientKey(exchange);
    let shared = this.#shared.get(key);
    if (shared === undefined) {
      if (this.#shared.size >= principals && !this.#evictOne()) {
        return this.#acquireSingle(exchange);
      }
      const sessions = this.#create(exchange, this.#createCache());
      shared = { value: { sessions, users: 0 }, stopTimer() {} };
    }
    // The one used last goes to the end.
    this.#shared.delete(key);
    this.#shared.set(key, shared);
    const { sessions } = shared.value;
    sessions.logLevel = exchange.logLevel;
    return { sessions, retain: () => this.#retain(key, shared) };
  }

  /** Removes the cached lists of an upstream that was removed or replaced. */
  removeLists(upstream: string): void {
    for (const { value } of this.#lists.values()) value.remove(upstream);
  }

  /** Ends all sessions. */
  async close(reason: UpstreamCloseReason): Promise<void> {
    const { all } = this;
    for (const { stopTimer } of [...this.#shared.values(), ...this.#lists.values()]) stopTimer();
    this.#shared.clear();
    this.#lists.clear();
    await Promise.all(all.map((sessions) => sessions.close(reason)));
  }

  #acquireSingle(exchange: Exchange): AcquiredSessions {
    const sessions = this.#create(exchange, this.#cacheFor(exchange));
    sessions.logLevel = exchange.logLevel;
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

  #retain(key: string, shared: Expiring<SharedSessions>): () => void {
    const { value } = shared;
    shared.stopTimer();
    value.users++;
    return once(() => {
      if (--value.users > 0 || value.sessions.isClosed) return;
      const { clock, principalIdleMs } = this.#host.settings;
      shared.stopTimer = clock.timer(principalIdleMs, () => this.#closeShared(key, "idle"));
    });
  }

  /** Closes the shared sessions that were used least recently and aren't in use now, if any. */
  #evictOne(): boolean {
    for (const [key, { value }] of this.#shared) {
      if (value.users > 0) continue;
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
    this.#closeSingle(shared.value.sessions, reason);
  }

  /** Closes sessions. They are counted until they are closed. */
  #closeSingle(sessions: UpstreamSessions, reason: UpstreamCloseReason): void {
    this.#single.add(sessions);
    void sessions.close(reason).then(() => this.#single.delete(sessions));
  }

  #cacheFor(exchange: Exchange): ListCache {
    const { clock, listCacheMs, limits: { principals } } = this.#host.settings;
    if (listCacheMs === 0) return this.#createCache();
    const { principal: { scopes }, request } = exchange;
    // Lists may depend on what the credentials allow.
    const authorization = shortHash(request.headers.get("authorization") ?? "");
    const key = JSON.stringify([clientKey(exchange), scopes, authorization]);
    const cached = this.#lists.get(key) ?? { value: this.#createCache(), stopTimer() {} };
    cached.stopTimer();
    // No list is valid for longer, but some may be fetched after this request has begun.
    cached.stopTimer = clock.timer(2 * listCacheMs, () => this.#lists.delete(key));
    this.#lists.delete(key);
    this.#lists.set(key, cached);
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > principals && oldest !== undefined) {
      this.#lists.get(oldest)?.stopTimer();
      this.#lists.delete(oldest);
    }
    return cached.value;
  }

  #createCache(): ListCache {
    const { clock, listCacheMs } = this.#host.settings;
    return new ListCache(clock, listCacheMs);
  }

  #create(exchange: Exchange, lists: ListCache): UpstreamSessions {
    const { principal, client, protocolVersion: version } = exchange;
    const host = this.#host;
    return new UpstreamSessions({ host, sessionId: undefined, principal, client, version, lists });
  }
}

/** Returns a key that is equal for requests of one owner whose clients have equal capabilities. */
function clientKey({ principal, client, protocolVersion: version }: Exchange): string {
  return JSON.stringify([ownerKey(principal), version, upstreamCapabilities(client, version)]);
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
