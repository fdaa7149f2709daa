/**
 * Defines the events that an endpoint reports to `onEvent`: one closed union. An event never contains a
 * token, a session id or a body; `session` is a short hash of the id, the same for the same session.
 *
 * @module
 */

/** The reason why a session ended. */
export type SessionEndReason =
  /** Its owner sent a DELETE. */
  | "deleted"
  /** It was not used for `sessions.idleMs`. */
  | "idle"
  /** It was as old as `sessions.absoluteMs`. */
  | "expired"
  /** A new session needed its place under a limit. */
  | "evicted"
  /** The application ended it. */
  | "ended"
  /** The node that held its live state is dead. */
  | "lost"
  /** The endpoint closes. */
  | "shutdown";

/** The outcome of a request. */
export type RequestOutcome =
  | "result"
  | "input-required"
  | "error"
  | "cancelled"
  | "timeout"
  | "session-ended"
  | "shutdown"
  | "disconnected";

/** The reason why a connection of a stream closed. */
export type StreamCloseReason =
  /** The stream ended and everything was sent. */
  | "ended"
  /** The client disconnected. */
  | "disconnected"
  /** A newer connection reads the stream. */
  | "replaced"
  /** The client read too slowly. */
  | "slow"
  /** The handler called `closeStream()`: the client reconnects. */
  | "released"
  /** The principal's credentials expired. */
  | "unauthorized"
  /** The request was cancelled. */
  | "cancelled"
  /** The session ended. */
  | "session-ended"
  /** The endpoint closes. */
  | "shutdown"
  /** The event log failed. */
  | "failed";

/** The reason why a request was refused. The client may get a less specific one. */
export type RefusalReason =
  | "origin"
  | "host"
  | "rate-limit"
  | "method"
  | "content-type"
  | "accept"
  | "required-header"
  | "path"
  | "body-size"
  | "body-time"
  | "json"
  | "envelope"
  | "batch"
  | "unauthorized"
  | "forbidden"
  | "credentials-expired"
  | "authenticate-failed"
  | "authorize-failed"
  | "hidden"
  | "session-missing"
  | "session-unknown"
  | "session-foreign"
  | "session-expired"
  | "session-limit"
  | "sessions-off"
  | "version"
  | "request-limit"
  | "stream-limit"
  | "stream-taken"
  | "stream-over"
  | "draining"
  | "shutdown"
  | "store-failed"
  /** The node that holds the session could not be reached: it has not received the request. */
  | "node-unreachable"
  /** The node that holds the session did not respond: it may have received the request. */
  | "node-silent"
  | "internal";

/** The reason why a message from another node was ignored. */
export type MessageProblem =
  /** It could not be parsed. */
  | "malformed"
  /** It is addressed to another node. */
  | "misdirected"
  /** Its time differs too much from this node's clock. */
  | "stale"
  /** Its signature is invalid. */
  | "foreign"
  /** It was received before. */
  | "replayed";

/** The reason why a gateway's session with an upstream ended. */
export type UpstreamCloseReason =
  /** The client's session ended, or the single request of the 2026 era that it served. */
  | "ended"
  /** The upstream was removed from the gateway. */
  | "removed"
  /** The upstream's settings changed. */
  | "changed"
  /** The connection failed, or the upstream ended the session. */
  | "failed"
  /** It was idle, and the upstream no longer knew it. */
  | "probe-failed"
  /** It was not used for a long time. */
  | "idle"
  /** A new session needed its place under a limit. */
  | "evicted"
  /** The gateway closes. */
  | "shutdown";

/** An event at an endpoint, for `onEvent`. */
export type McpEvent =
  /** There is no `authenticate`: all requests have the same anonymous principal. */
  | { readonly type: "anonymous" }
  | {
    readonly type: "session-opened";
    readonly session: string;
    readonly principal: string | undefined;
    readonly protocolVersion: string | undefined;
  }
  | { readonly type: "session-ended"; readonly session: string; readonly reason: SessionEndReason }
  | {
    readonly type: "stream-opened" | "stream-resumed";
    /** A hash of the session id; `undefined` for a subscription, which belongs to no session. */
    readonly session: string | undefined;
    readonly stream: "request" | "server" | "listen";
  }
  | {
    readonly type: "stream-closed";
    readonly session: string | undefined;
    readonly stream: "request" | "server" | "listen";
    readonly reason: StreamCloseReason;
  }
  /** A client could not resume a stream: its `Last-Event-ID` is malformed, unknown or too old. */
  | {
    readonly type: "resume-failed";
    readonly session: string;
    readonly reason: "malformed" | "unknown" | "gap";
  }
  | {
    readonly type: "request-started";
    readonly session: string | undefined;
    readonly method: string;
  }
  | {
    readonly type: "request-finished";
    readonly session: string | undefined;
    readonly method: string;
    /** The duration, in milliseconds. */
    readonly ms: number;
    readonly outcome: RequestOutcome;
  }
  | {
    readonly type: "request-cancelled";
    readonly session: string | undefined;
    readonly method: string;
  }
  /** A request was refused. */
  | { readonly type: "refused"; readonly status: number; readonly reason: RefusalReason }
  /** A message could not be sent to the client. */
  | {
    readonly type: "message-dropped";
    readonly session: string | undefined;
    readonly method: string;
    readonly reason:
      | "no-stream"
      | "finished"
      | "no-progress-token"
      | "not-rising"
      | "session-ended";
  }
  /** A client's response matches no open question of its session. */
  | { readonly type: "reply-unmatched"; readonly session: string }
  /** A gateway opened a session with an upstream, which took `ms` milliseconds. */
  | { readonly type: "upstream-opened"; readonly upstream: string; readonly ms: number }
  | {
    readonly type: "upstream-closed";
    readonly upstream: string;
    readonly reason: UpstreamCloseReason;
  }
  /** A session with an upstream didn't end in time: the gateway no longer waits for it. */
  | { readonly type: "upstream-abandoned"; readonly upstream: string }
  /** An upstream couldn't be reached, or failed. */
  | {
    readonly type: "upstream-failed";
    readonly upstream: string;
    readonly during: string;
    readonly error: unknown;
  }
  /** Entries of an upstream's list were dropped: invalid, duplicate, or over a limit. */
  | {
    readonly type: "upstream-entries-dropped";
    readonly upstream: string;
    readonly list: string;
    readonly reason: "invalid" | "duplicate" | "limit";
    readonly count: number;
  }
  /** An upstream program wrote a line to its standard error. */
  | { readonly type: "upstream-output"; readonly upstream: string; readonly text: string }
  /** A message from another node was ignored. */
  | { readonly type: "message-ignored"; readonly reason: MessageProblem }
  /** A node is dead, and its pinned sessions are lost. */
  | { readonly type: "node-lost"; readonly node: string }
  /** An error that is not sent to the client. */
  | { readonly type: "error"; readonly during: string; readonly error: unknown };
