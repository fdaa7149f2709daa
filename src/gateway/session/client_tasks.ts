/**
 * Keeps the ids of a client's tasks apart by upstream: questions that the client answers with a task
 * (2025-11-25, Tasks). Each upstream knows its own tasks only, by ids of the gateway's own.
 *
 * @module
 */
import {
  type ClientCapabilities,
  ErrorCode,
  type JsonObject,
  McpError,
  type Notification,
} from "../../../mod.ts";
import { BoundedMap, isObject, randomText } from "../../kit.ts";
import { questionFor, RELATED_TASK, TASK_QUESTIONS, tasksForUpstreams } from "./translate.ts";

/** The most tasks of a client that one upstream session knows; those used least recently are forgotten. */
const MAX_TASKS = 100;

/** The requests about tasks that an upstream may send. */
const METHODS: ReadonlySet<string> = new Set(["tasks/get", "tasks/result", "tasks/cancel"]);

/** The tasks of a client that one upstream session has begun. */
export class ClientTasks {
  /** The client's ids by those that the upstream knows. */
  readonly #ids = new BoundedMap<string, string>(MAX_TASKS);

  /**
   * Checks that the upstream may ask something.
   *
   * @throws The same errors as {@linkcode ask}, before anything is sent
   */
  check(
    method: string,
    params: JsonObject,
    capabilities: ClientCapabilities,
    isAlone: boolean,
  ): void {
    const isAboutTask = METHODS.has(method) && tasksForUpstreams({ ...capabilities }) !== undefined;
    if (!isAboutTask || isAlone) questionFor(method, params, capabilities, isAlone);
  }

  /**
   * Asks the client a question of the upstream, or something about a task that it has answered with.
   *
   * @param capabilities What the upstream was told of the client
   * @param send Sends the request
   * @throws {McpError} If clients don't answer the method, the client lacks a capability, or it answers
   * with an error
   */
  async ask(
    method: string,
    params: JsonObject,
    capabilities: ClientCapabilities,
    isAlone: boolean,
    send: (params: JsonObject) => Promise<JsonObject>,
  ): Promise<JsonObject> {
    if (isAlone) return await send(questionFor(method, params, capabilities, true));
    if (METHODS.has(method) && tasksForUpstreams({ ...capabilities }) !== undefined) {
      const own = String(params.taskId);
      const id = this.#ids.get(own);
      if (id === undefined) throw new McpError(ErrorCode.InvalidParams, "Unknown task");
      // Those used last go to the end
      this.#ids.set(own, id);
      return withId(await send({ ...params, taskId: id }), own);
    }
    const { task, ...plain } = params;
    const mayBeTask = task !== undefined && isAugmented(method, capabilities);
    const result = await send(questionFor(method, mayBeTask ? params : plain, capabilities));
    if (!mayBeTask || !isObject(result.task)) return result;
    const { taskId: id } = result.task;
    if (typeof id !== "string") return result;
    const own = randomText(22);
    this.#ids.set(own, id);
    return { ...result, task: { ...result.task, taskId: own } };
  }

  /** Returns a notification of the client about a task as the upstream gets it; `undefined` if it isn't its. */
  notification({ method, params = {} }: Notification): Notification | undefined {
    for (const [own, id] of this.#ids.entries()) {
      if (id === params.taskId) return { method, params: { ...params, taskId: own } };
    }
    return undefined;
  }
}

function isAugmented(method: string, capabilities: ClientCapabilities): boolean {
  const [capability = "", name = ""] = TASK_QUESTIONS[method] ?? [];
  const requests = tasksForUpstreams({ ...capabilities })?.requests;
  const own = isObject(requests) ? requests[capability] : undefined;
  return isObject(own) && own[name] !== undefined;
}

/** Returns a result about a task with the id that the upstream knows. */
function withId(result: JsonObject, taskId: string): JsonObject {
  const { _meta } = result;
  return {
    ...result,
    ...typeof result.taskId === "string" && { taskId },
    ...isObject(_meta) && _meta[RELATED_TASK] !== undefined && {
      _meta: { ..._meta, [RELATED_TASK]: { taskId } },
    },
  };
}
