/**
 * Relays a client's request to an upstream, of the same era or the other.
 *
 * @module
 */
import {
  ErrorCode,
  type Exchange,
  type JsonObject,
  McpError,
  QuestionError,
} from "../../../mod.ts";
import { isModern, isObject, isPromise, VERSIONS } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import type { UpstreamFacts } from "../types.ts";
import { forwardCallNotification, withProgress } from "./downstream.ts";
import type { HeldCalls } from "./held_calls.ts";
import type { ManagedCall, ManagedSession } from "./managed_session.ts";
import { withSignIn } from "./sign_in_question.ts";
import {
  ASKING_METHODS,
  isSameEra,
  modernResult,
  questionFor,
  toClient,
  toUpstream,
  withoutResultType,
} from "./translate.ts";

/** Limits how often an upstream may ask for input before it has to answer. */
const MAX_ROUNDS = 20;
/** The most questions of one round. */
const MAX_QUESTIONS = 100;

/** A client's request, with what relaying it needs. */
export interface ClientRequest {
  readonly exchange: Exchange;
  readonly settings: GatewaySettings;
  readonly heldCalls: HeldCalls;
  /** What the round before left with the client (2026-07-28). */
  readonly state: JsonObject | undefined;
  /** Keeps the upstream sessions open until the returned function is called. */
  readonly retain: () => () => void;
  /**
   * Holds what the state of the next round has besides, for a call that the policy has let pass. Then
   * each state counts once.
   */
  readonly passed?: JsonObject;
  /** Whether the request goes on after a sign-in: its answers are not for the upstream. */
  readonly isSignedIn?: boolean;
}

/** Options for {@linkcode relay}. */
export interface RelayOptions {
  /** Puts the names that the client knows into a complete result. */
  readonly named?: (result: JsonObject) => JsonObject;
  /** Aborts when the result is no longer needed, for an upstream that is served alone. */
  readonly signal?: AbortSignal;
}

/**
 * Relays a request and waits for its result.
 *
 * @param params Parameters with the names that the upstream knows
 * @throws {McpError} If the upstream answers with an error or can't be used
 * @throws {AbortSignal["reason"]} If the request is stopped
 */
export async function relay(
  request: ClientRequest,
  session: ManagedSession,
  params: JsonObject,
  options: RelayOptions = {},
): Promise<JsonObject> {
  if (session.signIn === undefined) return await relayOnce(request, session, params, options);
  return await withSignIn(request, session, (own) => {
    // The upstream's own round, if there was one, begins anew
    const begun = own.isSignedIn === true ? { ...own, state: undefined } : own;
    return relayOnce(begun, session, params, options);
  });
}

async function relayOnce(
  request: ClientRequest,
  session: ManagedSession,
  params: JsonObject,
  { named = (result) => result, signal = request.exchange.signal }: RelayOptions,
): Promise<JsonObject> {
  const { exchange } = request;
  exchange.noteUpstream?.(session.name);
  const ready = session.ensureOpen(exchange);
  const facts = isPromise(ready) ? await ready : ready;
  const isSame = isSameEra(exchange.protocolVersion, facts.protocolVersion);
  if (isSame && session.isAloneFor(exchange.principal)) {
    return await passOn(exchange, session, params, signal);
  }
  const sent = toUpstream(params, facts, exchange.logLevel);
  if (!isModern(exchange.protocolVersion)) {
    return named(await askAtOnce(exchange, session, facts, sent));
  }
  if (isModern(facts.protocolVersion)) {
    const result = await passRound(request, session, facts, sent);
    return result.resultType === "input_required" ? result : named(result);
  }
  return await holdWhileAsking(request, session, sent, named);
}

/** Passes a request on to an upstream that is served alone in its client's era: nothing is translated. */
async function passOn(
  exchange: Exchange,
  session: ManagedSession,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const result = await send(exchange, session, params, signal);
  const asks = isModern(exchange.protocolVersion) && result.resultType === "input_required";
  if (!asks || !ASKING_METHODS.has(exchange.method)) return result;
  // The texts of its questions are shown to the user.
  const { inputRequests } = result;
  const shown = Object.fromEntries(questionsFor(session, questionsIn(result)));
  const asked = inputRequests === undefined ? result : { ...result, inputRequests: shown };
  exchange.requireInput(asked);
  return asked;
}

/** Serves a 2025 client: asks it at once when the upstream wants input, and calls the upstream again. */
async function askAtOnce(
  exchange: Exchange,
  session: ManagedSession,
  { protocolVersion: from }: UpstreamFacts,
  sent: JsonObject,
): Promise<JsonObject> {
  let params = sent;
  for (let round = 0; round <= MAX_ROUNDS; round++) {
    const result = await send(exchange, session, params).catch((error) => {
      if (isMissingCapability(error)) return failedQuestion(exchange, error);
      throw error;
    });
    if (!isModern(from) || result.resultType !== "input_required") {
      return toClient(result, from, exchange.protocolVersion);
    }
    const { requestState } = result;
    const questions = questionsIn(result);
    let inputResponses: JsonObject;
    try {
      inputResponses = await answersTo(questionsFor(session, questions), exchange);
    } catch (error) {
      if (error instanceof QuestionError) return failedQuestion(exchange, error);
      throw error;
    }
    params = { ...sent, inputResponses, ...requestState !== undefined && { requestState } };
  }
  throw new McpError(ErrorCode.InternalError, "The upstream asked for input too often");
}

/**
 * Asks the client all questions at a time.
 *
 * @throws {QuestionError} If one has no answer
 */
async function answersTo(
  questions: readonly RelayedQuestion[],
  exchange: Exchange,
): Promise<JsonObject> {
  const answers = questions.map(async ([key, { method, params }]) =>
    [key, await exchange.ask(method, params)] as const
  );
  try {
    return Object.fromEntries(await Promise.all(answers));
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    throw new QuestionError(error.code, error.message, error.data, { cause: error });
  }
}

/** Tells whether an upstream of the 2026 era needs a capability that the client lacks. */
function isMissingCapability(error: unknown): error is McpError {
  return error instanceof McpError && error.code === ErrorCode.MissingClientCapability;
}

/**
 * Ends a request of a 2025 client because it wasn't able or willing to answer a question. That is a
 * failure of the tool, and the error of the question is not the error of the request.
 *
 * @throws {McpError} With -32603, if the request isn't a tool's call
 */
function failedQuestion({ method }: Exchange, { message }: McpError): JsonObject {
  if (method !== "tools/call") throw new McpError(ErrorCode.InternalError, message);
  const text =
    `A question of the tool failed: ${message}. Tell the user, or go on without this tool`;
  return { content: [{ type: "text", text }], isError: true };
}

/** Serves a 2026 client of a 2026 upstream: passes one round of questions and answers on. */
async function passRound(
  { exchange, state, passed, isSignedIn = false }: ClientRequest,
  session: ManagedSession,
  { protocolVersion: from }: UpstreamFacts,
  sent: JsonObject,
): Promise<JsonObject> {
  if (state !== undefined && state.upstream !== session.name) throw invalidState();
  const { method, params: { inputResponses } } = exchange;
  const requestState = state?.requestState;
  // Those of a first round that the policy has asked something in are not for the upstream.
  const isForUpstream = !isSignedIn && (state !== undefined || passed?.approved !== true);
  const result = await send(exchange, session, {
    ...sent,
    ...inputResponses !== undefined && isForUpstream && ASKING_METHODS.has(method) &&
      { inputResponses },
    ...requestState !== undefined && { requestState },
  });
  if (result.resultType !== "input_required" || !ASKING_METHODS.has(method)) {
    return toClient(result, from, exchange.protocolVersion);
  }
  const inputRequests = Object.fromEntries(questionsFor(session, questionsIn(result)));
  const next = { ...passed, upstream: session.name, requestState: result.requestState };
  const asked = modernResult(method, {
    resultType: "input_required",
    ...Object.keys(inputRequests).length > 0 && { inputRequests },
    requestState: await exchange.sealState(next, { once: passed !== undefined }),
  }, session.info);
  exchange.requireInput(asked);
  return asked;
}

/** Serves a 2026 client of a 2025 upstream: holds the call while the client is asked. */
async function holdWhileAsking(
  { exchange, heldCalls, retain, state }: ClientRequest,
  session: ManagedSession,
  params: JsonObject,
  named: (result: JsonObject) => JsonObject,
): Promise<JsonObject> {
  if (state !== undefined) throw invalidState();
  if (!ASKING_METHODS.has(exchange.method)) {
    return named(withoutResultType(await send(exchange, session, params)));
  }
  return await heldCalls.start(exchange, { session, params, named, release: retain() });
}

function send(
  exchange: Exchange,
  session: ManagedSession,
  params: JsonObject,
  signal: AbortSignal = exchange.signal,
): Promise<JsonObject> {
  const { method, principal, request, user, protocolVersion } = exchange;
  const isAlone = session.isAloneFor(principal);
  return session.request({
    method,
    params: withProgress(exchange, params),
    signal,
    principal,
    request,
    user,
    onKept: () => exchange.noteCached?.(),
    ...isAlone && { isClients: true },
    ...streamClosers(exchange, session),
    notify: (notification) => forwardCallNotification(exchange, notification, isAlone),
    ask: async (method, params) => {
      const { capabilities } = session.client;
      const shown = questionFor(
        method,
        params,
        capabilities,
        isAlone && !isModern(protocolVersion),
      );
      if (!isModern(protocolVersion)) return await exchange.ask(method, shown);
      throw new McpError(ErrorCode.Refused, "Ask only during tools, prompts and resources");
    },
  });
}

/**
 * Returns what closes the connections of the client's streams; nothing for a client that can't resume a
 * stream before its first event.
 */
function streamClosers(
  exchange: Exchange,
  session: ManagedSession,
): Pick<ManagedCall, "closeStream" | "closeServerStream"> {
  const canResume = exchange.session !== undefined && VERSIONS[exchange.protocolVersion].priming;
  if (!canResume) return {};
  return {
    closeStream: () => exchange.closeStream(),
    closeServerStream: () => session.closeServerStream(),
  };
}

/** A question of an upstream, with its key. */
type RelayedQuestion = readonly [string, { readonly method: string; readonly params: JsonObject }];

/**
 * Reads the questions in a result that asks for input.
 *
 * @throws {McpError} If a question is invalid, or there are too many
 */
function questionsIn({ inputRequests }: JsonObject): readonly RelayedQuestion[] {
  const entries = Object.entries(isObject(inputRequests) ? inputRequests : {});
  if (entries.length > MAX_QUESTIONS) {
    throw new McpError(ErrorCode.InternalError, "The upstream asked too many questions at a time");
  }
  return entries.map(([key, request]) => {
    const { method, params = {} } = isObject(request) ? request : {};
    if (typeof method !== "string" || !isObject(params)) {
      throw new McpError(ErrorCode.InternalError, "The upstream asked an invalid question");
    }
    return [key, { method, params }];
  });
}

/**
 * Returns questions as the client gets them.
 *
 * @throws {McpError} If the client may not be asked one of them
 */
function questionsFor(
  { client: { capabilities } }: ManagedSession,
  questions: readonly RelayedQuestion[],
): readonly RelayedQuestion[] {
  return questions.map(([key, { method, params }]) =>
    [key, { method, params: questionFor(method, params, capabilities) }] as const
  );
}

function invalidState(): McpError {
  return new McpError(ErrorCode.InvalidParams, "Invalid requestState: retry without it");
}
