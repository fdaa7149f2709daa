/**
 * Asks the user to sign in at an upstream, in the way of the client's version, and continues after it.
 *
 * @module
 */
import { ErrorCode, type Exchange, type JsonObject, McpError } from "../../../mod.ts";
import { isAnonymous, isModern, isObject, quote, VERSIONS } from "../../kit.ts";
import { deadline } from "../shared/deadline.ts";
import { SignInRequiredError } from "../shared/sign_in_required.ts";
import type { SignInQuestion } from "../types.ts";
import type { ManagedSession } from "./managed_session.ts";
import type { ClientRequest } from "./relay.ts";
import { ASKING_METHODS, modernResult, questionFor } from "./translate.ts";

/** The name of the question among those of a round (2026-07-28). */
export const SIGN_IN_KEY = "mooring_sign_in";

/**
 * Does something at an upstream. If the user has to sign in for it, asks for that; the request that comes
 * after the sign-in does it anew.
 *
 * @throws {McpError} With -32042 and the link, for a 2025-11-25 client that can open links
 */
export async function withSignIn(
  request: ClientRequest,
  session: ManagedSession,
  act: (request: ClientRequest) => Promise<JsonObject>,
): Promise<JsonObject> {
  const { exchange, state } = request;
  try {
    if (typeof state?.signIn !== "string") return await act(request);
    const answer = isObject(exchange.params.inputResponses)
      ? exchange.params.inputResponses[SIGN_IN_KEY]
      : undefined;
    if (isObject(answer) && answer.action !== "accept") return notSignedIn(exchange, session);
    await waitFor(request, session, state.signIn);
    // What was counted and approved before is not again; a call that was only begun is judged anew
    const passed = state.isPassed === true
      ? { ...state.approved === true && { approved: true } }
      : undefined;
    return await act({ ...request, state: passed, isSignedIn: true });
  } catch (error) {
    if (!(error instanceof SignInRequiredError)) throw error;
    return await ask(request, session, error);
  }
}

/** Waits for the browser of the user, which a client doesn't: it has said only that it opened the link. */
async function waitFor(
  { exchange, settings: { clock, askTimeoutMs } }: ClientRequest,
  { signIn }: ManagedSession,
  id: string,
): Promise<void> {
  const limit = deadline(clock, askTimeoutMs, exchange.signal);
  try {
    await signIn?.settled(id, limit.signal);
  } catch (error) {
    if (exchange.signal.aborted) throw exchange.signal.reason;
    // The user is asked again
    if (!limit.signal.aborted) throw error;
  } finally {
    limit.clear();
  }
}

async function ask(
  request: ClientRequest,
  session: ManagedSession,
  error: SignInRequiredError,
): Promise<JsonObject> {
  const { exchange } = request;
  const { principal, client, protocolVersion, method } = exchange;
  const { signIn, signIns, name: upstream } = session;
  if (signIn === undefined || !ASKING_METHODS.has(method)) throw error;
  if (isAnonymous(principal)) {
    const message = `The upstream ${quote(upstream)} answers users who are known alone: ` +
      `tell the operator to give this server "authenticate"`;
    throw new McpError(ErrorCode.InternalError, message, { upstream, reason: "sign-in" });
  }
  const asker = { upstream, principal, client, session: exchange.session?.id };
  const question = await signIns.ask(signIn, error.need, asker);
  const canOpen = isObject(client.capabilities.elicitation?.url);
  if (!canOpen) return inWords(exchange, question);
  if (isModern(protocolVersion)) return await inRound(request, session, question);
  if (VERSIONS[protocolVersion].elicitationModes !== true) return inWords(exchange, question);
  const { id: elicitationId, url, message } = question;
  throw new McpError(ErrorCode.UrlElicitationRequired, message, {
    elicitations: [{ mode: "url", elicitationId, url, message }],
  });
}

/** Asks in a round of questions: the client's next request has the answer (2026-07-28). */
async function inRound(
  { exchange, passed }: ClientRequest,
  session: ManagedSession,
  { id, url, message }: SignInQuestion,
): Promise<JsonObject> {
  const method = "elicitation/create";
  const params = questionFor(method, { mode: "url", url, message }, exchange.client.capabilities);
  const state = { ...passed, ...passed !== undefined && { isPassed: true }, signIn: id };
  const result = modernResult(exchange.method, {
    resultType: "input_required",
    inputRequests: { [SIGN_IN_KEY]: { method, params } },
    requestState: await exchange.sealState(state, { once: true }),
  }, session.info);
  exchange.requireInput(result);
  return result;
}

/** Asks by the words of a result, which the model passes on: the client can open no link itself. */
function inWords({ method }: Exchange, { url, message }: SignInQuestion): JsonObject {
  const text = `${message}. The user has to open this link in a browser: ${url}\n` +
    "Show it to the user as it is, and call again after that";
  if (method !== "tools/call") throw new McpError(ErrorCode.InternalError, text);
  return { content: [{ type: "text", text }], isError: true };
}

function notSignedIn({ method }: Exchange, { name }: ManagedSession): JsonObject {
  const text = `The user did not sign in at ${quote(name)}. Tell the user, or go on without it`;
  if (method !== "tools/call") throw new McpError(ErrorCode.InternalError, text);
  return { content: [{ type: "text", text }], isError: true };
}
