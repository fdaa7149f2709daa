/**
 * Sends questions, which are requests to the client (2025): on the call's own stream, else on the
 * session's server-to-client stream.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError, MissingCapabilityError, NO_STREAM } from "../../protocol/errors.ts";
import type { ClientFacts } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { methodFacts } from "../../protocol/methods.ts";
import { type ProtocolVersion, VERSIONS } from "../../protocol/versions.ts";
import type { OpenQuestion } from "./questions.ts";
import type { RequestScope } from "../lifetime/scope.ts";
import type { CallSession } from "../session.ts";

/** The client that a question is for. */
interface Asked {
  readonly client: ClientFacts;
  readonly protocolVersion: ProtocolVersion;
}

/** The call that a question belongs to. */
interface AskingCall extends RequestScope, Asked {
  readonly session: CallSession | undefined;
}

/** The way in which a question is sent. */
interface Asking {
  /**
   * Checks that the question may be sent.
   *
   * @throws The reason why not
   */
  readonly check: () => void;
  /** Sends a message to the client. Returns `false` if there is no stream for it. */
  readonly send: (session: CallSession, text: string) => MaybePromise<boolean>;
  /** Aborts the question when the call or the signal ends, until the returned function is called. */
  readonly watch: (question: OpenQuestion) => () => void;
}

/**
 * Sends a request to the client and waits for its response.
 *
 * @param send Sends on the call's own stream; returns `false` if there is none
 * @throws {MissingCapabilityError} If the client lacks the capability
 * @throws {McpError} If there is no stream to send on, the client responds with an error, or doesn't
 * respond in time
 * @throws {AbortSignal["reason"]} If the call is stopped
 */
export function ask(
  call: AskingCall,
  send: (text: string) => boolean,
  method: string,
  params: JsonObject,
): Promise<JsonObject> {
  return exchangeQuestion(call.session, method, params, {
    check() {
      requireCapability(call, method);
      if (call.reason !== undefined) throw call.reason;
      if (call.over) throw noStream();
    },
    send: (session, text) => send(text) || session.sendQuestion(text),
    watch: (question) => call.onOver(() => question.abort(call.reason ?? noStream())),
  });
}

/**
 * Sends a request to the client of a session outside any call, on its server-to-client stream.
 *
 * @throws The same errors as {@linkcode ask}
 */
export function askSession(
  session: CallSession,
  asked: Asked,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  return exchangeQuestion(session, method, params, {
    check() {
      requireCapability(asked, method);
      signal.throwIfAborted();
    },
    send: (session, text) => session.sendQuestion(text),
    watch(question) {
      const abort = () => question.abort(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      return () => signal.removeEventListener("abort", abort);
    },
  });
}

async function exchangeQuestion(
  session: CallSession | undefined,
  method: string,
  params: JsonObject,
  { check, send, watch }: Asking,
): Promise<JsonObject> {
  check();
  if (session === undefined) throw noStream();
  const sendMessage = (message: JsonObject) =>
    send(session, JSON.stringify({ jsonrpc: "2.0", ...message }));
  const question = session.questions.open((requestId) => {
    const params = { requestId, reason: "No answer in time" };
    void sendMessage({ method: "notifications/cancelled", params });
  });
  const unwatch = watch(question);
  try {
    const sent = sendMessage({ id: question.id, method, params });
    if (isPromise(sent)) sent.then((done) => done || question.abort(noStream()));
    else if (!sent) question.abort(noStream());
    return await question.response;
  } finally {
    unwatch();
  }
}

function requireCapability({ client, protocolVersion }: Asked, method: string): void {
  const capability = methodFacts(method)?.clientCapability;
  if (capability === undefined) return;
  const spoken = capability !== "elicitation" || VERSIONS[protocolVersion].elicitation;
  const capabilities: JsonObject = { ...client.capabilities };
  if (!spoken || !isObject(capabilities[capability])) throw new MissingCapabilityError(capability);
}

function noStream(): McpError {
  return new McpError(
    ErrorCode.Refused,
    NO_STREAM,
  );
}
