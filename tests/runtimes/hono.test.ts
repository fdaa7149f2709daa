/**
 * A handler in a Hono app, on the runtime's own server.
 *
 * @module
 */
import { getRequestListener } from "@hono/node-server";
import { Hono } from "hono";
import { mcp } from "../../src/adapters/hono.ts";
import { handlerGroups } from "./cases.ts";
import { plainServe } from "./plain.ts";
import { runCases } from "./run_cases.ts";
import { runtime } from "./runtime.ts";

const serve = plainServe((handler) => {
  const app = new Hono();
  app.all("/mcp", mcp(handler));
  return (request, context) => app.fetch(request, context as object);
}, (answer) => getRequestListener(answer, { overrideGlobalObjects: false }));

runCases(`Hono on ${runtime}`, serve, [...handlerGroups]);
