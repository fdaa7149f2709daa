/**
 * The official TypeScript client, version 1.
 *
 * @module
 */
import { Client } from "@modelcontextprotocol/sdk/client";
// The package maps the types of such paths to files that don't exist.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
// @ts-types="@modelcontextprotocol/sdk/client/stdio"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
// @ts-types="@modelcontextprotocol/sdk/types"
import {
  CallToolResultSchema,
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import {
  ANSWERS,
  type ClientInit,
  type ClientKind,
  type Connected,
  INFO,
  ROOTS,
  textOf,
  type Told,
} from "./client.ts";

/** Version 1 of the SDK's client. */
export const sdkV1: ClientKind = {
  name: "SDK v1",
  async connect({ url, headers, fetch, command }: ClientInit): Promise<Connected> {
    const client = new Client(INFO, { capabilities: { elicitation: {}, sampling: {}, roots: {} } });
    const errors: Error[] = [];
    const told: Told[] = [];
    client.onerror = (error) => errors.push(error);
    client.fallbackNotificationHandler = async ({ method, params }) => {
      told.push({ method, params });
    };
    client.setRequestHandler(ElicitRequestSchema, () => structuredClone(ANSWERS.form));
    client.setRequestHandler(CreateMessageRequestSchema, () => structuredClone(ANSWERS.model));
    client.setRequestHandler(ListRootsRequestSchema, () => structuredClone(ROOTS));
    const transport = new StreamableHTTPClientTransport(new URL(url), {
      requestInit: { headers },
      fetch,
    });
    if (command === undefined) await client.connect(transport);
    else await client.connect(programTransport(command));
    return {
      get sessionId() {
        return transport.sessionId;
      },
      get protocolVersion() {
        return transport.protocolVersion;
      },
      get serverName() {
        return client.getServerVersion()?.name;
      },
      errors,
      told,
      ping: async () => void await client.ping(),
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      resources: async () => (await client.listResources()).resources.map(({ uri }) => uri),
      templates: async () =>
        (await client.listResourceTemplates()).resourceTemplates.map((one) => one.uriTemplate),
      prompts: async () => (await client.listPrompts()).prompts.map(({ name }) => name),
      read: async (uri) => textOf((await client.readResource({ uri })).contents),
      prompt: async (name, args) =>
        textOf(
          (await client.getPrompt({ name, arguments: args })).messages.map((one) => one.content),
        ),
      complete: async (prompt, name, value) =>
        (await client.complete({
          ref: { type: "ref/prompt", name: prompt },
          argument: { name, value },
        })).completion.values,
      async call(name, args, init = {}) {
        const { onProgress, signal, timeoutMs: timeout } = init;
        const result = await client.callTool({ name, arguments: args }, CallToolResultSchema, {
          ...onProgress && { onprogress: (one) => onProgress(one.progress, one.total) },
          signal,
          timeout,
        });
        return { text: textOf(result.content), isError: result.isError === true };
      },
      subscribe: async (uri) => void await client.subscribeResource({ uri }),
      unsubscribe: async (uri) => void await client.unsubscribeResource({ uri }),
      logFrom: async (level) => void await client.setLoggingLevel(level),
      terminate: () => transport.terminateSession(),
      close: () => client.close(),
    };
  },
};

function programTransport([program, ...args]: readonly [string, ...string[]]) {
  return new StdioClientTransport({ command: program, args, stderr: "ignore" });
}
