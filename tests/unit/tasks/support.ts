/**
 * A client that knows tasks, and a server of tools that run as tasks.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import type { McpHandler } from "../../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import type { ClientCapabilities } from "../../../src/protocol/shapes.ts";
import { McpServer } from "../../../src/server/server.ts";
import {
  type TaskBeat,
  type TaskCaps,
  type TaskProgress,
  type TaskRecord,
  type Tasks,
  tasks,
  type TasksOptions,
  type TaskStore,
} from "../../../src/tasks/mod.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { envelope, headersFor } from "../../support/modern.ts";
import { as, byToken, Events, URL_2025 } from "../../support/wire.ts";

/** The extension's identifier. */
export const TASKS = "io.modelcontextprotocol/tasks";

/** A client that knows tasks and can be asked. */
export const KNOWS: ClientCapabilities = { extensions: { [TASKS]: {} }, elicitation: {} };

/** Who sends, and what the client can do. */
export interface Sender {
  /** @default {"alice"} */
  readonly who?: string;
  /** @default {KNOWS} */
  readonly capabilities?: ClientCapabilities;
  /** `x-principal` has the whole principal as JSON, in place of `who`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** What came back. */
export interface Reply {
  readonly status: number;
  /** The body, with the request's id. */
  readonly text: string;
  readonly result: JsonObject;
  readonly error: JsonObject;
}

/** A server with tasks, its handler, and the time. */
export class World {
  readonly clock = new FakeClock();
  readonly events = new Events();
  readonly server = new McpServer({ name: "test", version: "1.0.0" });
  readonly tasks: Tasks;
  #handler: McpHandler | undefined;

  constructor(options: TasksOptions = {}) {
    this.tasks = this.server.use(tasks({ clock: this.clock, ttlMs: 60_000, ...options }));
  }

  /** Serves what has been registered so far, and what will be. */
  get handler(): McpHandler {
    return this.#handler ??= createMcpHandler(this.server, {
      authenticate: (request) => {
        const principal = request.headers.get("x-principal");
        return principal === null ? byToken(request) : JSON.parse(principal);
      },
      clock: this.clock,
      onEvent: this.events.onEvent,
    });
  }

  /** Sends a request. Its id is always 1, so that the same answers have the same bytes. */
  async send(method: string, params: JsonObject = {}, sender: Sender = {}): Promise<Reply> {
    const { who = "alice", capabilities = KNOWS, headers } = sender;
    const { taskId } = params;
    const request = new Request(URL_2025, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "accept": "application/json",
        ...headersFor(method, params),
        ...typeof taskId === "string" ? { "mcp-name": taskId } : {},
        ...as(who),
        ...headers,
      },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method,
        params: { ...params, _meta: envelope(capabilities) },
      }),
    });
    const response = await this.handler(request);
    const text = await response.text();
    const body: unknown = text === "" ? {} : JSON.parse(text);
    assert.ok(isObject(body));
    const { result, error } = body;
    return {
      status: response.status,
      text,
      result: isObject(result) ? result : {},
      error: isObject(error) ? error : {},
    };
  }

  /** Calls a tool. */
  call(name: string, args: JsonObject = {}, sender?: Sender): Promise<Reply> {
    return this.send("tools/call", { name, arguments: args }, sender);
  }

  /** Calls a tool that becomes a task, whose id is returned. Everything that can has run by then. */
  async begin(name: string, args: JsonObject = {}, sender?: Sender): Promise<string> {
    const { result, text } = await this.call(name, args, sender);
    assert.equal(result.resultType, "task", text);
    assert.ok(typeof result.taskId === "string");
    await flush();
    return result.taskId;
  }

  /** Where a task stands. */
  async get(taskId: string, sender?: Sender): Promise<JsonObject> {
    const { result, text } = await this.send("tasks/get", { taskId }, sender);
    assert.equal(result.taskId, taskId, text);
    return result;
  }

  /** Answers questions of a task. Everything that can has run afterwards. */
  async update(taskId: string, inputResponses: unknown): Promise<Reply> {
    const reply = await this.send("tasks/update", { taskId, inputResponses });
    await flush();
    return reply;
  }

  /** Cancels a task. */
  async cancel(taskId: string, sender?: Sender): Promise<Reply> {
    const reply = await this.send("tasks/cancel", { taskId }, sender);
    await flush();
    return reply;
  }
}

/** A store that is as far away as a test likes: every answer waits for a pause. */
export class SlowStore implements TaskStore {
  readonly store: TaskStore;
  readonly #pause: () => Promise<void>;

  constructor(store: TaskStore, pause: () => Promise<void>) {
    this.store = store;
    this.#pause = pause;
  }

  async create(task: TaskRecord, caps: TaskCaps): Promise<boolean> {
    await this.#pause();
    return await this.store.create(task, caps);
  }

  async get(id: string, owner: string): Promise<TaskRecord | undefined> {
    await this.#pause();
    return await this.store.get(id, owner);
  }

  async update(id: string, runner: string, progress: TaskProgress): Promise<boolean> {
    await this.#pause();
    return await this.store.update(id, runner, progress);
  }

  async cancel(id: string, owner: string, progress: TaskProgress): Promise<TaskRecord | undefined> {
    await this.#pause();
    return await this.store.cancel(id, owner, progress);
  }

  async take(id: string, owner: string, runner: string): Promise<boolean> {
    await this.#pause();
    return await this.store.take(id, owner, runner);
  }

  async lose(id: string, runner: string, progress: TaskProgress): Promise<void> {
    await this.#pause();
    await this.store.lose(id, runner, progress);
  }

  async delete(id: string): Promise<void> {
    await this.#pause();
    await this.store.delete(id);
  }

  async beat(runner: string, ttlMs: number): Promise<TaskBeat> {
    await this.#pause();
    return await this.store.beat(runner, ttlMs);
  }

  async leave(runner: string): Promise<void> {
    await this.#pause();
    await this.store.leave(runner);
  }
}

/** Runs a test in a world that is closed afterwards, and has then nothing left that runs. */
export async function inWorld(
  run: (world: World) => Promise<void>,
  options?: TasksOptions,
): Promise<void> {
  const world = new World(options);
  try {
    await run(world);
  } finally {
    const closed = world.handler.close({ graceMs: 0 });
    await world.clock.advance(5_000);
    await closed;
    assert.equal(world.tasks.running, 0);
    assert.equal(world.clock.pending, 0);
  }
}

/** The text of a result. */
export function textOf(result: unknown): unknown {
  assert.ok(isObject(result) && Array.isArray(result.content), JSON.stringify(result));
  return result.content[0]?.text;
}
