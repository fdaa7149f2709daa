/**
 * Runs a tool as a task, after its call has been answered.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type { DelayLine } from "../internal/delay_line.ts";
import { clip } from "../internal/quote.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent, RequestFacts } from "../protocol/events.ts";
import type {
  ClientFacts,
  Exchange,
  ExchangeUser,
  Notification,
  Principal,
} from "../protocol/exchange.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Passage } from "../protocol/middleware.ts";
import type { RequestTarget } from "../protocol/route.ts";
import type { TaskRecord, TaskState, TaskStore } from "../protocol/task_store.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { RequestScope } from "../calls/lifetime/scope.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import type { HandlerQuestions } from "../server/questions/questions.ts";
import { completed, failed } from "../cluster/tasks/outcome.ts";
import { type TaskAnswer, TaskQuestions } from "./questions.ts";
import { TaskWriter } from "../cluster/tasks/writer.ts";

/** Limits a task's status message, in characters. */
const LONGEST = 500;

/** A call that runs as a task. */
export interface TaskCall {
  /** The request. It is not kept after its answer. */
  readonly exchange: Exchange;
  /** Runs it in place of that request, and asks by the given questions. */
  run(exchange: Exchange, questions: HandlerQuestions): MaybePromise<JsonObject>;
}

/** Configures a {@linkcode TaskRun}. */
export interface TaskRunInit {
  readonly record: TaskRecord;
  readonly store: TaskStore;
  readonly clock: Clock;
  /** Delays the attempts to store the final state. */
  readonly retries: DelayLine;
  /** Tells whether the last endpoint has closed. */
  readonly closed: () => boolean;
  /** Limits the result as JSON, in bytes. */
  readonly resultBytes: number;
  /** The answers from before the task was created, by the keys of their questions. */
  readonly answers: ReadonlyMap<string, TaskAnswer>;
  readonly report: (event: McpEvent) => void;
}

/**
 * Represents a running task: takes the place of the exchange that created it for the tool, and
 * writes the task's states. Keeps nothing of that exchange.
 */
export class TaskRun extends RequestScope implements Exchange {
  readonly method = "tools/call";
  readonly params: JsonObject;
  readonly session = undefined;
  readonly serial: number | undefined;
  readonly task: string;
  readonly facts: RequestFacts | undefined;
  readonly target: RequestTarget | undefined;
  /**
   * Disables log messages, which a task has none of (Tasks extension, Task Status Notifications).
   */
  readonly logLevel = undefined;
  readonly protocolVersion: ProtocolVersion;
  readonly principal: Principal;
  readonly user: ExchangeUser | undefined;
  readonly request: Request;
  readonly client: ClientFacts;
  readonly supportedVersions: readonly ProtocolVersion[];
  readonly pageSize: number;
  readonly #init: TaskRunInit;
  readonly #questions: TaskQuestions;
  readonly #writer: TaskWriter;
  readonly #watchers = new Set<(task: TaskRecord) => void>();
  #message: string | undefined;
  #abandoned = false;

  constructor({ exchange }: Pick<TaskCall, "exchange">, init: TaskRunInit) {
    super(exchange.id);
    const { record, store, clock, answers, report } = init;
    // The token makes the tool report progress, which becomes the task's message
    this.params = { ...exchange.params, _meta: { progressToken: record.id } };
    this.serial = exchange.serial;
    this.facts = exchange.facts;
    this.task = record.id;
    this.target = exchange.target;
    this.protocolVersion = exchange.protocolVersion;
    this.principal = exchange.principal;
    this.user = exchange.user;
    this.request = exchange.request;
    this.client = exchange.client;
    this.supportedVersions = exchange.supportedVersions;
    this.pageSize = exchange.pageSize;
    this.#init = init;
    this.#questions = new TaskQuestions(answers, () => this.#writeProgress());
    this.#writer = new TaskWriter({
      store,
      id: record.id,
      runner: record.runner,
      retries: init.retries,
      useless: () => init.closed() || clock.now() - record.createdAt >= record.ttlMs,
      failed: (error) => report({ type: "error", during: "storing a task", error }),
      refused: () => this.abandon(),
    });
  }

  /**
   * Starts the tool in the next microtask, so that the call is answered first. It passes the endpoint's
   * middleware again, which sees its result here; its arguments are those that the call was checked with.
   */
  start(call: TaskCall): void {
    const { chain } = call.exchange;
    const run = () => {
      if (this.over) throw this.reason ?? new TypeError("Call next() before the task is over");
      return call.run(this, this.#questions);
    };
    // The arguments are those that the call was checked with.
    const rewrite: Passage["rewrite"] = (_params, proceed) => proceed(passage);
    const passage: Passage = { exchange: this, rewrite, run };
    this.#follow(
      Promise.resolve().then(() => chain?.(passage) ?? run()),
    );
  }

  /**
   * Sets the task's status message to the progress. Drops all other notifications, as there is no
   * stream to send them on.
   */
  notify({ method, params }: Notification): void {
    if (this.over || method !== "notifications/progress") return;
    const { progress, total, message } = params ?? {};
    const numbers = total === undefined ? `${progress}` : `${progress} of ${total}`;
    this.#message = clip(typeof message === "string" ? message : numbers, LONGEST);
    this.#writeProgress();
  }

  /**
   * Calls a function with the task at each change, also with its end.
   *
   * @returns Removes the function
   */
  watch(changed: (task: TaskRecord) => void): () => void {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  }

  /** Resolves open questions with answers of the client. */
  answer(answers: JsonObject): void {
    this.#questions.answer(answers);
  }

  /** Whether another process may run the task again: the client has been asked nothing. */
  get canRunAgain(): boolean {
    return this.#init.record.rerun !== undefined && !this.#questions.asked;
  }

  /** Stops the tool without a change of the task, which has ended or runs elsewhere. */
  abandon(reason: StopError = new StopError("cancelled")): void {
    this.#abandoned = true;
    this.stop(reason);
  }

  ask(method: string): Promise<JsonObject> {
    return Promise.reject(new TypeError(`Use the methods of ctx to ask in a task: ${method}`));
  }

  async openState(): Promise<undefined> {}

  sealState(): Promise<string> {
    return Promise.reject(new TypeError("Don't seal a request state in a task"));
  }

  requireInput(): void {}

  closeStream(): void {}

  report(event: McpEvent): void {
    this.#init.report(event);
  }

  protected override stopped(reason: StopError): void {
    const cancelled = reason.kind === "cancelled";
    this.#conclude(cancelled ? { status: "cancelled" } : failed(reason, this.#init), reason);
  }

  /**
   * Awaits the result in its own function, so that a task that runs for hours retains nothing of
   * the call.
   */
  async #follow(result: Promise<JsonObject>): Promise<void> {
    let state: TaskState;
    try {
      state = completed(await result, this.#init);
    } catch (error) {
      state = failed(error, this.#init);
    }
    const over = new McpError(ErrorCode.Refused, "Ask before the task has ended");
    if (this.finish()) this.#conclude(state, over);
  }

  #conclude(state: TaskState, reason: Error): void {
    this.#questions.end(reason);
    if (this.#abandoned) return;
    this.#message = state.status === "failed" ? clip(state.error.message, LONGEST) : undefined;
    this.#write(state);
  }

  /** Writes the state of the running task. */
  #writeProgress(): void {
    const { open } = this.#questions;
    this.#write(
      open === undefined
        ? { status: "working" }
        : { status: "input_required", inputRequests: open },
    );
  }

  #write(state: TaskState): void {
    const updatedAt = this.#init.clock.now();
    const message = this.#message;
    const progress = message === undefined ? { state, updatedAt } : { state, message, updatedAt };
    this.#writer.write(progress);
    const { message: _, ...record } = this.#init.record;
    for (const changed of this.#watchers) changed({ ...record, ...progress });
  }
}
