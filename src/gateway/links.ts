/**
 * Everything that one client has with upstreams: a link to each, their lists, its subscriptions. It
 * belongs to one session, or to one request of the 2026 era, and is never shared.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, UpstreamCloseReason } from "../protocol/events.ts";
import type { ClientFacts, Notification, Principal } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { deadline, raced } from "./bounded.ts";
import { Bursts } from "./bursts.ts";
import { type Errand, Link, type NamedUpstream, UnusableError } from "./link.ts";
import type { LinkOwner } from "./link_owner.ts";
import { LIST_KINDS, type ListKind, LISTS } from "./list_kinds.ts";
import { fetchList, type ListCache } from "./lists.ts";
import type { GatewaySettings } from "./options.ts";
import { checkQuestion, passedCapabilities } from "./translate.ts";
import type { UpstreamCall } from "./types.ts";

/** What links need of the view that they are for. */
export interface LinksHost {
  readonly settings: GatewaySettings;
  /** The upstreams of the view, in their order. */
  readonly upstreams: ReadonlyMap<string, NamedUpstream>;
  readonly report: (event: McpEvent) => void;
  /** What something of an upstream is called in the view. */
  rename(upstream: string, name: string): string;
  tell(sessionId: string, notification: Notification): void;
  ask(
    sessionId: string,
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
}

/** Whom links are for. */
export interface LinksInit {
  readonly host: LinksHost;
  /** The session, if there is one. */
  readonly sessionId: string | undefined;
  readonly principal: Principal;
  readonly client: ClientFacts;
  readonly version: ProtocolVersion;
  readonly lists: ListCache;
}

/** Everything that one client has with upstreams. */
export class Links implements LinkOwner {
  readonly settings: GatewaySettings;
  readonly principal: Principal;
  readonly client: ClientFacts;
  readonly version: ProtocolVersion;
  readonly report: (event: McpEvent) => void;
  logLevel: LogLevel | undefined;
  /** What resolves when it has ended, once it does. */
  ending: Promise<void> | undefined;
  readonly #host: LinksHost;
  readonly #sessionId: string | undefined;
  readonly #lists: ListCache;
  readonly #links = new Map<string, Link>();
  readonly #flights = new Map<string, Promise<readonly JsonObject[]>>();
  readonly #subscriptions = new Map<string, Set<string>>();
  readonly #occasions = new Set<() => void>();
  readonly #bursts: Bursts;
  readonly #told = new WeakSet<readonly JsonObject[]>();
  readonly #end = new AbortController();

  constructor({ host, sessionId, principal, client, version, lists }: LinksInit) {
    this.settings = host.settings;
    this.report = host.report;
    this.principal = Object.freeze({ ...principal });
    this.version = version;
    this.client = {
      ...client.info && { info: client.info },
      capabilities: passedCapabilities(client, version),
    };
    this.#host = host;
    this.#sessionId = sessionId;
    this.#lists = lists;
    this.#bursts = new Bursts(host.settings.clock, (notification) => this.#say(notification));
  }

  /** The names of the upstreams that there are. */
  get names(): readonly string[] {
    return [...this.#host.upstreams.keys()];
  }

  /** How many sessions with upstreams are open or begin. */
  get open(): number {
    let open = 0;
    for (const link of this.#links.values()) if (link.open) open++;
    return open;
  }

  /** The link to an upstream, or `undefined` when there is no such upstream. */
  link(name: string): Link | undefined {
    const known = this.#links.get(name);
    if (known !== undefined) return known;
    const named = this.#host.upstreams.get(name);
    if (named === undefined || this.ending !== undefined) return undefined;
    const link = new Link(named, this);
    this.#links.set(name, link);
    return link;
  }

  /** The links that there are already. */
  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  /**
   * A list of one upstream, with names as the client knows them.
   *
   * @throws {McpError} If it can't be had
   * @throws {AbortSignal["reason"]} When the errand's signal aborts
   */
  async list(name: string, kind: ListKind, errand: Errand): Promise<readonly JsonObject[]> {
    const kept = this.#lists.get(name, kind);
    if (kept !== undefined) {
      if ("error" in kept) throw kept.error;
      return kept.entries;
    }
    const key = `${kind} ${name}`;
    let flight = this.#flights.get(key);
    if (flight === undefined) {
      flight = this.#load(name, kind, errand.request).finally(() => this.#flights.delete(key));
      flight.catch(() => {});
      this.#flights.set(key, flight);
    }
    return await raced(flight, errand.signal);
  }

  /** Whether it is the first time that a list is asked about. */
  first(list: readonly JsonObject[]): boolean {
    if (this.#told.has(list)) return false;
    this.#told.add(list);
    return true;
  }

  /** Ends the link to an upstream that is no more, or is another one now. */
  async drop(name: string, reason: UpstreamCloseReason): Promise<void> {
    this.#lists.remove(name);
    const link = this.#links.get(name);
    this.#links.delete(name);
    if (reason === "removed") this.#subscriptions.delete(name);
    await link?.close(reason);
  }

  /** Ends everything, in parallel and in bounded time. Safe to call twice. */
  close(reason: UpstreamCloseReason): Promise<void> {
    return this.ending ??= this.#close(reason);
  }

  tell(notification: Notification): void {
    if (this.#sessionId === undefined) return;
    if (notification.method === "notifications/message") return this.#say(notification);
    this.#bursts.add(notification);
  }

  ask(
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined {
    if (this.#sessionId === undefined) return undefined;
    return this.#host.ask(this.#sessionId, method, params, signal);
  }

  occasion(signal: AbortSignal): Promise<void> | undefined {
    if (this.#sessionId === undefined || this.ending !== undefined) return undefined;
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#occasions.delete(settle);
        signal.removeEventListener("abort", settle);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      this.#occasions.add(settle);
      if (signal.aborted) settle();
      else signal.addEventListener("abort", settle, { once: true });
    });
  }

  reached(): void {
    for (const settle of [...this.#occasions]) settle();
  }

  subscribed(upstream: string): ReadonlySet<string> {
    return this.#subscriptions.get(upstream) ?? NONE;
  }

  forget(upstream: string, kinds: readonly ListKind[] = LIST_KINDS): void {
    this.#lists.forget(upstream, kinds);
  }

  /**
   * Notes a subscription.
   *
   * @throws {McpError} If there are as many as there may be
   */
  subscribe(upstream: string, uri: string): void {
    const uris = this.#subscriptions.get(upstream) ?? new Set();
    let size = uris.has(uri) ? 0 : 1;
    for (const each of this.#subscriptions.values()) size += each.size;
    if (size > this.settings.limits.subscriptions) {
      throw new McpError(ErrorCode.InvalidParams, "Unsubscribe from another resource first");
    }
    this.#subscriptions.set(upstream, uris.add(uri));
  }

  /** Forgets a subscription. The name of the upstream that it was with, if there was one. */
  unsubscribe(uri: string): string | undefined {
    for (const [upstream, uris] of this.#subscriptions) if (uris.delete(uri)) return upstream;
    return undefined;
  }

  #say(notification: Notification): void {
    if (this.#sessionId === undefined || this.ending !== undefined) return;
    this.#host.tell(this.#sessionId, notification);
  }

  async #close(reason: UpstreamCloseReason): Promise<void> {
    this.#end.abort(new McpError(ErrorCode.NotAvailable, "The session ended"));
    this.#bursts.clear();
    this.reached();
    const links = [...this.#links.values()];
    this.#links.clear();
    await Promise.all(links.map((link) => link.close(reason)));
  }

  async #load(name: string, kind: ListKind, request: Request): Promise<readonly JsonObject[]> {
    const { clock, listTimeoutMs, limits } = this.settings;
    const link = this.link(name);
    if (link === undefined) return [];
    const edition = this.#lists.edition(name, kind);
    const { signal, stop } = deadline(clock, listTimeoutMs, this.#end.signal);
    const ask: UpstreamCall["ask"] = async (method, params) => {
      checkQuestion(method, params, this.client.capabilities);
      const answer = this.ask(method, params, signal);
      if (answer !== undefined) return await answer;
      throw new McpError(ErrorCode.Refused, "Ask in the course of a call");
    };
    try {
      const facts = await link.reach({ request, signal });
      const entries = await fetchList({
        upstream: name,
        facts,
        kind,
        limits,
        report: this.report,
        rename: (own) => this.#host.rename(name, own),
        request: (method, params) =>
          link.request({ method, params, signal, request, notify() {}, ask }),
      });
      const can = facts.capabilities[LISTS[kind].capability];
      const lasting = this.#sessionId !== undefined && isObject(can) && can.listChanged === true;
      this.#lists.keep(name, kind, edition, { entries }, lasting);
      return entries;
    } catch (error) {
      throw this.#notListed(name, kind, edition, error);
    } finally {
      stop();
    }
  }

  #notListed(upstream: string, kind: ListKind, edition: number, error: unknown): unknown {
    // The client's own end says nothing about the upstream.
    if (this.#end.signal.aborted) return error;
    if (!(error instanceof UnusableError)) {
      this.report({ type: "upstream-failed", upstream, during: LISTS[kind].method, error });
    }
    const told = error instanceof McpError ? error : new McpError(
      ErrorCode.InternalError,
      `Ask again later: the upstream "${upstream}" gave no list that can be used in time`,
    );
    this.#lists.keep(upstream, kind, edition, { error: told });
    return told;
  }
}

const NONE: ReadonlySet<string> = new Set();
