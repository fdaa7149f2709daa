/**
 * Reports what a node has in memory: its running calls, streams, counts and limits.
 *
 * @module
 */
import type { Principal } from "../../../mod.ts";
import {
  escapeInvisible,
  isPromise,
  type OperatorView,
  type RunningCall,
  VERSIONS,
} from "../../kit.ts";
import type { Gauges } from "./rolling.ts";
import { itemName, MOST_NAME, type Statistics } from "./statistics.ts";
import { clientName, MOST_ID, shown } from "./texts.ts";
import type {
  CallRow,
  HistoryRow,
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
/** A row without what the reader adds: the node's name, and the endpoint. */
type Local<T> = Omit<T, "key" | "endpoint" | "node">;

/** What a node knows of a session that it has in memory: hash, calls, connections. */
export type LiveEntry = readonly [session: string, calls: number, streams: number];

/** What one node reports. */
export interface NodeReport {
  /** The version of this format. */
  readonly v: 2;
  readonly node: string;
  readonly state: Exclude<NodeRow["state"], "lost">;
  readonly drainingAll: boolean;
  readonly watchedSince: number;
  readonly counts: Gauges;
  readonly minute: NodeRow["minute"];
  readonly history: readonly Local<HistoryRow>[];
  readonly live: readonly LiveEntry[];
  readonly calls: readonly Local<CallRow>[];
  readonly streams: readonly (Local<StreamRow> & { readonly id: string })[];
  readonly refusals: readonly Local<RefusalRow>[];
  readonly tools: readonly Local<ToolRow>[];
  readonly upstreams: readonly Local<UpstreamRow>[];
  readonly limits: readonly Local<LimitRow>[];
  readonly omitted: number;
}

/** Reports one node. */
export class NodeReporter {
  readonly #view: OperatorView;
  readonly #statistics: Statistics;
  readonly #node: string;
  readonly #watchedSince: number;
  /** The backlogs that were read at the last report, by the key of the stream. */
  #backlogs: ReadonlyMap<string, number> = new Map();

  /** Creates a reporter of a node with a name. */
  constructor(view: OperatorView, statistics: Statistics, node: string) {
    this.#view = view;
    this.#statistics = statistics;
    this.#node = node;
    this.#watchedSince = view.clock.now();
  }

  /** Returns a running call by its serial number. */
  find(id: number): RunningCall | undefined {
    return this.#view.runningCalls().find((call) => call.id === id);
  }

  /** Lists the running calls of a user. */
  callsOf(isOf: (principal: Principal) => boolean): RunningCall[] {
    return this.#view.runningCalls().filter(({ principal }) => isOf(principal));
  }

  /** Ends the subscriptions of a user. Returns their number. */
  endListens(isOf: (principal: Principal) => boolean): number {
    const open = this.#view.openStreams()
      .filter(({ close, principal }) => close !== undefined && isOf(principal));
    for (const { close } of open) close?.();
    return open.length;
  }

  /** Returns the report. */
  report(): NodeReport {
    const running = this.#view.runningCalls();
    const open = this.#streams();
    const live = this.#view.liveSessions();
    const omitted = excess(running.length, MOST_ROWS) + excess(open.length, MOST_ROWS) +
      excess(live.length, MOST_LIVE);
    return {
      v: 2,
      node: this.#node,
      ...this.#view.status(),
      watchedSince: this.#watchedSince,
      minute: this.#statistics.minute(),
      history: this.#history(),
      live: live.slice(0, MOST_LIVE)
        .map(({ session, calls, streams }) => [session, calls, streams]),
      calls: running.slice(0, MOST_ROWS).map((call) => this.#callRow(call)),
      streams: open.slice(0, MOST_ROWS),
      refusals: this.#refusals(),
      tools: this.#tools(),
      upstreams: this.#upstreams(),
      limits: this.#view.limits(),
      omitted,
    };
  }

  #callRow(call: RunningCall): Local<CallRow> {
    const { id, session, method, params, principal, client, progress } = call;
    const tool = itemName(method, params);
    const { progress: value, total, message } = progress ?? {};
    return {
      id,
      session,
      principal: shown(principal.id, MOST_ID),
      issuer: shown(principal.issuer, MOST_ID),
      client: clientName(client.info),
      method: shown(method, MOST_NAME),
      tool: shown(tool),
      upstream: this.#upstreamOf(tool),
      era: VERSIONS[call.protocolVersion].era,
      startedAt: call.begunAt,
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
    const backlogs = new Map<string, number>();
    let reads = 0;
    const rows = this.#view.openStreams().map((stream) => {
      const { principal, slow, last: readLast, close: _, ...row } = stream;
      const { id, cursor } = row;
      const behind = slow && readLast !== undefined;
      if (behind && reads < MOST_BACKLOGS) {
        reads += 1;
        const last = readLast();
        const note = (last: number) => void backlogs.set(id, Math.max(0, last - cursor));
        // A remote log answers later: the next report has it.
        if (isPromise(last)) last.then(note, () => {});
        else note(last);
      }
      return {
        ...row,
        principal: shown(principal.id, MOST_ID),
        issuer: shown(principal.issuer, MOST_ID),
        backlog: behind ? backlogs.get(id) ?? this.#backlogs.get(id) ?? 1 : 0,
        slow,
      };
    });
    this.#backlogs = backlogs;
    return rows;
  }

  #history(): Local<HistoryRow>[] {
    return this.#statistics.history.points(this.#view.clock.now())
      .map(({ at, count, errors, requests, buckets, gauges }) => ({
        at,
        count,
        errors,
        requests,
        buckets: count === 0 ? [] : trimmed(buckets),
        ...gauges,
      }));
  }

  #refusals(): Local<RefusalRow>[] {
    return Array.from(this.#statistics.refusals.values(), (each) => {
      const { reason, status, count, lastAt } = each;
      return { reason, status, count, lastAt, lately: this.#statistics.lately(each) };
    });
  }

  #tools(): Local<ToolRow>[] {
    return Array.from(this.#statistics.tools.values(), ({ buckets, method, tool, ...counts }) => ({
      count: counts.count,
      errors: counts.errors,
      ms: counts.ms,
      method: shown(method),
      tool: shown(tool),
      upstream: this.#upstreamOf(tool),
      buckets: [...buckets],
    }));
  }

  #upstreams(): Local<UpstreamRow>[] {
    return (this.#view.upstreams?.list() ?? []).map(({ name, kind, sessions, programs, calls }) => {
      const record = this.#statistics.upstreams.get(name);
      const { opened = 0, failures = 0, failure = "", failedAt = 0, failing = false } = record ??
        {};
      return {
        upstream: name,
        kind,
        health: failing ? "failing" : sessions > 0 ? "up" : "idle",
        sessions,
        programs,
        calls,
        opened,
        failures,
        failure: shown(failure),
        failedAt,
        output: (record?.output ?? []).map((line) => escapeInvisible(line)),
      };
    });
  }

  #upstreamOf(tool: string): string {
    if (tool === "") return "";
    return this.#view.upstreams?.nameOf(tool) ?? "";
  }
}

function excess(length: number, most: number): number {
  return Math.max(0, length - most);
}

/** Returns buckets without the empty ones at the end. */
function trimmed(buckets: readonly number[]): number[] {
  return buckets.slice(0, buckets.findLastIndex((count) => count > 0) + 1);
}
