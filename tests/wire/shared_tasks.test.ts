/**
 * Tasks of handlers that share a store: each answers for all of them, and what a node leaves behind
 * ends, or runs again.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Backplane, BusMember, Store } from "../../src/cluster/types.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { NODE_LOST } from "../../src/protocol/node_loss.ts";
import type { TaskStore } from "../../src/protocol/task_store.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { type Tasks, tasks, type TasksOptions } from "../../src/tasks/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { KEY } from "../support/cluster.ts";
import { envelope, headersFor } from "../support/modern.ts";
import { settle } from "../support/settle.ts";
import { as, byToken, Events, Gate, URL_2025 } from "../support/wire.ts";

const CAPABILITIES = { extensions: { "io.modelcontextprotocol/tasks": {} }, elicitation: {} };

/** What came back. */
interface Reply {
  readonly status: number;
  readonly text: string;
  readonly result: JsonObject;
  readonly error: JsonObject;
}

/** One node: its tools, and its way to the store, which can be cut. */
class Node {
  readonly events = new Events();
  readonly handler: McpHandler;
  readonly tasks: Tasks;
  /** The contexts of the tools that ran here. */
  readonly ran: RequestContext[] = [];
  /** What the tools wait for. */
  readonly finish = new Gate<string>();
  /** Whether the node can't reach its store. */
  cut = false;
  backplane: Backplane | undefined;
  member: BusMember | undefined;

  constructor(store: Store, clock: FakeClock, options: TasksOptions) {
    const server = new McpServer({ name: "test", version: "1.0.0" });
    this.tasks = server.use(tasks({ clock, ttlMs: 60_000, ...options }));
    const work = async (_: unknown, ctx: RequestContext) => {
      this.ran.push(ctx);
      return await this.finish.promise;
    };
    server.registerTool("work", { task: "required" }, work);
    server.registerTool("try_work", { task: "optional" }, () => "An ordinary call");
    const again = {
      task: "required",
      annotations: { idempotentHint: true },
      retryOnNodeLoss: true,
    } as const;
    server.registerTool("again", again, work);
    server.registerTool("scoped", { ...again, scopes: ["work"] }, work);
    server.registerTool("ask", again, async (_args, ctx) => {
      this.ran.push(ctx);
      const { content } = await ctx.elicit("name", {
        message: "Who?",
        schema: { type: "object", properties: { name: { type: "string" } } },
      });
      return `Hello ${JSON.stringify(content)}`;
    });
    this.handler = createMcpHandler(server, {
      clock,
      store: { shared: true, open: (settings) => this.#behind(store.open(settings)) },
      requests: { stateKeys: [KEY] },
      authenticate: (request) => ({
        ...byToken(request),
        scopes: request.headers.get("x-scopes")?.split(" ") ?? [],
      }),
      onEvent: this.events.onEvent,
    });
  }

  /** Sends a request. Its id is always 1, so that the same answers have the same bytes. */
  async send(method: string, params: JsonObject, who = "alice", scopes = ""): Promise<Reply> {
    const { taskId } = params;
    const response = await this.handler(
      new Request(URL_2025, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          "accept": "application/json",
          ...headersFor(method, params),
          ...typeof taskId === "string" ? { "mcp-name": taskId } : {},
          ...as(who),
          "x-scopes": scopes,
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 1,
          method,
          params: { ...params, _meta: envelope(CAPABILITIES) },
        }),
      }),
    );
    const text = await response.text();
    await settle();
    const { result, error }: JsonObject = JSON.parse(text);
    return {
      status: response.status,
      text,
      result: isObject(result) ? result : {},
      error: isObject(error) ? error : {},
    };
  }

  /** Begins a task. */
  async begin(name: string, who?: string, scopes?: string): Promise<string> {
    const { result, text } = await this.send("tools/call", { name, arguments: {} }, who, scopes);
    assert.equal(result.resultType, "task", text);
    return String(result.taskId);
  }

  async get(taskId: string, scopes?: string): Promise<JsonObject> {
    const { result, text } = await this.send("tasks/get", { taskId }, "alice", scopes);
    assert.equal(result.taskId, taskId, text);
    return result;
  }

  #behind(backplane: Backplane): Backplane {
    this.backplane ??= {
      ...backplane,
      secret: undefined,
      bus: {
        join: (node, listener) =>
          this.member = backplane.bus.join(node, (text) => this.cut || listener(text)),
      },
      tasks: new Proxy(backplane.tasks ?? assert.fail("no tasks"), {
        get: (target: TaskStore, key) => (...args: unknown[]): unknown => {
          if (this.cut) return Promise.reject(new Error("The store is away"));
          const method: unknown = Reflect.get(target, key, target);
          assert.ok(typeof method === "function");
          return Reflect.apply(method, target, args);
        },
      }),
    };
    return this.backplane;
  }
}

/** Some nodes, and their time. */
class World {
  readonly clock = new FakeClock();
  readonly #store = memoryStore();
  readonly #nodes: Node[] = [];

  add(options: TasksOptions = {}): Node {
    const node = new Node(this.#store, this.clock, options);
    this.#nodes.push(node);
    return node;
  }

  async advance(ms: number): Promise<void> {
    await settle();
    for (let left = ms; left > 0; left -= 1_000) {
      await this.clock.advance(Math.min(left, 1_000));
      await settle();
    }
  }

  async close(node: Node): Promise<void> {
    const closed = node.handler.close({ graceMs: 0 });
    for (let i = 0; i < 10; i++) await this.advance(100);
    await closed;
    await settle();
  }

  async closeAll(): Promise<void> {
    for (const node of this.#nodes) {
      await this.close(node);
      assert.equal(node.tasks.running, 0);
    }
    assert.equal(this.clock.pending, 0);
  }
}

async function inWorld(run: (world: World, a: Node, b: Node) => Promise<void>): Promise<void> {
  const world = new World();
  const [a, b] = [world.add(), world.add()];
  await world.advance(1_000);
  await run(world, a, b);
  await world.closeAll();
}

function statusOf({ status, result, error, statusMessage }: JsonObject): JsonObject {
  return { status, result, error, statusMessage };
}

describe("tasks that handlers share", () => {
  test("[CLU-11] are polled at any node, and their results outlive their node", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("work");
      a.ran[0]?.progress(1, 2, "Half");
      await settle();
      assert.equal((await b.get(id)).statusMessage, "Half");
      assert.deepEqual(await b.get(id), await a.get(id));
      a.finish.open("Done");
      await settle();
      await world.close(a);
      const { status, result } = await b.get(id);
      assert.equal(status, "completed");
      assert.match(JSON.stringify(result), /Done/);
    });
  });

  test("[CLU-11] are cancelled at any node, which stops the tool", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("work");
      const signal = a.ran[0]?.signal;
      assert.equal(signal?.aborted, false);
      const { status, text } = await b.send("tasks/cancel", { taskId: id });
      assert.equal(status, 200, text);
      assert.equal(signal?.aborted, true);
      assert.equal(a.tasks.running, 0);
      for (const node of [a, b]) assert.equal((await node.get(id)).status, "cancelled");
      a.finish.open("Too late");
      await settle();
      assert.equal((await b.get(id)).status, "cancelled");
    });
  });

  test("[CLU-11] learn of a cancellation that was lost with their next change", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("work");
      const { signal } = a.ran[0] ?? assert.fail();
      a.cut = true;
      await b.send("tasks/cancel", { taskId: id });
      a.cut = false;
      assert.equal(signal.aborted, false);
      a.ran[0]?.progress(1);
      await settle();
      assert.equal(signal.aborted, true);
      assert.equal((await a.get(id)).status, "cancelled");
    });
  });

  test("[CLU-18] learn of a cancellation that was lost once their node hears again", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("work");
      const { signal } = a.ran[0] ?? assert.fail();
      a.cut = true;
      await b.send("tasks/cancel", { taskId: id });
      await world.advance(3_000);
      assert.equal(signal.aborted, false);
      a.cut = false;
      await world.advance(1_000);
      assert.equal(signal.aborted, true);
      assert.equal(a.tasks.running, 0);
      assert.equal((await a.get(id)).status, "cancelled");
    });
  });

  test("[CLU-11] are answered at any node", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("ask");
      const { status, inputRequests } = await b.get(id);
      assert.equal(status, "input_required");
      assert.ok(isObject(inputRequests) && "name" in inputRequests);
      const inputResponses = { name: { action: "accept", content: { name: "Ann" } } };
      const reply = await b.send("tasks/update", { taskId: id, inputResponses });
      assert.equal(reply.status, 200, reply.text);
      const done = await b.get(id);
      assert.equal(done.status, "completed");
      assert.match(JSON.stringify(done.result), /Ann/);
      assert.equal(a.ran.length + b.ran.length, 1);
    });
  });

  test("[CLU-6, CLU-11] take no answer that isn't signed", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("ask");
      const forger = b.backplane?.bus.join("forger", () => {});
      const answers = { name: { action: "accept", content: { name: "Eve" } } };
      const value = { task: id, answers };
      await forger?.publish(JSON.stringify({ kind: "dispatcher", value }));
      await forger?.publish(`forger\n${JSON.stringify({ kind: "dispatcher", value })}`);
      await settle();
      assert.equal((await b.get(id)).status, "input_required");
      assert.equal(a.events.of("message-ignored").length, 2);
      forger?.leave();
    });
  });

  test("[EXT-4, CLU-11] are unknown to others at every node, byte for byte", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("ask");
      const before = await a.get(id);
      for (const node of [a, b]) {
        for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
          const foreign = await node.send(method, { taskId: id, inputResponses: {} }, "bob");
          const unknown = await node.send(method, { taskId: "x", inputResponses: {} }, "bob");
          assert.equal(foreign.error.code, -32602);
          assert.equal(foreign.text, unknown.text);
        }
      }
      assert.deepEqual(await b.get(id), before);
    });
  });

  test("[EXT-7, CLU-11] count for one limit", async () => {
    const world = new World();
    const limits = { tasksPerPrincipal: 2 };
    const [a, b] = [world.add({ limits }), world.add({ limits })];
    for (const node of [a, b]) await node.begin("work");
    for (const node of [a, b]) {
      const { error } = await node.send("tools/call", { name: "work", arguments: {} });
      assert.match(String(error.message), /too many tasks/);
      const { result } = await node.send("tools/call", { name: "try_work", arguments: {} });
      assert.equal(result.resultType, "complete");
    }
    assert.ok(await b.begin("work", "bob"));
    await world.closeAll();
  });
});

describe("a node that is lost", () => {
  test("[CLU-11] leaves tasks that fail within 10 s, with words that say so", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("work");
      const asking = await a.begin("ask");
      await world.advance(3_000);
      a.cut = true;
      await world.advance(2_000);
      assert.equal((await b.get(id)).status, "working");
      await world.advance(8_000);
      const lost = {
        status: "failed",
        result: undefined,
        error: { code: -32603, message: NODE_LOST.message },
        statusMessage: NODE_LOST.message,
      };
      // Nobody knows what the client has answered, so this one doesn't run again either
      for (const task of [id, asking]) assert.deepEqual(statusOf(await b.get(task)), lost);
      // It was only cut off, and comes back with a result
      const { signal } = a.ran[0] ?? assert.fail();
      a.cut = false;
      a.finish.open("Too late");
      await world.advance(2_000);
      for (const node of [a, b]) assert.deepEqual(statusOf(await node.get(id)), lost);
      assert.equal(signal.aborted, false, "The tool had returned");
      assert.equal(a.ran[1]?.signal.aborted, true);
      assert.equal(a.tasks.running, 0);
    });
  });

  test("[CLU-11] leaves tasks that run again, once, where they may", async () => {
    await inWorld(async (world, a, b) => {
      const c = world.add();
      const id = await a.begin("again");
      await world.advance(1_000);
      a.cut = true;
      await world.advance(8_000);
      assert.equal(b.ran.length + c.ran.length, 0);
      const polled = await Promise.all([b.get(id), c.get(id), b.get(id)]);
      for (const { status } of polled) assert.equal(status, "working");
      assert.equal(b.ran.length + c.ran.length, 1);
      const [taker, other] = b.ran.length === 1 ? [b, c] : [c, b];
      // The first node comes back, and has no say in it any more
      a.cut = false;
      a.finish.open("The first");
      await world.advance(2_000);
      assert.equal((await other.get(id)).status, "working");
      taker.finish.open("The second");
      await settle();
      const { status, result } = await a.get(id);
      assert.equal(status, "completed");
      assert.match(JSON.stringify(result), /The second/);
      assert.equal(a.ran.length + b.ran.length + c.ran.length, 2);
    });
  });

  test("[CLU-11] leaves tasks that fail when their second node is lost too", async () => {
    await inWorld(async (world, a, b) => {
      const c = world.add();
      const id = await a.begin("again");
      a.cut = true;
      await world.advance(9_000);
      await b.get(id);
      assert.equal(b.ran.length, 1);
      b.cut = true;
      await world.advance(9_000);
      assert.equal((await c.get(id)).statusMessage, NODE_LOST.message);
      assert.equal(c.ran.length, 0);
    });
  });

  test("[AUTH-7, CLU-11] a task runs again with the rights of the request that asks for it", async () => {
    await inWorld(async (world, a, b) => {
      const ids = [
        await a.begin("scoped", "alice", "work"),
        await a.begin("scoped", "alice", "work"),
      ];
      a.cut = true;
      await world.advance(9_000);
      const [may = "", mayNot = ""] = ids;
      assert.equal((await b.get(mayNot, "other")).statusMessage, NODE_LOST.message);
      assert.equal(b.ran.length, 0);
      assert.equal((await b.get(may, "work")).status, "working");
      assert.equal(b.ran.length, 1);
    });
  });

  test("[CLU-11] a task that runs again ends with its time", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("again");
      a.cut = true;
      await world.advance(30_000);
      await b.get(id);
      const { signal } = b.ran[0] ?? assert.fail();
      await world.advance(25_000);
      assert.equal(signal.aborted, false);
      await world.advance(5_000);
      assert.equal(signal.aborted, true);
      assert.equal((await b.send("tasks/get", { taskId: id })).error.code, -32602);
    });
  });

  test("[CLU-11] is not found when it was the store that was away", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("work");
      await world.advance(1_000);
      a.cut = b.cut = true;
      await world.advance(20_000);
      b.cut = false;
      await world.advance(1_000);
      a.cut = false;
      await world.advance(10_000);
      assert.equal((await b.get(id)).status, "working");
      a.finish.open("Done");
      await settle();
      assert.equal((await b.get(id)).status, "completed");
    });
  });
});

describe("a node without its store, or the others", () => {
  test("[CLU-8, CLU-11] answers 503, and stores what has ended meanwhile when it can", async () => {
    await inWorld(async (world, a, b) => {
      const id = await a.begin("work");
      a.cut = b.cut = true;
      for (
        const [method, params] of [
          ["tools/call", { name: "work", arguments: {} }],
          ["tasks/get", { taskId: id }],
          ["tasks/cancel", { taskId: id }],
          ["tasks/update", { taskId: id, inputResponses: {} }],
        ] as const
      ) {
        const { status, error } = await a.send(method, params);
        assert.equal(status, 503, method);
        assert.match(String(error.message), /can't reach its task store: try again/);
      }
      assert.equal(a.ran.length, 1);
      a.finish.open("Done");
      await world.advance(10_000);
      a.cut = b.cut = false;
      await world.advance(2_000);
      assert.equal((await b.get(id)).status, "completed");
    });
  });

  test("[CLU-11] can't be reached by another, which says so", async () => {
    await inWorld(async (_, a, b) => {
      const id = await a.begin("ask");
      a.member?.leave();
      const { error } = await b.send("tasks/update", { taskId: id, inputResponses: {} });
      assert.equal(error.code, -32603);
      assert.match(String(error.message), /Send the answers again/);
      assert.equal((await b.get(id)).status, "input_required");
    });
  });
});

describe("a node that closes", () => {
  test("[EXT-5, CLU-11] fails its tasks, and leaves to others what may run again", async () => {
    await inWorld(async (world, a, b) => {
      const [id, again] = [await a.begin("work"), await a.begin("again")];
      const asking = await a.begin("ask");
      await world.close(a);
      for (const task of [id, asking]) {
        const { status, statusMessage } = await b.get(task);
        assert.deepEqual([status, statusMessage], ["failed", "The server is shutting down"]);
      }
      assert.equal(a.ran[1]?.signal.aborted, true);
      await world.advance(2_000);
      assert.equal((await b.get(again)).status, "working");
      assert.equal(b.ran.length, 1);
      b.finish.open("Done");
      await settle();
      assert.equal((await b.get(again)).status, "completed");
    });
  });
});

describe("retryOnNodeLoss", () => {
  test("[CLU-11] is only for tools that may run twice", () => {
    const server = new McpServer({ name: "test", version: "1.0.0" });
    for (const annotations of [undefined, {}, { idempotentHint: false }]) {
      assert.throws(
        () => server.registerTool("x", { annotations, retryOnNodeLoss: true }, () => ""),
        { name: "TypeError", message: /"x".*idempotentHint/ },
      );
    }
  });
});
