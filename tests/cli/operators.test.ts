/**
 * Operators with names, and what the file says about events: `mooring serve`, `mooring top`, and `mooring stdio`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { Secrets } from "../../src/cli/redact.ts";
import { DashboardServer } from "../../src/cli/serve/dashboard.ts";
import { eventOptions } from "../../src/cli/serve/events.ts";
import { proxiedOperator } from "../../src/cli/serve/proxied_operator.ts";
import type { Config } from "../../src/cli/config/schema.ts";
import { settingsOf } from "../../src/cli/config/settings.ts";
import { hashedAddresses } from "../../src/audit/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { connect } from "../../src/testing/mod.ts";
import { PipedChild } from "../support/piped_child.ts";
import { Stub, text } from "../support/wire.ts";
import { counter, reach, run, serving, textOf, withConfig } from "./program.ts";

const ADA = "ada-operator-0123456789";
const GRACE = "grace-operator-0123456789";
const OPERATORS = { ada: "${ADA_TOKEN}", "grace hopper": "${GRACE_TOKEN}" };
const ENV = { ADA_TOKEN: ADA, GRACE_TOKEN: GRACE };

/** Starts the dashboard of a configuration in this process. */
async function dashboardOf(config: Config["dashboard"], operators?: Config["operators"]) {
  const server = await DashboardServer.start({
    config: config === true || config === undefined ? { port: 0 } : { port: 0, ...config },
    operators,
    node: "north",
    redact: new Secrets().redact,
    log: () => {},
  });
  const handler = createMcpHandler(new Stub({ greet: () => text("Hello, s3cret result") }));
  server.add("/mcp", handler);
  return {
    server,
    handler,
    get: (path: string, headers: Record<string, string> = {}) =>
      fetch(new URL(path, server.url), { headers }),
    async close() {
      await server.close();
      await handler.close();
    },
  };
}

describe("operators of the command", () => {
  test("[OPR-15] the page, top and the trail say which operator it was, and no token is written", () =>
    withConfig(
      {
        mcpServers: { one: counter("one") },
        dashboard: { port: 0 },
        operators: OPERATORS,
        events: { nodeName: "north" },
      },
      (file) => {
        const trail = join(dirname(file), "audit.jsonl");
        return serving(["--config", file, "--audit", trail], async (program, url) => {
          const [, page = ""] = await program.until(/"event":"dashboard","url":"([^"]+)"/);
          await program.until(/sign in with their tokens/);
          assert.doesNotMatch(program.out, /#[\w-]{43}/);
          const client = await reach(url);
          await textOf(client, "one__count");
          const bearer = { authorization: `Bearer ${ADA}` };
          const hello = await (await fetch(new URL("session", page), { headers: bearer })).json();
          assert.equal(hello.operator, "ada");
          const snapshot = await (await fetch(new URL("snapshot", page), { headers: bearer }))
            .json();
          const [{ session, node }] = [{ ...snapshot.sessions[0], node: snapshot.nodes[0].node }];
          assert.equal(node, "north");
          const response = await fetch(new URL("act", page), {
            method: "POST",
            headers: {
              ...bearer,
              "content-type": "application/json",
              "x-mooring-operator": hello.token,
            },
            body: JSON.stringify({ act: "end-session", session }),
          });
          assert.equal((await response.json()).ok, true);
          // Another operator sees in a terminal who it was.
          const top = await run(["top", page, "--token-env", "GRACE_TOKEN", "--once"], ENV);
          assert.equal(top.code, 0, top.err);
          const line = new RegExp(`\\d\\d:\\d\\d:\\d\\d ada +end-session +${session} +The session`);
          assert.match(top.out, line);
          await program.until(/"event":"operator-act".*"operator":"ada"/);
          const wrong = await run(["top", page, "--token-env", "GRACE_TOKEN", "--once"], {
            GRACE_TOKEN: "some-other-token-0123456789",
          });
          assert.equal(wrong.code, 1);
          await program.until(/"event":"operator-refused".*"address":"127\.0\.0\.1"/);
          await client.close().catch(() => {});
          program.signal("SIGTERM");
          await program.ended;
          const lines = (await readFile(trail, "utf8")).trim().split("\n");
          const act = lines.map((line) => JSON.parse(line)).find(({ act }) => act === "operator");
          assert.deepEqual([act.operator, act.action], ["ada", "end-session"]);
          assert.ok(
            lines.some((line) => JSON.parse(line).act === "operator-refused"),
            lines.join(),
          );
          assert.doesNotMatch(program.out + program.err + lines.join(), /operator-0123456789/);
        }, ENV);
      },
    ));

  test("[OPR-15] operators need the dashboard, and take the place of its links and its token", async () => {
    const named = await dashboardOf(true, { ada: ADA });
    assert.equal(named.server.link(), undefined);
    assert.equal((await named.get("snapshot")).status, 401);
    const bearer = { authorization: `Bearer ${ADA}` };
    assert.equal((await named.get("snapshot", bearer)).status, 200);
    await named.close();
    const unnamed = await dashboardOf({ token: ADA });
    assert.match(unnamed.server.link() ?? "", /#[\w-]{43}$/);
    const { operator } = await (await unnamed.get("session", bearer)).json();
    assert.equal(operator, "token");
    await unnamed.close();
  });
});

describe("a proxy that signs operators in", () => {
  const HEADER = { "x-forwarded-user": "ada" };

  test("[OPR-15] its header counts only from where the file says, and not at all by default", async () => {
    const cases: readonly (readonly [Config["dashboard"], number])[] = [
      [true, 401],
      [{ proxy: { header: "x-forwarded-user", from: ["10.0.0.0/8", "::1"] } }, 401],
      [{ proxy: { header: "x-remote-user", from: ["127.0.0.1"] } }, 401],
      [{ proxy: { header: "x-forwarded-user", from: ["127.0.0.0/8"] } }, 200],
      [{ proxy: { header: "X-Forwarded-User", from: ["127.0.0.1"] } }, 200],
    ];
    for (const operators of [undefined, { grace: GRACE }]) {
      for (const [config, status] of cases) {
        const { get, close } = await dashboardOf(config, operators);
        const response = await get("session", HEADER);
        assert.equal(response.status, status, JSON.stringify(config));
        if (status === 200) assert.equal((await response.json()).operator, "ada");
        // Whoever comes without the header signs in as ever.
        const other = await get("session", { authorization: `Bearer ${GRACE}` });
        assert.equal(other.status, operators === undefined ? 401 : 200);
        await close();
      }
    }
  });

  test("[OPR-15] two names, none, and one that is too long are nobody", () => {
    const named = proxiedOperator({ header: "x-user", from: ["192.0.2.1", "2001:db8::/32"] });
    const from = (remoteAddress: string | undefined, name?: string) => {
      const headers = new Headers(name === undefined ? [] : [["x-user", name]]);
      const request = new Request("http://localhost/", { headers });
      return named(request, { env: { incoming: { socket: { remoteAddress } } } })?.id;
    };
    assert.equal(from("192.0.2.1", " ada@example "), "ada@example");
    assert.equal(from("::ffff:192.0.2.1", "ada"), "ada");
    assert.equal(from("2001:db8::7", "ada"), "ada");
    for (const name of [undefined, "", "  ", "mallory, ada", "x".repeat(101)]) {
      assert.equal(from("192.0.2.1", name), undefined, name);
    }
    for (const address of [undefined, "192.0.2.2", "2001:db9::7", "127.0.0.1", "not an address"]) {
      assert.equal(from(address, "ada"), undefined, address);
    }
  });

  test("[OPR-15] the dashboard answers under the hosts of the proxy", async () => {
    const { server, close } = await dashboardOf({ allowedHosts: ["ops.example"] });
    const response = await fetch(server.url);
    assert.equal(response.status, 403);
    await response.body?.cancel();
    await close();
  });
});

describe("what the file says about events and records", () => {
  const ask = (config: Partial<Config>, headers: Record<string, string> = {}) => {
    const { address } = eventOptions({ mcpServers: {}, ...config }, "north");
    if (typeof address !== "function") return address;
    return address("2001:db8:7:8::9", new Request("http://localhost/", { headers }));
  };

  test("[OPR-16] addresses of senders are whole, short, hashed or left out, behind a proxy too", () => {
    const forwarded = { "x-forwarded-for": "203.0.113.9, 198.51.100.7" };
    const secret = "0123456789abcdef0123456789abcdef";
    const rateLimit = { perSecond: 1, header: "x-forwarded-for" };
    assert.equal(ask({}), "2001:db8:7:8::9");
    // What a client writes by itself counts for nothing.
    assert.equal(ask({}, forwarded), "2001:db8:7:8::9");
    assert.equal(ask({ events: { address: "short" } }), "2001:db8:7::/48");
    assert.equal(ask({ events: { address: "none" } }), "none");
    assert.equal(ask({ rateLimit }, forwarded), "198.51.100.7");
    assert.equal(ask({ rateLimit }), "2001:db8:7:8::9");
    assert.equal(
      ask({ events: { address: "short", addressHeader: "x-forwarded-for" } }, forwarded),
      "198.51.100.0/24",
    );
    const hashed = ask({ secret, events: { address: "hashed" } });
    assert.match(hashed ?? "", /^[0-9a-f]{16}$/);
    const other = hashedAddresses({ secret })("2001:db8:7:8::9", new Request("http://localhost/"));
    assert.equal(hashed, other, "Nodes with one secret write the same");
    assert.notEqual(ask({ events: { address: "hashed" } }), hashed);
  });

  test("[OPR-12] a node has one name: that of the file, or its machine and port", () => {
    const nodeOf = (config: Partial<Config>) =>
      settingsOf({ config: { mcpServers: {}, ...config }, alone: undefined, noAuth: false }).node;
    assert.equal(nodeOf({ events: { nodeName: "north" } }), "north");
    assert.equal(nodeOf({ port: 8_123 }), `${hostname()}:8123`.slice(-100));
    assert.equal(nodeOf({ port: 0 }), `${hostname()}:${process.pid}`.slice(-100));
    assert.equal(eventOptions({ mcpServers: {} }, "north").nodeName, "north");
  });

  test("[OPR-12, OPR-16] the log, the trail, the page and the metrics have that name, and the address", () =>
    withConfig(
      {
        mcpServers: { one: counter("one") },
        auth: { tokens: [{ id: "ada", token: "ada-token-0123456789" }] },
        dashboard: { port: 0, token: "an operator's token" },
        events: { nodeName: "north", address: "short" },
        metrics: "0",
      },
      (file) => {
        const trail = join(dirname(file), "audit.jsonl");
        return serving(["--config", file, "--audit", trail], async (program, url) => {
          const [, page = ""] = await program.until(/"event":"dashboard","url":"([^"]+)"/);
          const [, scrape = ""] = await program.until(/"scrape":"([^"]+)"/);
          await (await fetch(url, { method: "POST", body: "{}" })).text();
          const client = await reach(url, {
            headers: { authorization: "Bearer ada-token-0123456789" },
          });
          await textOf(client, "one__count");
          await program.until(/"event":"refused".*"address":"127\.0\.0\.0\/24"/);
          await program.until(/"event":"request-finished".*"node":"north"/);
          const headers = { authorization: "Bearer an operator's token" };
          const { nodes } = await (await fetch(new URL("snapshot", page), { headers })).json();
          assert.equal(nodes[0].node, "north");
          assert.match(await (await fetch(scrape)).text(), /mooring_node_info\{node="north"\} 1/);
          await client.close();
          program.signal("SIGTERM");
          await program.ended;
          const lines = (await readFile(trail, "utf8")).trim().split("\n")
            .map((line) => JSON.parse(line));
          assert.equal(lines.find(({ act }) => act === "refused").address, "127.0.0.0/24");
          assert.ok(lines.every(({ node }) => node === undefined || node === "north"));
          assert.ok(lines.some(({ act, node }) => act === "call" && node === "north"));
        });
      },
    ));

  test("[OPR-16] on pipes they hold too, and operators have no effect there", () =>
    withConfig(
      {
        mcpServers: { one: counter("one") },
        dashboard: true,
        operators: { ada: ADA },
        events: { nodeName: "north", address: "hashed" },
        logLevel: "debug",
      },
      async (file) => {
        await using child = new PipedChild("../src/cli/main.ts", [
          ...["stdio", "--config", file, "--log", "json"],
        ]).read();
        await child.initialize();
        await child.call(1, "one__count");
        await child.until(() => /"node":"north"/.test(child.errors), "the name in the log");
        assert.match(child.errors, /"not-honoured".*"keys":\["dashboard","operators"\]/);
        child.closeInput();
        assert.equal(await child.ended, 0, child.errors);
      },
    ));

  test("[OPR-16] arguments and results are kept only if the file says so, and cut", async () => {
    const found = async (config: Config["dashboard"]) => {
      const { get, handler, close } = await dashboardOf(config, { ada: ADA });
      {
        await using client = await connect(handler);
        await client.callTool("greet", { long: "x".repeat(10_000) });
      }
      const response = await get("recent?tool=greet", { authorization: `Bearer ${ADA}` });
      const { calls: [call] } = await response.json();
      await close();
      return call;
    };
    const plain = await found(true);
    assert.deepEqual([plain.arguments, plain.result], [undefined, undefined]);
    const kept = await found({ recordArguments: true, recordResults: true });
    assert.match(kept.arguments, /^\{"long":"xxx/);
    assert.ok(kept.arguments.length <= 2_001);
    assert.match(kept.result, /s3cret result/);
  });
});
