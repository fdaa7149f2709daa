/**
 * Defines what an operator sees of an endpoint, and can do.
 *
 * Every row of a snapshot has a `key` that stays the same while the thing exists. Sessions and streams are
 * named by a short hash, calls by a serial number: a snapshot has no session id, token or body.
 *
 * @module
 */
import type { OperatorActKind } from "../../../mod.ts";

/** The last minute of a node: the current second, and the 59 before it. */
export interface LastMinuteCounts {
  /** The calls of tools, prompts and resources that ended. */
  readonly count: number;
  /** Those that ended in an error, a failed tool, or not at all. */
  readonly errors: number;
  /** The number of calls by duration: see {@linkcode BOUNDS_MS}. */
  readonly buckets: readonly number[];
  /** The other requests that ended, such as `initialize`. */
  readonly requests: number;
}

/** A node of the cluster, as one endpoint has it. */
export interface NodeRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The node's name. */
  readonly node: string;
  /** `lost`: it answered before, and no longer does. */
  readonly state: "healthy" | "draining" | "closing" | "lost";
  /** Whether the snapshot comes from this node. */
  readonly self: boolean;
  /** Whether every node of the cluster refuses new sessions. */
  readonly drainingAll: boolean;
  /** The sessions that it has in memory. */
  readonly sessions: number;
  /** The running calls. */
  readonly calls: number;
  /** The open connections of streams. */
  readonly streams: number;
  /** The last minute, as the node has counted it. */
  readonly minute: LastMinuteCounts;
  /** When its operator began to watch, in milliseconds since the epoch. */
  readonly watchedSince: number;
  /** When a lost node answered last, in milliseconds since the epoch; 0 for the others. */
  readonly seenAt: number;
}

/** A session of the 2025 era. */
export interface SessionRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The short hash of its id. */
  readonly session: string;
  /** The id of its owner; empty until it has one. */
  readonly principal: string;
  /** The issuer of the owner's credentials; empty if there is none. */
  readonly issuer: string;
  /** The OAuth client that acts for the owner; empty if there is none. */
  readonly clientId: string;
  /** The client program's name and version. */
  readonly client: string;
  /** The protocol version; empty for a session without a handshake. */
  readonly version: string;
  /** When it began, in milliseconds since the epoch. */
  readonly beganAt: number;
  /** When it was last used, in milliseconds since the epoch; 0 while it is in use. */
  readonly usedAt: number;
  /** The nodes that have it in memory. */
  readonly nodes: readonly string[];
  /** The number of running calls. */
  readonly calls: number;
  /** The number of open connections of streams. */
  readonly streams: number;
}

/** A running call. */
export interface CallRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** Its serial number at the node. */
  readonly id: number;
  /** The short hash of its session; empty in the 2026 era. */
  readonly session: string;
  /** The id of the principal. */
  readonly principal: string;
  /** The issuer of the principal's credentials; empty if there is none. */
  readonly issuer: string;
  /** The client program's name and version. */
  readonly client: string;
  /** The method. */
  readonly method: string;
  /** The name of the tool or prompt; empty for other methods. */
  readonly tool: string;
  /** The upstream that answers it, if that is known. */
  readonly upstream: string;
  /** The protocol era. */
  readonly era: string;
  /** When it started, in milliseconds since the epoch; 0 if that was before the operator watched. */
  readonly startedAt: number;
  /** The latest progress that was reported. */
  readonly progress?: {
    /** The value. */
    readonly value: number;
    /** The total, if it is known. */
    readonly total?: number;
    /** What happened, as a sentence. */
    readonly message?: string;
  };
}

/** An open connection of a stream. */
export interface StreamRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** The short hash of its session; empty for a subscription of the 2026 era. */
  readonly session: string;
  /** The id of the principal. */
  readonly principal: string;
  /** The issuer of the principal's credentials; empty if there is none. */
  readonly issuer: string;
  /** The kind. */
  readonly kind: "request" | "server" | "listen";
  /** The number of the last event sent. */
  readonly cursor: number;
  /** Events that wait in the log. */
  readonly backlog: number;
  /** Bytes that the client has not read yet. */
  readonly buffered: number;
  /** Whether the client reads too slowly: its buffer is full. */
  readonly slow: boolean;
}

/** Refused requests with the same true reason. */
export interface RefusalRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** The true reason. */
  readonly reason: string;
  /** The HTTP status that clients get. */
  readonly status: number;
  /** The number since the operator began to watch. */
  readonly count: number;
  /** The number in the last minute: the current second, and the 59 before it. */
  readonly lately: number;
  /** When it was refused last, in milliseconds since the epoch. */
  readonly lastAt: number;
}

/** The calls of a tool, prompt or other method since the operator began to watch. */
export interface ToolRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** The method. */
  readonly method: string;
  /** The name of the tool or prompt; empty for other methods. */
  readonly tool: string;
  /** The upstream's name; empty if there is none, or it isn't known. */
  readonly upstream: string;
  /** The number of calls. */
  readonly count: number;
  /** Those that ended in an error, a failed tool, or not at all. */
  readonly errors: number;
  /** The number of calls by duration: see {@linkcode BOUNDS_MS}. */
  readonly buckets: readonly number[];
  /** The sum of the durations, in milliseconds. */
  readonly ms: number;
}

/** A server that a gateway uses. */
export interface UpstreamRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** The upstream's name; empty if there is none, or it isn't known. */
  readonly upstream: string;
  /** How it is reached. */
  readonly kind: string;
  /** `up` with an open session, `failing` if the last attempt failed, else `idle`. */
  readonly health: "up" | "idle" | "failing";
  /** The number of sessions. */
  readonly sessions: number;
  /** The number of programs or connections that these use: fewer, if several use one. */
  readonly programs: number;
  /** The number of running calls. */
  readonly calls: number;
  /** Sessions opened since the operator began to watch. */
  readonly opened: number;
  /** The number of failures since the operator began to watch. */
  readonly failures: number;
  /** What failed last. */
  readonly failure: string;
  /** When it failed last, in milliseconds since the epoch; 0 if it has not. */
  readonly failedAt: number;
  /** The last lines that it wrote to its standard error. */
  readonly output: readonly string[];
}

/** A limit of an endpoint, and how full it is. */
export interface LimitRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** The name of the option. */
  readonly limit: string;
  /** How much is in use. */
  readonly used: number;
  /** The limit. */
  readonly most: number;
}

/** 15 seconds of the last hour of a node. Where nothing happened there is no row. */
export interface HistoryRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
  /** When they began, in milliseconds since the epoch. */
  readonly at: number;
  /** The calls of tools, prompts and resources that ended. */
  readonly count: number;
  /** Those that ended in an error, a failed tool, or not at all. */
  readonly errors: number;
  /** The other requests that ended, such as `initialize`. */
  readonly requests: number;
  /** The number of calls by duration, without the empty buckets at the end: see {@linkcode BOUNDS_MS}. */
  readonly buckets: readonly number[];
  /** The sessions in memory. */
  readonly sessions: number;
  /** The running calls. */
  readonly calls: number;
  /** The open connections of streams. */
  readonly streams: number;
}

/** What to look for in the last calls and refusals. Every member that is given must be the same. */
export interface RecentQuery {
  /** The endpoint's name; all endpoints when left out. */
  readonly endpoint?: string;
  /** The id of the principal. */
  readonly principal?: string;
  /** The issuer of the principal's credentials. */
  readonly issuer?: string;
  /** The short hash of the session. */
  readonly session?: string;
  /** The name of the tool, prompt or resource. */
  readonly tool?: string;
  /** The method. */
  readonly method?: string;
  /** The upstream. */
  readonly upstream?: string;
  /** The true reason of refusals; no calls then. */
  readonly reason?: string;
  /** The number of the request; no refusals then. */
  readonly request?: number;
}

/** A call that is over, as its node keeps it: the last 1,000 at least. */
export interface RecentCall {
  /** When it ended, in milliseconds since the epoch. */
  readonly at: number;
  /** The number of the request at its endpoint, as events and the audit trail have it. */
  readonly request: number;
  /** The method. */
  readonly method: string;
  /** The name of the tool, prompt or resource, if the server has it. */
  readonly tool: string;
  /** The upstream that it went to. */
  readonly upstream: string;
  /** The id of the principal. */
  readonly principal: string;
  /** The issuer of the principal's credentials; empty if there is none. */
  readonly issuer: string;
  /** The client program's name and version. */
  readonly client: string;
  /** The short hash of its session; empty in the 2026 era. */
  readonly session: string;
  /** How it ended; `tool-error` for a tool that failed. */
  readonly outcome: string;
  /** Why it failed, without secrets and arguments; what a failed tool says only with `recordResults`. */
  readonly error: string;
  /** The id of the trace; empty if there is none. */
  readonly traceId: string;
  /** The duration, in milliseconds; missing if it began before the operator watched. */
  readonly ms?: number;
  /** The arguments as JSON, at most 2,000 characters; only with `recordArguments`. */
  readonly arguments?: string;
  /** The result as JSON, at most 2,000 characters; only with `recordResults`. */
  readonly result?: string;
}

/** A refused request, as its node keeps it: the last 500 at least. */
export interface RecentRefusal {
  /** When it was refused, in milliseconds since the epoch. */
  readonly at: number;
  /** The true reason. */
  readonly reason: string;
  /** The HTTP status. */
  readonly status: number;
  /** The sender's address, as `events.address` has it. */
  readonly address: string;
  /** The principal, as events name it; empty if nobody is known. */
  readonly principal: string;
  /** The issuer of the principal's credentials; empty if there is none. */
  readonly issuer: string;
  /** The method; empty if it wasn't read. */
  readonly method: string;
  /** The tool or prompt; empty if there is none. */
  readonly tool: string;
  /** The short hash of the session; empty if there is none. */
  readonly session: string;
}

/** What a node adds to a row that it keeps. */
export interface RowPlace {
  /** The endpoint's name; empty if there is only one. */
  readonly endpoint: string;
  /** The name of the node. */
  readonly node: string;
}

/** A minute of a tool at one node. */
export interface MinuteRow {
  /** When it began, in milliseconds since the epoch. */
  readonly at: number;
  /** The number of calls. */
  readonly count: number;
  /** Those that ended in an error, a failed tool, or not at all. */
  readonly errors: number;
  /** The number of calls by duration: see {@linkcode BOUNDS_MS}. */
  readonly buckets: readonly number[];
}

/** What nodes keep of the last calls: the latest first, 50 rows of each node at most. */
export interface RecentRows {
  /** The calls. */
  readonly calls: readonly (RecentCall & RowPlace)[];
  /** The refusals. */
  readonly refusals: readonly (RecentRefusal & RowPlace)[];
  /** The last hour of the tool that was asked for. */
  readonly minutes: readonly (MinuteRow & RowPlace)[];
  /** The nodes that didn't answer. */
  readonly missing: readonly string[];
}

/** A grant, as `grants` of `signIn()` lists it. */
export interface ListedGrant {
  /** The id. It is no secret. */
  readonly id: string;
  /** The user. */
  readonly user: { readonly id: string; readonly issuer: string; readonly name: string };
  /** The client. */
  readonly client: {
    readonly id: string;
    readonly kind: GrantRow["clientKind"];
    readonly name: string;
  };
  /** The scopes. */
  readonly scopes: readonly string[];
  /** The URL that it is for. */
  readonly resource: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since: number;
  /** When its last token was issued, in milliseconds since the epoch. */
  readonly lastUsed: number;
}

/** Where grants come from: `grants` of what `signIn()` returned. */
export interface GrantSource {
  /** Lists a page of grants. */
  list(options?: { readonly cursor?: string | undefined }): Promise<
    { readonly grants: readonly ListedGrant[]; readonly cursor?: string }
  >;
  /** Ends a grant. Returns whether there was one. */
  end(id: string): Promise<boolean>;
  /** Ends all grants of a user. Returns their number. */
  endUser(user: { readonly id: string; readonly issuer?: string }): Promise<number>;
}

/** What a user has allowed a client by signing in; only of a dashboard with the option `grants`. */
export interface GrantRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** Empty: a grant is for a URL. */
  readonly endpoint: string;
  /** The id of the grant. */
  readonly grant: string;
  /** The id of the user. */
  readonly principal: string;
  /** The issuer of the user's id. */
  readonly issuer: string;
  /** The name that the user is shown by. */
  readonly name: string;
  /** The client's name: its own word, unless the kind is `configured`. */
  readonly client: string;
  /** The `client_id`. */
  readonly clientId: string;
  /** Where the description of the client comes from. */
  readonly clientKind: "document" | "registered" | "configured";
  /** The scopes, separated by spaces. */
  readonly scopes: string;
  /** The URL that it is for. */
  readonly resource: string;
  /** When it began, in milliseconds since the epoch. */
  readonly since: number;
  /** When its last token was issued, in milliseconds since the epoch. */
  readonly usedAt: number;
}

/** An account of a user at an upstream, as `accounts()` lists it. */
export interface ListedAccount {
  /** The id. It is no secret. */
  readonly id: string;
  /** The user. */
  readonly user: { readonly id: string; readonly issuer?: string | undefined };
  /** The name of the upstream. */
  readonly upstream: string;
  /** The issuer of its tokens. */
  readonly issuer: string;
  /** The scopes. */
  readonly scopes: readonly string[];
  /** When the user connected it, in milliseconds since the epoch. */
  readonly since: number;
  /** When its tokens were last renewed, in milliseconds since the epoch. */
  readonly renewed: number;
  /** Whether the user has to sign in again before it can be used. */
  readonly isEnded: boolean;
}

/** Where accounts come from: what `accounts()` of `@mooring/mcp/accounts` returned. */
export interface AccountSource {
  /** Lists a page of accounts. */
  list(options?: { readonly cursor?: string | undefined }): Promise<
    { readonly accounts: readonly ListedAccount[]; readonly cursor?: string }
  >;
  /** Disconnects an account. Returns whether there was one. */
  disconnect(id: string): Promise<boolean>;
}

/** An account that a user has connected; only of a dashboard with the option `accounts`. */
export interface AccountRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** Empty: an account is of an upstream, at whatever endpoint. */
  readonly endpoint: string;
  /** The id of the account. */
  readonly account: string;
  /** The id of the user. */
  readonly principal: string;
  /** The issuer of the user's id; empty if there is none. */
  readonly issuer: string;
  /** The name of the upstream. */
  readonly upstream: string;
  /** The issuer of its tokens. */
  readonly server: string;
  /** The scopes, separated by spaces. */
  readonly scopes: string;
  /** When the user connected it, in milliseconds since the epoch. */
  readonly since: number;
  /** When its tokens were last renewed, in milliseconds since the epoch. */
  readonly renewedAt: number;
  /** Whether the user has to sign in again before it can be used. */
  readonly ended: boolean;
}

/** What an operator did. */
export interface ActRow {
  /** Stays the same while the thing exists. */
  readonly key: string;
  /** When it was done, in milliseconds since the epoch. */
  readonly at: number;
  /** The id of the operator. */
  readonly operator: string;
  /** What was asked for. */
  readonly act: OperatorActKind;
  /** What it was done to. */
  readonly target: string;
  /** Whether it was done. */
  readonly outcome: "done" | "failed";
  /** How many things were ended or changed. */
  readonly count: number;
  /** What happened, as a sentence. */
  readonly message: string;
}

/** The tables of a snapshot. */
export interface Tables {
  /** The nodes. */
  readonly nodes: readonly NodeRow[];
  /** The sessions. */
  readonly sessions: readonly SessionRow[];
  /** The running calls. */
  readonly calls: readonly CallRow[];
  /** The open streams. */
  readonly streams: readonly StreamRow[];
  /** The refusals. */
  readonly refusals: readonly RefusalRow[];
  /** The tools. */
  readonly tools: readonly ToolRow[];
  /** The upstreams. */
  readonly upstreams: readonly UpstreamRow[];
  /** The limits. */
  readonly limits: readonly LimitRow[];
  /** The last hour of each node. */
  readonly history: readonly HistoryRow[];
  /** What users have allowed clients. */
  readonly grants: readonly GrantRow[];
  /** The accounts of users at upstreams. */
  readonly accounts: readonly AccountRow[];
  /** What operators did lately. */
  readonly acts: readonly ActRow[];
}

/** The state of every node at one time. */
export interface OperatorSnapshot extends Tables {
  /** When it was taken, in milliseconds since the epoch. */
  readonly at: number;
  /** The number of things that didn't fit in the tables. */
  readonly omitted: number;
}

/** What an operator can do. Empty or missing `endpoint` means the only endpoint, or all of them. */
export type OperatorRequest =
  /** Cancels a running call: its client gets an error. */
  | {
    readonly act: "cancel-call";
    readonly endpoint?: string;
    readonly node: string;
    readonly id: number;
  }
  /** Ends a session, named by its short hash. */
  | { readonly act: "end-session"; readonly endpoint?: string; readonly session: string }
  /** Ends every session of a user, whatever its client, and cancels its calls. */
  | {
    readonly act: "end-principal";
    readonly endpoint?: string;
    readonly principal: string;
    readonly issuer?: string;
  }
  /** Makes one node refuse new sessions, or accept them again. */
  | {
    readonly act: "drain-node";
    readonly endpoint?: string;
    readonly node: string;
    readonly on: boolean;
  }
  /** Makes every node refuse new sessions, or accept them again. */
  | { readonly act: "drain-cluster"; readonly endpoint?: string; readonly on: boolean }
  /** Ends every session with an upstream, at every node; the next call opens a new one. */
  | { readonly act: "restart-upstream"; readonly endpoint?: string; readonly upstream: string }
  /** Ends a grant, with the sessions, calls and subscriptions of its user and client. */
  | { readonly act: "end-grant"; readonly endpoint?: string; readonly grant: string }
  /** Ends all grants of a user, with the user's sessions, calls and subscriptions. */
  | {
    readonly act: "end-grants";
    readonly endpoint?: string;
    readonly principal: string;
    readonly issuer?: string;
  }
  /** Disconnects an account of a user at an upstream: its tokens are revoked, and the next call asks. */
  | { readonly act: "disconnect-account"; readonly endpoint?: string; readonly account: string };

/** The result of an {@linkcode OperatorRequest}. */
export interface OperatorResult {
  /** Whether it was done, at every node concerned. */
  readonly ok: boolean;
  /** How many things were ended or changed. */
  readonly count: number;
  /** What happened, as a sentence. */
  readonly message: string;
}
