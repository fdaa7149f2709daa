/**
 * Tells what a request to a view is about.
 *
 * @module
 */
import type {
  Exchange,
  Hidden,
  JsonObject,
  MaybePromise,
  RequestMessage,
  RequestTarget,
  Route,
} from "../../../mod.ts";

/** Options for {@linkcode ViewRoute}. */
export interface ViewRouteInit {
  /** Returns what the request is about, as far as the lists of the upstreams are known by now. */
  readonly target: () => RequestTarget | undefined;
  readonly scopes: readonly string[] | undefined;
  readonly longCalls?: Route["longCalls"];
  readonly answerOnce?: Route["answerOnce"];
  readonly authorizedAs?: RequestMessage | undefined;
  readonly settle?: Route["settle"] | undefined;
  readonly run: (exchange: Exchange) => MaybePromise<JsonObject>;
  readonly hide: (exchange: Exchange, hidden: Hidden) => MaybePromise<JsonObject>;
}

/** What a request to a view is about. */
export class ViewRoute implements Route {
  readonly method: string;
  readonly params: JsonObject;
  readonly scopes: readonly string[] | undefined;
  readonly longCalls: Route["longCalls"];
  readonly answerOnce: Route["answerOnce"];
  readonly authorizedAs?: RequestMessage;
  readonly settle?: NonNullable<Route["settle"]>;
  readonly run: ViewRouteInit["run"];
  readonly hide: ViewRouteInit["hide"];
  readonly #target: ViewRouteInit["target"];

  constructor({ method, params }: RequestMessage, init: ViewRouteInit) {
    this.method = method;
    this.params = params;
    this.scopes = init.scopes;
    this.longCalls = init.longCalls;
    this.answerOnce = init.answerOnce;
    if (init.authorizedAs !== undefined) this.authorizedAs = init.authorizedAs;
    if (init.settle !== undefined) this.settle = init.settle;
    this.run = init.run;
    this.hide = init.hide;
    this.#target = init.target;
  }

  /** A gateway learns the names of an upstream from its first answers. */
  get target(): RequestTarget | undefined {
    return this.#target();
  }
}
