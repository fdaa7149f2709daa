/**
 * Connects an in-process client to a handler.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import type {
  Client,
  ClientCapabilities,
  CreateMessageResult,
  ElicitResult,
  Implementation,
} from "@modelcontextprotocol/client";
import { TestClient } from "./client.ts";
import { Inbox } from "./inbox.ts";
import { HandlerTransport } from "./transport.ts";
import type { ConnectOptions, RequestHandler } from "./types.ts";
import { within } from "./wait.ts";
import { official } from "./official.ts";

/** The first version without `initialize`. Versions are dates, so that they compare as texts. */
const FIRST_MODERN_VERSION = "2026-07-28";

/**
 * Connects a client to a handler in the same process: no port, no network. Every wait is bounded, so
 * that a test fails instead of hanging.
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
 * @example A tool that asks the user, in both eras
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
 * for (const protocolVersion of ["2025-11-25", "2026-07-28"]) {
 *   await using client = await connect(handler, {
 *     protocolVersion,
 *     onElicit: () => ({ action: "accept", content: { colour: "green" } }),
 *   });
 *   const { content } = await client.callTool("colour");
 *   console.assert(content[0]?.type === "text" && content[0].text === "accept");
 * }
 * ```
 *
 * @example A client that knows the tools: their names, arguments and data
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const tools = {
 *   add: server.registerTool("add", {
 *     inputSchema: z.object({ a: z.number(), b: z.number() }),
 *     outputSchema: z.object({ sum: z.number() }),
 *   }, ({ a, b }) => ({ structuredContent: { sum: a + b } })),
 * };
 *
 * await using handler = createMcpHandler(server);
 * await using client = await connect<typeof tools>(handler);
 * const { structuredContent } = await client.callTool("add", { a: 1, b: 2 });
 * console.assert(structuredContent?.sum === 3);
 * ```
 *
 * @typeParam Tools The handles that `registerTool` returned, as members of any type: of an object, a
 * tuple, or a module that exports them (`typeof import("./server.ts")`). Without it the client takes any
 * name and arguments
 * @param handler Any function from `Request` to `Response`
 * @throws {RefusedError} If the server refuses a request of the handshake
 * @throws {McpError} If the server answers the handshake with an error
 * @throws {DOMException} A `TimeoutError` if the handshake takes longer than `timeoutMs`
 * @throws {SdkError} If the server doesn't offer the version, or breaks the protocol
 */
export async function connect<Tools = unknown>(
  handler: RequestHandler,
  options: ConnectOptions = {},
): Promise<TestClient<Tools>> {
  checkNames("connect()", options, {
    url: true,
    headers: true,
    protocolVersion: true,
    capabilities: true,
    clientInfo: true,
    accept: true,
    onElicit: true,
    onSample: true,
    onRoots: true,
    onNotification: true,
    listen: true,
    timeoutMs: true,
    maxRetryMs: true,
  });
  const {
    url = "http://localhost/mcp",
    headers = {},
    protocolVersion = "2025-11-25",
    accept = "application/json, text/event-stream",
    listen = /text\/event-stream|\*\/\*/i.test(accept),
    timeoutMs = 30_000,
    maxRetryMs = 50,
    onNotification,
  } = options;
  const inbox = new Inbox();
  const client = officialClient(protocolVersion, options);
  const transport = new HandlerTransport({
    handler,
    url: new URL(url),
    headers,
    accept,
    listen,
    maxRetryMs,
    onNotification(notification) {
      inbox.push(notification);
      onNotification?.(notification);
    },
  });
  try {
    await within(client.connect(transport), timeoutMs, "answer to the handshake");
    const opened = client.getProtocolEra() === "legacy"
      ? transport.http.opened
      : listen && listenForChanges(client);
    await within(Promise.resolve(opened), timeoutMs, "response to the stream's request");
    return new TestClient(client, transport, inbox, timeoutMs);
  } catch (error) {
    await transport.end().catch(() => {});
    // The negotiation of 2026-07-28 wraps what the transport throws.
    throw error instanceof official.SdkError && error.cause instanceof Error ? error.cause : error;
  }
}

/** Creates the official client. Its own types are stricter than ours; it checks every value itself. */
function officialClient(protocolVersion: string, options: ConnectOptions): Client {
  const { clientInfo = { name: "mooring-testing", version: "1.0.0" } } = options;
  const { onElicit, onSample, onRoots } = options;
  const capabilities: ClientCapabilities = {
    ...onElicit && { elicitation: { form: {}, url: {} } },
    ...onSample && { sampling: {} },
    ...onRoots && { roots: {} },
    ...options.capabilities as ClientCapabilities,
  };
  const modern = protocolVersion >= FIRST_MODERN_VERSION;
  const client = new official.Client(clientInfo as Implementation, {
    capabilities,
    // An unknown version is proposed too, so that tests can check the server's response.
    supportedProtocolVersions: [protocolVersion, ...official.SUPPORTED_PROTOCOL_VERSIONS],
    versionNegotiation: { mode: modern ? { pin: protocolVersion } : "legacy" },
  });
  if (onElicit) {
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      return await onElicit(params) as ElicitResult;
    });
  }
  if (onSample) {
    client.setRequestHandler("sampling/createMessage", async ({ params }) => {
      return await onSample(params) as CreateMessageResult;
    });
  }
  if (onRoots) {
    client.setRequestHandler("roots/list", async () => ({ roots: [...await onRoots()] }));
  }
  return client;
}

/** Subscribes to every `list_changed` notification that the server declares. */
async function listenForChanges(client: Client): Promise<void> {
  const { tools, prompts, resources } = client.getServerCapabilities() ?? {};
  const filter = {
    ...tools?.listChanged && { toolsListChanged: true },
    ...prompts?.listChanged && { promptsListChanged: true },
    ...resources?.listChanged && { resourcesListChanged: true },
  };
  if (Object.keys(filter).length > 0) await client.listen(filter);
}
