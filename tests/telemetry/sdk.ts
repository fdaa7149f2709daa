/**
 * OpenTelemetry's SDK, registered as an application does it, and exporting to a receiver of the test.
 *
 * @module
 */
import { context, metrics, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
  CompositePropagator,
  W3CBaggagePropagator,
  W3CTraceContextPropagator,
} from "@opentelemetry/core";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { type OtlpReceiver, otlpReceiver } from "../support/otlp.ts";

/** The SDK and what it exports to. */
export interface Sdk extends AsyncDisposable {
  readonly received: OtlpReceiver;
  /** Exports everything that there is. */
  flush(): Promise<void>;
}

/** Registers the SDK until it is disposed of. */
export async function startSdk(): Promise<Sdk> {
  const received = await otlpReceiver();
  const manager = new AsyncLocalStorageContextManager().enable();
  const exporter = new OTLPTraceExporter({ url: `${received.url}/v1/traces` });
  const tracers = new TracerProvider({ spanProcessors: [new BatchSpanProcessor({ exporter })] });
  const reader = new PeriodicExportingMetricReader({
    exporter: new OTLPMetricExporter({ url: `${received.url}/v1/metrics` }),
    exportIntervalMillis: 600_000,
  });
  const meters = new MeterProvider({ readers: [reader] });
  context.setGlobalContextManager(manager);
  trace.setGlobalTracerProvider(tracers);
  metrics.setGlobalMeterProvider(meters);
  propagation.setGlobalPropagator(
    new CompositePropagator({
      propagators: [new W3CTraceContextPropagator(), new W3CBaggagePropagator()],
    }),
  );
  return {
    received,
    async flush() {
      await tracers.forceFlush();
      await meters.forceFlush();
    },
    async [Symbol.asyncDispose]() {
      await tracers.shutdown();
      await meters.shutdown();
      for (const api of [context, trace, metrics, propagation]) api.disable();
      await received[Symbol.asyncDispose]();
    },
  };
}
