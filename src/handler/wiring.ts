/**
 * Refuses what was wired wrongly, with what to do instead.
 *
 * @module
 */
import { isObject } from "../protocol/jsonrpc.ts";
import type { Report } from "../protocol/reporter.ts";

/**
 * Checks that a handler got a dispatcher.
 *
 * @throws {TypeError} If it is none: for a server of the official SDK, with the function that wraps it
 */
export function checkDispatcher(value: unknown): void {
  if (isObject(value) && typeof value.route === "function") return;
  if (isObject(value) && typeof value.connect === "function") {
    throw new TypeError(
      "Give an McpServer of @mooring/mcp, or serve one of the official SDK behind a gateway, with sdk() of " +
        "@mooring/mcp/gateway",
    );
  }
  throw new TypeError(
    `Give a server as the first parameter, such as new McpServer(…): ${
      value === null ? "null" : typeof value
    }`,
  );
}

/** A response of `node:http`, as far as it is needed here. */
interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(text: string): unknown;
}

/** Tells whether a handler was called as a listener of `node:http`, which passes its response. */
export function isNodeResponse(context: unknown): context is NodeResponse {
  return isObject(context) && typeof context.writeHead === "function" &&
    typeof context.setHeader === "function" && typeof context.end === "function";
}

const WRAP_IT = "Wrap the handler for node:http: createServer(toNodeHandler(handler)), with " +
  "toNodeHandler of @mooring/mcp/node";

/** Answers a request of `node:http` with what to do: the handler can't read it. */
export function refuseNode(outgoing: NodeResponse, report: Report): Promise<Response> {
  report({ type: "error", during: "answering a request", error: new TypeError(WRAP_IT) });
  outgoing.statusCode = 500;
  outgoing.setHeader("content-type", "text/plain; charset=utf-8");
  outgoing.end(`${WRAP_IT}\n`);
  return Promise.resolve(new Response(WRAP_IT, { status: 500 }));
}
