/**
 * Receives what an upstream of the 2026 era sends outside calls, through one `subscriptions/listen`
 * request at a time (2026-07-28, Subscriptions).
 *
 * @module
 */
import { ErrorCode, type JsonObject, McpError, type Notification } from "../../../mod.ts";
import { isObject, MetaKey } from "../../kit.ts";
import { withDeadline } from "../shared/deadline.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, Downstream, OpenInit, UpstreamFacts } from "../types.ts";
import type { UpstreamConnection } from "./connection.ts";
import { ownCall } from "./handshake.ts";

/** The most resources that one session is subscribed to. */
const MAX_RESOURCES = 1000;
/** Delays the renewal of a subscription that ended, in milliseconds; doubled after each failure. */
const RENEW_MS = 1000;
/** The most failures in a row before the session ends. */
const MAX_FAILURES = 6;

const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";

/** Maps the capabilities with lists to their names in the subscription's filter. */
const FILTERS = {
  tools: "toolsListChanged",
  prompts: "promptsListChanged",
  resources: "resourcesListChanged",
} as const;

/** The name of a capability whose lists may change. */
type ListCapability = keyof typeof FILTERS;

const LIST_CAPABILITIES: readonly ListCapability[] = ["tools", "prompts", "resources"];

/** Keeps one subscription open, and replaces it when its filter changes or when it ends. */
export class ListenSubscription {
  /** The latest caller of the session, whose credentials the next subscription is sent with. */
  caller: Caller;
  readonly #connection: UpstreamConnection;
  readonly #init: OpenInit;
  readonly #meta: JsonObject;
  readonly #facts: UpstreamFacts;
  /** The part of the filter that asks for changed lists. */
  readonly #listFilter: JsonObject;
  readonly #uris = new Set<string>();
  /** Aborts the acknowledged subscription. */
  #current: AbortController | undefined;
  /** Serializes updates, so that the last one requested takes effect last. */
  #updates: Promise<void> = Promise.resolve();
  #failures = 0;
  #stopTimer: (() => void) | undefined;
  #closed = false;
  /** The filter that the upstream acknowledged last. */
  #acknowledged: JsonObject = {};

  constructor(
    connection: UpstreamConnection,
    init: OpenInit,
    facts: UpstreamFacts,
    meta: JsonObject,
  ) {
    this.caller = { principal: init.principal, request: init.request };
    this.#connection = connection;
    this.#init = init;
    this.#meta = meta;
    this.#facts = facts;
    this.#listFilter = Object.fromEntries(changing(facts).map((list) => [FILTERS[list], true]));
  }

  /** Subscribes to changed lists, and returns those that the upstream acknowledged in time. */
  async open(timeoutMs: number): Promise<readonly ListCapability[]> {
    const { clock, signal } = this.#init;
    try {
      await withDeadline({ clock, ms: timeoutMs, signal }, (limited) => this.#update(limited));
    } catch {
      // Most servers have no subscriptions, and just answer with an error.
    }
    signal.throwIfAborted();
    return changing(this.#facts).filter((list) => this.#acknowledged[FILTERS[list]] === true);
  }

  /**
   * Adds a resource to the subscription.
   *
   * @throws {McpError} If the upstream rejects it
   * @throws {AbortSignal["reason"]} If `signal` aborts
   */
  async subscribe(uri: string, signal: AbortSignal): Promise<void> {
    if (this.#uris.has(uri)) return;
    if (this.#uris.size >= MAX_RESOURCES) {
      throw new McpError(ErrorCode.Refused, "Unsubscribe from another resource first");
    }
    this.#uris.add(uri);
    try {
      await this.#update(signal);
    } catch (error) {
      this.#uris.delete(uri);
      throw error;
    }
  }

  /** Removes a resource from the subscription. */
  async unsubscribe(uri: string, signal: AbortSignal): Promise<void> {
    if (this.#uris.delete(uri)) await this.#update(signal);
  }

  /** Ends the subscription for good. */
  close(): void {
    this.#closed = true;
    this.#stopTimer?.();
    this.#current?.abort(new DOMException("The session ended", "AbortError"));
  }

  #update(signal: AbortSignal): Promise<void> {
    const update = this.#updates.then(() => this.#replace(signal));
    this.#updates = update.catch(() => {});
    return update;
  }

  /** Subscribes with the filter that is wanted now, and then ends the subscription before. */
  async #replace(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#closed) return;
    const filter = {
      ...this.#listFilter,
      ...this.#uris.size > 0 && { resourceSubscriptions: [...this.#uris] },
    };
    if (Object.keys(filter).length === 0) return this.#setCurrent(undefined);
    await this.#listen(new AbortController(), filter, signal);
  }

  #setCurrent(controller: AbortController | undefined): void {
    const before = this.#current;
    this.#current = controller;
    before?.abort(new DOMException("Replaced by another subscription", "AbortError"));
  }

  /** Sends `subscriptions/listen`, and waits until the upstream acknowledges it. */
  #listen(controller: AbortController, filter: JsonObject, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => controller.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const params = { notifications: filter, _meta: this.#meta };
    const { caller } = this;
    const { downstream } = this.#init;
    const call = ownCall(downstream, caller, "subscriptions/listen", params, controller.signal);
    const notify = (notification: Notification) => {
      const { method, params } = notification;
      if (method !== ACKNOWLEDGED) return this.#deliver(notification);
      this.#acknowledged = isObject(params?.notifications) ? params.notifications : {};
      this.#failures = 0;
      this.#setCurrent(controller);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    this.#connection.request({ ...call, notify }).then(() => {
      reject(new McpError(ErrorCode.NotAvailable, "The upstream ended the subscription"));
    }, reject).finally(() => {
      signal.removeEventListener("abort", stop);
      if (this.#current === controller) this.#renewLater();
    });
    return promise;
  }

  /** Passes a notification on, without the id of its subscription. */
  #deliver({ method, params }: Notification): void {
    const meta: Record<string, unknown> = { ...isObject(params?._meta) && params._meta };
    delete meta[MetaKey.SubscriptionId];
    const { _meta: _, ...rest } = params ?? {};
    const own = Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
    this.#init.downstream.notified({ method, params: own });
  }

  /** Subscribes again after a delay that doubles with each failure. */
  #renewLater(): void {
    this.#current = undefined;
    if (this.#closed) return;
    // Without a subscription the session would serve outdated lists.
    if (this.#failures >= MAX_FAILURES) return this.#connection.fail(new UpstreamError("closed"));
    const { clock, downstream } = this.#init;
    this.#stopTimer?.();
    this.#stopTimer = clock.timer(RENEW_MS * 2 ** this.#failures++, () => {
      this.#update(new AbortController().signal).then(
        () => notifyAllChanged(this.#facts, downstream),
        () => this.#renewLater(),
      );
    });
  }
}

/** Returns the capabilities for which a server advertises `listChanged`. */
function changing({ capabilities }: UpstreamFacts): ListCapability[] {
  return LIST_CAPABILITIES.filter((list) => {
    const own = capabilities[list];
    return isObject(own) && own.listChanged === true;
  });
}

/** Returns the facts with `listChanged` removed from all but the given capabilities. */
export function withListChanged(
  facts: UpstreamFacts,
  lists: readonly ListCapability[],
): UpstreamFacts {
  const capabilities: Record<string, unknown> = { ...facts.capabilities };
  for (const list of changing(facts)) {
    if (lists.includes(list) || !isObject(capabilities[list])) continue;
    const { listChanged: _, ...rest } = capabilities[list];
    capabilities[list] = rest;
  }
  return { ...facts, capabilities };
}

/** Reports every list as changed, because notifications may have been lost. */
export function notifyAllChanged(facts: UpstreamFacts, downstream: Downstream): void {
  for (const list of changing(facts)) {
    downstream.notified({ method: `notifications/${list}/list_changed` });
  }
}
