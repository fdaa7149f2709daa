/**
 * Calls that run long: they are answered before their client gives up, run on, and give their result to who
 * owns them.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Store } from "../../src/cluster/types.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { onToolCall } from "../../src/calls/middleware/on_tool_call.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ANONYMOUS } from "../../src/protocol/exchange.ts";
import { TASKS, type TaskStore } from "../../src/protocol/task_store.ts";
import { ownerKey } from "../../src/sessions/owner.ts";
import { NODE_LOST } from "../../src/protocol/node_loss.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { createOperator } from "../../src/dashboard/mod.ts";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, Gate, initialize, soon, textOf } from "../support/wire.ts";

const AFTER = 45_000;
const JSON_ONLY = { accept: "application/json" };

/** A client of either era that calls tools. */
interface Client {
  readonly call: (name: string, args?: JsonObject) => Promise<JsonObject>;
  readonly list: () => Promise<readonly string[]>;
}

const ERAS = {
  async "2025"(handler: McpHandler, user?: string): Promise<Client> {
    const headers = user === undefined ? {} : as(user);
    const peer = await initialize(handler, { ...JSON_ONLY, headers });
    let id = 100;
    const result = async (method: string, params: JsonObject) =>
      await peer.result(await peer.request(++id, method, params));
    return {
      call: (name, args = {}) => result("tools/call", { name, arguments: args }),
      list: async () => namesOf(await result("tools/list", {})),
    };
  },
  "2026"(handler: McpHandler, user?: string): Promise<Client> {
    const headers = user === undefined ? {} : as(user);
    const peer = new ModernPeer(handler, { ...JSON_ONLY, headers });
    return Promise.resolve({
      call: (name, args) => peer.say(name, args),
      list: async () => namesOf(await peer.ask("tools/list")),
    });
  },
};
type Era = keyof typeof ERAS;

function namesOf({ tools }: JsonObject): string[] {
  return (tools as { readonly name: string }[]).map(({ name }) => name);
}

/** A server with a tool that runs until a test lets it end. */
function endpoint(options: McpHandlerOptions = {}, clock = new FakeClock()) {
  const events = new Events();
  const finish = new Gate<string>();
  const ran: RequestContext[] = [];
  const server = new McpServer({ name: "test", version: "1.0.0" });
  const work = async (_: unknown, ctx: RequestContext) => {
    ran.push(ctx);
    return await finish.promise;
  };
  server.registerTool("work", {}, work);
  server.registerTool(
    "typed",
    { outputSchema: z.object({ text: z.string() }) },
    async (_, ctx) => ({
      structuredContent: { text: await work(_, ctx) },
    }),
  );
  server.registerTool("never", { longCalls: false }, work);
  if (options.longCalls !== false) {
    server.registerTool("soon", { longCalls: { afterMs: 5_000 } }, work);
  }
  server.registerTool("again", {
    annotations: { idempotentHint: true },
    retryOnNodeLoss: true,
  }, work);
  server.registerTool("fails", {}, async (_, ctx) => {
    await work(_, ctx);
    throw new Error("secret");
  });
  server.registerTool("asks", {}, async (_, ctx) => {
    await work(_, ctx);
    const schema = z.object({ sure: z.boolean() });
    return String((await ctx.elicit("sure", { message: "Sure?", schema })).action);
  });
  server.registerTool("hangs", {}, () => new Promise<string>(() => {}));
  server.registerTool("quick", {}, () => "Quick");
  const handler = createMcpHandler(server, {
    clock,
    onEvent: events.onEvent,
    longCalls: {},
    ...options,
  });
  return { clock, events, finish, ran, server, handler };
}

/** A store that takes no task until its gate is open. */
function slowStore() {
  const inner = memoryStore();
  const gate = new Gate();
  let tasks: TaskStore | undefined;
  const store: Store = {
    open(settings) {
      const backplane = inner.open(settings);
      const own = backplane.tasks;
      tasks = own;
      if (own === undefined) return backplane;
      const slow: TaskStore = {
        create: async (task, caps) => {
          await gate.promise;
          return await own.create(task, caps);
        },
        get: (...args) => own.get(...args),
        update: (...args) => own.update(...args),
        cancel: (...args) => own.cancel(...args),
        take: (...args) => own.take(...args),
        lose: (...args) => own.lose(...args),
        delete: (...args) => own.delete(...args),
        beat: (...args) => own.beat(...args),
        leave: (...args) => own.leave(...args),
      };
      return { ...backplane, tasks: slow };
    },
  };
  return { store, gate, tasks: () => tasks };
}

/** A store of several nodes, each of which can die: from then on nothing that it does reaches the others. */
function mortalStore() {
  const inner = memoryStore();
  const dead = new Set<number>();
  /** Returns the store of a node. */
  const node = (index: number): Store => ({
    open(settings) {
      const backplane = inner.open(settings);
      const { tasks } = backplane;
      if (tasks === undefined) return backplane;
      const dies = new Proxy(tasks, {
        get(tasks, name) {
          const value: unknown = Reflect.get(tasks, name, tasks);
          if (typeof value !== "function") return value;
          return dead.has(index) ? () => Promise.reject(new Error("Dead")) : value.bind(tasks);
        },
      });
      return { ...backplane, tasks: dies };
    },
  });
  return { node, die: (index: number) => void dead.add(index) };
}

/** The handle in the answer of a call. */
function handleOf(result: JsonObject): string {
  const [, handle] = /"handle": "([^"]+)"/.exec(said(result)) ?? [];
  assert.ok(handle, `No handle: ${JSON.stringify(result)}`);
  return handle;
}

/** The text of a result. */
function said(result: JsonObject): string {
  return String(textOf(result));
}

/** Closes a handler whose tools still run. */
async function stop(handler: McpHandler, clock: FakeClock): Promise<void> {
  const closed = handler.close({ graceMs: 0 });
  await clock.advance(1_000);
  await soon(closed, "the end");
}

/** Calls a tool, and lets so much time pass that the call is answered. */
async function handOver(clock: FakeClock, client: Client, tool = "work", ms = AFTER) {
  const answer = client.call(tool);
  await clock.advance(ms);
  return await soon(answer, "the handle");
}

for (const era of Object.keys(ERAS) as Era[]) {
  describe(`LONG: calls that run long, ${era}`, () => {
    test("[LONG-1] a call is answered with a handle, and its result is fetched", async () => {
      const { clock, finish, ran, events, handler } = endpoint();
      const client = await ERAS[era](handler);
      const pending = client.call("work");
      await clock.advance(AFTER - 1);
      assert.equal(handler.stats().requests, 1);
      await clock.advance(1);
      const answer = await soon(pending);
      assert.equal(answer.isError, undefined);
      assert.equal(handler.stats().requests, 0);
      assert.equal(ran[0]?.signal.aborted, false);
      const handle = handleOf(answer);
      const result = client.call("wait_for_result", { handle });
      await clock.advance(1_000);
      assert.equal(handler.stats().requests, 1);
      finish.open("Done");
      assert.equal(said(await soon(result)), "Done");
      // As often as it is asked for
      assert.equal(said(await client.call("wait_for_result", { handle })), "Done");
      assert.deepEqual(ran.length, 1);
      const ended = events.of("request-finished").filter(({ tool }) => tool === "work");
      assert.deepEqual(ended.map(({ outcome }) => outcome), ["handed-over"]);
      const [late] = events.of("long-call-ended");
      assert.deepEqual([late?.tool, late?.outcome, late?.ms], ["work", "result", AFTER + 1_000]);
      await handler.close();
      assert.equal(clock.pending, 0);
    });

    test("[LONG-1] a quick call, and one that ends in time, are answered as ever", async () => {
      const { clock, finish, handler } = endpoint();
      const client = await ERAS[era](handler);
      assert.equal(said(await client.call("quick")), "Quick");
      const pending = client.call("work");
      await clock.advance(AFTER - 1);
      finish.open("In time");
      assert.equal(said(await soon(pending)), "In time");
      await handler.close();
    });

    test("[LONG-2] while the tool runs, waiting ends with how far it is", async () => {
      const { clock, ran, handler } = endpoint();
      const client = await ERAS[era](handler);
      const answer = client.call("work");
      await clock.advance(1_000);
      ran[0]?.progress(1, 12, "January");
      await clock.advance(AFTER - 1_000);
      assert.match(said(await soon(answer)), /So far: January \(1 of 12\)/);
      const handle = handleOf(await answer);
      const waiting = client.call("wait_for_result", { handle });
      await clock.advance(10_000);
      ran[0]?.progress(2, 12, "February");
      await clock.advance(AFTER);
      const still = await soon(waiting);
      assert.match(said(still), /still running\. So far: February \(2 of 12\)/);
      assert.equal(handleOf(still), handle);
      await stop(handler, clock);
    });

    test("[LONG-3] cancel_call stops the tool", async () => {
      const { clock, ran, events, handler } = endpoint();
      const client = await ERAS[era](handler);
      const handle = handleOf(await handOver(clock, client));
      const waiting = client.call("wait_for_result", { handle });
      await clock.advance(0);
      assert.equal(said(await client.call("cancel_call", { handle })), "The call was cancelled");
      assert.equal(ran[0]?.signal.aborted, true);
      assert.equal(said(await soon(waiting)), "The call was cancelled");
      assert.match(said(await client.call("cancel_call", { handle })), /ended already/);
      assert.deepEqual(events.of("long-call-ended").map(({ outcome }) => outcome), ["cancelled"]);
      await handler.close();
    });

    test("[LONG-4] another user's handle looks unknown", async () => {
      const { clock, ran, finish, handler } = endpoint({ authenticate: byToken });
      const [alice, mallory] = [
        await ERAS[era](handler, "alice"),
        await ERAS[era](handler, "mallory"),
      ];
      const handle = handleOf(await handOver(clock, alice));
      for (const tool of ["wait_for_result", "cancel_call"]) {
        const foreign = await mallory.call(tool, { handle });
        assert.deepEqual(foreign, await mallory.call(tool, { handle: "x".repeat(32) }));
        assert.equal(foreign.isError, true);
        assert.match(said(foreign), /^Unknown handle/);
      }
      assert.equal(ran[0]?.signal.aborted, false);
      finish.open("Hers");
      assert.equal(said(await alice.call("wait_for_result", { handle })), "Hers");
      await handler.close();
    });

    test("[LONG-5] where there is no room, a call goes on as any", async () => {
      const { clock, finish, handler } = endpoint({ limits: { longCalls: 1 } });
      const client = await ERAS[era](handler);
      const handle = handleOf(await handOver(clock, client));
      const second = client.call("work");
      await clock.advance(AFTER * 2);
      assert.equal(handler.stats().requests, 1);
      finish.open("Done");
      assert.equal(said(await soon(second)), "Done");
      assert.equal(said(await client.call("wait_for_result", { handle })), "Done");
      await handler.close();
    });

    test("[LONG-5] each user has a share of the room", async () => {
      const { clock, finish, handler } = endpoint({
        authenticate: byToken,
        limits: { longCalls: 10, longCallsPerPrincipal: 1 },
      });
      const [alice, bob] = [await ERAS[era](handler, "alice"), await ERAS[era](handler, "bob")];
      handleOf(await handOver(clock, alice));
      const second = alice.call("work");
      await clock.advance(AFTER);
      handleOf(await handOver(clock, bob));
      finish.open("Done");
      assert.equal(said(await soon(second)), "Done");
      await handler.close();
    });

    test("[LONG-6] after its time a call is stopped and forgotten", async () => {
      const { clock, ran, handler } = endpoint({ longCalls: { ttlMs: 60_000 } });
      const client = await ERAS[era](handler);
      const handle = handleOf(await handOver(clock, client));
      await clock.advance(59_999);
      assert.equal(ran[0]?.signal.aborted, false);
      await clock.advance(1);
      assert.equal(ran[0]?.signal.aborted, true);
      assert.match(said(await client.call("wait_for_result", { handle })), /^Unknown handle/);
      await handler.close();
      assert.equal(clock.pending, 0);
    });

    test("[LONG-7] any node of a cluster gives the result, and cancels", async () => {
      const clock = new FakeClock();
      const store: Store = memoryStore();
      const [a, b] = [endpoint({ store }, clock), endpoint({ store }, clock)];
      const [here, there] = [await ERAS[era](a.handler), await ERAS[era](b.handler)];
      const handle = handleOf(await handOver(clock, here));
      const result = there.call("wait_for_result", { handle });
      a.finish.open("From the first");
      await clock.advance(1_000);
      assert.equal(said(await soon(result)), "From the first");
      const second = endpoint({ store }, clock);
      const other = handleOf(await handOver(clock, await ERAS[era](second.handler)));
      await there.call("cancel_call", { handle: other });
      await clock.advance(0);
      assert.equal(second.ran[0]?.signal.aborted, true);
      await Promise.all([a, b, second].map(({ handler }) => handler.close()));
      assert.equal(clock.pending, 0);
    });

    test("[LONG-7] a call whose node is lost ends with the words for it", async () => {
      const clock = new FakeClock();
      const store: Store = memoryStore();
      const [a, b] = [endpoint({ store }, clock), endpoint({ store }, clock)];
      const [here, there] = [await ERAS[era](a.handler), await ERAS[era](b.handler)];
      const handle = handleOf(await handOver(clock, here));
      await stop(a.handler, clock);
      await clock.advance(15_000);
      await assert.rejects(
        async () => await there.call("wait_for_result", { handle }),
        (error: Error) =>
          error.message.includes("shutting down") || error.message.includes(NODE_LOST.message),
      );
      await b.handler.close();
    });

    test("[LONG-22] a call whose node is lost runs again where that is allowed, once", async () => {
      const clock = new FakeClock();
      const { node, die } = mortalStore();
      const seen: string[] = [];
      const redact = onToolCall((call, next) => {
        seen.push(call.name);
        return next();
      });
      const nodes = [0, 1, 2].map((index) =>
        endpoint({ store: node(index), middleware: [redact] }, clock)
      );
      const clients = await Promise.all(nodes.map(({ handler }) => ERAS[era](handler)));
      const [a, b, c] = clients;
      assert.ok(a && b && c);
      const handles = [await handOver(clock, a, "again"), await handOver(clock, a, "work")]
        .map(handleOf);
      const [again = "", never = ""] = handles;
      const waiting = c.call("wait_for_result", { handle: again });
      await clock.advance(1_000);
      die(0);
      for (let second = 0; second < 12; second++) await clock.advance(1_000);
      // Whoever waits meanwhile learns of it.
      assert.match(said(await soon(waiting)), /still running\. So far: It begins again/);
      await assert.rejects(c.call("wait_for_result", { handle: never }), {
        message: new RegExp(NODE_LOST.message),
      });
      const pending = [b, c].map((client) => client.call("wait_for_result", { handle: again }));
      for (let second = 0; second <= AFTER / 1_000; second++) await clock.advance(1_000);
      const begun = (await soon(Promise.all(pending))).map(said);
      for (const text of begun) assert.match(text, /still running\. So far: It begins again/);
      const ran = nodes.map(({ ran }) => ran.length);
      assert.deepEqual([ran[0], (ran[1] ?? 0) + (ran[2] ?? 0)], [2, 1]);
      const [second, third] = ran[1] === 1 ? [1, 2] : [2, 1];
      assert.equal(seen.filter((name) => name === "again").length, 2);
      nodes[second]?.ran[0]?.progress(1, 2, "Half");
      await clock.advance(0);
      nodes[second]?.finish.open("Done");
      await clock.advance(1_000);
      for (const index of [second, third]) {
        const result = await clients[index]?.call("wait_for_result", { handle: again });
        assert.equal(said(result ?? {}), "Done");
      }
      const [late] = nodes[second]?.events.of("long-call-ended") ?? [];
      assert.deepEqual([late?.tool, late?.outcome], ["again", "result"]);
      for (const { handler } of nodes) await stop(handler, clock);
    });

    test("[LONG-22] one that is lost twice ends with the words for it", async () => {
      const clock = new FakeClock();
      const { node, die } = mortalStore();
      const nodes = [0, 1, 2].map((index) => endpoint({ store: node(index) }, clock));
      const [a, b, c] = await Promise.all(nodes.map(({ handler }) => ERAS[era](handler)));
      assert.ok(a && b && c);
      const handle = handleOf(await handOver(clock, a, "again"));
      die(0);
      for (let second = 0; second < 12; second++) await clock.advance(1_000);
      assert.match(said(await soon(b.call("wait_for_result", { handle }))), /It begins again/);
      await clock.advance(1_000);
      assert.equal(nodes[1]?.ran.length, 1);
      die(1);
      for (let second = 0; second < 12; second++) await clock.advance(1_000);
      await assert.rejects(c.call("wait_for_result", { handle }), {
        message: new RegExp(NODE_LOST.message),
      });
      assert.equal(nodes[2]?.ran.length, 0);
      for (const { handler } of nodes) await stop(handler, clock);
    });

    test("[LONG-22] one whose node closes runs again at another, and can be cancelled before", async () => {
      const clock = new FakeClock();
      const store: Store = memoryStore();
      const [a, b] = [endpoint({ store }, clock), endpoint({ store }, clock)];
      const [here, there] = [await ERAS[era](a.handler), await ERAS[era](b.handler)];
      const [first, second] = [
        handleOf(await handOver(clock, here, "again")),
        handleOf(await handOver(clock, here, "again")),
      ];
      await stop(a.handler, clock);
      assert.deepEqual(a.ran.map(({ signal }) => signal.aborted), [true, true]);
      for (let second = 0; second < 3; second++) await clock.advance(1_000);
      const cancelled = await there.call("cancel_call", { handle: second });
      assert.equal(said(cancelled), "The call was cancelled");
      const begun = await soon(there.call("wait_for_result", { handle: first }));
      assert.match(said(begun), /It begins again/);
      b.finish.open("Done");
      await clock.advance(1_000);
      assert.equal(said(await there.call("wait_for_result", { handle: first })), "Done");
      const end = await there.call("wait_for_result", { handle: second });
      assert.equal(said(end), "The call was cancelled");
      assert.equal(b.ran.length, 1);
      await b.handler.close();
    });

    test("[LONG-8] the tools are listed last, and are hidden by the server's own", async () => {
      const { server, handler } = endpoint();
      const client = await ERAS[era](handler);
      assert.deepEqual((await client.list()).slice(-2), ["wait_for_result", "cancel_call"]);
      server.registerTool("wait_for_result", {}, () => "My own");
      assert.equal(said(await client.call("wait_for_result")), "My own");
      assert.equal((await client.list()).filter((name) => name === "wait_for_result").length, 1);
      await handler.close();
    });

    test("[LONG-8] without the option there are none", async () => {
      const { clock, finish, handler } = endpoint({ longCalls: false });
      const client = await ERAS[era](handler);
      assert.equal((await client.list()).includes("wait_for_result"), false);
      const pending = client.call("work");
      await clock.advance(AFTER * 10);
      finish.open("Late");
      assert.equal(said(await soon(pending)), "Late");
      await handler.close();
    });

    test("[LONG-9] a tool has its own time, or none", async () => {
      const { clock, finish, handler } = endpoint();
      const client = await ERAS[era](handler);
      handleOf(await handOver(clock, client, "soon", 5_000));
      const never = client.call("never");
      await clock.advance(AFTER * 10);
      finish.open("Late");
      assert.equal(said(await soon(never)), "Late");
      await handler.close();
    });

    test("[LONG-10] clients that check the output schema take the handle for an error", async () => {
      const { clock, finish, handler } = endpoint();
      const client = await ERAS[era](handler);
      const answer = await handOver(clock, client, "typed");
      assert.equal(answer.isError, true);
      finish.open("Done");
      const result = await client.call("wait_for_result", { handle: handleOf(answer) });
      assert.deepEqual(result.structuredContent, { text: "Done" });
      await handler.close();
    });

    test("[LONG-11] the result passes middleware, once", async () => {
      let seen = 0;
      const redact = onToolCall(async (call, next) => {
        const result = await next();
        if (call.name !== "work") return result;
        seen++;
        return { content: [{ type: "text", text: "Redacted" }] };
      });
      const { clock, finish, handler } = endpoint({ middleware: [redact] });
      const client = await ERAS[era](handler);
      const handle = handleOf(await handOver(clock, client));
      assert.equal(seen, 0);
      finish.open("Secret");
      assert.equal(said(await client.call("wait_for_result", { handle })), "Redacted");
      assert.equal(seen, 1);
      await handler.close();
    });

    test("[LONG-12] a tool that fails later tells as little as ever", async () => {
      const { clock, finish, handler } = endpoint();
      const client = await ERAS[era](handler);
      const handle = handleOf(await handOver(clock, client, "fails"));
      finish.open("");
      const result = await client.call("wait_for_result", { handle });
      assert.equal(result.isError, true);
      assert.equal(JSON.stringify(result).includes("secret"), false);
      await handler.close();
    });

    test("[LONG-13] closing waits for the calls, and then stops them", async () => {
      const { clock, ran, handler } = endpoint();
      const client = await ERAS[era](handler);
      handleOf(await handOver(clock, client));
      const closed = handler.close({ graceMs: 10_000 });
      await clock.advance(9_999);
      assert.equal(ran[0]?.signal.aborted, false);
      await clock.advance(1);
      await soon(closed);
      assert.equal(ran[0]?.signal.aborted, true);
      assert.equal(clock.pending, 0);
    });
  });
}

describe("LONG: what stays of the request", () => {
  test("[LONG-14] a client that goes away after the answer stops nothing", async () => {
    const { clock, finish, ran, handler } = endpoint();
    const peer = new ModernPeer(handler, JSON_ONLY);
    const gone = new AbortController();
    const pending = peer.call("work", {}, {}, { signal: gone.signal });
    await clock.advance(AFTER);
    const handle = handleOf(await peer.result(await soon(pending)));
    gone.abort();
    await clock.advance(1_000);
    assert.equal(ran[0]?.signal.aborted, false);
    finish.open("Done");
    assert.equal(said(await peer.say("wait_for_result", { handle })), "Done");
    await handler.close();
  });

  test("[LONG-14] the end of the session stops nothing", async () => {
    const { clock, finish, ran, handler } = endpoint();
    const first = await initialize(handler, JSON_ONLY);
    const pending = first.call(1, "work");
    await clock.advance(AFTER);
    const handle = handleOf(await first.result(await soon(pending)));
    await first.send("DELETE");
    assert.equal(ran[0]?.signal.aborted, false);
    finish.open("Done");
    const second = await ERAS["2025"](handler);
    assert.equal(said(await second.call("wait_for_result", { handle })), "Done");
    await handler.close();
  });

  test("[LONG-8] on a list of several pages they are on the last one", async () => {
    const { handler } = endpoint({ limits: { page: 2 } });
    const peer = new ModernPeer(handler, JSON_ONLY);
    const pages: string[][] = [];
    let cursor: unknown;
    do {
      const page = await peer.ask("tools/list", cursor === undefined ? {} : { cursor });
      pages.push(namesOf(page));
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    assert.ok(pages.length > 2);
    assert.deepEqual(pages.at(-1)?.slice(-2), ["wait_for_result", "cancel_call"]);
    assert.equal(pages.flat().filter((name) => name === "cancel_call").length, 1);
    await handler.close();
  });

  test("[LONG-1] a call that ends while it is stored has its own answer, and leaves nothing", async () => {
    const { store, gate } = slowStore();
    const { clock, finish, handler } = endpoint({ store, limits: { longCalls: 1 } });
    const client = await ERAS["2026"](handler);
    const pending = client.call("work");
    await clock.advance(AFTER);
    finish.open("In time after all");
    await clock.advance(0);
    assert.equal(said(await soon(pending)), "In time after all");
    gate.open();
    await clock.advance(0);
    handleOf(await handOver(clock, client, "hangs"));
    await stop(handler, clock);
  });

  test("[LONG-3] a node that wasn't told of the cancellation learns of it as it writes", async () => {
    const { store, gate, tasks } = slowStore();
    gate.open();
    const { clock, ran, handler } = endpoint({ store });
    const client = await ERAS["2026"](handler);
    const id = handleOf(await handOver(clock, client));
    const progress = { state: { status: "cancelled" }, updatedAt: clock.now() } as const;
    await tasks()?.cancel(id, ownerKey(ANONYMOUS), progress);
    assert.equal(ran[0]?.signal.aborted, false);
    ran[0]?.progress(1);
    await clock.advance(0);
    assert.equal(ran[0]?.signal.aborted, true);
    await handler.close();
  });

  test("[LONG-14] what runs on is a use of its session", async () => {
    const { clock, finish, handler } = endpoint({ sessions: { idleMs: 60_000 } });
    const client = await ERAS["2025"](handler);
    const handle = handleOf(await handOver(clock, client));
    await clock.advance(10 * 60_000);
    finish.open("Done");
    assert.equal(said(await client.call("wait_for_result", { handle })), "Done");
    await clock.advance(61_000);
    await assert.rejects(client.call("wait_for_result", { handle }));
    await handler.close();
  });

  test("[LONG-9] a tool's own time without the handler's option fails the start", async () => {
    const tool = new McpServer({ name: "test", version: "1.0.0" });
    tool.registerTool("soon", { longCalls: { afterMs: 5_000 } }, () => "");
    const wanted = { name: "TypeError", message: /"longCalls".*"soon"/ };
    assert.throws(() => createMcpHandler(tool), wanted);
    assert.throws(() => createMcpHandler(tool, { longCalls: false }), wanted);
    const served = new McpServer({ name: "test", version: "1.0.0" });
    const handler = createMcpHandler(served);
    assert.throws(
      () => served.registerTool("soon", { longCalls: { afterMs: 5_000 } }, () => ""),
      wanted,
    );
    const soonTool = served.registerTool("soon", { longCalls: false }, () => "");
    assert.throws(() => soonTool.update({ longCalls: { afterMs: 1 } }), wanted);
    await handler.close();
    served.registerTool("later", { longCalls: { afterMs: 5_000 } }, () => "");
    const command = http({ url: "http://127.0.0.1:1/mcp", longCalls: { afterMs: 5_000 } });
    const gw = gateway({ upstreams: { slow: command } });
    assert.throws(() => createMcpHandler(gw), {
      name: "TypeError",
      message: /"longCalls".*"slow"/,
    });
    await gw.close();
    const later = gateway({ upstreams: {} });
    const endpointOfLater = createMcpHandler(later);
    await assert.rejects(later.set("slow", command), { message: /"longCalls".*"slow"/ });
    await endpointOfLater.close();
    await later.close();
  });

  test("[LONG-7] with SQLite, results survive a restart", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-long-"));
    const path = join(folder, "file.sqlite");
    const clock = new FakeClock();
    const first = sqliteStore({ path });
    const before = endpoint({ store: first }, clock);
    const one = await ERAS["2026"](before.handler);
    const handle = handleOf(await handOver(clock, one));
    before.finish.open("Stored");
    assert.equal(said(await one.call("wait_for_result", { handle })), "Stored");
    await before.handler.close();
    first.close();
    const second = sqliteStore({ path });
    const after = endpoint({ store: second }, clock);
    const two = await ERAS["2026"](after.handler);
    assert.equal(said(await two.call("wait_for_result", { handle })), "Stored");
    await after.handler.close();
    second.close();
    await rm(folder, { recursive: true });
  });

  test("[LONG-3] an operator sees the call until it ends, and cancels it", async () => {
    const { clock, ran, handler } = endpoint();
    const operator = createOperator(handler, { node: "one" });
    const client = await ERAS["2025"](handler);
    const handle = handleOf(await handOver(clock, client));
    const [running] = (await operator.snapshot()).calls;
    assert.equal(running?.tool, "work");
    const { node, id } = running;
    assert.equal((await operator.act({ act: "cancel-call", node, id }, "ada")).ok, true);
    assert.equal(ran[0]?.signal.aborted, true);
    assert.deepEqual((await operator.snapshot()).calls, []);
    await assert.rejects(client.call("wait_for_result", { handle }), /operator/i);
    await operator.close();
    await handler.close();
  });

  test("[LONG-15] a question after the answer fails with what to do", async () => {
    for (const era of Object.keys(ERAS) as Era[]) {
      const { clock, finish, handler } = endpoint();
      const capabilities = { elicitation: { form: {} } };
      const peer = era === "2026"
        ? new ModernPeer(handler, { ...JSON_ONLY, capabilities })
        : undefined;
      const old = await initialize(handler, { ...JSON_ONLY, capabilities });
      const pending = peer === undefined ? old.call(1, "asks") : peer.call("asks");
      await clock.advance(AFTER);
      const response = await soon(pending);
      const handle = handleOf(await (peer ?? old).result(response));
      finish.open("");
      const args = { handle };
      const end = peer === undefined
        ? await old.json(await old.call(2, "wait_for_result", args))
        : (await peer.answer(await peer.call("wait_for_result", args))).message;
      assert.match(JSON.stringify(end), /Call the tool again/, era);
      await handler.close();
    }
  });

  test("[LONG-17] a client that knows tasks gets a task", async () => {
    const { clock, finish, ran, handler } = endpoint({ authenticate: byToken });
    const capabilities = { extensions: { [TASKS]: {} } };
    const peer = new ModernPeer(handler, { ...JSON_ONLY, capabilities, headers: as("alice") });
    const { capabilities: offered } = await peer.ask("server/discover");
    assert.deepEqual((offered as JsonObject).extensions, { [TASKS]: {} });
    assert.equal(namesOf(await peer.ask("tools/list")).includes("wait_for_result"), false);
    const get = async (taskId: string, from = peer) => {
      const headers = { "mcp-name": taskId };
      const response = await from.request("tasks/get", { taskId }, { headers });
      return await response.json();
    };
    const pending = peer.post(peer.message("tools/call", { name: "work", arguments: {} }));
    await clock.advance(1_000);
    ran[0]?.progress(1, 2, "Half");
    await clock.advance(AFTER);
    const { result } = await (await soon(pending)).json();
    assert.equal(result.resultType, "task");
    const { taskId } = result;
    assert.equal((await get(taskId)).result.statusMessage, "Half (1 of 2)");
    const mallory = peer.with({ headers: as("mallory") });
    assert.deepEqual((await get(taskId, mallory)).error, { code: -32602, message: "Unknown task" });
    finish.open("Done");
    await clock.advance(0);
    const done = (await get(taskId)).result;
    assert.equal(done.status, "completed");
    assert.equal(said(done.result), "Done");
    const second = peer.post(peer.message("tools/call", { name: "never", arguments: {} }));
    assert.equal((await (await soon(second)).json()).result.resultType, "complete");
    await handler.close();
  });

  test("[LONG-16] authorize decides about tools, not about who may fetch a result", async () => {
    const { clock, finish, handler } = endpoint({
      authorize: (_, { method, params }) => method !== "tools/call" || params?.name === "work",
    });
    const client = await ERAS["2026"](handler);
    assert.deepEqual(await client.list(), ["work", "wait_for_result", "cancel_call"]);
    const handle = handleOf(await handOver(clock, client));
    finish.open("Done");
    assert.equal(said(await client.call("wait_for_result", { handle })), "Done");
    await handler.close();
  });
});
