/**
 * Answers `initialize` in the 2025 era: negotiates a version and, unless sessions are off, begins a
 * session (2025-11-25, Lifecycle).
 *
 * @module
 */
import { Answer } from "../calls/answer.ts";
import { Call } from "../calls/call.ts";
import type { Inbound } from "../http/inbound.ts";
import { serverBusy, shuttingDown, storeUnavailable } from "../http/refusals.ts";
import { jsonReply, type Refusal, refusal, type Reply } from "../http/reply.ts";
import { attempt, isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import type { ClientFacts } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import { isObject, type JsonObject, type JsonRpcRequest } from "../protocol/jsonrpc.ts";
import { clientTooLong } from "../protocol/lengths.ts";
import type { Implementation } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { LiveSession } from "../sessions/live_session.ts";
import type { SessionRecord } from "../sessions/types.ts";
import { sseReplyOf } from "../streams/sse.ts";
import type { Era2025Components } from "./components.ts";

/** The parameters of a handshake. */
interface Handshake {
  readonly version: ProtocolVersion;
  readonly client: ClientFacts;
}

/** Answers `initialize`. The session begins after the dispatcher has returned a result. */
export function initialize(
  components: Era2025Components,
  inbound: Inbound,
  message: JsonRpcRequest,
): MaybePromise<Reply> {
  const { calls, cluster, sessionful } = components;
  const handshake = readHandshake(message.params, inbound.bodyLength, components.versions);
  if (typeof handshake === "string") {
    const text = errorText(message.id, errorObject(ErrorCode.InvalidParams, handshake));
    return inbound.accepts.json ? jsonReply(text) : sseReplyOf(text);
  }
  inbound.version = handshake.version;
  inbound.client = handshake.client;
  if (cluster.draining && sessionful) return draining(inbound);
  const refused = calls.admit(inbound.share, message.id);
  if (isPromise(refused)) {
    return refused.then((refused) => refused ?? initializeInSlot(components, inbound, message));
  }
  return refused ?? initializeInSlot(components, inbound, message);
}

function initializeInSlot(
  components: Era2025Components,
  inbound: Inbound,
  message: JsonRpcRequest,
): MaybePromise<Reply> {
  const { calls, sessions, sessionful } = components;
  if (!sessionful) return call(components, inbound, message).answer.reply();
  const id = sessions.mintId();
  return attempt(
    () => sessions.reserve(id, inbound.owner),
    (admitted) => {
      if (admitted) return initializeIn(components, inbound, message, id);
      calls.slots.give(inbound.share);
      return serverBusy("session-limit", message.id, 30);
    },
    (error) => {
      calls.slots.give(inbound.share);
      return storeUnavailable("reserving a session", error);
    },
  );
}

/** Dispatches `initialize`, and begins the session if the dispatcher returns a result. */
function initializeIn(
  components: Era2025Components,
  inbound: Inbound,
  message: JsonRpcRequest,
  id: string,
): MaybePromise<Reply> {
  const { sessions, cluster } = components;
  // With a synchronous result the session need not be in `live` before it has begun.
  const session = cluster.pinned === undefined ? sessions.makeLive(id) : sessions.ensureLive(id);
  const { call: handshake, answer } = call(components, inbound, message, session);
  const conclude = (reply: Reply): MaybePromise<Reply> =>
    attempt(
      () => handshake.outcome === "result" && begin(components, inbound, session),
      (begun) => {
        if (begun) return { ...reply, headers: { ...reply.headers, [HeaderName.SessionId]: id } };
        return giveUp(components, session).then(() => {
          if (handshake.outcome !== "result") return reply;
          // A result without the id of a session would say that there are no sessions here.
          if (sessions.closing) return shuttingDown(message.id);
          const gone = new Error("The place that was reserved is gone");
          return storeUnavailable("beginning a session", gone, message.id);
        });
      },
      async (error) => {
        await giveUp(components, session);
        return storeUnavailable("beginning a session", error);
      },
    );
  const reply = answer.reply();
  if (!isPromise(reply)) return conclude(reply);
  sessions.live.set(id, session);
  return reply.then(conclude);
}

/** Starts the call in the slot that has been taken. */
function call(
  { calls }: Era2025Components,
  inbound: Inbound,
  message: JsonRpcRequest,
  session?: LiveSession,
): { readonly call: Call; readonly answer: Answer } {
  // Never a stream: the session id in the reply's headers exists only after the result.
  const answer = new Answer(calls, inbound);
  const call = new Call(calls, inbound, session, message, answer);
  call.start();
  return { call, answer };
}

/** Begins the session. Returns `false` if the endpoint has closed meanwhile. */
function begin(
  { sessions, cluster, calls }: Era2025Components,
  { owner, version, client, principal }: Inbound,
  session: LiveSession,
): MaybePromise<boolean> {
  if (sessions.closing) return false;
  const record: SessionRecord = {
    id: session.id,
    owner,
    createdAt: calls.clock.now(),
    protocolVersion: version,
    client,
    initialized: false,
    logLevel: undefined,
  };
  const { pinned } = cluster;
  if (pinned === undefined) return sessions.begin(session, record, principal);
  return pinned.claim(session).then((claimed) =>
    claimed && sessions.begin(session, record, principal)
  );
}

/** Cleans up after a session that didn't begin. */
async function giveUp(
  { sessions, cluster, reporter, calls: { dispatcher } }: Era2025Components,
  session: LiveSession,
): Promise<void> {
  session.end("session-ended");
  sessions.live.delete(session.id);
  if (session.claimed) cluster.pinned?.release(session.id);
  reporter.background("ending a session", () => dispatcher.sessionEnded?.(session.id, "ended"));
  try {
    await sessions.store.release(session.id);
  } catch (error) {
    reporter.failed("releasing a session's place", error);
  }
}

/** Reads the parameters of a handshake, or returns a message that says how to correct them. */
function readHandshake(
  params: JsonObject = {},
  bodyLength: number,
  versions: readonly ProtocolVersion[],
): Handshake | string {
  const { protocolVersion, capabilities, clientInfo } = params;
  if (typeof protocolVersion !== "string") return 'Give a string as "protocolVersion"';
  if (!isObject(capabilities)) return 'Give an object as "capabilities"';
  if (!isObject(clientInfo)) return 'Give an object as "clientInfo"';
  if (!isImplementation(clientInfo)) {
    const missing = typeof clientInfo.name === "string" ? "version" : "name";
    return `Give a string as "clientInfo.${missing}"`;
  }
  const client = { info: clientInfo, capabilities };
  const tooLong = clientTooLong(client, bodyLength);
  if (tooLong !== undefined) return tooLong;
  const [latest] = versions;
  const version = versions.find((served) => served === protocolVersion) ?? latest;
  if (version === undefined) return "Use another protocol version";
  return { version, client };
}

function isImplementation(info: JsonObject): info is JsonObject & Implementation {
  return typeof info.name === "string" && typeof info.version === "string";
}

/** Refuses a new session while the endpoint drains. */
function draining({ requestId }: Inbound): Refusal {
  return refusal({
    status: 503,
    code: ErrorCode.Refused,
    message: "The server takes no new sessions: try again later",
    reason: "draining",
    id: requestId,
    headers: { "retry-after": "30" },
  });
}
