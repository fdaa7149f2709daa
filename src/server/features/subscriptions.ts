/**
 * Answers `resources/subscribe` and `resources/unsubscribe` (2025-11-25, Resources, Subscriptions).
 *
 * @module
 */
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { unknownResource } from "../../protocol/unknown.ts";
import type { Feature } from "./feature.ts";
import { type Resources, uriOf } from "./resources.ts";

/** Answers the subscription requests of a server. Subscriptions are kept with the session. */
export class ResourceSubscriptions implements Feature {
  readonly methods: Feature["methods"] = {
    "resources/subscribe": (exchange) => this.#subscribe(exchange),
    "resources/unsubscribe": (exchange) => unsubscribe(exchange),
  };
  readonly unknown: Feature["unknown"] = {
    "resources/subscribe": (exchange) => {
      throw unknownResource(exchange.protocolVersion, exchange.params.uri);
    },
  };
  readonly #resources: Resources;

  constructor(resources: Resources) {
    this.#resources = resources;
  }

  async #subscribe(exchange: Exchange): Promise<JsonObject> {
    const uri = uriOf(exchange);
    if (!this.#resources.has(uri)) throw unknownResource(exchange.protocolVersion, uri);
    const { session } = exchange;
    if (session === undefined) {
      throw new McpError(ErrorCode.InvalidRequest, "Open a session to subscribe to resources");
    }
    const outcome = await session.subscribe(uri);
    if (outcome === "gone") {
      throw new McpError(ErrorCode.NotAvailable, "Session not found", { retry: "re-initialize" });
    }
    if (outcome === "full") {
      throw new McpError(ErrorCode.InvalidParams, "Unsubscribe from another resource first");
    }
    return {};
  }
}

async function unsubscribe(exchange: Exchange): Promise<JsonObject> {
  const uri = uriOf(exchange);
  await exchange.session?.unsubscribe(uri);
  return {};
}
