/**
 * Collects what happens at a node while an operator watches: finished calls, refusals, and what upstreams
 * report. Everything has a bound.
 *
 * @module
 */
import type { McpEvent, RequestOutcome } from "../../../mod.ts";
import { BoundedMap, clip, type FinishedCall, reportedMethod } from "../../kit.ts";
import { bucketOf, emptyBuckets } from "./histogram.ts";

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
const MINUTE = 60_000;

/** Outcomes that are no failure of the server or the tool. */
const GOOD: ReadonlySet<RequestOutcome> = new Set(["result", "input-required"]);

/** The finished calls of one tool. */
export interface ToolCount {
  readonly method: string;
  readonly tool: string;
  count: number;
  errors: number;
  ms: number;
  readonly buckets: number[];
}

/** The refusals with one reason and status. */
export interface RefusalCount {
  readonly reason: string;
  readonly status: number;
  count: number;
  lastAt: number;
  /** The minute that `current` counts, since the epoch. */
  minute: number;
  current: number;
  previous: number;
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

/** What happened at one node since the operator began to watch. */
export class Statistics {
  readonly tools = new Map<string, ToolCount>();
  readonly refusals = new Map<string, RefusalCount>();
  readonly upstreams = new BoundedMap<string, UpstreamRecord>(MOST_UPSTREAMS);
  readonly #now: () => number;
  readonly #redact: (text: string) => string;

  /**
   * Creates an empty collection.
   *
   * @param now Returns the time, in milliseconds since the epoch
   * @param redact Takes secrets out of what upstreams wrote
   */
  constructor(now: () => number, redact: (text: string) => string) {
    this.#now = now;
    this.#redact = redact;
  }

  /** Counts a call that is over. */
  finished(call: FinishedCall, outcome: RequestOutcome, failed: boolean): void {
    const method = reportedMethod(call);
    const { tool, prompt } = call.target ?? {};
    // Names that a client has made up are one row: they would push out what there is.
    const isNamed = itemName(call.method, call.params) !== "";
    const counted = this.#tool(method, tool ?? prompt ?? (isNamed ? UNKNOWN : ""));
    counted.count += 1;
    if (failed || !GOOD.has(outcome)) counted.errors += 1;
    // A call that began before the operator watched has no known duration.
    if (call.begunAt === 0) return;
    const ms = Math.max(0, this.#now() - call.begunAt);
    counted.ms += ms;
    const bucket = bucketOf(ms);
    counted.buckets[bucket] = (counted.buckets[bucket] ?? 0) + 1;
  }

  /** Notes what an event says. */
  readonly onEvent = (event: McpEvent): void => {
    switch (event.type) {
      case "refused":
        return this.#refused(event.reason, event.status);
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

  /** Returns the refusals of the last whole minute and the current one. */
  lately({ minute, current, previous }: RefusalCount): number {
    const age = Math.floor(this.#now() / MINUTE) - minute;
    if (age === 0) return current + previous;
    return age === 1 ? current : 0;
  }

  #tool(method: string, tool: string): ToolCount {
    const key = `${method} ${tool}`;
    const known = this.tools.get(key);
    if (known !== undefined) return known;
    if (this.tools.size >= MOST_TOOLS) this.#forgetRarest();
    const count = { method, tool, count: 0, errors: 0, ms: 0, buckets: emptyBuckets() };
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
    const minute = Math.floor(now / MINUTE);
    const key = `${reason} ${status}`;
    let known = this.refusals.get(key);
    if (known === undefined) {
      known = { reason, status, count: 0, lastAt: now, minute, current: 0, previous: 0 };
      this.refusals.set(key, known);
    }
    if (known.minute !== minute) {
      known.previous = minute - known.minute === 1 ? known.current : 0;
      known.current = 0;
      known.minute = minute;
    }
    known.count += 1;
    known.current += 1;
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
