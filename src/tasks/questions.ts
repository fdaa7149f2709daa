/**
 * Asks the questions of a tool that runs as a task: `tasks/get` shows them, and `tasks/update`
 * brings the answers (2026-07-28, Tasks extension).
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { type HandlerQuestions, hashQuestion } from "../server/questions/questions.ts";
import type { TaskQuestion } from "../protocol/task_store.ts";

/** Limits the open questions of one task. */
const MOST_OPEN = 100;
/** The most questions that one task asks in total, because each key is remembered. */
const MOST = 1_000;

/** An answer, and the hash of its question. */
export interface TaskAnswer {
  readonly hash: string;
  readonly result: JsonObject;
}

interface PendingQuestion {
  readonly question: TaskQuestion;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** Asks the questions of one task. A key stands for one question as long as the task lasts. */
export class TaskQuestions implements HandlerQuestions {
  readonly #earlier: ReadonlyMap<string, TaskAnswer>;
  readonly #changed: () => void;
  readonly #asked = new Map<
    string,
    { readonly hash: string; readonly reply: Promise<JsonObject> }
  >();
  readonly #pending = new Map<string, PendingQuestion>();
  #over: { readonly reason: unknown } | undefined;

  /**
   * @param earlier The answers from before the task was created, by the keys of their questions
   * @param changed Called when the open questions change
   */
  constructor(earlier: ReadonlyMap<string, TaskAnswer>, changed: () => void) {
    this.#earlier = earlier;
    this.#changed = changed;
  }

  ask(key: string, method: string, params: JsonObject): Promise<JsonObject> {
    const hash = hashQuestion(method, params);
    const known = this.#asked.get(key) ?? this.#answered(key);
    if (known !== undefined) {
      return known.hash === hash ? known.reply : Promise.reject(
        new TypeError(`Use a different key for each question of a call: "${key}"`),
      );
    }
    if (this.#over !== undefined) return Promise.reject(this.#over.reason);
    if (this.#pending.size >= MOST_OPEN || this.#asked.size >= MOST) {
      const message = `Ask at most ${MOST_OPEN} questions at a time and ${MOST} in a task`;
      return Promise.reject(new McpError(ErrorCode.Refused, message));
    }
    const reply = new Promise<JsonObject>((resolve, reject) => {
      this.#pending.set(key, { question: { method, params }, resolve, reject });
    });
    // A handler that doesn't await it must not end the process
    reply.catch(() => {});
    this.#asked.set(key, { hash, reply });
    this.#changed();
    return reply;
  }

  /** Whether the client has been asked anything. */
  get asked(): boolean {
    return this.#asked.size > 0;
  }

  /** Returns the open questions by their keys; `undefined` when there are none. */
  get open(): Readonly<Record<string, TaskQuestion>> | undefined {
    if (this.#pending.size === 0) return undefined;
    return Object.fromEntries([...this.#pending].map(([key, { question }]) => [key, question]));
  }

  /**
   * Resolves questions with answers. Ignores answers to no open question, and values that are not
   * objects.
   */
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

  /** Rejects all questions, including future ones. */
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

/** Wraps questions so that their answers are recorded in `answers`. */
export function recording(
  questions: HandlerQuestions,
  answers: Map<string, TaskAnswer>,
): HandlerQuestions {
  return {
    async ask(key, method, params) {
      const result = await questions.ask(key, method, params);
      answers.set(key, { hash: hashQuestion(method, params), result });
      return result;
    },
  };
}
