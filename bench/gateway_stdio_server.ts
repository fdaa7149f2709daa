/**
 * The server behind gateways, as a program.
 *
 * @module
 */
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { upstreamServer } from "./gateway_tools.ts";

await upstreamServer().connect(new StdioServerTransport());
