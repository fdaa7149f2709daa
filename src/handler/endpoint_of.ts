/**
 * Finds the parts of a handler, without making them public.
 *
 * @module
 */
import type { HandlerComponents } from "./components.ts";
import type { Eras } from "./eras.ts";
import type { McpHandler } from "./types.ts";

/** The key of the function that returns a handler's parts. */
export const ENDPOINT = Symbol("mooring.endpoint");

/** The parts of a handler, once it is used. */
export interface OpenEndpoint {
  readonly components: HandlerComponents;
  readonly eras: Eras;
}

/**
 * Returns the parts of a handler.
 *
 * @throws {TypeError} If the value is not a handler of this package
 */
export function endpointOf(handler: McpHandler): OpenEndpoint {
  const { [ENDPOINT]: open } = handler as { readonly [ENDPOINT]?: () => OpenEndpoint };
  if (open !== undefined) return open();
  throw new TypeError("Give a handler that createMcpHandler() returned");
}
