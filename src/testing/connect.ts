/**
 * Connects an in-process client to a handler.
 *
 * @module
 */
import { type Era, isVersion, VERSIONS } from "../protocol/versions.ts";
import { TestClient } from "./client.ts";
import { Inbox } from "./inbox.ts";
import { capabilitiesOf } from "./questions.ts";
import { connectWithSession } from "./session_wire.ts";
import type { ConnectOptions, RequestHandler } from "./types.ts";
import type { Wire, WireOptions } from "./wire.ts";

/** How each era is spoken; what is missing here, the client can't speak yet. */
const WIRES: Partial<Record<Era, (options: WireOptions) => Promise<Wire>>> = {
  "2025": connectWithSession,
};

/**
 * Connects a client to a handler in the same process: no port, no network, no fixed waits. Every wait
 * comes to an end, so that a test fails instead of hanging.
 *
 * @example A tool
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("hello", { description: "Greets." }, () => "Hello!");
 *
 * await using handler = createMcpHandler(server);
 * await using client = await connect(handler);
 * const { content } = await client.callTool("hello");
 * console.assert(content[0]?.type === "text" && content[0].text === "Hello!");
 * ```
 *
 * @example A tool that asks the user
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("colour", { description: "Asks." }, async (_args, ctx) => {
 *   const { action } = await ctx.elicit("colour", {
 *     message: "Which colour?",
 *     schema: { type: "object", properties: { colour: { type: "string" } } },
 *   });
 *   return action;
 * });
 *
 * await using handler = createMcpHandler(server);
 * await using client = await connect(handler, {
 *   onElicit: () => ({ action: "accept", content: { colour: "green" } }),
 * });
 * const { content } = await client.callTool("colour");
 * console.assert(content[0]?.type === "text" && content[0].text === "accept");
 * ```
 *
 * @param handler What is tested: any function from `Request` to `Response`
 * @throws {RefusedError} If the server turns the handshake away
 * @throws {McpError} If the server answers the handshake with an error
 * @throws {RangeError} If the client can't speak the version yet
 */
export async function connect(
  handler: RequestHandler,
  options: ConnectOptions = {},
): Promise<TestClient> {
  const {
    url = "http://localhost/mcp",
    headers = {},
    protocolVersion = "2025-11-25",
    clientInfo = { name: "mooring-testing", version: "1.0.0" },
    accept = "application/json, text/event-stream",
    listen = /text\/event-stream|\*\/\*/i.test(accept),
    timeoutMs = 30_000,
    maxRetryMs = 50,
    onNotification,
  } = options;
  // A version that nobody knows is proposed in a handshake: what the server says to it is tested.
  const era = isVersion(protocolVersion) ? VERSIONS[protocolVersion].era : "2025";
  const open = WIRES[era];
  if (open === undefined) {
    throw new RangeError(`Propose a version that the client can speak: ${protocolVersion}`);
  }
  const inbox = new Inbox();
  const wire = await open({
    handler,
    url: String(url),
    headers,
    protocolVersion,
    capabilities: capabilitiesOf(options, options.capabilities),
    clientInfo,
    accept,
    answers: options,
    listen,
    timeoutMs,
    maxRetryMs,
    notified(notification) {
      inbox.push(notification);
      onNotification?.(notification);
    },
  });
  return new TestClient(wire, inbox, timeoutMs);
}
