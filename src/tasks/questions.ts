/**
 * What a tool asks while it runs as a task: `tasks/get` shows the questions, `tasks/update` brings the
 * answers.
 *
 * @module
 */
import { shortHash } from "../internal/random.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Questions } from "../server/questions.ts";
import type { TaskQuestion } from "./types.ts";

/** How many questions of one task may be open. */
const MOST_OPEN = 100;
/** How many questions one task may ask in all: each key is remembered. */
const MOST = 1_000;

/** An answer, and the hash of the question that it answers. */
export interface Answer {
  readonly hash: string;
  readonly result: JsonObject;
}

interface Pending {
  readonly question: TaskQuestion;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** The questions of one task. A key stands for one question as long as the task lasts. */
export class TaskQuestions implements Questions {
  readonly #earlier: ReadonlyMap<string, Answer>;
  readonly #changed: () => void;
  readonly #asked = new Map<
    string,
    { readonly hash: string; readonly reply: Promise<JsonObject> }
  >();
  readonly #pending = new Map<string, Pending>();
  #over: { readonly reason: unknown } | undefined;

  /**
   * @param earlier What has been answered before there was a task, by the questions' keys
   * @param changed Called when there are other questions than before
   */
  constructor(earlier: ReadonlyMap<string, Answer>, changed: () => void) {
    this.#earlier = earlier;
    this.#changed = changed;
  }

  ask(key: string, method: string, params: JsonObject): Promise<JsonObject> {
    const hash = hashOf(method, params);
    const known = this.#asked.get(key) ?? this.#answered(key);
    if (known !== undefined) {
      return known.hash === hash ? known.reply : Promise.reject(
        new TypeError(`Give each question of a call a key of its own: "${key}"`),
      );
    }
    if (this.#over !== undefined) return Promise.reject(this.#over.reason);
    if (this.#pending.size >= MOST_OPEN || this.#asked.size >= MOST) {
      const message = `Ask at most ${MOST_OPEN} questions at a time, and ${MOST} in a task`;
      return Promise.reject(new McpError(ErrorCode.Refused, message));
    }
    const reply = new Promise<JsonObject>((resolve, reject) => {
      this.#pending.set(key, { question: { method, params }, resolve, reject });
    });
    // A handler that doesn't wait for it must not bring the process down
    reply.catch(() => {});
    this.#asked.set(key, { hash, reply });
    this.#changed();
    return reply;
  }

  /** What is to be answered, by the questions' keys; `undefined` when there is nothing. */
  get open(): Readonly<Record<string, TaskQuestion>> | undefined {
    if (this.#pending.size === 0) return undefined;
    return Object.fromEntries([...this.#pending].map(([key, { question }]) => [key, question]));
  }

  /** Takes answers. What answers no open question, or is no answer, is ignored. */
  answer(answers: JsonObject): void {
    let taken = false;
    for (const [key, result] of Object.entries(answers)) {
      const pending = this.#pending.get(key);
      if (pending === undefined || !isObject(result)) continue;
      this.#pending.delete(key);
      pending.resolve(result);
      taken = true;
    }
    if (taken) this.#changed();
  }

  /** Ends all questions, also those to come. */
  end(reason: unknown): void {
    this.#over ??= { reason };
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }

  #answered(key: string) {
    const answer = this.#earlier.get(key);
    return answer && { hash: answer.hash, reply: Promise.resolve(answer.result) };
  }
}

/** Questions that go their own way, but whose answers are written down. */
export function noting(questions: Questions, answers: Map<string, Answer>): Questions {
  return {
    async ask(key, method, params) {
      const result = await questions.ask(key, method, params);
      answers.set(key, { hash: hashOf(method, params), result });
      return result;
    },
  };
}

function hashOf(method: string, params: JsonObject): string {
  return shortHash(JSON.stringify([method, params]));
}
