/**
 * Holds calls of 2026 clients to 2025 upstreams while the client answers a question that the upstream
 * asked during the call. The client's request ends with the question, and its next request is
 * answered by the same call, so that the tool runs once.
 *
 * @module
 */
import { ErrorCode, type Exchange, type JsonObject, McpError } from "../../../mod.ts";
import { shareKey } from "../../cluster/mod.ts";
import { isObject, ownerKey, randomText, Slots } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import { forwardCallNotification, withProgress } from "./downstream.ts";
import type { ManagedCall, ManagedSession } from "./managed_session.ts";
import { modernResult, questionFor, withoutResultType } from "./translate.ts";

/** A call that may be held. */
export interface HeldCallInit {
  readonly session: ManagedSession;
  /** The parameters for the upstream. */
  readonly params: JsonObject;
  /** Puts the names that the client knows into the result. */
  readonly named: (result: JsonObject) => JsonObject;
  /** Frees what the call uses. Called once when the call is over. */
  readonly release: () => void;
}

/** Keeps the calls that wait for their client. Each is found by a single-use id, by its owner only. */
export class HeldCalls {
  readonly #settings: GatewaySettings;
  readonly #slots: Slots;
  readonly #byId = new Map<string, HeldCall>();
  readonly #waiting = new Map<HeldCall, { readonly id: string; readonly stopTimer: () => void }>();
  /** Every call that isn't over, and what frees its resources. */
  readonly #calls = new Map<HeldCall, () => void>();

  constructor(settings: GatewaySettings) {
    this.#settings = settings;
    this.#slots = new Slots(settings.limits.held, settings.limits.heldPerPrincipal);
  }

  /** The number of calls that wait for their client. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Starts a call, and answers the request that it starts with. */
  start(exchange: Exchange, init: HeldCallInit): Promise<JsonObject> {
    const call = new HeldCall(this, exchange, init);
    this.#calls.set(call, init.release);
    const answered = call.answer(exchange);
    call.start(exchange);
    return answered;
  }

  /**
   * Answers the request with which a client continues a call.
   *
   * @throws {McpError} With -32602, if no call of its principal waits under the id
   */
  resume(exchange: Exchange, id: string): Promise<JsonObject> {
    const call = this.#byId.get(id);
    if (call !== undefined && call.owner === ownerKey(exchange.principal)) {
      return call.answer(exchange);
    }
    throw new McpError(
      ErrorCode.InvalidParams,
      "Retry without requestState: the call no longer waits for its client",
    );
  }

  /** Tells whether the policy withholds by now what a call is about, whatever name its client has used. */
  isWithheld({ principal }: Exchange, id: string): boolean {
    const call = this.#byId.get(id);
    if (call === undefined) return false;
    const { upstream, method, params: { name, uri } } = call;
    const rules = this.#settings.policies.rulesOf(principal, upstream);
    if (rules === undefined || rules.isClosed) return rules !== undefined;
    if (typeof uri === "string") return !rules.resources.allows(uri);
    const entries = method === "tools/call" ? rules.tools : rules.prompts;
    return typeof name === "string" && !entries.allows(name);
  }

  /** Cancels every call. */
  close(reason: unknown): void {
    for (const call of [...this.#calls.keys()]) call.cancel(reason);
  }

  /** Keeps a call until its client returns. Returns its id; `undefined` if the limits are reached. */
  hold(call: HeldCall): string | undefined {
    if (!this.#slots.take(shareKey(call.owner))) return undefined;
    const id = randomText(22);
    const { clock, askTimeoutMs } = this.#settings;
    const stopTimer = clock.timer(askTimeoutMs, () => {
      call.cancel(new McpError(ErrorCode.NotAvailable, "The client gave no answer in time"));
    });
    this.#byId.set(id, call);
    this.#waiting.set(call, { id, stopTimer });
    return id;
  }

  /** Stops keeping a call, if it is kept. */
  unhold(call: HeldCall): void {
    const waiting = this.#waiting.get(call);
    if (waiting === undefined) return;
    this.#waiting.delete(call);
    this.#byId.delete(waiting.id);
    waiting.stopTimer();
    this.#slots.give(shareKey(call.owner));
  }

  /** Removes a call that is over. */
  remove(call: HeldCall): void {
    this.unhold(call);
    const release = this.#calls.get(call);
    this.#calls.delete(call);
    release?.();
  }
}

/** The most questions of one call at a time. */
const MAX_QUESTIONS = 100;

/** A question that waits for its answer. */
interface HeldQuestion {
  readonly method: string;
  readonly params: JsonObject;
  readonly resolve: (answer: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** One request of the client, while it waits for its answer. */
interface Round {
  readonly exchange: Exchange;
  readonly resolve: (result: JsonObject) => void;
  readonly reject: (reason: unknown) => void;
}

/** One call, which may outlive the request that it starts with. */
class HeldCall {
  readonly owner: string;
  readonly #calls: HeldCalls;
  readonly method: string;
  /** The parameters for the upstream. */
  readonly params: JsonObject;
  readonly #session: ManagedSession;
  readonly #named: HeldCallInit["named"];
  readonly #controller = new AbortController();
  readonly #questions = new Map<string, HeldQuestion>();
  #questionCount = 0;
  #round: Round | undefined;
  #isEndingRound = false;
  #outcome: { readonly result: JsonObject } | { readonly error: unknown } | undefined;
  #isOver = false;

  constructor(
    calls: HeldCalls,
    { principal, method }: Exchange,
    { session, params, named }: HeldCallInit,
  ) {
    this.owner = ownerKey(principal);
    this.#calls = calls;
    this.#session = session;
    this.method = method;
    this.params = params;
    this.#named = named;
  }

  /** The name of the upstream. */
  get upstream(): string {
    return this.#session.name;
  }

  /** Sends the call to the upstream. */
  start(exchange: Exchange): void {
    const { principal, request, user } = exchange;
    const call: ManagedCall = {
      method: this.method,
      params: withProgress(exchange, this.params),
      principal,
      request,
      user,
      signal: this.#controller.signal,
      notify: (notification) => {
        if (this.#round === undefined) return;
        const { exchange } = this.#round;
        const isAlone = this.#session.isAloneFor(exchange.principal);
        forwardCallNotification(exchange, notification, isAlone);
      },
      ask: (method, params) => this.#ask(method, params),
      onKept: () => this.#round?.exchange.noteCached?.(),
    };
    this.#session.request(call).then(
      (result) => {
        const own = this.#named(withoutResultType(result));
        this.#settle({ result: modernResult(this.method, own, this.#session.info) });
      },
    ).catch((error) => this.#settle({ error }));
  }

  /**
   * Answers a request of the client with the result of the call, or with the questions that the
   * client has to answer first.
   *
   * @throws The error of the call
   */
  async answer(exchange: Exchange): Promise<JsonObject> {
    this.#calls.unhold(this);
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const round: Round = { exchange, resolve, reject };
    this.#round = round;
    const { signal } = exchange;
    const stop = () => {
      if (this.#round === round) this.cancel(signal.reason);
    };
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
    this.#takeAnswers(exchange.params.inputResponses);
    this.#deliver();
    if (this.#questions.size > 0) this.#endRoundSoon();
    try {
      return await promise;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Cancels the call, also at the upstream. */
  cancel(reason: unknown): void {
    if (this.#isOver) return;
    this.#controller.abort(reason);
    this.#settle({ error: reason });
    this.#finish();
  }

  async #ask(method: string, params: JsonObject): Promise<JsonObject> {
    const shown = questionFor(method, params, this.#session.client.capabilities);
    if (this.#isOver || this.#questions.size >= MAX_QUESTIONS) {
      throw new McpError(ErrorCode.Refused, "Ask when other questions are answered");
    }
    return await new Promise((resolve, reject) => {
      this.#questions.set(`q${++this.#questionCount}`, { method, params: shown, resolve, reject });
      this.#endRoundSoon();
    });
  }

  #takeAnswers(responses: unknown): void {
    if (!isObject(responses)) return;
    for (const [key, { resolve }] of [...this.#questions]) {
      const answer = Object.hasOwn(responses, key) ? responses[key] : undefined;
      if (!isObject(answer)) continue;
      this.#questions.delete(key);
      resolve(answer);
    }
  }

  /** Ends the round with questions, after a turn in which the upstream may ask more. */
  #endRoundSoon(): void {
    if (this.#isEndingRound || this.#round === undefined) return;
    this.#isEndingRound = true;
    setTimeout(() => {
      this.#endRound().catch((error) => this.cancel(error)).finally(() => {
        this.#isEndingRound = false;
        // A question that came while the round ended is part of the next one.
        if (this.#questions.size > 0) this.#endRoundSoon();
      });
    }, 0);
  }

  async #endRound(): Promise<void> {
    const round = this.#round;
    if (round === undefined || this.#questions.size === 0) return;
    const id = this.#calls.hold(this);
    if (id === undefined) {
      const error = new McpError(ErrorCode.Refused, "Call again later: too many calls are waiting");
      return this.#rejectQuestions(error);
    }
    const requestState = await round.exchange.sealState({ held: id });
    // The round may have ended meanwhile.
    if (this.#round !== round) return this.#calls.unhold(this);
    const inputRequests = Object.fromEntries(
      [...this.#questions].map(([key, { method, params }]) => [key, { method, params }]),
    );
    const asked = { resultType: "input_required", inputRequests, requestState };
    const result = modernResult(this.method, asked, this.#session.info);
    this.#round = undefined;
    round.resolve(result);
    round.exchange.requireInput(result);
  }

  #rejectQuestions(reason: unknown): void {
    for (const { reject } of this.#questions.values()) reject(reason);
    this.#questions.clear();
  }

  #settle(outcome: { readonly result: JsonObject } | { readonly error: unknown }): void {
    this.#outcome ??= outcome;
    this.#rejectQuestions(new McpError(ErrorCode.Refused, "The call has ended"));
    this.#deliver();
  }

  /** Answers the client's request with the outcome, if there is one and the client waits for it. */
  #deliver(): void {
    const round = this.#round;
    if (this.#outcome === undefined || round === undefined) return;
    this.#round = undefined;
    if ("error" in this.#outcome) round.reject(this.#outcome.error);
    else round.resolve(this.#outcome.result);
    this.#finish();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#calls.remove(this);
  }
}
