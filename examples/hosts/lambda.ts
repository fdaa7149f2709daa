/**
 * An endpoint on AWS Lambda, behind a function URL whose invoke mode is `RESPONSE_STREAM`. The handler of
 * the function is `lambda.handler`.
 *
 * @module
 */
import { createMcpHandler } from "@mooring/mcp";
import { mcp } from "@mooring/mcp/hono";
import { Hono } from "hono";
import { streamHandle } from "hono/aws-lambda";
import { server } from "./server.ts";

const endpoint = createMcpHandler(server, {
  path: "/mcp",
  // Each instance of a function answers one request at a time: a session would be on one of many.
  sessions: false,
  // Lambda doesn't tell that a client has gone away.
  requests: { maxTimeoutMs: 60_000 },
});

const app = new Hono();
app.all("/mcp", mcp(endpoint));

export const handler = streamHandle(app);
