/**
 * What every result of the 2026 era says besides itself: what kind it is, who made it, and how long
 * it may be kept (2026-07-28, Basic and Caching).
 *
 * @module
 */
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { MetaKey } from "../protocol/envelope.ts";
import type { Exchange } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { methodFacts } from "../protocol/methods.ts";
import { prepare, preparedText } from "../protocol/prepared.ts";
import type { Implementation } from "../protocol/shapes.ts";
import { type CacheHint, fullCacheHint } from "./cache_hint.ts";
import type { Method } from "./feature.ts";
import { Rounds } from "./rounds.ts";

/** Completes results for the 2026 era. */
export class ModernResults {
  readonly #info: Implementation;
  readonly #cache: Required<CacheHint>;
  readonly #rounds = new WeakMap<Exchange, Rounds>();
  /** Prepared results, with what the era makes of them. */
  readonly #prepared = new WeakMap<JsonObject, JsonObject>();

  constructor(info: Implementation, cache: CacheHint = {}) {
    this.#info = info;
    this.#cache = fullCacheHint(cache);
  }

  /**
   * Answers a request of the era.
   *
   * @throws {McpError} With -32602, if the request brings a state that isn't its own
   */
  answer(exchange: Exchange, method: Method): MaybePromise<JsonObject> {
    if (exchange.params.requestState === undefined) return this.#run(exchange, method);
    return this.rounds(exchange).begin().then(() => this.#run(exchange, method));
  }

  /** The questions of a request of the era, the same ones whenever they are asked for. */
  rounds(exchange: Exchange): Rounds {
    let rounds = this.#rounds.get(exchange);
    if (rounds === undefined) {
      this.#rounds.set(exchange, rounds = new Rounds(exchange, this.#complete));
    }
    return rounds;
  }

  #run(exchange: Exchange, method: Method): MaybePromise<JsonObject> {
    const result = method(exchange);
    return isPromise(result)
      ? result.then((value) => this.#complete(exchange, value))
      : this.#complete(exchange, result);
  }

  /** A result with everything that the era wants of it. */
  readonly #complete = ({ method, params }: Exchange, result: JsonObject): JsonObject => {
    const retried = params.requestState !== undefined || params.inputResponses !== undefined;
    const ready = retried ? undefined : this.#prepared.get(result);
    if (ready !== undefined) return ready;
    const { _meta, resultType = "complete" } = result;
    const meta = { ...(isObject(_meta) ? _meta : {}), [MetaKey.ServerInfo]: this.#info };
    const completed = { resultType, ...result, _meta: meta };
    if (!methodFacts(method)?.cacheable || resultType !== "complete") return completed;
    // What depends on answers to questions is nobody else's result, nor the same another time
    if (retried) return { ...completed, ttlMs: 0, cacheScope: "private" };
    const { ttlMs, cacheScope } = { ...this.#cache, ...result };
    const whole = { ...completed, ttlMs, cacheScope };
    if (preparedText(result) === undefined) return whole;
    this.#prepared.set(result, prepare(whole));
    return whole;
  };
}
