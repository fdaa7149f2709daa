/**
 * The endpoint, at `/api/mcp`.
 *
 * @module
 */
import { createMcpHandler } from "@mooring/mcp";
import { server } from "../../../lib/server.ts";

/** In Next, routes are made while building too: nothing here connects to anything before a request. */
const handler = createMcpHandler(server, { path: "/api/mcp" });

export { handler as DELETE, handler as GET, handler as OPTIONS, handler as POST };

/** How long a stream may stay open, in seconds, on hosts that limit it. */
export const maxDuration = 300;
