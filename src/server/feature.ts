/**
 * What the parts of a server have in common: the methods that they serve, and what they are given.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ContextSettings } from "./context.ts";

/** Answers the requests of one method. */
export type Method = (exchange: Exchange) => MaybePromise<JsonObject>;

/** A part of a server. */
export interface Feature {
  /** What it answers, by method. */
  readonly methods: Readonly<Record<string, Method>>;
}

/** What a part of a server is given. */
export interface FeatureInit {
  readonly context: ContextSettings;
  /** Tells the clients that a list changed, by the notification's method. */
  readonly changed: (method: string) => void;
  /** Called when there is something that can be completed. */
  readonly completable: () => void;
}
