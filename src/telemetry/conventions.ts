/**
 * Holds OpenTelemetry's semantic conventions for MCP as data: the names, units and buckets of metrics, and
 * the names of attributes. Facts from `model/mcp/` and `docs/gen-ai/mcp.md` of
 * `open-telemetry/semantic-conventions-genai`, whose status is "development".
 *
 * @module
 */

/** Names the attributes of spans and metrics. */
export const Attribute = {
  /** Names the method of the request. */
  Method: "mcp.method.name",
  /** Gives the protocol version of the request. */
  ProtocolVersion: "mcp.protocol.version",
  /** Identifies the session. Only spans have it, and never those of 2026-07-28. */
  SessionId: "mcp.session.id",
  /** Gives the URI that a request is about. Only spans have it. */
  ResourceUri: "mcp.resource.uri",
  /** Names the tool that is called. */
  Tool: "gen_ai.tool.name",
  /** Says `execute_tool` for calls of tools. */
  Operation: "gen_ai.operation.name",
  /** Names the prompt that is read. */
  Prompt: "gen_ai.prompt.name",
  /** Holds the arguments of a tool's call as JSON. Only on request. */
  ToolArguments: "gen_ai.tool.call.arguments",
  /** Holds the result of a tool's call as JSON. Only on request. */
  ToolResult: "gen_ai.tool.call.result",
  /** Says why an operation failed. Absent if it didn't. */
  ErrorType: "error.type",
  /** Gives the code of a JSON-RPC error. */
  StatusCode: "rpc.response.status_code",
  /** Gives the request's id as a text. Only spans have it. */
  RequestId: "jsonrpc.request.id",
  /** Names the transport: `tcp` for HTTP, `pipe` for a program. */
  Transport: "network.transport",
  /** Names the protocol over it: `http`. */
  Protocol: "network.protocol.name",
  /** Names the gateway's upstream, which the conventions have no attribute for. */
  Upstream: "mooring.upstream",
} as const;

/** Lists the upper bounds of the buckets of all four histograms, in seconds. */
export const DURATION_BUCKETS: readonly number[] = [
  ...[0.01, 0.02, 0.05, 0.1, 0.2, 0.5],
  ...[1, 2, 5, 10, 30, 60, 120, 300],
];

/** Describes a histogram of durations. */
export interface DurationMetric {
  /** Its name, with dots. */
  readonly name: string;
  /** Its unit: seconds. */
  readonly unit: "s";
  /** What it measures, for people. */
  readonly description: string;
}

/** Holds the histograms. */
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
