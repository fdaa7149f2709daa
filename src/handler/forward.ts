/**
 * Hands a request on to the node that holds its session's live state.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import type { ForwardedRequest } from "../cluster/messages.ts";
import { NoAnswer, NotDelivered } from "../cluster/outgoing.ts";
import type { NodeFacts } from "../cluster/types.ts";
import { ErrorCode } from "../protocol/errors.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import { refusal } from "../http/reply.ts";
import { endSession } from "./end_session.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Pins } from "./pins.ts";
import { serverBusy, sessionNotFound, unavailable } from "./responses.ts";
import { sealSender } from "./sealed_sender.ts";
import type { PostInit } from "./sessionful_post.ts";

/** How often a request is sent that the other node can't have got. */
const TRIES = 3;
/** How long to wait before it is sent again, in milliseconds. */
const WAIT_MS = 250;

/** A request of a session, with its sender. */
export interface SentInit {
  readonly request: Request;
  readonly principal: Principal;
  /** The sender's owner key. */
  readonly owner: string;
  /** What a POST holds. */
  readonly posted?: PostInit["posted"];
}

/**
 * Answers a request for a session whose live state is in another process, as that one answers it. It
 * is sent again only when that node is sure not to have got it.
 */
export async function forward(
  endpoint: Endpoint,
  pins: Pins,
  init: SentInit,
  session: string,
): Promise<Response> {
  let node: NodeFacts | undefined;
  try {
    // The other node answers only as long as it knows that this one lives.
    await pins.live();
    node = await holderOf(endpoint, session);
  } catch (error) {
    return unavailable(endpoint, "looking up a session's node", error);
  }
  // Whoever handed it on has asked too: it ended in between.
  if (pins.received.has(init.request)) return sessionNotFound(endpoint, "session-unknown");
  if (node === undefined) {
    return pins.sure ? await lost(endpoint, session) : unreachable(endpoint, idOf(init));
  }
  const give = takePlace(endpoint, init);
  if (give === undefined) return serverBusy(endpoint, placeOf(init), idOf(init));
  try {
    return await deliver(endpoint, pins, node, await forwarded(endpoint, init), give);
  } catch (error) {
    give();
    if (error instanceof NotDelivered) return unreachable(endpoint, idOf(init));
    if (!(error instanceof NoAnswer)) endpoint.failed("handing a request on", error);
    return silent(endpoint, idOf(init));
  }
}

async function holderOf(
  { node, backplane: { claims, nodes } }: Endpoint,
  session: string,
): Promise<NodeFacts | undefined> {
  const holder = await claims.holder(session);
  // What this node holds it would know.
  return holder === undefined || holder === node ? undefined : await nodes.find(holder);
}

/** The node that held the session is gone, and the session with it. */
async function lost(endpoint: Endpoint, session: string): Promise<Response> {
  try {
    await endSession(endpoint, session, "lost");
  } catch (error) {
    return unavailable(endpoint, "ending a session", error);
  }
  return sessionNotFound(endpoint, "session-unknown");
}

/** Sends until the node has it, or may have it. */
async function deliver(
  endpoint: Endpoint,
  { outgoing, http }: Pins,
  node: NodeFacts,
  request: ForwardedRequest,
  over: () => void,
): Promise<Response> {
  for (let left = TRIES;;) {
    try {
      if (node.url !== undefined) {
        const { id, url } = node;
        const message = { kind: "forward", id: randomText(16), request } as const;
        const envelope = await endpoint.post.seal(id, message);
        return await http.send({ node: id, url, verb: request.verb, envelope, over });
      }
      return await outgoing.send(node.id, request, over);
    } catch (error) {
      if (!(error instanceof NotDelivered) || --left === 0 || endpoint.closing) throw error;
      const { promise, resolve } = Promise.withResolvers<void>();
      endpoint.settings.clock.timer(WAIT_MS, resolve);
      await promise;
    }
  }
}

/** What is handed on of a request. */
async function forwarded(
  endpoint: Endpoint,
  { request, principal, posted }: SentInit,
): Promise<ForwardedRequest> {
  const { url, headers } = request;
  const sealed = await sealSender(endpoint.states, { headers, principal });
  if (posted === undefined) {
    const verb = request.method === "GET" ? "GET" : "DELETE";
    return { verb, url, sealed, json: false, sse: verb === "GET" };
  }
  const { verb, json, sse } = posted;
  const message = posted.kind === "batch"
    ? posted.batch.map(({ message }) => message)
    : posted.message;
  const body = JSON.stringify(message);
  return { verb, url, sealed, body, json, sse };
}

/**
 * Takes the place that a request takes here while it is answered there. What needs no answer takes
 * none, nor does a DELETE: they must get through when everything is busy.
 */
function takePlace(
  { requests, streams }: Endpoint,
  { request, owner, posted }: SentInit,
): (() => void) | undefined {
  if (request.method === "GET") return streams.take(owner) ? () => streams.give(owner) : undefined;
  if (posted?.kind !== "request" && posted?.kind !== "batch") return () => {};
  return requests.take() ? () => requests.give() : undefined;
}

function placeOf({ request }: SentInit): "stream-limit" | "request-limit" {
  return request.method === "GET" ? "stream-limit" : "request-limit";
}

function idOf({ posted }: SentInit): RequestId | null {
  return posted?.kind === "request" ? posted.message.id : null;
}

function unreachable(endpoint: Endpoint, id: RequestId | null): Response {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "The node that holds the session can't be reached: try again",
    reason: "node-unreachable",
    id,
    headers: { "retry-after": "1" },
  }, endpoint.report);
}

function silent(endpoint: Endpoint, id: RequestId | null): Response {
  return refusal({
    status: 504,
    code: ErrorCode.InternalError,
    message:
      "The node that holds the session doesn't answer: the request may have been carried out",
    reason: "node-silent",
    id,
  }, endpoint.report);
}
