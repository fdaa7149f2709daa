/**
 * Exports spans and histograms for `mooring serve --otel`, by the environment variables of OpenTelemetry.
 *
 * @module
 */
import type { ExportResult } from "@opentelemetry/core";
import type { PushMetricExporter } from "@opentelemetry/sdk-metrics";
import type { Sampler, SpanExporter } from "@opentelemetry/sdk-trace";
import type { Env } from "../config/env.ts";
import type { Telemetry } from "../../telemetry/mod.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { VERSION } from "../version.ts";

/** How long the end of the server waits for the last export, in milliseconds. */
const FLUSH_MS = 5_000;

/** What reports to OpenTelemetry, and exports until it is closed. */
export interface Otel {
  /** What endpoints and the gateway take. */
  readonly telemetry: Telemetry;
  /** Exports what waits, for five seconds at most, and ends. Never rejects. */
  close(): Promise<void>;
}

/** Options for {@linkcode startOtel}. */
export interface OtelInit {
  readonly env: Env;
  /** The name of this node. */
  readonly node: string;
  readonly log: Log;
  /** Loads the packages; for tests. */
  readonly load?: typeof packages;
}

/** The exporters of each signal, by the protocol that a variable names. The first is the default. */
const EXPORTERS = {
  traces: {
    "http/protobuf": () => import("@opentelemetry/exporter-trace-otlp-proto"),
    "http/json": () => import("@opentelemetry/exporter-trace-otlp-http"),
  },
  metrics: {
    "http/protobuf": () => import("@opentelemetry/exporter-metrics-otlp-proto"),
    "http/json": () => import("@opentelemetry/exporter-metrics-otlp-http"),
  },
};
const PROTOCOLS = ["http/protobuf", "http/json"] as const;
type Protocol = (typeof PROTOCOLS)[number];

/** What has to be installed besides the exporters of a protocol. */
const PACKAGES = ["api", "context-async-hooks", "core", "resources", "sdk-metrics", "sdk-trace"];
const SUFFIXES: Readonly<Record<Protocol, string>> = {
  "http/protobuf": "proto",
  "http/json": "http",
};

/**
 * Starts exporting. Where an SDK is registered already, such as that of Deno with `OTEL_DENO=true`, it exports.
 *
 * @throws {CliError} If a package isn't installed, or a variable has a wrong value
 */
export async function startOtel({ env, node, log, load = packages }: OtelInit): Promise<Otel> {
  const protocols = { traces: protocolOf(env, "TRACES"), metrics: protocolOf(env, "METRICS") };
  const traces = choice(env, "OTEL_TRACES_EXPORTER", ["otlp", "none"]) === "otlp";
  const meters = choice(env, "OTEL_METRICS_EXPORTER", ["otlp", "none"]) === "otlp";
  const { api, sdk, metrics, resources, core, hooks, exporters, telemetry } = await load(protocols)
    .catch((cause: unknown) => {
      throw new CliError(installText(protocols), ExitCode.Failed, { cause });
    });
  const sampler = samplerOf(env, sdk);
  const numbers = {
    delay: integer(env, "OTEL_BSP_SCHEDULE_DELAY", 5_000),
    timeout: integer(env, "OTEL_BSP_EXPORT_TIMEOUT", 30_000),
    queue: integer(env, "OTEL_BSP_MAX_QUEUE_SIZE", 2_048),
    batch: integer(env, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512),
    interval: integer(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000),
  };
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === "true") {
    log("warn", "otel", { message: "Nothing is exported: OTEL_SDK_DISABLED is true" });
    return { telemetry: telemetry(), close: async () => {} };
  }
  const resource = resources.defaultResource()
    .merge(resources.resourceFromAttributes({
      "service.name": "mooring",
      "service.version": VERSION,
      "service.instance.id": node,
    }))
    .merge(resources.detectResources({ detectors: [resources.envDetector] }));
  const report = reporter(log);
  const [{ OTLPTraceExporter }, { OTLPMetricExporter }] = exporters;
  const ends: (() => Promise<void>)[] = [];
  if (traces) {
    const exporter = watched(new OTLPTraceExporter(), report, core.ExportResultCode.SUCCESS);
    const provider = new sdk.TracerProvider({
      resource,
      sampler,
      spanProcessors: [
        new sdk.BatchSpanProcessor({
          exporter,
          scheduledDelayMillis: numbers.delay,
          exportTimeoutMillis: numbers.timeout,
          maxQueueSize: numbers.queue,
          maxExportBatchSize: Math.min(numbers.batch, numbers.queue),
        }),
      ],
    });
    if (!api.trace.setGlobalTracerProvider(provider)) {
      await provider.shutdown();
      log("info", "otel", { message: "The SDK that is registered already exports" });
      return { telemetry: telemetry(), close: async () => {} };
    }
    const manager = new hooks.AsyncLocalStorageContextManager().enable();
    api.context.setGlobalContextManager(manager);
    api.propagation.setGlobalPropagator(
      new core.CompositePropagator({
        propagators: [new core.W3CTraceContextPropagator(), new core.W3CBaggagePropagator()],
      }),
    );
    ends.push(async () => {
      await provider.shutdown();
      api.trace.disable();
      api.context.disable();
      api.propagation.disable();
    });
  }
  if (meters) {
    const exporter = watched(new OTLPMetricExporter(), report, core.ExportResultCode.SUCCESS);
    const provider = new metrics.MeterProvider({
      resource,
      readers: [
        new metrics.PeriodicExportingMetricReader({
          exporter,
          exportIntervalMillis: numbers.interval,
          exportTimeoutMillis: Math.min(numbers.interval, numbers.timeout),
        }),
      ],
    });
    api.metrics.setGlobalMeterProvider(provider);
    ends.push(async () => {
      await provider.shutdown();
      api.metrics.disable();
    });
  }
  const url = env.OTEL_EXPORTER_OTLP_ENDPOINT?.trim() || "http://localhost:4318";
  log("info", "otel", { endpoint: URL.parse(url)?.origin, traces, metrics: meters });
  return {
    telemetry: telemetry(),
    async close() {
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, FLUSH_MS);
      // What fails was reported by its exporter
      const ended = Promise.allSettled(ends.map((end) => end()));
      await Promise.race([ended, late]);
      clearTimeout(timer);
    },
  };
}

/** Returns the secrets in the variables of OpenTelemetry: the values of headers, such as API keys. */
export function otelSecrets(env: Env): readonly string[] {
  return ["", "TRACES_", "METRICS_"].flatMap((signal) => {
    const headers = env[`OTEL_EXPORTER_OTLP_${signal}HEADERS`] ?? "";
    return headers.split(",").flatMap((pair) => {
      const value = pair.slice(pair.indexOf("=") + 1).trim();
      return [value, decoded(value), decoded(value).split(" ").at(-1) ?? ""];
    });
  });
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

type Protocols = Readonly<Record<keyof typeof EXPORTERS, Protocol>>;

async function packages({ traces, metrics: measured }: Protocols) {
  const [api, hooks, core, resources, metrics, sdk, spans, histograms, { telemetry }] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/context-async-hooks"),
      import("@opentelemetry/core"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/sdk-metrics"),
      import("@opentelemetry/sdk-trace"),
      EXPORTERS.traces[traces](),
      EXPORTERS.metrics[measured](),
      import("../../telemetry/mod.ts"),
    ]);
  const exporters = [spans, histograms] as const;
  return { api, hooks, core, resources, metrics, sdk, exporters, telemetry };
}

/** Says what has to be installed. */
function installText({ traces, metrics }: Protocols): string {
  const names = [
    ...PACKAGES,
    `exporter-trace-otlp-${SUFFIXES[traces]}`,
    `exporter-metrics-otlp-${SUFFIXES[metrics]}`,
  ].map((name) => `@opentelemetry/${name}`);
  return `Install the packages that --otel needs: npm install ${names.join(" ")}`;
}

/** Reads a variable that has one of some values; the first is the default. */
function choice<const T extends string>(env: Env, name: string, values: readonly T[]): T {
  const given = env[name]?.trim() ?? "";
  const [byDefault] = values;
  const found = given === "" ? byDefault : values.find((value) => value === given.toLowerCase());
  if (found !== undefined) return found;
  throw new CliError(`Give one of ${values.join(", ")} as ${name}`);
}

/** Returns the protocol of a signal: its own variable, or that of all. */
function protocolOf(env: Env, signal: "TRACES" | "METRICS"): Protocol {
  const own = `OTEL_EXPORTER_OTLP_${signal}_PROTOCOL`;
  return choice(env, env[own]?.trim() ? own : "OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOLS);
}

function integer(env: Env, name: string, byDefault: number): number {
  const given = env[name]?.trim() ?? "";
  if (given === "") return byDefault;
  const value = Number(given);
  if (/^\d{1,9}$/.test(given) && value > 0) return value;
  throw new CliError(`Give a whole number above 0 as ${name}`);
}

const SAMPLERS = [
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio",
  "always_on",
  "always_off",
  "traceidratio",
] as const;

function samplerOf(env: Env, sdk: typeof import("@opentelemetry/sdk-trace")): Sampler {
  const name = choice(env, "OTEL_TRACES_SAMPLER", SAMPLERS);
  const kind = name.split("_").at(-1);
  const root = kind === "traceidratio"
    ? new sdk.TraceIdRatioBasedSampler(ratioOf(env))
    : kind === "off"
    ? new sdk.AlwaysOffSampler()
    : new sdk.AlwaysOnSampler();
  return name.startsWith("parentbased_") ? new sdk.ParentBasedSampler({ root }) : root;
}

function ratioOf(env: Env): number {
  const given = env.OTEL_TRACES_SAMPLER_ARG?.trim() ?? "";
  const ratio = given === "" ? 1 : Number(given);
  if (ratio >= 0 && ratio <= 1) return ratio;
  throw new CliError("Give a number from 0 to 1 as OTEL_TRACES_SAMPLER_ARG");
}

/** Logs the first of failures in a row, and the end of them. */
function reporter(log: Log): (error: Error | undefined, what: string) => void {
  const failing = new Set<string>();
  return (error, what) => {
    if (error === undefined) {
      if (failing.delete(what) && failing.size === 0) {
        log("info", "otel-works", { message: "The collector takes exports again" });
      }
      return;
    }
    const first = failing.size === 0;
    failing.add(what);
    if (first) {
      log("warn", "otel-failed", {
        message: `Exports fail, and serving continues: ${messageOf(error)}`,
      });
    }
  };
}

/** Reports how each export ends. */
function watched<T extends SpanExporter | PushMetricExporter>(
  exporter: T,
  report: (error: Error | undefined, what: string) => void,
  success: ExportResult["code"],
): T {
  const send = exporter.export.bind(exporter) as (
    items: never,
    done: (result: ExportResult) => void,
  ) => void;
  exporter.export = (items: unknown, done: (result: ExportResult) => void) =>
    // Each exporter is given what it exports
    send(items as never, (result) => {
      const failed = new Error("The collector took nothing");
      report(
        result.code === success ? undefined : result.error ?? failed,
        exporter.constructor.name,
      );
      done(result);
    });
  return exporter;
}
