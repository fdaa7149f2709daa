import { describe, test } from "node:test";
import assert from "node:assert/strict";
import {
  createMcpHandler,
  type McpEvent,
  type McpHandlerOptions,
  McpServer,
  onToolCall,
} from "../../mod.ts";
import { serveStdio } from "../../src/adapters/stdio.ts";
import { mcpWorker } from "../../src/adapters/workers.ts";
import { SessionObject } from "../../src/adapters/workers_session.ts";
import { UserObjects } from "../../src/adapters/workers_user_state.ts";
import type { OPTION_NAMES } from "../../src/handler/option_names.ts";
import { serve } from "../runtimes/runtime.ts";
import { memorySql } from "../support/sqlite.ts";
import { Stub, textOf } from "../support/wire.ts";
import { Objects } from "../support/worker_objects.ts";

const KEY = "a key of at least 32 bytes for tests";

type Groups = { readonly [K in Group]: (typeof OPTION_NAMES)[K] };
type Group = {
  [K in keyof typeof OPTION_NAMES]: (typeof OPTION_NAMES)[K] extends true ? never : K;
}[keyof typeof OPTION_NAMES];
type OptionName =
  | Exclude<keyof typeof OPTION_NAMES, Group>
  | { [K in Group]: `${K}.${Extract<keyof Groups[K], string>}` }[Group];

/** Hosts, each with a function that begins to serve with options, and fails if they can't be honoured. */
const HOSTS = {
  handler: async (options: McpHandlerOptions) =>
    await createMcpHandler(new Stub(), options).close(),
  server: async (options: McpHandlerOptions) => {
    const running = await serve(new Stub(), { port: 0, signals: false, ...options });
    await running.close();
  },
  worker: async ({ requests, ...options }: McpHandlerOptions) => {
    const worker = mcpWorker(new Stub(), {
      requests: { stateKeys: [KEY], ...requests },
      ...options,
    });
    const objects = new Objects(worker);
    await worker.fetch(new Request("http://localhost/mcp"), objects.env);
    objects.close();
  },
  /** The handler behind the Worker, for clients of 2025 versions. */
  object: async (options: McpHandlerOptions) => {
    const sql = memorySql();
    const state = { storage: { sql, setAlarm() {}, deleteAlarm() {}, deleteAll() {} } };
    const users = new UserObjects(() => assert.fail("No other object is there"));
    const setup = { dispatcher: new Stub(), options, users };
    const object = new SessionObject(state as never, {}, setup);
    try {
      await object.alarm();
    } finally {
      sql.close();
    }
  },
  stdio: async (options: McpHandlerOptions) => {
    const [input, output] = [new ReadableStream<Uint8Array>(), new WritableStream<Uint8Array>()];
    const server = serveStdio(new Stub(), { ...options, input, output, graceMs: 0 } as object);
    await server.close();
  },
};
type Host = keyof typeof HOSTS;

/** What a host does with an option: `front` is what a Worker applies before its objects. */
type Use = "honours" | "refuses" | "front";

const EVERYWHERE = { handler: "honours", server: "honours", worker: "honours" } as const;
const ALL: Row = { ...EVERYWHERE, object: "honours", stdio: "honours" };
const HTTP: Row = { ...EVERYWHERE, object: "honours", stdio: "refuses" };
const FRONT: Row = { ...EVERYWHERE, object: "front", stdio: "refuses" };
const NODE: Row = { ...HTTP, worker: "refuses", object: "front" };
/** The objects' time is their own: it waits while a session is idle. */
const TIME: Row = { ...ALL, worker: "refuses", object: "front" };
type Row = Readonly<Record<Host, Use>>;

/** Each option with what hosts do with it, and a value that whoever honours it refuses by its name. */
const OPTIONS: Readonly<Record<OptionName, readonly [Row, wrong: unknown]>> = {
  path: [FRONT, "mcp"],
  healthPath: [FRONT, "health"],
  allowedOrigins: [FRONT, "https://app.example"],
  allowedHosts: [FRONT, "app.example"],
  cors: [FRONT, "yes"],
  requiredHeader: [FRONT, ""],
  rateLimit: [FRONT, {}],
  authenticate: [FRONT, "token"],
  authorize: [ALL, "all"],
  principalRateLimit: [FRONT, {}],
  resource: [HTTP, {}],
  serverCard: [FRONT, {}],
  versions: [ALL, ["2020-01-01"]],
  "limits.bodyBytes": [ALL, 0],
  "limits.totalBodyBytes": [FRONT, 0],
  "limits.bodyMs": [HTTP, 0],
  "limits.jsonDepth": [ALL, 0],
  "limits.batch": [ALL, 0],
  "limits.sessions": [NODE, 0],
  "limits.sessionsPerPrincipal": [NODE, 0],
  "limits.eventBytes": [ALL, 0],
  "limits.totalEventBytes": [HTTP, 0],
  "limits.eventBytesPerPrincipal": [HTTP, 0],
  "limits.streams": [HTTP, -1],
  "limits.streamsPerPrincipal": [HTTP, -1],
  "limits.requests": [ALL, 0],
  "limits.requestsPerPrincipal": [HTTP, 0],
  "limits.listens": [ALL, -1],
  "limits.listensPerPrincipal": [HTTP, -1],
  "limits.resultBytes": [ALL, 0],
  "limits.page": [ALL, 0],
  "limits.subscriptions": [ALL, -1],
  "limits.stateBytes": [ALL, -1],
  "limits.userStateBytes": [ALL, -1],
  "limits.userStates": [NODE, 0],
  "userState.idleMs": [HTTP, 0],
  "sessions.idleMs": [HTTP, 0],
  "sessions.absoluteMs": [HTTP, 0],
  "streams.sseAfterMs": [HTTP, -1],
  "streams.keepAliveMs": [HTTP, 0],
  "streams.retainMs": [HTTP, -1],
  "streams.progressHeartbeatMs": [ALL, -1],
  "streams.retryMs": [HTTP, -1],
  "streams.listen": [ALL, "yes"],
  "streams.secondGet": [HTTP, "close"],
  "requests.timeoutMs": [ALL, -1],
  "requests.maxTimeoutMs": [ALL, -1],
  "requests.askTimeoutMs": [ALL, 0],
  "requests.stateKeys": [ALL, ["short"]],
  "limits.longCalls": [{ ...ALL, worker: "refuses", object: "front" }, -1],
  "limits.longCallsPerPrincipal": [NODE, -1],
  "longCalls.afterMs": [{ ...ALL, worker: "refuses", object: "front" }, 0],
  "longCalls.ttlMs": [{ ...ALL, worker: "refuses", object: "front" }, 0],
  store: [NODE, {}],
  "cluster.keys": [{ ...NODE, object: "honours" }, ["short"]],
  middleware: [ALL, "none"],
  "events.principalName": [ALL, "id"],
  "events.nodeName": [ALL, ""],
  "events.address": [ALL, "whole"],
  onEvent: [{ ...ALL, object: "front" }, "log"],
  clock: [TIME, {}],
};

function optionsWith(name: string, value: unknown): McpHandlerOptions {
  const [group = "", member] = name.split(".");
  return { [group]: member === undefined ? value : { [member]: value } };
}

describe("each option on each host", () => {
  for (const [name, [row, wrong]] of Object.entries(OPTIONS)) {
    test(`[HOST-8] ${name}`, async () => {
      for (const [host, use] of Object.entries(row)) {
        const start = HOSTS[host as Host](optionsWith(name, wrong));
        if (use === "front") {
          // A Worker has applied it, or refuses it.
          await assert.doesNotReject(start, `${name} at ${host}`);
          continue;
        }
        await assert.rejects(start, (error: Error) => {
          const [group] = name.split(".");
          assert.match(error.message, new RegExp(`"(${name}|${group})"`), `${name} at ${host}`);
          const refused = /^Leave out|instead of "authenticate"/.test(error.message);
          assert.equal(refused, use === "refuses", error.message);
          return true;
        }, `${name} at ${host}`);
      }
    });
  }

  test("[HOST-8] an option that there is not fails the start by its name", async () => {
    for (const host of ["handler", "server", "worker", "object", "stdio"] as const) {
      for (const name of ["allowedOrigin", "limits.sesions", "middlewares", "events.principal"]) {
        const unknown = new RegExp(`^TypeError: Unknown option "${name}"`);
        await assert.rejects(HOSTS[host](optionsWith(name, 1)), unknown, `${name} at ${host}`);
      }
    }
  });
});

/** Sends one call of a tool in an era, and returns the answer. */
type Send = (era: "2025" | "2026") => Promise<Readonly<Record<string, unknown>>>;

const MODERN = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
  "io.modelcontextprotocol/clientCapabilities": {},
};
const INITIALIZE = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: {
    protocolVersion: "2025-11-25",
    capabilities: {},
    clientInfo: { name: "test", version: "1.0.0" },
  },
};

function callIn(era: "2025" | "2026") {
  const params = { name: "purge", arguments: {}, ...era === "2026" && { _meta: MODERN } };
  return { jsonrpc: "2.0", id: 2, method: "tools/call", params };
}

function over(fetch: (request: Request) => Promise<Response>): Send {
  const post = (message: object, headers: object) =>
    fetch(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          ...headers,
        },
        body: JSON.stringify(message),
      }),
    );
  return async (era) => {
    if (era === "2026") {
      const headers = {
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "purge",
      };
      return await (await post(callIn(era), headers)).json();
    }
    const opened = await post(INITIALIZE, {});
    const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") };
    await opened.text();
    return await (await post(callIn(era), headers)).json();
  };
}

function overStdio(options: McpHandlerOptions): { send: Send; close: () => Promise<void> } {
  const closes: (() => Promise<void>)[] = [];
  const send: Send = async (era) => {
    const toServer = new TransformStream<Uint8Array, Uint8Array>();
    const toClient = new TransformStream<Uint8Array, Uint8Array>();
    const server = serveStdio(makeServer(), {
      ...options,
      input: toServer.readable,
      output: toClient.writable,
      graceMs: 0,
    });
    closes.push(() => server.close());
    const writer = toServer.writable.getWriter();
    const lines = era === "2025" ? [INITIALIZE, callIn(era)] : [callIn(era)];
    for (const line of lines) {
      void writer.write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
    }
    let text = "";
    const decoder = new TextDecoder();
    for await (const bytes of toClient.readable) {
      text += decoder.decode(bytes, { stream: true });
      const answer = text.split("\n").slice(0, -1).map((line) => JSON.parse(line))
        .find(({ id }) => id === 2);
      if (answer !== undefined) return answer;
    }
    return assert.fail(text);
  };
  return { send, close: async () => void await Promise.all(closes.map((close) => close())) };
}

function makeServer(): McpServer {
  const server = new McpServer({ name: "test", version: "1.0.0" });
  server.registerTool("purge", {}, () => "Purged");
  server.registerTool("look", {}, () => "Looked");
  return server;
}

/** Hosts that serve an McpServer with the tool `purge`. */
const SERVING: Readonly<
  Record<string, (options: McpHandlerOptions) => Promise<{ send: Send; close(): Promise<void> }>>
> = {
  handler: async (options) => {
    const handler = createMcpHandler(makeServer(), options);
    return { send: over(handler), close: () => handler.close({ graceMs: 0 }) };
  },
  server: async (options) => {
    const running = await serve(makeServer(), { port: 0, signals: false, ...options });
    const send = over(async (request) =>
      await fetch(running.url, {
        method: "POST",
        headers: request.headers,
        body: await request.text(),
      })
    );
    return { send, close: () => running.close() };
  },
  worker: async (options) => {
    const worker = mcpWorker(makeServer, { requests: { stateKeys: [KEY] }, ...options });
    const objects = new Objects(worker);
    return {
      send: over((request) => worker.fetch(request, objects.env)),
      close: async () => objects.close(),
    };
  },
  stdio: async (options) => overStdio(options),
};

describe("a rule holds on each host, for clients of both eras", () => {
  for (const [host, begin] of Object.entries(SERVING)) {
    for (const era of ["2025", "2026"] as const) {
      const withOptions = async (
        options: McpHandlerOptions,
        use: (send: () => ReturnType<Send>) => Promise<void>,
      ) => {
        const { send, close } = await begin(options);
        await use(() => send(era)).finally(close);
      };

      test(`[HOST-8] middleware refuses a tool: ${host}, ${era}`, async () => {
        const refuse = onToolCall(({ name }, next) =>
          name === "purge" ? { content: [{ type: "text", text: "Refused" }] } : next()
        );
        await withOptions({ middleware: [refuse] }, async (send) => {
          assert.equal(textOf((await send())["result"]), "Refused");
        });
      });

      test(`[HOST-8] authorize hides a tool: ${host}, ${era}`, async () => {
        const authorize: McpHandlerOptions["authorize"] = (_principal, { method }) =>
          method !== "tools/call";
        await withOptions({ authorize }, async (send) => {
          const { error } = await send();
          assert.match(JSON.stringify(error), /Unknown tool/);
        });
      });

      test(`[HOST-8] events name a principal as configured: ${host}, ${era}`, async () => {
        const seen: McpEvent[] = [];
        const options: McpHandlerOptions = {
          events: { principalName: () => "hash" },
          onEvent: (event) => void seen.push(event),
        };
        await withOptions(options, async (send) => {
          assert.equal(textOf((await send())["result"]), "Purged");
        });
        const names = seen.flatMap((event) =>
          event.type === "request-finished" ? [event.principal] : []
        );
        assert.ok(names.length > 0);
        assert.deepEqual(new Set(names), new Set(["hash"]));
      });
    }
  }
});
