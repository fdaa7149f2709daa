/**
 * `ctx.user.state`: what tools keep for a user, in both eras, on each host and store.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  completable,
  createMcpHandler,
  type McpEvent,
  type McpHandlerOptions,
  McpServer,
  type Principal,
  type RequestContext,
  ResourceTemplate,
} from "../../mod.ts";
import { z } from "zod";
import { serveStdio } from "../../src/adapters/stdio.ts";
import { mcpWorker } from "../../src/adapters/workers.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { Objects } from "../support/worker_objects.ts";

const KEY = "a key of at least 32 bytes for tests";
const ERAS = ["2025-11-25", "2026-07-28"] as const;

/** Whoever the header `x-user` names, as issuer, client and id. */
function authenticate({ headers }: Request): Principal {
  const [issuer = "", clientId = "", id = ""] = (headers.get("x-user") ?? "").split(" ");
  return { issuer, clientId, id };
}

const AS_ADA = { "x-user": "https://login.example editor ada" };

/** A server whose handlers add to a list of the user, each under a key of its own. */
function makeServer(): McpServer {
  const server = new McpServer({ name: "test", version: "1.0.0" });
  const note = async ({ user }: RequestContext, by: string) => {
    await user.state.set(by, "was here");
    return by;
  };
  server.registerTool("note", {}, (_args, ctx) => note(ctx, "tool"));
  server.registerTool(
    "recall",
    { inputSchema: z.object({ key: z.string() }) },
    async (args, ctx) => JSON.stringify(await ctx.user.state.get(args.key) ?? null),
  );
  const inputSchema = z.object({ key: z.string() });
  server.registerTool("forget", { inputSchema }, async ({ key }, { user: { state } }) => {
    await state.delete(key);
    return "Forgotten";
  });
  server.registerResource("note", "note:one", {}, (_uri, ctx) => note(ctx, "resource"));
  const template = new ResourceTemplate("note:{name}/more", { list: undefined });
  server.registerResource("more", template, {}, (_uri, _variables, ctx) => note(ctx, "template"));
  const argsSchema = {
    name: completable(z.string(), async (_value, _context, ctx) => [await note(ctx, "completion")]),
  };
  server.registerPrompt("note", { argsSchema }, (_args, ctx) => note(ctx, "prompt"));
  return server;
}

type Client = Awaited<ReturnType<typeof connect>>;

async function recall(client: Client, key: string): Promise<unknown> {
  const { content: [block] } = await client.callTool("recall", { key });
  assert.ok(block?.type === "text");
  return JSON.parse(block.text);
}

describe("ctx.user.state", () => {
  for (const protocolVersion of ERAS) {
    test(`[USER-1] tools, resources, prompts and completions have it: ${protocolVersion}`, async () => {
      await using handler = createMcpHandler(makeServer(), { authenticate });
      await using client = await connect(handler, { protocolVersion, headers: AS_ADA });
      await client.callTool("note");
      await client.readResource("note:one");
      await client.readResource("note:a/more");
      await client.getPrompt("note", { name: "x" });
      const ref = { type: "ref/prompt", name: "note" } as const;
      const { values } = await client.complete(ref, { name: "name", value: "c" });
      assert.deepEqual(values, ["completion"]);
      for (const by of ["tool", "resource", "template", "prompt", "completion"]) {
        assert.equal(await recall(client, by), "was here", by);
      }
      await client.callTool("forget", { key: "tool" });
      assert.equal(await recall(client, "tool"), null);
    });
  }

  test("[USER-1] it is one for all sessions, eras and clients of a user, and for no other user", async () => {
    await using handler = createMcpHandler(makeServer(), { authenticate });
    const as = (user: string, protocolVersion: string) =>
      connect(handler, { headers: { "x-user": user }, protocolVersion });
    {
      await using first = await as("https://login.example editor ada", "2025-11-25");
      await first.callTool("note");
    }
    assert.equal(handler.stats().sessions, 0, "Its session has ended");
    for (const [index, protocolVersion] of ERAS.entries()) {
      await using own = await as(`https://login.example other-${index} ada`, protocolVersion);
      assert.equal(await recall(own, "tool"), "was here");
      for (const user of ["https://login.example editor ben", "https://evil.example editor ada"]) {
        await using other = await as(user, protocolVersion);
        assert.equal(await recall(other, "tool"), null, user);
      }
    }
  });

  test("[USER-1] a task has the state of the user who began it", async () => {
    const server = makeServer();
    server.use(tasks());
    server.registerTool("work", { task: "required" }, async (_args, ctx) => {
      await ctx.user.state.set("task", ctx.session === undefined);
      return "Done";
    });
    await using handler = createMcpHandler(server, { authenticate });
    const capabilities = { extensions: { "io.modelcontextprotocol/tasks": {} } };
    const options = { headers: AS_ADA, protocolVersion: "2026-07-28", capabilities };
    await using client = await connect(handler, options);
    // The official client has no word for the answer, which is the task.
    await assert.rejects(client.callTool("work"), /'task'/);
    let kept = null;
    for (let tries = 0; kept === null && tries < 1_000; tries++) {
      kept = await recall(client, "task");
    }
    assert.equal(kept, true);
  });

  for (const protocolVersion of ERAS) {
    test(`[USER-6] without authenticate there is none: ${protocolVersion}`, async () => {
      const events: McpEvent[] = [];
      const onEvent = (event: McpEvent) => void events.push(event);
      await using handler = createMcpHandler(makeServer(), { onEvent });
      await using client = await connect(handler, { protocolVersion });
      const { isError, content } = await client.callTool("note");
      assert.equal(isError, true);
      assert.doesNotMatch(JSON.stringify(content), /authenticate/);
      const errors = events.flatMap((event) => event.type === "error" ? [String(event.error)] : []);
      assert.deepEqual(errors, [
        'TypeError: Give "authenticate" to use ctx.user.state: without it, nobody knows whose state ' +
        "it is",
      ]);
    });

    test(`[USER-6] a pipe belongs to the user of the process: ${protocolVersion}`, async () => {
      const toServer = new TransformStream<Uint8Array, Uint8Array>();
      const toClient = new TransformStream<Uint8Array, Uint8Array>();
      const streams = { input: toServer.readable, output: toClient.writable };
      await using _server = serveStdio(makeServer(), { ...streams, graceMs: 0 });
      const writer = toServer.writable.getWriter();
      const modern = protocolVersion === "2026-07-28";
      const _meta = {
        "io.modelcontextprotocol/protocolVersion": protocolVersion,
        "io.modelcontextprotocol/clientInfo": { name: "test", version: "1.0.0" },
        "io.modelcontextprotocol/clientCapabilities": {},
      };
      const call = (id: number, name: string, args: object) => ({
        ...{ jsonrpc: "2.0", id, method: "tools/call" },
        params: { name, arguments: args, ...modern && { _meta } },
      });
      const clientInfo = { name: "test", version: "1.0.0" };
      const params = { protocolVersion, capabilities: {}, clientInfo };
      const reader = toClient.readable.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      const send = async (message: object, id: number) => {
        void writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
        while (true) {
          const answer = text.split("\n").slice(0, -1).map((line) => JSON.parse(line))
            .find((line) => line.id === id);
          if (answer !== undefined) return answer;
          text += (await reader.read()).value ?? assert.fail(text);
        }
      };
      if (!modern) await send({ jsonrpc: "2.0", id: 1, method: "initialize", params }, 1);
      await send(call(2, "note", {}), 2);
      const { result } = await send(call(3, "recall", { key: "tool" }), 3);
      assert.equal(result.content[0].text, '"was here"');
    });
  }

  test("[USER-1] handlers with one store share it; a store without it says so", async () => {
    const store = memoryStore();
    const make = (options: McpHandlerOptions) =>
      createMcpHandler(makeServer(), { authenticate, ...options });
    await using one = make({ store });
    await using other = make({ store });
    await using first = await connect(one, { headers: AS_ADA });
    await using second = await connect(other, { headers: AS_ADA, protocolVersion: "2026-07-28" });
    await first.callTool("note");
    assert.equal(await recall(second, "tool"), "was here");

    const errors: string[] = [];
    await using without = make({
      store: { open: (settings) => memoryStore().open(settings) },
      onEvent: (event) => void (event.type === "error" && errors.push(String(event.error))),
    });
    await using client = await connect(without, { headers: AS_ADA });
    assert.equal((await client.callTool("note")).isError, true);
    assert.match(errors.join(), /Use a store with "userStates"/);
  });

  test("[USER-1] a SQLite file has it after a restart", async () => {
    const folder = mkdtempSync(join(tmpdir(), "user-state-"));
    using _removed = { [Symbol.dispose]: () => rmSync(folder, { recursive: true }) };
    const path = join(folder, "mcp.sqlite");
    for (const restarted of [false, true]) {
      using store = sqliteStore({ path });
      await using handler = createMcpHandler(makeServer(), { authenticate, store });
      await using client = await connect(handler, { headers: AS_ADA });
      assert.equal(await recall(client, "tool"), restarted ? "was here" : null);
      await client.callTool("note");
    }
  });

  test("[USER-3] limits.userStateBytes and userState.idleMs hold in both eras", async () => {
    const clock = new FakeClock();
    const limits = { userStateBytes: 14 };
    const options = { authenticate, clock, limits, userState: { idleMs: 60_000 } };
    const server = makeServer();
    server.registerTool("fill", {}, async (_args, { user: { state } }) => {
      await state.set("more", 1);
      return "Filled";
    });
    await using handler = createMcpHandler(server, options);
    for (const protocolVersion of ERAS) {
      await using client = await connect(handler, { headers: AS_ADA, protocolVersion });
      await client.callTool("note");
      assert.equal((await client.callTool("fill")).isError, true);
      await clock.advance(60_000);
      assert.equal(await recall(client, "tool"), null);
    }
  });

  test("[USER-7] a Worker keeps it in an object of the user's own, for both eras", async () => {
    const worker = mcpWorker(makeServer(), {
      authenticate,
      requests: { stateKeys: [KEY] },
      userState: { idleMs: 60_000 },
    });
    const objects = new Objects(worker);
    using _closed = { [Symbol.dispose]: () => objects.close() };
    const fetch = (request: Request) => worker.fetch(request, objects.env);
    await using modern = await connect(fetch, { headers: AS_ADA, protocolVersion: "2026-07-28" });
    await modern.callTool("note");
    assert.equal(objects.size, 1);
    await using legacy = await connect(fetch, { headers: AS_ADA });
    assert.equal(await recall(legacy, "tool"), "was here");
    await using other = await connect(fetch, {
      headers: { "x-user": "https://login.example editor ben" },
    });
    assert.equal(await recall(other, "tool"), null);
    // Changes in a session's object and in the Worker meet.
    await Promise.all([
      legacy.readResource("note:one"),
      modern.readResource("note:a/more"),
      legacy.getPrompt("note", { name: "x" }),
    ]);
    for (const by of ["resource", "template", "prompt"]) {
      assert.equal(await recall(modern, by), "was here", by);
    }
    const [name] = [...objects.alarms.keys()].filter((name) => name.startsWith("user:"));
    assert.ok(name !== undefined && !name.includes("ada"), "An alarm ends it");
    await objects.alarms.get(name)?.();
    assert.equal(await recall(modern, "prompt"), "was here", "It has not expired");
    for (const key of ["tool", "resource", "template", "prompt"]) {
      await modern.callTool("forget", { key });
    }
    assert.deepEqual(objects.log, ["deleteAll"], "Nothing is left, and nothing is paid for");
    assert.equal(objects.alarms.has(name), false);
    await legacy.callTool("note");
    assert.equal(await recall(modern, "tool"), "was here");
  });

  test("[USER-7] a Worker without objects says which binding is missing, when it is used", async () => {
    const errors: string[] = [];
    const worker = mcpWorker(makeServer(), {
      authenticate,
      versions: ["2026-07-28"],
      onEvent: (event) => void (event.type === "error" && errors.push(String(event.error))),
    });
    const fetch = (request: Request) => worker.fetch(request, {});
    await using client = await connect(fetch, { headers: AS_ADA, protocolVersion: "2026-07-28" });
    assert.equal((await client.callTool("note")).isError, true);
    assert.match(errors.join(), /no binding "MCP_SESSION"/);
  });

  for (const protocolVersion of ERAS) {
    test(`[USER-1] servers behind one gateway have each their own: ${protocolVersion}`, async () => {
      const gw = gateway({ upstreams: { one: local(makeServer()), two: local(makeServer()) } });
      await using handler = createMcpHandler(gw, { authenticate });
      await using client = await connect(handler, { headers: AS_ADA, protocolVersion });
      await client.callTool("one__note");
      const kept = async (name: string) => {
        const { content: [block] } = await client.callTool(`${name}__recall`, { key: "tool" });
        return block?.type === "text" ? block.text : undefined;
      };
      assert.equal(await kept("one"), '"was here"');
      assert.equal(await kept("two"), "null");
      await gw.close();
    });
  }
});
