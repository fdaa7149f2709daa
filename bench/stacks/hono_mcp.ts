/**
 * `@hono/mcp`: the official SDK's server, version 1, behind Hono.
 *
 * @module
 */
import { StreamableHTTPTransport } from "@hono/mcp";
import { Hono } from "hono";
import { NEWS, perSession } from "./per_session.ts";
import { sdkServer, SESSIONFUL, streams } from "./sdk_v1.ts";
import type { StackModule } from "./types.ts";

/** `@hono/mcp`. */
export const honoMcp: StackModule = {
  title: "@hono/mcp",
  kinds: SESSIONFUL,
  acceptSse: "application/json, text/event-stream",
  make: (init) =>
    perSession(async (begun) => {
      const server = sdkServer(init);
      const transport = new StreamableHTTPTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        onsessioninitialized: begun,
        enableJsonResponse: !streams(init.kind),
      });
      await server.connect(transport);
      const app = new Hono();
      app.all("/mcp", async (c) => await transport.handleRequest(c) ?? c.notFound());
      return {
        handle: async (request) => await app.fetch(request),
        notify: () => server.server.notification(NEWS),
      };
    }),
};
