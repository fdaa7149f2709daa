/**
 * A gateway's upstreams, and everything that endpoints serve of them.
 *
 * @module
 */
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  NotificationExchange,
} from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import type { Gateway, GatewayStats } from "./gateway.ts";
import type { NamedUpstream } from "./link.ts";
import { checkUpstreamName } from "./names.ts";
import { checkOptions, type GatewayOptions, type GatewaySettings } from "./options.ts";
import type { Upstream } from "./types.ts";
import { View } from "./view.ts";

/** A gateway: the view of all its upstreams, and those of each alone. */
export class Hub implements Gateway {
  readonly pinned = true;
  readonly resourceUpdates: boolean;
  readonly listChanged: readonly string[];
  readonly serverInfo: Implementation;
  readonly #settings: GatewaySettings;
  readonly #upstreams = new Map<string, NamedUpstream>();
  readonly #all: View;
  readonly #alone = new Map<string, View>();
  #closed: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    const settings = checkOptions(options);
    this.#settings = settings;
    for (const [name, upstream] of Object.entries(options.upstreams ?? {})) {
      this.#put(name, upstream);
    }
    this.#all = new View({ settings, upstreams: this.#upstreams });
    this.resourceUpdates = this.#all.resourceUpdates;
    this.listChanged = this.#all.listChanged;
    this.serverInfo = settings.info;
  }

  names(): readonly string[] {
    return [...this.#upstreams.keys()];
  }

  async set(name: string, upstream: Upstream): Promise<void> {
    if (this.#closed !== undefined) throw new TypeError("Make a new gateway: this one is closed");
    const before = this.#put(name, upstream);
    if (before?.identity === this.#upstreams.get(name)?.identity) return;
    await this.#changed(name, "changed");
  }

  async remove(name: string): Promise<boolean> {
    if (!this.#upstreams.delete(name)) return false;
    await this.#changed(name, "removed");
    // Whoever serves it goes on to; for anybody else it is made again.
    if (this.#alone.get(name)?.served === false) this.#alone.delete(name);
    return true;
  }

  only(name: string): Dispatcher {
    if (!this.#upstreams.has(name)) {
      throw new TypeError(`Name an upstream that there is: "${name}"`);
    }
    let view = this.#alone.get(name);
    if (view === undefined) {
      view = new View({ settings: this.#settings, upstreams: this.#upstreams, only: name });
      this.#alone.set(name, view);
    }
    return view;
  }

  stats(): GatewayStats {
    const views = this.#views;
    return {
      upstreams: this.#upstreams.size,
      sessions: views.reduce((sum, { open }) => sum + open, 0),
      held: views.reduce((sum, { held }) => sum + held, 0),
    };
  }

  dispatch(exchange: Exchange): Promise<JsonObject> {
    return this.#all.dispatch(exchange);
  }

  hide(exchange: Exchange): Promise<JsonObject> {
    return this.#all.hide(exchange);
  }

  notified(exchange: NotificationExchange): Promise<void> {
    return this.#all.notified(exchange);
  }

  attach(host: DispatcherHost): () => void {
    return this.#all.attach(host);
  }

  sessionEnded(sessionId: string): Promise<void> {
    return this.#all.sessionEnded(sessionId);
  }

  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #views(): readonly View[] {
    return [this.#all, ...this.#alone.values()];
  }

  async #close(): Promise<void> {
    await Promise.all(this.#views.map((view) => view.close()));
  }

  async #changed(name: string, reason: "changed" | "removed"): Promise<void> {
    await Promise.all(this.#views.map((view) => view.changed(name, reason)));
  }

  /** Puts an upstream under a name; the one that was there before. */
  #put(name: string, upstream: Upstream): NamedUpstream | undefined {
    const { separator, limits } = this.#settings;
    checkUpstreamName(name, separator);
    const { kind, identity, open } = upstream ?? {};
    if (typeof open !== "function" || typeof identity !== "string" || typeof kind !== "string") {
      throw new TypeError(`Give an upstream, such as http(…) or stdio(…), as "${name}"`);
    }
    const before = this.#upstreams.get(name);
    if (before === undefined && this.#upstreams.size >= limits.upstreams) {
      throw new RangeError(`Give at most ${limits.upstreams} upstreams: "${name}" is one more`);
    }
    // Read once: what an upstream later says of itself can't change what its sessions are.
    this.#upstreams.set(name, { name, upstream, identity: `${kind} ${identity}` });
    return before;
  }
}
