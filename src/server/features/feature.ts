/**
 * Defines what the parts of a server have in common: the methods that they answer, and what they
 * get from the server.
 *
 * @module
 */
import type { MaybePromise } from "../../internal/types.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import type { ContextSettings } from "../context.ts";

/** Answers the requests of one method with their result. */
export type FeatureMethod = (exchange: Exchange) => MaybePromise<JsonObject>;

/** A part of a server. */
export interface Feature {
  /** The functions that answer its methods, by method name. */
  readonly methods: Readonly<Record<string, FeatureMethod>>;
  /** Functions that fail requests exactly as if the item that they are about didn't exist. */
  readonly unknown?: Readonly<Record<string, FeatureMethod>>;
}

/** What the parts of a server get from it. */
export interface FeatureInit {
  readonly context: ContextSettings;
  /** Notifies the clients that a list changed, by the given notification method. */
  readonly changed: (method: string) => void;
  /** Reports that something with a completer is registered. */
  readonly completable: () => void;
}
