import assert from "node:assert/strict";
import { type Context, Hono } from "hono";
import { compress } from "hono/compress";
import { describe, test } from "node:test";
import { fromHono, mcp } from "../../../src/adapters/hono.ts";
import { Unauthorized } from "../../../src/auth/errors.ts";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import type { Dispatcher, Principal } from "../../../src/protocol/exchange.ts";
import { McpServer } from "../../../src/server/server.ts";
import { callBody } from "../../runtimes/raw.ts";
import { routing } from "../../support/routes.ts";

/** Answers every request with who asks. */
const whoami: Dispatcher = { route: routing(({ principal }) => ({ id: principal.id })) };

const call: RequestInit = {
  method: "POST",
  headers: { "content-type": "application/json" },
  body: callBody("whoami"),
};

type AppEnv = { Variables: { principal?: Principal; user?: { email: string } } };

describe("mcp()", () => {
  test("hands the request and the Hono context to the handler", async () => {
    const app = new Hono();
    const seen: unknown[] = [];
    app.all(
      "/mcp",
      mcp(async (request, context) => {
        seen.push(request, context);
        return new Response("answered", { status: 202 });
      }),
    );
    const request = new Request("http://localhost/mcp", { method: "DELETE" });
    const response = await app.fetch(request);
    assert.equal(response.status, 202);
    assert.equal(await response.text(), "answered");
    assert.equal(seen[0], request);
    assert.equal(typeof (seen[1] as Context).get, "function");
  });

  test("fits a typed app, behind middleware", async () => {
    const app = new Hono<AppEnv>();
    app.use("/mcp", async (c, next) => {
      await next();
      c.header("x-app", "1");
    });
    app.all("/mcp", mcp(createMcpHandler(whoami, { sessions: false })));
    const response = await app.request("/mcp", call);
    assert.equal(response.headers.get("x-app"), "1");
    assert.deepEqual((await response.json()).result, { id: "anonymous" });
  });

  test("serves a request whose body middleware has read through Hono", async () => {
    for (const read of ["json", "text", "arrayBuffer"] as const) {
      const app = new Hono();
      app.use("/mcp", async (c, next) => {
        await c.req[read]();
        await next();
      });
      app.all("/mcp", mcp(createMcpHandler(whoami, { sessions: false })));
      const response = await app.request("/mcp", call);
      assert.equal(response.status, 200, read);
      assert.deepEqual((await response.json()).result, { id: "anonymous" });
    }
  });

  test("[HOST-3] compress() leaves a stream as it is, and compresses JSON", async () => {
    const told = Promise.withResolvers<void>();
    const server = new McpServer({ name: "slow", version: "1.0.0" });
    server.registerTool("long", {}, () => "a".repeat(5_000));
    server.registerTool("slow", {}, async (_args, ctx) => {
      ctx.progress(1, 2);
      await told.promise;
      return "Done";
    });
    const app = new Hono();
    app.use(compress());
    app.all("/mcp", mcp(createMcpHandler(server, { sessions: false })));
    const ask = (name: string) =>
      app.request("/mcp", {
        ...call,
        headers: { "content-type": "application/json", "accept-encoding": "gzip" },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method: "tools/call",
          params: { name, _meta: { progressToken: 1 } },
        }),
      });
    const stream = await ask("slow");
    assert.equal(stream.headers.get("content-encoding"), null);
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    // The tool ends only when its progress has arrived.
    while (!text.includes("notifications/progress")) text += (await reader?.read())?.value;
    told.resolve();
    while (!text.includes("Done")) text += (await reader?.read())?.value;
    await reader?.cancel();
    assert.equal((await ask("long")).headers.get("content-encoding"), "gzip");
  });

  test("[GATE-8] a body that middleware has read is measured all the same", async () => {
    const app = new Hono();
    app.use("/mcp", async (c, next) => {
      await c.req.json();
      await next();
    });
    const limits = { bodyBytes: 20 };
    app.all("/mcp", mcp(createMcpHandler(whoami, { sessions: false, limits })));
    const response = await app.request("/mcp", call);
    assert.equal(response.status, 413);
  });
});

describe("fromHono()", () => {
  /** An app whose middleware sets what is given. */
  function appWith(set: (c: Context<AppEnv>) => void, authenticate = fromHono()): Hono<AppEnv> {
    const app = new Hono<AppEnv>();
    app.use("/mcp", async (c, next) => {
      set(c);
      await next();
    });
    app.all("/mcp", mcp(createMcpHandler(whoami, { sessions: false, authenticate })));
    return app;
  }

  test("[AUTH-1] takes the variable principal", async () => {
    const app = appWith((c) => c.set("principal", { id: "alice" }));
    const response = await app.request("/mcp", call);
    assert.deepEqual((await response.json()).result, { id: "alice" });
  });

  test("[AUTH-1] takes what pick makes of the context, now or later", async () => {
    const picks = [
      fromHono((c: Context<AppEnv>) => ({ id: c.get("user")?.email ?? "nobody" })),
      fromHono(async (c: Context<AppEnv>) => ({ id: c.get("user")?.email ?? "nobody" })),
    ];
    for (const pick of picks) {
      const app = appWith((c) => c.set("user", { email: "alice@app.example" }), pick);
      const response = await app.request("/mcp", call);
      assert.deepEqual((await response.json()).result, { id: "alice@app.example" });
    }
  });

  test("[AUTH-1] nobody is a 401, on every verb", async () => {
    const picks = [
      fromHono(),
      fromHono(() => undefined),
      fromHono(async () => undefined),
      fromHono(() => {
        throw new Unauthorized();
      }),
    ];
    for (const pick of picks) {
      const app = appWith(() => {}, pick);
      for (const init of [call, { method: "GET" }, { method: "DELETE" }]) {
        const response = await app.request("/mcp", init);
        assert.equal(response.status, 401);
        assert.equal(response.headers.get("www-authenticate"), "Bearer");
      }
    }
  });

  test("[AUTH-1] outside of Hono nobody gets in, and the operator learns why", async () => {
    const events: McpEvent[] = [];
    const handler = createMcpHandler(whoami, {
      authenticate: fromHono(),
      onEvent: (event) => events.push(event),
    });
    for (const context of [undefined, null, {}, { req: {} }]) {
      const response = await handler(new Request("http://localhost/mcp", call), context);
      assert.equal(response.status, 500);
    }
    const errors = events.filter((event) => event.type === "error");
    assert.match(String(errors[0]?.error), /Mount the handler with mcp\(\)/);
  });

  test("refuses a pick that is no function", () => {
    // What callers without types may hand over.
    assert.throws(() => fromHono("principal" as never), TypeError);
  });
});
