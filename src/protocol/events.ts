/**
 * Defines the events that an endpoint reports to `onEvent`: one closed union. An event never contains a
 * token, a session id or a body; `session` is a short hash of the id, the same for the same session.
 *
 * @module
 */

import type { Era, ProtocolVersion } from "./versions.ts";

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
  | "disconnected"
  /** An operator cancelled it. */
  | "operator-cancelled"
  /** It ran long, and was answered with a handle: `"long-call-ended"` follows. */
  | "handed-over";

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
  | "body-budget"
  | "json"
  | "envelope"
  /** An id or another text that would be kept is too long. */
  | "length"
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
  | "principal-request-limit"
  | "notification-limit"
  | "principal-notification-limit"
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
  /** No node with the key has sent it, or it was changed since. */
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
  /** It reached its absolute age. */
  | "expired"
  /** A new session needed its place under a limit. */
  | "evicted"
  /** An operator restarted the upstream. */
  | "restarted"
  /** The gateway closes. */
  | "shutdown";

/** What an operator can do, on the dashboard or with `mooring top`. */
export type OperatorActKind =
  | "cancel-call"
  | "end-session"
  | "end-principal"
  | "drain-node"
  /** Ends the draining of a node. */
  | "undrain-node"
  | "drain-cluster"
  /** Ends the draining of the cluster. */
  | "undrain-cluster"
  | "restart-upstream"
  /** Ends what a user has allowed a client; the dashboard has no such event of a handler. */
  | "end-grant"
  /** Ends what a user has allowed all clients. */
  | "end-grants"
  /** Disconnects an account of a user at an upstream. */
  | "disconnect-account"
  | "new-link";

/** The call, the session or the user that an operator's act was about. */
export interface ActSubject {
  /** The number of the request at its endpoint, as its other events have it. */
  readonly request?: number | undefined;
  /** The method. */
  readonly method?: string | undefined;
  /** The tool or prompt, if the server has it. */
  readonly tool?: string | undefined;
  /** The gateway's upstream. */
  readonly upstream?: string | undefined;
  /** A hash of the session id. */
  readonly session?: string | undefined;
  /** The principal, as the other events name it. */
  readonly principal?: string | undefined;
  /** The issuer of the principal's credentials. */
  readonly issuer?: string | undefined;
}

/** A limit of a gateway on what it starts: the name of its option. */
export type UpstreamLimit =
  | "upstreamSessions"
  | "upstreamSessionsPerPrincipal"
  | "programs"
  | "programsPerPrincipal";

/** A client program's name and version, as it says: at most 100 characters each, safe to print. */
export interface ClientProgram {
  /** The name. */
  readonly name: string;
  /** The version. */
  readonly version: string;
}

/** What every event about a request says about it. */
export interface RequestFacts {
  /** The number of the request at this endpoint in this process: the same in all of its events. */
  readonly request: number;
  /** A hash of the session id; `undefined` without a session. */
  readonly session: string | undefined;
  /** The method; `"(unknown)"` for every method that is not served. */
  readonly method: string;
  /** The called tool, if the server has it. */
  readonly tool: string | undefined;
  /** The prompt that the request is about, if the server has it. */
  readonly prompt: string | undefined;
  /** The URI of the resource as it is registered, or its template, if the server has it. */
  readonly resource: string | undefined;
  /** The gateway's upstream that the request goes to. */
  readonly upstream: string | undefined;
  /** The principal's id; or what `events.principalName` returns. */
  readonly principal: string;
  /** The issuer of the principal's credentials. */
  readonly issuer: string | undefined;
  /** The client program, if it has described itself. */
  readonly client: ClientProgram | undefined;
  /** The era of the protocol version. */
  readonly era: Era;
  /** The protocol version. */
  readonly protocolVersion: ProtocolVersion;
  /** The id of the node that runs the request. */
  readonly node: string;
}

/** The answer to the question whether a tool may run. */
export type ApprovalAnswer = "approved" | "denied" | "failed";

/** An event at an endpoint, for `onEvent`. */
export type McpEvent =
  /** There is no `authenticate`: all requests have the same anonymous principal. */
  | { readonly type: "anonymous" }
  | {
    readonly type: "session-opened";
    readonly session: string;
    /** The principal's id or hash; `undefined` for a session that the application began. */
    readonly principal: string | undefined;
    readonly issuer: string | undefined;
    readonly client: ClientProgram | undefined;
    readonly protocolVersion: string | undefined;
    readonly node: string;
  }
  /** A pinned session that began in an earlier process goes on here: its live state is made anew. */
  | {
    readonly type: "session-restored";
    readonly session: string;
    readonly client: ClientProgram | undefined;
    readonly protocolVersion: string | undefined;
    readonly node: string;
  }
  | {
    readonly type: "session-ended";
    readonly session: string;
    readonly reason: SessionEndReason;
    /** The protocol version of the session; `undefined` if this node doesn't know. */
    readonly protocolVersion: ProtocolVersion | undefined;
    /** How long the session lasted, in milliseconds; `undefined` if this node doesn't know. */
    readonly ms: number | undefined;
    readonly node: string;
  }
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
  | RequestFacts & { readonly type: "request-started" }
  | RequestFacts & {
    readonly type: "request-finished";
    /** The duration, in milliseconds with a fraction. */
    readonly ms: number;
    readonly outcome: RequestOutcome;
    /**
     * Why the request failed, as OpenTelemetry's `error.type`: `"tool_error"` for a result with
     * `isError`, the JSON-RPC code for an error, the outcome for a request that was stopped;
     * `undefined` if it didn't fail.
     */
    readonly errorType: string | undefined;
    /** The length of the POST's body in characters, which for ASCII are bytes. */
    readonly requestChars: number;
    /** The same for the JSON of the response; `undefined` if there is none. */
    readonly responseChars: number | undefined;
    /** Whether a gateway answered with a result that it had kept; `undefined` if not. */
    readonly cached: true | undefined;
  }
  /** A request has ended that had been answered with a handle before, since it ran long. */
  | RequestFacts & {
    readonly type: "long-call-ended";
    /** The duration from the beginning of the request, in milliseconds with a fraction. */
    readonly ms: number;
    readonly outcome: RequestOutcome;
    /** The same as in `"request-finished"`. */
    readonly errorType: string | undefined;
  }
  /** The client cancelled a request. `"request-finished"` follows. */
  | RequestFacts & { readonly type: "request-cancelled" }
  /** A request was refused. What is known of it by then is there; nothing of it else. */
  | Partial<RequestFacts> & {
    readonly type: "refused";
    readonly status: number;
    readonly reason: RefusalReason;
    /** The address of the sender, as `events.address` has it; `undefined` if the host doesn't tell. */
    readonly address?: string | undefined;
  }
  /** The user is asked whether a tool may run. Facts are missing where an upstream's tool asks. */
  | Partial<RequestFacts> & { readonly type: "approval-asked"; readonly tool: string }
  /** What came of the question. */
  | Partial<RequestFacts> & {
    readonly type: "approval-answered";
    readonly tool: string;
    /** `"failed"` if there is no answer: the client could not be asked, or didn't answer. */
    readonly answer: ApprovalAnswer;
  }
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
      | "session-ended"
      /** Too many notifications of upstreams wait for the same client. */
      | "too-many";
  }
  /** A client's response matches no open question of its session. */
  | { readonly type: "reply-unmatched"; readonly session: string }
  /** A gateway opened a session with an upstream, which took `ms` milliseconds. */
  | {
    readonly type: "upstream-opened";
    readonly upstream: string;
    readonly ms: number;
    /**
     * Whether it stands in for a session of an earlier process: what the upstream had in memory for that one
     * is gone.
     */
    readonly restored?: boolean;
    /** How many sessions use the same program or connection, with this one, where several may. */
    readonly sessions?: number;
  }
  /**
   * A program or connection that several sessions use asked something of a client, and nobody knows of which:
   * it got an error. Reported once for each method.
   */
  | {
    readonly type: "upstream-question-refused";
    readonly upstream: string;
    readonly method: string;
    readonly sessions: number;
  }
  | {
    readonly type: "upstream-closed";
    readonly upstream: string;
    /** How the upstream is reached. */
    readonly kind: "http" | "stdio" | "sdk" | "local" | "openapi";
    readonly reason: UpstreamCloseReason;
    /** The protocol version of the session. */
    readonly protocolVersion: ProtocolVersion;
    /** How long the session lasted, in milliseconds with a fraction. */
    readonly ms: number;
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
  /**
   * The program of an upstream ended by itself three times in a row, or more often: `upstream-output`
   * events before have what it printed. It isn't started again for `retryMs` milliseconds.
   */
  | {
    readonly type: "upstream-crashed";
    readonly upstream: string;
    readonly crashes: number;
    readonly retryMs: number;
    readonly error: unknown;
  }
  /** A list, or what an upstream can do, was sent to a client without it: it didn't answer in time. */
  | { readonly type: "upstream-slow"; readonly upstream: string; readonly during: string }
  /** A session with an upstream wasn't opened: a limit of the gateway is reached. */
  | { readonly type: "upstream-busy"; readonly upstream: string; readonly limit: UpstreamLimit }
  /**
   * A request of a 2026 client got upstream sessions of its own, which end with it: without authentication
   * nothing tells its user from others. Reported once for each view of a gateway.
   */
  | { readonly type: "upstream-unshared" }
  /**
   * Entries of an upstream's list were dropped: invalid, duplicate, over a limit, or with so many values
   * or references that reading them takes too much work.
   */
  | {
    readonly type: "upstream-entries-dropped";
    readonly upstream: string;
    readonly list: string;
    readonly reason: "invalid" | "duplicate" | "limit" | "complexity";
    readonly count: number;
  }
  /**
   * A rule of a policy matches nothing that an upstream lists: a name is misspelled, or the upstream has
   * changed. Reported once for each rule.
   */
  | {
    readonly type: "upstream-rule-unmatched";
    readonly upstream: string;
    /** The list that it is about, such as `"tools/list"`. */
    readonly list: string;
    /** The rule, such as `"deny"`. */
    readonly rule: string;
    /** The name or pattern, as the policy has it. */
    readonly pattern: string;
    /** Whether the upstream is withheld because of it: with `strict`. */
    readonly withholds: boolean;
  }
  /**
   * The definition of a tool, prompt or template is not as it was pinned, so clients don't see it.
   * Reported once for each definition.
   */
  | {
    readonly type: "upstream-definition-withheld";
    readonly upstream: string;
    /** The list that it is in, such as `"tools/list"`. */
    readonly list: string;
    /** Its name at the upstream, of at most 100 characters, safe to print. */
    readonly name: string;
    /** Whether it has changed, or was not there when definitions were pinned. */
    readonly reason: "changed" | "new";
  }
  /**
   * Clients of several upstreams don't get an extension that an upstream offers. Reported once for each
   * reason. Where the upstream is served alone, its clients get it.
   */
  | {
    readonly type: "upstream-extension-withheld";
    readonly upstream: string;
    /** Its id, of at most 100 characters, safe to print. */
    readonly extension: string;
    /** Whether another upstream offers it with other settings, or not at all. */
    readonly reason: "settings" | "missing";
  }
  /** A notification or response between a client and an upstream was dropped: too many wait already. */
  | {
    readonly type: "upstream-message-dropped";
    readonly upstream: string;
    readonly method: string;
  }
  /** An upstream program wrote a line to its standard error. */
  | { readonly type: "upstream-output"; readonly upstream: string; readonly text: string }
  /** A message from another node was ignored. */
  | { readonly type: "message-ignored"; readonly reason: MessageProblem }
  /** A node is dead, or without the store: its calls are lost, and its pinned sessions if it stays so. */
  | { readonly type: "node-lost"; readonly node: string }
  /** A request whose node was lost was answered with an error, or begun again. */
  | {
    readonly type: "request-lost";
    readonly session: string;
    readonly node: string;
    readonly outcome: "failed" | "retried";
  }
  /** An operator did something, or tried to. */
  | {
    readonly type: "operator-act";
    readonly act: OperatorActKind;
    /** The id of the operator. */
    readonly operator: string;
    /**
     * What was acted on: the short hash of a session, a principal, a node, an upstream, a call as node and
     * number of the request.
     */
    readonly target: string;
    /** The endpoint's name; empty if there is only one. */
    readonly endpoint: string;
    /** What is known of the call or the session that was ended, or of its user. */
    readonly subject: ActSubject | undefined;
    readonly outcome: "done" | "failed";
    /** How many things were ended or changed. */
    readonly count: number;
  }
  /** An error that is not sent to the client. */
  | { readonly type: "error"; readonly during: string; readonly error: unknown };
