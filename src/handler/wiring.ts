/**
 * Explains what an author has put together wrongly.
 *
 * @module
 */
import type { Dispatcher } from "../protocol/exchange.ts";

/**
 * Checks that a value can be served.
 *
 * @throws {TypeError} If it isn't a dispatcher, with what to do
 */
export function checkDispatcher(given: Dispatcher): void {
  const value: unknown = given;
  if (hasFunction(value, "route")) return;
  throw new TypeError(`Give a server, such as new McpServer(…): ${whatItIs(value)}`);
}

function whatItIs(value: unknown): string {
  if (value === undefined || value === null) {
    return `${value}. Is it exported by the module that it is imported from?`;
  }
  if (hasFunction(value, "fetch") && hasFunction(value, "notify")) {
    return "a handler, which can be served by itself. Give the server that it was made of";
  }
  if (hasFunction(value, "connect") && hasFunction(value, "close")) {
    return "a server of another SDK. Give the function that creates it: " +
      'createMcpHandler(sdk(createServer)), with sdk of "@mooring/mcp/gateway"';
  }
  if (typeof value === "function") {
    return "a function. Call it, and give the server that it returns";
  }
  return typeof value;
}

function hasFunction(value: unknown, name: string): boolean {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  return typeof Reflect.get(value, name) === "function";
}

const NODE_ADVICE =
  "Wrap the handler: createServer(toNodeHandler(handler)), with toNodeHandler of " +
  '"@mooring/mcp/node"';

/** The part of a response of Node that an explanation is written to. */
interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(text: string): unknown;
}

/**
 * Returns the error for what a handler was called with, or `undefined` for a request. Where Node's own
 * response is at hand, the client gets the sentence too, so that nothing waits or dies.
 */
export function wrongRequest(request: unknown, context: unknown): TypeError | undefined {
  if (typeof request === "object" && request !== null && "headers" in request) {
    if (hasFunction(request.headers, "get")) return undefined;
    if (isNodeResponse(context)) {
      context.statusCode = 500;
      context.setHeader("content-type", "text/plain");
      context.end(NODE_ADVICE);
      return new TypeError(NODE_ADVICE);
    }
    return new TypeError(NODE_ADVICE);
  }
  return new TypeError(
    `Call the handler with a Request: ${request === null ? "null" : typeof request}`,
  );
}

function isNodeResponse(value: unknown): value is NodeResponse {
  return hasFunction(value, "setHeader") && hasFunction(value, "end");
}
