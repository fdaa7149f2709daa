/**
 * The Grafana dashboard and the alert rules of the docs: every metric and label that they name is written by
 * `/metrics`, and `promtool` takes them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import parseYaml from "yaml";
import { metrics } from "../../src/telemetry/metrics.ts";

const RULES = new URL("../../docs/ops/prometheus-alerts.yaml", import.meta.url);
const DASHBOARD = new URL("../../docs/ops/grafana-dashboard.json", import.meta.url);
const RULE_TESTS = new URL("../fixtures/prometheus_alerts_test.yaml", import.meta.url);

const exec = promisify(execFile);
const noPromtool: string | false = await exec("promtool", ["--version"]).then(
  () => false as const,
  () => "PROMTOOL TESTS SKIPPED: install prometheus",
);
if (noPromtool !== false) console.error(noPromtool);

/** Where an expression stands, and the expression. */
type Expression = readonly [where: string, text: string];

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly gridPos: {
    readonly x: number;
    readonly y: number;
    readonly w: number;
    readonly h: number;
  };
  readonly targets: readonly { readonly expr: string }[];
}

const dashboard: { readonly panels: readonly Panel[] } = JSON.parse(
  await readFile(DASHBOARD, "utf8"),
);
const rules: readonly { readonly alert: string; readonly expr: string }[] =
  parseYaml.parse(await readFile(RULES, "utf8")).groups[0].rules;

const EXPRESSIONS: readonly Expression[] = [
  ...dashboard.panels.flatMap(({ title, targets }) =>
    targets.map(({ expr }): Expression => [title, expr])
  ),
  ...rules.map(({ alert, expr }): Expression => [alert, expr]),
];

/** What Prometheus adds by itself. */
const OWN_METRICS = ["up"];
const OWN_LABELS = ["instance", "job", "le"];

/** The labels of each metric that `/metrics` writes, by its name; histograms by the names of their parts. */
async function written(): Promise<ReadonlyMap<string, readonly string[]>> {
  const counted = metrics();
  const { registry } = counted;
  const known = new Map<string, readonly string[]>();
  const lines = await counted.text();
  for (const [, name = "", type] of lines.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const metric = registry.getSingleMetric(name) as unknown as { labelNames?: readonly string[] };
    const labels = metric.labelNames ?? HISTOGRAM_LABELS;
    const parts = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    for (const part of parts) known.set(`${name}${part}`, labels);
  }
  return known;
}

/** Those of the docs' table. */
const HISTOGRAM_LABELS = [
  "mcp_method_name",
  "gen_ai_tool_name",
  "gen_ai_prompt_name",
  "gen_ai_operation_name",
  "mcp_protocol_version",
  "network_transport",
  "network_protocol_name",
  "error_type",
  "rpc_response_status_code",
  "mooring_upstream",
];

describe("the Grafana dashboard and the alert rules", () => {
  test("[TEL-12] each metric and each label that they name is written", async () => {
    const known = await written();
    assert.ok(EXPRESSIONS.length > 30);
    const used = new Set<string>();
    for (const [where, text] of EXPRESSIONS) {
      const values = text.replaceAll(/\bby \([^)]*\)/g, "");
      const names = [...values.matchAll(/\b((?:mooring|mcp)_\w+|up)(?=\{|\[|\)| ==| >)/g)]
        .map(([, name = ""]) => name);
      assert.ok(names.length > 0, `${where}: ${text}`);
      const labels = [...OWN_LABELS];
      for (const name of names) {
        if (OWN_METRICS.includes(name)) continue;
        assert.ok(known.has(name), `${where} names ${name}, which /metrics doesn't write`);
        labels.push(...known.get(name) ?? []);
        used.add(name);
      }
      const named = [
        ...[...text.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(/,\s*/)),
        ...[...text.matchAll(/[{,]\s*(\w+)(?:=~|!~|!=|=)/g)].map(([, label = ""]) => label),
      ];
      for (const label of named) assert.ok(labels.includes(label), `${where}: label ${label}`);
    }
    // A metric that nobody looks at has no panel: then it is left out here on purpose.
    const shown = [...known.keys()].filter((name) => !/_(bucket|sum|count)$/.test(name));
    assert.deepEqual(shown.filter((name) => !used.has(name)), ["mooring_upstreams"]);
  });

  test("[TEL-12] the panels have a title and a description of their own, and lie beside each other", () => {
    const { panels } = dashboard;
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length);
    for (const [index, { title, description, gridPos: { x, y, w, h } }] of panels.entries()) {
      assert.ok(title !== "" && description !== "");
      assert.ok(x + w <= 24, title);
      for (const { gridPos: other } of panels.slice(index + 1)) {
        const apart = other.x >= x + w || x >= other.x + other.w || other.y >= y + h ||
          y >= other.y + other.h;
        assert.ok(apart, title);
      }
    }
  });

  test("[TEL-12] promtool takes the rules and every expression, and the alerts fire", {
    skip: noPromtool,
  }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "ops-"));
    try {
      const path = fileURLToPath(RULES);
      const { stdout } = await exec("promtool", ["check", "rules", path]);
      assert.match(stdout, new RegExp(`${rules.length} rules found`));
      const tests = (await readFile(RULE_TESTS, "utf8")).replace("RULES", path);
      await writeFile(join(folder, "test.yaml"), tests);
      await exec("promtool", ["test", "rules", join(folder, "test.yaml")]);
      const recorded = EXPRESSIONS.map(([, text], index) => ({
        record: `panel_${index}`,
        expr: text.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".*"),
      }));
      await writeFile(
        join(folder, "panels.yaml"),
        JSON.stringify({ groups: [{ name: "panels", rules: recorded }] }),
      );
      await exec("promtool", ["check", "rules", join(folder, "panels.yaml")]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
