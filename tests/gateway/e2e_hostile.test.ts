/**
 * Upstreams that mean harm or are broken, behind a gateway, as seen by its clients.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { type Gateway, gateway, type GatewayOptions, http, local } from "../../src/gateway/mod.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { contractServer } from "../contracts/upstream_servers.ts";
import { FakeClock } from "../support/clock.ts";
import { as, byToken } from "../support/wire.ts";
import { badChild, childrenOf } from "./children.ts";
import { textOf } from "./core_support.ts";
import { until } from "./e2e_support.ts";
import { Recorder } from "./session.ts";
import { type Handler, listen, type Listening } from "./servers.ts";

type Message = JsonObject & { readonly method?: string; readonly params?: JsonObject };
/** Answers one message of the gateway; with nothing, the usual happens. */
type Twist = (message: Message, request: Request) => Response | Promise<Response> | undefined;

const INFO = {
  protocolVersion: "2025-11-25",
  capabilities: { tools: {}, logging: {} },
  serverInfo: { name: "hostile", version: "1" },
};
const TOOLS = { tools: [{ name: "go", inputSchema: { type: "object" } }] };
const never = () => new Promise<never>(() => {});
const answer = ({ id }: Message, result: unknown) => Response.json({ jsonrpc: "2.0", id, result });
const said = (text: string) => ({ content: [{ type: "text", text }] });

/** An upstream that is well-behaved but for its twist. */
function twisted(twist: Twist): Handler {
  return async (request) => {
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const message: Message = await request.json();
    const own = twist(message, request);
    if (own !== undefined) return own;
    if (message.id === undefined) return new Response(null, { status: 202 });
    switch (message.method) {
      case "initialize":
        return answer(message, INFO);
      case "tools/list":
        return answer(message, TOOLS);
      case "tools/call":
        return answer(message, said("went"));
      case "ping":
        return answer(message, {});
      default: {
        const error = { code: -32601, message: "Method not found" };
        return Response.json({ jsonrpc: "2.0", id: message.id, error });
      }
    }
  };
}

interface Behind {
  readonly handler: McpHandler;
  readonly gw: Gateway;
  readonly bad: Listening;
  readonly client: TestClient;
}

/** A client of a gateway to one hostile upstream, `bad`, and one that is fine, `good`. */
async function behind(
  twist: Twist,
  work: (behind: Behind) => Promise<void>,
  options: GatewayOptions = {},
  more: McpHandlerOptions = {},
): Promise<void> {
  const bad = await listen(twisted(twist));
  const gw = gateway({
    upstreams: {
      bad: http({ url: bad.url, versions: ["2025-11-25"], forwardHeaders: ["x-tenant"] }),
      good: local(contractServer()),
    },
    openTimeoutMs: 300,
    closeTimeoutMs: 300,
    listTimeoutMs: 2_000,
    ...options,
  });
  const handler = createMcpHandler(gw, { authenticate: byToken, ...more });
  try {
    const client = await connect(handler.fetch, { headers: as("alice") });
    await work({ handler, gw, bad, client });
    // Whatever the other did, this one never noticed.
    assert.equal(textOf({ ...await client.callTool("good__count") }), "1");
    await client.close();
    await until(() => gw.stats().sessions === 0, "the end of the upstream sessions");
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    await bad.close();
  }
}

const go = async ({ client }: Behind) => textOf({ ...await client.callTool("bad__go") });

describe("an upstream that hangs", () => {
  test("[GTW-4] at initialize keeps nobody, and no connection stays", () =>
    behind(({ method }) => method === "initialize" ? never() : undefined, async (all) => {
      await assert.rejects(go(all), /"bad" can.t be used now \(timeout\)/);
      await until(() => all.bad.connections <= 1, "the end of connections");
    }));

  test("[GTW-4] at the notification after it neither", () => {
    let hanging = 0;
    const twist: Twist = ({ method }, { signal }) => {
      if (method !== "notifications/initialized") return undefined;
      hanging++;
      signal.addEventListener("abort", () => hanging--);
      return never();
    };
    return behind(twist, async (all) => {
      await assert.rejects(go(all), /"bad" can.t be used now \(timeout\)/);
      await until(() => hanging === 0, "the end of what hung", 3_000);
    });
  });

  test("[GTW-8] at a call and at its cancellation lets the client go on", () => {
    const seen = { cancelled: 0 };
    const twist: Twist = ({ method }) => {
      if (method === "notifications/cancelled") seen.cancelled++;
      return method === "tools/call" || method === "notifications/cancelled" ? never() : undefined;
    };
    return behind(twist, async ({ client }) => {
      const stop = new AbortController();
      const calls = Array.from(
        { length: 10 },
        () => client.callTool("bad__go", {}, { signal: stop.signal }),
      );
      setTimeout(() => stop.abort(new Error("Enough")), 200);
      for (const { status } of await Promise.allSettled(calls)) assert.equal(status, "rejected");
      await until(() => seen.cancelled > 0, "the cancellation");
    });
  });
});

describe("an upstream that breaks the rules", () => {
  for (const status of [401, 403, 404, 500, 502]) {
    test(`[GTW-4] answers ${status} to a call: an honest error, then a new session`, () => {
      let wrong = true;
      return behind(
        ({ method }) =>
          method === "tools/call" && wrong ? new Response("token=hunter2", { status }) : undefined,
        async (all) => {
          await assert.rejects(go(all), (error: Error) => {
            assert.match(error.message, /"bad" can.t be used now/);
            assert.doesNotMatch(error.message, /hunter2|127\.0\.0\.1/);
            return true;
          });
          wrong = false;
          assert.equal(await go(all), "went");
        },
      );
    });
  }

  test("[GTW-4] redirects elsewhere: nobody follows, nothing is told there", async () => {
    let hits = 0;
    const elsewhere = await listen(() => {
      hits++;
      return new Response();
    });
    const twist: Twist = ({ method }) =>
      method === "tools/call"
        ? new Response(null, { status: 307, headers: { location: elsewhere.url } })
        : undefined;
    await behind(twist, async (all) => {
      await assert.rejects(go(all));
      assert.equal(hits, 0);
    });
    await elsewhere.close();
  });

  test("[GTW-2] closes in the middle of a stream: an honest error, then a new session", () => {
    let wrong = true;
    const twist: Twist = ({ method }) => {
      if (method !== "tools/call" || !wrong) return undefined;
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          controller.enqueue(new TextEncoder().encode('data: {"jsonrpc":"2.0","method":"no'));
          controller.close();
        },
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    };
    return behind(twist, async (all) => {
      await assert.rejects(go(all), /\(closed\)/);
      wrong = false;
      assert.equal(await go(all), "went");
    });
  });

  test("[GTW-8] floods with what the client doesn't want: the answer comes at once", () => {
    const line = (text: string) => `data: ${text}\n\n`;
    const note = JSON.stringify({
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { level: "error", data: "x".repeat(200) },
    });
    const twist: Twist = (message) => {
      if (message.method !== "tools/call") return undefined;
      const result = { jsonrpc: "2.0", id: message.id, result: said("went") };
      const text = line(note).repeat(20_000) + line(JSON.stringify(result));
      return new Response(text, { headers: { "content-type": "text/event-stream" } });
    };
    return behind(twist, async (all) => {
      await all.client.setLogLevel("emergency");
      assert.equal(await go(all), "went");
    });
  });

  test("[GTW-8] answers more than a result may have", () =>
    behind(
      (message) =>
        message.method === "tools/call" ? answer(message, said("x".repeat(100_000))) : undefined,
      async (all) => {
        assert.equal((await all.client.callTool("bad__go")).isError, true);
        assert.equal((await all.client.listTools()).some(({ name }) => name === "bad__go"), true);
      },
      {},
      { limits: { resultBytes: 50_000 } },
    ));

  test("[GTW-2] answers 20 MiB: it is cut off, and the next call begins anew", () => {
    let wrong = true;
    const twist: Twist = (message) =>
      message.method === "tools/call" && wrong
        ? answer(message, said("x".repeat(20 * 1024 * 1024)))
        : undefined;
    return behind(twist, async (all) => {
      await assert.rejects(go(all), /\(protocol\)/);
      wrong = false;
      assert.equal(await go(all), "went");
    });
  });

  for (
    const [name, result] of Object.entries<unknown>({
      "is nothing": null,
      "is a text": "yes",
      "is a list": [],
      "says a version of the other era": { ...INFO, protocolVersion: "2026-07-28" },
      "says no version": { ...INFO, protocolVersion: { toString: "2025-11-25" } },
      "has odd capabilities": { ...INFO, capabilities: ["tools"] },
    })
  ) {
    test(`[GTW-4] whose initialize ${name} spoils nothing`, () =>
      behind(
        (message) => message.method === "initialize" ? answer(message, result) : undefined,
        async ({ client }) => {
          const names = (await client.listTools()).map((tool) => tool.name);
          assert.ok(names.includes("good__count"));
          assert.ok(!names.includes("bad__go"));
        },
      ));
  }

  test("[GTW-8] lists hostile names, and far too much", () => {
    const hostile = [
      "__proto__",
      "constructor",
      "a__b__c",
      "good__count",
      "../../etc",
      "x\r\nSet-Cookie: a=b",
      "\u0000",
      "",
      "ünïcode",
      "y".repeat(5_000),
      null,
      7,
      { toString: "go" },
    ];
    const inputSchema = { type: "object" };
    const tools = [
      ...hostile.map((name) => ({ name, inputSchema })),
      "no tool",
      null,
      [],
      ...Array.from({ length: 20_000 }, (_, i) => ({ name: `n${i}`, inputSchema })),
    ];
    const called: unknown[] = [];
    const twist: Twist = (message) => {
      if (message.method === "tools/call") called.push(message.params?.name);
      return message.method === "tools/list" ? answer(message, { tools }) : undefined;
    };
    return behind(twist, async ({ client }) => {
      const names = (await client.listTools()).map(({ name }) => name);
      const bad = names.filter((name) => name.startsWith("bad__"));
      assert.equal(bad.length, 5_000);
      assert.ok(names.every((name) => /^[A-Za-z0-9_.-]{1,128}$/.test(name)));
      assert.equal(new Set(names).size, names.length);
      for (const name of ["__proto__", "constructor", "a__b__c", "good__count"]) {
        assert.ok(bad.includes(`bad__${name}`), name);
        await client.callTool(`bad__${name}`);
      }
      assert.deepEqual(called, ["__proto__", "constructor", "a__b__c", "good__count"]);
      for (const name of ["__proto__", "constructor__x", "__go", "bad", "bad__", "BAD__go"]) {
        await client.callTool(name).then(
          ({ isError }) => assert.equal(isError ?? name === "bad__", true, name),
          () => {},
        );
      }
    });
  });

  test("[GTW-8] tells others' progress, asks and answers in others' names, to no effect", () => {
    const event = (message: object) =>
      `data: ${JSON.stringify({ jsonrpc: "2.0", ...message })}\n\n`;
    const twist: Twist = (message) => {
      if (message.method !== "tools/call") return undefined;
      const { id } = message;
      const progress = { progressToken: "other", progress: 1 };
      const text = [1, 0, "1", -1, null, "__proto__"].map((id) => ({ id, result: said("a lie") }))
        .filter((each) => each.id !== id).map(event).join("") +
        event({ method: "notifications/progress", params: progress }) +
        event({ method: "notifications/cancelled", params: { requestId: 1 } }) +
        event({ method: "notifications/initialized" }) +
        event({ method: "notifications/resources/updated", params: { uri: "test://thing" } }) +
        event({ id: "x", method: "initialize", params: {} }) +
        event({ id: "y", method: "tools/call", params: { name: "good__count" } }) +
        event({ id, result: said("the truth") });
      return new Response(text, { headers: { "content-type": "text/event-stream" } });
    };
    return behind(twist, async (all) => assert.equal(await go(all), "the truth"));
  });
});

test("[GTW-5, GTW-6] what a stranger sends as headers never goes on, nor past five gateways", () => {
  const seen: Headers[] = [];
  return behind((_message, { headers }) => void seen.push(headers), async ({ handler }) => {
    const post = (headers: Record<string, string>, method: string, session?: string) =>
      handler.fetch(
        new Request("http://localhost/mcp", {
          method: "POST",
          headers: {
            ...as("mallory"),
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            ...session !== undefined && { "mcp-session-id": session },
            ...headers,
          },
          body: JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method,
            params: method === "initialize"
              ? {
                protocolVersion: "2025-11-25",
                capabilities: {},
                clientInfo: { name: "x", version: "1" },
              }
              : { name: "bad__go", arguments: {} },
          }),
        }),
      );
    const begun = await post({}, "initialize");
    const session = begun.headers.get("mcp-session-id") ?? "";
    await begun.body?.cancel();
    seen.length = 0;
    const tricks = {
      "cookie": "sid=stolen",
      "x-forwarded-for": "10.0.0.1",
      "x-real-ip": "10.0.0.1",
      "forwarded": "for=10.0.0.1",
      "proxy-authorization": "Basic stolen",
      "te": "trailers",
      "x-tenant": "kept",
      "x-other": "stolen",
      "mooring-hops": "2",
    };
    const answered = await post(tricks, "tools/call", session);
    assert.equal(answered.status, 200);
    await answered.text();
    assert.ok(seen.length > 0);
    for (const headers of seen) {
      const text = JSON.stringify([...headers]);
      assert.doesNotMatch(text, /stolen|10\.0\.0\.1|mallory/);
      assert.equal(headers.get("x-tenant"), "kept");
      assert.equal(headers.get("mooring-hops"), "3");
      assert.notEqual(headers.get("mcp-session-id"), session);
    }
    for (const hops of ["5", "0, 7", "1,5", "-1", "1e1", "x", "", "999999999999999999999"]) {
      seen.length = 0;
      const response = await post({ "mooring-hops": hops }, "tools/call", session);
      const body: unknown = JSON.parse((await response.text()).replace(/^[^]*?data: /, ""));
      assert.ok(isObject(body) && isObject(body.error), `${hops}: ${JSON.stringify(body)}`);
      assert.equal(seen.length, 0, hops);
    }
    const end = await handler.fetch(
      new Request("http://localhost/mcp", {
        method: "DELETE",
        headers: { ...as("mallory"), "mcp-session-id": session },
      }),
    );
    assert.ok(end.status < 300);
  });
});

test("[GTW-8] another session's calls can't be cancelled, nor its progress had", async () => {
  const gw = gateway({ upstreams: { up: local(contractServer()), child: badChild() } });
  const handler = createMcpHandler(gw, { authenticate: byToken });
  const alice = await connect(handler.fetch, { headers: as("alice") });
  const mallory = await connect(handler.fetch, { headers: as("mallory") });
  const heard: unknown[] = [];
  const stop = new AbortController();
  const running = [
    alice.callTool("up__wait", {}, { signal: stop.signal }),
    alice.callTool("child__hang", {}, { signal: stop.signal }),
  ];
  for (const each of running) each.catch(() => {});
  for (let id = 0; id < 20; id++) {
    for (const requestId of [id, String(id)]) {
      const response = await handler.fetch(
        new Request("http://localhost/mcp", {
          method: "POST",
          headers: {
            ...as("mallory"),
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-session-id": mallory.sessionId ?? "",
          },
          body: JSON.stringify({
            jsonrpc: "2.0",
            method: "notifications/cancelled",
            params: { requestId },
          }),
        }),
      );
      await response.body?.cancel();
    }
  }
  await mallory.callTool("up__progress", { steps: 3 }, { onProgress: (one) => heard.push(one) });
  assert.equal(textOf({ ...await alice.callTool("up__stopped") }), "0");
  assert.equal(heard.length, 3);
  const cancelled = await alice.callTool("child__cancelled");
  assert.equal(textOf({ ...cancelled }), "[]");
  stop.abort(new Error("Enough"));
  await Promise.allSettled(running);
  await Promise.all([alice.close(), mallory.close()]);
  await handler.close({ graceMs: 0 });
  await gw.close();
  await until(() => childrenOf(process.pid).length === 0, "the end of the child");
});

test("[GTW-4] what needs no answer isn't waited for longer than ten seconds", async () => {
  const clock = new FakeClock();
  const recorder = new Recorder();
  const answering = twisted(() => undefined);
  let ended: unknown;
  const upstream = http({
    url: "http://upstream.example/mcp",
    versions: ["2025-11-25"],
    fetch: async (url, init) => {
      if (!String(init.body).includes("roots/list_changed")) {
        return await answering(new Request(url, init));
      }
      return await new Promise((_, reject) => {
        init.signal?.addEventListener("abort", () => reject(ended = init.signal?.reason));
      });
    },
  });
  const session = await upstream.open(recorder.init({ clock }));
  const told = session.notify({ method: "notifications/roots/list_changed" });
  const failed = assert.rejects(told, /timeout|time/);
  await clock.advance(9_999);
  assert.equal(ended, undefined);
  await clock.advance(1);
  await failed;
  await session.close();
  assert.equal(clock.pending, 0);
});
