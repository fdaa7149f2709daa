/**
 * Published programs in other languages, behind a gateway with default options. Run as the part `programs`
 * of the tests: they are 170 MB to download.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import process from "node:process";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway, http, stdio, type Upstream } from "../../src/gateway/mod.ts";
import type { McpEvent } from "../../src/protocol/events.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { childrenOf } from "../gateway/children.ts";
import { textOf } from "../gateway/core_support.ts";
import { Session } from "../gateway/session.ts";
import { MODERN } from "../support/modern.ts";
import { as, byToken } from "../support/wire.ts";
import { PUBLISHED, type Published } from "./published.ts";

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
