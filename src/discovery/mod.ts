/**
 * Lets clients and registries find a server: its server card, and `server.json` for the MCP registry.
 *
 * {@linkcode serverJson} creates what a registry publishes. {@linkcode serverCard}, which is
 * experimental, creates what the endpoint itself says to clients before they connect.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { serverCard, serverJson } from "@mooring/mcp/discovery";
 *
 * const server = new McpServer({ name: "library", version: "1.0.0" });
 * const about = { name: "com.example/library", description: "Finds and lends books." };
 * const url = "https://api.example.com/mcp";
 * const json = serverJson(server.serverInfo, { ...about, remotes: [{ url }] });
 * const card = serverCard(server.serverInfo, { ...about, url });
 * console.assert(json.version === "1.0.0" && card.card.version === "1.0.0");
 * console.assert(card.url === "https://api.example.com/mcp/server-card");
 * ```
 *
 * @module
 */
export { serverCard } from "./server_card.ts";
export { serverJson } from "./server_json.ts";

export type { RequestHead, RequestSource } from "../http/inbound.ts";
export type { Reply, ReplyBody, ReplyHeaders } from "../http/reply.ts";
export type { Icon } from "../protocol/content.ts";
export type { JsonObject } from "../protocol/jsonrpc.ts";
export type { Implementation } from "../protocol/shapes.ts";
export type { ProtocolVersion } from "../protocol/versions.ts";
export type { InputValue, NamedInput, PublicInfo, Repository } from "./public_info.ts";
export type { ServerCard, ServerCardOptions } from "./server_card.ts";
export type { Package, PackageArgument, Remote, ServerJsonOptions } from "./server_json.ts";
