/**
 * `mooring serve --metrics`: what Prometheus reads, apart from the endpoint.
 *
 * @module
 */
import parse from "parse-prometheus-text-format";
import assert from "node:assert/strict";
import { request } from "node:http";
import { test } from "node:test";
import { metricsAddress } from "../../src/cli/serve/metrics_address.ts";
import { counter, COUNTER_LINE, reach, run, serving, textOf, withConfig } from "./program.ts";

const SCRAPE = /"scrape":"([^"]+)"/;
const ENDPOINT = /"event":"listening","url":"([^"]+)"/;

/** Sends a GET with a Host header of its own. */
function statusFor(url: string, host: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    }).on("error", reject).end();
  });
}

test("[TEL-9] an address is a port, a host and a port, or true; only this machine by default", () => {
  const local = "127.0.0.1";
  const addresses: [unknown, string | undefined, number?][] = [
    [true, local, 9_464],
    ["9100", local, 9_100],
    [9_100, local, 9_100],
    [":9100", local, 9_100],
    ["0.0.0.0:9100", "0.0.0.0", 9_100],
    ["[::1]:0", "[::1]", 0],
    ...["", "x", "host:", "host:port", ":65536", "http://x:1", "a b:1", -1, 1.5, {}, null]
      .map((value): [unknown, undefined] => [value, undefined]),
  ];
  for (const [value, hostname, port] of addresses) {
    const expected = hostname === undefined ? undefined : { hostname, port };
    assert.deepEqual(metricsAddress(value), expected, JSON.stringify(value));
  }
});

test("[TEL-9] metrics are served apart from the endpoint, under the names of this machine", () =>
  withConfig(
    { mcpServers: { one: counter("one") }, metrics: "0", listWaitMs: 30_000 },
    (file) =>
      serving(["--config", file], async (program) => {
        const [, scrape = ""] = await program.until(SCRAPE);
        const [, url = ""] = await program.until(ENDPOINT);
        await using all = await reach(url);
        assert.equal(await textOf(all, "one__count"), "1");
        const response = await fetch(scrape);
        assert.equal(response.status, 200);
        const text = await response.text();
        const families: { name: string }[] = parse(text);
        const names = new Set(families.map(({ name }) => name));
        assert.ok(names.has("mcp_server_operation_duration_seconds"));
        assert.match(
          text,
          /^mcp_client_operation_duration_seconds_count\{.*mooring_upstream="one"/m,
        );
        assert.match(text, /^mooring_sessions\{endpoint="all"\} 1$/m);
        assert.match(text, /^mooring_upstream_up\{upstream="one"\} 1$/m);
        assert.equal((await fetch(new URL("/metrics", url))).status, 404, "not at the endpoint");
        assert.equal((await fetch(new URL("/other", scrape))).status, 404);
        assert.equal((await fetch(scrape, { method: "POST" })).status, 405);
        assert.equal(await statusFor(scrape, "attacker.example"), 403);
        assert.equal(await statusFor(scrape, "localhost:1"), 200);
      }),
  ));

test("[TEL-9] a wrong or taken address is refused with what to do", async () => {
  const { code, err } = await run(["serve", "--stdio", COUNTER_LINE, "--metrics", "x"]);
  assert.equal(code, 2);
  assert.match(err, /--metrics: Give a port, or "HOST:PORT", or true/);
  await serving(["--stdio", COUNTER_LINE, "--metrics", "0"], async (program) => {
    const [, scrape = ""] = await program.until(SCRAPE);
    const { port } = new URL(scrape);
    const second = await run(["serve", "--stdio", COUNTER_LINE, "--port", "0", "--metrics", port]);
    assert.equal(second.code, 1);
    assert.match(second.err, /--metrics/);
  });
});
