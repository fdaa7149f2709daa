/**
 * An endpoint in an Express app that parses and compresses, and has its own routes and users.
 *
 *     npm install @mooring/mcp zod express compression
 *     node express.ts
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { createMcpHandler, type Principal } from "@mooring/mcp";
import { fromNode, toNodeHandler } from "@mooring/mcp/node";
import compression from "compression";
import express, { type Request } from "express";
import { server } from "./server.ts";

interface AppRequest extends Request {
  user?: Principal;
}

const keys = new Map([[process.env.API_KEY ?? "demo-key", { id: "ada" }]]);

/** The endpoint. */
export const handler = createMcpHandler(server, {
  path: "/api/mcp",
  authenticate: fromNode((request: AppRequest) => request.user),
  allowedHosts: ["127.0.0.1", "localhost"],
});

/** The app. */
export const app = express();
app.use(compression());
app.use(express.json({ limit: "1mb" }));
app.get("/", (_request, response) => void response.send("The endpoint is at /api/mcp"));
app.use((request: AppRequest, _response, next) => {
  request.user = keys.get(request.get("x-api-key") ?? "");
  next();
});
app.use("/api/mcp", toNodeHandler(handler));

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  const listener = app.listen(Number(values.port), "127.0.0.1", () => {
    const address = listener.address();
    const port = typeof address === "object" ? address?.port : undefined;
    console.log(`Listening at http://127.0.0.1:${port}/api/mcp`);
  });
  process.once("SIGTERM", async () => {
    await handler.close();
    listener.close();
  });
}
