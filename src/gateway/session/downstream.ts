/**
 * Passes the messages of an upstream to the client: those of a call within that call, all others on
 * the client's own stream or within the call that they most likely belong to.
 *
 * @module
 */
import {
  type ClientFacts,
  ErrorCode,
  type Exchange,
  type JsonObject,
  type LogLevel,
  McpError,
  type McpEvent,
  type Notification,
  type Principal,
  type ProtocolVersion,
} from "../../../mod.ts";
import { methodFacts, progressToken, VERSIONS } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import { CHANGED_LISTS, type ListKind } from "../shared/list_kinds.ts";
import type { AloneInit, UpstreamCall, UpstreamFacts } from "../types.ts";
import type { Capacity } from "./capacity.ts";
import type { Crashes } from "./crashes.ts";
import { ASKING_METHODS, questionFor, wantsLog } from "./translate.ts";

/** The client that an upstream session belongs to. */
export interface DownstreamClient {
  readonly settings: GatewaySettings;
  /** Limits what is started for the client. */
  readonly capacity: Capacity;
  /** The share that this takes from, as `shareOf` returns it. */
  readonly share: string | undefined;
  /** Remembers which programs crash. */
  readonly crashes: Crashes;
  /** Identifies who crashes are counted for. */
  readonly crashOwner: string;
  /** Whether the upstream is served alone: then everything that it sends is passed on. */
  readonly isAlone: boolean;
  /** Tells it for the requests of a principal, whose rights may be others than those of the one before. */
  isAloneFor(principal: Principal): boolean;
  readonly version: ProtocolVersion;
  /** The client's side to an upstream that is served alone. */
  readonly alone: AloneInit | undefined;
  /** The description of the client, as upstreams may know it. */
  readonly facts: ClientFacts;
  /** The least severe log level that the client wants. */
  readonly logLevel: LogLevel | undefined;
  readonly report: (event: McpEvent) => void;
  /** Sends a notification that belongs to no call. */
  notify(notification: Notification): void;
  /** Sends a request that belongs to no call; returns `undefined` if the client has no session. */
  ask(method: string, params: JsonObject, signal: AbortSignal): Promise<JsonObject> | undefined;
  /**
   * Waits until the client may have become reachable; returns `undefined` if it never will.
   *
   * @throws {AbortSignal["reason"]} If the signal aborts first
   */
  whenReachable(signal: AbortSignal): Promise<void> | undefined;
  /** Wakes what waits for the client to become reachable. */
  markReachable(): void;
  /** Returns the resources of an upstream that the client is subscribed to, as the upstream knows them. */
  subscribedUris(upstream: string): ReadonlySet<string>;
  /** Returns the addresses by which the client is subscribed to a resource of an upstream. */
  subscribedAddresses(upstream: string, uri: string): readonly string[];
  /** Called when a session with an upstream has opened. */
  opened(upstream: string, facts: UpstreamFacts): void;
  /** Invalidates cached lists of an upstream; all of them by default. */
  invalidateLists(upstream: string, kinds?: readonly ListKind[]): void;
  /** Invalidates cached lists of an upstream that changed, and notifies the client if it may know. */
  listsChanged(upstream: string, notification: Notification, kinds: readonly ListKind[]): void;
}

/**
 * Passes on a notification of a call: progress, log messages at the level that is wanted, and the end of
 * what the user was asked to do elsewhere.
 *
 * @param isAlone Whether the upstream is served alone, so that any other notification is passed on, too
 */
export function forwardCallNotification(
  exchange: Exchange,
  { method, params }: Notification,
  isAlone: boolean,
): void {
  switch (method) {
    case "notifications/progress": {
      // A held call continues in another request, which has its own token.
      const token = progressToken(exchange.params);
      return exchange.notify({ method, params: { ...params, progressToken: token } });
    }
    case "notifications/message":
      if (!wantsLog(params, exchange.logLevel, exchange.protocolVersion)) return;
      return exchange.notify({ method, params });
    case "notifications/elicitation/complete":
      if (!VERSIONS[exchange.protocolVersion].elicitationModes) return;
      return exchange.notify({ method, params });
    default:
      if (isAlone && isUnknown(method)) exchange.notify({ method, params });
  }
}

/** Tells whether the protocol doesn't know a notification, so that only its server and client do. */
function isUnknown(method: string): boolean {
  return methodFacts(method) === undefined;
}

/**
 * Passes on a notification that belongs to no call. Drops what the client must not get.
 *
 * @param running Calls that run in the upstream session
 */
export function forwardNotification(
  client: DownstreamClient,
  upstream: string,
  running: ReadonlySet<UpstreamCall>,
  notification: Notification,
): void {
  const { method, params } = notification;
  const changed = CHANGED_LISTS.get(method);
  if (changed !== undefined) return client.listsChanged(upstream, notification, changed);
  const isMessage = method === "notifications/message";
  if (isMessage || (client.isAlone && isUnknown(method))) {
    if (isMessage && !wantsLog(params, client.logLevel, client.version)) return;
    const [call, ...others] = clientCalls(running);
    if (call === undefined || others.length > 0) return client.notify(notification);
    return call.notify(notification);
  }
  if (method === "notifications/resources/updated") {
    if (client.isAlone) return client.notify(notification);
    const uri = params?.uri;
    if (typeof uri !== "string") return;
    const addresses = client.subscribedAddresses(upstream, uri);
    return addresses.forEach((uri) => client.notify({ method, params: { uri } }));
  }
  if (method !== "notifications/elicitation/complete") return;
  if (VERSIONS[client.version].elicitationModes) client.notify(notification);
}

/** The most attempts to reach a client that can't be asked yet. */
const MAX_ATTEMPTS = 10;

/**
 * Asks the client a question that belongs to no call: within the latest call, which most likely needs
 * the answer, otherwise on the client's own stream. Servers ask for roots right after the handshake,
 * when the client has no stream yet: the question then waits for one.
 *
 * @param running Calls that run in the upstream session
 * @throws {McpError} If the client can't be asked, or answers with an error
 */
export async function forwardQuestion(
  client: DownstreamClient,
  running: ReadonlySet<UpstreamCall>,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const shown = questionFor(method, params, client.facts.capabilities, client.isAlone);
  const { settings: { clock, askTimeoutMs } } = client;
  const limit = deadline(clock, askTimeoutMs, signal);
  try {
    for (let attempt = 1;; attempt++) {
      const call = clientCalls(running).at(-1);
      if (call !== undefined) return await abortable(call.ask(method, shown), signal);
      try {
        const answer = client.ask(method, shown, signal);
        if (answer !== undefined) return await answer;
      } catch (error) {
        // A client without a stream can't be asked yet.
        if (!(error instanceof McpError) || error.code !== ErrorCode.Refused) throw error;
      }
      const reachable = attempt < MAX_ATTEMPTS ? client.whenReachable(limit.signal) : undefined;
      if (reachable === undefined) break;
      await reachable;
    }
  } finally {
    limit.clear();
  }
  throw new McpError(ErrorCode.Refused, "Ask during a call");
}

/** Returns the calls that messages outside calls may belong to: not the gateway's own. */
function clientCalls(running: ReadonlySet<UpstreamCall>): readonly UpstreamCall[] {
  return [...running].filter(({ method, isClients }) => isClients ?? ASKING_METHODS.has(method));
}
