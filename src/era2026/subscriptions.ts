/**
 * Answers `subscriptions/listen` with a stream of the changes that a client subscribed to (2026-07-28,
 * Subscriptions).
 *
 * @module
 */
import type { ListenFacts } from "../http/era.ts";
import type { Inbound } from "../http/inbound.ts";
import { serverBusy, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { type Refusal, refusal, type Reply } from "../http/reply.ts";
import { mayUseOf } from "../calls/authorize_filter.ts";
import type { Calls } from "../calls/calls.ts";
import { callAt } from "../internal/call_at.ts";
import type { Slots } from "../internal/slots.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, MissingCapabilityError } from "../protocol/errors.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import type {
  ClientFacts,
  Dispatcher,
  Exchange,
  Notification,
  Principal,
} from "../protocol/exchange.ts";
import {
  isObject,
  type JsonObject,
  type JsonRpcRequest,
  type RequestId,
} from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import { DirectConnection } from "../streams/direct_connection.ts";
import { sseReply } from "../streams/sse.ts";
import type { Streams } from "../streams/streams.ts";
import { listenThrough } from "./listen_middleware.ts";

/** The member of the filter for each notification. */
const LIST_CHANGED = {
  "notifications/tools/list_changed": "toolsListChanged",
  "notifications/prompts/list_changed": "promptsListChanged",
  "notifications/resources/list_changed": "resourcesListChanged",
} as const;

/** The extension that a client must declare for each of these members of the filter. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  taskIds: "io.modelcontextprotocol/tasks",
};

/** The notifications that a client subscribed to. */
interface Filter {
  readonly methods: ReadonlySet<string>;
  readonly uris: ReadonlySet<string>;
}

/** The checked options of subscriptions. */
export interface ListenSettings {
  /** Whether clients may subscribe. */
  readonly enabled: boolean;
  /** The maximum number of open subscriptions. */
  readonly most: number;
  /** The maximum number of open subscriptions of one principal. */
  readonly mostPerPrincipal: number;
  /** The maximum number of resources of one subscription. */
  readonly mostResources: number;
}

/** An open `subscriptions/listen` request. */
class OpenSubscription {
  readonly #id: RequestId;
  readonly #filter: Filter;
  readonly #connection: DirectConnection;
  readonly #owner: string;
  /** The principal that opened it. */
  readonly principal: Principal;

  constructor(
    id: RequestId,
    filter: Filter,
    connection: DirectConnection,
    owner: string,
    principal: Principal,
  ) {
    this.principal = principal;
    this.#id = id;
    this.#filter = filter;
    this.#connection = connection;
    this.#owner = owner;
  }

  /** What the endpoint knows about it. */
  get facts(): ListenFacts {
    const { sent, buffered, full } = this.#connection;
    const close = () => this.#connection.close("unauthorized");
    return { owner: this.#owner, sent, buffered, full, close };
  }

  /** Sends a notification if the client subscribed to it. */
  notify({ method, params }: Notification): void {
    const { methods, uris } = this.#filter;
    const uri = params?.uri;
    const wanted = method === "notifications/resources/updated"
      ? typeof uri === "string" && uris.has(uri)
      : methods.has(method);
    if (wanted) this.send(method, params);
  }

  /** Sends a notification with the id of this subscription. */
  send(method: string, params: JsonObject = {}): void {
    const meta = isObject(params._meta) ? params._meta : {};
    const _meta = { ...meta, ...this.#meta };
    this.#connection.send(
      JSON.stringify({ jsonrpc: "2.0", method, params: { ...params, _meta } }),
    );
  }

  /**
   * Ends the subscription with a result.
   *
   * @param serverMeta The members of the result's `_meta` that describe the server
   */
  end(reason: StreamCloseReason, serverMeta: JsonObject): void {
    const result = { resultType: "complete", _meta: { ...serverMeta, ...this.#meta } };
    this.#connection.send(JSON.stringify({ jsonrpc: "2.0", id: this.#id, result }));
    this.#connection.close(reason);
  }

  get #meta(): JsonObject {
    return { [MetaKey.SubscriptionId]: this.#id };
  }
}

/** The open subscriptions of an endpoint. */
export class ListenSubscriptions {
  readonly #calls: Calls;
  readonly #settings: ListenSettings;
  readonly #streams: Streams;
  readonly #reporter: Reporter;
  readonly #slots: Slots;
  readonly #open = new Set<OpenSubscription>();

  /** Creates the owner of subscriptions, without any. */
  constructor(
    calls: Calls,
    settings: ListenSettings,
    streams: Streams,
    slots: Slots,
    reporter: Reporter,
  ) {
    this.#calls = calls;
    this.#settings = settings;
    this.#streams = streams;
    this.#reporter = reporter;
    this.#slots = slots;
  }

  /** The number of open subscriptions. */
  get size(): number {
    return this.#open.size;
  }

  /** What is known about each open subscription. */
  get facts(): readonly ListenFacts[] {
    return Array.from(this.#open, ({ facts }) => facts);
  }

  /** Sends a notification to every client that subscribed to it. */
  broadcast(
    notification: Notification,
    mayKnow: (principal: Principal) => boolean = () => true,
  ): void {
    for (const subscription of this.#open) {
      if (mayKnow(subscription.principal)) subscription.notify(notification);
    }
  }

  /** Ends all subscriptions when the endpoint closes. */
  end(serverMeta: JsonObject): void {
    for (const subscription of [...this.#open]) subscription.end("shutdown", serverMeta);
  }

  /** Answers `subscriptions/listen`: opens a subscription, or refuses it. */
  listen(inbound: Inbound, message: JsonRpcRequest): MaybePromise<Reply> {
    return this.#calls.settings.middleware === undefined
      ? this.#listen(inbound, message)
      : listenThrough(this.#calls, inbound, message, (message) => this.#listen(inbound, message));
  }

  #listen(inbound: Inbound, message: JsonRpcRequest): MaybePromise<Reply> {
    const filter = this.#check(inbound, message);
    if ("kind" in filter) return filter;
    const mayUse = mayUseOf(this.#calls, inbound.principal);
    if (mayUse === undefined || filter.uris.size === 0) {
      return this.#admit(inbound, message, filter, filter.uris);
    }
    return visibleUris(filter, mayUse).then((visible) =>
      this.#admit(inbound, message, filter, visible)
    );
  }

  /** Opens a subscription if there is a slot for it. */
  #admit(
    inbound: Inbound,
    message: JsonRpcRequest,
    filter: Filter,
    visible: Filter["uris"],
  ): MaybePromise<Reply> {
    // The endpoint may have closed meanwhile, and has ended all that were open.
    if (this.#calls.closing) return shuttingDown(message.id);
    const { share } = inbound;
    const begin = (admitted: boolean): Reply => {
      if (!admitted) return serverBusy("stream-limit", message.id);
      if (!this.#calls.closing) return this.#begin(inbound, message, filter, visible);
      this.#slots.give(share);
      return shuttingDown(message.id);
    };
    const admitted = this.#slots.admit(share);
    if (!isPromise(admitted)) return begin(admitted);
    return admitted.then(begin, (error) => storeUnavailable("counting subscriptions", error));
  }

  /**
   * Opens a subscription, in a slot that has been taken.
   *
   * @param visible The resources that the client is notified of: a hidden one is acknowledged like one
   * that doesn't exist, and never changes
   */
  #begin(
    inbound: Inbound,
    message: JsonRpcRequest,
    filter: Filter,
    visible: Filter["uris"],
  ): Reply {
    const { owner, share, principal, source: { signal } } = inbound;
    const { report } = this.#reporter;
    const { settings: { bufferBytes }, keepAlive, clock } = this.#streams;
    let stopExpiry: (() => void) | undefined = undefined;
    const over = new AbortController();
    const leave = () => connection.close("disconnected");
    const connection = new DirectConnection({
      bufferBytes,
      keepAlive,
      onClose: (reason) => {
        stopExpiry?.();
        signal.removeEventListener("abort", leave);
        this.#open.delete(subscription);
        this.#slots.give(share);
        over.abort(new DOMException("The subscription ended", "AbortError"));
        report({ type: "stream-closed", session: undefined, stream: "listen", reason });
      },
    });
    const seen = { ...filter, uris: visible };
    const subscription = new OpenSubscription(message.id, seen, connection, owner, principal);
    this.#open.add(subscription);
    stopExpiry = callAt(clock, principal.expiresAt, () => connection.close("unauthorized"));
    report({ type: "stream-opened", session: undefined, stream: "listen" });
    const notifications = acknowledged(filter);
    subscription.send("notifications/subscriptions/acknowledged", { notifications });
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    if (this.#open.has(subscription)) this.#announce(inbound, subscription, seen, over.signal);
    return sseReply(connection.body);
  }

  /** Shows an open subscription to the dispatcher. */
  #announce(
    inbound: Inbound,
    subscription: OpenSubscription,
    { methods, uris }: Filter,
    signal: AbortSignal,
  ): void {
    const { dispatcher, serverMeta, settings: { middleware } } = this.#calls;
    if (dispatcher.listening === undefined) return;
    const { principal, localPeer, client, version, request } = inbound;
    try {
      dispatcher.listening({
        protocolVersion: version,
        principal,
        request,
        localPeer,
        client,
        signal,
        mayUse: mayUseOf(this.#calls, principal),
        chain: middleware,
        methods,
        uris,
        notify: (notification) => subscription.notify(notification),
        end: () => this.#open.has(subscription) && subscription.end("ended", serverMeta),
      });
    } catch (error) {
      this.#reporter.report({ type: "error", during: "subscriptions/listen", error });
    }
  }

  /** Reads the filter of a request, or refuses the request. */
  #check({ accepts, client }: Inbound, message: JsonRpcRequest): Filter | Refusal {
    const { enabled, mostResources } = this.#settings;
    if (!enabled) return refuse(message, 404, ErrorCode.MethodNotFound, "Method not found");
    if (!accepts.sse) {
      return refuse(message, 406, ErrorCode.Refused, "Accept text/event-stream to listen");
    }
    const notifications = message.params?.notifications;
    const missing = missingExtension(notifications, client);
    if (missing !== undefined) {
      const { code, message: hint, data } = new MissingCapabilityError(`extensions.${missing}`);
      return refuse(message, 400, code, hint, data);
    }
    const filter = readFilter(this.#calls.dispatcher, mostResources, notifications);
    if (typeof filter !== "string") return filter;
    return refuse(message, 400, ErrorCode.InvalidParams, filter);
  }
}

/** Returns the extension that a filter needs and that the client has not declared, or `undefined`. */
function missingExtension(given: unknown, { capabilities }: ClientFacts): string | undefined {
  if (!isObject(given)) return undefined;
  const asked = Object.keys(EXTENSIONS).find((key) => Object.hasOwn(given, key));
  const extension = asked === undefined ? undefined : EXTENSIONS[asked];
  if (extension === undefined || isObject(capabilities.extensions?.[extension])) return undefined;
  return extension;
}

/** Reads the supported part of a filter, or returns a message that says how to correct it. */
function readFilter(dispatcher: Dispatcher, most: number, given: unknown): Filter | string {
  if (!isObject(given)) return 'Give an object as "notifications"';
  const offered = new Set(dispatcher.listChanged ?? []);
  const methods = new Set<string>();
  for (const [method, key] of Object.entries(LIST_CHANGED)) {
    const wanted = given[key];
    if (wanted !== undefined && typeof wanted !== "boolean") {
      return `Give a boolean as "${key}"`;
    }
    if (wanted === true && offered.has(method)) methods.add(method);
  }
  const uris = given.resourceSubscriptions ?? [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === "string")) {
    return 'Give an array of strings as "resourceSubscriptions"';
  }
  if (uris.length > most) return `Give at most ${most} "resourceSubscriptions"`;
  return { methods, uris: new Set(dispatcher.resourceUpdates === true ? uris : []) };
}

/** Returns the resources of a filter that are visible to the principal. */
async function visibleUris(
  { uris }: Filter,
  mayUse: NonNullable<Exchange["mayUse"]>,
): Promise<ReadonlySet<string>> {
  const all = [...uris];
  const verdicts = await Promise.all(all.map((uri) => mayUse("resources/read", uri)));
  return new Set(all.filter((_, index) => verdicts[index]));
}

/** Returns a filter as the acknowledgement contains it. */
function acknowledged({ methods, uris }: Filter): JsonObject {
  const shown: Record<string, unknown> = {};
  for (const [method, key] of Object.entries(LIST_CHANGED)) {
    if (methods.has(method)) shown[key] = true;
  }
  if (uris.size > 0) shown.resourceSubscriptions = [...uris];
  return shown;
}

function refuse(
  { id }: JsonRpcRequest,
  status: number,
  code: number,
  message: string,
  data?: unknown,
): Refusal {
  return refusal({ status, code, message, data, id, reason: "envelope" });
}
