/**
 * Reports what a node has in memory: its running calls, streams, counts and limits.
 *
 * @module
 */
import { Call } from "../../calls/call.ts";
import type { OperatorAccess } from "../../handler/operator_access.ts";
import { escapeInvisible } from "../../internal/invisible.ts";
import { clip } from "../../internal/quote.ts";
import { shortHash } from "../../internal/random.ts";
import { isPromise } from "../../internal/types.ts";
import { VERSIONS } from "../../protocol/versions.ts";
import type { LiveSession } from "../../sessions/live_session.ts";
import { ownerKey, principalOf } from "../../sessions/owner.ts";
import { SERVER_STREAM } from "../../sessions/server_streams.ts";
import { itemName, MOST_NAME, type Statistics } from "./statistics.ts";
import type {
  CallRow,
  LimitRow,
  NodeRow,
  RefusalRow,
  StreamRow,
  ToolRow,
  UpstreamRow,
} from "./types.ts";

/** The maximum number of running calls, and of streams, in a report. */
const MOST_ROWS = 1_000;
/** The maximum number of live sessions in a report. */
const MOST_LIVE = 5_000;
/** The maximum number of streams whose backlog is read at a remote log for one report. */
const MOST_BACKLOGS = 20;
/** The characters of a text from a client, or from a tool. */
const MOST_CHARS = 200;
/** The characters of a principal's id, and of an issuer. */
export const MOST_ID = 500;

/** A row without what the reader adds: the node's name, and the endpoint. */
type Local<T> = Omit<T, "key" | "endpoint" | "node">;

/** What a node knows of a session that it has in memory: hash, calls, connections. */
export type LiveEntry = readonly [session: string, calls: number, streams: number];

/** What one node reports. */
export interface NodeReport {
  /** The version of this format. */
  readonly v: 1;
  readonly node: string;
  readonly state: Exclude<NodeRow["state"], "lost">;
  readonly drainingAll: boolean;
  readonly watchedSince: number;
  readonly counts: { readonly sessions: number; readonly calls: number; readonly streams: number };
  readonly live: readonly LiveEntry[];
  readonly calls: readonly Local<CallRow>[];
  readonly streams: readonly (Local<StreamRow> & { readonly id: string })[];
  readonly refusals: readonly Local<RefusalRow>[];
  readonly tools: readonly Local<ToolRow>[];
  readonly upstreams: readonly Local<UpstreamRow>[];
  readonly limits: readonly Local<LimitRow>[];
  readonly omitted: number;
}

/** Makes a text from outside short, and shows what hides in it. */
export function shown(text: unknown, most: number = MOST_CHARS): string {
  return typeof text === "string" ? escapeInvisible(clip(text, most).replace(/\s+/g, " ")) : "";
}

/** Reports one node. */
export class NodeReporter {
  readonly #access: OperatorAccess;
  readonly #statistics: Statistics;
  readonly #node: string;
  readonly #watchedSince: number;
  readonly #serials = new WeakMap<Call, number>();
  #serial = 0;
  /** The backlogs that were read at the last report, by the key of the stream. */
  #backlogs: ReadonlyMap<string, number> = new Map();

  /** Creates a reporter of a node with a name. */
  constructor(access: OperatorAccess, statistics: Statistics, node: string) {
    this.#access = access;
    this.#statistics = statistics;
    this.#node = node;
    this.#watchedSince = access.components.settings.clock.now();
  }

  /** Returns a running call by its serial number. */
  find(id: number): Call | undefined {
    for (const { call } of this.#running()) if (this.#serials.get(call) === id) return call;
    return undefined;
  }

  /** Lists the running calls of a user. */
  callsOf(isOf: (owner: string) => boolean): Call[] {
    return [...this.#running()].map(({ call }) => call)
      .filter(({ principal }) => isOf(ownerKey(principal)));
  }

  /** Returns the report. */
  report(): NodeReport {
    const { calls, cluster, sessions, streams } = this.#access.components;
    const running = [...this.#running()];
    const connections = this.#streams();
    const live = [...sessions.live.values()];
    const omitted = excess(running.length, MOST_ROWS) + excess(connections.length, MOST_ROWS) +
      excess(live.length, MOST_LIVE);
    return {
      v: 1,
      node: this.#node,
      state: calls.closing ? "closing" : cluster.draining ? "draining" : "healthy",
      drainingAll: cluster.drainingAll,
      watchedSince: this.#watchedSince,
      counts: {
        sessions: live.length,
        calls: calls.slots.taken,
        streams: streams.slots.taken + this.#access.eras.listens,
      },
      live: live.slice(0, MOST_LIVE).map((session) => [
        shortHash(session.id),
        session.runningCalls,
        session.openStreams,
      ]),
      calls: running.slice(0, MOST_ROWS).map((each) => this.#callRow(each)),
      streams: connections.slice(0, MOST_ROWS),
      refusals: this.#refusals(),
      tools: this.#tools(),
      upstreams: this.#upstreams(),
      limits: this.#limits(),
      omitted,
    };
  }

  /** Lists the running calls with their sessions. */
  *#running(): Iterable<{ readonly call: Call; readonly session: LiveSession | undefined }> {
    const { calls, sessions } = this.#access.components;
    for (const session of sessions.live.values()) {
      if (session.runningCalls === 0) continue;
      for (const call of session.inflight.all()) if (call instanceof Call) yield { call, session };
    }
    for (const call of calls.sessionless.all()) {
      if (call instanceof Call) yield { call, session: undefined };
    }
  }

  #callRow(
    { call, session }: { readonly call: Call; readonly session: LiveSession | undefined },
  ): Local<CallRow> {
    const { method, params, principal, protocolVersion, client, begunAt, progress } = call;
    const tool = itemName(method, params);
    let id = this.#serials.get(call);
    if (id === undefined) this.#serials.set(call, id = ++this.#serial);
    const { progress: value, total, message } = progress ?? {};
    return {
      id,
      session: session === undefined ? "" : shortHash(session.id),
      principal: shown(principal.id, MOST_ID),
      issuer: shown(principal.issuer, MOST_ID),
      client: clientName(client.info),
      method: shown(method, MOST_NAME),
      tool: shown(tool),
      upstream: this.#upstreamOf(tool),
      era: VERSIONS[protocolVersion].era,
      startedAt: begunAt,
      ...typeof value === "number" && {
        progress: {
          value,
          ...typeof total === "number" && { total },
          ...typeof message === "string" && { message: shown(message, 120) },
        },
      },
    };
  }

  #streams(): (Local<StreamRow> & { readonly id: string })[] {
    const { components: { sessions, streams: { log } }, eras } = this.#access;
    const rows: (Local<StreamRow> & { readonly id: string })[] = [];
    const backlogs = new Map<string, number>();
    let reads = 0;
    for (const session of sessions.live.values()) {
      if (session.openStreams === 0) continue;
      const { id: principal, issuer } = principalOf(session.record?.owner ?? "");
      for (const [name, connection] of session.connections) {
        const { lastSent: cursor, buffered, behind } = connection;
        const id = shortHash(`${session.id} ${name}`);
        if (behind && reads < MOST_BACKLOGS) {
          reads += 1;
          const slice = log.read(session.id, name, cursor);
          const note = (last: number) => void backlogs.set(id, Math.max(0, last - cursor));
          // A remote log answers later: the next report has it.
          if (isPromise(slice)) slice.then((slice) => note(slice?.last ?? cursor), () => {});
          else note(slice?.last ?? cursor);
        }
        rows.push({
          id,
          session: shortHash(session.id),
          principal: shown(principal, MOST_ID),
          issuer: shown(issuer, MOST_ID),
          kind: name === SERVER_STREAM ? "server" : "request",
          cursor,
          backlog: behind ? backlogs.get(id) ?? this.#backlogs.get(id) ?? 1 : 0,
          buffered,
          slow: behind,
        });
      }
    }
    this.#backlogs = backlogs;
    for (const [index, { owner, sent, buffered, full }] of eras.listenFacts.entries()) {
      const { id: principal, issuer } = principalOf(owner);
      rows.push({
        id: `listen-${index}`,
        session: "",
        principal: shown(principal, MOST_ID),
        issuer: shown(issuer, MOST_ID),
        kind: "listen",
        cursor: sent,
        backlog: 0,
        buffered,
        slow: full,
      });
    }
    return rows;
  }

  #refusals(): Local<RefusalRow>[] {
    return Array.from(this.#statistics.refusals.values(), (each) => {
      const { reason, status, count, lastAt } = each;
      return { reason, status, count, lastAt, lately: this.#statistics.lately(each) };
    });
  }

  #tools(): Local<ToolRow>[] {
    return Array.from(this.#statistics.tools.values(), ({ buckets, method, tool, ...counts }) => ({
      ...counts,
      method: shown(method),
      tool: shown(tool),
      upstream: this.#upstreamOf(tool),
      buckets: [...buckets],
    }));
  }

  #upstreams(): Local<UpstreamRow>[] {
    const control = this.#access.components.calls.dispatcher.upstreamControl;
    return (control?.list() ?? []).map(({ name, kind, sessions, calls }) => {
      const record = this.#statistics.upstreams.get(name);
      const { opened = 0, failures = 0, failure = "", failedAt = 0, failing = false } = record ??
        {};
      return {
        upstream: name,
        kind,
        health: failing ? "failing" : sessions > 0 ? "up" : "idle",
        sessions,
        calls,
        opened,
        failures,
        failure: shown(failure),
        failedAt,
        output: (record?.output ?? []).map((line) => escapeInvisible(line)),
      };
    });
  }

  #limits(): Local<LimitRow>[] {
    const { components: { calls, sessions, settings, streams }, eras } = this.#access;
    const { storeSettings: { caps }, listen } = settings;
    const bytes = this.#access.components.streams.log.bytes;
    return [
      { limit: "limits.sessions", used: sessions.store.size, most: caps.sessions },
      { limit: "limits.requests", used: calls.slots.taken, most: settings.calls.most },
      { limit: "limits.streams", used: streams.slots.taken, most: settings.streams.most },
      { limit: "limits.listens", used: eras.listens, most: listen.most },
      ...bytes === undefined ? [] : [{
        limit: "limits.totalEventBytes",
        used: bytes,
        most: settings.storeSettings.eventBudget?.totalBytes ?? 0,
      }],
      ...(calls.dispatcher.upstreamControl?.limits() ?? [])
        .map(({ name, used, most }) => ({ limit: name, used, most })),
    ];
  }

  #upstreamOf(tool: string): string {
    if (tool === "") return "";
    return this.#access.components.calls.dispatcher.upstreamControl?.nameOf(tool) ?? "";
  }
}

/** Writes a client program's name and version. */
export function clientName(
  info: { readonly name: string; readonly version: string } | undefined,
): string {
  return info === undefined ? "" : `${shown(info.name, 60)} ${shown(info.version, 20)}`.trim();
}

function excess(length: number, most: number): number {
  return Math.max(0, length - most);
}
