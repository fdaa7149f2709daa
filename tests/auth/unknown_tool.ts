/**
 * A dispatcher with words of its own for what isn't there.
 *
 * @module
 */
import { McpError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { Stub } from "../support/wire.ts";

/** Knows no tool at all. */
export class UnknownTool extends Stub {
  /** The names of tools that were called. */
  readonly called: unknown[] = [];

  override dispatch(exchange: Exchange): JsonObject | Promise<JsonObject> {
    if (exchange.method !== "tools/call") return super.dispatch(exchange);
    this.called.push(exchange.params.name);
    return this.hide(exchange);
  }

  hide({ params }: Exchange): never {
    throw new McpError(7, `Never heard of ${params.name}`);
  }
}
