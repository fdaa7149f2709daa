import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { bodyOf, Connection } from "../../../bench/connection.ts";
import { NETWORK_KINDS, readNetworkOptions } from "../../../bench/network_options.ts";
import { fits, networkTable, type Row } from "../../../bench/network_table.ts";
import { cpuMsIn, PROXY_NAMES, proxyArgs } from "../../../bench/proxies.ts";
import { counting } from "../../../bench/redis_client.ts";
import type { NodeRedisClient } from "../../../src/redis/mod.ts";

test("without options everything on the network is measured on Deno", () => {
  assert.deepEqual(readNetworkOptions([]), {
    runtimes: ["deno"],
    kinds: NETWORK_KINDS,
    json: undefined,
  });
});

test("options narrow what is measured on the network", () => {
  const options = readNetworkOptions(["--runtime=node,bun", "--kind", "redis-2", "--json", "f"]);
  assert.deepEqual(options, { runtimes: ["node", "bun"], kinds: ["redis-2"], json: "f" });
  assert.throws(() => readNetworkOptions(["--kind", "redis-4"]), /kind that there is: redis-4/);
  assert.throws(() => readNetworkOptions(["--runtime", "toString"]), /runtime that there is/);
});

test("a figure is marked where something is asked of it, at most or at least", () => {
  const row = (value: number, asked: Partial<Row>): Row => ({
    what: "it",
    value,
    unit: "times",
    ...asked,
  });
  assert.equal(fits(row(1, {})), undefined);
  assert.equal(fits(row(1.15, { most: 1.15 })), true);
  assert.equal(fits(row(1.16, { most: 1.15 })), false);
  assert.equal(fits(row(5, { least: 5 })), true);
  assert.equal(fits(row(4.9, { least: 5 })), false);
  assert.equal(fits(row(NaN, { least: 5 })), false);
});

test("figures of the network are said in their unit", () => {
  const table = networkTable("deno", [
    { what: "waits", value: 1, unit: "number", most: 1 },
    { what: "share", value: 0.314, unit: "share" },
    { what: "times", value: 4.05, unit: "times", least: 5 },
    { what: "rate", value: 1234.5, unit: "rate" },
    { what: "time", value: 0.491, unit: "ms" },
  ]);
  assert.deepEqual(table.split("\n"), [
    "| deno | |",
    "| --- | ---: |",
    "| waits | 1.00 ✓ |",
    "| share | 31 % |",
    "| times | × 4.05 ✗ |",
    "| rate | 1235/s |",
    "| time | 0.49 ms |",
  ]);
});

function fakeRedis(): NodeRedisClient {
  return {
    isReady: true,
    on() {},
    sendCommand: ([command]) =>
      command === "FAIL" ? Promise.reject(new Error("Refused")) : Promise.resolve(null),
    duplicate() {
      throw new Error("Subscribe elsewhere");
    },
  };
}

test("commands are counted, and answers are kept back together", async () => {
  const counted = counting(fakeRedis());
  assert.equal(await counted.client.sendCommand(["GET", "a"]), null);
  assert.equal(counted.sent, 1);
  counted.delayMs = 30;
  const begin = performance.now();
  await Promise.all([counted.client.sendCommand(["GET"]), counted.client.sendCommand(["GET"])]);
  const ms = performance.now() - begin;
  assert.ok(ms >= 29, `${ms}`);
  assert.equal(counted.sent, 3);
});

test("an error of Redis stays one when it is kept back", async () => {
  const counted = counting(fakeRedis());
  counted.delayMs = 1;
  await assert.rejects(counted.client.sendCommand(["FAIL"]), /Refused/);
});

test("every other gateway is given the port and the program, with sessions", () => {
  const all = PROXY_NAMES.map((name) => proxyArgs(name, 1234, ["/bin/node", "/a b.ts"]).join(" "));
  assert.deepEqual(PROXY_NAMES, ["supergateway", "mcp-proxy"]);
  assert.ok(all.every((args) => args.includes("--port 1234")));
  assert.match(all[0] ?? "", /--stateful .*--stdio "\/bin\/node" "\/a b.ts"$/);
  assert.match(all[1] ?? "", /-- \/bin\/node \/a b.ts$/);
});

test("a connection gives whole answers, and fails when the server has closed it", async () => {
  const server = createServer((_, response) => {
    response.write("data: one\n\n");
    response.end("data: two\n\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo; // it listens on a port
  const connection = new Connection(port, () => "GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  assert.equal(bodyOf(await connection.ask()), "data: one\n\ndata: two\n\n");
  assert.equal(bodyOf(await connection.ask()), "data: one\n\ndata: two\n\n");
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await assert.rejects(connection.ask());
});

test("processor time is read whatever a program is called", () => {
  const stat = "42 (a) 1 (b) S 1 42 42 0 -1 4194560 7 0 0 0 123 77 5 6 20 0 7 0 100";
  assert.equal(cpuMsIn(stat), 2_000);
});
