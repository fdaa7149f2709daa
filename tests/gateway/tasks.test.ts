/**
 * Tasks of upstreams behind a merged view: clients of both eras, upstreams of both eras.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client";
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createMcpHandler, type McpHandlerOptions, McpServer } from "../../mod.ts";
import { gateway, type GatewayOptions, http, type UpstreamCall } from "../../src/gateway/mod.ts";
import { MetaKey } from "../../src/protocol/envelope.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { ModernPeer } from "../support/modern.ts";
import { assertValid } from "../support/schema.ts";
import { as, byToken, Gate, initialize, type Peer, soon } from "../support/wire.ts";
import { FakeUpstream, text, textOf } from "./core_support.ts";

const TASKS = "io.modelcontextprotocol/tasks";
const RELATED = "io.modelcontextprotocol/related-task";
const KNOWING = { extensions: { [TASKS]: {} }, elicitation: { form: {} } };
const QUESTION = {
  message: "Sure?",
  requestedSchema: { type: "object", properties: {} },
};

/** A task of an upstream that does what a test says. */
interface OwnTask {
  state: JsonObject;
  readonly result: Gate<JsonObject>;
  ask?: UpstreamCall["ask"];
}

/** An upstream whose tools run as tasks until the test ends them, and what it was asked. */
class Tasking {
  readonly upstream: FakeUpstream;
  readonly tasks = new Map<string, OwnTask>();
  readonly cancelled: string[] = [];
  readonly answers: JsonObject[] = [];
  readonly #isModern: boolean;
  readonly #waiting: (() => void)[] = [];

  constructor(version: "2025-11-25" | "2026-07-28") {
    this.#isModern = version === "2026-07-28";
    const own = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
    this.upstream = new FakeUpstream({
      version,
      capabilities: {
        tools: {},
        ...this.#isModern ? { extensions: { [TASKS]: {} } } : { tasks: own },
      },
      answers: {
        "tools/list": () => ({
          tools: ["optional", "required", "plain", "quick"].map((name) => ({
            name,
            inputSchema: { type: "object" },
            ...!this.#isModern && name !== "plain" && {
              execution: { taskSupport: name === "quick" ? "optional" : name },
            },
          })),
        }),
        "tools/call": (call) => this.#call(call),
        "tasks/get": ({ params }) => ({ ...this.#find(params).state }),
        "tasks/result": async ({ params, ask }) => {
          const task = this.#find(params);
          task.ask = ask;
          this.#wake();
          return await task.result.promise;
        },
        "tasks/update": ({ params: { inputResponses } }) => {
          if (isObject(inputResponses)) this.answers.push(inputResponses);
          this.#wake();
          return {};
        },
        "tasks/cancel": ({ params }) => {
          const task = this.#find(params);
          this.cancelled.push(String(params.taskId));
          task.state = { ...task.state, status: "cancelled" };
          this.#wake();
          return { ...task.state };
        },
      },
    });
  }

  #call({ params }: UpstreamCall): JsonObject {
    const { name, task, _meta } = params;
    const capabilities = isObject(_meta) ? _meta[MetaKey.ClientCapabilities] : undefined;
    const { extensions } = isObject(capabilities) ? capabilities : {};
    const isDeclared = isObject(extensions) && extensions[TASKS] !== undefined;
    const isTask = this.#isModern ? isDeclared && name !== "quick" : task !== undefined;
    if (!isTask && name === "required") {
      throw new McpError(ErrorCode.MethodNotFound, "Call it as a task");
    }
    if (!isTask) {
      return { ...text(`plain ${name}`), ...this.#isModern && { resultType: "complete" } };
    }
    const taskId = `own-${this.tasks.size + 1}`;
    const at = new Date(0).toISOString();
    const state = {
      taskId,
      status: "working",
      createdAt: at,
      lastUpdatedAt: at,
      ...this.#isModern ? { ttlMs: 60_000, pollIntervalMs: 1 } : { ttl: 60_000, pollInterval: 1 },
    };
    this.tasks.set(taskId, { state, result: new Gate() });
    this.#wake();
    return this.#isModern ? { resultType: "task", ...state } : { task: state };
  }

  #find({ taskId }: JsonObject): OwnTask {
    const task = this.tasks.get(String(taskId));
    if (task === undefined) throw new McpError(ErrorCode.InvalidParams, "No such task here");
    return task;
  }

  /** The task that was begun as the nth, from 1. */
  task(nth = 1): OwnTask {
    return this.tasks.get(`own-${nth}`) ?? assert.fail(`There is no task ${nth}`);
  }

  complete(nth = 1, said = "built"): void {
    const task = this.task(nth);
    const result = text(said);
    task.state = {
      ...task.state,
      status: "completed",
      ...this.#isModern && { result: { resultType: "complete", ...result } },
    };
    task.result.open({ ...result, _meta: { [RELATED]: { taskId: `own-${nth}` } } });
  }

  say(statusMessage: string): void {
    this.task().state = { ...this.task().state, statusMessage };
  }

  /** Asks the client, and returns the answer. */
  async ask(): Promise<JsonObject> {
    const task = this.task();
    const method = "elicitation/create";
    task.state = {
      ...task.state,
      status: "input_required",
      ...this.#isModern && { inputRequests: { sure: { method, params: QUESTION } } },
    };
    if (this.#isModern) {
      await this.until(() => this.answers.length > 0);
      const { sure } = this.answers[0] ?? {};
      task.state = { ...task.state, status: "working", inputRequests: undefined };
      return isObject(sure) ? sure : {};
    }
    await this.until(() => task.ask !== undefined);
    const _meta = { [RELATED]: { taskId: "own-1" } };
    const answer = await task.ask?.(method, { ...QUESTION, _meta }) ?? {};
    task.state = { ...task.state, status: "working" };
    return answer;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await soon(new Promise<void>((resolve) => this.#waiting.push(resolve)), "the upstream");
    }
  }
}

const ERAS = ["2025-11-25", "2026-07-28"] as const;

/** A gateway with one upstream, and what a client of each era does with its tasks. */
function world(
  version: "2025-11-25" | "2026-07-28",
  options: Omit<GatewayOptions, "upstreams"> = {},
  handlerOptions: McpHandlerOptions = {},
) {
  const tasking = new Tasking(version);
  const gw = gateway({ ...options, upstreams: { up: tasking.upstream } });
  const handler = createMcpHandler(gw, { authenticate: byToken, ...handlerOptions });
  const close = async () => {
    await handler.close();
    await gw.close();
  };
  return { tasking, gw, handler, close };
}

type World = ReturnType<typeof world>;

/** A client of an era, as far as tasks go. */
interface TaskClient {
  /** Calls a tool, which becomes a task; returns the task. */
  begin(tool: string): Promise<JsonObject>;
  get(taskId: unknown): Promise<JsonObject>;
  cancel(taskId: unknown): Promise<JsonObject>;
  /** Waits for the result, and answers what it is asked meanwhile. */
  result(taskId: unknown): Promise<JsonObject>;
  /** The error that a request gets. */
  failure(method: string, params: JsonObject): Promise<{ code: unknown; message: unknown }>;
}

const ANSWER = { action: "accept", content: {} };

class ModernTasks implements TaskClient {
  readonly peer: ModernPeer;
  constructor(handler: World["handler"], user = "ann") {
    this.peer = new ModernPeer(handler.fetch, { headers: as(user), capabilities: KNOWING });
  }
  async #send(method: string, params: JsonObject): Promise<JsonObject> {
    const { taskId } = params;
    const headers = typeof taskId === "string" ? { "mcp-name": taskId } : {};
    const response = await this.peer.post(this.peer.message(method, params), { headers });
    return await response.json();
  }
  async #ask(method: string, params: JsonObject): Promise<JsonObject> {
    const message = await this.#send(method, params);
    assert.ok(isObject(message.result), JSON.stringify(message));
    return message.result;
  }
  async begin(name: string) {
    const result = await this.#ask("tools/call", { name, arguments: {} });
    assert.equal(result.resultType, "task", JSON.stringify(result));
    return result;
  }
  get = (taskId: unknown) => this.#ask("tasks/get", { taskId });
  cancel = (taskId: unknown) => this.#ask("tasks/cancel", { taskId });
  async result(taskId: unknown) {
    for (let answered = false;;) {
      const { status, result, inputRequests, error } = await this.get(taskId);
      if (status === "completed" && isObject(result)) return result;
      assert.ok(status === "working" || status === "input_required", JSON.stringify(error));
      if (isObject(inputRequests) && !answered) {
        answered = true;
        const answers = Object.keys(inputRequests).map((key) => [key, ANSWER]);
        await this.#ask("tasks/update", { taskId, inputResponses: Object.fromEntries(answers) });
      }
    }
  }
  async failure(method: string, params: JsonObject) {
    const { error } = await this.#send(method, params);
    assert.ok(isObject(error));
    return { code: error.code, message: error.message };
  }
}

class LegacyTasks implements TaskClient {
  readonly peer: Peer;
  #id = 0;
  constructor(peer: Peer) {
    this.peer = peer;
  }
  static async connect(handler: World["handler"], user = "ann", version = "2025-11-25") {
    return new LegacyTasks(
      await initialize(handler.fetch, {
        headers: as(user),
        version,
        capabilities: { elicitation: { form: {} } },
      }),
    );
  }
  async ask(method: string, params: JsonObject): Promise<JsonObject> {
    return await this.peer.result(await this.peer.request(++this.#id, method, params));
  }
  async begin(name: string) {
    const result = await this.ask("tools/call", { name, arguments: {}, task: {} });
    assertValid("2025-11-25", "CreateTaskResult", result);
    return result.task as JsonObject;
  }
  async get(taskId: unknown) {
    const result = await this.ask("tasks/get", { taskId });
    assertValid("2025-11-25", "GetTaskResult", result);
    return result;
  }
  async cancel(taskId: unknown) {
    const result = await this.ask("tasks/cancel", { taskId });
    assertValid("2025-11-25", "CancelTaskResult", result);
    return result;
  }
  async result(taskId: unknown) {
    const response = await this.peer.request(++this.#id, "tasks/result", { taskId });
    if (response.headers.get("content-type") !== "text/event-stream") {
      return await this.peer.result(response);
    }
    const frames = this.peer.frames(response);
    for (;;) {
      const message = await frames.message();
      assert.ok(message);
      if (isObject(message.result)) return message.result;
      assert.equal(message.method, "elicitation/create", JSON.stringify(message));
      const { _meta } = message.params as JsonObject;
      assert.deepEqual((_meta as JsonObject)[RELATED], { taskId });
      await this.peer.reply(message.id, ANSWER);
    }
  }
  async failure(method: string, params: JsonObject) {
    const response = await this.peer.request(++this.#id, method, params);
    const { error } = await response.json();
    return { code: error.code, message: error.message };
  }
}

const client = (era: string, handler: World["handler"], user?: string): Promise<TaskClient> =>
  era === "2025-11-25"
    ? LegacyTasks.connect(handler, user)
    : Promise.resolve(new ModernTasks(handler, user));

describe("tasks of upstreams", () => {
  for (const spoken of ERAS) {
    for (const version of ERAS) {
      const pair = `client ${spoken}, upstream ${version}`;

      test(`[APP-11] are tasks of the gateway, polled to their result (${pair})`, async () => {
        const { tasking, handler, close } = world(version);
        const ann = await client(spoken, handler);
        const { taskId, status } = await ann.begin("up__optional");
        assert.equal(status, "working");
        assert.ok(typeof taskId === "string" && !taskId.includes("own"), String(taskId));
        tasking.say("half of it");
        for (let message; message !== "half of it";) {
          const task = await ann.get(taskId);
          assert.equal(task.taskId, taskId);
          message = task.statusMessage;
        }
        const result = ann.result(taskId);
        tasking.complete();
        const { _meta, ...rest } = await result;
        assert.equal(textOf(rest), "built");
        assert.ok(
          !JSON.stringify([_meta, rest]).includes("own-1"),
          "the upstream's id stays there",
        );
        if (spoken === "2025-11-25") assert.deepEqual((_meta as JsonObject)[RELATED], { taskId });
        // It can be fetched again
        assert.equal(textOf(await ann.result(taskId)), "built");
        assert.equal((await ann.get(taskId)).status, "completed");
        assert.deepEqual(tasking.cancelled, []);
        await close();
      });

      test(`[APP-11] ask the client, whose answer reaches them (${pair})`, async () => {
        const { tasking, handler, close } = world(version);
        const ann = await client(spoken, handler);
        const { taskId } = await ann.begin("up__optional");
        const answered = tasking.ask();
        const result = ann.result(taskId);
        assert.deepEqual(await soon(answered), ANSWER);
        tasking.complete();
        assert.equal(textOf(await result), "built");
        await close();
      });

      test(`[APP-11] are cancelled at the upstream (${pair})`, async () => {
        const { tasking, handler, close } = world(version);
        const ann = await client(spoken, handler);
        const { taskId } = await ann.begin("up__optional");
        await ann.cancel(taskId);
        assert.equal((await ann.get(taskId)).status, "cancelled");
        await tasking.until(() => tasking.cancelled.length > 0);
        assert.deepEqual(tasking.cancelled, ["own-1"]);
        await close();
      });

      test(`[APP-11] belong to their owner: others get what an unknown one gets (${pair})`, async () => {
        const { tasking, handler, close } = world(version);
        const [ann, bob] = [await client(spoken, handler), await client(spoken, handler, "bob")];
        const { taskId } = await ann.begin("up__optional");
        const methods = spoken === "2025-11-25"
          ? ["tasks/get", "tasks/result", "tasks/cancel"]
          : ["tasks/get", "tasks/update", "tasks/cancel"];
        for (const method of methods) {
          const [foreign, unknown, own] = await Promise.all(
            [taskId, "x".repeat(String(taskId).length), "own-1"].map((taskId) =>
              bob.failure(method, { taskId, inputResponses: {} })
            ),
          );
          assert.deepEqual(foreign, unknown);
          assert.deepEqual(own, unknown);
          assert.equal(foreign?.code, ErrorCode.InvalidParams);
        }
        assert.equal((await ann.get(taskId)).status, "working");
        assert.deepEqual(tasking.cancelled, []);
        await close();
      });
    }

    test(`[APP-12] what a task has failed with reaches the client (${spoken})`, async () => {
      for (const version of ERAS) {
        const { tasking, handler, close } = world(version);
        const ann = await client(spoken, handler);
        const { taskId } = await ann.begin("up__optional");
        tasking.tasks.clear();
        for (let status; status !== "failed";) status = (await ann.get(taskId)).status;
        if (spoken === "2025-11-25") {
          const { message } = await ann.failure("tasks/result", { taskId });
          assert.equal(message, "No such task here");
        }
        await close();
      }
    });

    test(`[APP-12] at the limit a call fails, and the upstream's task is cancelled (${spoken})`, async () => {
      const { tasking, handler, close } = world("2026-07-28", { limits: { tasksPerPrincipal: 1 } });
      const ann = await client(spoken, handler);
      await ann.begin("up__optional");
      const params = { name: "up__optional", arguments: {}, task: {} };
      const { message } = await ann.failure("tools/call", params);
      assert.match(String(message), /too many tasks/);
      await tasking.until(() => tasking.cancelled.length > 0);
      assert.deepEqual(tasking.cancelled, ["own-2"]);
      await close();
    });
  }

  test("[APP-11] an upstream of 2026 that needs no task still gives one to who asks for it", async () => {
    const { handler, close } = world("2026-07-28");
    const ann = await LegacyTasks.connect(handler);
    const { taskId } = await ann.begin("up__quick");
    assert.equal(textOf(await ann.result(taskId)), "plain quick");
    assert.equal(
      textOf(await ann.ask("tools/call", { name: "up__quick", arguments: {} })),
      "plain quick",
    );
    await close();
  });

  test("[APP-11] clients learn what they need to know: capabilities and tools", async () => {
    for (const version of ERAS) {
      const { handler, close } = world(version);
      const peer = await initialize(handler.fetch, { headers: as("ann") });
      const { capabilities } = await peer.result(await peer.post(peer.initializeRequest(7)));
      assert.deepEqual((capabilities as JsonObject).tasks, {
        list: {},
        cancel: {},
        requests: { tools: { call: {} } },
      });
      const { tools } = await peer.result(await peer.request(8, "tools/list"));
      const support = (tools as JsonObject[]).map(({ execution }) =>
        (execution as JsonObject | undefined)?.taskSupport
      );
      assert.deepEqual(
        support,
        version === "2026-07-28"
          ? ["optional", "optional", "optional", "optional"]
          : ["optional", "required", undefined, "optional"],
      );
      const modern = new ModernTasks(handler);
      const found = await modern.peer.ask("server/discover");
      assert.deepEqual((found.capabilities as JsonObject).extensions, { [TASKS]: {} });
      const older = await initialize(handler.fetch, { headers: as("ann"), version: "2025-06-18" });
      const first = await older.result(await older.request(9, "tools/list"));
      assert.ok(!JSON.stringify(first).includes("execution"));
      assert.equal((await (await older.request(10, "tasks/list")).json()).error.code, -32601);
      await close();
    }
  });

  test("[APP-11] a client of 2025-11-25 lists its session's tasks, and hears of changes", async () => {
    const { tasking, handler, close } = world("2025-11-25");
    const ann = await LegacyTasks.connect(handler);
    const stream = await ann.peer.listen();
    const { taskId } = await ann.begin("up__optional");
    const { tasks } = await ann.ask("tasks/list", {});
    assert.deepEqual((tasks as JsonObject[]).map((task) => task.taskId), [taskId]);
    const other = await LegacyTasks.connect(handler);
    assert.deepEqual((await other.ask("tasks/list", {})).tasks, []);
    assert.equal((await other.get(taskId)).status, "working", "its owner's all the same");
    tasking.complete();
    for (;;) {
      const { method, params } = await stream.message() ?? assert.fail("It ended");
      assert.equal(method, "notifications/tasks/status");
      const { taskId: id, status } = params as JsonObject;
      assert.equal(id, taskId);
      if (status === "completed") break;
    }
    const { message } = await ann.failure("tasks/cancel", { taskId });
    assert.match(String(message), /Cancel only tasks that run/);
    await close();
  });

  test("[APP-12] a tool is called as its upstream says, or refused clearly", async () => {
    const { tasking, handler, close } = world("2025-11-25");
    const ann = await LegacyTasks.connect(handler);
    const params = { name: "up__plain", arguments: {}, task: {} };
    assert.deepEqual(await ann.failure("tools/call", params), {
      code: -32601,
      message: 'Call this tool without "task"',
    });
    // A client of 2025-11-25 that doesn't ask for a task that is needed
    assert.equal(
      (await ann.failure("tools/call", { name: "up__required", arguments: {} })).code,
      -32601,
    );
    const plain = new ModernPeer(handler.fetch, { headers: as("ann") });
    const { code } = await plain.error(await plain.call("up__required"));
    assert.equal(code, ErrorCode.MissingClientCapability);
    // A version without tasks can't ask for one: its call waits for the task
    const old = await LegacyTasks.connect(handler, "ann", "2025-06-18");
    const result = old.ask("tools/call", { name: "up__required", arguments: {} });
    await tasking.until(() => tasking.tasks.size > 0);
    tasking.complete();
    assert.equal(textOf(await result), "built");
    await close();
  });

  test("[APP-12] a tool that the policy hides has no tasks, also those that run", async () => {
    const { tasking, gw, handler, close } = world("2026-07-28", {
      policy: { upstreams: { up: { tools: { deny: ["required"] } } } },
    });
    const ann = new ModernTasks(handler);
    const hidden = await ann.failure("tools/call", { name: "up__required", arguments: {} });
    const none = await ann.failure("tools/call", { name: "up__recondite", arguments: {} });
    assert.equal(
      String(hidden.message).replace("required", "recondite"),
      none.message,
    );
    const { taskId } = await ann.begin("up__optional");
    gw.setPolicy({ upstreams: { up: { tools: { deny: ["optional"] } } } });
    assert.equal((await ann.get(taskId)).status, "cancelled");
    await tasking.until(() => tasking.cancelled.length > 0);
    await close();
  });

  test("[APP-12] handlers with one store share them: each polls, answers and cancels all", async () => {
    const store = memoryStore();
    const tasking = new Tasking("2026-07-28");
    const nodes = [0, 1].map(() => {
      const gw = gateway({ upstreams: { up: tasking.upstream } });
      return { gw, handler: createMcpHandler(gw, { authenticate: byToken, store }) };
    });
    const [one, two] = nodes.map(({ handler }) => new ModernTasks(handler));
    assert.ok(one && two);
    await two.peer.ask("server/discover");
    const { taskId } = await one.begin("up__optional");
    const answered = tasking.ask();
    const result = two.result(taskId);
    assert.deepEqual(await soon(answered), ANSWER);
    tasking.complete();
    assert.equal(textOf(await result), "built");
    const { taskId: second } = await one.begin("up__optional");
    await two.cancel(second);
    await tasking.until(() => tasking.cancelled.includes("own-2"));
    for (const { gw, handler } of nodes) {
      await handler.close();
      await gw.close();
    }
  });

  test("[APP-11] of a server of this package over HTTP, by the official client", async () => {
    const server = new McpServer({ name: "far", version: "1.0.0" });
    server.use(tasks({ pollIntervalMs: 1 }));
    server.registerTool("ask", { task: "required" }, async (_args, ctx) => {
      const { action } = await ctx.elicit("sure", {
        message: "Sure?",
        schema: { type: "object", properties: {} },
      });
      return `The answer is ${action}`;
    });
    const far = createMcpHandler(server);
    const up = http({
      url: "http://far.example/mcp",
      fetch: (url, init) => far(new Request(url, init)),
    });
    const gw = gateway({ upstreams: { up } });
    const handler = createMcpHandler(gw);
    const client = new Client({ name: "official", version: "1.0.0" }, {
      capabilities: { elicitation: {}, tasks: {} },
    });
    const { ElicitRequestSchema } = await import("@modelcontextprotocol/sdk/types.js");
    client.setRequestHandler(ElicitRequestSchema, () => ({ action: "accept", content: {} }));
    const fetch = async (url: string | URL, init?: RequestInit) =>
      await handler(new Request(url, init));
    await client.connect(
      new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }),
    );
    await client.listTools();
    const seen: string[] = [];
    const call = { name: "up__ask", arguments: {} };
    for await (
      const message of client.experimental.tasks.callToolStream(call, undefined, { task: {} })
    ) {
      seen.push(message.type);
      if (message.type === "error") assert.fail(message.error.message);
      if (message.type === "result") assert.match(JSON.stringify(message.result), /is accept/);
    }
    assert.equal(seen[0], "taskCreated");
    assert.equal(seen.at(-1), "result");
    await client.close();
    await handler.close();
    await gw.close();
    await far.close();
  });
});
