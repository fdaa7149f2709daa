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
import type { RedisCommands } from "./clients/commands.ts";
import { digest, type Keys, secretDigest } from "./keys.ts";
import { foreignData, parseJson, strings } from "./replies.ts";
import { bounded, type Script, timeArgument } from "./scripts/script.ts";
import type { Sealer } from "./seal.ts";
import { shareDigest } from "./sessions/session_index.ts";
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
} from "./scripts/tasks.ts";

/**
 * Gives the time for which the runners are remembered when no task keeps the index longer, in
 * milliseconds.
 */
const INDEX_MS = 600_000;

/** Configures a {@linkcode RedisTaskStore}. */
export interface TaskStoreInit {
  readonly commands: RedisCommands;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly clock: Clock;
}

/**
 * Implements {@linkcode TaskStore} in Redis. The records, the counts and the runners are in one
 * slot, so that each call is one script; no method is more than one round trip. What a task contains
 * is sealed for it; scripts decide by digests, and a record is checked again when it is opened.
 */
export class RedisTaskStore implements TaskStore {
  readonly #init: TaskStoreInit;

  constructor(init: TaskStoreInit) {
    this.#init = init;
  }

  async create(task: TaskRecord, caps: TaskCaps): Promise<boolean> {
    const { id, owner, createdAt, ttlMs, runner, rerun } = task;
    const sealed = this.#sealer(id);
    const created = await this.#run(CREATE_TASK, id, [
      digest(id),
      shareDigest(owner),
      String(bounded(caps.tasks)),
      String(bounded(caps.tasksPerPrincipal)),
      String(bounded(ttlMs)),
      runner,
      this.#sealId(id),
      ...["owner", secretDigest(id, owner)],
      ...["rec", sealed("task", { id, owner, createdAt, ttlMs })],
      ...["progress", sealed("progress", progressOf(task))],
      ...rerun === undefined ? [] : ["rerun", sealed("rerun", rerun)],
    ]);
    return created === 1;
  }

  async get(id: string, owner: string): Promise<TaskRecord | undefined> {
    return this.#read(id, owner, await this.#run(GET_TASK, id, [secretDigest(id, owner)]));
  }

  async update(id: string, runner: string, progress: TaskProgress): Promise<boolean> {
    const args = [digest(id), runner, ...this.#changeOf(id, progress)];
    return await this.#run(UPDATE_TASK, id, args) === 1;
  }

  async cancel(id: string, owner: string, progress: TaskProgress): Promise<TaskRecord | undefined> {
    const args = [digest(id), secretDigest(id, owner), ...this.#changeOf(id, progress)];
    return this.#read(id, owner, await this.#run(CANCEL_TASK, id, args));
  }

  async take(id: string, owner: string, runner: string): Promise<boolean> {
    const args = [digest(id), secretDigest(id, owner), runner, this.#sealId(id)];
    return await this.#run(TAKE_TASK, id, args) === 1;
  }

  async lose(id: string, runner: string, progress: TaskProgress): Promise<void> {
    await this.#run(LOSE_TASK, id, [digest(id), runner, ...this.#changeOf(id, progress)]);
  }

  async delete(id: string): Promise<void> {
    await this.#run(DELETE_TASK, id, [digest(id)]);
  }

  async beat(runner: string, ttlMs: number): Promise<TaskBeat> {
    const args = [String(ttlMs), runner, String(INDEX_MS)];
    const [lapsed, ...flat] = strings(await this.#run(BEAT, undefined, args), "tasks");
    const lost: LostTask[] = [];
    for (let at = 0; at < flat.length; at += 3) {
      const [name = "", sealed = "", itsRunner = ""] = flat.slice(at, at + 3);
      const id = this.#init.sealer.tryOpen(sealed, "task id", name);
      if (id !== undefined) lost.push({ id, runner: itsRunner });
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

  #sealId(id: string): string {
    return this.#init.sealer.seal(id, "task id", digest(id));
  }

  /** Returns a function that seals the parts of a task. */
  #sealer(id: string) {
    return (part: string, value: object) => this.#init.sealer.seal(JSON.stringify(value), part, id);
  }

  /** Returns the arguments for a change: the progress, and what the scripts must know of its state. */
  #changeOf(id: string, progress: TaskProgress): readonly [string, "working" | "asking" | "ended"] {
    const { status } = progress.state;
    const kind = hasEnded(progress) ? "ended" : status === "working" ? status : "asking";
    return [this.#sealer(id)("progress", progressOf(progress)), kind];
  }

  #read(id: string, owner: string, reply: unknown): TaskRecord | undefined {
    if (reply === null) return undefined;
    const { sealer } = this.#init;
    const [rec = "", runner = "", progress = "", rerun = ""] = strings(reply, "task");
    const open = (part: string, sealed: string) => parseJson(sealer.open(sealed, part, id), "task");
    const parts = [
      open("task", rec),
      open("progress", progress),
      rerun === "" ? {} : open("rerun", rerun),
    ];
    if (!parts.every(isObject)) throw foreignData("task");
    // Only a node with the keys can have sealed it, as the methods above do
    const [fixed, changing, again] = parts as unknown as [
      Pick<TaskRecord, "id" | "owner" | "createdAt" | "ttlMs">,
      TaskProgress,
      NonNullable<TaskRecord["rerun"]>,
    ];
    // The digest by which the script has found its owner may have been changed
    if (fixed.owner !== owner) return undefined;
    return { ...fixed, ...changing, runner, ...rerun !== "" && { rerun: again } };
  }
}

/** Returns the part of a task that changes, and nothing else that the passed object may have. */
function progressOf({ state, message, updatedAt }: TaskProgress): TaskProgress {
  return { state, updatedAt, ...message !== undefined && { message } };
}
