/**
 * The official TypeScript client, version 2.
 *
 * @module
 */
import {
  Client,
  LOG_LEVEL_META_KEY,
  type LoggingLevel,
  type McpSubscription,
  StreamableHTTPClientTransport,
} from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
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
import { abortable } from "./abortable.ts";

type Mode = "legacy" | "auto";

/** Version 2 of the SDK's client, speaking 2025-11-25. */
export const sdkV2: ClientKind = { name: "SDK v2", connect: (init) => connect(init, "legacy") };

/** Version 2 of the SDK's client, asking first whether the server speaks 2026-07-28. */
export const sdkV2Auto: ClientKind = {
  name: "SDK v2 (auto)",
  connect: (init) => connect(init, "auto"),
};

async function connect(
  { url, headers, fetch, command }: ClientInit,
  mode: Mode,
): Promise<Connected> {
  const client = new Client(INFO, {
    capabilities: { elicitation: {}, sampling: {}, roots: {} },
    versionNegotiation: { mode },
  });
  const errors: Error[] = [];
  const told: Told[] = [];
  client.onerror = (error) => errors.push(error);
  client.fallbackNotificationHandler = async ({ method, params }) => {
    told.push({ method, params });
  };
  client.setRequestHandler("elicitation/create", () => structuredClone(ANSWERS.form));
  client.setRequestHandler("sampling/createMessage", () => structuredClone(ANSWERS.model));
  client.setRequestHandler("roots/list", () => structuredClone(ROOTS));
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
    fetch: abortable(fetch),
  });
  if (command === undefined) await client.connect(transport);
  else await client.connect(programTransport(command));
  // In 2026-07-28 a client listens instead of subscribing, and names the level with each request.
  const modern = client.getProtocolEra() === "modern";
  const subscriptions = new Map<string, McpSubscription>();
  let level: LoggingLevel | undefined;
  return {
    get sessionId() {
      return transport.sessionId;
    },
    get protocolVersion() {
      return client.getNegotiatedProtocolVersion();
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
      const _meta = level === undefined ? undefined : { [LOG_LEVEL_META_KEY]: level };
      const result = await client.callTool({ name, arguments: args, _meta }, {
        ...onProgress && { onprogress: (one) => onProgress(one.progress, one.total) },
        signal,
        timeout,
      });
      return { text: textOf(result.content), isError: result.isError === true };
    },
    async subscribe(uri) {
      if (!modern) return void await client.subscribeResource({ uri });
      subscriptions.set(uri, await client.listen({ resourceSubscriptions: [uri] }));
    },
    async unsubscribe(uri) {
      if (!modern) return void await client.unsubscribeResource({ uri });
      await subscriptions.get(uri)?.close();
    },
    async logFrom(from) {
      if (!modern) return void await client.setLoggingLevel(from);
      level = from;
    },
    terminate: () => transport.terminateSession(),
    close: () => client.close(),
  };
}

function programTransport([program, ...args]: readonly [string, ...string[]]) {
  return new StdioClientTransport({ command: program, args, stderr: "ignore" });
}
