/**
 * An endpoint in the form of `deno serve` and Deno Deploy: a default export with `fetch`.
 *
 *     deno serve -A deno.ts
 *
 * @module
 */
import { createMcpHandler } from "@mooring/mcp";
import { server } from "./server.ts";

/**
 * Requests may reach several instances of a deployment. Without sessions any of them answers; give all of
 * them the same `store` to have sessions.
 */
const handler = createMcpHandler(server, { path: "/mcp", sessions: false });

export default {
  fetch: (request: Request, info: Deno.ServeHandlerInfo) => handler(request, info),
} satisfies Deno.ServeDefaultExport;
