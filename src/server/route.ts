/**
 * Tells what a request to a server is about, and answers it.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { HeaderParam } from "../protocol/headers.ts";
import type { Hidden } from "../protocol/items.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { RequestMessage, RequestTarget, Route } from "../protocol/route.ts";
import type { FeatureMethod } from "./features/feature.ts";

/** A tool, prompt or resource that a request is about. */
export interface FoundFeature {
  readonly target: RequestTarget;
  /** Answers the request; the server's function for the method does if this is absent. */
  readonly answer?: FeatureMethod;
  readonly scopes?: readonly string[] | undefined;
  readonly headerParams?: readonly HeaderParam[];
  readonly retry?: boolean;
  readonly longCalls?: Route["longCalls"];
  readonly answerOnce?: Route["answerOnce"];
  /** Whether a tool has an output schema. */
  readonly outputSchema?: boolean;
}

/** What a server does with requests. */
export interface Answers {
  run(exchange: Exchange, answer: FeatureMethod | undefined): MaybePromise<JsonObject>;
  hide(exchange: Exchange, hidden: Hidden): MaybePromise<JsonObject>;
  serves(method: string): boolean;
}

/** What a request to a server is about. */
export class ServerRoute implements Route {
  readonly method: string;
  readonly params: JsonObject;
  readonly target: RequestTarget | undefined;
  readonly scopes: readonly string[] | undefined;
  readonly headerParams: readonly HeaderParam[] | undefined;
  readonly retry: boolean;
  readonly longCalls: Route["longCalls"];
  readonly answerOnce: Route["answerOnce"];
  readonly outputSchema: boolean | undefined;
  readonly #answers: Answers;
  readonly #answer: FeatureMethod | undefined;

  constructor(
    { method, params }: RequestMessage,
    found: FoundFeature | undefined,
    answers: Answers,
  ) {
    this.method = method;
    this.params = params;
    this.target = found?.target;
    this.scopes = found?.scopes;
    this.headerParams = found?.headerParams;
    this.retry = found?.retry === true;
    this.longCalls = found?.longCalls;
    this.answerOnce = found?.answerOnce;
    this.outputSchema = found?.outputSchema;
    this.#answer = found?.answer;
    this.#answers = answers;
  }

  get served(): boolean {
    return this.#answers.serves(this.method);
  }

  run(exchange: Exchange): MaybePromise<JsonObject> {
    return this.#answers.run(exchange, this.#answer);
  }

  hide(exchange: Exchange, hidden: Hidden): MaybePromise<JsonObject> {
    return this.#answers.hide(exchange, hidden);
  }
}
