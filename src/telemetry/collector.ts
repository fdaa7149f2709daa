/**
 * Keeps counts, gauges and histograms for Prometheus.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type { Counter, Gauge, Histogram, Registry } from "prom-client";
import { integerOption } from "../internal/check.ts";
import { type Clock, preciseTime, systemClock } from "../internal/clock.ts";
import type { UpstreamMiddleware } from "../protocol/upstream.ts";
import type { McpEvent } from "../protocol/events.ts";
import { type DurationMetric, DurationMetrics, OTHER } from "./conventions.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import {
  type BoundName,
  type DurationName,
  type RecordDuration,
  recordEvent,
  recordOperation,
  upstreamOperation,
} from "./durations.ts";
import { KnownNames } from "./known_names.ts";
import { type Ending, endingOfError, endingOfResult, type NetworkTransport } from "./operation.ts";
import { histogramName, prometheus } from "./prometheus.ts";
import { SeriesCap } from "./series_cap.ts";

/** A registry of `prom-client`. */
export type MetricsRegistry = Registry;

/** Options for {@linkcode metrics}. */
export interface MetricsOptions {
  /** The registry to add to, for metrics of an application's own beside these; a new one by default. */
  readonly registry?: MetricsRegistry;
  /**
   * The network that clients come by. Behind stdio it is `"pipe"`.
   *
   * @default {"tcp"}
   */
  readonly transport?: NetworkTransport;
  /**
   * Names of tools and prompts that have series of their own. Further ones, such as those of a server that
   * makes up a tool for each user, share the name `_OTHER`.
   *
   * @default {2000}
   */
  readonly names?: number;
  /**
   * Series of each metric. What would have one more is counted in a series whose labels are all `_OTHER`,
   * and in `mooring_series_folded_total`.
   *
   * @default {10000}
   */
  readonly series?: number;
  /** Provides the time for the durations of requests to upstreams; the system clock by default. */
  readonly clock?: Clock;
}

/** What has gauges: a handler or a gateway. */
export interface StatsSource {
  /** Returns the gauges by name. */
  stats(): object;
}

/** What {@linkcode Metrics.watch} reads. */
export interface WatchedParts {
  /** The handler of an endpoint. */
  readonly handler?: StatsSource;
  /** The gateway. */
  readonly gateway?: StatsSource;
  /**
   * The endpoint's name, for the label `endpoint`, if there are several.
   *
   * @default {""}
   */
  readonly endpoint?: string;
}

/** Counts what happens, and writes it for Prometheus. */
export interface Metrics {
  /** Counts events: for `onEvent` of `createMcpHandler`, of any number of handlers. */
  readonly onEvent: (event: McpEvent) => void;
  /** Measures requests to upstreams: for `middleware` of `gateway`. */
  readonly upstream: UpstreamMiddleware;
  /** The registry. */
  readonly registry: MetricsRegistry;
  /**
   * Reads the gauges of a handler and a gateway at each scrape.
   *
   * @returns A function that ends it
   */
  watch(parts: WatchedParts): () => void;
  /**
   * Adds a counter of something else that happens, such as the steps of logins. Its series are bounded as those
   * of the others.
   *
   * @param name The metric, which ends in `_total`
   * @param help What it counts
   * @param labelNames The labels. Give them no values that strangers choose
   * @returns A function that counts one more
   * @throws {TypeError} If the registry has a metric of this name
   */
  counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): (labels: Readonly<Record<Label, string>>) => void;
  /** Returns everything in the text format 0.0.4. */
  text(): Promise<string>;
  /** Answers a scrape, whatever its path. Other methods than GET and HEAD get a 405. */
  fetch(request: Request): Promise<Response>;
}

/**
 * Creates what counts for Prometheus. No series has a principal, a session or a name that a client has
 * made up, so their number is bounded by what the servers have.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { metrics } from "@mooring/mcp/metrics";
 *
 * const counted = metrics();
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   onEvent: counted.onEvent,
 * });
 * counted.watch({ handler });
 * console.assert((await counted.text()).includes("mooring_sessions"));
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or the registry has metrics of these names
 * @throws {RangeError} If `names` is out of range
 */
export function metrics(options: MetricsOptions = {}): Metrics {
  checkNames("metrics()", options, {
    registry: true,
    transport: true,
    names: true,
    series: true,
    clock: true,
  });
  return new Collector(options);
}

/** The gauges of a handler: the key of its `stats()`, and what it counts. */
const HANDLER_GAUGES: Readonly<Record<string, string>> = {
  sessions: "Sessions of clients at this node",
  streams: "Open connections of streams",
  requests: "Running requests",
  questions: "Questions that clients have yet to answer",
  listens: "Open subscriptions of 2026-07-28",
  draining: "1 while the node drains",
  unapplied: "Shared documents that could not be applied",
};

/** The same of a gateway. */
const GATEWAY_GAUGES: Readonly<Record<string, readonly [name: string, help: string]>> = {
  upstreams: ["mooring_upstreams", "Upstreams of the gateway"],
  sessions: ["mooring_upstream_sessions", "Sessions with upstreams"],
  programs: ["mooring_upstream_programs", "Programs that run as upstreams"],
  held: ["mooring_held_calls", "Calls that are held until their client has answered a question"],
};

class Collector implements Metrics {
  readonly registry: MetricsRegistry;
  readonly #transport: NetworkTransport;
  readonly #clock: Clock;
  readonly #watched = new Set<WatchedParts>();
  readonly #known = new KnownNames();
  readonly #histograms: Readonly<Record<DurationName, DurationHistogram>>;
  readonly #count: (event: McpEvent) => void;
  readonly #upstreams: UpstreamHealth;
  /** The names of tools and prompts that have a series. */
  readonly #named = new Set<string>();
  readonly #names: number;
  readonly #capOf: CapOf;
  #last: McpEvent | undefined;

  constructor(options: MetricsOptions) {
    const { registry = new prometheus.Registry(), transport = "tcp", clock = systemClock } =
      options;
    this.#names = integerOption("names", options.names, 2_000);
    if (!["tcp", "quic", "pipe"].includes(transport)) {
      throw new TypeError(`Give one of tcp, quic, pipe as "transport": ${transport}`);
    }
    this.registry = registry;
    this.#transport = transport;
    this.#clock = clock;
    const series = integerOption("series", options.series, 10_000);
    const folded = new prometheus.Counter({
      name: "mooring_series_folded_total",
      help: "Values that are in the series for all others, because the metric has too many",
      labelNames: ["metric"],
      registers: [registry],
    });
    const capOf: CapOf = (metric) => new SeriesCap(series, () => folded.inc({ metric }));
    this.#capOf = capOf;
    const histogram = (name: DurationName) => histogramOf(registry, DurationMetrics[name], capOf);
    this.#histograms = {
      ServerOperation: histogram("ServerOperation"),
      ClientOperation: histogram("ClientOperation"),
      ServerSession: histogram("ServerSession"),
      ClientSession: histogram("ClientSession"),
    };
    this.#upstreams = new UpstreamHealth(registry, capOf("mooring_upstream_up"));
    this.#count = eventCounter(registry, this.#upstreams, capOf);
    for (const [key, help] of Object.entries(HANDLER_GAUGES)) {
      const name = `mooring_${key}`;
      this.#gauge({ name, help, labelNames: ["endpoint"] }, ({ handler }) => statOf(handler, key));
    }
    for (const [key, [name, help]] of Object.entries(GATEWAY_GAUGES)) {
      this.#gauge({ name, help, labelNames: [] }, ({ gateway }) => statOf(gateway, key));
    }
  }

  readonly onEvent = (event: McpEvent): void => {
    // A gateway reports to each endpoint that serves it
    if (event === this.#last) return;
    this.#last = event;
    recordEvent(event, this.#transport, this.#record, this.#bound);
    this.#count(event);
  };

  readonly upstream: UpstreamMiddleware = async (request, next) => {
    const startedAt = this.#now();
    const ended = (ending: Ending): void => {
      const operation = upstreamOperation(request, this.#known);
      const ms = this.#now() - startedAt;
      recordOperation("ClientOperation", ms, operation, ending, this.#record, this.#bound);
    };
    try {
      const result = await next();
      if (request.isCached?.() === true) return result;
      this.#upstreams.set(request.upstream, true);
      this.#known.learn(request, result);
      ended(endingOfResult(request, result));
      return result;
    } catch (error) {
      ended(endingOfError(error, "client"));
      throw error;
    }
  };

  watch(parts: WatchedParts): () => void {
    const watched = { ...parts };
    this.#watched.add(watched);
    return () => void this.#watched.delete(watched);
  }

  counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): (labels: Readonly<Record<Label, string>>) => void {
    if (this.registry.getSingleMetric(name) !== undefined) {
      throw new TypeError(`Give another name: the registry has a metric of it: ${name}`);
    }
    const counter = cappedCounter(this.registry, this.#capOf, name, help, labelNames);
    return (labels) => counter.inc(labels);
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  readonly fetch = async (request: Request): Promise<Response> => {
    const { method } = request;
    if (method !== "GET" && method !== "HEAD") {
      return new Response("Use GET\n", { status: 405, headers: { allow: "GET, HEAD" } });
    }
    const headers = { "content-type": this.registry.contentType, "cache-control": "no-store" };
    return new Response(method === "HEAD" ? null : await this.text(), { headers });
  };

  /** Adds a gauge that is read from everything that is watched. */
  #gauge(
    config: { readonly name: string; readonly help: string; readonly labelNames: string[] },
    read: (parts: WatchedParts) => number | undefined,
  ): void {
    const watched = this.#watched;
    new prometheus.Gauge({
      ...config,
      registers: [this.registry],
      collect() {
        this.reset();
        for (const parts of watched) {
          const value = read(parts);
          if (value === undefined) continue;
          const { endpoint = "" } = parts;
          this.inc(config.labelNames.length === 0 ? {} : { endpoint }, value);
        }
      },
    });
  }

  readonly #record: RecordDuration = (name, seconds, key, attributes) => {
    this.#histograms[name].observe(key, seconds, attributes);
  };

  /** Returns what stands for a name that would be one too many. */
  readonly #bound: BoundName = (name) => {
    if (name === undefined || this.#named.has(name)) return name;
    if (this.#named.size >= this.#names) return OTHER;
    this.#named.add(name);
    return name;
  };

  #now(): number {
    return preciseTime(this.#clock);
  }
}

function statOf(source: StatsSource | undefined, key: string): number | undefined {
  if (source === undefined) return undefined;
  const value = (source.stats() as Readonly<Record<string, unknown>>)[key];
  return typeof value === "number" ? value : 0;
}

/** Creates the bound on the series of a metric. */
type CapOf = (metric: string) => SeriesCap;

function histogramOf(
  registry: Registry,
  metric: DurationMetric,
  capOf: CapOf,
): DurationHistogram {
  const histogram = new DurationHistogram(metric, capOf(histogramName(metric)));
  // The registry only calls what this has, but its type names the library's own classes
  registry.registerMetric(histogram as unknown as Histogram);
  return histogram;
}

/** A counter with a bound on its series. */
class CappedCounter {
  readonly #counter: Counter;
  readonly #cap: SeriesCap;

  constructor(counter: Counter, cap: SeriesCap) {
    this.#counter = counter;
    this.#cap = cap;
  }

  inc(labels: Readonly<Record<string, string | number>> = {}): void {
    const entries = Object.entries(labels);
    const isOwn = this.#cap.admits(entries.map(([, value]) => value).join("\0"));
    this.#counter.inc(isOwn ? labels : Object.fromEntries(entries.map(([key]) => [key, OTHER])));
  }
}

function cappedCounter(
  registry: Registry,
  capOf: CapOf,
  name: string,
  help: string,
  labelNames: readonly string[],
): CappedCounter {
  const init = { name, help, labelNames: [...labelNames], registers: [registry] };
  return new CappedCounter(new prometheus.Counter(init), capOf(name));
}

/** Which upstreams work: by what happened last. */
class UpstreamHealth {
  readonly #gauge: Gauge;
  readonly #up = new Map<string, boolean>();

  readonly #cap: SeriesCap;

  constructor(registry: Registry, cap: SeriesCap) {
    this.#cap = cap;
    this.#gauge = new prometheus.Gauge({
      name: "mooring_upstream_up",
      help: "1 if the upstream worked when it was last used",
      labelNames: ["upstream"],
      registers: [registry],
    });
  }

  set(upstream: string, up: boolean): void {
    if (this.#up.get(upstream) === up || !this.#cap.admits(upstream)) return;
    this.#up.set(upstream, up);
    this.#gauge.set({ upstream }, Number(up));
  }

  remove(upstream: string): void {
    this.#up.delete(upstream);
    this.#cap.delete(upstream);
    this.#gauge.remove({ upstream });
  }
}

/** Returns a function that counts events other than durations. */
function eventCounter(
  registry: Registry,
  upstreams: UpstreamHealth,
  capOf: CapOf,
): (event: McpEvent) => void {
  const counter = (name: string, help: string, labelNames: string[]): CappedCounter =>
    cappedCounter(registry, capOf, name, help, labelNames);
  const gauge = (name: string, help: string, labelNames: string[]): Gauge =>
    new prometheus.Gauge({ name, help, labelNames, registers: [registry] });
  const refused = counter("mooring_refused_total", "Refused requests", ["reason", "status"]);
  const ended = counter("mooring_sessions_ended_total", "Sessions that ended", ["reason"]);
  const dropped = counter("mooring_messages_dropped_total", "Messages that were not sent", [
    "reason",
  ]);
  const errors = counter("mooring_errors_total", "Failures that clients are not told about", []);
  const lost = counter("mooring_nodes_lost_total", "Nodes of the cluster that died", []);
  const failed = counter("mooring_upstream_failures_total", "Failures of upstreams", ["upstream"]);
  const busy = counter("mooring_upstream_busy_total", "Sessions that a limit did not allow", [
    "upstream",
    "limit",
  ]);
  const kept = counter("mooring_cached_results_total", "Requests answered with a kept result", [
    "upstream",
  ]);
  const repeated = counter(
    "mooring_repeated_calls_total",
    "Calls answered with the answer of an earlier call with the same key",
    [],
  );
  const node = gauge("mooring_node_info", "1, for the id of this node", ["node"]);
  let knownNode: string | undefined;
  const seen = (id: string): void => {
    if (id === knownNode) return;
    knownNode = id;
    node.set({ node: id }, 1);
  };
  return (event) => {
    switch (event.type) {
      case "request-finished":
        if (event.cached === true) kept.inc({ upstream: event.upstream ?? "" });
        if (event.repeated === true) repeated.inc();
        return seen(event.node);
      case "long-call-ended":
        if (event.repeated === true) repeated.inc();
        return;
      case "refused":
        return refused.inc({ reason: event.reason, status: event.status });
      case "session-ended":
        return ended.inc({ reason: event.reason });
      case "message-dropped":
        return dropped.inc({ reason: event.reason });
      case "error":
        return errors.inc();
      case "node-lost":
        return lost.inc();
      case "upstream-opened":
        return upstreams.set(event.upstream, true);
      case "upstream-failed":
        upstreams.set(event.upstream, false);
        return failed.inc({ upstream: event.upstream });
      case "upstream-busy":
        return busy.inc({ upstream: event.upstream, limit: event.limit });
      case "upstream-closed":
        if (event.reason === "removed") upstreams.remove(event.upstream);
    }
  };
}
