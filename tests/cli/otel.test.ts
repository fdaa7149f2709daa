/**
 * `mooring serve --otel`: what a collector receives, and what happens without one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { otelSecrets, startOtel } from "../../src/cli/serve/otel.ts";
import { otlpReceiver } from "../support/otlp.ts";
import { counter, COUNTER_LINE, reach, run, serving, textOf, withConfig } from "./program.ts";

const JSON_ENV = { OTEL_EXPORTER_OTLP_PROTOCOL: "http/json" };

/** A port of this machine on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : assert.fail();
}

describe("mooring serve --otel", () => {
  test("[TEL-11] spans and histograms of clients and upstreams arrive, the last ones at the end", async () => {
    await using received = await otlpReceiver();
    const env = {
      ...JSON_ENV,
      OTEL_EXPORTER_OTLP_ENDPOINT: received.url,
      OTEL_EXPORTER_OTLP_HEADERS: "x-api-key=k3y-0123456789,x-tenant=blue",
      OTEL_SERVICE_NAME: "tickets",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test,service.name=lost",
      // Nothing is exported before the end.
      OTEL_BSP_SCHEDULE_DELAY: "600000",
      OTEL_METRIC_EXPORT_INTERVAL: "600000",
    };
    await withConfig(
      { mcpServers: { one: counter("one") }, otel: true, events: { nodeName: "north" } },
      (file) =>
        serving(["--config", file], async (program, url) => {
          const client = await reach(url);
          assert.equal(await textOf(client, "one__count"), "1");
          await client.close();
          await program.until(/"event":"otel","endpoint":"http:\/\/127\.0\.0\.1:\d+"/);
          assert.equal(received.spans.length, 0);
          program.signal("SIGTERM");
          await program.ended;
          assert.doesNotMatch(program.err + program.out, /k3y-0123456789|otel-failed/);
        }, env),
    );
    assert.deepEqual(received.problems, []);
    const call = received.spans.find(({ name }) => name === "tools/call one__count");
    assert.equal(call?.kind, "server");
    const upstream = received.spans.find(({ name }) => name === "tools/call count");
    assert.deepEqual(
      [upstream?.kind, upstream?.traceId, upstream?.parentSpanId],
      ["client", call?.traceId, call?.spanId],
    );
    const { resource } = received;
    assert.deepEqual(
      ["service.name", "service.instance.id", "deployment.environment.name"]
        .map((name) => resource[name]),
      ["tickets", "north", "test"],
    );
    assert.ok(received.metrics.has("mcp.server.operation.duration"));
    assert.ok(received.metrics.has("mcp.client.operation.duration"));
    for (const { headers } of received.requests) {
      assert.equal(headers["x-api-key"], "k3y-0123456789");
    }
  });

  test("[TEL-11] the protocol, the sampler and the signals are those of the variables", async () => {
    const cases: readonly (readonly [Record<string, string>, readonly string[], string])[] = [
      [{}, ["/v1/metrics", "/v1/traces"], "application/x-protobuf"],
      [
        { OTEL_EXPORTER_OTLP_PROTOCOL: "http/protobuf" },
        ["/v1/metrics", "/v1/traces"],
        "application/x-protobuf",
      ],
      [JSON_ENV, ["/v1/metrics", "/v1/traces"], "application/json"],
      [{ ...JSON_ENV, OTEL_TRACES_EXPORTER: "none" }, ["/v1/metrics"], "application/json"],
      [{ ...JSON_ENV, OTEL_METRICS_EXPORTER: "none" }, ["/v1/traces"], "application/json"],
      [{ ...JSON_ENV, OTEL_TRACES_SAMPLER: "always_off" }, ["/v1/metrics"], "application/json"],
      [
        { ...JSON_ENV, OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" },
        ["/v1/metrics"],
        "application/json",
      ],
      [{ OTEL_SDK_DISABLED: "true" }, [], ""],
    ];
    for (const [env, paths, type] of cases) {
      await using received = await otlpReceiver();
      const args = ["--stdio", COUNTER_LINE, "--otel"];
      await serving(args, async (_program, url) => {
        const client = await reach(url);
        await textOf(client, "count");
        await client.close();
      }, { OTEL_EXPORTER_OTLP_ENDPOINT: received.url, ...env });
      const label = JSON.stringify(env);
      assert.deepEqual(
        [...new Set(received.requests.map(({ path }) => path))].sort(),
        paths,
        label,
      );
      for (const { headers, bytes } of received.requests) {
        assert.equal(headers["content-type"], type, label);
        assert.ok(bytes > 50);
      }
    }
  });

  test("[TEL-11] a collector that is away costs one line of the log, and nothing of the service", async () => {
    const port = await freePort();
    const env = {
      ...JSON_ENV,
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_EXPORTER_OTLP_TIMEOUT: "200",
      OTEL_BSP_SCHEDULE_DELAY: "20",
      OTEL_METRIC_EXPORT_INTERVAL: "50",
    };
    await serving(["--stdio", COUNTER_LINE, "--otel"], async (program, url) => {
      const client = await reach(url);
      await textOf(client, "count");
      await program.until(/"event":"otel-failed","message":"Exports fail, and serving continues: /);
      for (let count = 2; count < 30; count++) {
        assert.equal(await textOf(client, "count"), `${count}`);
      }
      assert.equal(program.err.match(/otel-failed/g)?.length, 1);
      // It comes back, and gets what is made from then on.
      await using received = await otlpReceiver(port);
      for (let tries = 0; !/"event":"otel-works"/.test(program.err); tries++) {
        assert.ok(tries < 600, program.err);
        await textOf(client, "count");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.equal(program.err.match(/otel-failed/g)?.length, 1);
      await client.close();
      program.signal("SIGTERM");
      await program.ended;
      assert.ok(received.spans.some(({ name }) => name === "tools/call count"));
    }, env);
  });

  test("[TEL-11] a wrong variable is an error that names it, and no secret is shown", async () => {
    const cases: readonly (readonly [string, string, RegExp])[] = [
      [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "grpc",
        /Give one of http\/protobuf, http\/json as OTEL_EXPORTER_OTLP_PROTOCOL/,
      ],
      ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "x", /as OTEL_EXPORTER_OTLP_TRACES_PROTOCOL/],
      ["OTEL_TRACES_EXPORTER", "jaeger", /Give one of otlp, none as OTEL_TRACES_EXPORTER/],
      ["OTEL_TRACES_SAMPLER", "jaeger_remote", /as OTEL_TRACES_SAMPLER/],
      ["OTEL_BSP_SCHEDULE_DELAY", "soon", /Give a whole number above 0 as OTEL_BSP_SCHEDULE_DELAY/],
    ];
    for (const [name, value, message] of cases) {
      const start = startOtel({ env: { [name]: value }, node: "north", log: () => {} });
      await assert.rejects(start, message);
    }
    const ratio = { OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "2" };
    await assert.rejects(startOtel({ env: ratio, node: "north", log: () => {} }), /from 0 to 1/);
    const { code, err } = await run(["serve", "--stdio", COUNTER_LINE, "--port", "0", "--otel"], {
      OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
    });
    assert.equal(code, 1);
    assert.match(err, /OTEL_EXPORTER_OTLP_PROTOCOL/);
    const secrets = otelSecrets({
      OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc123456,x=plain-0123",
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: "x-api-key=t0ken-99",
    });
    for (const secret of ["abc123456", "plain-0123", "t0ken-99"]) {
      assert.ok(secrets.includes(secret));
    }
  });

  test("[TEL-11, TEL-10] packages that aren't installed are named, with the command that installs them", async () => {
    const load = () => Promise.reject(new Error("Cannot find package"));
    const start = (env: Record<string, string>) =>
      startOtel({ env, node: "north", log: () => {}, load });
    await assert.rejects(start({}), {
      message: "Install the packages that --otel needs: npm install @opentelemetry/api " +
        "@opentelemetry/context-async-hooks @opentelemetry/core @opentelemetry/resources " +
        "@opentelemetry/sdk-metrics @opentelemetry/sdk-trace " +
        "@opentelemetry/exporter-trace-otlp-proto @opentelemetry/exporter-metrics-otlp-proto",
    });
    await assert.rejects(
      start(JSON_ENV),
      /exporter-trace-otlp-http \S+exporter-metrics-otlp-http$/,
    );
  });
});
