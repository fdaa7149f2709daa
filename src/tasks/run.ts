/**
 * A tool that runs as a task, after its call has been answered.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { clip } from "../internal/quote.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import type { ClientFacts, Exchange, Notification, Principal } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import { RequestScope } from "../calls/scope.ts";
import { StopError } from "../calls/stop.ts";
import type { ToolCall } from "../server/tools.ts";
import { completed, failed } from "./outcome.ts";
import { type Answer, TaskQuestions } from "./questions.ts";
import type { TaskMessage, TaskRecord, TaskState, TaskStore } from "./types.ts";
import { TaskWriter } from "./writer.ts";

/** How many characters of a progress message are kept. */
const LONGEST = 500;

/** What a task runs with. */
export interface TaskRunInit {
  readonly record: TaskRecord;
  readonly store: TaskStore;
  readonly clock: Clock;
  /** How many bytes the result may have. */
  readonly resultBytes: number;
  /** What has been answered before there was a task. */
  readonly answers: ReadonlyMap<string, Answer>;
  readonly report: (event: McpEvent) => void;
}

/**
 * A running task: what its tool sees instead of the request that began it, and what becomes of it.
 * Nothing of that request's exchange is kept.
 */
export class TaskRun extends RequestScope implements Exchange {
  readonly method = "tools/call";
  readonly params: JsonObject;
  readonly session = undefined;
  /** There are no log messages in a task (Tasks extension, Task Status Notifications). */
  readonly logLevel = undefined;
  readonly protocolVersion: ProtocolVersion;
  readonly principal: Principal;
  readonly request: Request;
  readonly client: ClientFacts;
  readonly supportedVersions: readonly ProtocolVersion[];
  readonly pageSize: number;
  readonly #init: TaskRunInit;
  readonly #questions: TaskQuestions;
  readonly #writer: TaskWriter;
  readonly #deafen: () => void;
  #message: string | undefined;

  constructor({ exchange }: ToolCall, init: TaskRunInit) {
    super(exchange.id);
    const { record, store, answers, report } = init;
    // With a token the tool's progress is told, here as the task's message
    this.params = { ...exchange.params, _meta: { progressToken: record.id } };
    this.protocolVersion = exchange.protocolVersion;
    this.principal = exchange.principal;
    this.request = exchange.request;
    this.client = exchange.client;
    this.supportedVersions = exchange.supportedVersions;
    this.pageSize = exchange.pageSize;
    this.#init = init;
    this.#questions = new TaskQuestions(answers, () => this.#tell());
    this.#writer = new TaskWriter(store, record.id, (error) => {
      report({ type: "error", during: "keeping a task", error });
    });
    this.#deafen = store.receive(record.id, (message) => this.#hear(message));
  }

  /** Runs the tool of the call, once the call has its answer. */
  start(call: ToolCall): void {
    this.#follow(Promise.resolve().then(() => call.run(this, call.context(this, this.#questions))));
  }

  /** Progress becomes the task's message; there is no way to send anything else. */
  notify({ method, params }: Notification): void {
    if (this.over || method !== "notifications/progress") return;
    const { progress, total, message } = params ?? {};
    const numbers = total === undefined ? `${progress}` : `${progress} of ${total}`;
    this.#message = clip(typeof message === "string" ? message : numbers, LONGEST);
    this.#tell();
  }

  ask(method: string): Promise<JsonObject> {
    return Promise.reject(new TypeError(`Ask by ctx in a task: ${method}`));
  }

  async openState(): Promise<undefined> {}

  sealState(): Promise<string> {
    return Promise.reject(new TypeError("Leave no state with the client in a task"));
  }

  requireInput(): void {}

  closeStream(): void {}

  report(event: McpEvent): void {
    this.#init.report(event);
  }

  protected override stopped(reason: StopError): void {
    const cancelled = reason.kind === "cancelled";
    this.#close(cancelled ? { status: "cancelled" } : failed(reason, this.#init), reason);
  }

  /** Its own function, so that what runs for hours holds on to nothing of the call. */
  async #follow(result: Promise<JsonObject>): Promise<void> {
    let state: TaskState;
    try {
      state = completed(await result, this.#init);
    } catch (error) {
      state = failed(error, this.#init);
    }
    const over = new McpError(ErrorCode.Refused, "Ask before the task is over");
    if (this.finish()) this.#close(state, over);
  }

  #close(state: TaskState, reason: Error): void {
    this.#deafen();
    this.#questions.end(reason);
    this.#message = state.status === "failed" ? clip(state.error.message, LONGEST) : undefined;
    this.#write(state);
  }

  #hear(message: TaskMessage): void {
    if (message.kind === "cancel") this.stop(new StopError("cancelled"));
    else this.#questions.answer(message.answers);
  }

  /** Tells where the task stands while it runs. */
  #tell(): void {
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
    this.#writer.write(
      message === undefined ? { state, updatedAt } : { state, message, updatedAt },
    );
  }
}
