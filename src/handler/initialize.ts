/**
 * The handshake of the 2025 era: agrees on a version and, unless sessions are off, begins a session.
 *
 * @module
 */
import { attempt, isPromise, type MaybePromise } from "../internal/types.ts";
import { isWithinBytes } from "../internal/utf8.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import type { ClientFacts, Principal } from "../protocol/exchange.ts";
import { HeaderName } from "../protocol/headers.ts";
import { isObject, type JsonObject, type JsonRpcRequest } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { mintSessionId } from "../sessions/id.ts";
import type { SessionRecord } from "../sessions/types.ts";
import { Answer } from "./answer.ts";
import { Call } from "./call.ts";
import { drained } from "./drain.ts";
import { endedByStore } from "./end_session.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import { LiveSession } from "./live_session.ts";
import { jsonAnswer, serverBusy, sseAnswer, unavailable } from "./responses.ts";
import { armSweep } from "./sweep.ts";

/** What a client says in its handshake. */
interface Handshake {
  readonly version: ProtocolVersion;
  readonly client: ClientFacts;
}

/** Who initializes and what the client takes. */
export interface InitializeInit {
  readonly request: Request;
  readonly principal: Principal;
  readonly owner: string;
  readonly json: boolean;
  /** How many characters the body has. */
  readonly length: number;
  /** The requests for what the principal may not even know of. */
  readonly hidden: ReadonlySet<JsonRpcRequest> | undefined;
}

/** How many bytes a client may say of itself: they are kept as long as its session. */
const MOST_FACTS = 16 * 1024;

/** Answers `initialize`. A session exists only once the dispatcher has answered with a result. */
export function initialize(
  endpoint: Endpoint,
  message: JsonRpcRequest,
  init: InitializeInit,
): MaybePromise<Response> {
  const handshake = readHandshake(endpoint, message.params, init.length);
  if (typeof handshake === "string") {
    const error = errorObject(ErrorCode.InvalidParams, handshake);
    const text = errorText(message.id, error);
    return init.json ? jsonAnswer(text) : sseAnswer(text);
  }
  if (endpoint.draining && endpoint.settings.sessions) return drained(endpoint, message.id);
  if (!endpoint.requests.take()) return serverBusy(endpoint, "request-limit", message.id);
  if (!endpoint.settings.sessions) {
    return callFor(endpoint, message, init, handshake).answer.response();
  }
  const id = mintSessionId();
  return attempt(
    () => endpoint.backplane.sessions.reserve(id, init.owner),
    ({ admitted, ended }) => {
      if (ended.length > 0) endedByStore(endpoint, ended);
      if (admitted) return answerIn(endpoint, id, message, init, handshake);
      endpoint.requests.give();
      return serverBusy(endpoint, "session-limit", message.id, 30);
    },
    (error) => {
      endpoint.requests.give();
      return unavailable(endpoint, "reserving a session", error);
    },
  );
}

/** Lets the dispatcher answer, and begins the session when it does so with a result. */
function answerIn(
  endpoint: Endpoint,
  id: string,
  message: JsonRpcRequest,
  init: InitializeInit,
  handshake: Handshake,
): MaybePromise<Response> {
  // Where the answer is there at once nobody can ask for the session before it has begun.
  const session = endpoint.pins === undefined
    ? new LiveSession(endpoint, id)
    : endpoint.session(id);
  const { call, answer } = callFor(endpoint, message, init, handshake, session);
  const conclude = (response: Response): MaybePromise<Response> =>
    attempt(
      () => call.outcome === "result" && begin(endpoint, session, init, handshake),
      (begun) => {
        if (!begun) return giveUp(endpoint, session).then(() => response);
        response.headers.append(HeaderName.SessionId, id);
        return response;
      },
      async (error) => {
        await giveUp(endpoint, session);
        return unavailable(endpoint, "beginning a session", error);
      },
    );
  const answered = answer.response();
  if (!isPromise(answered)) return conclude(answered);
  endpoint.live.set(id, session);
  return answered.then(conclude);
}

function callFor(
  endpoint: Endpoint,
  message: JsonRpcRequest,
  { request, principal, owner, json, hidden }: InitializeInit,
  { version, client }: Handshake,
  session?: LiveSession,
): { readonly call: Call; readonly answer: Answer } {
  const common = { endpoint, request, principal, owner, session, version, client, json, hidden };
  // Its response carries the session id, which exists only afterwards: so it never streams.
  const answer = new Answer(common);
  const call = new Call(message, common, answer);
  call.start();
  return { call, answer };
}

/** Begins the session. `false` when its place is gone: the endpoint closed meanwhile. */
function begin(
  endpoint: Endpoint,
  session: LiveSession,
  { owner, principal }: InitializeInit,
  { version, client }: Handshake,
): MaybePromise<boolean> {
  if (endpoint.closing) return false;
  const record: SessionRecord = {
    id: session.id,
    owner,
    createdAt: endpoint.settings.clock.now(),
    protocolVersion: version,
    client,
    initialized: false,
    logLevel: undefined,
  };
  const created = endpoint.pins === undefined
    ? endpoint.backplane.sessions.create(record)
    : claimAndCreate(endpoint, endpoint.pins, session, record);
  const opened = (created: boolean) => {
    if (created) noteOpened(endpoint, session, record, principal);
    return created;
  };
  return isPromise(created) ? created.then(opened) : opened(created);
}

async function claimAndCreate(
  endpoint: Endpoint,
  pins: NonNullable<Endpoint["pins"]>,
  session: LiveSession,
  record: SessionRecord,
): Promise<boolean> {
  return await pins.claim(session) && await endpoint.backplane.sessions.create(record);
}

function noteOpened(
  endpoint: Endpoint,
  session: LiveSession,
  record: SessionRecord,
  { id: principal }: Principal,
): void {
  session.record = record;
  // Many sessions are never used: what this process needs of one is made when somebody does.
  if (session.idle) endpoint.live.delete(session.id);
  else endpoint.live.set(session.id, session);
  armSweep(endpoint);
  if (!endpoint.watched) return;
  const { protocolVersion } = record;
  const name = sessionName(session.id);
  endpoint.report({ type: "session-opened", session: name, principal, protocolVersion });
}

/** Takes back what was prepared for a session that didn't come about. */
async function giveUp(endpoint: Endpoint, session: LiveSession): Promise<void> {
  session.end("session-ended");
  endpoint.live.delete(session.id);
  if (session.claimed) endpoint.pins?.release(session.id);
  const { dispatcher } = endpoint;
  endpoint.background(
    "ending a session",
    () => dispatcher.sessionEnded?.(session.id, "ended"),
  );
  try {
    await endpoint.backplane.sessions.release(session.id);
  } catch (error) {
    endpoint.failed("releasing a session's place", error);
  }
}

/** What the client said, or what is wrong with it (2025-11-25, Lifecycle). */
function readHandshake(
  endpoint: Endpoint,
  params: JsonObject = {},
  length: number,
): Handshake | string {
  const { protocolVersion, capabilities, clientInfo } = params;
  if (typeof protocolVersion !== "string") return 'Give a text as "protocolVersion"';
  if (!isObject(capabilities)) return 'Give an object as "capabilities"';
  if (!isObject(clientInfo)) return 'Give an object as "clientInfo"';
  if (!isImplementation(clientInfo)) {
    const missing = typeof clientInfo.name === "string" ? "version" : "name";
    return `Give a text as "clientInfo.${missing}"`;
  }
  // What is in a short body need not be measured by itself.
  const long = length * 3 > MOST_FACTS &&
    !isWithinBytes(JSON.stringify({ capabilities, clientInfo }), MOST_FACTS);
  if (long) {
    return `Say less in "capabilities" and "clientInfo": at most ${MOST_FACTS} bytes`;
  }
  const { versions2025 } = endpoint.settings;
  const [latest] = versions2025;
  const agreed = versions2025.find((served) => served === protocolVersion) ?? latest;
  if (agreed === undefined) return "Speak another protocol version";
  return { version: agreed, client: { info: clientInfo, capabilities } };
}

function isImplementation(info: JsonObject): info is JsonObject & Implementation {
  return typeof info.name === "string" && typeof info.version === "string";
}
