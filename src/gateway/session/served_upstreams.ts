/**
 * Holds the upstreams that a view serves, and what the sessions of its clients have in common.
 *
 * @module
 */
import type {
  DispatcherHost,
  JsonObject,
  McpEvent,
  Notification,
  Principal,
} from "../../../mod.ts";
import { BoundedSet, shown } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import { KnownItems } from "../shared/known_items.ts";
import { Capacity } from "./capacity.ts";
import { Crashes } from "./crashes.ts";
import type { Upstream } from "../types.ts";
import { RecentFailures } from "./recent_failures.ts";
import type { ResultCache } from "./result_cache.ts";

/** The most extensions that are remembered as reported. */
const MOST_REPORTED = 1_000;

/** An upstream with its name, and the identity that it had when it was added. */
export interface RegisteredUpstream {
  readonly name: string;
  readonly upstream: Upstream;
  readonly identity: string;
  /** The results of it that are kept, for all views. */
  readonly cache?: ResultCache | undefined;
}

/** How a view shows what its upstreams have. */
export interface Naming {
  /** Returns the name that a tool or prompt of an upstream has in the view. */
  readonly rename: (upstream: string, name: string) => string;
  /** Returns the definition of an upstream's tool with the addresses that it has in the view. */
  readonly defined: (upstream: string, tool: JsonObject) => JsonObject;
}

/** Options for {@linkcode ServedUpstreams}. */
export interface ServedUpstreamsInit extends Naming {
  readonly settings: GatewaySettings;
  /** All upstreams of the gateway, as they are at any time. */
  readonly registry: ReadonlyMap<string, RegisteredUpstream>;
  /** The name of the only upstream to serve; all of them when left out. */
  readonly only: string | undefined;
  /** Whether that one is shown as itself. */
  readonly isAlone: boolean;
  /** Limits what is started, together with other views; a new one when left out. */
  readonly capacity: Capacity | undefined;
}

/** The upstreams of a view, and the endpoints that serve it. */
export class ServedUpstreams {
  readonly settings: GatewaySettings;
  /** Limits what is started, for all views of the gateway together. */
  readonly capacity: Capacity;
  /** Remembers which upstreams failed to tell something about themselves. */
  readonly failures: RecentFailures;
  /** Remembers which programs crash. */
  readonly crashes: Crashes;
  /** Remembers the names of what upstreams list, for events. */
  readonly known: KnownItems;
  /** Whether the view serves one upstream alone, as a server of its own. */
  readonly isAlone: boolean;
  /** Returns the name that a tool or prompt of an upstream has in the view. */
  readonly rename: Naming["rename"];
  /** Returns the definition of an upstream's tool with the addresses that it has in the view. */
  readonly defined: Naming["defined"];
  readonly #registry: ReadonlyMap<string, RegisteredUpstream>;
  readonly #only: string | undefined;
  readonly #hosts = new Set<DispatcherHost>();
  /** The extensions that were reported as withheld, each with its upstream and the reason. */
  readonly #withheld = new BoundedSet<string>(MOST_REPORTED);

  constructor(
    { settings, registry, only, isAlone, capacity, rename, defined }: ServedUpstreamsInit,
  ) {
    this.settings = settings;
    this.capacity = capacity ?? new Capacity(settings);
    this.failures = new RecentFailures(settings.clock, { retryMs: settings.listRetryMs });
    this.crashes = new Crashes(settings.clock);
    this.known = new KnownItems(settings.limits.listEntries);
    this.isAlone = isAlone;
    this.rename = rename;
    this.defined = defined;
    this.#registry = registry;
    this.#only = only;
  }

  /** The upstreams of the view, in their order. */
  get upstreams(): ReadonlyMap<string, RegisteredUpstream> {
    if (this.#only === undefined) return this.#registry;
    const registered = this.#registry.get(this.#only);
    return new Map(registered === undefined ? [] : [[this.#only, registered]]);
  }

  /** Tells whether an upstream is only started, and its tools only found, when it is asked for. */
  isLazy(upstream: string): boolean {
    return this.#only === undefined && this.#registry.get(upstream)?.upstream.lists === "lazy";
  }

  /** Tells whether a principal sees the upstream as itself. What the policy has rules for is judged. */
  isAloneFor(principal: Principal): boolean {
    if (!this.isAlone || this.#only === undefined) return false;
    const upstream = this.#registry.get(this.#only)?.upstream;
    // Who has not signed in there sees the gateway's question in place of the upstream
    if (upstream?.signIn !== undefined) return false;
    // What one session sees of a shared upstream isn't all that goes on in it
    if (upstream?.share !== undefined) return false;
    return this.settings.policies.rulesOf(principal, this.#only) === undefined;
  }

  /** Forgets what an upstream did that was replaced or removed. */
  forget(upstream: string): void {
    this.failures.removeAll(upstream);
    this.crashes.removeAll(upstream);
    this.known.remove(upstream);
  }

  /** The endpoints that serve the view. */
  get hosts(): ReadonlySet<DispatcherHost> {
    return this.#hosts;
  }

  /** Adds an endpoint; the returned function removes it. */
  attach(host: DispatcherHost): () => void {
    this.#hosts.add(host);
    return () => void this.#hosts.delete(host);
  }

  /** Sends a notification on the stream of a client's session. */
  notify(sessionId: string, notification: Notification): void {
    for (const host of this.#hosts) host.notify?.(sessionId, notification);
  }

  /** Sends a request on the stream of a client's session; `undefined` if it isn't served here. */
  ask(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined {
    for (const host of this.#hosts) {
      const answer = host.ask?.(sessionId, method, params, signal);
      if (answer !== undefined) return answer;
    }
    return undefined;
  }

  /** Calls a function when the client of a session opens its stream, until the returned one is called. */
  onListening(sessionId: string, listener: () => void): () => void {
    const stops = [...this.#hosts].map((host) => host.onListening?.(sessionId, listener));
    return () => stops.forEach((stop) => stop?.());
  }

  /** Closes the connection of the server-to-client stream of a client's session. */
  closeStream(sessionId: string): void {
    for (const host of this.#hosts) host.closeStream?.(sessionId);
  }

  /** Reports that clients don't get an extension that an upstream offers, once for each reason. */
  extensionWithheld(upstream: string, given: string, reason: "settings" | "missing"): void {
    const extension = shown(given);
    const key = JSON.stringify([upstream, extension, reason]);
    if (this.#withheld.has(key)) return;
    this.#withheld.add(key);
    this.report({ type: "upstream-extension-withheld", upstream, extension, reason });
  }

  /** Reports an event to the endpoints. Bound, so that it can be passed as a function. */
  readonly report = (event: McpEvent): void => {
    for (const host of this.#hosts) host.report(event);
  };
}
