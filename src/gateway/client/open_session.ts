/**
 * Opens a session over a transport, in the era that the upstream speaks.
 *
 * Towards the gateway both eras offer the requests of 2025: `ping` and subscriptions to resources are
 * translated here for upstreams of 2026.
 *
 * @module
 */
import type { JsonObject, Notification } from "../../../mod.ts";
import { isModern, isObject, MetaKey, methodFacts } from "../../kit.ts";
import type { Caller, OpenInit, UpstreamCall, UpstreamFacts, UpstreamSession } from "../types.ts";
import { UpstreamConnection } from "./connection.ts";
import { clientMeta, handshake, type HandshakeOptions, ownCall } from "./handshake.ts";
import type { SessionSettings } from "./session_options.ts";
import { ListenSubscription, notifyAllChanged, withListChanged } from "./subscription.ts";
import type { Transport } from "./transport.ts";

/** Limits the id of a session's first request, so that all ids are small integers. */
const MAX_FIRST_ID = 2 ** 30;

/**
 * Opens a session over a transport.
 *
 * @throws {UpstreamError} If the upstream can't be reached or rejects the session
 * @throws {AbortSignal["reason"]} If `init.signal` aborts
 */
export async function openSession(
  transport: Transport,
  init: OpenInit,
  options: SessionSettings & Pick<HandshakeOptions, "onVersion" | "onSilent">,
): Promise<UpstreamSession> {
  const { clock } = init;
  let isOpen = false;
  const downstream: OpenInit["downstream"] = {
    notified: (notification) => init.downstream.notified(notification),
    ask: (method, params, signal) => init.downstream.ask(method, params, signal),
    // A session that never opened reports its failure by the error thrown here.
    ended: (error) => isOpen && init.downstream.ended(error),
  };
  const { timeoutMs, probeTimeoutMs } = options;
  // A server that serves one client alone may compare what it sees in its sessions.
  const firstId = init.alone === undefined ? 1 : 1 + Math.floor(Math.random() * MAX_FIRST_ID);
  const connection = new UpstreamConnection(transport, { clock, downstream, timeoutMs, firstId });
  try {
    const facts = await handshake(connection, { ...init, downstream }, options);
    const session = isModern(facts.protocolVersion)
      ? await ModernSession.open(connection, facts, init, probeTimeoutMs)
      : await legacySession(connection, facts, init, transport);
    isOpen = true;
    return session;
  } catch (error) {
    await connection.close().catch(() => {});
    throw error;
  }
}

async function legacySession(
  connection: UpstreamConnection,
  facts: UpstreamFacts,
  { downstream }: OpenInit,
  transport: Transport,
): Promise<UpstreamSession> {
  const hasStream = await transport.openServerStream?.() ?? true;
  const own = hasStream ? facts : withListChanged(facts, []);
  transport.onlost = () => notifyAllChanged(own, downstream);
  return {
    facts: own,
    request: (call) => connection.request(call),
    notify: (notification, caller) => connection.notify(notification, caller),
    close: () => connection.close(),
  };
}

/** A session of the 2026 era, in which every request describes its client. */
class ModernSession implements UpstreamSession {
  readonly facts: UpstreamFacts;
  readonly #connection: UpstreamConnection;
  readonly #init: OpenInit;
  readonly #meta: JsonObject;
  readonly #subscription: ListenSubscription;

  private constructor(
    connection: UpstreamConnection,
    facts: UpstreamFacts,
    init: OpenInit,
    meta: JsonObject,
    subscription: ListenSubscription,
  ) {
    this.facts = facts;
    this.#connection = connection;
    this.#init = init;
    this.#meta = meta;
    this.#subscription = subscription;
  }

  static async open(
    connection: UpstreamConnection,
    facts: UpstreamFacts,
    init: OpenInit,
    timeoutMs: number,
  ): Promise<ModernSession> {
    const meta = clientMeta(init, facts.protocolVersion);
    const subscription = new ListenSubscription(connection, init, facts, meta);
    const lists = await subscription.open(timeoutMs);
    return new ModernSession(connection, withListChanged(facts, lists), init, meta, subscription);
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    const { principal, request, signal } = call;
    this.#subscription.caller = { principal, request };
    switch (call.method) {
      case "ping":
        await this.#connection.request(
          ownCall(this.#init.downstream, call, "server/discover", { _meta: this.#meta }, signal),
        );
        return {};
      case "resources/subscribe":
        await this.#subscription.subscribe(String(call.params.uri), signal);
        return {};
      case "resources/unsubscribe":
        await this.#subscription.unsubscribe(String(call.params.uri), signal);
        return {};
      default:
        return await this.#connection.request(this.#withMeta(call));
    }
  }

  async notify(notification: Notification, caller?: Caller): Promise<void> {
    // Clients of the 2026 era send no notifications that only exist in 2025.
    if (methodFacts(notification.method)?.eras.includes("2026") === false) return;
    await this.#connection.notify(notification, caller);
  }

  async close(): Promise<void> {
    this.#subscription.close();
    await this.#connection.close();
  }

  /** Adds what the era requires in `_meta`; the call's own values win, except for the version. */
  #withMeta(call: UpstreamCall): UpstreamCall {
    const { method, params, signal, principal, request } = call;
    const own = isObject(params._meta) ? params._meta : {};
    const version = { [MetaKey.ProtocolVersion]: this.facts.protocolVersion };
    return {
      method,
      params: { ...params, _meta: { ...this.#meta, ...own, ...version } },
      signal,
      principal,
      request,
      // A spread of the call would lose the methods of a class.
      notify: (notification) => call.notify(notification),
      ask: (method, params) => call.ask(method, params),
    };
  }
}
