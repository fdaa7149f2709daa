/**
 * What an upstream of the 2026 era tells outside of calls: one `subscriptions/listen` at a time, made
 * anew when something else is wanted of it and when it ends (2026-07-28, Subscriptions).
 *
 * @module
 */
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { ownCall } from "./handshake.ts";
import type { Peer } from "./peer.ts";
import type { Downstream, OpenInit, UpstreamFacts } from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

/** How many resources one session may listen to. */
const MOST_RESOURCES = 1000;
/** How long it is before a subscription that ended is made anew, in milliseconds; doubled each time. */
const FIRST_WAIT_MS = 1000;
/** How often in a row that may fail. */
const MOST_TRIES = 6;

const ACKNOWLEDGED = "notifications/subscriptions/acknowledged";

/** The capabilities whose lists may change, and what the filter calls them. */
const LISTS = {
  tools: "toolsListChanged",
  prompts: "promptsListChanged",
  resources: "resourcesListChanged",
} as const;

/** A list that may change. */
type ListName = keyof typeof LISTS;

const LIST_NAMES: readonly ListName[] = ["tools", "prompts", "resources"];

/** Keeps the one subscription of a session. */
export class Listening {
  readonly #peer: Peer;
  readonly #init: OpenInit;
  readonly #meta: JsonObject;
  readonly #facts: UpstreamFacts;
  /** The lists that may change, as the filter names them. */
  readonly #lists: JsonObject;
  readonly #uris = new Set<string>();
  /** The subscription that holds. */
  #current: AbortController | undefined;
  /** Changes one after the other, so that the last one asked for is the last one made. */
  #changes: Promise<void> = Promise.resolve();
  #tries = 0;
  #stopWaiting: (() => void) | undefined;
  #closed = false;
  /** What the upstream agreed to, the last time. */
  #agreed: JsonObject = {};

  constructor(peer: Peer, init: OpenInit, facts: UpstreamFacts, meta: JsonObject) {
    this.#peer = peer;
    this.#init = init;
    this.#meta = meta;
    this.#facts = facts;
    this.#lists = Object.fromEntries(changing(facts).map((list) => [LISTS[list], true]));
  }

  /**
   * Begins to listen to the lists that may change, and tells which of them the upstream agreed to tell
   * of within `timeoutMs`.
   */
  async begin(timeoutMs: number): Promise<readonly ListName[]> {
    const late = new AbortController();
    const { clock, signal } = this.#init;
    const stop = () => late.abort(new DOMException("Not in time", "TimeoutError"));
    const cancelTimer = clock.timer(timeoutMs, stop);
    signal.addEventListener("abort", stop, { once: true });
    try {
      await this.#change(late.signal);
    } catch {
      // Most servers have nothing of the kind, and then say no more than that.
    } finally {
      cancelTimer();
      signal.removeEventListener("abort", stop);
    }
    signal.throwIfAborted();
    return changing(this.#facts).filter((list) => this.#agreed[LISTS[list]] === true);
  }

  /**
   * Listens to a resource too.
   *
   * @throws {McpError} If the upstream doesn't let itself be listened to
   * @throws {AbortSignal["reason"]} When `signal` aborts
   */
  async subscribe(uri: string, signal: AbortSignal): Promise<void> {
    if (this.#uris.has(uri)) return;
    if (this.#uris.size >= MOST_RESOURCES) {
      throw new McpError(ErrorCode.Refused, "Unsubscribe from other resources first");
    }
    this.#uris.add(uri);
    try {
      await this.#change(signal);
    } catch (error) {
      this.#uris.delete(uri);
      throw error;
    }
  }

  /** Listens to a resource no longer. */
  async unsubscribe(uri: string, signal: AbortSignal): Promise<void> {
    if (this.#uris.delete(uri)) await this.#change(signal);
  }

  /** Ends it. */
  close(): void {
    this.#closed = true;
    this.#stopWaiting?.();
    this.#current?.abort(new DOMException("The session is over", "AbortError"));
  }

  #change(signal: AbortSignal): Promise<void> {
    const change = this.#changes.then(() => this.#open(signal));
    this.#changes = change.catch(() => {});
    return change;
  }

  /** Opens a subscription to everything wanted now, and ends the one before once it holds. */
  async #open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#closed) return;
    const filter = {
      ...this.#lists,
      ...this.#uris.size > 0 && { resourceSubscriptions: [...this.#uris] },
    };
    if (Object.keys(filter).length === 0) return this.#takeOver(undefined);
    await this.#acknowledged(new AbortController(), filter, signal);
  }

  #takeOver(own: AbortController | undefined): void {
    const before = this.#current;
    this.#current = own;
    before?.abort(new DOMException("Another subscription took over", "AbortError"));
  }

  /** Waits until a subscription holds; what is told from then on is handed down. */
  #acknowledged(own: AbortController, filter: JsonObject, signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => own.abort(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const params = { notifications: filter, _meta: this.#meta };
    const call = ownCall(this.#init, "subscriptions/listen", params, own.signal);
    const notify = (notification: Notification) => {
      const { method, params } = notification;
      if (method !== ACKNOWLEDGED) return this.#tell(notification);
      this.#agreed = isObject(params?.notifications) ? params.notifications : {};
      this.#tries = 0;
      this.#takeOver(own);
      signal.removeEventListener("abort", stop);
      resolve();
    };
    this.#peer.request({ ...call, notify }).then(() => {
      reject(new McpError(ErrorCode.NotAvailable, "The upstream ended the subscription"));
    }, reject).finally(() => {
      signal.removeEventListener("abort", stop);
      if (this.#current === own) this.#again();
    });
    return promise;
  }

  #tell({ method, params }: Notification): void {
    const meta: Record<string, unknown> = { ...isObject(params?._meta) && params._meta };
    delete meta[MetaKey.SubscriptionId];
    const { _meta: _, ...rest } = params ?? {};
    const own = Object.keys(meta).length === 0 ? rest : { ...rest, _meta: meta };
    this.#init.downstream.notified({ method, params: own });
  }

  /** Listens again after a while, which is longer each time that it doesn't work out. */
  #again(): void {
    this.#current = undefined;
    if (this.#closed) return;
    // A session that can't tell what changes is of no use any more.
    if (this.#tries >= MOST_TRIES) return this.#peer.fail(new UpstreamError("closed"));
    const { clock, downstream } = this.#init;
    this.#stopWaiting?.();
    this.#stopWaiting = clock.timer(FIRST_WAIT_MS * 2 ** this.#tries++, () => {
      this.#change(new AbortController().signal).then(
        () => tellAllChanged(this.#facts, downstream),
        () => this.#again(),
      );
    });
  }
}

/** The lists that a server says it tells the changes of. */
function changing({ capabilities }: UpstreamFacts): ListName[] {
  return LIST_NAMES.filter((list) => {
    const own = capabilities[list];
    return isObject(own) && own.listChanged === true;
  });
}

/** What a server said of itself, but that it tells the changes of no other lists than these. */
export function withLists(facts: UpstreamFacts, lists: readonly ListName[]): UpstreamFacts {
  const capabilities: Record<string, unknown> = { ...facts.capabilities };
  for (const list of changing(facts)) {
    if (lists.includes(list) || !isObject(capabilities[list])) continue;
    const { listChanged: _, ...rest } = capabilities[list];
    capabilities[list] = rest;
  }
  return { ...facts, capabilities };
}

/** Tells that every list may have changed: nobody knows, because something was missed. */
export function tellAllChanged(facts: UpstreamFacts, downstream: Downstream): void {
  for (const list of changing(facts)) {
    downstream.notified({ method: `notifications/${list}/list_changed` });
  }
}
