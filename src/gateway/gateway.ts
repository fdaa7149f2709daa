/**
 * Combines upstreams into one server.
 *
 * @module
 */
import type { Dispatcher, Principal } from "../../mod.ts";
import { checkNames, keepAliveDuring } from "../kit.ts";
import { checkOptions, type GatewayOptions } from "./options.ts";
import type { GatewayPolicy } from "./policy/types.ts";
import { shareOf } from "./session/capacity.ts";
import { ResultCache } from "./session/result_cache.ts";
import type { RegisteredUpstream } from "./session/served_upstreams.ts";
import type { Upstream } from "./types.ts";
import { checkUpstreamName } from "./view/names.ts";
import { ServerView } from "./view/server_view.ts";
import { GatewayView } from "./view/view.ts";

/** A gateway's gauges. */
export interface GatewayStats {
  /** The number of upstreams. */
  readonly upstreams: number;
  /** The number of upstream sessions, with those that are opening and closing. */
  readonly sessions: number;
  /** The number of programs that run as upstreams, with those that are starting and ending. */
  readonly programs: number;
  /** The number of calls of 2026 clients that are held until their client answers a question. */
  readonly held: number;
  /** The number of tasks that run in this process. */
  readonly tasks: number;
}

/** Serves upstreams as one server, through {@linkcode createMcpHandler} of `@mooring/mcp`. */
export interface Gateway extends Dispatcher, AsyncDisposable {
  /** Pins every session to the process that holds its upstream sessions. */
  readonly pinned: true;
  /** Returns the names of the upstreams, in their order. */
  names(): readonly string[];
  /**
   * Adds an upstream, or replaces the one with the same name. If they differ in a setting that
   * sessions depend on, the sessions of the old one end. Clients are sent `list_changed`.
   *
   * @returns A promise that resolves when the sessions of the old upstream have ended
   * @throws {TypeError} If the name isn't valid, or the value isn't an upstream
   * @throws {RangeError} If there are `limits.upstreams` upstreams already
   */
  set(name: string, upstream: Upstream): Promise<void>;
  /**
   * Removes an upstream and ends all of its sessions. Clients are sent `list_changed`.
   *
   * @returns A promise that resolves, once those sessions have ended, to whether there was one
   */
  remove(name: string): Promise<boolean>;
  /**
   * Returns one upstream as a server of its own, whose tools and prompts keep their names. Returns
   * the same object at every call; it serves nothing while the gateway has no such upstream.
   *
   * @throws {TypeError} If there is no such upstream
   */
  only(name: string): Dispatcher;
  /**
   * Returns the upstreams as a server with other options than the gateway itself, for an endpoint of its
   * own. Returns the same object at every call with the same options.
   *
   * @throws {TypeError} If an option has the wrong type, or there is no such upstream
   */
  view(options?: ViewOptions): Dispatcher;
  /**
   * Replaces the policy; without one, everybody may use everything. Lists are fetched again, clients are
   * sent `list_changed`, and calls that run continue.
   *
   * @throws {TypeError} If a rule has the wrong form; nothing has changed then
   */
  setPolicy(policy: GatewayPolicy | undefined): void;
  /** Returns the gauges. */
  stats(): GatewayStats;
  /** Ends every upstream session and refuses new requests. Safe to call twice. */
  close(): Promise<void>;
}

/** Options for {@linkcode Gateway.view}. */
export interface ViewOptions {
  /** The name of the only upstream to serve, whose tools and prompts keep their names; all by default. */
  readonly only?: string;
  /**
   * Lists two tools in place of all others, `search_tools` and `call_tool`, with which a model finds and
   * calls the others.
   *
   * @default {false}
   */
  readonly toolSearch?: boolean;
}

/**
 * Creates a gateway: the tools, prompts and resources of several MCP servers as one server. Tools
 * and prompts are prefixed with the name of their upstream, and so are resources where two upstreams may
 * have the same address.
 *
 * @param options Upstreams, time limits and bounds
 * @throws {TypeError} If an option has the wrong type, or an upstream's name isn't valid
 * @throws {RangeError} If a number is out of range
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { gateway, local } from "@mooring/mcp/gateway";
 *
 * const clock = new McpServer({ name: "clock", version: "1.0.0" });
 * clock.registerTool("now", {}, () => new Date().toISOString());
 *
 * const gw = gateway({ upstreams: { clock: local(clock) } });
 * const handler = createMcpHandler(gw); // offers the tool "clock__now"
 * await handler.close();
 * await gw.close();
 * ```
 */
export function gateway(options: GatewayOptions = {}): Gateway {
  return new MergedView(options);
}

/** The time that closing may take beyond the time limits of sessions, in milliseconds. */
const SLACK_MS = 1000;

/** Serves all upstreams, keeps their registry, and owns the views that serve one upstream each. */
class MergedView extends GatewayView implements Gateway {
  readonly #registry: Map<string, RegisteredUpstream>;
  /** The views of one upstream, and those with options, by their options. */
  readonly #others = new Map<
    string,
    { readonly only: string | undefined; readonly view: GatewayView }
  >();
  #closing: Promise<void> | undefined;

  constructor(options: GatewayOptions) {
    const upstreams = new Map<string, RegisteredUpstream>();
    super({ settings: checkOptions(options), upstreams, views: () => this.#views });
    this.#registry = upstreams;
    this.served.capacity.reclaimers.add((kind, share) =>
      kind === "programs" && this.#endUnused(share)
    );
    for (const [name, upstream] of Object.entries(options.upstreams ?? {})) {
      this.#register(name, upstream);
    }
  }

  names(): readonly string[] {
    return [...this.#registry.keys()];
  }

  async set(name: string, upstream: Upstream): Promise<void> {
    if (this.#closing !== undefined) {
      throw new TypeError(`Create a new gateway: this one is closed, and can't add "${name}"`);
    }
    for (const view of this.#views) view.checkServed(name, upstream);
    const before = this.#register(name, upstream);
    if (before?.identity === this.#registry.get(name)?.identity) return;
    await Promise.all(this.#views.map((view) => view.upstreamChanged(name, "changed")));
    await before?.upstream.endUnused?.();
  }

  async remove(name: string): Promise<boolean> {
    const before = this.#registry.get(name);
    if (!this.#registry.delete(name)) return false;
    await Promise.all(this.#views.map((view) => view.upstreamChanged(name, "removed")));
    await before?.upstream.endUnused?.();
    // An endpoint that serves a view keeps it; otherwise `view()` creates it again.
    for (const [key, { only, view }] of this.#others) {
      if (only === name && !view.isServed) this.#others.delete(key);
    }
    return true;
  }

  only(name: string): Dispatcher {
    return this.view({ only: name });
  }

  view(options: ViewOptions = {}): Dispatcher {
    checkNames("view()", options, { only: true, toolSearch: true });
    const { only, toolSearch = false } = options;
    if (typeof toolSearch !== "boolean") {
      throw new TypeError(`Give a boolean as "toolSearch": ${typeof toolSearch}`);
    }
    if (only !== undefined && !this.#registry.has(only)) {
      throw new TypeError(`Add the upstream first, or correct its name: "${only}"`);
    }
    if (only === undefined && !toolSearch) return this;
    const key = `${toolSearch} ${only ?? ""}`;
    const known = this.#others.get(key);
    if (known !== undefined) return known.view;
    const { settings, served: { capacity } } = this;
    const init = { settings, capacity, upstreams: this.#registry, views: () => this.#views };
    const view = only !== undefined && !toolSearch
      ? new ServerView({ ...init, only })
      : new GatewayView({ ...init, toolSearch, ...only !== undefined && { only } });
    this.#others.set(key, { only, view });
    return view;
  }

  setPolicy(policy: GatewayPolicy | undefined): void {
    this.settings.policies.set(policy);
    for (const view of this.#views) view.policyChanged();
  }

  stats(): GatewayStats {
    return {
      upstreams: this.#registry.size,
      sessions: this.served.capacity.taken("upstreamSessions"),
      programs: this.served.capacity.taken("programs"),
      held: this.#views.reduce((sum, { heldCalls }) => sum + heldCalls, 0),
      tasks: this.#views.reduce((sum, { tasks }) => sum + tasks, 0),
    };
  }

  override close(): Promise<void> {
    // Sessions that don't close are abandoned after twice the time limit.
    return this.#closing ??= keepAliveDuring(
      2 * this.settings.closeTimeoutMs + SLACK_MS,
      () => this.#closeAll(),
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #views(): readonly GatewayView[] {
    return [this, ...[...this.#others.values()].map(({ view }) => view)];
  }

  async #closeAll(): Promise<void> {
    const others = [...this.#others.values()].map(({ view }) => view.close());
    await Promise.all([super.close(), ...others]);
    // The programs that sessions have used together end now, and not a while after the last one.
    await Promise.all([...this.#registry.values()].map(({ upstream }) => upstream.endUnused?.()));
  }

  /** Ends programs that no session uses, because their place is needed; those of a share, or any. */
  #endUnused(share: string | undefined): boolean {
    const mayEnd = share === undefined ? undefined : (user: Principal) => shareOf(user) === share;
    return [...this.#registry.values()].some(({ upstream }) =>
      upstream.endUnused?.(mayEnd) !== undefined
    );
  }

  #createCache({ cache }: Upstream): ResultCache | undefined {
    return cache && new ResultCache(cache, this.settings.clock);
  }

  /** Registers an upstream under a name and returns the one that it replaces. */
  #register(name: string, upstream: Upstream): RegisteredUpstream | undefined {
    const { separator, limits } = this.settings;
    checkUpstreamName(name, separator);
    const { kind, identity, open, lists } = upstream ?? {};
    if (typeof open !== "function" || typeof identity !== "string" || typeof kind !== "string") {
      throw new TypeError(`Give an upstream, such as http(…) or stdio(…), as "${name}"`);
    }
    const before = this.#registry.get(name);
    if (before === undefined && this.#registry.size >= limits.upstreams) {
      throw new RangeError(`Give at most ${limits.upstreams} upstreams: "${name}" is one more`);
    }
    // The identity is read once, so that an upstream can't change it while sessions depend on it.
    const own = `${kind} ${lists ?? ""} ${identity}`;
    // Those who use a program together do so by one object.
    const isSame = upstream.share !== undefined && before?.identity === own;
    this.#registry.set(name, {
      name,
      upstream: isSame ? before.upstream : upstream,
      identity: own,
      cache: before?.identity === own ? before.cache : this.#createCache(upstream),
    });
    return before;
  }
}
