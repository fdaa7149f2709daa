/**
 * What clients send: bodies, headers, principals.
 *
 * @module
 */
import { PROGRESS } from "./kinds.ts";

/** Where requests go to when nobody listens. */
export const ENDPOINT = "http://127.0.0.1/mcp";

/** Somebody who sends requests. */
export interface Sender {
  readonly id: string;
  /** The Authorization header. */
  readonly authorization: string;
}

/** Those who send requests, in turn. */
export const PRINCIPALS: readonly Sender[] = Array.from({ length: 1000 }, (_, i) => ({
  id: `user-${i}`,
  authorization: `Bearer token-of-user-${i}`,
}));

const CLIENT = { name: "bench", version: "1.0.0" };
const BOTH = "application/json, text/event-stream";

/** The body of an `initialize`: bodies with different numbers differ. */
export function initializeOf(n: number): string {
  return request("initialize", {
    protocolVersion: "2025-11-25",
    capabilities: { roots: {}, sampling: {} },
    clientInfo: { ...CLIENT, version: `1.0.${n}` },
  });
}

/** The body of `initialize`. */
export const INITIALIZE = initializeOf(0);

/** The body of `notifications/initialized`. */
export const INITIALIZED = JSON.stringify({
  jsonrpc: "2.0",
  method: "notifications/initialized",
});

/** The body of a `tools/call` that adds 2 and 3. */
export const CALL = request("tools/call", { name: "add", arguments: { a: 2, b: 3 } });

/** The body of a `tools/call` that reports progress. */
export const COUNTING = request("tools/call", {
  name: "count",
  arguments: { steps: PROGRESS },
  _meta: { progressToken: "token-1" },
});

/** The body of `tools/list`. */
export const LIST = request("tools/list", {});

const MODERN_META = {
  "io.modelcontextprotocol/protocolVersion": "2026-07-28",
  "io.modelcontextprotocol/clientInfo": CLIENT,
  "io.modelcontextprotocol/clientCapabilities": {},
};

/** The body of a `tools/call` of 2026-07-28 that adds 2 and 3. */
export const MODERN_CALL = request("tools/call", {
  name: "add",
  arguments: { a: 2, b: 3 },
  _meta: MODERN_META,
});

/** Returns the headers that only requests of 2026-07-28 have, for a call of a tool. */
export function modernHeaders(tool: string): Record<string, string> {
  return {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": tool,
  };
}

/** A session, as its client knows it. */
export interface Session {
  readonly id: string;
  readonly version: string;
}

/** Headers that only requests in a session have. */
export function sessionHeaders({ id, version }: Session): Record<string, string> {
  return { "mcp-session-id": id, "mcp-protocol-version": version };
}

/** A POST, with the headers that real clients send. */
export function post(
  body: string,
  sender: Sender,
  { accept = BOTH, ...more }: Record<string, string> = {},
): RequestInit {
  const headers = {
    host: new URL(ENDPOINT).host,
    "user-agent": "bench",
    "content-type": "application/json",
    "content-length": `${new TextEncoder().encode(body).byteLength}`,
    accept,
    authorization: sender.authorization,
    ...more,
  };
  return { method: "POST", headers, body };
}

/** The GET that opens a session's stream. */
export function get(session: Session, sender: Sender): RequestInit {
  const headers = {
    host: new URL(ENDPOINT).host,
    accept: "text/event-stream",
    authorization: sender.authorization,
    ...sessionHeaders(session),
  };
  return { method: "GET", headers };
}

/** A tool, and arguments for it. */
export interface ToolCall {
  readonly name: string;
  readonly arguments: Readonly<Record<string, unknown>>;
  /** The argument that is another number in each call. */
  readonly varies?: string;
  /** Whether progress is asked for. */
  readonly progress?: true;
}

/** Returns the body of the n-th call of a tool: ids differ, and the argument that varies. */
export function callOf(
  { name, arguments: args, varies, progress }: ToolCall,
  n: number,
  modern = false,
): string {
  const params = { name, arguments: varies === undefined ? args : { ...args, [varies]: n } };
  const meta = { ...modern && MODERN_META, ...progress && { progressToken: n } };
  return request("tools/call", modern || progress ? { ...params, _meta: meta } : params, n);
}

/** Returns the body of a request. */
export function request(method: string, params: unknown, id = 1): string {
  return JSON.stringify({ jsonrpc: "2.0", id, method, params });
}
