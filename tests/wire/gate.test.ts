import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { tokenBucket } from "../../src/http/gates/token_bucket.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { FakeClock } from "../support/clock.ts";
import {
  accepted,
  BOTH,
  Events,
  initialize,
  Peer,
  refused,
  Stub,
  text,
  URL_2025,
} from "../support/wire.ts";

const VERBS = ["POST", "GET", "DELETE"] as const;
const ping = { jsonrpc: "2.0", id: 1, method: "ping" };
const INITIALIZE = JSON.stringify(new Peer(() => Promise.reject()).initializeRequest(1));

interface Sent {
  readonly method?: string;
  readonly url?: string;
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: BodyInit;
}

/** A request that passes every gate, but for what a test changes about it. */
function request({ method = "POST", url = URL_2025, headers = {}, body }: Sent = {}): Request {
  const all = {
    "content-type": method === "POST" ? "application/json" : undefined,
    "accept": BOTH,
    ...headers,
  };
  const entries = Object.entries(all).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  const duplex = body instanceof ReadableStream ? { duplex: "half" } : {};
  const content = method === "POST" ? body ?? INITIALIZE : undefined;
  return new Request(url, { method, headers: entries, body: content, ...duplex });
}

/** A handler, and how often somebody was asked who sends a request. */
function gated(options: McpHandlerOptions = {}) {
  const events = new Events();
  const stub = new Stub({ hello: () => text("Hello") });
  let authenticated = 0;
  const handler = createMcpHandler(stub, {
    authenticate() {
      authenticated++;
      return { id: "alice" };
    },
    onEvent: events.onEvent,
    ...options,
  });
  return { handler, stub, events, authenticated: () => authenticated };
}

/** Checks that a request is turned away before anybody is asked who sends it. */
async function turnedAway(
  { handler, stub, authenticated }: ReturnType<typeof gated>,
  sent: Request,
  status: number,
  code = -32000,
): Promise<Response> {
  const response = await handler(sent);
  const copy = response.clone();
  await refused(response, status, code);
  assert.equal(authenticated(), 0);
  assert.equal(stub.exchanges.length, 0);
  assert.equal(handler.stats().sessions, 0);
  return copy;
}

describe("GATE: health", () => {
  test("[GATE-1] GET of the health path answers before every other gate", async () => {
    const endpoint = gated({
      healthPath: "/healthz",
      path: "/mcp",
      allowedHosts: ["mcp.example"],
      requiredHeader: "x-needed",
      rateLimit: { check: () => ({ allowed: false }) },
    });
    const response = await endpoint.handler(
      new Request("http://elsewhere.example/healthz", {
        headers: { origin: "https://evil.example" },
      }),
    );
    assert.equal(response.status, 200);
    assert.equal(await response.text(), '{"status":"ok"}');
    assert.equal(endpoint.authenticated(), 0);
    for (const method of ["POST", "DELETE"]) {
      const url = "http://mcp.example/healthz";
      assert.equal((await endpoint.handler(request({ method, url }))).status, 404, method);
    }
    const near = new Request("http://mcp.example/healthz/");
    assert.equal((await endpoint.handler(near)).status, 404);
    await endpoint.handler.close();
    const closed = await endpoint.handler(new Request("http://elsewhere.example/healthz"));
    assert.equal(closed.status, 503);
    assert.equal(await closed.text(), '{"status":"closing"}');
  });

  test("[GATE-1] there is no health path by default", async () => {
    const { handler } = gated();
    const response = await handler(new Request("http://localhost/healthz"));
    assert.notEqual(response.status, 200);
    await handler.close();
  });
});

describe("GATE: origin and host", () => {
  const allowedOrigins = [
    "https://App.example",
    "https://.tools.example",
    "http://dev.example:8080",
    "any.example",
    "http://plain.example:80",
  ];
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["https://app.example", "mcp.example", true],
    ["HTTPS://APP.EXAMPLE", "mcp.example", true],
    ["https://app.example:443", "mcp.example", true],
    ["https://app.example:8443", "mcp.example", false],
    ["https://a.tools.example:8443", "mcp.example", false],
    ["http://any.example:8080", "mcp.example", true],
    ["https://any.example:1", "mcp.example", true],
    ["http://plain.example:80", "mcp.example", true],
    ["http://plain.example", "mcp.example", true],
    ["http://app.example", "mcp.example", false],
    ["https://app.example.evil.example", "mcp.example", false],
    ["https://tools.example", "mcp.example", true],
    ["https://a.b.tools.example", "mcp.example", true],
    ["https://eviltools.example", "mcp.example", false],
    ["http://dev.example:8080", "mcp.example", true],
    ["http://dev.example:8081", "mcp.example", false],
    ["http://localhost:5173", "localhost:3000", true],
    ["http://127.0.0.1:5173", "[::1]:3000", true],
    ["http://localhost:5173", "mcp.example", false],
    ["https://evil.example", "localhost:3000", false],
    ["http://mcp.example", "mcp.example", false],
    ["null", "localhost:3000", false],
    ["", "localhost:3000", false],
  ];
  for (const [origin, host, allowed] of cases) {
    for (const method of VERBS) {
      const verdict = allowed ? "passes" : "is refused";
      test(`[GATE-2] ${method} with Origin "${origin}" at ${host} ${verdict}`, async () => {
        const endpoint = gated({ allowedOrigins });
        const sent = request({ method, headers: { origin, host } });
        if (!allowed) await turnedAway(endpoint, sent, 403);
        else {
          assert.notEqual((await endpoint.handler(sent)).status, 403);
          assert.equal(endpoint.authenticated(), 1);
        }
        await endpoint.handler.close();
      });
    }
  }

  for (const method of VERBS) {
    test(`[GATE-3] ${method} to a host outside allowedHosts is refused`, async () => {
      const endpoint = gated({ allowedHosts: ["mcp.example", "127.0.0.1:3000"] });
      for (const host of ["evil.example", "mcp.example.evil.example", "127.0.0.1:3001"]) {
        await turnedAway(endpoint, request({ method, headers: { host } }), 403);
      }
      assert.deepEqual(new Set(endpoint.events.refusals), new Set(["host"]));
      for (const host of ["mcp.example", "MCP.EXAMPLE:444", "127.0.0.1:3000"]) {
        const response = await endpoint.handler(request({ method, headers: { host } }));
        assert.notEqual(response.status, 403, host);
      }
      await endpoint.handler.close();
    });
  }
});

describe("GATE: rate limit", () => {
  test("[GATE-4] the limiter is asked before auth and before the body is read", async () => {
    const endpoint = gated({
      rateLimit: { check: () => ({ allowed: false, retryAfterMs: 1_200 }) },
    });
    let pulled = 0;
    const body = new ReadableStream<Uint8Array>({
      pull: () => {
        pulled++;
      },
    }, { highWaterMark: 0 });
    const response = await turnedAway(endpoint, request({ body }), 429);
    assert.equal(response.headers.get("retry-after"), "2");
    assert.equal(pulled, 0);
    await endpoint.handler.close();
  });

  test("[GATE-4] Retry-After is only sent when there is something to wait for", async () => {
    for (const retryAfterMs of [undefined, 0, -5]) {
      const endpoint = gated({ rateLimit: { check: () => ({ allowed: false, retryAfterMs }) } });
      const response = await turnedAway(endpoint, request(), 429);
      assert.equal(response.headers.get("retry-after"), null);
      await endpoint.handler.close();
    }
  });

  test("[GATE-4] a limiter that throws or rejects refuses and reports", async () => {
    const checks = [
      () => {
        throw new Error("down");
      },
      () => Promise.reject(new Error("down")),
    ];
    for (const check of checks) {
      const endpoint = gated({ rateLimit: { check } });
      await turnedAway(endpoint, request(), 429);
      assert.equal(endpoint.events.of("error").length, 1);
      await endpoint.handler.close();
    }
  });

  test("[GATE-4] the token bucket that ships limits each key by itself", async () => {
    const clock = new FakeClock();
    const key = (request: Request) => request.headers.get("x-key") ?? undefined;
    const { handler } = gated({ rateLimit: tokenBucket({ perSecond: 1, burst: 2, key, clock }) });
    const status = async (name: string) => {
      return (await handler(request({ headers: { "x-key": name } }))).status;
    };
    assert.deepEqual([await status("a"), await status("a"), await status("a")], [200, 200, 429]);
    assert.equal(await status("b"), 200);
    await clock.advance(1_000);
    assert.deepEqual([await status("a"), await status("a")], [200, 429]);
    await handler.close();
  });
});

describe("GATE: head", () => {
  for (const method of ["PUT", "PATCH", "HEAD", "OPTIONS"]) {
    test(`[GATE-5] ${method} is not allowed`, async () => {
      const endpoint = gated();
      const response = await endpoint.handler(request({ method }));
      assert.equal(response.status, 405);
      assert.equal(response.headers.get("allow"), "GET, POST, DELETE");
      assert.equal(endpoint.authenticated(), 0);
      await endpoint.handler.close();
    });
  }

  const types: readonly (readonly [string | undefined, number])[] = [
    ["application/json", 200],
    ["application/json; charset=utf-8", 200],
    ["Application/JSON;x=y", 200],
    [undefined, 415],
    ["text/plain", 415],
    ["text/plain; application/json", 415],
    ["application/jsonp", 415],
    ["application/x-www-form-urlencoded", 415],
  ];
  for (const [type, status] of types) {
    test(`[GATE-6] POST with Content-Type ${type} → ${status}`, async () => {
      const endpoint = gated();
      const body = new TextEncoder().encode(INITIALIZE);
      const sent = request({ headers: { "content-type": type }, body });
      if (status === 415) await turnedAway(endpoint, sent, 415);
      else assert.equal((await endpoint.handler(sent)).status, 200);
      await endpoint.handler.close();
    });
  }

  const accepts: readonly (readonly [string, string, number])[] = [
    ["POST", "*/*", 200],
    ["POST", "application/json", 200],
    ["POST", "text/event-stream", 200],
    ["POST", "text/*;q=0.1", 200],
    ["POST", "application/json;q=0, text/event-stream", 200],
    ["POST", "text/html", 406],
    ["POST", "application/json;q=0", 406],
    ["POST", "*/*;q=0", 406],
    ["POST", "application/json;q=0, text/event-stream;q=0.0, */*", 406],
    ["POST", "application/json-seq", 406],
    ["GET", "text/event-stream", 400],
    ["GET", "*/*", 400],
    ["GET", "application/json", 406],
    ["GET", "text/event-stream;q=0, */*", 406],
  ];
  for (const [method, accept, status] of accepts) {
    test(`[GATE-6] ${method} with Accept ${accept} → ${status}`, async () => {
      const endpoint = gated();
      const sent = request({ method, headers: { accept } });
      if (status === 406) await turnedAway(endpoint, sent, 406);
      else assert.equal((await endpoint.handler(sent)).status, status);
      await endpoint.handler.close();
    });
  }

  test("[GATE-6] without an Accept header everything is accepted", async () => {
    const endpoint = gated();
    const post = await endpoint.handler(request({ headers: { accept: undefined } }));
    assert.equal(post.status, 200);
    const get = await endpoint.handler(request({ method: "GET", headers: { accept: undefined } }));
    assert.equal(get.status, 400);
    await endpoint.handler.close();
  });

  for (const method of VERBS) {
    test(`[GATE-7] ${method} without the required header, or with another value, is refused`, async () => {
      const named = gated({ requiredHeader: "X-Needed" });
      const error = await turnedAway(named, request({ method }), 403);
      assert.match(await error.text(), /x-needed/);
      const any = await named.handler(request({ method, headers: { "x-needed": "any" } }));
      assert.notEqual(any.status, 403);
      const valued = gated({ requiredHeader: { name: "x-needed", value: "yes" } });
      await turnedAway(valued, request({ method, headers: { "x-needed": "no" } }), 403);
      const right = await valued.handler(request({ method, headers: { "x-needed": "yes" } }));
      assert.notEqual(right.status, 403);
      await Promise.all([named.handler.close(), valued.handler.close()]);
    });
  }
});

describe("GATE: body", () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;
  const invalid: readonly (readonly [string, BodyInit])[] = [
    ["nothing", ""],
    ["a half", '{"jsonrpc":'],
    ["two values", "{} {}"],
    ["a trailing comma", "[1,]"],
    ["a single quote", "{'a':1}"],
    ["bytes that are no UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["an overlong encoding", new Uint8Array([0x22, 0xc0, 0xaf, 0x22])],
    ["65 levels", nested(65)],
    ["65 levels of arrays", "[".repeat(65) + "]".repeat(65)],
    ["10,000 open brackets", "[".repeat(10_000)],
  ];
  for (const [name, body] of invalid) {
    test(`[GATE-9] ${name} → 400 / -32700`, async () => {
      const endpoint = gated();
      await turnedAway(endpoint, request({ body }), 400, -32700);
      await endpoint.handler.close();
    });
  }

  test("[GATE-9] 64 levels pass, and limits.jsonDepth changes the number", async () => {
    const endpoint = gated();
    // The JSON passes; it is no message.
    await turnedAway(endpoint, request({ body: nested(64) }), 400, -32600);
    const flat = gated({ limits: { jsonDepth: 2 } });
    await turnedAway(flat, request({ body: nested(3) }), 400, -32700);
    await turnedAway(flat, request({ body: '{"a":"[[[[{{{{"}' }), 400, -32600);
    await Promise.all([endpoint.handler.close(), flat.handler.close()]);
  });

  const envelopes: readonly (readonly [string, unknown])[] = [
    ["null", null],
    ["a number", 7],
    ["a string", "ping"],
    ["no version", { id: 1, method: "ping" }],
    ["version 1.0", { jsonrpc: "1.0", id: 1, method: "ping" }],
    ["version 2", { jsonrpc: 2, id: 1, method: "ping" }],
    ["upper-case keys", { JSONRPC: "2.0", ID: 1, METHOD: "ping" }],
    ["Method for method", { jsonrpc: "2.0", id: 1, Method: "ping" }],
    ["an empty method", { jsonrpc: "2.0", id: 1, method: "" }],
    ["a method that is no string", { jsonrpc: "2.0", id: 1, method: ["ping"] }],
    ["an id that is null", { jsonrpc: "2.0", id: null, method: "ping" }],
    ["an id with a fraction", { jsonrpc: "2.0", id: 1.5, method: "ping" }],
    ["an id that loses digits", { jsonrpc: "2.0", id: 2 ** 53, method: "ping" }],
    ["an id that is an object", { jsonrpc: "2.0", id: {}, method: "ping" }],
    ["an id that is a boolean", { jsonrpc: "2.0", id: true, method: "ping" }],
    ["params that are an array", { ...ping, params: [1] }],
    ["params that are a string", { ...ping, params: "a" }],
    ["a response without an id", { jsonrpc: "2.0", result: {} }],
    ["a response with result and error", {
      jsonrpc: "2.0",
      id: 1,
      result: {},
      error: { code: 1, message: "a" },
    }],
    ["a response with neither", { jsonrpc: "2.0", id: 1 }],
    ["a response that is a request too", { ...ping, result: {} }],
    ["an error without a code", { jsonrpc: "2.0", id: 1, error: { message: "a" } }],
    ["an empty batch", []],
    ["a batch of a batch", [[ping]]],
    ["a batch with garbage", [ping, 1]],
    ["a batch of 101", Array(101).fill(ping)],
  ];
  for (const [name, body] of envelopes) {
    test(`[GATE-10] ${name} → 400 / -32600 before anybody is authenticated`, async () => {
      const endpoint = gated();
      await turnedAway(endpoint, request({ body: JSON.stringify(body) }), 400, -32600);
      await endpoint.handler.close();
    });
  }

  for (const version of ["2024-11-05", "2025-06-18", "2025-11-25"]) {
    test(`[GATE-10] a batch in a session of ${version} is refused`, async () => {
      const { handler, stub } = gated();
      const peer = await initialize(handler, { version });
      const before = stub.exchanges.length;
      await refused(await peer.post([{ ...ping, id: 7 }, { ...ping, id: 8 }]), 400, -32600);
      assert.equal(stub.exchanges.length, before);
      await handler.close();
    });
  }

  test("[GATE-10] a batch in a session of 2025-03-26 is answered, up to limits.batch", async () => {
    const { handler } = gated({ limits: { batch: 3 } });
    const peer = await initialize(handler, { version: "2025-03-26" });
    const response = await peer.post([
      { ...ping, id: 7 },
      { jsonrpc: "2.0", method: "notifications/roots/list_changed" },
      { jsonrpc: "2.0", id: "8", method: "tools/call", params: { name: "hello" } },
    ]);
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), [
      { jsonrpc: "2.0", id: 7, result: {} },
      { jsonrpc: "2.0", id: "8", result: text("Hello") },
    ]);
    const silent = await peer.post([{ jsonrpc: "2.0", method: "notifications/a" }]);
    await accepted(silent);
    await refused(await peer.post(Array(4).fill(ping)), 400, -32600);
    assert.equal(handler.stats().requests, 0);
    await handler.close();
  });

  test("[GATE-10] initialize is no part of a batch", async () => {
    const { handler, stub } = gated();
    const peer = await initialize(handler, { version: "2025-03-26" });
    const before = stub.exchanges.length;
    await refused(await peer.post([peer.initializeRequest(5), ping]), 400, -32600);
    assert.equal(stub.exchanges.length, before);
    assert.equal(handler.stats().sessions, 1);
    await handler.close();
  });
});

describe("GATE: headers and pages", () => {
  test("[GATE-11] a header name with an underscore is hidden from authenticate", async () => {
    const found: unknown[] = [];
    const handler = createMcpHandler(new Stub(), {
      authenticate({ headers }) {
        found.push(headers.get("x-user"), headers.get("x_user"), headers.has("x_user"));
        found.push([...headers.keys()].filter((name) => name.includes("user")));
        found.push(new Headers([...headers]).get("x_user"));
        return { id: "alice" };
      },
    });
    await handler(request({ headers: { "x_user": "root" } }));
    assert.deepEqual(found, [null, null, false, [], null]);
    found.length = 0;
    await handler(request({ headers: { "x_user": "root", "x-user": "alice" } }));
    assert.deepEqual(found, ["alice", null, false, ["x-user"], null]);
    await handler.close();
  });

  test("[GATE-11] Mcp_Session_Id names no session", async () => {
    const { handler } = gated();
    const peer = await initialize(handler);
    const response = await peer.request(1, "ping", undefined, {
      "mcp-session-id": undefined,
      "mcp_session_id": peer.sessionId,
    });
    await refused(response, 400, -32000);
    await handler.close();
  });

  test("[GATE-12] a preflight of an allowed origin is answered", async () => {
    const endpoint = gated({ allowedOrigins: ["https://app.example"] });
    const response = await endpoint.handler(
      new Request(URL_2025, {
        method: "OPTIONS",
        headers: {
          "origin": "https://app.example",
          "access-control-request-method": "POST",
          "access-control-request-headers": "content-type, mcp-session-id",
        },
      }),
    );
    assert.equal(response.status, 204);
    assert.equal(response.headers.get("access-control-allow-origin"), "https://app.example");
    const list = (name: string) => response.headers.get(name)?.toLowerCase().split(/, */) ?? [];
    assert.deepEqual(list("access-control-allow-methods").sort(), ["delete", "get", "post"]);
    const needed = [
      "mcp-session-id",
      "mcp-protocol-version",
      "last-event-id",
      "mcp-method",
      "mcp-name",
      "authorization",
      "content-type",
    ];
    const allowed = new Set(list("access-control-allow-headers"));
    for (const name of needed) assert.ok(allowed.has(name), name);
    assert.equal(endpoint.authenticated(), 0);
    await endpoint.handler.close();
  });

  test("[GATE-12] a preflight of a foreign origin is refused, and shows nothing", async () => {
    const endpoint = gated({ allowedOrigins: ["https://app.example"] });
    const sent = request({ method: "OPTIONS", headers: { origin: "https://evil.example" } });
    const response = await turnedAway(endpoint, sent, 403);
    assert.equal(response.headers.get("access-control-allow-origin"), null);
    await endpoint.handler.close();
  });

  test("[GATE-12] pages may read what they need of answers, refusals and streams alike", async () => {
    const origin = "https://app.example";
    const { handler } = gated({ allowedOrigins: [origin] });
    const peer = await initialize(handler, { headers: { origin } });
    assert.ok(peer.sessionId);
    const responses = [
      await peer.request(1, "ping"),
      await peer.get(),
      await peer.request(2, "ping", undefined, { "mcp-session-id": "x" }),
      await peer.delete(),
    ];
    for (const response of responses) {
      assert.equal(response.headers.get("access-control-allow-origin"), origin);
      const exposed = response.headers.get("access-control-expose-headers")?.toLowerCase();
      for (const name of ["mcp-session-id", "www-authenticate", "retry-after"]) {
        assert.ok(exposed?.includes(name), name);
      }
      assert.match(response.headers.get("vary") ?? "", /origin/i);
      await response.body?.cancel();
    }
    await handler.close();
  });

  test("[GATE-12] without allowedOrigins nothing is said about pages", async () => {
    const { handler } = gated();
    const response = await handler(request({ headers: { origin: "http://localhost:1" } }));
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("access-control-allow-origin"), null);
    await handler.close();
  });
});

describe("GATE: order", () => {
  test("[GATE-1, GATE-2, GATE-3, GATE-4, GATE-5, GATE-6, GATE-7, GATE-8, GATE-9, GATE-10] each gate comes before the next, and all before authentication", async () => {
    let limited = true;
    const endpoint = gated({
      allowedHosts: ["mcp.example"],
      requiredHeader: "x-needed",
      rateLimit: { check: () => ({ allowed: !limited }) },
      limits: { bodyBytes: 200 },
    });
    let method = "PUT";
    let body: string = "?".repeat(201);
    const headers: Record<string, string> = {
      "origin": "https://evil.example",
      "host": "evil.example",
      "content-type": "text/plain",
      "accept": "text/html",
    };
    const step = async (mend: () => void): Promise<number> => {
      mend();
      const { status } = await endpoint.handler(
        new Request(URL_2025, { method, headers, body }),
      );
      return status;
    };
    const statuses = [
      await step(() => {}),
      await step(() => delete headers.origin),
      await step(() => headers.host = "mcp.example"),
      await step(() => limited = false),
      await step(() => method = "POST"),
      await step(() => headers["content-type"] = "application/json"),
      await step(() => headers.accept = BOTH),
      await step(() => headers["x-needed"] = "yes"),
      await step(() => body = "?"),
      await step(() => body = "{}"),
    ];
    assert.deepEqual(statuses, [403, 403, 429, 405, 415, 406, 403, 413, 400, 400]);
    assert.deepEqual(endpoint.events.refusals, [
      "origin",
      "host",
      "rate-limit",
      "method",
      "content-type",
      "accept",
      "required-header",
      "body-size",
      "json",
      "envelope",
    ]);
    assert.equal(endpoint.authenticated(), 0);
    assert.equal(await step(() => body = JSON.stringify(ping)), 400);
    assert.equal(endpoint.events.refusals.at(-1), "session-missing");
    assert.equal(endpoint.authenticated(), 1);
    await endpoint.handler.close();
  });
});
