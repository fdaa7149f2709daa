/**
 * Types of the official SDK 1.x, whose package points its `*.js` subpaths at declaration files that
 * don't exist (`mcp.js.d.ts`). The same subpaths without the ending have theirs.
 *
 * @module
 */
declare module "@modelcontextprotocol/sdk/client/index.js" {
  export * from "@modelcontextprotocol/sdk/client/index";
}
declare module "@modelcontextprotocol/sdk/client/streamableHttp.js" {
  export * from "@modelcontextprotocol/sdk/client/streamableHttp";
}
declare module "@modelcontextprotocol/sdk/server/completable.js" {
  export * from "@modelcontextprotocol/sdk/server/completable";
}
declare module "@modelcontextprotocol/sdk/server/mcp.js" {
  export * from "@modelcontextprotocol/sdk/server/mcp";
}
declare module "@modelcontextprotocol/sdk/server/stdio.js" {
  export * from "@modelcontextprotocol/sdk/server/stdio";
}
declare module "@modelcontextprotocol/sdk/server/streamableHttp.js" {
  export * from "@modelcontextprotocol/sdk/server/streamableHttp";
}
declare module "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js" {
  export * from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp";
}
declare module "@modelcontextprotocol/sdk/shared/protocol.js" {
  export * from "@modelcontextprotocol/sdk/shared/protocol";
}
declare module "@modelcontextprotocol/sdk/types.js" {
  export * from "@modelcontextprotocol/sdk/types";
}
