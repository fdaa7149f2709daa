/**
 * A handler as a module's default export, for `bun` and `deno serve`, which start a server around it.
 *
 * @module
 */
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { testTools } from "./tools.ts";

const handler: McpHandler = createMcpHandler(testTools(), { sessions: false, path: "/mcp" });

export default handler;
