/**
 * A dispatcher with words of its own for what isn't there.
 *
 * @module
 */
import { McpError } from "../../src/protocol/errors.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import type { RequestMessage, Route } from "../../src/protocol/route.ts";
import { Stub } from "../support/wire.ts";

/** Knows no tool at all. */
export class UnknownTool extends Stub {
  /** The names of tools that were called. */
  readonly called: unknown[] = [];

  override route(message: RequestMessage): Route {
    const route = super.route(message);
    if (message.method !== "tools/call") return route;
    const hide = ({ params }: Exchange): never => {
      throw new McpError(7, `Never heard of ${params.name}`);
    };
    const run = (exchange: Exchange) => {
      this.called.push(exchange.params.name);
      return hide(exchange);
    };
    return { ...route, run, hide };
  }
}
