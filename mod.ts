/**
 * Serves MCP on the open internet, on Deno, Bun, Node and every other host with `Request` and `Response`.
 *
 * How a call is answered begins in `handler/handler.ts`.
 *
 * An {@linkcode McpServer} has tools, resources and prompts. {@linkcode createMcpHandler} creates its
 * endpoint: a function from `Request` to `Promise<Response>`, for `Deno.serve`, `Bun.serve`, a Hono app
 * or, with `@mooring/mcp/node`, Node.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { z } from "zod";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 *
 * server.registerTool("add", {
 *   description: "Adds two numbers.",
 *   inputSchema: z.object({ a: z.number(), b: z.number() }),
 *   outputSchema: z.object({ sum: z.number() }),
 * }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
 *
 * const handler = createMcpHandler(server, {
 *   authenticate: (request) => ({ id: "alice" }),
 *   allowedOrigins: ["https://app.example"],
 * });
 *
 * const listener = Deno.serve({ port: 0, onListen() {} }, handler);
 *
 * await handler.close();
 * await listener.shutdown();
 * ```
 *
 * The handler adds what every public endpoint needs. A session belongs to the {@linkcode Principal} that
 * began it: for other principals its id is unknown, for every HTTP method. A stream outlives its
 * connection: a client that reconnects with `Last-Event-ID` misses nothing. A cancelled request stops:
 * `ctx.signal` aborts with a {@linkcode StopError}. Everything has a limit, which
 * {@linkcode McpHandlerOptions} can change.
 *
 * Besides its arguments, a tool gets a {@linkcode RequestContext} to report progress, to log, and to ask
 * the user or the client's model.
 *
 * @example Testing a server without a port or a network
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("wait", { description: "Takes its time." }, async (_args, ctx) => {
 *   for (const done of [1, 2, 3]) ctx.progress(done, 3);
 *   return `Waited for ${ctx.principal.id}`;
 * });
 *
 * await using handler = createMcpHandler(server, { authenticate: () => ({ id: "alice" }) });
 * await using client = await connect(handler);
 * const { content } = await client.callTool("wait");
 * console.assert(content[0]?.type === "text" && content[0].text === "Waited for alice");
 * ```
 *
 * @module
 */
export { Forbidden, Unauthorized, Unavailable } from "./src/auth/errors.ts";
export { addressKey } from "./src/http/gates/address_key.ts";
export { tokenBucket } from "./src/http/gates/token_bucket.ts";
export { createMcpHandler } from "./src/handler/handler.ts";
export {
  ErrorCode,
  McpError,
  MissingCapabilityError,
  MissingScopesError,
  QuestionError,
} from "./src/protocol/errors.ts";
export { LOG_LEVELS } from "./src/protocol/shapes.ts";
export { onToolCall } from "./src/calls/middleware/on_tool_call.ts";
export { StopError } from "./src/calls/lifetime/stop.ts";
export { completable } from "./src/server/schemas/completable.ts";
export { ResourceTemplate } from "./src/server/uris/resource_template.ts";
export { fromJsonSchema } from "./src/server/schemas/from_json_schema.ts";
export { McpServer } from "./src/server/server.ts";
export { audioContent, embeddedFile, imageContent } from "./src/server/content.ts";
export { withJsonSchema } from "./src/server/schemas/standard_schema.ts";
export { ToolError } from "./src/server/tool_error.ts";
export { UriTemplate } from "./src/server/uris/uri_template.ts";

export type { ForbiddenOptions, UnauthorizedOptions } from "./src/auth/errors.ts";
export type { ProtectedResource } from "./src/auth/protected_resource.ts";
export type { ServerCard } from "./src/discovery/server_card.ts";
export type { Store } from "./src/cluster/types.ts";
export type { TokenBucketOptions, TokenBucketStore } from "./src/http/gates/token_bucket.ts";
export type { RateLimitDecision, RateLimiter } from "./src/http/gates/rate_limit.ts";
export type { GateLimits, GateOptions, RequiredHeader } from "./src/http/gates/options.ts";
export type { HostRequest, RequestHead, RequestSource } from "./src/http/inbound.ts";
export type { Reply, ReplyBody, ReplyHeaders } from "./src/http/reply.ts";
export type { Authorize, AuthorizeMessage } from "./src/auth/authorize.ts";
export type {
  AccessOptions,
  ClusterOptions,
  EventOptions,
  HandlerLimits,
  HandlerSessions,
  HandlerStats,
  McpHandler,
  McpHandlerOptions,
  RequestOptions,
  SessionOptions,
  StreamOptions,
  UserStateOptions,
} from "./src/handler/types.ts";
export type { LongCallOptions } from "./src/long_calls/options.ts";
export type { Clock } from "./src/internal/clock.ts";
export type { MaybePromise } from "./src/internal/types.ts";
export type {
  Annotations,
  AudioContent,
  BaseContent,
  ContentBlock,
  EmbeddedResource,
  Icon,
  ImageContent,
  PromptMessage,
  ResourceContents,
  ResourceLink,
  Role,
  TextContent,
} from "./src/protocol/content.ts";
export type {
  ActSubject,
  ApprovalAnswer,
  ClientProgram,
  McpEvent,
  MessageProblem,
  OperatorActKind,
  RefusalReason,
  RequestFacts,
  RequestOutcome,
  SessionEndReason,
  StreamCloseReason,
  UpstreamCloseReason,
  UpstreamLimit,
} from "./src/protocol/events.ts";
export type {
  ClientFacts,
  Dispatcher,
  DispatcherHost,
  Exchange,
  ExchangeSession,
  ExchangeUser,
  HostPeers,
  LimitStatus,
  ListenExchange,
  Notification,
  NotificationExchange,
  Principal,
  SessionState,
  SharedDocumentHandle,
  UpstreamControl,
  UpstreamStatus,
  UserState,
} from "./src/protocol/exchange.ts";
export type { Chain, Middleware, Next, Passage } from "./src/protocol/middleware.ts";
export type { RequestMessage, RequestTarget, Route } from "./src/protocol/route.ts";
export type {
  NextToolCall,
  ToolOutcome,
  ToolRequest,
  ToolRequestChanges,
} from "./src/calls/middleware/on_tool_call.ts";
export type { HeaderParam } from "./src/protocol/headers.ts";
export type { Hidden, ItemMethod } from "./src/protocol/items.ts";
export type {
  JsonObject,
  JsonRpcError,
  JsonRpcResponse,
  RequestId,
} from "./src/protocol/jsonrpc.ts";
export type {
  CallToolResult,
  ClientCapabilities,
  CreateMessageParams,
  CreateMessageResult,
  ElicitResult,
  GetPromptResult,
  Implementation,
  LogLevel,
  ReadResourceResult,
  Root,
  ServerCapabilities,
  ToolAnnotations,
} from "./src/protocol/shapes.ts";
export type { Era, ProtocolVersion } from "./src/protocol/versions.ts";
export type { StopKind } from "./src/calls/lifetime/stop.ts";
export type { Approval } from "./src/server/questions/approval.ts";
export type { Extension } from "./src/server/extension.ts";
export type { FeatureMethod } from "./src/server/features/feature.ts";
export type { BinaryContent } from "./src/server/content.ts";
export type { CacheHint } from "./src/server/cache_hint.ts";
export type { PromptChanges, PromptConfig, PromptHandle } from "./src/server/features/prompts.ts";
export type {
  ListedTemplateResource,
  ResourceTemplateOptions,
  VariableName,
} from "./src/server/uris/resource_template.ts";
export type { HandlerQuestions } from "./src/server/questions/questions.ts";
export type {
  ResourceChanges,
  ResourceConfig,
  ResourceHandle,
} from "./src/server/features/resources.ts";
export type { McpServerOptions, ReadHandlerFor } from "./src/server/server.ts";
export type {
  JsonSchemaFields,
  JsonSchemaType,
  JsonSchemaTypes,
} from "./src/server/schemas/json_schema_type.ts";
export type {
  InferInput,
  InferOutput,
  JsonSchema,
  OptionalFields,
  Schema,
  Shape,
  StandardConverter,
  StandardIssue,
  StandardProps,
  StandardResult,
  StandardSchema,
} from "./src/server/schemas/standard_schema.ts";
export type { TaskSupport, ToolTask } from "./src/server/tool_task.ts";
export type {
  InputTypes,
  OutputTypes,
  ToolCall,
  ToolChanges,
  ToolConfig,
  ToolHandle,
} from "./src/server/features/tools.ts";
export type {
  AnyData,
  ArgumentsOf,
  Completer,
  Contents,
  ContextSession,
  ContextUser,
  DataOf,
  Elicit,
  ErrorResult,
  FormAnswer,
  FreeToolReturn,
  Handle,
  NoArguments,
  PromptHandler,
  PromptReturn,
  ReadHandler,
  ReadReturn,
  ReadTemplateHandler,
  RequestContext,
  StructuredResult,
  ToolHandler,
  ToolReturn,
} from "./src/server/types.ts";
export type {
  ExpressionNames,
  TemplateNames,
  TemplateVariables,
  Variables,
} from "./src/server/uris/template_variables.ts";
