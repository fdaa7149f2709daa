/**
 * The endpoint, at `/mcp`.
 *
 * @module
 */
import { createMcpHandler, Unauthorized } from "@mooring/mcp";
import type { RequestEvent } from "@sveltejs/kit";
import { server } from "../../lib/server/server.ts";

const handler = createMcpHandler(server, {
  path: "/mcp",
  // `context` is SvelteKit's event: hooks.server.ts has put the user there.
  authenticate: (_request, context) => {
    const { user } = (context as RequestEvent).locals;
    if (user === undefined) throw new Unauthorized();
    return { id: user };
  },
});

const answer = (event: RequestEvent) => handler(event.request, event);

export { answer as DELETE, answer as GET, answer as OPTIONS, answer as POST };
