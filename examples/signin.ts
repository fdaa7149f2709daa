/**
 * A server that users sign in to with an OpenID provider. Set PROVIDER, CLIENT_ID and CLIENT_SECRET to those of
 * a provider at which `http://localhost:8000/signin/callback` is a redirect address. Connect a client to
 * `http://localhost:8000/mcp`.
 *
 * @module
 */
import process from "node:process";
import { createMcpHandler, McpServer } from "@mooring/mcp";
import { oidc, signIn } from "@mooring/mcp/signin";

const { PROVIDER = "https://accounts.google.com", CLIENT_ID = "mooring", CLIENT_SECRET } =
  process.env;
const ORIGIN = "http://localhost:8000";

const front = signIn({
  issuer: ORIGIN,
  resource: `${ORIGIN}/mcp`,
  provider: oidc({
    issuer: PROVIDER,
    clientId: CLIENT_ID,
    ...CLIENT_SECRET !== undefined && { clientSecret: CLIENT_SECRET },
    allowInsecure: true,
  }),
  scopes: { "profile:read": "See your name" },
  // For development: http is let through on loopback.
  allowInsecure: true,
  onEvent: ({ step, outcome, reason }) => console.log(`${step}: ${outcome}, ${reason}`),
});

const server = new McpServer({ name: "signed-in", version: "1.0.0" });
server.registerTool(
  "who_am_i",
  { description: "Says who is signed in" },
  (_args, ctx) => ctx.principal.id,
);

const handler = createMcpHandler(server, {
  path: "/mcp",
  authenticate: front.authenticate,
  resource: front.resource,
});

/** Answers requests of sign-in, and all others with the handler. */
async function fetch(request: Request, context?: unknown): Promise<Response> {
  return (await front.routes(request, context)) ?? await handler(request, context);
}

export default { fetch };
