// Uses the entry points that need no host, in a project without the types of one.
import { hashedPrincipals } from "@mooring/mcp/audit";
import { bearer } from "@mooring/mcp/auth";
import { serverCard } from "@mooring/mcp/discovery";
import { gateway, http } from "@mooring/mcp/gateway";
import { memoryStore } from "@mooring/mcp/store";
import { tasks } from "@mooring/mcp/tasks";
import { createMcpHandler, McpServer } from "@mooring/mcp";

const server = new McpServer({ name: "demo", version: "1.0.0" });
const handler = createMcpHandler(server, { store: memoryStore() });
const front = gateway();
export const used = [handler, front, http, bearer, tasks, serverCard, hashedPrincipals];
export const closed: PromiseLike<void> = handler[Symbol.asyncDispose]();
