/**
 * Gives the dashboard access to the components of a handler, without making them public.
 *
 * @module
 */
import type { HandlerComponents } from "./components.ts";
import type { Eras } from "./eras.ts";
import type { McpHandler } from "./types.ts";

/** The key of a handler's components. */
export const OPERATOR_ACCESS = Symbol("mooring.operator");

/** The parts of a handler that an operator sees. */
export interface OperatorAccess {
  readonly components: HandlerComponents;
  readonly eras: Eras;
}

/**
 * Returns the components of a handler.
 *
 * @throws {TypeError} If the value is not a handler of this package
 */
export function operatorAccess(handler: McpHandler): OperatorAccess {
  const { [OPERATOR_ACCESS]: open } = handler as {
    readonly [OPERATOR_ACCESS]?: () => OperatorAccess;
  };
  if (open !== undefined) return open();
  throw new TypeError("Give a handler that createMcpHandler() returned");
}
