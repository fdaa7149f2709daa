/**
 * Published programs in other languages, behind a gateway with default options. Run as the part `programs`
 * of the tests: they are 170 MB to download.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway, http, stdio, type Upstream } from "../../src/gateway/mod.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { binary, childrenOf, publishedServer } from "../gateway/children.ts";
import { textOf } from "../gateway/core_support.ts";
import { Session } from "../gateway/session.ts";
import { MODERN } from "../support/modern.ts";
import { as, byToken } from "../support/wire.ts";
import { home, PUBLISHED, type Published } from "./published.ts";

/** The time that a program may take, on a machine with other work. */
const LONG = { timeout: 60_000 };

async function until(found: () => Promise<boolean> | boolean, what: string): Promise<void> {
  const end = Date.now() + 40_000;
  while (!await found()) {
    if (Date.now() > end) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Opens, lists and calls. */
async function works(published: Published, upstream: Upstream, version: string): Promise<void> {
  await using session = await Session.open(upstream);
  const { serverInfo, protocolVersion } = session.session.facts;
  assert.deepEqual([serverInfo.name, protocolVersion], [published.title, version]);
  const { tools } = await session.request("tools/list");
  assert.ok(Array.isArray(tools));
  assert.equal(tools.length, published.tools);
  if (published.call === undefined) return;
  const [tool, args, expected] = published.call;
  const result = await session.call(tool, args);
  assert.notEqual(result.isError, true);
  assert.match(JSON.stringify(result.content), expected);
}

/** The processes of a program that run. */
function running({ stdio: { command } }: Published): number[] {
  return childrenOf(process.pid).filter((line) => line.includes(command))
    .map((line) => Number(line.trim().split(/\s+/)[0]));
}

/** Tells whether all threads of a process have stopped: a signal may reach them after a request. */
function isStopped(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      return stat.slice(stat.lastIndexOf(")")).startsWith(") T ");
    });
  } catch {
    // A thread has ended meanwhile, so not all had stopped.
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  assert.ok(isObject(address) && typeof address.port === "number");
  return address.port;
}

/** Starts a program as an HTTP server, and ends it after the work. */
async function served(published: Published, work: (url: string) => Promise<void>): Promise<void> {
  const { args, env, url } = published.http(await freePort());
  const child: ChildProcess = spawn(published.stdio.command, args, {
    env: { PATH: process.env.PATH, ...published.stdio.env, ...env },
    stdio: "ignore",
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    await until(
      () => fetch(url).then((found) => found.body?.cancel()).then(() => true, () => false),
      url,
    );
    await work(url);
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

/** A request of a 2026 client. These programs may take longer than any client of the tests waits. */
function modernRequest(user: string, method: string, params: JsonObject): Request {
  const _meta = {
    [MetaKey.ProtocolVersion]: MODERN,
    [MetaKey.ClientInfo]: { name: "test", version: "1" },
    [MetaKey.ClientCapabilities]: {},
  };
  return new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      ...as(user),
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "mcp-protocol-version": MODERN,
      "mcp-method": method,
      ...typeof params.name === "string" && { "mcp-name": params.name },
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta } }),
  });
}

/** The last message of a response, which may be a stream. */
function messageIn(body: string): JsonObject {
  const line = body.split("\n").findLast((line) => /^(?:data: ?)?\{/.test(line)) ?? "";
  return JSON.parse(line.replace(/^data: ?/, ""));
}

for (const published of PUBLISHED) {
  const { name, version, alsoSpeaks = [], diesOfProbe = false } = published;

  describe(name, () => {
    test(
      "[GTW-16] works over stdio, and is started once more if the probe ends it",
      LONG,
      async () => {
        const events: McpEvent[] = [];
        const upstream = stdio(published.stdio);
        let starts = 0;
        const counted: Upstream = {
          ...upstream,
          open: (init) =>
            upstream.open({
              ...init,
              report: (event) => events.push(event),
              takeProgram: () => {
                starts++;
                return () => {};
              },
            }),
        };
        await works(published, counted, version);
        assert.equal(starts, diesOfProbe ? 2 : 1);
        await works(published, counted, version);
        assert.equal(starts, diesOfProbe ? 3 : 2);
      },
    );

    for (const other of alsoSpeaks) {
      test(`[GTW-10] works over stdio, pinned to ${other}`, LONG, async () => {
        await works(published, stdio({ ...published.stdio, versions: [other] }), other);
      });
    }

    test("[GTW-16] works over HTTP", LONG, () =>
      served(published, async (url) => {
        const upstream = http({ url });
        await works(published, upstream, published.httpVersion ?? version);
        await works(published, upstream, published.httpVersion ?? version);
      }));

    test(
      "[GTW-17, GTW-18] is one program for each user, and killed while it is called, runs again",
      LONG,
      async () => {
        const gw = gateway({ upstreams: { up: stdio(published.stdio) }, listWaitMs: 40_000 });
        let isCalled = false;
        const handler = createMcpHandler(gw, {
          authenticate: byToken,
          onEvent: (event) => {
            if (event.type === "request-started") isCalled ||= event.method === "tools/call";
          },
        });
        const ask = async (user: string, method: string, params: JsonObject = {}) => {
          const response = await handler.fetch(modernRequest(user, method, params));
          const { result, error } = messageIn(await response.text());
          if (error !== undefined) throw new Error(JSON.stringify(error));
          assert.ok(isObject(result));
          return result;
        };
        const list = async (user: string): Promise<number> => {
          const { tools } = await ask(user, "tools/list");
          return Array.isArray(tools) ? tools.length : -1;
        };
        try {
          for (let n = 0; n < 2; n++) {
            assert.deepEqual(
              await Promise.all([list("ada"), list("bob")]),
              [published.tools, published.tools],
            );
          }
          const before = running(published);
          assert.equal(before.length, 2);
          const call = async (): Promise<JsonObject> => {
            const [tool, args] = published.call ?? ["none", {}];
            return await ask("ada", "tools/call", { name: `up__${tool}`, arguments: args });
          };
          // A stopped program is called for as long as it takes to kill it.
          for (const pid of before) process.kill(pid, "SIGSTOP");
          await until(() => before.every(isStopped), "the stop of all threads");
          const called = assert.rejects(call(), /can't be used now \(closed\)/);
          await until(() => isCalled, "the call");
          for (const pid of before) process.kill(pid, "SIGKILL");
          await called;
          if (published.call === undefined) assert.equal(await list("ada"), 0);
          else assert.match(String(textOf(await call())), published.call[2]);
          assert.ok(running(published).every((pid) => !before.includes(pid)));
        } finally {
          await handler.close();
          await gw.close();
        }
        assert.deepEqual(running(published), []);
      },
    );
  });
}

/** Servers in JavaScript, and a call of each: `[tool, arguments, what the result contains]`. */
const SCRIPTS: Readonly<
  Record<string, readonly [Upstream, ...NonNullable<Published["call"]>]>
> = {
  everything: [
    publishedServer("mcp-server-everything", "stdio"),
    ...["echo", { message: "hi" }, /Echo: hi/] as const,
  ],
  files: [
    publishedServer("mcp-server-filesystem", home),
    ...["list_allowed_directories", {}, /programs-/] as const,
  ],
  memory: [
    stdio({
      command: binary("mcp-server-memory"),
      env: { MEMORY_FILE_PATH: join(home, "memory.jsonl") },
    }),
    ...["read_graph", {}, /entities/] as const,
  ],
};

/** Sends a client's request. */
type Asking = (method: string, params?: JsonObject) => Promise<JsonObject>;

/** A 2025 client that waits as long as programs take. */
async function legacyClient(fetch: (request: Request) => Promise<Response>): Promise<Asking> {
  let session: string | null = null;
  const ask: Asking = async (method, params = {}) => {
    const response = await fetch(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: {
          ...as("ada"),
          "content-type": "application/json",
          "accept": "application/json, text/event-stream",
          ...session !== null && { "mcp-session-id": session },
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
      }),
    );
    session ??= response.headers.get("mcp-session-id");
    return resultIn(await response.text());
  };
  const clientInfo = { name: "test", version: "1" };
  await ask("initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
  return ask;
}

function resultIn(body: string): JsonObject {
  const { result, error } = messageIn(body);
  assert.ok(isObject(result), JSON.stringify(error));
  return result;
}

describe("all of them behind one endpoint", () => {
  test(
    "[GTW-8, SRCH-1] each is listed, and one tool of each called, in both eras; searched, they are a tenth",
    { timeout: 180_000 },
    async () => {
      const upstreams: Record<string, Upstream> = {};
      const calls = new Map<string, NonNullable<Published["call"]> | undefined>();
      PUBLISHED.forEach(({ stdio: options, call }, nth) => {
        upstreams[`program${nth}`] = stdio(options);
        calls.set(`program${nth}`, call);
      });
      for (const [name, [upstream, ...call]] of Object.entries(SCRIPTS)) {
        upstreams[name] = upstream;
        calls.set(name, call);
      }
      const gw = gateway({ upstreams, listWaitMs: 60_000, listTimeoutMs: 60_000 });
      const handlers = [false, true].map((toolSearch) =>
        createMcpHandler(gw.view({ toolSearch }), { authenticate: byToken })
      );
      const [handler, searching] = handlers;
      assert.ok(handler !== undefined && searching !== undefined);
      const modern = (fetch: typeof handler.fetch): Asking => async (method, params = {}) =>
        resultIn(await (await fetch(modernRequest("bob", method, params))).text());
      const allOf = async (ask: Asking): Promise<JsonObject[]> => {
        const all: JsonObject[] = [];
        let cursor: unknown;
        do {
          const page = await ask("tools/list", cursor === undefined ? {} : { cursor });
          assert.ok(Array.isArray(page.tools));
          all.push(...page.tools);
          cursor = page.nextCursor;
        } while (cursor !== undefined);
        return all;
      };
      const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value)).length;
      try {
        for (const ask of [await legacyClient(handler.fetch), modern(handler.fetch)]) {
          const listed = await allOf(ask);
          PUBLISHED.forEach(({ tools }, nth) => {
            const own = listed.filter(({ name }) => String(name).startsWith(`program${nth}__`));
            assert.equal(own.length, tools, `program${nth}`);
          });
          for (const [upstream, call] of calls) {
            if (call === undefined) continue;
            const [tool, args, expected] = call;
            const name = `${upstream}__${tool}`;
            assert.ok(listed.some((each) => each.name === name), name);
            const result = await ask("tools/call", { name, arguments: args });
            assert.notEqual(result.isError, true, JSON.stringify(result));
            assert.match(JSON.stringify(result.content), expected);
          }
        }
        const whole = bytes(await allOf(modern(handler.fetch)));
        for (const ask of [await legacyClient(searching.fetch), modern(searching.fetch)]) {
          const short = bytes(await allOf(ask));
          assert.ok(10 * short < whole, `${short} of ${whole}`);
          const search = { name: "search_tools", arguments: { query: "current time in a zone" } };
          const found = await ask("tools/call", search);
          assert.match(String(textOf(found)), /program0__current_time/);
          const inner = { name: "program0__current_time", arguments: { timezone: "UTC" } };
          const called = await ask("tools/call", { name: "call_tool", arguments: inner });
          assert.match(JSON.stringify(called.content), /\d{4}/);
        }
      } finally {
        await Promise.all(handlers.map((each) => each.close()));
        await gw.close();
      }
    },
  );
});
