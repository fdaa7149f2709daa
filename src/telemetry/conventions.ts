/**
 * Holds OpenTelemetry's semantic conventions for MCP as data: the names, units and buckets of metrics, and
 * the names of attributes. Facts from `model/mcp/` and `docs/gen-ai/mcp.md` of
 * `open-telemetry/semantic-conventions-genai`, whose status is "development".
 *
 * @module
 */

/** The attributes of spans and metrics. */
export const Attribute = {
  /** The method of the request. */
  Method: "mcp.method.name",
  /** The protocol version of the request. */
  ProtocolVersion: "mcp.protocol.version",
  /** Identifies the session. Only spans have it, and never those of 2026-07-28. */
  SessionId: "mcp.session.id",
  /** The URI that a request is about. Only spans have it. */
  ResourceUri: "mcp.resource.uri",
  /** The name of the tool that is called. */
  Tool: "gen_ai.tool.name",
  /** Says `execute_tool` for calls of tools. */
  Operation: "gen_ai.operation.name",
  /** The name of the prompt that is read. */
  Prompt: "gen_ai.prompt.name",
  /** The arguments of a tool's call as JSON. Only on request. */
  ToolArguments: "gen_ai.tool.call.arguments",
  /** The result of a tool's call as JSON. Only on request. */
  ToolResult: "gen_ai.tool.call.result",
  /** Why an operation failed. Absent if it didn't. */
  ErrorType: "error.type",
  /** The code of a JSON-RPC error. */
  StatusCode: "rpc.response.status_code",
  /** The request's id as a text. Only spans have it. */
  RequestId: "jsonrpc.request.id",
  /** The transport: `tcp` for HTTP, `pipe` for a program. */
  Transport: "network.transport",
  /** The protocol over it: `http`. */
  Protocol: "network.protocol.name",
  /** The name of the gateway's upstream, which the conventions have no attribute for. */
  Upstream: "mooring.upstream",
  /** Whether the gateway had kept the result. Only spans have it. */
  Cached: "mooring.cached",
  /** Whether the answer is that of an earlier call with the same key. Only spans have it. */
  Repeated: "mooring.repeated",
} as const;

/** The upper bounds of the buckets of all four histograms, in seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  ...[0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  ...[1, 2, 5, 10, 30, 60, 120, 300],
];

/** A histogram of durations. */
export interface DurationMetric {
  /** Its name, with dots. */
  readonly name: string;
  /** Its unit: seconds. */
  readonly unit: "s";
  /** What it measures, for people. */
  readonly description: string;
}

/** The histograms. */
export const DurationMetrics = {
  /** Requests of clients, as the endpoint sees them. */
  ServerOperation: {
    name: "mcp.server.operation.duration",
    unit: "s",
    description: "Time from receiving an MCP request to its result",
  },
  /** Requests to upstreams, as the gateway sees them. */
  ClientOperation: {
    name: "mcp.client.operation.duration",
    unit: "s",
    description: "Time from sending an MCP request to an upstream to its result",
  },
  /** Sessions of clients. */
  ServerSession: {
    name: "mcp.server.session.duration",
    unit: "s",
    description: "Time from the start of a client's session to its end",
  },
  /** Sessions with upstreams. */
  ClientSession: {
    name: "mcp.client.session.duration",
    unit: "s",
    description: "Time from the start of a session with an upstream to its end",
  },
} as const satisfies Record<string, DurationMetric>;

/** The value of {@linkcode Attribute.ErrorType} for a result with `isError`. */
export const TOOL_ERROR = "tool_error";

/** The value for what isn't in a list of known names, so that clients can't add values at will. */
export const OTHER = "_OTHER";

/**
 * JSON-RPC error codes that say that the request was wrong. For a server they are no errors of its own;
 * every other code is. For a client every code is an error.
 */
export const CALLER_ERRORS: ReadonlySet<number> = new Set([
  -32_700, // Parse error
  -32_600, // Invalid request
  -32_601, // Method not found
  -32_602, // Invalid params, also for an unknown tool
  -32_002, // Resource not found
]);
