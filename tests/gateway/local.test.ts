import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { McpServer } from "../../mod.ts";
import { local } from "../../src/gateway/mod.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type {
  Dispatcher,
  DispatcherHost,
  Exchange,
  SessionState,
} from "../../src/protocol/exchange.ts";
import { Opened } from "../contracts/upstream.ts";
import { routing } from "../support/routes.ts";

/** A server that answers as it is told, besides its introduction. */
function serverOf(answer: (exchange: Exchange) => unknown, more: Partial<Dispatcher> = {}) {
  return local({
    route: routing(async (exchange) => {
      if (exchange.method !== "initialize") {
        return await answer(exchange) as Record<string, unknown>;
      }
      return {
        protocolVersion: exchange.protocolVersion,
        capabilities: {},
        serverInfo: { name: "told", version: "1.0.0" },
      };
    }),
    ...more,
  });
}

describe("local()", () => {
  test("[GTW-9] takes servers and nothing else, and no two are the same", () => {
    // What JavaScript lets through
    assert.throws(() => local({} as Dispatcher), TypeError);
    const server = new McpServer({ name: "demo", version: "1.0.0" });
    assert.notEqual(local(server).identity, local(server).identity);
  });

  test("[GTW-1] a session's state, subscriptions and level are its own", async () => {
    const states: SessionState[] = [];
    const upstream = serverOf(async ({ session, params }) => {
      assert.ok(session);
      states.push(session.state);
      await session.setLogLevel("error");
      const value = { list: [1] };
      await session.state.set("key", value);
      value.list.push(2);
      return {
        kept: await session.state.get("key"),
        subscribed: await session.subscribe(String(params.uri)),
        level: session.logLevel,
      };
    });
    const [a, b] = [await Opened.open(upstream), await Opened.open(upstream)];
    assert.deepEqual(await a.request("x", { uri: "r://1" }), {
      kept: { list: [1] },
      subscribed: "subscribed",
      level: "error",
    });
    await b.request("x", { uri: "r://1" });
    const [first, second] = states;
    await first?.set("key", "mine");
    assert.deepEqual(await second?.get("key"), { list: [1] });
    await first?.delete("key");
    assert.equal(await first?.get("key"), undefined);
    await Promise.all([a.session.close(), b.session.close()]);
  });

  test("[GTW-1] [SES-12] what is kept for a session is bounded", async () => {
    const upstream = serverOf(async ({ session }) => {
      assert.ok(session);
      for (let n = 0; n < 1000; n++) {
        await session.state.set(`key ${n}`, "x".repeat(50));
        await session.subscribe(`r://${n}`);
      }
      await session.state.set("key 0", "y".repeat(50));
      await session.state.set("rest", "x".repeat(65_536 - 6 - 1_000 * 52 - 6_890));
      await assert.rejects(session.state.set("more", 1), RangeError);
      return { more: await session.subscribe("r://more"), again: await session.subscribe("r://0") };
    });
    const opened = await Opened.open(upstream);
    assert.deepEqual(await opened.request("x"), { more: "full", again: "subscribed" });
    await opened.session.close();
  });

  test("[GTW-2] what a server throws is an error without details, and told to the operator", async () => {
    const secret = new Error("secret");
    const opened = await Opened.open(serverOf(() => {
      throw secret;
    }));
    await assert.rejects(opened.request("x"), (error) => {
      assert.ok(error instanceof McpError);
      assert.equal(error.code, ErrorCode.InternalError);
      assert.equal(error.message, "Internal error");
      return true;
    });
    assert.deepEqual(opened.events, [{ type: "error", during: "x", error: secret }]);
    assert.deepEqual(opened.ended, []);
    await opened.session.close();
  });

  test("[GTW-8] what a server tells one session, or those that are subscribed, goes nowhere else", async () => {
    const hosts: DispatcherHost[] = [];
    const ids: string[] = [];
    const upstream = serverOf(async ({ session }) => {
      ids.push(session?.id ?? "");
      return { subscribed: await session?.subscribe("r://1") };
    }, {
      attach: (host) => {
        hosts.push(host);
        return () => {};
      },
    });
    const [a, b] = [await Opened.open(upstream), await Opened.open(upstream)];
    await a.request("x");
    for (const host of hosts) {
      host.notify?.(ids[0] ?? "", { method: "notifications/mine" });
      host.resourceUpdated("r://1");
      host.resourceUpdated("r://2");
    }
    assert.deepEqual(a.notified, [
      { method: "notifications/mine" },
      { method: "notifications/resources/updated", params: { uri: "r://1" } },
    ]);
    assert.deepEqual(b.notified, []);
    assert.equal(hosts[1]?.ask?.(ids[0] ?? "", "roots/list", {}, AbortSignal.any([])), undefined);
    await Promise.all([a.session.close(), b.session.close()]);
    hosts[0]?.broadcast({ method: "notifications/late" });
    assert.equal(a.notified.length, 2);
  });

  test("[GTW-3] a server is told once that a session ended, and its endpoint is let go of", async () => {
    const ended: string[] = [];
    let attached = 0;
    const upstream = serverOf(() => ({}), {
      attach: () => {
        attached++;
        return () => attached--;
      },
      sessionEnded: (id, reason) => {
        ended.push(reason);
        assert.notEqual(id, "");
      },
    });
    const opened = await Opened.open(upstream);
    assert.equal(attached, 1);
    await Promise.all([opened.session.close(), opened.session.close()]);
    assert.deepEqual(ended, ["ended"]);
    assert.equal(attached, 0);
  });

  test("[GTW-4] a server that can't begin leaves nothing behind", async () => {
    let attached = 0;
    const upstream = local({
      route: routing(() => ({ capabilities: "none" })),
      attach: () => {
        attached++;
        return () => attached--;
      },
    });
    await assert.rejects(Opened.open(upstream), /protocol|MCP/i);
    assert.equal(attached, 0);
  });
});
