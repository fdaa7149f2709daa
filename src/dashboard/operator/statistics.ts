/**
 * Collects what happens at a node while an operator watches: finished calls, refusals, and what upstreams
 * report. Everything has a bound.
 *
 * @module
 */
import type { McpEvent, RequestOutcome } from "../../../mod.ts";
import { BoundedMap, clip, type FinishedCall, reportedMethod } from "../../kit.ts";
import { isCall } from "../assets/rows.js";
import { bucketOf, emptyBuckets } from "./histogram.ts";
import { RecentActivity, type RecordSettings } from "./recent.ts";
import { CallsOfMinute, type Gauges, History, LastMinute, ToolHour } from "./rolling.ts";
import type { NodeRow } from "./types.ts";

/** What all names are called that the server doesn't have. */
const UNKNOWN = "(unknown)";
/** The maximum number of tools, prompts and methods that are counted apart. */
export const MOST_TOOLS = 300;
/** The maximum number of upstreams. */
const MOST_UPSTREAMS = 500;
/** The lines of an upstream's standard error that are kept, and the characters of each. */
const MOST_LINES = 40;
const MOST_CHARS = 300;
/** The characters of a name that a client sent. */
export const MOST_NAME = 100;
/** Outcomes that are no failure of the server or the tool. */
const GOOD: ReadonlySet<RequestOutcome> = new Set([
  "result",
  "input-required",
  "handed-over",
]);

/** The finished calls of one tool. */
export interface ToolCount {
  readonly method: string;
  readonly tool: string;
  count: number;
  errors: number;
  ms: number;
  readonly buckets: number[];
  readonly hour: ToolHour;
}

/** The refusals with one reason and status. */
export interface RefusalCount {
  readonly reason: string;
  readonly status: number;
  count: number;
  lastAt: number;
  readonly minute: LastMinute;
}

/** What an upstream reported. */
export interface UpstreamRecord {
  opened: number;
  failures: number;
  failure: string;
  failedAt: number;
  /** Whether the last attempt to use it failed. */
  failing: boolean;
  readonly output: string[];
}

/** Returns the tool or prompt that a request names; empty for other methods. */
export function itemName(method: string, params: Readonly<Record<string, unknown>>): string {
  const named = method === "tools/call" || method === "prompts/get";
  return named && typeof params.name === "string" ? clip(params.name, MOST_NAME) : "";
}

/** Options for {@linkcode Statistics}. */
export interface StatisticsInit extends Partial<RecordSettings> {
  /** Returns the time, in milliseconds since the epoch. */
  readonly now: () => number;
  /** Returns what there is now. */
  readonly gauges?: () => Gauges;
}

/** What happened at one node since the operator began to watch. */
export class Statistics {
  readonly tools = new Map<string, ToolCount>();
  readonly refusals = new Map<string, RefusalCount>();
  readonly upstreams = new BoundedMap<string, UpstreamRecord>(MOST_UPSTREAMS);
  /** The last hour. */
  readonly history: History;
  /** The last calls and refusals. */
  readonly recent: RecentActivity;
  readonly #minute = new CallsOfMinute();
  /** The requests of the last minute that are no calls. */
  readonly #requests = new LastMinute();
  readonly #now: () => number;
  readonly #redact: (text: string) => string;

  /** Creates an empty collection. */
  constructor({ now, gauges, ...settings }: StatisticsInit) {
    const { redact = (text) => text, recordArguments = false, recordResults = false } = settings;
    this.#now = now;
    this.#redact = redact;
    this.history = new History(gauges ?? (() => ({ sessions: 0, calls: 0, streams: 0 })));
    this.recent = new RecentActivity(now, { redact, recordArguments, recordResults });
  }

  /** Returns the last minute. */
  minute(): NodeRow["minute"] {
    const now = this.#now();
    return { ...this.#minute.sum(now), requests: this.#requests.sum(now) };
  }

  /** Counts a call that is over. */
  finished(
    call: FinishedCall,
    outcome: RequestOutcome,
    failed: boolean,
    response?: string,
  ): void {
    const now = this.#now();
    const method = reportedMethod(call);
    const { tool, prompt } = call.target ?? {};
    // Names that a client has made up are one row: they would push out what there is.
    const isNamed = itemName(call.method, call.params) !== "";
    const counted = this.#tool(method, tool ?? prompt ?? (isNamed ? UNKNOWN : ""));
    counted.count += 1;
    const isBad = failed || !GOOD.has(outcome);
    if (isBad) counted.errors += 1;
    // A call that began before the operator watched has no known duration.
    const ms = call.begunAt === 0 ? undefined : Math.max(0, now - call.begunAt);
    const bucket = ms === undefined ? undefined : bucketOf(ms);
    if (ms !== undefined && bucket !== undefined) {
      counted.ms += ms;
      counted.buckets[bucket] = (counted.buckets[bucket] ?? 0) + 1;
    }
    counted.hour.add(now, isBad, bucket);
    if (isCall(method)) {
      this.#minute.add(now, isBad, bucket);
      this.history.addCall(now, isBad, bucket);
    } else {
      this.#requests.add(now);
      this.history.addRequest(now);
    }
    this.recent.addCall(call, outcome, failed, response, ms);
  }

  /** Notes what an event says. */
  readonly onEvent = (event: McpEvent): void => {
    switch (event.type) {
      case "refused":
        this.recent.addRefusal(event);
        return this.#refused(event.reason, event.status);
      case "error":
        return this.recent.noteError(event.error);
      case "request-started":
      case "session-opened":
      case "session-ended":
      case "stream-opened":
      case "stream-closed":
        return this.history.touch(this.#now());
      case "upstream-opened": {
        const record = this.#upstream(event.upstream);
        record.opened += 1;
        record.failing = false;
        return;
      }
      case "upstream-failed":
        return this.#failed(event.upstream, `${event.during}: ${textOf(event.error)}`);
      case "upstream-busy":
        return this.#failed(event.upstream, `limits.${event.limit} is reached`);
      case "upstream-abandoned":
        return this.#failed(event.upstream, "A session didn't end in time");
      case "upstream-output": {
        const { output } = this.#upstream(event.upstream);
        output.push(clip(this.#redact(event.text), MOST_CHARS));
        if (output.length > MOST_LINES) output.shift();
      }
    }
  };

  /** Returns the refusals of the last minute. */
  lately({ minute }: RefusalCount): number {
    return minute.sum(this.#now());
  }

  #tool(method: string, tool: string): ToolCount {
    const key = `${method} ${tool}`;
    const known = this.tools.get(key);
    if (known !== undefined) return known;
    if (this.tools.size >= MOST_TOOLS) this.#forgetRarest();
    const hour = new ToolHour();
    const count = { method, tool, count: 0, errors: 0, ms: 0, buckets: emptyBuckets(), hour };
    this.tools.set(key, count);
    return count;
  }

  /** Forgets the tool with the fewest calls: names that a client made up push out each other. */
  #forgetRarest(): void {
    let rarest: readonly [string, ToolCount] | undefined;
    for (const entry of this.tools) {
      if (rarest === undefined || entry[1].count < rarest[1].count) rarest = entry;
    }
    if (rarest !== undefined) this.tools.delete(rarest[0]);
  }

  #refused(reason: string, status: number): void {
    const now = this.#now();
    const key = `${reason} ${status}`;
    let known = this.refusals.get(key);
    if (known === undefined) {
      known = { reason, status, count: 0, lastAt: now, minute: new LastMinute() };
      this.refusals.set(key, known);
    }
    known.count += 1;
    known.minute.add(now);
    known.lastAt = now;
  }

  #failed(upstream: string, failure: string): void {
    const record = this.#upstream(upstream);
    record.failures += 1;
    record.failing = true;
    record.failure = clip(this.#redact(failure), MOST_CHARS);
    record.failedAt = this.#now();
  }

  #upstream(name: string): UpstreamRecord {
    let record = this.upstreams.get(name);
    if (record !== undefined) return record;
    record = { opened: 0, failures: 0, failure: "", failedAt: 0, failing: false, output: [] };
    this.upstreams.set(name, record);
    return record;
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
