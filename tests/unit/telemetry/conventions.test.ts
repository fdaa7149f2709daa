/**
 * Holds the tables of the conventions against OpenTelemetry's own package, and against the facts of the
 * published model in `tests/fixtures/mcp_conventions.json`.
 *
 * @module
 */
import * as published from "@opentelemetry/semantic-conventions/incubating";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import {
  Attribute,
  CALLER_ERRORS,
  DURATION_BUCKETS,
  DurationMetrics,
} from "../../../src/telemetry/conventions.ts";
import { histogramName, labelsOf, prometheusName } from "../../../src/telemetry/prometheus.ts";

const model = JSON.parse(
  await readFile(new URL("../../fixtures/mcp_conventions.json", import.meta.url), "utf8"),
);

/** The attributes that are not of the conventions. */
const OWN: readonly string[] = [Attribute.Upstream, Attribute.Cached, Attribute.Repeated];
const attributes = Object.values(Attribute).filter((name) => !OWN.includes(name));

describe("conventions", () => {
  test("[TEL-1] metrics have the names, units and buckets of the model", () => {
    const own = Object.values(DurationMetrics).map(({ name, unit }) => ({ name, unit }));
    const theirs = model.metrics.map(({ name, unit }: Record<string, unknown>) => ({ name, unit }));
    const byName = (a: { name: string }, b: { name: string }) => a.name < b.name ? -1 : 1;
    assert.deepEqual(own.toSorted(byName), theirs.toSorted(byName));
    for (const { instrument, buckets } of model.metrics) {
      assert.equal(instrument, "histogram");
      assert.deepEqual(DURATION_BUCKETS, buckets);
    }
  });

  test("[TEL-1] names are those of OpenTelemetry's package", () => {
    const values = new Set<unknown>(Object.values(published));
    for (const name of attributes) assert.ok(values.has(name), name);
    for (const { name } of Object.values(DurationMetrics)) assert.ok(values.has(name), name);
  });

  test("[TEL-1] attributes are in the model, and all that it requires are there", () => {
    const own = new Set<string>(attributes);
    for (const name of own) assert.ok(model.spans.server.includes(name), name);
    for (const name of model.required) assert.ok(own.has(name), name);
    assert.deepEqual([...CALLER_ERRORS].toSorted(), model.notServerErrors.toSorted());
  });

  test("[TEL-6] names for Prometheus have underscores and the unit", () => {
    assert.equal(
      histogramName(DurationMetrics.ServerOperation),
      "mcp_server_operation_duration_seconds",
    );
    assert.equal(prometheusName("9 lives.at·all"), "_9_lives_at_all");
    assert.deepEqual(labelsOf({ "gen_ai.tool.name": "add", "error.type": "timeout" }), {
      gen_ai_tool_name: "add",
      error_type: "timeout",
    });
  });
});
