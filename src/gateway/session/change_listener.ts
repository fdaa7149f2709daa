/**
 * Tells a client of the 2026 era that holds `subscriptions/listen` what changes in its upstreams: what it
 * asked for, and may know of.
 *
 * @module
 */
import { ErrorCode, type ListenExchange, McpError, type Notification } from "../../../mod.ts";
import { shortHash } from "../../kit.ts";
import type { UpstreamRules } from "../policy/policies.ts";
import { CHANGED_LISTS, type ListKind } from "../shared/list_kinds.ts";
import { NotificationCoalescer } from "./coalesce.ts";
import type { ListContext } from "./upstream_lists.ts";
import type { ChangeReceiver, UpstreamSessions } from "./upstream_sessions.ts";

/** Finds the resource that an address leads to, for a client that wants to be told of its changes. */
export type FindListened = (
  address: string,
) => Promise<{ readonly upstream: string; readonly uri: string }>;

/** One open `subscriptions/listen` request. */
export class ChangeListener implements ChangeReceiver {
  readonly #listen: ListenExchange;
  readonly #sessions: UpstreamSessions;
  readonly #coalescer: NotificationCoalescer;
  /** What stands for the lists that the client may know in part, by kind and upstream. */
  readonly #known = new Map<string, string>();
  /** The changes that are being compared, and whether there were more meanwhile. */
  readonly #comparing = new Map<string, boolean>();
  /** The addresses whose changes the client is told. */
  readonly #addresses = new Set<string>();

  constructor(listen: ListenExchange, sessions: UpstreamSessions) {
    this.#listen = listen;
    this.#sessions = sessions;
    this.#coalescer = new NotificationCoalescer(
      sessions.settings.clock,
      (notification) => listen.notify(notification),
      ({ method }) => {
        sessions.report({
          type: "message-dropped",
          session: undefined,
          method,
          reason: "too-many",
        });
      },
    );
  }

  /** Reads the lists that the client may know in part, so that a change of the rest says nothing. */
  async begin(): Promise<void> {
    const { names } = this.#sessions;
    await Promise.all(names.flatMap((upstream) =>
      [...CHANGED_LISTS].flatMap(([method, kinds]) => {
        const rules = this.#rulesOf(upstream);
        if (!this.#listen.methods.has(method) || rules === undefined) return [];
        return kinds.filter((kind) => rules[kind].restricts)
          .map((kind) => this.#isNew(upstream, kind).catch(() => {}));
      })
    ));
  }

  /** Subscribes to the resources that the client asked for. What it can't subscribe to never changes. */
  async subscribe(find: FindListened): Promise<void> {
    await Promise.all([...this.#listen.uris].map(async (address) => {
      try {
        await this.#subscribe(address, await find(address));
      } catch (error) {
        // An unknown resource looks like one that never changes
        if (error instanceof McpError || this.#listen.signal.aborted) return;
        this.#sessions.report({ type: "error", during: "subscriptions/listen", error });
      }
    }));
  }

  async #subscribe(
    address: string,
    { upstream, uri }: { readonly upstream: string; readonly uri: string },
  ): Promise<void> {
    const session = this.#sessions.get(upstream);
    const { principal, request, signal } = this.#listen;
    if (session === undefined || signal.aborted) return;
    await session.ensureOpen({ principal, request, signal });
    signal.throwIfAborted();
    const wasSubscribed = this.#sessions.subscription(address) !== undefined;
    // Before the request: the upstream may notify at once
    this.#sessions.subscribe(address, { upstream, uri });
    this.#addresses.add(address);
    try {
      if (!wasSubscribed) await this.#send(upstream, "resources/subscribe", uri);
    } catch (error) {
      this.#addresses.delete(address);
      if (!wasSubscribed) this.#sessions.unsubscribe(address);
      throw error;
    }
  }

  /** Notifies the client of changed lists of an upstream, if it may know of them. */
  listsChanged(upstream: string, { method }: Notification, kinds: readonly ListKind[]): void {
    if (!this.#listen.methods.has(method)) return;
    const rules = this.#rulesOf(upstream);
    if (rules === undefined) return this.notify({ method });
    const known = kinds.filter((kind) => !rules[kind].isClosed);
    if (known.length === 0) return;
    if (!known.some((kind) => rules[kind].restricts)) return this.notify({ method });
    // Comparing runs once for each list at a time, and once more for all changes meanwhile.
    const key = `${method} ${upstream}`;
    if (this.#comparing.has(key)) return void this.#comparing.set(key, true);
    this.#comparing.set(key, false);
    void this.#compare(upstream, method, known).finally(() => {
      const again = this.#comparing.get(key);
      this.#comparing.delete(key);
      if (again === true) this.listsChanged(upstream, { method }, kinds);
    });
  }

  async #compare(upstream: string, method: string, kinds: readonly ListKind[]): Promise<void> {
    const news = await Promise.all(
      // A list that can't be read is told of when it can
      kinds.map((kind) => this.#isNew(upstream, kind).catch(() => false)),
    );
    if (news.includes(true)) this.notify({ method });
  }

  /** Reads a list as the client sees it, and tells whether it isn't what it was. */
  async #isNew(upstream: string, kind: ListKind): Promise<boolean> {
    const text = JSON.stringify(await this.#sessions.lists.get(upstream, kind, this.context));
    const now = `${text.length} ${shortHash(text)}`;
    const key = `${kind} ${upstream}`;
    const isNew = this.#known.has(key) && this.#known.get(key) !== now;
    this.#known.set(key, now);
    return isNew;
  }

  /** Notifies the client of an updated resource, if it has subscribed to it by one of the addresses. */
  resourceUpdated(upstream: string, uri: string, addresses: readonly string[]): void {
    if (this.#rulesOf(upstream)?.resources.allows(uri) === false) return;
    for (const address of addresses) {
      if (!this.#addresses.has(address)) continue;
      this.notify({ method: "notifications/resources/updated", params: { uri: address } });
    }
  }

  /** Sends a notification that says no more than that something changed. */
  notify(notification: Notification): void {
    this.#coalescer.add(notification);
  }

  /** Tells whether the client is told of changes of an address. */
  has(address: string): boolean {
    return this.#addresses.has(address);
  }

  /** Stops telling the client anything, and unsubscribes from what nobody else listens to. */
  async stop(isWanted: (address: string) => boolean): Promise<void> {
    this.#coalescer.clear();
    const left = [...this.#addresses].filter((address) => !isWanted(address));
    this.#addresses.clear();
    await Promise.all(left.map(async (address) => {
      const { upstream, uri } = this.#sessions.unsubscribe(address) ?? {};
      if (upstream === undefined || uri === undefined || this.#sessions.isClosed) return;
      if (this.#sessions.subscribedAddresses(upstream, uri).length > 0) return;
      await this.#send(upstream, "resources/unsubscribe", uri).catch(() => {});
    }));
  }

  /** Ends the subscription: the client begins another one if it wants more. */
  end(): void {
    this.#listen.end();
  }

  /** What is needed to wait for an upstream on behalf of the client. */
  get context(): ListContext {
    const { principal, request } = this.#listen;
    return { principal, request, signal: this.#sessions.closing, retain: () => () => {} };
  }

  #rulesOf(upstream: string): UpstreamRules | undefined {
    return this.#sessions.settings.policies.rulesOf(this.#listen.principal, upstream);
  }

  async #send(upstream: string, method: string, uri: string): Promise<void> {
    const session = this.#sessions.get(upstream);
    const ask = () => Promise.reject(new McpError(ErrorCode.Refused, "Ask during a call"));
    const { principal, request, signal } = this.context;
    await session?.request({
      method,
      params: { uri },
      principal,
      request,
      signal,
      notify: (notification) => this.#sessions.forward(upstream, new Set(), notification),
      ask,
    });
  }
}
