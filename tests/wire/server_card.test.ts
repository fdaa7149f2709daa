import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createMcpHandler,
  type McpHandlerOptions,
  McpServer,
  tokenBucket,
  Unauthorized,
} from "../../mod.ts";
import { serverCard, type ServerCardOptions } from "../../src/discovery/mod.ts";
import { assertServerCard } from "../unit/discovery/schemas.ts";

const ORIGIN = "https://api.example.com";
const CARD = `${ORIGIN}/mcp/server-card`;
const CATALOG = `${ORIGIN}/.well-known/ai-catalog.json`;
const GOOD: ServerCardOptions = {
  name: "com.example/library",
  description: "Finds and lends books.",
  url: `${ORIGIN}/mcp`,
};

function library(): McpServer {
  const server = new McpServer({ name: "library", version: "1.2.3", title: "The library" }, {
    instructions: "hidden-instructions",
  });
  server.registerTool("hidden-tool", {}, () => "x");
  return server;
}

function serve(options: McpHandlerOptions = {}, card: Partial<ServerCardOptions> = {}) {
  const server = library();
  return createMcpHandler(server, {
    path: "/mcp",
    serverCard: serverCard(server.serverInfo, { ...GOOD, ...card }),
    authenticate: () => {
      throw new Unauthorized("Nobody is known here");
    },
    ...options,
  });
}

const get = (url: string, headers: Record<string, string> = {}, method = "GET") =>
  new Request(url, { method, headers });

describe("a server card", () => {
  test("[FND-1] fits its schema and says how to connect", async () => {
    await using handler = serve({}, {
      headers: [{ name: "Authorization", isRequired: true, isSecret: true }],
      versions: ["2026-07-28", "2025-11-25"],
    });
    const response = await handler(get(CARD));
    assert.equal(response.status, 200);
    const card = await response.json();
    assertServerCard(card);
    assert.deepEqual(card, {
      $schema: "https://static.modelcontextprotocol.io/schemas/v1/server-card.schema.json",
      name: "com.example/library",
      version: "1.2.3",
      description: "Finds and lends books.",
      title: "The library",
      remotes: [{
        type: "streamable-http",
        url: `${ORIGIN}/mcp`,
        headers: [{ name: "Authorization", isRequired: true, isSecret: true }],
        supportedProtocolVersions: ["2026-07-28", "2025-11-25"],
      }],
    });
  });

  test("[FND-1] has the proposal's headers, and answers what has not changed with 304", async () => {
    await using handler = serve();
    const { headers } = await handler(get(CARD));
    assert.equal(headers.get("content-type"), "application/mcp-server-card+json");
    assert.equal(headers.get("cache-control"), "public, max-age=3600");
    assert.equal(headers.get("access-control-allow-origin"), "*");
    assert.equal(headers.get("access-control-allow-methods"), "GET");
    assert.equal(headers.get("access-control-allow-headers"), "Content-Type, If-None-Match");
    assert.equal(headers.get("access-control-expose-headers"), "ETag");
    const tag = headers.get("etag") ?? "";
    assert.match(tag, /^"[^"]+"$/);
    for (const sent of [tag, `W/${tag}`, `"other", ${tag}`, "*"]) {
      const response = await handler(get(CARD, { "if-none-match": sent }));
      assert.equal(response.status, 304, sent);
      assert.equal(response.headers.get("etag"), tag);
      assert.equal(await response.text(), "");
    }
    assert.equal((await handler(get(CARD, { "if-none-match": '"other"' }))).status, 200);
    const other = createMcpHandler(library(), {
      serverCard: serverCard({ name: "library", version: "1.2.4" }, GOOD),
    });
    assert.notEqual((await other(get(CARD))).headers.get("etag"), tag);
    await other.close();
  });

  test("[FND-1] is the same for everybody, and shows nothing of what is registered", async () => {
    await using handler = serve({ allowedOrigins: ["https://app.example"] });
    const senders: Record<string, string>[] = [
      {},
      { authorization: "Bearer token" },
      { origin: "https://app.example" },
      { origin: "https://evil.example" },
      { "mcp-session-id": "x", "mcp-protocol-version": "2025-11-25", accept: "text/plain" },
    ];
    const seen = new Set<string>();
    for (const headers of senders) {
      const response = await handler(get(CARD, headers));
      const all = JSON.stringify([[...response.headers].sort(), await response.text()]);
      assert.doesNotMatch(all, /hidden/);
      seen.add(all);
    }
    assert.equal(seen.size, 1);
  });

  test("[FND-1] is read, never changed", async () => {
    await using handler = serve();
    const head = await handler(get(CARD, {}, "HEAD"));
    assert.equal(head.status, 200);
    assert.equal(await head.text(), "");
    const preflight = await handler(get(CARD, { origin: "https://a.example" }, "OPTIONS"));
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    for (const method of ["POST", "PUT", "DELETE"]) {
      const response = await handler(get(CARD, {}, method));
      assert.equal(response.status, 405, method);
      assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    }
  });

  test("[FND-1] counts for the rate limit", async () => {
    const rateLimit = tokenBucket({ key: () => "all", burst: 2, perSecond: 0.001 });
    await using handler = serve({ rateLimit });
    const statuses = [];
    for (let i = 0; i < 3; i++) statuses.push((await handler(get(CARD))).status);
    assert.deepEqual(statuses, [200, 200, 429]);
  });

  test("[FND-1] is at the endpoint's path, as clients and as the handler know it", async () => {
    await using handler = serve({ path: "/inner" }, { url: `${ORIGIN}/outer/mcp/` });
    const found = [`${ORIGIN}/outer/mcp/server-card`, "http://10.0.0.7:8080/inner/server-card/"];
    for (const url of found) assert.equal((await handler(get(url))).status, 200, url);
    for (const path of ["/server-card", "/inner/server-cards", "/inner/x/server-card", "/inner"]) {
      assert.notEqual((await handler(get(`${ORIGIN}${path}`))).status, 200, path);
    }
  });

  test("[FND-1, FND-2] are not there without the option", async () => {
    await using handler = serve({ serverCard: undefined });
    for (const url of [CARD, CATALOG]) assert.equal((await handler(get(url))).status, 404);
  });

  test("[FND-2] is named in the host's catalog", async () => {
    await using handler = serve();
    const response = await handler(get(CATALOG));
    assert.equal(response.headers.get("content-type"), "application/ai-catalog+json");
    assert.equal(response.headers.get("access-control-allow-origin"), "*");
    const entry = {
      identifier: "urn:air:example.com:mcp:library",
      type: "application/mcp-server-card+json",
      url: CARD,
    };
    assert.deepEqual(await response.json(), { specVersion: "1.0", entries: [entry] });
    const { card, url, entry: own } = serverCard({ name: "x", version: "1" }, GOOD);
    assert.deepEqual([own, url, card.name], [entry, CARD, "com.example/library"]);
    await using without = serve({}, { catalog: false });
    assert.equal((await without(get(CATALOG))).status, 404);
    assert.equal((await without(get(CARD))).status, 200);
  });

  test("[FND-1] refuses at construction what would publish a secret or can't be read", async () => {
    const info = { name: "library", version: "1.0.0" };
    const wrong: readonly (readonly [Partial<ServerCardOptions>, RegExp])[] = [
      [{ url: "mcp" }, /"url"/],
      [{ url: "https://me:s3cret@api.example.com/mcp" }, /user and password/],
      [{ headers: [{ name: "X", isSecret: true, value: "s3cret" }] }, /secret/],
      [{ versions: ["2020-01-01" as "2025-11-25"] }, /"versions"/],
      [{ name: "library" }, /reverse-DNS/],
    ];
    for (const [options, message] of wrong) {
      assert.throws(() => serverCard(info, { ...GOOD, ...options }), (error: unknown) => {
        assert.ok(error instanceof TypeError);
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /s3cret/);
        return true;
      });
    }
    const none = { serverCard: {} } as McpHandlerOptions;
    assert.throws(() => createMcpHandler(library(), none), /serverCard\(\)/);
    const card = { ...serverCard(info, GOOD), reply: () => new Response("x") };
    const broken = { serverCard: card } as unknown as McpHandlerOptions;
    await using handler = createMcpHandler(library(), broken);
    assert.equal((await handler(get(CARD))).status, 500);
  });
});
