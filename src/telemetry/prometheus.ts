/**
 * Translates OpenTelemetry's names into those of Prometheus (OpenTelemetry specification, Prometheus and
 * OpenMetrics Compatibility), and loads the library that keeps and writes the series.
 *
 * @module
 */
import { Attribute, type DurationMetric } from "./conventions.ts";
import { installed } from "../internal/installed.ts";
import type { Attributes } from "./operation.ts";

/** The library. */
export const prometheus: typeof import("prom-client") = await installed(
  "prom-client",
  import("prom-client"),
);

/** Names of the units, as suffixes. */
const UNITS: Readonly<Record<DurationMetric["unit"], string>> = { s: "seconds" };

/** Returns the name of a metric or label: characters that Prometheus refuses become underscores. */
export function prometheusName(name: string): string {
  return name.replace(/[^A-Za-z0-9_:]+/g, "_").replace(/^(?=\d)/, "_");
}

/** Returns the name of a histogram, which ends in its unit. */
export function histogramName({ name, unit }: DurationMetric): string {
  return `${prometheusName(name)}_${UNITS[unit]}`;
}

/** The name of the label for each attribute. */
const LABELS: ReadonlyMap<string, string> = new Map(
  Object.values(Attribute).map((attribute) => [attribute, prometheusName(attribute)]),
);

/** Returns the labels for attributes. */
export function labelsOf(attributes: Attributes): Attributes {
  const labels: Attributes = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value !== undefined) labels[LABELS.get(name) ?? prometheusName(name)] = value;
  }
  return labels;
}
