/**
 * Asks the client in the 2026 era: the request ends with the questions, the client calls again with
 * the answers, and the handler runs again from its start (2026-07-28, Multi Round-Trip Requests).
 *
 * @module
 */
import { APPROVAL_KEY } from "../../calls/questions/approval.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import { methodFacts } from "../../protocol/methods.ts";
import { type HandlerQuestions, hashQuestion } from "./questions.ts";

/** An answer of the client, and the hash of its question where it is known. */
interface RoundAnswer {
  readonly hash: string | undefined;
  readonly result: JsonObject;
}

/** The results of earlier rounds. */
interface Earlier {
  /** Maps the keys of questions to their answers. */
  readonly answers: ReadonlyMap<string, RoundAnswer>;
}

/** A question of this round. */
interface PendingRound {
  readonly hash: string;
  readonly method: string;
  readonly params: JsonObject;
  readonly reject: (reason: unknown) => void;
}

/** Adds to a result what the 2026 era requires. */
export type Complete = (exchange: Exchange, result: JsonObject) => JsonObject;

/**
 * Asks the questions of one run of a handler. A question that an earlier round answered resolves at
 * once; the others end the run together, as soon as the handler does nothing but wait for them.
 */
export class Rounds implements HandlerQuestions {
  readonly #exchange: Exchange;
  readonly #complete: Complete;
  readonly #asked = new Map<
    string,
    { readonly hash: string; readonly reply: Promise<JsonObject> }
  >();
  readonly #pending = new Map<string, PendingRound>();
  #earlier: Promise<Earlier> | undefined;
  #concluding = false;
  #ended = false;

  constructor(exchange: Exchange, complete: Complete) {
    this.#exchange = exchange;
    this.#complete = complete;
  }

  /** Reads the answers of earlier rounds. */
  begin(): Promise<Earlier> {
    return this.#earlier ??= readEarlier(this.#exchange);
  }

  ask(key: string, method: string, params: JsonObject): Promise<JsonObject> {
    if (!methodFacts(this.#exchange.method)?.asks) {
      const where = `not in ${this.#exchange.method}`;
      return Promise.reject(new TypeError(`Ask only in tools, prompts and resources, ${where}`));
    }
    const hash = hashQuestion(method, params);
    const before = this.#asked.get(key);
    if (before !== undefined) {
      return before.hash === hash ? before.reply : Promise.reject(
        new TypeError(`Use a different key for each question of a call: "${key}"`),
      );
    }
    const reply = this.#answer(key, { hash, method, params });
    // A handler that doesn't await it must not end the process
    reply.catch(() => {});
    this.#asked.set(key, { hash, reply });
    return reply;
  }

  async #answer(key: string, question: Omit<PendingRound, "reject">): Promise<JsonObject> {
    const { answers } = await this.begin();
    const answer = answers.get(key);
    if (answer === undefined) {
      return await new Promise((_, reject) => {
        if (this.#ended) return reject(this.#exchange.signal.reason);
        this.#pending.set(key, { ...question, reject });
        this.#conclude();
      });
    }
    if (answer.hash === undefined || answer.hash === question.hash) return answer.result;
    throw new TypeError(`Ask the same question under the same key in every run: "${key}"`);
  }

  /** Ends the run after the current turn, in which the handler may ask more. */
  #conclude(): void {
    if (this.#concluding) return;
    this.#concluding = true;
    setTimeout(() => {
      this.#end().catch((error) => this.#rejectAll(error));
    }, 0);
  }

  async #end(): Promise<void> {
    const { answers } = await this.begin();
    const pending = [...this.#pending];
    // A yes that could be sent again would run the tool again, which the user didn't agree to
    const once = answers.has(APPROVAL_KEY) || this.#pending.has(APPROVAL_KEY);
    const requestState = await this.#exchange.sealState({
      answers: Object.fromEntries(answers),
      asked: Object.fromEntries(pending.map(([key, { hash }]) => [key, hash])),
    }, { once });
    const inputRequests = Object.fromEntries(
      pending.map(([key, { method, params }]) => [key, { method, params }]),
    );
    const { signal } = this.#exchange;
    this.#exchange.requireInput(
      this.#complete(this.#exchange, { resultType: "input_required", inputRequests, requestState }),
    );
    this.#rejectAll(signal.reason);
  }

  #rejectAll(reason: unknown): void {
    this.#ended = true;
    for (const { reject } of this.#pending.values()) reject(reason);
    this.#pending.clear();
  }
}

/**
 * Reads the answers of earlier rounds from the request state, and the new ones from the request.
 */
async function readEarlier(exchange: Exchange): Promise<Earlier> {
  const state = await exchange.openState();
  const answers = new Map<string, RoundAnswer>();
  for (const [key, answer] of entriesOf(state?.answers)) {
    if (!isObject(answer) || !isObject(answer.result)) continue;
    answers.set(key, { hash: stringOf(answer.hash), result: answer.result });
  }
  const asked = isObject(state?.asked) ? state.asked : {};
  for (const [key, result] of entriesOf(exchange.params.inputResponses)) {
    const hash = Object.hasOwn(asked, key) ? stringOf(asked[key]) : undefined;
    // With the state, only answers to asked questions count; without it, the client may answer
    // ahead, but not approve. A value that is not an object is no answer: the question is asked again
    const ahead = state === undefined && key !== APPROVAL_KEY;
    if (isObject(result) && (hash !== undefined || ahead)) answers.set(key, { hash, result });
  }
  return { answers };
}

function stringOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

function entriesOf(value: unknown): [string, unknown][] {
  return isObject(value) ? Object.entries(value) : [];
}
