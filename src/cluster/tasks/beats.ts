/**
 * Tells the store that this process runs tasks, and ends the tasks of processes that no longer do.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { NODE_LOST } from "../../protocol/node_loss.ts";
import { ErrorCode, errorObject } from "../../protocol/errors.ts";
import {
  type LostTask,
  RUNNER_BEAT_MS,
  RUNNER_TTL_MS,
  type TaskProgress,
  type TaskStore,
} from "../../protocol/task_store.ts";

/** Limits the lost tasks that are ended at the same time. */
const AT_ONCE = 50;

/** Returns what becomes of a task whose runner is lost. */
export function lostProgress(clock: Clock): TaskProgress {
  const error = errorObject(ErrorCode.InternalError, NODE_LOST.message);
  return { state: { status: "failed", error }, message: NODE_LOST.message, updatedAt: clock.now() };
}

/** Returns the id of the node in the name of a runner. */
export function nodeOf(runner: string): string {
  return runner.slice(0, runner.indexOf("/"));
}

/** Configures {@linkcode RunnerBeats}. */
export interface RunnerBeatsInit {
  readonly store: TaskStore;
  readonly clock: Clock;
  /** The name of this process. */
  readonly runner: string;
  /** Called when others may have ended the tasks of this process. */
  readonly onLapsed: () => MaybePromise<void>;
  /** Called with the first error of each series. */
  readonly onError: (error: unknown) => void;
}

/**
 * Beats once a second until stopped, one beat at a time. Every process with the extension beats,
 * whether it runs tasks or not, so that a task ends within seconds of the death of its process as
 * long as any other is there.
 */
export class RunnerBeats {
  readonly #init: RunnerBeatsInit;
  #stop: (() => void) | undefined;
  #beating = false;
  #failing = false;

  /** Beats at once. */
  constructor(init: RunnerBeatsInit) {
    this.#init = init;
    this.#beatRegularly();
  }

  /** Stops beating: others will find this process lost. */
  stop(): void {
    this.#stop?.();
  }

  #beatRegularly(): void {
    this.#stop = this.#init.clock.timer(RUNNER_BEAT_MS, () => this.#beatRegularly());
    if (!this.#beating) void this.#beat();
  }

  async #beat(): Promise<void> {
    const { store, runner, onLapsed, onError } = this.#init;
    this.#beating = true;
    try {
      const { lapsed, lost } = await store.beat(runner, RUNNER_TTL_MS);
      if (lapsed) await onLapsed();
      for (let at = 0; at < lost.length; at += AT_ONCE) {
        await Promise.all(lost.slice(at, at + AT_ONCE).map((task) => this.#lose(task)));
      }
      this.#failing = false;
    } catch (error) {
      if (!this.#failing) onError(error);
      this.#failing = true;
    } finally {
      this.#beating = false;
    }
  }

  async #lose({ id, runner }: LostTask): Promise<void> {
    await this.#init.store.lose(id, runner, lostProgress(this.#init.clock));
  }
}
