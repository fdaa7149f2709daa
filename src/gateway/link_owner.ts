/**
 * Whom a link belongs to, and what becomes of what its upstream says outside the answers to calls.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { ClientFacts, Notification, Principal } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { LogLevel } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { deadline, raced } from "./bounded.ts";
import { CHANGED, type ListKind } from "./list_kinds.ts";
import type { GatewaySettings } from "./options.ts";
import { ASKING, checkQuestion, wantsLog } from "./translate.ts";
import type { UpstreamCall } from "./types.ts";

/** Whom a link belongs to. */
export interface LinkOwner {
  readonly settings: GatewaySettings;
  readonly principal: Principal;
  readonly version: ProtocolVersion;
  /** The client, as upstreams may know it. */
  readonly client: ClientFacts;
  /** The least severe level of log message that the client wants. */
  readonly logLevel: LogLevel | undefined;
  readonly report: (event: McpEvent) => void;
  /** Tells the client something that belongs to no call. */
  tell(notification: Notification): void;
  /** Asks the client something that belongs to no call; `undefined` when there is no way to. */
  ask(
    method: string,
    params: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> | undefined;
  /**
   * Waits until the client may be reached where it couldn't be before; `undefined` when it never can.
   *
   * @throws {AbortSignal["reason"]} When the signal aborts first
   */
  occasion(signal: AbortSignal): Promise<void> | undefined;
  /** Tells whoever waits for it that the client may be reached now. */
  reached(): void;
  /** The resources of an upstream that the client is subscribed to. */
  subscribed(upstream: string): ReadonlySet<string>;
  /** Forgets lists of an upstream; all when none are named. */
  forget(upstream: string, kinds?: readonly ListKind[]): void;
}

/** Takes what an upstream says outside of calls. What no client may be told ends here. */
export function heard(
  owner: LinkOwner,
  upstream: string,
  running: ReadonlySet<UpstreamCall>,
  notification: Notification,
): void {
  const { method, params } = notification;
  const changed = CHANGED.get(method);
  if (changed !== undefined) {
    owner.forget(upstream, changed);
    return owner.tell({ method });
  }
  if (method === "notifications/message") {
    if (!wantsLog(params, owner.logLevel, owner.version)) return;
    const [call, ...others] = clientsCalls(running);
    if (call === undefined || others.length > 0) return owner.tell(notification);
    return call.notify(notification);
  }
  if (method === "notifications/resources/updated") {
    const uri = params?.uri;
    if (typeof uri !== "string" || !owner.subscribed(upstream).has(uri)) return;
    return owner.tell({ method, params: { uri } });
  }
  if (method === "notifications/elicitation/complete") owner.tell(notification);
}

/** How often it is tried to reach a client that can't be asked yet. */
const MOST_TRIES = 10;

/**
 * Asks the client what an upstream asks outside of calls: in the course of the call that began last,
 * as that is the likeliest to need it, else by itself. Servers ask for roots as soon as they begin,
 * when the client has no stream yet: then the question waits.
 *
 * @throws {McpError} When it can't be asked, or answers with an error
 */
export async function asked(
  owner: LinkOwner,
  running: ReadonlySet<UpstreamCall>,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  checkQuestion(method, params, owner.client.capabilities);
  const { settings: { clock, askTimeoutMs } } = owner;
  const { signal: late, stop } = deadline(clock, askTimeoutMs, signal);
  try {
    for (let tries = 1;; tries++) {
      const call = clientsCalls(running).at(-1);
      if (call !== undefined) return await raced(call.ask(method, params), signal);
      try {
        const answer = owner.ask(method, params, signal);
        if (answer !== undefined) return await answer;
      } catch (error) {
        // Without a stream of the client's, asking is refused.
        if (!(error instanceof McpError) || error.code !== ErrorCode.Refused) throw error;
      }
      const occasion = tries < MOST_TRIES ? owner.occasion(late) : undefined;
      if (occasion === undefined) break;
      await occasion;
    }
  } finally {
    stop();
  }
  throw new McpError(ErrorCode.Refused, "Ask in the course of a call");
}

/** The calls that something said by the way may be about: not those of the gateway's own. */
function clientsCalls(running: ReadonlySet<UpstreamCall>): readonly UpstreamCall[] {
  return [...running].filter(({ method }) => ASKING.has(method));
}
