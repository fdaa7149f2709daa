/**
 * Implements the Tasks extension: answers tool calls with a task, and the methods to follow it
 * (2026-07-28, Tasks extension).
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { DispatcherHost, Exchange, HostPeers } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import {
  hasEnded,
  type TaskCaps,
  type TaskRecord,
  TASKS,
  type TaskStore,
} from "../protocol/task_store.ts";
import { exchangeWith, requireScopes } from "../protocol/route.ts";
import { storeFailed } from "../calls/refused_error.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import type { Extension } from "../server/extension.ts";
import { failedTool } from "../server/failure.ts";
import type { McpServer } from "../server/server.ts";
import type { ToolTask } from "../server/tool_task.ts";
import {
  knowsTasks,
  taskIdOf,
  TASKS_CAPABILITY,
  unknownTask,
  wireTask,
} from "../cluster/tasks/wire.ts";
import type { ToolCall } from "../server/features/tools.ts";
import { ownerKey } from "../sessions/owner.ts";
import { MemoryTaskStore } from "../cluster/memory/tasks.ts";
import { lostProgress, nodeOf, RunnerBeats } from "../cluster/tasks/beats.ts";
import { recording, type TaskAnswer } from "./questions.ts";
import { TaskRun } from "./run.ts";

/** The time between attempts to store the end of a task, in milliseconds. */
const RETRY_MS = 1_000;

/** The options of the extension, checked and with defaults. */
export interface TasksSettings {
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
  readonly caps: TaskCaps;
  readonly resultBytes: number;
  readonly store: TaskStore | undefined;
  readonly clock: Clock;
}

/** The store of an extension, and its place among the processes that use it. */
interface TaskPlace {
  readonly store: TaskStore;
  /** The name of this process: its handler's id, if there are others, and a random text. */
  readonly runner: string;
  readonly peers: HostPeers | undefined;
}

/** Implements `Tasks`. */
export class TasksExtension implements Extension {
  readonly id: string = TASKS;
  readonly settings: JsonObject = {};
  readonly methods: Extension["methods"] = {
    "tasks/get": (exchange) => this.#get(exchange),
    "tasks/update": (exchange) => this.#update(exchange),
    "tasks/cancel": (exchange) => this.#cancel(exchange),
  };
  readonly #settings: TasksSettings;
  readonly #hosts = new Set<DispatcherHost>();
  readonly #runs = new Map<string, TaskRun>();
  readonly #expiry: DelayLine;
  readonly #retries: DelayLine;
  /** The tasks that are about to run again, by the calls of their tools. */
  readonly #reruns = new WeakMap<Exchange, TaskRecord>();
  readonly #memory: () => TaskStore;
  #server: McpServer | undefined;
  #place: TaskPlace | undefined;
  #leave: (() => void) | undefined;
  #closed = false;

  constructor(settings: TasksSettings) {
    const { clock, ttlMs } = settings;
    let memory: TaskStore | undefined;
    this.#settings = settings;
    this.#expiry = new DelayLine(clock, ttlMs);
    this.#retries = new DelayLine(clock, RETRY_MS);
    this.#memory = () => memory ??= new MemoryTaskStore(clock);
  }

  readonly install = (server: McpServer): void => {
    this.#server = server;
  };

  /** The number of tasks that run in this process. */
  get running(): number {
    return this.#runs.size;
  }

  readonly callTool = (call: ToolCall): MaybePromise<JsonObject> => {
    const rerun = this.#reruns.get(call.exchange);
    if (rerun !== undefined) return this.#startAgain(call, rerun);
    if (call.task === undefined) return call.run();
    if (knowsTasks(call.exchange)) return this.#begin(call, call.task);
    if (call.task.support === "required") throw new MissingCapabilityError(TASKS_CAPABILITY);
    return call.run();
  };

  readonly attach = (host: DispatcherHost): () => void => {
    this.#hosts.add(host);
    this.#closed = false;
    if (host.peers !== undefined) this.#join(host.peers);
    return () => {
      // Tasks belong to the server: they run as long as an endpoint serves it
      if (!this.#hosts.delete(host) || this.#hosts.size > 0) return;
      this.#closed = true;
      const reason = new StopError("shutdown");
      for (const run of [...this.#runs.values()]) {
        if (this.#leave !== undefined && run.canRunAgain) run.abandon(reason);
        else run.stop(reason);
      }
      this.#expiry.clear();
      this.#retries.clear();
      this.#leave?.();
    };
  };

  /** Begins to share tasks with other handlers, unless the extension has its place already. */
  #join(peers: HostPeers): void {
    const store = this.#settings.store ?? peers.tasks;
    if (this.#place !== undefined || store === undefined) return;
    const { clock } = this.#settings;
    const runner = `${peers.node}/${randomText(8)}`;
    this.#place = { store, runner, peers };
    const beats = new RunnerBeats({
      store,
      clock,
      runner,
      onLapsed: () => this.#abandonEnded(),
      onError: (error) => this.#report({ type: "error", during: "watching tasks", error }),
    });
    const deafen = peers.receive((value) => this.#receive(value));
    this.#leave = () => {
      this.#leave = this.#place = undefined;
      beats.stop();
      deafen();
      this.#background("leaving the other nodes", () => store.leave(runner));
    };
  }

  /** Returns the extension's place: the memory of this process, unless a handler has peers. */
  get #own(): TaskPlace {
    return this.#place ??= {
      store: this.#settings.store ?? this.#memory(),
      runner: randomText(16),
      peers: undefined,
    };
  }

  async #begin(call: ToolCall, { support, askFirst }: ToolTask): Promise<JsonObject> {
    const { clock, caps, ttlMs } = this.#settings;
    const { store, runner } = this.#own;
    const { exchange, name } = call;
    const answers = new Map<string, TaskAnswer>();
    try {
      await askFirst?.(call.args, call.context(exchange, recording(call.questions(), answers)));
    } catch (error) {
      return failedTool(exchange, name, error);
    }
    const now = clock.now();
    const record: TaskRecord = {
      id: randomText(32),
      owner: ownerKey(exchange.principal),
      createdAt: now,
      updatedAt: now,
      ttlMs,
      state: { status: "working" },
      runner,
      ...call.retryOnNodeLoss && {
        rerun: { name, arguments: exchange.params.arguments, answers: Object.fromEntries(answers) },
      },
    };
    const created = await this.#stored(exchange, () => store.create(record, caps), () => {
      // It may exist all the same
      this.#background("deleting a task", () => store.delete(record.id));
    });
    if (!created) {
      if (support === "optional") return call.run();
      throw new McpError(ErrorCode.Refused, "Call again later: the server has too many tasks");
    }
    this.#start(call, record, store, answers);
    return { resultType: "task", ...this.#show(record) };
  }

  #start(
    call: ToolCall,
    record: TaskRecord,
    store: TaskStore,
    answers: ReadonlyMap<string, TaskAnswer>,
  ): void {
    const run = this.#run(call, record, store, answers);
    this.#expiry.add(() => this.#expire(record.id, store));
    // A client that has disconnected would never ask for its task
    const { signal } = call.exchange;
    if (signal.aborted) run.stop(new StopError("cancelled"));
    else run.start(call);
  }

  #run(
    call: ToolCall,
    record: TaskRecord,
    store: TaskStore,
    answers: ReadonlyMap<string, TaskAnswer>,
  ): TaskRun {
    const { id } = record;
    const retries = this.#retries;
    const report = (event: McpEvent) => this.#report(event);
    const run = new TaskRun(call, {
      ...this.#settings,
      store,
      retries,
      record,
      answers,
      report,
      closed: () => this.#closed,
    });
    this.#runs.set(id, run);
    run.onOver(() => this.#runs.delete(id));
    return run;
  }

  async #get(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    const { store } = this.#own;
    const task = await this.#stored(exchange, () => store.get(id, owner));
    if (task === undefined) throw unknownTask();
    if (task.runner !== "" || hasEnded(task)) return this.#show(task);
    return await this.#runAgain(exchange, task);
  }

  /**
   * Runs a task whose process died again, with the rights of the request that asks for it. Ends the
   * task if its tool can't run here and now.
   */
  async #runAgain(exchange: Exchange, task: TaskRecord): Promise<JsonObject> {
    const { id, owner, rerun } = task;
    const { store, runner } = this.#own;
    if (!await this.#stored(exchange, () => store.take(id, owner, runner))) return this.#show(task);
    const params = { name: rerun?.name, arguments: rerun?.arguments };
    const route = this.#server?.route({ method: "tools/call", params });
    const call = route && exchangeWith(exchange, route);
    const taken = { ...task, runner };
    if (call !== undefined) this.#reruns.set(call, taken);
    try {
      if (await exchange.mayUse?.("tools/call", String(params.name)) !== false) {
        requireScopes(exchange.principal, route ?? {});
        if (call !== undefined) await route?.run(call);
      }
    } catch (error) {
      this.#report({ type: "error", during: "running a task again", error });
    }
    if (call !== undefined && !this.#reruns.delete(call)) return this.#show(taken);
    const lost = lostProgress(this.#settings.clock);
    await this.#stored(exchange, () => store.update(id, runner, lost));
    return this.#show({ ...task, ...lost });
  }

  #startAgain(call: ToolCall, task: TaskRecord): JsonObject {
    const { id, createdAt, ttlMs, rerun } = task;
    const { clock } = this.#settings;
    this.#reruns.delete(call.exchange);
    // As the process that created the task has stored it
    const answers = new Map(Object.entries(rerun?.answers ?? {}) as [string, TaskAnswer][]);
    const { rerun: _, ...record } = task;
    const { store } = this.#own;
    const run = this.#run(call, record, store, answers);
    const leftMs = Math.max(0, createdAt + ttlMs - clock.now());
    run.onOver(clock.timer(leftMs, () => this.#expire(id, store)));
    run.start(call);
    return {};
  }

  async #update(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    const { inputResponses: answers } = exchange.params;
    if (!isObject(answers)) {
      throw new McpError(ErrorCode.InvalidParams, 'Give an object of answers as "inputResponses"');
    }
    const { store, peers } = this.#own;
    const task = await this.#stored(exchange, () => store.get(id, owner));
    if (task === undefined) throw unknownTask();
    const run = this.#runs.get(id);
    if (run !== undefined) run.answer(answers);
    else if (!hasEnded(task) && task.runner !== "" && peers !== undefined) {
      const { runner } = task;
      const arrived = await this.#stored(
        exchange,
        () => peers.send(nodeOf(runner), { task: id, answers }),
      );
      if (!arrived) throw unreachable();
    }
    return {};
  }

  async #cancel(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    const { store, peers } = this.#own;
    const progress = {
      state: { status: "cancelled" },
      updatedAt: this.#settings.clock.now(),
    } as const;
    const task = await this.#stored(exchange, () => store.cancel(id, owner, progress));
    if (task === undefined) throw unknownTask();
    const run = this.#runs.get(id);
    if (run !== undefined) run.abandon();
    else if (!hasEnded(task) && task.runner !== "" && peers !== undefined) {
      peers.sendRepeatedly(nodeOf(task.runner), { task: id });
    }
    return {};
  }

  /** Receives what other nodes send about a task that runs here: answers, or its cancellation. */
  #receive({ task, answers }: JsonObject): void {
    const run = typeof task === "string" ? this.#runs.get(task) : undefined;
    if (isObject(answers)) run?.answer(answers);
    else run?.abandon();
  }

  /** Stops the tools of tasks that have ended without this process, or run elsewhere. */
  async #abandonEnded(): Promise<void> {
    const { store, runner } = this.#own;
    await Promise.all([...this.#runs].map(async ([id, run]) => {
      const task = await store.get(id, ownerKey(run.principal));
      if (task === undefined || hasEnded(task) || task.runner !== runner) run.abandon();
    }));
  }

  /**
   * Calls the store.
   *
   * @throws {RefusedError} With 503, if the store fails
   */
  async #stored<T>(
    exchange: Exchange,
    call: () => MaybePromise<T>,
    onFailure?: () => void,
  ): Promise<T> {
    try {
      return await call();
    } catch (error) {
      onFailure?.();
      throw storeFailed(exchange, error, "task store");
    }
  }

  #background(during: string, work: () => unknown): void {
    (async () => await work())().catch((error) => this.#report({ type: "error", during, error }));
  }

  /** Returns a task as it goes on the wire. */
  #show(task: TaskRecord): JsonObject {
    return wireTask(task, this.#settings.pollIntervalMs);
  }

  async #expire(id: string, store: TaskStore): Promise<void> {
    this.#runs.get(id)?.stop(new StopError("timeout"));
    try {
      await store.delete(id);
    } catch (error) {
      this.#report({ type: "error", during: "deleting a task", error });
    }
  }

  #report(event: McpEvent): void {
    for (const host of this.#hosts) host.report(event);
  }
}

/**
 * Returns the id of the task that a request names, and the key of its owner.
 *
 * @throws {MissingCapabilityError} If the client doesn't know tasks
 * @throws {McpError} With -32602, if the request names no task
 */
function taskOf(exchange: Exchange): { readonly id: string; readonly owner: string } {
  return { id: taskIdOf(exchange), owner: ownerKey(exchange.principal) };
}

/** Creates the error for answers to a task whose node can't be reached. */
function unreachable(): McpError {
  const message = "Send the answers again in some seconds: the task's server can't be reached";
  return new McpError(ErrorCode.Refused, message);
}
