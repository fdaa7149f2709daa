/**
 * What an endpoint tells its operator: one closed union. No token, session id or body is ever in an
 * event; `session` is a short hash of the id, the same for the same session.
 *
 * @module
 */

/** Why a session ended. */
export type SessionEndReason =
  | "deleted"
  | "idle"
  | "expired"
  | "evicted"
  | "ended"
  /** The node that held its live state is gone. */
  | "lost"
  | "shutdown";

/** How a request came to its end. */
export type RequestOutcome =
  | "result"
  | "input-required"
  | "error"
  | "cancelled"
  | "timeout"
  | "session-ended"
  | "shutdown"
  | "disconnected";

/** Why a connection of a stream closed. */
export type StreamCloseReason =
  /** The stream ended and everything was sent. */
  | "ended"
  /** The client went away. */
  | "disconnected"
  /** A newer connection took the stream over. */
  | "replaced"
  /** The client read too slowly. */
  | "slow"
  /** A handler closed it so that the client comes back. */
  | "released"
  /** The principal's credentials ended. */
  | "unauthorized"
  /** The request was cancelled. */
  | "cancelled"
  /** The session ended. */
  | "session-ended"
  /** The endpoint closes. */
  | "shutdown"
  /** The event log failed. */
  | "failed";

/** Why a request was refused, for the operator alone. */
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
  /** The node that holds the session could not be reached: it has not got the request. */
  | "node-unreachable"
  /** The node that holds the session did not answer: it may have got the request. */
  | "node-silent"
  | "internal";

/** Why a message from another node was ignored. */
export type MessageProblem =
  /** It is none. */
  | "malformed"
  /** It is meant for another node. */
  | "misdirected"
  /** It was sent too long ago, or comes from the future. */
  | "stale"
  /** Nobody who has a key has signed it. */
  | "foreign"
  /** It has come before. */
  | "replayed";

/** Why a gateway's session with an upstream ended. */
export type UpstreamCloseReason =
  /** What it was for ended: the client's session, or a single request of the 2026 era. */
  | "ended"
  /** The upstream was taken out of the gateway. */
  | "removed"
  /** The upstream's settings changed. */
  | "changed"
  /** The connection failed, or the upstream ended the session. */
  | "failed"
  /** It was idle, and then wasn't there any more. */
  | "probe-failed"
  /** Nobody used it for long. */
  | "idle"
  /** Others needed its place. */
  | "evicted"
  /** The gateway closes. */
  | "shutdown";

/** Something that happened at an endpoint. */
export type McpEvent =
  /** Nothing authenticates requests: everybody is one anonymous principal. */
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
    /** `undefined` for a subscription, which belongs to no session. */
    readonly session: string | undefined;
    readonly stream: "request" | "server" | "listen";
  }
  | {
    readonly type: "stream-closed";
    readonly session: string | undefined;
    readonly stream: "request" | "server" | "listen";
    readonly reason: StreamCloseReason;
  }
  /** A resumption could not replay: the cursor was malformed, foreign or too old. */
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
    /** How long it took, in milliseconds. */
    readonly ms: number;
    readonly outcome: RequestOutcome;
  }
  | {
    readonly type: "request-cancelled";
    readonly session: string | undefined;
    readonly method: string;
  }
  /** A request was turned away. */
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
  /** A reply that answers nothing that was asked in its session. */
  | { readonly type: "reply-unmatched"; readonly session: string }
  /** A gateway began a session with an upstream, after so many milliseconds. */
  | { readonly type: "upstream-opened"; readonly upstream: string; readonly ms: number }
  | {
    readonly type: "upstream-closed";
    readonly upstream: string;
    readonly reason: UpstreamCloseReason;
  }
  /** A session with an upstream didn't end in time and was left to itself. */
  | { readonly type: "upstream-abandoned"; readonly upstream: string }
  /** An upstream couldn't be reached, or failed at something. */
  | {
    readonly type: "upstream-failed";
    readonly upstream: string;
    readonly during: string;
    readonly error: unknown;
  }
  /** Entries of an upstream's list were left out: of no use, there already, or too many. */
  | {
    readonly type: "upstream-entries-dropped";
    readonly upstream: string;
    readonly list: string;
    readonly reason: "invalid" | "duplicate" | "limit";
    readonly count: number;
  }
  /** An upstream said something that is for its operator: a line of a program's standard error. */
  | { readonly type: "upstream-output"; readonly upstream: string; readonly text: string }
  /** Something came in the name of another node that this one doesn't believe. */
  | { readonly type: "message-ignored"; readonly reason: MessageProblem }
  /** A node that held sessions is gone, and they with it. */
  | { readonly type: "node-lost"; readonly node: string }
  /** Something failed that the client is told nothing about. */
  | { readonly type: "error"; readonly during: string; readonly error: unknown };
