/**
 * Stores the tasks of all nodes in Redis.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isObject } from "../protocol/jsonrpc.ts";
import {
  hasEnded,
  type LostTask,
  type TaskBeat,
  type TaskCaps,
  type TaskProgress,
  type TaskRecord,
  type TaskStore,
} from "../protocol/task_store.ts";
import type { Commands } from "./commands.ts";
import type { Keys } from "./keys.ts";
import { foreignData, parseJson, strings } from "./replies.ts";
import { bounded, type Script, timeArgument } from "./script.ts";
import { shareDigest } from "./session_index.ts";
import {
  BEAT,
  CANCEL_TASK,
  CREATE_TASK,
  DELETE_TASK,
  GET_TASK,
  LEAVE,
  LOSE_TASK,
  TAKE_TASK,
  UPDATE_TASK,
} from "./task_scripts.ts";

/**
 * Gives the time for which the runners are remembered when no task keeps the index longer, in
 * milliseconds.
 */
const INDEX_MS = 600_000;

/** Configures a {@linkcode RedisTaskStore}. */
export interface TaskStoreInit {
  readonly commands: Commands;
  readonly keys: Keys;
  readonly clock: Clock;
}

/**
 * Implements {@linkcode TaskStore} in Redis. The records, the counts and the runners are in one
 * slot, so that each call is one script; no method is more than one round trip.
 */
export class RedisTaskStore implements TaskStore {
  readonly #init: TaskStoreInit;

  constructor(init: TaskStoreInit) {
    this.#init = init;
  }

  async create(task: TaskRecord, caps: TaskCaps): Promise<boolean> {
    const { id, owner, createdAt, ttlMs, runner, rerun } = task;
    const created = await this.#run(CREATE_TASK, id, [
      id,
      shareDigest(owner),
      String(bounded(caps.tasks)),
      String(bounded(caps.tasksPerPrincipal)),
      String(bounded(ttlMs)),
      runner,
      ...["owner", owner],
      ...["rec", JSON.stringify({ id, owner, createdAt, ttlMs })],
      ...["progress", progressText(task)],
      ...rerun === undefined ? [] : ["rerun", JSON.stringify(rerun)],
    ]);
    return created === 1;
  }

  async get(id: string, owner: string): Promise<TaskRecord | undefined> {
    return readTask(await this.#run(GET_TASK, id, [owner]));
  }

  async update(id: string, runner: string, progress: TaskProgress): Promise<boolean> {
    return await this.#run(UPDATE_TASK, id, [id, runner, ...changeOf(progress)]) === 1;
  }

  async cancel(id: string, owner: string, progress: TaskProgress): Promise<TaskRecord | undefined> {
    return readTask(await this.#run(CANCEL_TASK, id, [id, owner, ...changeOf(progress)]));
  }

  async take(id: string, owner: string, runner: string): Promise<boolean> {
    return await this.#run(TAKE_TASK, id, [id, owner, runner]) === 1;
  }

  async lose(id: string, runner: string, progress: TaskProgress): Promise<void> {
    await this.#run(LOSE_TASK, id, [id, runner, ...changeOf(progress)]);
  }

  async delete(id: string): Promise<void> {
    await this.#run(DELETE_TASK, id, [id]);
  }

  async beat(runner: string, ttlMs: number): Promise<TaskBeat> {
    const args = [String(ttlMs), runner, String(INDEX_MS)];
    const [lapsed, ...flat] = strings(await this.#run(BEAT, undefined, args), "tasks");
    const lost: LostTask[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      lost.push({ id: flat[at] ?? "", runner: flat[at + 1] ?? "" });
    }
    return { lapsed: lapsed === "1", lost };
  }

  async leave(runner: string): Promise<void> {
    await this.#run(LEAVE, undefined, [runner]);
  }

  #run(script: Script, id: string | undefined, args: readonly string[]): Promise<unknown> {
    const { commands, keys, clock } = this.#init;
    const all = id === undefined ? keys.tasks : [...keys.tasks, keys.task(id)];
    return commands.run(script, all, [timeArgument(clock), ...args]);
  }
}

/** Returns the arguments for a change: the progress, and what the scripts must know of its state. */
function changeOf(progress: TaskProgress): readonly [string, "working" | "asking" | "ended"] {
  const { status } = progress.state;
  const kind = hasEnded(progress) ? "ended" : status === "working" ? status : "asking";
  return [progressText(progress), kind];
}

function progressText({ state, message, updatedAt }: TaskProgress): string {
  return JSON.stringify({ state, message, updatedAt });
}

function readTask(reply: unknown): TaskRecord | undefined {
  if (reply === null) return undefined;
  const [rec = "", runner = "", progress = "", rerun = ""] = strings(reply, "task");
  const parts = [rec, progress, rerun || "{}"].map((text) => parseJson(text, "task"));
  if (!parts.every(isObject)) throw foreignData("task");
  // Only holders of the prefix write it, as the class above does
  const [fixed, changing, again] = parts as unknown as [
    Pick<TaskRecord, "id" | "owner" | "createdAt" | "ttlMs">,
    TaskProgress,
    NonNullable<TaskRecord["rerun"]>,
  ];
  return { ...fixed, ...changing, runner, ...rerun !== "" && { rerun: again } };
}
