/**
 * A call that goes on while its 2026 client, whose request has ended, answers what a 2025 upstream
 * asked in the middle of it. The client's next request is answered by the same call, so that a tool
 * runs once.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange, Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Link } from "./link.ts";
import { ASKING, checkQuestion, withoutType } from "./translate.ts";
import type { UpstreamCall } from "./types.ts";

/** More questions of one call at a time are refused. */
const MOST_QUESTIONS = 100;

/** Where calls wait for their clients. */
export interface HoldingPlace {
  /**
   * Keeps a call until its client comes back.
   *
   * @returns The name under which it is found again; `undefined` when there is no room
   */
  park(call: HeldCall): string | undefined;
  /** Takes a call that waits out of its place. */
  leave(call: HeldCall): void;
  /** Told once when a call is over. */
  over(call: HeldCall): void;
}

/** What a call is made of. */
export interface HeldCallInit {
  readonly place: HoldingPlace;
  readonly link: Link;
  readonly owner: string;
  readonly method: string;
  readonly params: JsonObject;
  readonly request: Request;
  /** Takes what the upstream says in the course of the call, while the client waits. */
  readonly notify: (exchange: Exchange, notification: Notification) => void;
  /** Makes a result of the era. */
  readonly complete: (result: JsonObject) => JsonObject;
}

/** A question that waits for its answer. */
interface Question {
  readonly method: string;
  readonly params: JsonObject;
  readonly resolve: (answer: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** One request of the client, as long as it waits. */
interface Round {
  readonly exchange: Exchange;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** One call that may outlive the request that it began with. */
export class HeldCall {
  readonly owner: string;
  readonly #init: HeldCallInit;
  readonly #stop = new AbortController();
  readonly #questions = new Map<string, Question>();
  #asked = 0;
  #round: Round | undefined;
  #concluding = false;
  #outcome: { readonly result: JsonObject } | { readonly error: unknown } | undefined;
  #over = false;

  constructor(init: HeldCallInit) {
    this.#init = init;
    this.owner = init.owner;
  }

  /** Begins the call: once, when a client waits for what it says. */
  begin(): void {
    const init = this.#init;
    const { link, method, params, request } = init;
    const call: UpstreamCall = {
      method,
      params,
      request,
      signal: this.#stop.signal,
      notify: (notification) => {
        if (this.#round !== undefined) init.notify(this.#round.exchange, notification);
      },
      ask: (method, params) => this.#ask(method, params),
    };
    link.request(call).then(
      (result) => this.#settle({ result: withoutType(result) }),
      (error) => this.#settle({ error }),
    );
  }

  /**
   * Answers a request of the client: with the call's result, or with what the client has to answer
   * before.
   *
   * @throws What the call failed with
   */
  async attend(exchange: Exchange): Promise<JsonObject> {
    this.#init.place.leave(this);
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const round: Round = { exchange, resolve, reject };
    this.#round = round;
    const { signal } = exchange;
    const gone = () => {
      if (this.#round === round) this.cancel(signal.reason);
    };
    if (signal.aborted) gone();
    else signal.addEventListener("abort", gone, { once: true });
    this.#answer(exchange.params.inputResponses);
    this.#deliver();
    if (this.#questions.size > 0) this.#conclude();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", gone);
    }
  }

  /** Gives the call up: the upstream is told. */
  cancel(reason: unknown): void {
    if (this.#over) return;
    this.#stop.abort(reason);
    this.#settle({ error: reason });
    this.#end();
  }

  async #ask(method: string, params: JsonObject): Promise<JsonObject> {
    const { link, method: during } = this.#init;
    if (!ASKING.has(during)) {
      throw new McpError(ErrorCode.Refused, "Ask only in tools, prompts and resources");
    }
    checkQuestion(method, params, link.client.capabilities);
    if (this.#over || this.#questions.size >= MOST_QUESTIONS) {
      throw new McpError(ErrorCode.Refused, "Ask when other questions are answered");
    }
    return await new Promise((resolve, reject) => {
      this.#questions.set(`q${++this.#asked}`, { method, params, resolve, reject });
      this.#conclude();
    });
  }

  #answer(responses: unknown): void {
    if (!isObject(responses)) return;
    for (const [key, { resolve }] of [...this.#questions]) {
      const answer = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (!isObject(answer)) continue;
      this.#questions.delete(key);
      resolve(answer);
    }
  }

  /**
   * Ends the round with questions, after the turn in which the upstream may ask more. A call is held in
   * one place at a time.
   */
  #conclude(): void {
    if (this.#concluding || this.#round === undefined) return;
    this.#concluding = true;
    setTimeout(() => {
      this.#hold().catch((error) => this.cancel(error)).finally(() => {
        this.#concluding = false;
        // What is asked while a round ends is asked in the next.
        if (this.#questions.size > 0) this.#conclude();
      });
    }, 0);
  }

  async #hold(): Promise<void> {
    const round = this.#round;
    if (round === undefined || this.#questions.size === 0) return;
    const { place, complete } = this.#init;
    const id = place.park(this);
    if (id === undefined) {
      const busy = new McpError(ErrorCode.Refused, "Call again later: too many calls are waiting");
      return this.#refuse(busy);
    }
    const requestState = await round.exchange.sealState({ held: id });
    // It may have come to its end meanwhile.
    if (this.#round !== round) return place.leave(this);
    const inputRequests = Object.fromEntries(
      [...this.#questions].map(([key, { method, params }]) => [key, { method, params }]),
    );
    const result = complete({ resultType: "input_required", inputRequests, requestState });
    this.#round = undefined;
    round.resolve(result);
    round.exchange.requireInput(result);
  }

  #refuse(reason: unknown): void {
    for (const { reject } of this.#questions.values()) reject(reason);
    this.#questions.clear();
  }

  #settle(outcome: { readonly result: JsonObject } | { readonly error: unknown }): void {
    this.#outcome ??= outcome;
    this.#refuse(new McpError(ErrorCode.Refused, "The call has ended"));
    this.#deliver();
  }

  /** Hands the outcome to the client, if there is one and it waits. */
  #deliver(): void {
    const round = this.#round;
    if (this.#outcome === undefined || round === undefined) return;
    this.#round = undefined;
    if ("error" in this.#outcome) round.reject(this.#outcome.error);
    else round.resolve(this.#outcome.result);
    this.#end();
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#init.place.leave(this);
    this.#init.place.over(this);
  }
}
