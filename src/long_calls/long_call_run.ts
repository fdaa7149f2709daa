/**
 * Keeps one call that was handed over: writes how far it is and what it ends with, and wakes who waits.
 *
 * @module
 */
import { completed, failed, type OutcomeInit } from "../cluster/tasks/outcome.ts";
import { TaskWriter, type TaskWriterInit } from "../cluster/tasks/writer.ts";
import type { HandedOver, LongCall, LongCallEnd } from "../calls/hand_over.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import { clip } from "../internal/quote.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { TaskProgress, TaskState } from "../protocol/task_store.ts";

/** The most characters of a status. */
const LONGEST = 500;

/** Describes how far a call is, from the parameters of its progress. */
export function statusOf(progress: JsonObject | undefined): string | undefined {
  if (progress === undefined) return undefined;
  const { progress: done, total, message } = progress;
  const numbers = total === undefined ? `${done}` : `${done} of ${total}`;
  return clip(typeof message === "string" ? `${message} (${numbers})` : numbers, LONGEST);
}

/** Configures a {@linkcode LongCallRun}. */
export interface LongCallRunInit
  extends OutcomeInit, Omit<TaskWriterInit, "id" | "refused" | "useless"> {
  readonly id: string;
  /** The key of its owner. */
  readonly owner: string;
  readonly answer: JsonObject;
  /** Whether another node may run it again. */
  readonly mayRunAgain: boolean;
  readonly now: () => number;
  /** Tells whether nobody can read the end any more. */
  readonly useless: () => boolean;
  /** Called when the call is over, once. */
  readonly over: () => void;
  /** Called when it ended before its client was answered. */
  readonly discarded: () => void;
}

/** A call that was handed over, and runs in this process. */
export class LongCallRun implements HandedOver {
  readonly answer: JsonObject;
  readonly owner: string;
  readonly #init: LongCallRunInit;
  readonly #call: LongCall;
  readonly #writer: TaskWriter;
  readonly #waiters = new Set<(progress: JsonObject | undefined) => void>();
  #over = false;

  constructor(call: LongCall, init: LongCallRunInit) {
    this.answer = init.answer;
    this.owner = init.owner;
    this.#call = call;
    this.#init = init;
    this.#writer = new TaskWriter({
      ...init,
      // It was cancelled elsewhere, or its time is over
      refused: () => this.stop(new StopError("cancelled")),
    });
  }

  /** Stops the tool, and writes why, unless the record is final already. */
  stop(reason: StopError): void {
    this.#call.stop(reason);
  }

  progressed(progress: JsonObject): void {
    if (this.#over) return;
    this.#write({ status: "working" }, statusOf(progress));
    for (const wake of this.#waiters) wake(progress);
  }

  ended(end: LongCallEnd): void {
    if (this.#over) return;
    this.#over = true;
    // As long as it has no end, it is lost with this process, and another one runs it
    const goesOn = this.#init.mayRunAgain && end.kind === "stopped" &&
      end.reason.kind === "shutdown";
    if (!goesOn) this.#write(this.#stateOf(end));
    this.#init.over();
    for (const wake of [...this.#waiters]) wake(undefined);
    this.#waiters.clear();
  }

  discard(): void {
    this.#over = true;
    this.#init.over();
    this.#init.discarded();
  }

  /**
   * Calls a function at each progress, and with `undefined` when the call is over.
   *
   * @returns Removes the function
   */
  watch(wake: (progress: JsonObject | undefined) => void): () => void {
    this.#waiters.add(wake);
    return () => this.#waiters.delete(wake);
  }

  #stateOf(end: LongCallEnd): TaskState {
    if (end.kind === "stopped") {
      return end.reason.kind === "cancelled"
        ? { status: "cancelled" }
        : failed(end.reason, this.#init);
    }
    if (end.kind === "error") return failed(end.error, this.#init);
    try {
      return completed(end.result, this.#init);
    } catch (error) {
      return failed(error, this.#init);
    }
  }

  #write(state: TaskState, message?: string): void {
    const progress: TaskProgress = message === undefined
      ? { state, updatedAt: this.#init.now() }
      : { state, message, updatedAt: this.#init.now() };
    this.#writer.write(progress);
  }
}
