/**
 * The links of clients without a session: for one request, or for one principal as long as it keeps
 * coming back.
 *
 * @module
 */
import { shortHash } from "../internal/random.ts";
import type { UpstreamCloseReason } from "../protocol/events.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { Links, type LinksHost } from "./links.ts";
import { ListCache } from "./lists.ts";
import { ownerOf } from "./owner.ts";
import { isModern, passedCapabilities } from "./translate.ts";

/** Links in use. */
export interface Lease {
  readonly links: Links;
  /** Keeps the links until the returned function is called; it is safe to call twice. */
  readonly retain: () => () => void;
}

/** Something that is forgotten when it wasn't used for a while. */
interface Kept<T> {
  readonly value: T;
  stop: () => void;
}

interface Shared {
  readonly links: Links;
  uses: number;
}

/** The links of clients without a session. */
export class Leases {
  readonly #host: LinksHost;
  /** Links for a single request, and those that end. */
  readonly #single = new Set<Links>();
  /** Links for a principal. */
  readonly #shared = new Map<string, Kept<Shared>>();
  /** What principals were listed a moment ago. */
  readonly #lists = new Map<string, Kept<ListCache>>();

  constructor(host: LinksHost) {
    this.#host = host;
  }

  /** All links that there are. */
  get links(): readonly Links[] {
    return [...this.#single, ...[...this.#shared.values()].map(({ value }) => value.links)];
  }

  /** Links for a request. */
  take(exchange: Exchange): Lease {
    const { stateless, limits: { principals } } = this.#host.settings;
    if (stateless === "request" || !isModern(exchange.protocolVersion)) return this.#one(exchange);
    const key = ownKey(exchange);
    let kept = this.#shared.get(key);
    if (kept === undefined) {
      if (this.#shared.size >= principals && !this.#makeRoom()) return this.#one(exchange);
      kept = { value: { links: this.#make(exchange, this.#newCache()), uses: 0 }, stop() {} };
    }
    // The one used last goes to the end.
    this.#shared.delete(key);
    this.#shared.set(key, kept);
    const { value } = kept;
    value.links.logLevel = exchange.logLevel;
    return { links: value.links, retain: () => this.#use(key, kept) };
  }

  /** Forgets everything of an upstream that changed or is no more. */
  drop(upstream: string): void {
    for (const { value } of this.#lists.values()) value.remove(upstream);
  }

  /** Ends all links. */
  async close(reason: UpstreamCloseReason): Promise<void> {
    const all = this.links;
    for (const { stop } of [...this.#shared.values(), ...this.#lists.values()]) stop();
    this.#shared.clear();
    this.#lists.clear();
    await Promise.all(all.map((links) => links.close(reason)));
  }

  #one(exchange: Exchange): Lease {
    const links = this.#make(exchange, this.#cacheFor(exchange));
    links.logLevel = exchange.logLevel;
    this.#single.add(links);
    let uses = 0;
    const retain = () => {
      uses++;
      return once(() => {
        if (--uses > 0) return;
        void links.close("ended").then(() => this.#single.delete(links));
      });
    };
    return { links, retain };
  }

  #use(key: string, kept: Kept<Shared>): () => void {
    const { value } = kept;
    kept.stop();
    value.uses++;
    return once(() => {
      if (--value.uses > 0 || value.links.ending !== undefined) return;
      const { clock, principalIdleMs } = this.#host.settings;
      kept.stop = clock.timer(principalIdleMs, () => this.#end(key, "idle"));
    });
  }

  /** Ends what was used longest ago of what nobody uses now. */
  #makeRoom(): boolean {
    for (const [key, { value }] of this.#shared) {
      if (value.uses > 0) continue;
      this.#end(key, "evicted");
      return true;
    }
    return false;
  }

  #end(key: string, reason: UpstreamCloseReason): void {
    const kept = this.#shared.get(key);
    if (kept === undefined) return;
    this.#shared.delete(key);
    kept.stop();
    const { links } = kept.value;
    // It is among those that there are until it has ended.
    this.#single.add(links);
    void links.close(reason).then(() => this.#single.delete(links));
  }

  #cacheFor(exchange: Exchange): ListCache {
    const { clock, listCacheMs, limits: { principals } } = this.#host.settings;
    if (listCacheMs === 0) return this.#newCache();
    const { principal: { scopes }, request } = exchange;
    // What is listed may depend on what the credentials allow.
    const authorization = shortHash(request.headers.get("authorization") ?? "");
    const key = JSON.stringify([ownKey(exchange), scopes, authorization]);
    const kept = this.#lists.get(key) ?? { value: this.#newCache(), stop() {} };
    kept.stop();
    // Nothing in it is good for longer, but it may have come in later.
    kept.stop = clock.timer(2 * listCacheMs, () => this.#lists.delete(key));
    this.#lists.delete(key);
    this.#lists.set(key, kept);
    const [oldest] = this.#lists.keys();
    if (this.#lists.size > principals && oldest !== undefined) {
      this.#lists.get(oldest)?.stop();
      this.#lists.delete(oldest);
    }
    return kept.value;
  }

  #newCache(): ListCache {
    const { clock, listCacheMs } = this.#host.settings;
    return new ListCache(clock, listCacheMs);
  }

  #make({ principal, client, protocolVersion: version }: Exchange, lists: ListCache): Links {
    const host = this.#host;
    return new Links({ host, sessionId: undefined, principal, client, version, lists });
  }
}

/** The same for requests of one owner whose clients can be asked the same. */
function ownKey({ principal, client, protocolVersion: version }: Exchange): string {
  return JSON.stringify([ownerOf(principal), version, passedCapabilities(client, version)]);
}

function once(act: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    act();
  };
}
