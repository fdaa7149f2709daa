/**
 * An endpoint in a Fastify app that has its own routes and users.
 *
 *     npm install @mooring/mcp zod fastify
 *     node fastify.ts
 *
 * @module
 */
import type { IncomingMessage } from "node:http";
import process from "node:process";
import { parseArgs } from "node:util";
import { createMcpHandler, type Principal } from "@mooring/mcp";
import { fromNode, toNodeHandler } from "@mooring/mcp/node";
import fastify from "fastify";
import { server } from "./server.ts";

interface AppRequest extends IncomingMessage {
  user?: Principal;
}

const keys = new Map([[process.env.API_KEY ?? "demo-key", { id: "ada" }]]);

/** The endpoint. */
export const handler = createMcpHandler(server, {
  authenticate: fromNode(({ user }: AppRequest) => user),
  allowedHosts: ["127.0.0.1", "localhost"],
});
const mcp = toNodeHandler(handler);

/** The app. */
export const app = fastify({ routerOptions: { ignoreTrailingSlash: true } });
app.get("/", () => "The endpoint is at /mcp");

app.register((scope) => {
  // In this scope Fastify doesn't read bodies: Mooring does, within its own limits.
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("*", (_request, _payload, done) => done(null));
  scope.all("/mcp", (request, reply) => {
    const raw: AppRequest = request.raw;
    raw.user = keys.get(String(request.headers["x-api-key"]));
    reply.hijack();
    mcp(raw, reply.raw);
  });
});
// Fastify waits for open connections when it closes: end the streams first.
app.addHook("preClose", () => handler.close());

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const url = await app.listen({ port: Number(values.port), host: "127.0.0.1" });
  console.log(`Listening at ${url}/mcp`);
  process.once("SIGTERM", () => void app.close());
}
