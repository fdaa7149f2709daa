/**
 * The official clients, connected to a handler in the same process.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Client } from "@modelcontextprotocol/sdk/client";
// The package maps the types of such paths to files that don't exist.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  Client as ClientV2,
  StreamableHTTPClientTransport as TransportV2,
} from "@modelcontextprotocol/client";
import type { McpHandler } from "../../src/handler/types.ts";
import { abortable } from "./abortable.ts";

const URL_OF_HANDLER = new URL("http://localhost/mcp");

/** A client of an official SDK, reduced to what is tested. */
export interface Official {
  list(): Promise<readonly { readonly name: string; readonly outputSchema?: unknown }[]>;
  /** Calls a tool, and returns what the client makes of its result. */
  result(
    name: string,
  ): Promise<{ readonly content?: unknown; readonly structuredContent?: unknown }>;
  /** Calls a tool, and returns its data. */
  call(name: string): Promise<unknown>;
  close(): Promise<void>;
}

async function v1(handler: McpHandler): Promise<Official> {
  const client = new Client({ name: "v1", version: "1.0.0" });
  await client.connect(
    new StreamableHTTPClientTransport(URL_OF_HANDLER, {
      fetch: (url, init) => handler(new Request(url, init)),
    }),
  );
  return {
    list: async () => (await client.listTools()).tools,
    result: async (name) => {
      const { content, structuredContent } = await client.callTool({ name });
      return { content, structuredContent };
    },
    call: async (name) => (await client.callTool({ name })).structuredContent,
    close: () => client.close(),
  };
}

async function v2(handler: McpHandler, mode: "legacy" | "auto"): Promise<Official> {
  const client = new ClientV2({ name: "v2", version: "1.0.0" }, { versionNegotiation: { mode } });
  await client.connect(
    new TransportV2(URL_OF_HANDLER, {
      fetch: abortable((url, init) => handler(new Request(url, init))),
    }),
  );
  assert.equal(client.getProtocolEra(), mode === "auto" ? "modern" : "legacy");
  return {
    list: async () => (await client.listTools()).tools,
    result: async (name) => await client.callTool({ name }),
    call: async (name) => (await client.callTool({ name })).structuredContent,
    close: () => client.close(),
  };
}

/** The official clients, each with the era that it speaks. */
export const OFFICIAL: readonly {
  readonly name: string;
  readonly era: "2025" | "2026";
  connect(handler: McpHandler): Promise<Official>;
}[] = [
  { name: "SDK v1", era: "2025", connect: v1 },
  { name: "SDK v2", era: "2025", connect: (handler) => v2(handler, "legacy") },
  { name: "SDK v2 (auto)", era: "2026", connect: (handler) => v2(handler, "auto") },
];
