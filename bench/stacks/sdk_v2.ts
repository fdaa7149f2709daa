/**
 * The official SDK, version 2, as it serves 2026-07-28: a server for each request.
 *
 * @module
 */
import { createMcpHandler } from "@modelcontextprotocol/server";
import { sdk2Server } from "./sdk_v2_sessions.ts";
import type { StackModule } from "./types.ts";

/** `@modelcontextprotocol/server`, `createMcpHandler`. */
export const sdkV2: StackModule = {
  title: "SDK v2",
  kinds: ["modern"],
  make(init) {
    const handler = createMcpHandler(() => sdk2Server(init));
    return { answer: (request) => handler.fetch(request) };
  },
};
