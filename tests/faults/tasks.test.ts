/**
 * A store of tasks that fails at each call that there is.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { MemoryTaskStore } from "../../src/cluster/memory/tasks.ts";
import { tasks, type TaskStore } from "../../src/tasks/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken } from "../support/wire.ts";
import { StoreFailure } from "./faulty_store.ts";
import { assertEmpty, checkResponse, outcomeOf, quiet } from "./invariants.ts";

const CALLS = ["create", "get", "update", "delete", "cancel"] as const;
const KINDS = ["throws", "rejects", "lost", "stuck"] as const;

/** A store that fails at one call while it is told to. */
function faulty(inner: TaskStore, fails: (call: string) => typeof KINDS[number] | undefined) {
  const stuck: (() => void)[] = [];
  const store = new Proxy(inner, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key, target);
      if (typeof value !== "function") return value;
      const call = String(key);
      return (...args: unknown[]) => {
        const kind = fails(call);
        const work = (): unknown => Reflect.apply(value, target, args);
        if (kind === undefined) return work();
        if (kind === "throws") throw new StoreFailure(call);
        if (kind === "lost") work();
        if (kind !== "stuck") return Promise.reject(new StoreFailure(call));
        return new Promise((_, reject) => stuck.push(() => reject(new StoreFailure(call))));
      };
    },
  });
  return { store, release: () => stuck.splice(0).forEach((go) => go()) };
}

describe("EXT: a store of tasks that fails at one call", () => {
  for (const call of CALLS) {
    for (const kind of KINDS) {
      test(`[EXT-4, EXT-5] ${call} ${kind}: nothing of the inside, and everything ends`, async () => {
        const clock = new FakeClock();
        let broken = false;
        const { store, release } = faulty(
          new MemoryTaskStore(clock),
          (made) => broken && made === call ? kind : undefined,
        );
        const extension = tasks({ clock, store, ttlMs: 60_000 });
        const server = new McpServer({ name: "tasks", version: "1.0.0" });
        server.use(extension);
        server.registerTool("job", { task: "required" }, async (_args, ctx) => {
          ctx.progress(1, 2, "half");
          const roots = await ctx.roots();
          return `${roots.length}`;
        });
        server.registerTool("quick", { task: "optional" }, () => "done");
        const handler = createMcpHandler(server, { clock, authenticate: byToken });
        const peer = new ModernPeer(handler, {
          headers: as("alice"),
          capabilities: { roots: {}, extensions: { "io.modelcontextprotocol/tasks": {} } },
        });
        const send = async (method: string, params: JsonObject): Promise<JsonObject> => {
          const name = String(params.taskId ?? params.name);
          const sent = handler(requestOf(peer, method, params, name));
          const outcome = await outcomeOf(sent);
          // What is stuck becomes a stream, which nobody reads here
          if (outcome === undefined || !("value" in outcome)) return {};
          await checkResponse(outcome.value, [503]);
          if (outcome.value.headers.get("content-type") !== "application/json") return {};
          const message: unknown = await outcome.value.json();
          return isObject(message) && isObject(message.result) ? message.result : {};
        };
        const { taskId } = await send("tools/call", { name: "job", arguments: {} });
        assert.equal(typeof taskId, "string");
        broken = true;
        await send("tools/call", { name: "job", arguments: {} });
        await send("tools/call", { name: "quick", arguments: {} });
        await send("tasks/get", { taskId });
        await send("tasks/update", { taskId, inputResponses: { roots: { roots: [] } } });
        await send("tasks/cancel", { taskId });
        await clock.advance(120_000);
        broken = false;
        release();
        await quiet();
        await clock.advance(120_000);
        assert.equal(extension.running, 0, "a task runs for ever");
        // It works as if nothing had been
        const again = await send("tools/call", { name: "quick", arguments: {} });
        await quiet();
        const { status } = await send("tasks/get", { taskId: again.taskId });
        assert.equal(status, "completed");
        const closed = handler.close({ graceMs: 0 });
        await clock.advance(1);
        await closed;
        await assertEmpty(handler);
      });
    }
  }
});

function requestOf(peer: ModernPeer, method: string, params: JsonObject, name: string): Request {
  return new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      ...as("alice"),
      "content-type": "application/json",
      "accept": "application/json",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": method,
      "mcp-name": name,
    },
    body: JSON.stringify(peer.message(method, params)),
  });
}
