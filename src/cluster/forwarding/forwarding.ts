/**
 * Forwards requests to the node that has claimed their session, and answers requests that other nodes
 * forward.
 *
 * @module
 */
import type { Calls } from "../../calls/calls.ts";
import type { Clock } from "../../internal/clock.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { checkJsonRpc } from "../../http/gates/jsonrpc.ts";
import { Inbound } from "../../http/inbound.ts";
import {
  internalError,
  serverBusy,
  sessionNotFound,
  storeUnavailable,
} from "../../http/refusals.ts";
import { type Refusal, refusal, type Reply } from "../../http/reply.ts";
import { reportRefusal } from "../../http/respond.ts";
import { ErrorCode } from "../../protocol/errors.ts";
import type { RequestId } from "../../protocol/jsonrpc.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import type { Sessions } from "../../sessions/sessions.ts";
import type { Streams } from "../../streams/streams.ts";
import type { ForwardedRequest } from "../messages/messages.ts";
import { NoAnswer, NotDelivered } from "./outgoing.ts";
import type { PinnedSessions } from "../pinned_sessions.ts";
import { readSender, writeSender } from "./sender.ts";
import type { Claims, Nodes } from "../types.ts";

/** The maximum number of attempts to send a request that the other node has certainly not received. */
const TRIES = 3;
/** The time between two attempts, in milliseconds. */
const WAIT_MS = 250;

/** Options for {@linkcode Forwarding}. */
export interface ForwardingInit {
  /** This node's id. */
  readonly node: string;
  readonly claims: Claims;
  readonly nodes: Nodes;
  readonly calls: Calls;
  readonly streams: Streams;
  readonly sessions: Sessions;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** The maximum number of messages in one batch. */
  readonly mostBatch: number;
  /** Answers a request whose principal has been authenticated. */
  readonly route: (inbound: Inbound) => MaybePromise<Reply>;
}

/** Forwards requests, and answers forwarded ones. */
export class Forwarding {
  readonly #init: ForwardingInit;

  /** Creates the forwarder, which has no state. */
  constructor(init: ForwardingInit) {
    this.#init = init;
  }

  /**
   * Forwards a request to the node that has claimed its session, and returns that node's reply. The
   * request is only sent again if that node has certainly not received it.
   */
  async forward(pinned: PinnedSessions, inbound: Inbound, session: string): Promise<Reply> {
    let node: string | undefined;
    try {
      // The other node stops answering this one unless the store knows that this one is alive.
      await pinned.ensureAlive();
      node = await this.#holderOf(session);
    } catch (error) {
      return storeUnavailable("looking up a session's node", error);
    }
    // The forwarding node has looked it up before: the session has ended meanwhile.
    if (inbound.forwarded) return sessionNotFound("session-unknown");
    if (node === undefined) {
      return pinned.sure ? await this.#lost(session) : unreachable(inbound.requestId);
    }
    const giveBack = this.#takeSlot(inbound);
    if (giveBack === undefined) {
      return inbound.method === "GET"
        ? serverBusy("stream-limit")
        : this.#init.calls.busy(inbound.requestId);
    }
    try {
      return await this.#deliver(pinned, node, this.#pack(inbound), giveBack);
    } catch (error) {
      giveBack();
      if (error instanceof NotDelivered) return unreachable(inbound.requestId);
      if (!(error instanceof NoAnswer)) this.#init.reporter.failed("forwarding a request", error);
      return unanswered(inbound.requestId);
    }
  }

  /** Answers a request that another node has forwarded, and has authenticated. */
  async answer(request: ForwardedRequest): Promise<Reply> {
    const { reporter } = this.#init;
    let answered: Reply;
    try {
      answered = await this.#answer(request);
    } catch (error) {
      answered = internalError(error);
    }
    reportRefusal(answered, reporter);
    return answered;
  }

  async #answer(forwarded: ForwardedRequest): Promise<Reply> {
    const { mostBatch, route } = this.#init;
    const { verb, url, sender, body, json, sse } = forwarded;
    const read = readSender(sender);
    if (read === undefined) throw new Error("Run the same version at all nodes: no principal");
    const { headers, principal } = read;
    const inbound = new Inbound(new Request(url, { method: verb, headers }));
    inbound.forwarded = true;
    inbound.principal = principal;
    inbound.accepts = { json, sse };
    if (verb !== "POST") return await route(inbound);
    const text = body ?? "";
    inbound.bodyLength = text.length;
    return checkJsonRpc(inbound, JSON.parse(text), mostBatch) ?? await route(inbound);
  }

  async #holderOf(session: string): Promise<string | undefined> {
    const { node, claims, nodes } = this.#init;
    const holder = await claims.holder(session);
    // If this node had claimed the session, it would have found it here.
    if (holder === undefined || holder === node) return undefined;
    return (await nodes.find(holder))?.id;
  }

  /** Ends a session whose node is dead. */
  async #lost(session: string): Promise<Refusal> {
    try {
      await this.#init.sessions.end(session, "lost");
    } catch (error) {
      return storeUnavailable("ending a session", error);
    }
    return sessionNotFound("session-unknown");
  }

  /** Sends a request until the node has received it, or may have. */
  async #deliver(
    { outgoing }: PinnedSessions,
    node: string,
    request: ForwardedRequest,
    over: () => void,
  ): Promise<Reply> {
    const { calls, clock } = this.#init;
    for (let left = TRIES;;) {
      try {
        return await outgoing.send(node, request, over);
      } catch (error) {
        if (!(error instanceof NotDelivered) || --left === 0 || calls.closing) throw error;
        const { promise, resolve } = Promise.withResolvers<void>();
        clock.timer(WAIT_MS, resolve);
        await promise;
      }
    }
  }

  #pack(inbound: Inbound): ForwardedRequest {
    const { request: { headers }, source: { url }, principal, method, accepts: { json, sse } } =
      inbound;
    const sender = writeSender({ headers, principal });
    if (method !== "POST") {
      const verb = method === "GET" ? "GET" : "DELETE";
      return { verb, url, sender, json: false, sse: verb === "GET" };
    }
    const { content } = inbound;
    const message = content.kind === "batch"
      ? content.batch.map(({ message }) => message)
      : content.message;
    return { verb: "POST", url, sender, body: JSON.stringify(message), json, sse };
  }

  /**
   * Takes the slot that a request uses here while another node answers it, and counts it. Notifications, responses and
   * DELETE take none: they must be forwarded even if all slots are taken.
   */
  #takeSlot({ method, share, requests }: Inbound): (() => void) | undefined {
    const { calls, streams } = this.#init;
    if (method === "GET") {
      return streams.slots.takeHere(share) ? () => streams.slots.giveHere(share) : undefined;
    }
    if (requests.length === 0) return () => {};
    return calls.slots.takeHere(share) ? () => calls.slots.giveHere(share) : undefined;
  }
}

function unreachable(id: RequestId | null): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "The node that holds the session can't be reached: try again",
    reason: "node-unreachable",
    id,
    headers: { "retry-after": "1" },
  });
}

function unanswered(id: RequestId | null): Refusal {
  return refusal({
    status: 504,
    code: ErrorCode.InternalError,
    message:
      "The node that holds the session doesn't answer: the request may have been carried out",
    reason: "node-silent",
    id,
  });
}
