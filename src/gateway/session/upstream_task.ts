/**
 * Follows a task of an upstream to its end, in either era: polls it, asks its questions, and cancels it when
 * nobody wants its result any more (2025-11-25, Tasks; 2026-07-28, Tasks extension).
 *
 * @module
 */
import {
  type Clock,
  ErrorCode,
  type ExchangeUser,
  type JsonObject,
  McpError,
  type Principal,
} from "../../../mod.ts";
import { isModern, isObject, MetaKey } from "../../kit.ts";
import { abortable, withDeadline } from "../shared/deadline.ts";
import { TASKS } from "../shared/extensions.ts";
import type { UpstreamFacts } from "../types.ts";
import type { ManagedSession } from "./managed_session.ts";
import { questionFor, RELATED_TASK } from "./translate.ts";
import { UnusableError } from "./unusable.ts";

/** The time between polls, in milliseconds: as the upstream says, within bounds. */
const POLL_MS = 1_000;
const MIN_POLL_MS = 100;
const MAX_POLL_MS = 60_000;
/** The most polls in a row that fail because the upstream can't be reached. */
const MAX_FAILURES = 5;
/** The most questions of one task, because the key of each is remembered. */
const MAX_QUESTIONS = 1_000;

/** Tells how an upstream can run the calls of its tools as tasks; `undefined` if it can't. */
export function tasksOf(
  { protocolVersion, capabilities }: Pick<UpstreamFacts, "protocolVersion" | "capabilities">,
): "extension" | "augmented" | undefined {
  if (isModern(protocolVersion)) {
    const { extensions } = capabilities;
    return isObject(extensions) && isObject(extensions[TASKS]) ? "extension" : undefined;
  }
  const { tasks } = capabilities;
  const requests = isObject(tasks) && isObject(tasks.requests) ? tasks.requests : {};
  const calls = isObject(requests.tools) ? requests.tools.call : undefined;
  return isObject(calls) && protocolVersion === "2025-11-25" ? "augmented" : undefined;
}

/** Returns the parameters of a call that may become a task. */
export function asTask(
  params: JsonObject,
  facts: UpstreamFacts,
  { client: { capabilities } }: ManagedSession,
  ttlMs: number,
): JsonObject {
  if (!isModern(facts.protocolVersion)) return { ...params, task: { ttl: ttlMs } };
  // Those of 2025-11-25 are another matter
  const { tasks: _, ...own }: JsonObject = { ...capabilities };
  const extensions = { ...capabilities.extensions, [TASKS]: {} };
  const meta = isObject(params._meta) ? params._meta : {};
  return {
    ...params,
    _meta: { ...meta, [MetaKey.ClientCapabilities]: { ...own, extensions } },
  };
}

/** Returns the task that a call has become, in the upstream's words; `undefined` if it has become none. */
export function createdTask(result: JsonObject, facts: UpstreamFacts): JsonObject | undefined {
  const task = isModern(facts.protocolVersion)
    ? result.resultType === "task" ? result : undefined
    : isObject(result.task)
    ? result.task
    : undefined;
  return typeof task?.taskId === "string" ? task : undefined;
}

/** A task of an upstream, and who follows it. */
export interface FollowInit {
  readonly session: ManagedSession;
  readonly facts: UpstreamFacts;
  /** The task, as the upstream created it. */
  readonly created: JsonObject;
  readonly principal: Principal;
  readonly request: Request;
  readonly user?: ExchangeUser | undefined;
  readonly clock: Clock;
  /** The longest wait for the upstream to take a cancellation, in milliseconds. */
  readonly cancelMs: number;
  /** Aborts when the result is no longer needed. */
  readonly signal: AbortSignal;
  /** Asks the client; a key names one question as long as the task lasts. */
  ask(key: string, method: string, params: JsonObject): Promise<JsonObject>;
  /** Takes what the upstream says about how far the task is. */
  noteStatus?(message: string): void;
}

/**
 * Waits for the result of a task.
 *
 * @returns The result of the call, in the upstream's words
 * @throws {McpError} If the call has failed, or the upstream doesn't know the task any more
 * @throws {AbortSignal["reason"]} If the signal aborts; the task is then cancelled
 */
export async function followTask(init: FollowInit): Promise<JsonObject> {
  return await new Follower(init).run();
}

/** Cancels a task that nobody follows. Never rejects. */
export async function cancelTask(init: FollowInit): Promise<void> {
  await new Follower(init).cancel();
}

class Follower {
  readonly #init: FollowInit;
  readonly #id: string;
  readonly #isModern: boolean;
  readonly #asked = new Set<string>();
  #questions = 0;
  #failures = 0;
  #wake = () => {};
  #result: Promise<{ readonly value: JsonObject } | { readonly error: unknown }> | undefined;
  #hasEnded = false;

  constructor(init: FollowInit) {
    this.#init = init;
    this.#id = String(init.created.taskId);
    this.#isModern = isModern(init.facts.protocolVersion);
  }

  async run(): Promise<JsonObject> {
    const { session, created, signal } = this.#init;
    const unwatch = session.watchTask(this.#id, {
      changed: () => this.#wake(),
      ask: (method, params) => this.#ask(method, params),
    });
    try {
      for (let task: JsonObject | undefined = created;; task = await this.#poll()) {
        signal.throwIfAborted();
        if (task !== undefined) {
          const { statusMessage } = task;
          if (typeof statusMessage === "string") this.#init.noteStatus?.(statusMessage);
          const result = this.#isModern ? this.#settled(task) : await this.#settled2025(task);
          if (result !== undefined) return result;
        }
        await this.#wait(task ?? created);
      }
    } finally {
      unwatch();
      if (!this.#hasEnded) void this.cancel();
    }
  }

  /** Asks the upstream to stop. Never rejects. */
  async cancel(): Promise<void> {
    const { clock, cancelMs: ms, facts: { capabilities: { tasks } } } = this.#init;
    if (!this.#isModern && !(isObject(tasks) && isObject(tasks.cancel))) return;
    try {
      await withDeadline(
        { clock, ms },
        (signal) => this.#request("tasks/cancel", {}, signal),
      );
    } catch {
      // It may have ended, or be gone: its own time limit ends it then
    }
  }

  /** Returns the task as it is; `undefined` if the upstream can't be reached now. */
  async #poll(): Promise<JsonObject | undefined> {
    try {
      const task = await this.#request("tasks/get");
      this.#failures = 0;
      return task;
    } catch (error) {
      const mayPass = error instanceof UnusableError && ++this.#failures < MAX_FAILURES;
      if (mayPass && !this.#init.signal.aborted) return undefined;
      this.#hasEnded = error instanceof McpError && !(error instanceof UnusableError);
      throw error;
    }
  }

  /** Returns the result of a task of the 2026 era, if it is there; otherwise asks what it asks. */
  #settled(task: JsonObject): JsonObject | undefined {
    this.#hasEnded = hasEnded(task);
    if (task.status === "completed") return isObject(task.result) ? task.result : {};
    if (this.#hasEnded) throw endedWithout(task);
    if (task.status !== "input_required" || !isObject(task.inputRequests)) return undefined;
    for (const [key, question] of Object.entries(task.inputRequests)) {
      if (this.#asked.has(key) || !isObject(question)) continue;
      if (this.#asked.size >= MAX_QUESTIONS) throw tooManyQuestions();
      this.#asked.add(key);
      const { method, params } = question;
      void this.#answer(key, String(method), isObject(params) ? params : {});
    }
    return undefined;
  }

  /** Brings the client's answer to the upstream. An error of the client leaves the question open. */
  async #answer(key: string, method: string, params: JsonObject): Promise<void> {
    const { session: { client: { capabilities } } } = this.#init;
    try {
      const shown = questionFor(method, plainQuestion(params), capabilities);
      const answer = await this.#init.ask(key, method, shown);
      await this.#request("tasks/update", { inputResponses: { [key]: answer } });
      this.#wake();
    } catch {
      // The upstream ends the task when its time is over
    }
  }

  /**
   * Returns the result of a task of 2025-11-25, if it is there. Its questions come while the result is waited
   * for, so that begins with the first of them.
   */
  async #settled2025(task: JsonObject): Promise<JsonObject | undefined> {
    const isOver = hasEnded(task);
    if (!isOver && task.status !== "input_required" && this.#result === undefined) return undefined;
    const waiting = this.#result ??= this.#request("tasks/result").then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    void waiting.then(() => this.#wake());
    const outcome = isOver ? await waiting : await Promise.race([waiting, undefined]);
    if (outcome === undefined) return undefined;
    this.#result = undefined;
    if ("value" in outcome) {
      this.#hasEnded = true;
      const { _meta, ...result } = outcome.value;
      const { [RELATED_TASK]: _, ...meta } = isObject(_meta) ? _meta : {};
      return Object.keys(meta).length === 0 ? result : { ...result, _meta: meta };
    }
    // Waiting for it may have taken too long
    if (!isOver && !this.#init.signal.aborted) return undefined;
    this.#hasEnded = isOver;
    throw outcome.error;
  }

  async #ask(method: string, params: JsonObject): Promise<JsonObject> {
    if (++this.#questions > MAX_QUESTIONS) throw tooManyQuestions();
    const { session: { client: { capabilities } } } = this.#init;
    const shown = questionFor(method, plainQuestion(params), capabilities);
    return await this.#init.ask(`q${this.#questions}`, method, shown);
  }

  async #request(
    method: string,
    more: JsonObject = {},
    signal: AbortSignal = this.#init.signal,
  ): Promise<JsonObject> {
    const { session, facts, principal, request, user } = this.#init;
    const params = { taskId: this.#id, ...more };
    return await session.request({
      method,
      params: this.#isModern ? asTask(params, facts, session, 0) : params,
      principal,
      request,
      user,
      signal,
      // Questions of the task may come without its id
      isClients: method === "tasks/result",
      notify() {},
      ask: (method, params) => this.#ask(method, params),
    });
  }

  /** Waits until it is time for the next poll, or the upstream says that something changed. */
  async #wait({ pollInterval, pollIntervalMs = pollInterval }: JsonObject): Promise<void> {
    const { clock, signal } = this.#init;
    const wanted = typeof pollIntervalMs === "number" ? pollIntervalMs : POLL_MS;
    const over = Promise.withResolvers<void>();
    this.#wake = over.resolve;
    const ms = Math.min(Math.max(wanted, MIN_POLL_MS), MAX_POLL_MS);
    const stopTimer = clock.timer(ms, over.resolve);
    try {
      await abortable(over.promise, signal);
    } finally {
      stopTimer();
    }
  }
}

function hasEnded({ status }: JsonObject): boolean {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** Creates the error of a task of the 2026 era that has ended without a result. */
function endedWithout({ status, error }: JsonObject): McpError {
  if (status === "cancelled") {
    return new McpError(ErrorCode.InternalError, "The upstream cancelled the task");
  }
  const { code, message, data } = isObject(error) ? error : {};
  const known = typeof code === "number" ? code : ErrorCode.InternalError;
  return new McpError(known, typeof message === "string" ? message : "The task failed", data);
}

/** Returns the parameters of a question without what concerns the upstream's task alone. */
function plainQuestion({ task: _task, _meta, ...params }: JsonObject): JsonObject {
  const { [RELATED_TASK]: _, ...meta } = isObject(_meta) ? _meta : {};
  return Object.keys(meta).length === 0 ? params : { ...params, _meta: meta };
}

function tooManyQuestions(): McpError {
  return new McpError(ErrorCode.Refused, `Ask at most ${MAX_QUESTIONS} questions in a task`);
}
