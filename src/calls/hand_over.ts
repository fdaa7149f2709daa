/**
 * Defines what hands calls over that run long: the client gets an answer early, from which the model learns
 * how to fetch the result, and what the call runs goes on without its request.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Route } from "../protocol/route.ts";
import type { StopError } from "./lifetime/stop.ts";

/** A running call, as the one who hands it over sees it. */
export interface LongCall
  extends Pick<Exchange, "principal" | "client" | "protocolVersion" | "method" | "params"> {
  /** How far the call is: the parameters of its latest progress, if it has told any. */
  readonly progress: JsonObject | undefined;
  /** Whether it has its answer, or was stopped. */
  readonly over: boolean;
  /** Stops what it runs. */
  stop(reason: StopError): boolean;
}

/** What has become of a call that was handed over. */
export type LongCallEnd =
  | { readonly kind: "result"; readonly result: JsonObject }
  | { readonly kind: "error"; readonly error: unknown }
  | { readonly kind: "stopped"; readonly reason: StopError };

/** A call that was handed over: what the client fetches. */
export interface HandedOver {
  /** The answer that the client gets in place of the result. */
  readonly answer: JsonObject;
  /** Notes how far the call is: `progress`, `total` and `message` of a progress notification. */
  progressed(progress: JsonObject): void;
  /** Notes what has become of the call, once. */
  ended(end: LongCallEnd): void;
  /** Forgets it: the call ended before its client was answered. */
  discard(): void;
}

/** A call that can be handed over before it runs long, as a dispatcher sees it: an exchange may be one. */
export interface HandsOver {
  /**
   * Answers the client at once, and runs on.
   *
   * @returns Whether it was handed over: `begin` may refuse, or the call have ended meanwhile
   */
  handOver(begin: (call: LongCall) => MaybePromise<HandedOver | undefined>): Promise<boolean>;
}

/** Hands calls over that run long. */
export interface HandOver {
  /**
   * Waits until a call is to be handed over.
   *
   * @returns `undefined` for a call that never is
   */
  wait(route: Route, due: () => void): Delay | undefined;
  /**
   * Hands a call over.
   *
   * @returns `undefined` if there is no room for it: it goes on as any call
   */
  begin(call: LongCall, route: Route): MaybePromise<HandedOver | undefined>;
}
