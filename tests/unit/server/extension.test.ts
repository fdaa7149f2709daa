import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import type { Extension } from "../../../src/server/extension.ts";
import type { ToolCall } from "../../../src/server/features/tools.ts";
import type { McpServer } from "../../../src/server/server.ts";
import { FakeExchange, FakeHost } from "../../support/exchange.ts";
import { errorTextOf, makeServer, rejectsWith, request } from "./helpers.ts";

const MODERN = { protocolVersion: "2026-07-28" } as const;
const OLD = { protocolVersion: "2025-11-25" } as const;

function extension(more: Partial<Extension> = {}): Extension {
  return { id: "example.com/x", settings: { a: 1 }, methods: {}, ...more };
}

async function extensionsOf(server: McpServer, method: string): Promise<unknown> {
  const init = method === "initialize" ? OLD : MODERN;
  const { capabilities } = await request(server, method, {}, init);
  return (capabilities as JsonObject).extensions;
}

describe("McpServer.use()", () => {
  test("[EXT-1] gives the extension back, and tells it of the server once", () => {
    const server = makeServer();
    const told: unknown[] = [];
    const used = extension({ install: (server) => void told.push(server) });
    assert.equal(server.use(used), used);
    assert.deepEqual(told, [server]);
  });

  test("[EXT-1] offers the extension to clients that know extensions", async () => {
    const server = makeServer({ capabilities: { extensions: { "own.example/y": {} } } });
    server.use(extension());
    const own = { "own.example/y": {} };
    assert.deepEqual(await extensionsOf(server, "server/discover"), {
      ...own,
      "example.com/x": { a: 1 },
    });
    assert.deepEqual(await extensionsOf(server, "initialize"), own);
  });

  test("[EXT-1] doesn't offer what has no settings", async () => {
    const server = makeServer();
    let settings: JsonObject | undefined = undefined;
    server.use({
      id: "example.com/x",
      methods: {},
      get settings() {
        return settings;
      },
    });
    assert.equal(await extensionsOf(server, "server/discover"), undefined);
    settings = {};
    assert.deepEqual(await extensionsOf(server, "server/discover"), { "example.com/x": {} });
  });

  test("[EXT-1] answers the extension's methods to 2026 clients alone", async () => {
    const server = makeServer();
    server.use(extension({ methods: { "x/get": ({ params }) => ({ got: params.a }) } }));
    const { got, resultType } = await request(server, "x/get", { a: 7 }, MODERN);
    assert.deepEqual({ got, resultType }, { got: 7, resultType: "complete" });
    await rejectsWith(-32601, /Unknown method/, () => request(server, "x/get", {}, OLD));
  });

  const refused: Record<string, [Partial<Extension>, RegExp]> = {
    "the same one twice": [{}, /^Use each extension once: "example\.com\/x"$/],
    "one without an id": [{ id: "" }, /^Give each extension a name/],
    "a method of the protocol": [
      { id: "y", methods: { "tools/list": () => ({}) } },
      /^Leave out the method "tools\/list"/,
    ],
    "a method of another one": [
      { id: "y", methods: { "x/get": () => ({}) } },
      /^Leave out the method "x\/get"/,
    ],
    "a second one that answers calls": [
      { id: "y", callTool: (call) => call.run() },
      /^Use at most one extension with "callTool"/,
    ],
  };
  for (const [what, [more, message]] of Object.entries(refused)) {
    test(`[EXT-1] refuses ${what}`, async () => {
      const server = makeServer();
      server.use(
        extension({
          methods: { "x/get": () => ({ first: true }) },
          callTool: (call) => call.run(),
        }),
      );
      assert.throws(() => server.use(extension(more)), { name: "TypeError", message });
      assert.equal((await request(server, "x/get", {}, MODERN)).first, true);
    });
  }

  test("[EXT-1] refuses one that comes when the server is served", () => {
    const server = makeServer();
    server.attach(new FakeHost());
    assert.throws(() => server.use(extension()), /before the server is served/);
  });

  test("[EXT-1] tells the extension of every endpoint and of its end", () => {
    const server = makeServer();
    const hosts: unknown[] = [];
    const attach: Extension["attach"] = (host) => {
      hosts.push(host);
      return () => void hosts.splice(hosts.indexOf(host), 1);
    };
    server.use(extension({ attach }));
    const [first, second] = [new FakeHost(), new FakeHost()];
    const [detachFirst, detachSecond] = [server.attach(first), server.attach(second)];
    assert.deepEqual(hosts, [first, second]);
    detachFirst();
    assert.deepEqual(hosts, [second]);
    detachSecond();
    assert.deepEqual(hosts, []);
  });
});

describe("an extension that answers the calls of tools", () => {
  test("[EXT-1] gets checked arguments, and may run the tool or not", async () => {
    const server = makeServer();
    const calls: ToolCall[] = [];
    const callTool = (call: ToolCall) => {
      calls.push(call);
      return call.name === "run" ? call.run() : { content: [], instead: true };
    };
    server.use(extension({ callTool }));
    const inputSchema = z.object({ n: z.number().default(7) });
    for (const name of ["run", "skip"]) {
      server.registerTool(name, { inputSchema }, ({ n }) => `Ran with ${n}`);
    }
    const ran = await request(server, "tools/call", { name: "run" }, OLD);
    assert.deepEqual(ran, { content: [{ type: "text", text: "Ran with 7" }] });
    assert.equal((await request(server, "tools/call", { name: "skip" }, OLD)).instead, true);
    assert.deepEqual(calls.map(({ name, args, task }) => [name, args, task]), [
      ["run", { n: 7 }, undefined],
      ["skip", { n: 7 }, undefined],
    ]);
    const wrong = { name: "run", arguments: { n: "x" } };
    assert.match(errorTextOf(await request(server, "tools/call", wrong, OLD)), /Fix "n"/);
    assert.equal(calls.length, 2);
  });

  test("[EXT-1] may run it for another exchange, with other questions", async () => {
    const server = makeServer();
    const other = new FakeExchange("tools/call", {}, { ...OLD, capabilities: { roots: {} } });
    const questions = { ask: async () => ({ roots: [{ uri: "file:///other" }] }) };
    const callTool = (call: ToolCall) => call.run(other, call.context(other, questions));
    server.use(extension({ callTool }));
    server.registerTool("roots", {}, async (_args, ctx) => {
      ctx.log("alert", "x");
      return JSON.stringify(await ctx.roots());
    });
    const { content } = await request(server, "tools/call", { name: "roots" }, OLD);
    assert.deepEqual(content, [{ type: "text", text: '[{"uri":"file:///other"}]' }]);
    assert.equal(other.notified.length, 1);
  });
});
