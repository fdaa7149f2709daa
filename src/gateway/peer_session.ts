/**
 * A session with an upstream over a {@linkcode Peer}, in whichever era it speaks.
 *
 * Seen from the gateway both eras have the older one's requests: what the newer one does by other
 * means (`ping`, subscriptions to resources) is translated here.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { MetaKey } from "../protocol/envelope.ts";
import type { Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { isVersion, type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { clientMeta, type HandshakeOptions, ownCall, shakeHands } from "./handshake.ts";
import { Listening, tellAllChanged, withLists } from "./listening.ts";
import { type Channel, Peer } from "./peer.ts";
import type { OpenInit, UpstreamCall, UpstreamFacts, UpstreamSession } from "./types.ts";

/** Options that every upstream has which is spoken to over a channel. */
export interface SessionOptions {
  /**
   * The protocol versions that may be agreed on; all that are known when left out. One alone pins the
   * upstream to it.
   */
  readonly versions?: readonly ProtocolVersion[];
  /**
   * How long a call may go without its answer, or anything else that belongs to it, in milliseconds.
   *
   * @default {300000}
   */
  readonly timeoutMs?: number;
  /**
   * How long the upstream has to show that it speaks the 2026 era, in milliseconds, where it may speak
   * the 2025 era instead.
   *
   * @default {5000}
   */
  readonly probeTimeoutMs?: number;
}

/** {@linkcode SessionOptions} with nothing left out. */
export type SessionSettings = Required<SessionOptions>;

/** The longest time that a timer can wait, in milliseconds: 24 days. */
const LONGEST_MS = 0x7fffffff;

/**
 * Checks the options of a session.
 *
 * @throws {TypeError} If one is of the wrong kind
 * @throws {RangeError} If a number is out of range
 */
export function checkSessionOptions(options: SessionOptions): SessionSettings {
  const known = Object.keys(VERSIONS).filter(isVersion);
  const { versions = known } = options;
  if (!Array.isArray(versions) || versions.length === 0 || !versions.every(isVersion)) {
    throw new TypeError(`Give some of ${known.join(", ")} as "versions": ${String(versions)}`);
  }
  return {
    versions: known.filter((version) => versions.includes(version)),
    timeoutMs: timeout("timeoutMs", options.timeoutMs, 300_000),
    probeTimeoutMs: timeout("probeTimeoutMs", options.probeTimeoutMs, 5000),
  };
}

/**
 * A time to wait, in milliseconds.
 *
 * @throws {RangeError} If no timer can wait so long
 */
export function timeout(name: string, value: number | undefined, byDefault: number): number {
  const ms = integerOption(name, value, byDefault);
  if (ms <= LONGEST_MS) return ms;
  throw new RangeError(`Give at most ${LONGEST_MS} milliseconds as "${name}": ${ms}`);
}

/**
 * Begins a session over a channel.
 *
 * @throws {UpstreamError} If the upstream can't be reached or refuses
 * @throws {AbortSignal["reason"]} When `init.signal` aborts
 */
export async function openSession(
  channel: Channel,
  init: OpenInit,
  options: SessionSettings & Pick<HandshakeOptions, "agreed">,
): Promise<UpstreamSession> {
  const { clock } = init;
  let isOpen = false;
  // A session that doesn't come about is told of by the error, not by its end.
  const ended = (error: unknown) => isOpen && init.downstream.ended(error);
  const { notified, ask } = bound(init);
  const downstream = { notified, ask, ended };
  const peer = new Peer(channel, { clock, downstream, timeoutMs: options.timeoutMs });
  try {
    const facts = await shakeHands(peer, { ...init, downstream }, options);
    const session = VERSIONS[facts.protocolVersion].era === "2026"
      ? await modernSession(peer, facts, init, options)
      : await olderSession(peer, facts, init, channel);
    isOpen = true;
    return session;
  } catch (error) {
    await peer.close().catch(() => {});
    throw error;
  }
}

function bound({ downstream }: OpenInit): Pick<OpenInit["downstream"], "notified" | "ask"> {
  return {
    notified: (notification) => downstream.notified(notification),
    ask: (method, params, signal) => downstream.ask(method, params, signal),
  };
}

async function olderSession(
  peer: Peer,
  facts: UpstreamFacts,
  { downstream }: OpenInit,
  channel: Channel,
): Promise<UpstreamSession> {
  const listens = await channel.listen?.() ?? true;
  const own = listens ? facts : withLists(facts, []);
  channel.onmissed = () => tellAllChanged(own, downstream);
  return {
    facts: own,
    request: (call) => peer.request(call),
    notify: (notification) => peer.notify(notification),
    close: () => peer.close(),
  };
}

async function modernSession(
  peer: Peer,
  facts: UpstreamFacts,
  init: OpenInit,
  { probeTimeoutMs }: SessionSettings,
): Promise<UpstreamSession> {
  const meta = clientMeta(init, facts.protocolVersion);
  const listening = new Listening(peer, init, facts, meta);
  const lists = await listening.begin(probeTimeoutMs);
  return new ModernSession(peer, withLists(facts, lists), init, meta, listening);
}

/** The same call with other parameters. A spread would not copy the methods of a class. */
function withParams(call: UpstreamCall, params: JsonObject): UpstreamCall {
  return {
    method: call.method,
    params,
    signal: call.signal,
    request: call.request,
    notify: (notification) => call.notify(notification),
    ask: (method, about) => call.ask(method, about),
  };
}

/** A session in the newer era, in which every request says everything. */
class ModernSession implements UpstreamSession {
  readonly facts: UpstreamFacts;
  readonly #peer: Peer;
  readonly #init: OpenInit;
  readonly #meta: JsonObject;
  readonly #listening: Listening;

  constructor(
    peer: Peer,
    facts: UpstreamFacts,
    init: OpenInit,
    meta: JsonObject,
    listening: Listening,
  ) {
    this.facts = facts;
    this.#peer = peer;
    this.#init = init;
    this.#meta = meta;
    this.#listening = listening;
  }

  async request(call: UpstreamCall): Promise<JsonObject> {
    switch (call.method) {
      case "ping":
        await this.#peer.request(
          ownCall(this.#init, "server/discover", { _meta: this.#meta }, call.signal),
        );
        return {};
      case "resources/subscribe":
        await this.#listening.subscribe(String(call.params.uri), call.signal);
        return {};
      case "resources/unsubscribe":
        await this.#listening.unsubscribe(String(call.params.uri), call.signal);
        return {};
      default:
        return await this.#peer.request(withParams(call, this.#enveloped(call.params)));
    }
  }

  async notify(notification: Notification): Promise<void> {
    const facts = methodFacts(notification.method);
    // A client of this era has nothing of the kind to tell.
    if (facts?.eras.includes("2026") === false) return;
    await this.#peer.notify(notification);
  }

  async close(): Promise<void> {
    this.#listening.close();
    await this.#peer.close();
  }

  /** Parameters with what they have to say of the client; what the client itself says goes first. */
  #enveloped(params: JsonObject): JsonObject {
    const own = isObject(params._meta) ? params._meta : {};
    const version = { [MetaKey.ProtocolVersion]: this.facts.protocolVersion };
    return { ...params, _meta: { ...this.#meta, ...own, ...version } };
  }
}
