import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { Forbidden, Unauthorized, Unavailable } from "../../src/auth/errors.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { LOG_LEVELS, type LogLevel } from "../../src/protocol/shapes.ts";
import { McpServer, type McpServerOptions } from "../../src/server/server.ts";
import { envelope, ModernPeer } from "../support/modern.ts";
import { Events, initialize, refused, Stub } from "../support/wire.ts";

const TOKEN = { _meta: { progressToken: "t" } };

/** A server whose tool, prompt and resource throw what they are told to. */
function throwing(thrown: () => unknown) {
  const server = new McpServer({ name: "throwing", version: "1.0.0" });
  server.registerTool("tool", {}, () => {
    throw thrown();
  });
  server.registerTool("stream", {}, (_args, ctx) => {
    ctx.progress(1);
    throw thrown();
  });
  server.registerPrompt("prompt", {}, () => {
    throw thrown();
  });
  server.registerResource("resource", "test://resource", {}, () => {
    throw thrown();
  });
  const events = new Events();
  const handler = createMcpHandler(server, { onEvent: events.onEvent });
  return { handler, events, peer: new ModernPeer(handler) };
}

const REQUESTS: Readonly<Record<string, JsonObject>> = {
  "tools/call": { name: "tool" },
  "prompts/get": { name: "prompt" },
  "resources/read": { uri: "test://resource" },
};

describe("ERA: codes of errors that handlers throw", () => {
  /** What is thrown, what the newer era is told, and with which status. */
  const cases: readonly (readonly [number, number, number])[] = [
    [-32002, -32602, 200],
    [-32042, -32603, 200],
    [-32000, -32603, 200],
    [-32001, -32603, 200],
    [-32019, -32603, 200],
    [-32023, -32603, 200],
    [-32050, -32603, 200],
    [-32099, -32603, 200],
    [-32020, -32020, 400],
    [-32021, -32021, 400],
    [-32022, -32022, 400],
    [-32602, -32602, 200],
    [-32603, -32603, 200],
    [-32601, -32601, 404],
    [1, 1, 200],
    [-31_999, -31_999, 200],
    [-32_100, -32_100, 200],
    [-32_769, -32_769, 200],
  ];
  for (const [thrown, code, status] of cases) {
    for (const [method, params] of Object.entries(REQUESTS)) {
      test(`[ERA-7] ${thrown} of ${method} → ${code} / ${status}, as it is in the older era`, async () => {
        const data = { hint: "kept" };
        const { handler, peer } = throwing(() => new McpError(thrown, "Told", data));
        const error = await peer.error(await peer.request(method, params), method);
        assert.deepEqual(
          { ...error, id: 0 },
          { code, status, message: "Told", data, id: 0 },
        );
        const old = await initialize(handler);
        const response = await old.request(1, method, params);
        assert.equal(response.status, 200);
        const before = (await old.json(response)).error as JsonObject;
        assert.deepEqual(before, { code: thrown, message: "Told", data });
        await handler.close();
      });
    }
  }

  test("[ERA-7] in a stream it is the same code, only the status has gone out before", async () => {
    for (const [thrown, code] of cases) {
      const { handler, peer } = throwing(() => new McpError(thrown, "Told"));
      const response = await peer.call("stream", {}, TOKEN);
      assert.equal(response.status, 200);
      assert.equal((await peer.error(response)).code, code);
      assert.equal(handler.stats().streams, 0);
      await handler.close();
    }
  });

  test("[ERA-7] what isn't meant for the client tells it nothing", async () => {
    const { handler, peer, events } = throwing(() => new Error("A secret"));
    for (const [method, params] of Object.entries(REQUESTS)) {
      const { message } = await peer.answer(await peer.request(method, params), method);
      assert.doesNotMatch(JSON.stringify(message), /secret/);
      if (method !== "tools/call") {
        assert.equal((message.error as JsonObject).code, ErrorCode.InternalError);
      }
    }
    assert.equal(events.of("error").length, 3);
    await handler.close();
  });

  test("[ERA-7] a dispatcher of any kind is held to the era's codes", async () => {
    const stub = new Stub({}, {
      "tools/list": () => {
        throw new McpError(-32042, "Visit");
      },
      "prompts/list": () => {
        throw new TypeError("A secret");
      },
    });
    const handler = createMcpHandler(stub);
    const peer = new ModernPeer(handler);
    for (const method of ["tools/list", "prompts/list"]) {
      const error = await peer.error(await peer.request(method), method);
      assert.deepEqual([error.code, error.status], [-32603, 200]);
      assert.doesNotMatch(error.message, /secret/);
    }
    await handler.close();
  });

  test("[ERA-7] an unknown resource has each era's own code", async () => {
    const { handler, peer } = throwing(() => new Error());
    const uri = "test://none";
    const error = await peer.error(await peer.request("resources/read", { uri }), "resources/read");
    assert.deepEqual([error.code, error.data, error.status], [-32602, { uri }, 200]);
    const old = await initialize(handler);
    const before = await old.json(await old.request(1, "resources/read", { uri }));
    assert.equal((before.error as JsonObject).code, -32002);
    await handler.close();
  });

  test("[ERA-7] unknown names and wrong arguments → -32602", async () => {
    const { handler, peer } = throwing(() => new Error());
    const wrong: [string, JsonObject][] = [
      ["tools/call", { name: "none" }],
      ["tools/call", {}],
      ["prompts/get", { name: "none" }],
      ["tools/list", { cursor: "nonsense" }],
    ];
    for (const [method, params] of wrong) {
      const error = await peer.error(await peer.request(method, params), method);
      assert.deepEqual([error.code, error.status], [-32602, 200]);
    }
    await handler.close();
  });
});

describe("ERA: codes of refusals", () => {
  const refuse = { check: () => ({ allowed: false, retryAfterMs: 1 }) };
  const cases: Readonly<Record<string, readonly [McpHandlerOptions, number, JsonObject?]>> = {
    "no credentials": [{
      authenticate: () => {
        throw new Unauthorized();
      },
    }, 401],
    "too few rights": [{
      authenticate: () => {
        throw new Forbidden();
      },
    }, 403],
    "a missing scope": [{ authenticate: () => ({ id: "ada", scopes: [] }) }, 403, {
      name: "scoped",
    }],
    "credentials that can't be checked": [{
      authenticate: () => {
        throw new Unavailable();
      },
    }, 503],
    "a principal's rate limit": [{ principalRateLimit: refuse }, 429],
    "a version that isn't served": [{ versions: ["2025-11-25"] }, 400],
  };
  for (const [what, [options, status, params = { name: "tool" }]] of Object.entries(cases)) {
    test(`[ERA-7] ${what} → ${status}, and a code that the era has`, async () => {
      const server = new McpServer({ name: "refusing", version: "1.0.0" });
      server.registerTool("tool", {}, () => "ran");
      server.registerTool("scoped", { scopes: ["write"] }, () => "ran");
      const handler = createMcpHandler(server, options);
      const peer = new ModernPeer(handler);
      const response = await peer.request("tools/call", params);
      const error = await peer.error(response);
      assert.equal(error.status, status);
      assert.equal(error.code, status === 400 ? -32022 : -32603);
      await handler.close();
    });
  }

  test("[ERA-7] what is refused before the body is read has the older code: the era isn't known", async () => {
    const { peer, handler } = throwing(() => new Error());
    const foreign = await peer.request("tools/list", {}, {
      headers: { origin: "https://evil.example" },
    });
    assert.deepEqual([foreign.status, (await foreign.json()).error.code], [403, -32000]);
    await handler.close();
  });
});

describe("ERA: log messages", () => {
  function talking(options?: McpServerOptions) {
    const server = new McpServer({ name: "talking", version: "1.0.0" }, options);
    let built = 0;
    server.registerTool("log", {}, (_args, ctx) => {
      for (const level of LOG_LEVELS) {
        ctx.log(level, {
          level,
          toJSON: () => {
            built++;
            return { level };
          },
        }, "tests");
      }
      return "Logged";
    });
    server.registerPrompt("log", {}, (_args, ctx) => {
      ctx.log("error", "From a prompt");
      return "Logged";
    });
    const handler = createMcpHandler(server);
    return { handler, peer: new ModernPeer(handler), built: () => built };
  }

  /** The levels that came, in order. */
  async function levels(peer: ModernPeer): Promise<unknown[]> {
    const response = await peer.call("log");
    if (response.headers.get("content-type") === "application/json") {
      await peer.result(response);
      return [];
    }
    const messages = await peer.frames(response).messages();
    return messages.slice(0, -1).map(({ method, params }) => {
      assert.equal(method, "notifications/message");
      assert.equal((params as JsonObject).logger, "tests");
      return (params as JsonObject).level;
    });
  }

  test("[ERA-6] [SRV-6] without a level nothing is logged, built or streamed", async () => {
    const { handler, peer, built } = talking();
    const response = await peer.call("log");
    assert.equal(response.headers.get("content-type"), "application/json");
    await peer.result(response);
    assert.equal(built(), 0);
    await handler.close();
  });

  for (const [at, level] of LOG_LEVELS.entries()) {
    test(`[ERA-6] with the level ${level} that and worse are logged, nothing less is built`, async () => {
      const { handler, peer, built } = talking();
      assert.deepEqual(await levels(peer.with({ logLevel: level })), LOG_LEVELS.slice(at));
      assert.equal(built(), LOG_LEVELS.length - at);
      await handler.close();
    });
  }

  test("[ERA-6] the level is of its request alone, not of the next one nor of another's", async () => {
    const { handler, peer } = talking();
    const loud = peer.with({ logLevel: "debug" });
    const strict = peer.with({ logLevel: "emergency" });
    const [all, few, none] = await Promise.all([levels(loud), levels(strict), levels(peer)]);
    assert.deepEqual([all.length, few.length, none.length], [LOG_LEVELS.length, 1, 0]);
    assert.deepEqual(await levels(peer), []);
    await handler.close();
  });

  test("[ERA-6] the older era's level is of its session, and the eras don't mix", async () => {
    const { handler, peer } = talking();
    const old = await initialize(handler);
    await old.result(await old.request(1, "logging/setLevel", { level: "emergency" }));
    assert.equal((await levels(peer.with({ logLevel: "debug" }))).length, LOG_LEVELS.length);
    const messages = await old.frames(await old.call(2, "log")).messages();
    assert.equal(messages.length, 2);
    await handler.close();
  });

  test("[ERA-6] prompts log too", async () => {
    const { handler, peer } = talking();
    const loud = peer.with({ logLevel: "debug" });
    const response = await loud.request("prompts/get", { name: "log" });
    assert.equal((await loud.frames(response, "prompts/get").messages()).length, 2);
    await handler.close();
  });

  test("[ERA-6] a server that doesn't log doesn't", async () => {
    const { handler, peer } = talking({ logging: false });
    assert.deepEqual(await levels(peer.with({ logLevel: "debug" })), []);
    await handler.close();
  });

  for (const level of ["loud", "ERROR", "", 7, null, ["error"]]) {
    test(`[ERA-6] the level ${JSON.stringify(level)} → 400 / -32602`, async () => {
      const { handler, peer } = talking();
      const _meta = envelope({}, { [MetaKey.LogLevel]: level });
      const message = peer.message("tools/call", { name: "log", _meta }, 1);
      const { message: told } = await refused(await peer.post(message), 400, -32602, 1);
      assert.match(told, /logLevel/);
      await handler.close();
    });
  }

  test("[ERA-6] logging/setLevel → 404, and has set nothing", async () => {
    const { handler, peer } = talking();
    const level: LogLevel = "debug";
    await refused(await peer.request("logging/setLevel", { level }), 404, -32601, 1);
    assert.deepEqual(await levels(peer), []);
    await handler.close();
  });
});

describe("ERA: progress", () => {
  test("[ERA-6] [CAN-5] only for the request's own token, and only while it rises", async () => {
    const server = new McpServer({ name: "progress", version: "1.0.0" });
    server.registerTool("count", {}, (_args, ctx) => {
      for (const n of [1, 2, 2, 1, 3]) ctx.progress(n, 3, `${n}`);
      return "Counted";
    });
    const handler = createMcpHandler(server);
    const peer = new ModernPeer(handler);
    const silent = await peer.call("count");
    assert.equal(silent.headers.get("content-type"), "application/json");
    for (const progressToken of ["t", 7, 0, ""]) {
      const response = await peer.call("count", {}, { _meta: { progressToken } });
      const messages = await peer.frames(response).messages();
      assert.deepEqual(
        messages.slice(0, -1).map(({ params }) => params),
        [1, 2, 3].map((n) => ({
          progressToken,
          progress: n,
          total: 3,
          message: `${n}`,
        })),
      );
    }
    await handler.close();
  });
});
