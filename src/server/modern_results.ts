/**
 * Completes results for the 2026 era: adds their type, the server's name and the cache hint
 * (2026-07-28, Basic and Caching).
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
import type { FeatureMethod } from "./features/feature.ts";
import { Rounds } from "./questions/rounds.ts";

/** Answers requests of the 2026 era: completes results, and holds the questions of each request. */
export class ModernResults {
  readonly #info: Implementation;
  readonly #cache: Required<CacheHint>;
  readonly #rounds = new WeakMap<Exchange, Rounds>();
  /** Caches the completed form of prepared results. */
  readonly #prepared = new WeakMap<JsonObject, JsonObject>();

  constructor(info: Implementation, cache: CacheHint = {}) {
    this.#info = info;
    this.#cache = fullCacheHint(cache);
  }

  /**
   * Answers a request of the 2026 era.
   *
   * @throws {McpError} With -32602, if the request state is invalid
   */
  answer(exchange: Exchange, method: FeatureMethod): MaybePromise<JsonObject> {
    if (exchange.params.requestState === undefined) return this.#run(exchange, method);
    return this.rounds(exchange).begin().then(() => this.#run(exchange, method));
  }

  /** Returns the questions of a request, always the same object. */
  rounds(exchange: Exchange): Rounds {
    let rounds = this.#rounds.get(exchange);
    if (rounds === undefined) {
      this.#rounds.set(exchange, rounds = new Rounds(exchange, this.#complete));
    }
    return rounds;
  }

  #run(exchange: Exchange, method: FeatureMethod): MaybePromise<JsonObject> {
    const result = method(exchange);
    return isPromise(result)
      ? result.then((value) => this.#complete(exchange, value))
      : this.#complete(exchange, result);
  }

  /** Adds everything that the 2026 era requires of a result. */
  readonly #complete = ({ method, params }: Exchange, result: JsonObject): JsonObject => {
    const retried = params.requestState !== undefined || params.inputResponses !== undefined;
    const ready = retried ? undefined : this.#prepared.get(result);
    if (ready !== undefined) return ready;
    const { _meta, resultType = "complete" } = result;
    const meta = { ...(isObject(_meta) ? _meta : {}), [MetaKey.ServerInfo]: this.#info };
    const completed = { resultType, ...result, _meta: meta };
    if (!methodFacts(method)?.cacheable || resultType !== "complete") return completed;
    // A result that depends on answers must not be shared or reused
    if (retried) return { ...completed, ttlMs: 0, cacheScope: "private" };
    const { ttlMs, cacheScope } = { ...this.#cache, ...result };
    const whole = { ...completed, ttlMs, cacheScope };
    if (preparedText(result) === undefined) return whole;
    this.#prepared.set(result, prepare(whole));
    return whole;
  };
}
