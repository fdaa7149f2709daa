/**
 * Hands a client's request on to an upstream, and everything back, whatever eras the two are of.
 *
 * @module
 */
import { isPromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange, Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import { progressToken } from "../calls/progress.ts";
import type { Holds } from "./holds.ts";
import type { Link } from "./link.ts";
import {
  ASKING,
  checkQuestion,
  completed,
  incoming,
  isModern,
  outgoing,
  wantsLog,
  withoutType,
} from "./translate.ts";
import type { UpstreamFacts } from "./types.ts";

/** How often an upstream may ask for input before it has to answer. */
const MOST_ROUNDS = 20;
/** How much an upstream may ask for at a time. */
const MOST_QUESTIONS = 100;

/** A request on its way to an upstream. */
export interface Relayed {
  readonly exchange: Exchange;
  readonly link: Link;
  /** Its parameters, as the upstream knows things. */
  readonly params: JsonObject;
  /** What the round before left with the client (2026-07-28). */
  readonly state: JsonObject | undefined;
  readonly holds: Holds;
  readonly info: Implementation;
  /** Keeps the link until the returned function is called. */
  readonly retain: () => () => void;
}

/**
 * Hands a request on and waits for its result.
 *
 * @throws {McpError} What the upstream answers, or that it can't be used
 * @throws {AbortSignal["reason"]} When the request is stopped
 */
export async function relay(relayed: Relayed): Promise<JsonObject> {
  const { exchange, link } = relayed;
  const reached = link.reach(exchange);
  const facts = isPromise(reached) ? await reached : reached;
  const sent = outgoing(relayed.params, facts, exchange.logLevel);
  if (!isModern(exchange.protocolVersion)) return await askingLive(relayed, facts, sent);
  if (isModern(facts.protocolVersion)) return await passingRounds(relayed, facts, sent);
  return await holding(relayed, sent);
}

/** A 2025 client: what an upstream asks for is asked at once, and the upstream called again. */
async function askingLive(
  { exchange, link }: Relayed,
  facts: UpstreamFacts,
  sent: JsonObject,
): Promise<JsonObject> {
  const { protocolVersion: from } = facts;
  let params = sent;
  for (let rounds = 0; rounds <= MOST_ROUNDS; rounds++) {
    const result = await send(exchange, link, params);
    if (!isModern(from) || result.resultType !== "input_required") {
      return incoming(result, from, exchange.protocolVersion);
    }
    const { requestState } = result;
    const inputResponses = await answers(exchange, link, result.inputRequests);
    params = { ...sent, inputResponses, ...requestState !== undefined && { requestState } };
  }
  throw new McpError(ErrorCode.InternalError, "The upstream asked for input too often");
}

async function answers(exchange: Exchange, link: Link, requests: unknown): Promise<JsonObject> {
  const asked = questionsOf(link, requests).map(async ([key, { method, params }]) =>
    [key, await exchange.ask(method, params)] as const
  );
  return Object.fromEntries(await Promise.all(asked));
}

/** Both of the 2026 era: the client is asked by the gateway, and its answers are handed on. */
async function passingRounds(
  { exchange, link, state, info }: Relayed,
  { protocolVersion: from }: UpstreamFacts,
  sent: JsonObject,
): Promise<JsonObject> {
  if (state !== undefined && state.upstream !== link.name) throw noState();
  const { method, params: { inputResponses } } = exchange;
  const requestState = state?.requestState;
  const result = await send(exchange, link, {
    ...sent,
    ...inputResponses !== undefined && ASKING.has(method) && { inputResponses },
    ...requestState !== undefined && { requestState },
  });
  if (result.resultType !== "input_required" || !ASKING.has(method)) {
    return incoming(result, from, exchange.protocolVersion);
  }
  const inputRequests = Object.fromEntries(questionsOf(link, result.inputRequests));
  const left = { upstream: link.name, requestState: result.requestState };
  const asked = completed(method, {
    resultType: "input_required",
    ...Object.keys(inputRequests).length > 0 && { inputRequests },
    requestState: await exchange.sealState(left),
  }, info);
  exchange.requireInput(asked);
  return asked;
}

/** A 2026 client of a 2025 upstream: the call goes on while the client is asked. */
async function holding(
  { exchange, link, holds, info, retain, state }: Relayed,
  params: JsonObject,
): Promise<JsonObject> {
  if (state !== undefined) throw noState();
  const { method } = exchange;
  if (!ASKING.has(method)) return withoutType(await send(exchange, link, params));
  const notify = (exchange: Exchange, said: Notification) => hand(exchange, said);
  const complete = (result: JsonObject) => completed(method, result, info);
  return await holds.begin(exchange, { link, method, params, notify, complete }, retain());
}

function send(exchange: Exchange, link: Link, params: JsonObject): Promise<JsonObject> {
  const { method, signal, request, protocolVersion } = exchange;
  return link.request({
    method,
    params,
    signal,
    request,
    notify: (notification) => hand(exchange, notification),
    ask: async (method, params) => {
      checkQuestion(method, params, link.client.capabilities);
      if (!isModern(protocolVersion)) return await exchange.ask(method, params);
      throw new McpError(ErrorCode.Refused, "Ask only in tools, prompts and resources");
    },
  });
}

/** Hands on what an upstream says in the course of a call: progress, and the log that is wanted. */
function hand(exchange: Exchange, { method, params }: Notification): void {
  if (method === "notifications/progress") {
    // A held call goes on in another request, which has a token of its own.
    const token = progressToken(exchange.params);
    return exchange.notify({ method, params: { ...params, progressToken: token } });
  }
  if (method !== "notifications/message") return;
  if (!wantsLog(params, exchange.logLevel, exchange.protocolVersion)) return;
  exchange.notify({ method, params });
}

/**
 * What an upstream asks for, by key.
 *
 * @throws {McpError} If it asks for something that it may not, or for too much
 */
function questionsOf(
  link: Link,
  requests: unknown,
): [string, { readonly method: string; readonly params: JsonObject }][] {
  const entries = Object.entries(isObject(requests) ? requests : {});
  if (entries.length > MOST_QUESTIONS) {
    throw new McpError(ErrorCode.InternalError, "The upstream asked for too much at a time");
  }
  return entries.map(([key, request]) => {
    const { method, params = {} } = isObject(request) ? request : {};
    if (typeof method !== "string" || !isObject(params)) {
      throw new McpError(ErrorCode.InternalError, "The upstream asked for what is no question");
    }
    checkQuestion(method, params, link.client.capabilities);
    return [key, { method, params }];
  });
}

/** What a state is answered with that doesn't fit what is asked for now. */
export function noState(): McpError {
  return new McpError(ErrorCode.InvalidParams, "Begin again without requestState: it is no good");
}
