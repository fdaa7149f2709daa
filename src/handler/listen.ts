/**
 * `subscriptions/listen`: a stream of the changes that a 2026 client asked to hear of.
 *
 * @module
 */
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, MissingCapabilityError } from "../protocol/errors.ts";
import type { ClientFacts, Notification } from "../protocol/exchange.ts";
import {
  isObject,
  type JsonObject,
  type JsonRpcRequest,
  type RequestId,
} from "../protocol/jsonrpc.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import { refusal } from "../http/reply.ts";
import { DirectConnection } from "../streams/direct.ts";
import { callAt } from "./call_at.ts";
import type { Endpoint } from "./endpoint.ts";
import { serverBusy, sseResponse } from "./responses.ts";
import type { PostInit } from "./sessionful_post.ts";

/** Which member of the filter asks for which notification. */
const LIST_CHANGED = {
  "notifications/tools/list_changed": "toolsListChanged",
  "notifications/prompts/list_changed": "promptsListChanged",
  "notifications/resources/list_changed": "resourcesListChanged",
} as const;

/** Members of the filter that only clients with an extension may use. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  taskIds: "io.modelcontextprotocol/tasks",
};

/** What a client hears of. */
interface Filter {
  readonly methods: ReadonlySet<string>;
  readonly uris: ReadonlySet<string>;
}

/** One open `subscriptions/listen` request. */
export class Listen {
  readonly #id: RequestId;
  readonly #filter: Filter;
  readonly #connection: DirectConnection;

  constructor(id: RequestId, filter: Filter, connection: DirectConnection) {
    this.#id = id;
    this.#filter = filter;
    this.#connection = connection;
  }

  /** Sends a notification, if the client asked for its kind. */
  hear({ method, params }: Notification): void {
    const { methods, uris } = this.#filter;
    const uri = params?.uri;
    const wanted = method === "notifications/resources/updated"
      ? typeof uri === "string" && uris.has(uri)
      : methods.has(method);
    if (wanted) this.send(method, params);
  }

  /** Sends a notification, named as this subscription's. */
  send(method: string, params: JsonObject = {}): void {
    const meta = isObject(params._meta) ? params._meta : {};
    const _meta = { ...meta, ...this.#meta };
    this.#connection.send(
      JSON.stringify({ jsonrpc: "2.0", method, params: { ...params, _meta } }),
    );
  }

  /**
   * Ends the subscription as its request's result says.
   *
   * @param about What the result says of the server
   */
  end(reason: StreamCloseReason, about: JsonObject): void {
    const result = { resultType: "complete", _meta: { ...about, ...this.#meta } };
    this.#connection.send(JSON.stringify({ jsonrpc: "2.0", id: this.#id, result }));
    this.#connection.close(reason);
  }

  get #meta(): JsonObject {
    return { [MetaKey.SubscriptionId]: this.#id };
  }
}

/** Sends a notification to everybody who listens for it here. */
export function tellListeners(endpoint: Endpoint, notification: Notification): void {
  for (const listen of endpoint.listens) listen.hear(notification);
}

/** Opens a subscription. */
export function listen(
  endpoint: Endpoint,
  init: PostInit,
  message: JsonRpcRequest,
  client: ClientFacts,
): Response {
  const { posted, owner, principal } = init;
  if (!endpoint.settings.streams.listen) {
    return refuse(endpoint, message, 404, ErrorCode.MethodNotFound, "Method not found");
  }
  if (!posted.sse) {
    const hint = "Accept text/event-stream to listen";
    return refuse(endpoint, message, 406, ErrorCode.Refused, hint);
  }
  const missing = missingExtension(message.params?.notifications, client);
  if (missing !== undefined) {
    const { code, message: hint, data } = new MissingCapabilityError(`extensions.${missing}`);
    return refuse(endpoint, message, 400, code, hint, data);
  }
  const filter = readFilter(endpoint, message.params?.notifications);
  if (typeof filter === "string") {
    return refuse(endpoint, message, 400, ErrorCode.InvalidParams, filter);
  }
  if (!endpoint.listenSlots.take(owner)) return serverBusy(endpoint, "stream-limit", message.id);
  let stopExpiry: (() => void) | undefined = undefined;
  const connection = new DirectConnection({
    bufferBytes: endpoint.settings.storeSettings.log.eventBytes,
    keepAlive: endpoint.lines.keepAlive,
    onClose(reason) {
      stopExpiry?.();
      endpoint.listens.delete(subscription);
      endpoint.listenSlots.give(owner);
      endpoint.report({ type: "stream-closed", session: undefined, stream: "listen", reason });
    },
  });
  const subscription = new Listen(message.id, filter, connection);
  endpoint.listens.add(subscription);
  stopExpiry = callAt(endpoint.settings.clock, principal.expiresAt, () => {
    connection.close("unauthorized");
  });
  endpoint.report({ type: "stream-opened", session: undefined, stream: "listen" });
  subscription.send("notifications/subscriptions/acknowledged", { notifications: shown(filter) });
  return sseResponse(connection.body);
}

/** The extension that a filter needs although the client doesn't have it, if there is one. */
function missingExtension(given: unknown, { capabilities }: ClientFacts): string | undefined {
  if (!isObject(given)) return undefined;
  const asked = Object.keys(EXTENSIONS).find((key) => Object.hasOwn(given, key));
  const extension = asked === undefined ? undefined : EXTENSIONS[asked];
  if (extension === undefined || isObject(capabilities.extensions?.[extension])) return undefined;
  return extension;
}

/** What of a filter is served here. */
function readFilter(endpoint: Endpoint, given: unknown): Filter | string {
  if (!isObject(given)) return 'Give an object as "notifications"';
  const { dispatcher, settings } = endpoint;
  const offered = new Set(dispatcher.listChanged ?? []);
  const methods = new Set<string>();
  for (const [method, key] of Object.entries(LIST_CHANGED)) {
    const wanted = given[key];
    if (wanted !== undefined && typeof wanted !== "boolean") {
      return `Give true or false as "${key}"`;
    }
    if (wanted === true && offered.has(method)) methods.add(method);
  }
  const uris = given.resourceSubscriptions ?? [];
  if (!Array.isArray(uris) || !uris.every((uri) => typeof uri === "string")) {
    return 'Give texts as "resourceSubscriptions"';
  }
  const most = settings.limits.subscriptions;
  if (uris.length > most) return `Give at most ${most} "resourceSubscriptions"`;
  return { methods, uris: new Set(dispatcher.resourceUpdates === true ? uris : []) };
}

function shown({ methods, uris }: Filter): JsonObject {
  const shown: Record<string, unknown> = {};
  for (const [method, key] of Object.entries(LIST_CHANGED)) {
    if (methods.has(method)) shown[key] = true;
  }
  if (uris.size > 0) shown.resourceSubscriptions = [...uris];
  return shown;
}

function refuse(
  endpoint: Endpoint,
  { id }: JsonRpcRequest,
  status: number,
  code: number,
  message: string,
  data?: unknown,
): Response {
  return refusal({ status, code, message, data, id, reason: "envelope" }, endpoint.report);
}
