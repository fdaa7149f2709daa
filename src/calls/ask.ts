/**
 * Asks the client something in the middle of a call (2025): on the call's own stream, else on the
 * session's server-to-client stream.
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { OpenQuestion } from "./questions.ts";
import type { RequestScope } from "./scope.ts";
import type { CallSession } from "./session.ts";

/** The client that is asked. */
interface Asked {
  readonly client: ClientFacts;
  readonly protocolVersion: ProtocolVersion;
}

/** A call that asks. */
interface AskingCall extends RequestScope, Asked {
  readonly session: CallSession | undefined;
}

/** How a question is asked. */
interface Asking {
  /** @throws The reason not to ask */
  readonly check: () => void;
  /** Sends a text to the client; `false` when there is no stream for it. */
  readonly send: (session: CallSession, text: string) => MaybePromise<boolean>;
  /** Ends the question when what asks it ends; returns how to stop that. */
  readonly watch: (question: OpenQuestion) => () => void;
}

/**
 * Sends a request to the client and waits for its reply.
 *
 * @param send Sends on the call's own stream; `false` when there is none
 * @throws {MissingCapabilityError} When the client lacks the capability
 * @throws {McpError} When there is no stream to ask on, the client answers with an error, or doesn't
 * answer in time
 * @throws {AbortSignal["reason"]} When the call is stopped
 */
export function ask(
  call: AskingCall,
  send: (text: string) => boolean,
  method: string,
  params: JsonObject,
): Promise<JsonObject> {
  return replyTo(call.session, method, params, {
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
 * Asks the client of a session something outside any call, on its server-to-client stream.
 *
 * @throws As {@linkcode ask} does
 */
export function askSession(
  session: CallSession,
  asked: Asked,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  return replyTo(session, method, params, {
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

async function replyTo(
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
    return await question.reply;
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
    "Accept text/event-stream or open a GET stream to be asked something",
  );
}
