/**
 * Answers calls with tasks of the gateway's own, behind which tasks of upstreams run, for clients of both
 * eras (2025-11-25, Tasks; 2026-07-28, Tasks extension).
 *
 * @module
 */
import {
  type DispatcherHost,
  ErrorCode,
  type Exchange,
  type JsonObject,
  McpError,
  type ServerCapabilities,
} from "../../../mod.ts";
import { isModern, isObject, TasksExtension, tooManyTasks } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import type { ManagedSession } from "../session/managed_session.ts";
import { RELATED_TASK } from "../session/translate.ts";
import { cancelTask, type FollowInit, followTask, tasksOf } from "../session/upstream_task.ts";
import { abortable } from "../shared/deadline.ts";
import { TASKS } from "../shared/extensions.ts";
import type { UpstreamFacts } from "../types.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";

/** The version of the 2025 era that has tasks. */
export const TASKS_VERSION = "2025-11-25";

/** The time after which clients look again, and after which a task of another node is looked at, in milliseconds. */
const POLL_MS = 1_000;
/** The most bytes of a result. */
const RESULT_BYTES = 1024 * 1024;

/** A call that has become a task of an upstream. */
export interface UpstreamCreated {
  readonly session: ManagedSession;
  readonly facts: UpstreamFacts;
  /** The task, as the upstream created it. */
  readonly created: JsonObject;
  /** Puts the result into the words of the client. */
  finish(result: JsonObject): Promise<JsonObject>;
}

/** A request that may become a task. */
export interface TaskRequest {
  readonly exchange: Exchange;
  readonly settings: GatewaySettings;
  readonly sessions: UpstreamSessions;
  /** Keeps the upstream sessions open until the returned function is called. */
  readonly retain: () => () => void;
}

/** What a running task is about. */
interface TaskTool {
  readonly exchange: Pick<Exchange, "principal">;
  readonly upstream: string;
  readonly tool: string;
}

/** How a client can use tasks: by a request of its own, as the server likes, or not at all. */
export function taskUse(
  { protocolVersion, client, params }: Exchange,
): "asks" | "knows" | undefined {
  if (isModern(protocolVersion)) {
    const { extensions } = client.capabilities;
    return isObject(extensions) && isObject(extensions[TASKS]) ? "knows" : undefined;
  }
  return protocolVersion === TASKS_VERSION && isObject(params.task) ? "asks" : undefined;
}

/** Returns how a tool can be called as a task; `undefined` if it can't. */
export function taskSupport(
  facts: Pick<UpstreamFacts, "protocolVersion" | "capabilities">,
  { execution }: JsonObject,
): "optional" | "required" | undefined {
  const kind = tasksOf(facts);
  if (kind !== "augmented") return kind === undefined ? undefined : "optional";
  const support = isObject(execution) ? execution.taskSupport : undefined;
  return support === "optional" || support === "required" ? support : undefined;
}

/** Adds to capabilities what clients of a version learn of tasks, if an upstream has them. */
export function withTasks(
  capabilities: ServerCapabilities,
  version: string,
  isOffered: boolean,
): ServerCapabilities & { readonly tasks?: JsonObject } {
  if (!isOffered || capabilities.tools === undefined) return capabilities;
  if (version === TASKS_VERSION) {
    const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
    return { ...capabilities, tasks };
  }
  if (version < TASKS_VERSION) return capabilities;
  const extensions = isObject(capabilities.extensions) ? capabilities.extensions : {};
  return { ...capabilities, extensions: { ...extensions, [TASKS]: {} } };
}

/** The tasks of one view. */
export class ViewTasks {
  readonly #settings: GatewaySettings;
  readonly #hosts: () => ReadonlySet<DispatcherHost>;
  readonly #detach = new Map<DispatcherHost, () => void>();
  /** What each task is about that runs here. */
  readonly #running = new Map<string, TaskTool>();
  /** The tasks of the clients with a session, which may list them. */
  readonly #listed = new WeakMap<UpstreamSessions, Set<string>>();
  /** The questions that clients with a session are being asked, by task and key. */
  readonly #asking = new Set<string>();
  #extension: TasksExtension | undefined;

  constructor(settings: GatewaySettings, hosts: () => ReadonlySet<DispatcherHost>) {
    this.#settings = settings;
    this.#hosts = hosts;
  }

  /** The tasks, from the first use on: then the nodes of a cluster begin to watch each other's. */
  get #tasks(): TasksExtension {
    const { clock, taskTtlMs: ttlMs, limits: { tasks, tasksPerPrincipal } } = this.#settings;
    if (this.#extension === undefined) {
      this.#extension = new TasksExtension({
        ttlMs,
        pollIntervalMs: POLL_MS,
        caps: { tasks, tasksPerPrincipal },
        resultBytes: RESULT_BYTES,
        store: undefined,
        clock,
      });
      for (const host of this.#hosts()) this.attach(host);
    }
    return this.#extension;
  }

  /** Adds an endpoint. */
  attach(host: DispatcherHost): void {
    if (this.#extension === undefined || this.#detach.has(host)) return;
    this.#detach.set(host, this.#extension.attach(host));
  }

  /** Removes an endpoint. With the last one, all tasks end. */
  detach(host: DispatcherHost): void {
    this.#detach.get(host)?.();
    this.#detach.delete(host);
  }

  /** The number of tasks that run in this process. */
  get running(): number {
    return this.#running.size;
  }

  /** Cancels the tasks whose tools are withheld by now. */
  cancelWithheld(isWithheld: (task: TaskTool) => boolean): void {
    for (const [id, task] of this.#running) if (isWithheld(task)) this.#extension?.stop(id);
  }

  /**
   * Answers a call with a task, behind which a task of an upstream runs.
   *
   * @throws {McpError} If there are too many tasks; that of the upstream is cancelled then
   */
  async follow(
    request: TaskRequest,
    tool: string,
    { session, facts, created, finish }: UpstreamCreated,
  ): Promise<JsonObject> {
    const { exchange } = request;
    const { clock, probeTimeoutMs: cancelMs } = this.#settings;
    const { principal, request: http, user } = exchange;
    const common = { session, facts, created, principal, request: http, user, clock, cancelMs };
    const unfollowed: FollowInit = {
      ...common,
      signal: session.closing,
      ask: () => Promise.reject(new McpError(ErrorCode.Refused, "The task has ended")),
    };
    let isFollowed = false;
    try {
      return await this.create(
        request,
        { upstream: session.name, tool },
        async (own, questions) => {
          isFollowed = true;
          const result = await followTask({
            ...common,
            signal: own.signal,
            ask: (key, method, params) => questions.ask(key, method, params),
            noteStatus: (message) =>
              own.notify({ method: "notifications/progress", params: { message } }),
          });
          return await finish(result);
        },
        () => {
          if (!isFollowed) void cancelTask(unfollowed);
        },
      );
    } catch (error) {
      if (!isFollowed) void cancelTask(unfollowed);
      throw error;
    }
  }

  /**
   * Answers a call with a task that runs a function.
   *
   * @param ended Called when the task is over
   * @throws {McpError} If there are too many tasks
   */
  async create(
    { exchange, sessions, retain }: TaskRequest,
    about: { readonly upstream: string; readonly tool: string },
    run: (
      exchange: Exchange,
      questions: { ask(key: string, method: string, params: JsonObject): Promise<JsonObject> },
    ) => Promise<JsonObject>,
    ended: () => void = () => {},
  ): Promise<JsonObject> {
    const release = retain();
    const isModernClient = isModern(exchange.protocolVersion);
    const { principal } = exchange;
    const over = (id: string) => {
      this.#running.delete(id);
      release();
      ended();
    };
    let last: string | undefined;
    const created = await this.#tasks.create({ exchange, run }, {
      watch: (task) => {
        const { taskId, status } = task;
        const isOver = status !== "working" && status !== "input_required";
        if (isOver) over(String(taskId));
        if (isModernClient || status === last) return;
        last = String(status);
        sessions.notify({ method: "notifications/tasks/status", params: legacyTask(task) });
      },
    }).catch((error) => {
      release();
      throw error;
    });
    if (created === undefined) {
      release();
      throw tooManyTasks();
    }
    const id = String(created.taskId);
    if (last === undefined || last === "working") {
      this.#running.set(id, { exchange: { principal }, ...about });
    }
    if (isModernClient) return { resultType: "task", ...created };
    this.#list(sessions, id);
    return { task: legacyTask(created) };
  }

  /** Remembers a task for the list of its client's session, within bounds. */
  #list(sessions: UpstreamSessions, id: string): void {
    const ids = this.#listed.get(sessions) ?? new Set();
    this.#listed.set(sessions, ids.add(id));
    const [oldest] = ids;
    if (ids.size > this.#settings.limits.tasksPerPrincipal && oldest !== undefined) {
      ids.delete(oldest);
    }
  }

  /** Returns a function that answers a method about tasks; `undefined` if the version doesn't have it. */
  method(
    method: string,
    version: string,
  ): ((request: TaskRequest) => Promise<JsonObject>) | undefined {
    if (isModern(version as Exchange["protocolVersion"])) {
      const answer = MODERN_METHODS.has(method) ? method : undefined;
      return answer === undefined ? undefined : ({ exchange }) => this.#run(answer, exchange);
    }
    if (version !== TASKS_VERSION) return undefined;
    switch (method) {
      case "tasks/get":
        return async ({ exchange }) => legacyTask(await this.#get(exchange));
      case "tasks/list":
        return (request) => this.#listTasks(request);
      case "tasks/result":
        return ({ exchange }) => this.#result(exchange);
      case "tasks/cancel":
        return ({ exchange }) => this.#cancel(exchange);
      default:
        return undefined;
    }
  }

  async #run(method: string, exchange: Exchange): Promise<JsonObject> {
    return await this.#tasks.methods[method]?.(exchange) ?? {};
  }

  #get(exchange: Exchange, params: JsonObject = exchange.params): Promise<JsonObject> {
    return this.#run("tasks/get", asTaskClient(exchange, params));
  }

  async #cancel(exchange: Exchange): Promise<JsonObject> {
    const before = await this.#get(exchange);
    if (before.status !== "working" && before.status !== "input_required") {
      throw new McpError(ErrorCode.InvalidParams, `Cancel only tasks that run: ${before.status}`);
    }
    await this.#run("tasks/cancel", asTaskClient(exchange));
    return legacyTask(await this.#get(exchange));
  }

  /** Lists the tasks that the client's session has begun and that are still known. */
  async #listTasks({ exchange, sessions }: TaskRequest): Promise<JsonObject> {
    const ids = this.#listed.get(sessions) ?? new Set();
    const found = await Promise.all([...ids].map(async (taskId) => {
      try {
        return [legacyTask(await this.#get(exchange, { taskId }))];
      } catch (error) {
        if (!(error instanceof McpError) || error.code !== ErrorCode.InvalidParams) throw error;
        ids.delete(taskId);
        return [];
      }
    }));
    return { tasks: found.flat() };
  }

  /** Waits for the result of a task, and asks the client meanwhile what the task asks. */
  async #result(exchange: Exchange): Promise<JsonObject> {
    const id = String(exchange.params.taskId);
    for (;;) {
      const changed = this.#changed(id, exchange.signal);
      const task = await this.#get(exchange).catch((error) => {
        changed.stop();
        throw error;
      });
      const { status, error, result, inputRequests } = task;
      if (status === "completed" || status === "failed" || status === "cancelled") {
        changed.stop();
        if (status === "cancelled") {
          throw new McpError(ErrorCode.InternalError, "The task was cancelled");
        }
        if (status === "failed") throw taskError(error);
        return withRelatedTask(isObject(result) ? result : {}, id);
      }
      for (const [key, question] of Object.entries(isObject(inputRequests) ? inputRequests : {})) {
        if (isObject(question)) void this.#ask(exchange, id, key, question);
      }
      await changed.promise;
    }
  }

  /** Asks the client a question of a task, unless another request does. */
  async #ask(
    exchange: Exchange,
    id: string,
    key: string,
    { method, params }: JsonObject,
  ): Promise<void> {
    const mark = JSON.stringify([id, key]);
    if (this.#asking.has(mark)) return;
    this.#asking.add(mark);
    try {
      const asked = withRelatedTask(isObject(params) ? params : {}, id);
      const answer = await exchange.ask(String(method), asked);
      await this.#answer(exchange, id, key, answer);
    } catch {
      // A client that can't or won't answer has declined; one that has gone is asked again
      if (exchange.signal.aborted) return;
      if (method === "elicitation/create") {
        await this.#answer(exchange, id, key, { action: "cancel" }).catch(() => {});
      } else this.#tasks.stop(id);
    } finally {
      this.#asking.delete(mark);
    }
  }

  async #answer(exchange: Exchange, id: string, key: string, answer: JsonObject): Promise<void> {
    const params = { taskId: id, inputResponses: { [key]: answer } };
    await this.#run("tasks/update", asTaskClient(exchange, params));
  }

  /** Waits until a task may have changed. */
  #changed(id: string, signal: AbortSignal): { promise: Promise<void>; stop: () => void } {
    const { clock } = this.#settings;
    const { promise, resolve } = Promise.withResolvers<void>();
    const unwatch = this.#tasks.watch(id, resolve);
    const stopTimer = clock.timer(POLL_MS, resolve);
    const stop = () => {
      unwatch?.();
      stopTimer();
      resolve();
    };
    return { promise: abortable(promise, signal).finally(stop), stop };
  }
}

const MODERN_METHODS: ReadonlySet<string> = new Set(["tasks/get", "tasks/update", "tasks/cancel"]);

/** Returns the error with which a task has failed. */
function taskError(error: unknown): McpError {
  const { code, message, data } = isObject(error) ? error : {};
  const known = typeof code === "number" ? code : ErrorCode.InternalError;
  return new McpError(known, String(message ?? "The task failed"), data);
}

/** Adds to a message which task it belongs to. */
function withRelatedTask({ resultType: _, ...message }: JsonObject, taskId: string): JsonObject {
  const meta = isObject(message._meta) ? message._meta : {};
  return { ...message, _meta: { ...meta, [RELATED_TASK]: { taskId } } };
}

/** Returns a task in the words of 2025-11-25. */
function legacyTask(
  { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs }: JsonObject,
): JsonObject {
  return {
    taskId,
    status,
    ...statusMessage !== undefined && { statusMessage },
    createdAt,
    lastUpdatedAt,
    ttl: ttlMs,
    pollInterval: pollIntervalMs,
  };
}

/** Returns a request of 2025-11-25 as that of a client that knows the extension. */
function asTaskClient(exchange: Exchange, params: JsonObject = exchange.params): Exchange {
  const own: Readonly<Record<string | symbol, unknown>> = {
    params,
    protocolVersion: "2026-07-28",
    client: { capabilities: { extensions: { [TASKS]: {} } } },
  };
  return new Proxy(exchange, {
    get(exchange, key) {
      if (Object.hasOwn(own, key)) return own[key];
      const value: unknown = Reflect.get(exchange, key, exchange);
      return typeof value === "function" ? value.bind(exchange) : value;
    },
  });
}
