/**
 * Implements the Tasks extension: answers tool calls with a task, and the methods to follow it
 * (2026-07-28, Tasks extension).
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError, MissingCapabilityError } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { DispatcherHost, Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { isModern } from "../protocol/versions.ts";
import { StopError } from "../calls/stop.ts";
import type { Extension } from "../server/extension.ts";
import { failedTool } from "../server/failure.ts";
import { TASKS, type ToolTask } from "../server/tool_task.ts";
import type { ToolCall } from "../server/tools.ts";
import { ownerKey } from "../sessions/owner.ts";
import { MemoryTaskStore } from "./memory_store.ts";
import { type Answer, recording } from "./questions.ts";
import { TaskRun } from "./run.ts";
import type { TaskCaps, TaskRecord, TaskStore } from "./types.ts";

/** Configures {@linkcode tasks}. */
export interface TasksOptions {
  /**
   * Limits the life of a task and its result, in milliseconds from the task's creation. A tool that
   * still runs then is stopped.
   *
   * @default {900_000}
   */
  readonly ttlMs?: number;
  /**
   * Tells clients how often to poll a task, in milliseconds.
   *
   * @default {1_000}
   */
  readonly pollIntervalMs?: number;
  /** Limits the tasks. */
  readonly limits?: TasksLimits;
  /**
   * Stores the tasks.
   *
   * @default in this process's memory
   */
  readonly store?: TaskStore;
  /**
   * Gives the time.
   *
   * @default the system clock
   */
  readonly clock?: Clock;
}

/** Limits the tasks of one {@linkcode tasks} extension. */
export interface TasksLimits {
  /**
   * Limits all tasks, running or ended, until they expire. When it is reached, an `"optional"` tool
   * runs as an ordinary call, and a `"required"` one fails.
   *
   * @default {1_000}
   */
  readonly tasks?: number;
  /**
   * Limits the tasks of one principal. Without `authenticate` all requests have the same principal.
   *
   * @default {100}
   */
  readonly tasksPerPrincipal?: number;
  /**
   * Limits the result of a task as JSON, in bytes. A larger one becomes an error result.
   *
   * @default {1_048_576}
   */
  readonly resultBytes?: number;
}

/** Represents the Tasks extension of one server. */
export interface Tasks extends Extension {
  /** Counts the tasks that run in this process. */
  readonly running: number;
}

/**
 * Creates the Tasks extension (`io.modelcontextprotocol/tasks`), for `server.use`.
 *
 * @param options The options, all optional
 * @returns The extension, for one server
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is not an integer of 1 or more
 */
export function tasks(options: TasksOptions = {}): Tasks {
  const { limits = {}, clock = systemClock, store = new MemoryTaskStore(clock) } = options;
  return new TasksExtension({
    ttlMs: bounded("ttlMs", options.ttlMs, 900_000),
    pollIntervalMs: bounded("pollIntervalMs", options.pollIntervalMs, 1_000),
    caps: {
      tasks: bounded("limits.tasks", limits.tasks, 1_000),
      tasksPerPrincipal: bounded("limits.tasksPerPrincipal", limits.tasksPerPrincipal, 100),
    },
    resultBytes: bounded("limits.resultBytes", limits.resultBytes, 1024 * 1024),
    store,
    clock,
  });
}

/**
 * Checks a finite integer option: tasks outlive the connection that could end them, so `Infinity`
 * is not allowed.
 */
function bounded(name: string, value: number | undefined, byDefault: number): number {
  const integer = integerOption(name, value, byDefault);
  if (integer !== Infinity) return integer;
  throw new RangeError(`Give an integer of 1 or more as "${name}": ${integer}`);
}

/** Names the client capability of clients that know tasks. */
const CAPABILITY = `extensions.${TASKS}`;

/** Holds the options of the extension, checked and with defaults. */
interface TasksSettings {
  readonly ttlMs: number;
  readonly pollIntervalMs: number;
  readonly caps: TaskCaps;
  readonly resultBytes: number;
  readonly store: TaskStore;
  readonly clock: Clock;
}

/** Implements {@linkcode Tasks}. */
class TasksExtension implements Extension {
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

  constructor(settings: TasksSettings) {
    this.#settings = settings;
    this.#expiry = new DelayLine(settings.clock, settings.ttlMs);
  }

  /** Counts the tasks that run in this process. */
  get running(): number {
    return this.#runs.size;
  }

  readonly callTool = (call: ToolCall): MaybePromise<JsonObject> => {
    if (call.task === undefined) return call.run();
    if (knowsTasks(call.exchange)) return this.#begin(call, call.task);
    if (call.task.support === "required") throw new MissingCapabilityError(CAPABILITY);
    return call.run();
  };

  readonly attach = (host: DispatcherHost): () => void => {
    this.#hosts.add(host);
    return () => {
      // Tasks belong to the server: they run as long as an endpoint serves it
      if (!this.#hosts.delete(host) || this.#hosts.size > 0) return;
      this.#expiry.clear();
      for (const run of [...this.#runs.values()]) run.stop(new StopError("shutdown"));
    };
  };

  async #begin(call: ToolCall, { support, askFirst }: ToolTask): Promise<JsonObject> {
    const { store, clock, caps, ttlMs } = this.#settings;
    const { exchange, name } = call;
    const answers = new Map<string, Answer>();
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
    };
    if (!await store.create(record, caps)) {
      if (support === "optional") return call.run();
      throw new McpError(ErrorCode.Refused, "Call again later: the server has too many tasks");
    }
    this.#start(call, record, answers);
    return { resultType: "task", ...this.#show(record) };
  }

  #start(call: ToolCall, record: TaskRecord, answers: ReadonlyMap<string, Answer>): void {
    const { id } = record;
    const report = (event: McpEvent) => this.#report(event);
    const run = new TaskRun(call, { ...this.#settings, record, answers, report });
    this.#runs.set(id, run);
    run.onOver(() => this.#runs.delete(id));
    this.#expiry.add(() => this.#expire(id));
    // A client that has disconnected would never ask for its task
    const { signal } = call.exchange;
    if (signal.aborted) run.stop(new StopError("cancelled"));
    else run.start(call);
  }

  async #get(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    const task = await this.#settings.store.get(id, owner);
    if (task === undefined) throw unknownTask();
    return this.#show(task);
  }

  async #update(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    const { inputResponses: answers } = exchange.params;
    if (!isObject(answers)) {
      throw new McpError(ErrorCode.InvalidParams, 'Give an object of answers as "inputResponses"');
    }
    if (await this.#settings.store.send(id, owner, { kind: "answers", answers })) return {};
    throw unknownTask();
  }

  async #cancel(exchange: Exchange): Promise<JsonObject> {
    const { id, owner } = taskOf(exchange);
    if (await this.#settings.store.send(id, owner, { kind: "cancel" })) return {};
    throw unknownTask();
  }

  /** Returns a task as it goes on the wire. */
  #show({ id, state, message, createdAt, updatedAt, ttlMs }: TaskRecord): JsonObject {
    return {
      taskId: id,
      ...state,
      ...(message === undefined ? {} : { statusMessage: message }),
      createdAt: new Date(createdAt).toISOString(),
      lastUpdatedAt: new Date(updatedAt).toISOString(),
      ttlMs,
      pollIntervalMs: this.#settings.pollIntervalMs,
    };
  }

  async #expire(id: string): Promise<void> {
    this.#runs.get(id)?.stop(new StopError("timeout"));
    try {
      await this.#settings.store.delete(id);
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
  if (!knowsTasks(exchange)) throw new MissingCapabilityError(CAPABILITY);
  const { taskId: id } = exchange.params;
  if (typeof id === "string") return { id, owner: ownerKey(exchange.principal) };
  throw new McpError(ErrorCode.InvalidParams, 'Give a task\'s id as "taskId"');
}

/**
 * Tells whether a request declares that its client knows tasks: declarations of earlier requests
 * don't count.
 */
function knowsTasks({ client, protocolVersion }: Exchange): boolean {
  const { extensions } = client.capabilities;
  return isModern(protocolVersion) && isObject(extensions) &&
    Object.hasOwn(extensions, TASKS);
}

/**
 * Creates the error for an unknown task, the same for one that never existed, has expired, or
 * belongs to another principal.
 */
function unknownTask(): McpError {
  return new McpError(ErrorCode.InvalidParams, "Unknown task");
}
