import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { McpServer as ServerV1 } from "@modelcontextprotocol/sdk/server/mcp.js";
import { McpServer as ServerV2 } from "@modelcontextprotocol/server";
import { gateway, http, local, sdk } from "../../src/gateway/mod.ts";
import { withoutLogin } from "../../src/gateway/shared/login.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { ModernPeer } from "../support/modern.ts";
import { initialize } from "../support/wire.ts";
import { routing } from "../support/routes.ts";
import { text } from "./core_support.ts";

const HEADERS = {
  "authorization": "Bearer s3cret",
  "cookie": "sid=s3cret",
  "proxy-authorization": "Basic s3cret",
  "x-api-key": "s3cret",
  "X_Api_Key": "s3cret",
  "x-mcp-session-id": "s3cret",
  "last-event-id": "s3cret",
  "x-forwarded-access-token": "s3cret",
  "x-auth-request-user": "s3cret",
  "x-request-id": "seen",
};

/** Everything of a request that a server can look at. */
function told({ url, headers, method }: Request): string {
  return JSON.stringify([method, url, [...headers]]);
}

/** Everything that can be found in a value, getters and requests included. */
function deep(value: unknown, depth = 0): string {
  if (value instanceof Request) return told(value);
  if (value instanceof Headers) return JSON.stringify([...value]);
  if (typeof value !== "object" || value === null || depth > 6) return String(value);
  return Object.entries(value).map(([key, part]) => `${key}=${deep(part, depth + 1)}`).join(";");
}

/** Calls a tool in both eras with credentials everywhere; what the server saw must have none. */
async function check(dispatcher: Dispatcher, name: string, seen: string[]): Promise<void> {
  const handler = createMcpHandler(dispatcher, { authenticate: () => ({ id: "ann" }) });
  const headers = HEADERS;
  const peer = await initialize(handler, { headers });
  await peer.result(await peer.call(1, name));
  await peer.notify("notifications/roots/list_changed");
  await new ModernPeer(handler, { headers }).say(name);
  const { sessionId } = peer;
  assert.ok(sessionId);
  await peer.delete();
  await handler.close();
  assert.ok(seen.length > 1);
  for (const one of seen) {
    assert.ok(!one.includes("s3cret"), one);
    assert.ok(!one.includes(sessionId), one);
    assert.ok(!/authorization|cookie|session-id/i.test(one), one);
  }
  assert.ok(seen.some((one) => one.includes('"x-request-id","seen"') || one.includes("seen")));
}

describe("GTW: nothing of a client's login passes", () => {
  function recording(seen: string[]): McpServer {
    const server = new McpServer({ name: "n", version: "1" });
    server.registerTool("look", {}, (_args, ctx) => {
      seen.push(told(ctx.request), String(ctx.session?.id));
      return "Looked";
    });
    return server;
  }

  const ways: readonly [string, (server: Dispatcher) => Dispatcher, string][] = [
    ["behind a gateway", (server) => gateway({ upstreams: { n: local(server) } }), "n__look"],
    [
      "as the only upstream",
      (server) => gateway({ upstreams: { n: local(server) } }).only("n"),
      "look",
    ],
    [
      "behind two",
      (server) =>
        gateway({ upstreams: { o: local(gateway({ upstreams: { n: local(server) } })) } }),
      "o__n__look",
    ],
    [
      "with sessions for principals",
      (server) => gateway({ upstreams: { n: local(server) }, stateless: "principal" }),
      "n__look",
    ],
  ];
  for (const [way, make, name] of ways) {
    test(`[GTW-15] a local server ${way} sees none of it`, async () => {
      const seen: string[] = [];
      await check(make(recording(seen)), name, seen);
    });
  }

  test("[GTW-15] nor in notifications, nor when its session opens", async () => {
    const seen: string[] = [];
    const server: Dispatcher = {
      route: routing(({ method, protocolVersion, request }) => {
        seen.push(told(request));
        if (method !== "initialize") return text("");
        return { protocolVersion, capabilities: {}, serverInfo: { name: "n", version: "1" } };
      }),
      notified: ({ request }) => void seen.push(told(request)),
    };
    await check(gateway({ upstreams: { n: local(server) } }), "n__x", seen);
  });

  test("[GTW-15] a hosted server sees none of it, in whatever its messages bring", async () => {
    const seen: string[] = [];
    interface Bare {
      onmessage?: (message: { id?: number; method: string }, extra?: JsonObject) => void;
      send(message: unknown): Promise<void>;
    }
    const up = sdk(({ request }) => {
      seen.push(told(request));
      return {
        connect: async (transport: Bare) => {
          transport.onmessage = ({ id, method }, extra) => {
            seen.push(deep(extra));
            const serverInfo = { name: "bare", version: "1" };
            const result = method === "initialize"
              ? { protocolVersion: "2025-06-18", capabilities: {}, serverInfo }
              : text("");
            if (id !== undefined) transport.send({ jsonrpc: "2.0", id, result });
          };
        },
      };
    });
    await check(gateway({ upstreams: { up } }), "up__x", seen);
  });

  test("[GTW-15] nor do the servers of the official SDKs", async () => {
    for (const version of [1, 2]) {
      const seen: string[] = [];
      const up = sdk(() => {
        if (version === 1) {
          const server = new ServerV1({ name: "one", version: "1.0.0" });
          server.registerTool("look", {}, (extra) => {
            seen.push(deep(extra), JSON.stringify(extra.requestInfo));
            return { content: [] };
          });
          return server;
        }
        const server = new ServerV2({ name: "two", version: "1.0.0" });
        server.registerTool("look", {}, (ctx) => {
          seen.push(deep(ctx));
          return { content: [] };
        });
        return server;
      });
      await check(gateway({ upstreams: { up } }), "up__look", seen);
    }
  });

  test("[GTW-5, GTW-15] an upstream gets what was mapped on purpose, behind another gateway too", async () => {
    for (const nested of [false, true]) {
      for (const mapped of [false, true]) {
        const got: string[] = [];
        const there = createMcpHandler(recording([]), { authenticate: () => ({ id: "there" }) });
        const up = http({
          url: "http://localhost/mcp",
          ...mapped
            ? { forwardHeaders: { authorization: "authorization" } }
            : { forwardHeaders: ["x-request-id"] },
          async fetch(url, init) {
            const request = new Request(url, init);
            got.push(told(request));
            return await there(request);
          },
        });
        const gw = gateway({ upstreams: { up } });
        const outer = nested ? gateway({ upstreams: { o: local(gw) } }) : gw;
        const handler = createMcpHandler(outer, { authenticate: () => ({ id: "ann" }) });
        const peer = await initialize(handler, { headers: HEADERS });
        await peer.result(await peer.call(1, nested ? "o__up__look" : "up__look"));
        assert.ok(got.length > 0);
        for (const one of got) {
          assert.equal(one.includes('"authorization","Bearer s3cret"'), mapped);
          assert.ok(!one.replace('"authorization","Bearer s3cret"', "").includes("s3cret"), one);
          assert.ok(!one.includes(String(peer.sessionId)));
        }
        await handler.close();
        await gw.close();
        await there.close();
      }
    }
  });

  test("[GTW-15] headers of proxies that log users in go, however they are spelled", () => {
    const login = [
      ...["x-goog-iap-jwt-assertion", "x-goog-authenticated-user-email", "cf-access-jwt-assertion"],
      ...["x-amzn-oidc-data", "x-ms-client-principal-name", "x-ms-token-aad-id-token"],
      ...["x-vercel-oidc-token", "x-authenticated-user", "remote-user", "x-remote-user"],
      ...["x-forwarded-user", "x-forwarded-email", "x-forwarded-groups"],
      ...["x-forwarded-preferred-username", "x-forwarded-client-cert", "client-cert"],
      ...["dpop", "api-key", "x-access-token", "x-session-token", "x-amz-security-token"],
    ];
    const kept = [
      "x-forwarded-for",
      "x-amzn-trace-id",
      "x-goog-api-client",
      "cf-ray",
      "user-agent",
    ];
    for (const name of login) {
      for (const spelled of [name, name.toUpperCase(), name.replaceAll("-", "_")]) {
        const headers = { [spelled]: "s3cret" };
        const shown = withoutLogin(new Request("http://localhost/mcp", { headers }));
        assert.ok(![...shown.headers.values()].includes("s3cret"), spelled);
      }
    }
    for (const name of kept) {
      const request = new Request("http://localhost/mcp", { headers: { [name]: "seen" } });
      assert.equal(withoutLogin(request).headers.get(name), "seen");
    }
  });

  test("[GTW-15] a token in the URL goes, and the rest of it stays", () => {
    const request = new Request("http://localhost/mcp?tenant=a&access_token=s3cret", {
      method: "POST",
      headers: HEADERS,
      body: "{}",
    });
    const shown = withoutLogin(request);
    assert.equal(shown.url, "http://localhost/mcp?tenant=a");
    assert.equal(shown.method, "POST");
    const names = [...shown.headers].map(([name]) => name);
    assert.deepEqual(names.filter((name) => name !== "content-type"), ["x-request-id"]);
    // Once for each request
    assert.equal(withoutLogin(request), shown);
    assert.equal(withoutLogin(shown), shown);
  });
});
