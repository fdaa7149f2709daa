/**
 * Deno's own OpenTelemetry, which exports without an SDK.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { otlpReceiver, type ReceivedSpan } from "../support/otlp.ts";
import { runtime } from "../runtimes/runtime.ts";

const model = JSON.parse(
  await readFile(new URL("../fixtures/mcp_conventions.json", import.meta.url), "utf8"),
);
const PROGRAM = fileURLToPath(new URL("./deno_program.ts", import.meta.url));
const LONGEST_MS = 50_000;

// The runtime that has it
if (runtime === "deno") {
  test("[TEL-4, TEL-5] OTEL_DENO=true exports the same spans and histograms", async () => {
    await using received = await otlpReceiver();
    await promisify(execFile)(process.execPath, ["run", "-A", "--no-check", "--quiet", PROGRAM], {
      timeout: LONGEST_MS,
      env: {
        ...process.env,
        OTEL_DENO: "true",
        OTEL_DENO_CONSOLE: "ignore",
        OTEL_EXPORTER_OTLP_ENDPOINT: received.url,
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      },
    });
    assert.deepEqual(received.problems, []);
    const { spans } = received;
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const adding = spans.find(({ name }) => name === "adding") ?? assert.fail("no handler's span");
    const way: unknown[] = [];
    for (let span: ReceivedSpan | undefined = adding; span; span = byId.get(span.parentSpanId)) {
      way.push([span.name, span.kind]);
    }
    assert.deepEqual(way.reverse(), [
      ["client", "client"],
      ["tools/call far__add", "server"],
      ["tools/call add", "client"],
      ["tools/call add", "server"],
      ["adding", "internal"],
    ]);
    const calls = spans.filter(({ attributes, traceId }) =>
      traceId === adding.traceId && attributes["mcp.method.name"] === "tools/call"
    );
    assert.equal(calls.length, 3, "nothing is exported twice");
    // The far endpoint's HTTP span, which Deno makes itself, is a link
    const far = calls.find(({ name, kind }) => name === "tools/call add" && kind === "server");
    const linked = far?.links.map(({ spanId }) => byId.get(spanId)?.name);
    assert.deepEqual(linked, ["POST"]);
    for (const { name, unit, buckets } of model.metrics) {
      const metric = received.metrics.get(name) ?? assert.fail(`${name} is missing`);
      assert.equal(metric.unit, unit);
      assert.ok(metric.points.every(({ bounds }) => bounds.join() === buckets.join()));
    }
  });
}
