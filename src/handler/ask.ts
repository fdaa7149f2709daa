/**
 * Asks the client something in the middle of a request (2025): on the request's own stream, else on
 * the server's.
 *
 * @module
 */
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { ASSUMED_VERSION, VERSIONS } from "../protocol/versions.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { OpenQuestion } from "../calls/questions.ts";
import type { Call } from "./call.ts";
import type { Endpoint } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";
import { sendOnServerStream } from "./server_stream.ts";

/** What the client is asked, and how. */
interface Asked {
  readonly method: string;
  readonly params: JsonObject;
  /** @throws What there is against asking */
  readonly check: () => void;
  /** Sends a text to the client; `false` when there is no way. */
  readonly say: (session: LiveSession, text: string) => MaybePromise<boolean>;
  /** Sees to it that the question ends with what it is asked for. */
  readonly watch: (question: OpenQuestion) => () => void;
}

/**
 * Sends a request to the client and waits for its reply.
 *
 * @param send Sends on the request's own stream; `false` when there is none
 * @throws {MissingCapabilityError} When the client lacks the capability
 * @throws {McpError} When there is no stream to ask on, the client answers with an error, or gives
 * no answer in time
 * @throws {AbortSignal["reason"]} When the request is stopped
 */
export function ask(
  endpoint: Endpoint,
  call: Call,
  send: (text: string) => boolean,
  method: string,
  params: JsonObject,
): Promise<JsonObject> {
  return answerTo(call.session, {
    method,
    params,
    check() {
      requireCapability(call, method);
      if (call.reason !== undefined) throw call.reason;
      if (call.over) throw noStream();
    },
    say: (session, text) => send(text) || sendOnServerStream(endpoint, session, text),
    watch: (question) => call.onOver(() => question.abort(call.reason ?? noStream())),
  });
}

/**
 * Asks the client of a session something that belongs to no request, on the server's stream.
 *
 * @returns `undefined` when the session isn't in use here
 */
export function askSession(
  endpoint: Endpoint,
  id: string,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> | undefined {
  const session = endpoint.live.get(id);
  if (session?.record === undefined) return undefined;
  const { client, protocolVersion = ASSUMED_VERSION } = session.record;
  return answerTo(session, {
    method,
    params,
    check() {
      requireCapability({ client, protocolVersion }, method);
      signal.throwIfAborted();
    },
    say: (session, text) => sendOnServerStream(endpoint, session, text),
    watch(question) {
      const abort = () => question.abort(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      return () => signal.removeEventListener("abort", abort);
    },
  });
}

async function answerTo(
  session: LiveSession | undefined,
  { method, params, check, say, watch }: Asked,
): Promise<JsonObject> {
  check();
  if (session === undefined) throw noStream();
  const tell = (message: JsonObject) =>
    say(session, JSON.stringify({ jsonrpc: "2.0", ...message }));
  const question = session.questions.open((requestId) => {
    const params = { requestId, reason: "No answer in time" };
    void tell({ method: "notifications/cancelled", params });
  });
  const forget = watch(question);
  try {
    const said = tell({ id: question.id, method, params });
    if (isPromise(said)) said.then((done) => done || question.abort(noStream()));
    else if (!said) question.abort(noStream());
    return await question.reply;
  } finally {
    forget();
  }
}

function requireCapability(
  call: Pick<Call, "client" | "protocolVersion">,
  method: string,
): void {
  const capability = methodFacts(method)?.clientCapability;
  if (capability === undefined) return;
  const spoken = capability !== "elicitation" || VERSIONS[call.protocolVersion].elicitation;
  const capabilities: JsonObject = { ...call.client.capabilities };
  if (!spoken || !isObject(capabilities[capability])) throw new MissingCapabilityError(capability);
}

function noStream(): McpError {
  return new McpError(
    ErrorCode.Refused,
    "Accept text/event-stream or open a GET stream to be asked something",
  );
}
