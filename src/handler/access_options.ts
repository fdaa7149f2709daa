/**
 * The options of a handler that say who may do what.
 *
 * @module
 */
import type { MaybePromise } from "../internal/types.ts";
import type { Principal } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { ProtectedResource } from "../auth/protected_resource.ts";
import type { RateLimiter } from "../http/gates/types.ts";

/** A request, as far as it matters to who may make it. */
export interface AuthorizeMessage {
  /** Its method. */
  readonly method: string;
  /** Its parameters; an empty object when there were none. */
  readonly params: JsonObject;
}

/**
 * Says whether a principal may make a request: `true` or `false`. It may throw `Forbidden`, whose
 * scopes the client can ask its user for, or `Unauthorized`. Whatever else it throws fails the request
 * with "Internal error".
 */
export type Authorize = (
  principal: Principal,
  message: AuthorizeMessage,
) => MaybePromise<boolean>;

/** The options of a handler that say who may do what. */
export interface AccessOptions {
  /**
   * Tells who sends a request: returns a principal, or throws `Unauthorized` or `Forbidden`. Called
   * for POST, GET and DELETE alike. Without it everybody is one anonymous principal. For tokens of an
   * authorization server take `jwt` or `introspection` of `@mooring/mcp/auth`.
   */
  readonly authenticate?: (request: Request, context: unknown) => MaybePromise<Principal>;
  /**
   * Says whether a principal may make a request. What it refuses isn't there for that principal: the
   * answer is that of an unknown tool, or of an unknown method, and `tools/list` leaves the tool out.
   * For that it is asked about each tool, with the name alone: `{ method: "tools/call", params: {
   * name } }`, so it had better not decide by the arguments. It isn't asked about notifications and
   * replies. Everything is allowed when left out.
   *
   * @example
   * ```ts
   * import { createMcpHandler, McpServer } from "@mooring/mcp";
   * import { connect } from "@mooring/mcp/testing";
   *
   * const server = new McpServer({ name: "demo", version: "1.0.0" });
   * server.registerTool("look", {}, () => "Looked");
   * server.registerTool("purge", {}, () => "Purged");
   *
   * await using handler = createMcpHandler(server, {
   *   authenticate: () => ({ id: "ada", scopes: ["user"] }),
   *   authorize: ({ scopes }, { method, params }) =>
   *     method !== "tools/call" || params.name !== "purge" || scopes?.includes("admin") === true,
   * });
   * await using client = await connect(handler);
   * const tools = await client.listTools();
   * console.assert(tools.length === 1 && tools[0]?.name === "look");
   * ```
   */
  readonly authorize?: Authorize;
  /**
   * Asked about each request once `authenticate` has said who sends it, on every verb; a refusal is a
   * 429. A batch is one request. `tokenBucket` makes one: `key` gets the principal.
   */
  readonly principalRateLimit?: RateLimiter;
  /**
   * Where clients get tokens: made by `protectedResource` of `@mooring/mcp/auth`. It is served at its
   * well-known path, before anything else is looked at, and named in every challenge.
   */
  readonly resource?: ProtectedResource;
}
