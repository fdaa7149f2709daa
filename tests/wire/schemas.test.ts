/**
 * Everything that a server can say, in every version that has a published schema, held against that
 * schema. The {@linkcode Peer} checks each message as it arrives.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { assertValid, type SchemaVersion } from "../support/schema.ts";
import { initialize, logMessage, Peer } from "../support/wire.ts";

const VERSIONS: readonly SchemaVersion[] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const ALL = { roots: { listChanged: true }, sampling: {}, elicitation: { form: {}, url: {} } };
const ICONS = [{ src: "https://a.example/i.png", mimeType: "image/png", sizes: ["48x48"] }];

/** A server that says everything there is to say. */
function verbose(): McpServer {
  const server = new McpServer({
    name: "verbose",
    version: "1.0.0",
    title: "Verbose",
    description: "Says everything",
    websiteUrl: "https://a.example",
    icons: ICONS,
  }, { instructions: "Listen" });
  server.registerTool("content", {
    title: "Content",
    description: "All kinds of content",
    inputSchema: z.object({ a: z.string().optional() }),
    annotations: { readOnlyHint: true, title: "Content" },
    icons: ICONS,
    _meta: { "a.example/x": 1 },
  }, () => [
    { type: "text", text: "text", annotations: { audience: ["user"], priority: 0.5 } },
    { type: "image", data: "AQID", mimeType: "image/png" },
    { type: "audio", data: "AQID", mimeType: "audio/wav" },
    { type: "resource", resource: { uri: "test://a", text: "a" } },
    { type: "resource", resource: { uri: "test://b", blob: "AQID", mimeType: "a/b" } },
    { type: "resource_link", uri: "test://a", name: "a" },
  ]);
  server.registerTool("structured", {
    outputSchema: z.object({ list: z.array(z.number()) }),
  }, () => ({ structuredContent: { list: [1, 2] }, _meta: { "a.example/y": 2 } }));
  server.registerTool("array", {
    outputSchema: z.array(z.union([z.string(), z.null()])),
  }, () => ({ structuredContent: ["a", null] }));
  server.registerTool("anything", {
    inputSchema: { type: "object", properties: { a: true, b: false } },
    outputSchema: { type: "object", properties: { c: true } },
  }, () => ({ structuredContent: { c: 1 } }));
  server.registerTool("fails", {}, () => {
    throw new Error("inside");
  });
  server.registerTool("refuses", {}, () => {
    throw new McpError(-32050, "No", { why: [1] });
  });
  server.registerTool("talks", {}, (_args, ctx) => {
    ctx.log("warning", { nested: [1, "2"] }, "logger");
    ctx.log("info", "text");
    for (const n of [1, 2]) ctx.progress(n, 2, `step ${n}`);
    return "talked";
  });
  server.registerTool("asks", {}, async (_args, ctx) => {
    const questions = [
      () =>
        ctx.elicit("form", {
          message: "Fill in",
          schema: z.object({
            text: z.string().min(1).max(5).describe("A text"),
            mail: z.email(),
            number: z.number().min(0).max(5),
            integer: z.int().optional(),
            yes: z.boolean().default(true),
            one: z.enum(["a", "b"]),
          }),
        }),
      () => ctx.elicit("page", { message: "Go", url: "https://a.example/" }),
      () =>
        ctx.sample("model", {
          messages: [{ role: "user", content: { type: "text", text: "Hi" } }],
          maxTokens: 10,
          systemPrompt: "Be brief",
          temperature: 0.5,
        }),
      () => ctx.roots(),
    ];
    const outcomes = [];
    for (const ask of questions) {
      try {
        await ask();
        outcomes.push("answered");
      } catch (error) {
        outcomes.push(error instanceof McpError ? error.code : "?");
      }
    }
    return JSON.stringify(outcomes);
  });
  server.registerResource("fixed", "test://fixed", {
    title: "Fixed",
    description: "A text",
    mimeType: "text/plain",
    size: 4,
    annotations: { lastModified: "2025-01-01T00:00:00Z" },
    icons: ICONS,
  }, () => "text");
  const template = new ResourceTemplate("test://{kind}/{id}", {
    list: () => ({ resources: [{ uri: "test://a/1", name: "a1", size: 1 }] }),
    complete: { id: () => Array.from({ length: 150 }, (_, i) => `${i}`) },
  });
  server.registerResource("many", template, { title: "Many" }, (_uri, { kind, id }) => [
    { text: `${kind} ${id}`, mimeType: "text/plain" },
    { blob: "AQID", _meta: { "a.example/z": 3 } },
  ]);
  server.registerPrompt("prompt", {
    title: "Prompt",
    description: "Prompts",
    argsSchema: { topic: z.string().describe("What about"), tone: z.string().optional() },
    icons: ICONS,
  }, ({ topic }) => [
    { role: "user", content: { type: "text", text: topic } },
    { role: "assistant", content: { type: "image", data: "AQID", mimeType: "image/png" } },
    { role: "user", content: { type: "audio", data: "AQID", mimeType: "audio/wav" } },
    { role: "user", content: { type: "resource_link", uri: "test://a", name: "a" } },
  ]);
  return server;
}

const REQUESTS: readonly (readonly [string, JsonObject | undefined])[] = [
  ["ping", undefined],
  ["tools/list", undefined],
  ["tools/call", { name: "content" }],
  ["tools/call", { name: "structured" }],
  ["tools/call", { name: "array" }],
  ["tools/call", { name: "anything" }],
  ["tools/call", { name: "fails" }],
  ["resources/list", {}],
  ["resources/templates/list", {}],
  ["resources/read", { uri: "test://fixed" }],
  ["resources/read", { uri: "test://a/1" }],
  ["resources/subscribe", { uri: "test://a/1" }],
  ["resources/unsubscribe", { uri: "test://a/1" }],
  ["prompts/list", {}],
  ["prompts/get", { name: "prompt", arguments: { topic: "t" } }],
  ["completion/complete", {
    ref: { type: "ref/resource", uri: "test://{kind}/{id}" },
    argument: { name: "id", value: "" },
    context: { arguments: { kind: "a" } },
  }],
  ["logging/setLevel", { level: "debug" }],
];

const FAILING: readonly (readonly [string, JsonObject | undefined])[] = [
  ["nowhere", undefined],
  ["tools/call", { name: "nowhere" }],
  ["tools/call", { name: "refuses" }],
  ["tools/list", { cursor: "x" }],
  ["resources/read", { uri: "nowhere:x" }],
  ["prompts/get", { name: "prompt" }],
  ["completion/complete", {}],
  ["logging/setLevel", { level: "x" }],
];

for (const version of VERSIONS) {
  describe(`schemas of ${version}`, () => {
    test(`[SRV-1, SES-7] the handshake of ${version} fits the schema`, async () => {
      const handler = createMcpHandler(verbose());
      const peer = new Peer(handler, { version, capabilities: ALL });
      const result = await peer.initialize();
      assertValid(version, "InitializeResult", result);
      assert.equal(result.protocolVersion, version);
      await handler.close();
    });

    for (const accept of ["application/json", "text/event-stream"]) {
      test(`[SRV-1] every result of ${version} fits the schema, as ${accept}`, async () => {
        const handler = createMcpHandler(verbose());
        const peer = await initialize(handler, { version, accept });
        for (const [i, [method, params]] of REQUESTS.entries()) {
          await peer.result(await peer.request(i, method, params));
        }
        await handler.close();
      });

      test(`[SRV-2] every error of ${version} fits the schema, as ${accept}`, async () => {
        const handler = createMcpHandler(verbose());
        const peer = await initialize(handler, { version, accept });
        for (const [i, [method, params]] of FAILING.entries()) {
          const response = await peer.request(i, method, params);
          const message = accept === "application/json"
            ? await peer.json(response)
            : (await peer.frames(response).messages())[0];
          assert.ok(message?.error, method);
          assert.equal(message.id, i);
          assertValid(version, "JSONRPCErrorResponse", message);
        }
        await handler.close();
      });
    }

    test(`[STR-2, CAN-5, STR-13] every notification of ${version} fits the schema`, async () => {
      const clock = new FakeClock();
      const server = verbose();
      const handler = createMcpHandler(server, { clock });
      const peer = await initialize(handler, { version });
      const params = { name: "talks", _meta: { progressToken: 1 } };
      const said = await peer.frames(await peer.request(1, "tools/call", params)).messages();
      assert.deepEqual(said.map(({ method }) => method), [
        "notifications/message",
        "notifications/message",
        "notifications/progress",
        "notifications/progress",
        undefined,
      ]);
      const stream = await peer.listen();
      await peer.result(await peer.request(2, "resources/subscribe", { uri: "test://fixed" }));
      server.resourceUpdated("test://fixed");
      await clock.advance(250);
      server.registerTool("later", {}, () => "");
      server.registerPrompt("later", {}, () => "");
      server.registerResource("later", "test://later", {}, () => "");
      await handler.notify(String(peer.sessionId), logMessage("last"));
      const heard: unknown[] = [];
      while (heard.at(-1) !== "notifications/message") heard.push((await stream.message())?.method);
      assert.deepEqual(
        new Set(heard),
        new Set([
          "notifications/resources/updated",
          "notifications/tools/list_changed",
          "notifications/prompts/list_changed",
          "notifications/resources/list_changed",
          "notifications/message",
        ]),
      );
      await handler.close();
    });

    test(`[ASK-1, ASK-2] every question of ${version} fits the schema, or is not asked`, async () => {
      const handler = createMcpHandler(verbose());
      const peer = await initialize(handler, { version, capabilities: ALL });
      const call = peer.frames(await peer.call(1, "asks"));
      const asked: unknown[] = [];
      const reply = (method: unknown, { mode }: JsonObject): JsonObject => {
        if (method === "roots/list") return { roots: [] };
        if (method === "sampling/createMessage") {
          return { role: "assistant", content: { type: "text", text: "Hi" }, model: "m" };
        }
        const content = { text: "a", mail: "a@b.example", number: 1, yes: true, one: "a" };
        return mode === "url" ? { action: "accept" } : { action: "accept", content };
      };
      let last: JsonObject | undefined;
      for (let next = await call.message(); next !== undefined; next = await call.message()) {
        last = next;
        if (next.method === undefined) continue;
        const params = (next.params ?? {}) as JsonObject;
        asked.push(next.method);
        await peer.reply(next.id, reply(next.method, params));
      }
      const form = "elicitation/create";
      const rest = ["sampling/createMessage", "roots/list"];
      const forms = {
        "2024-11-05": [],
        "2025-03-26": [],
        "2025-06-18": [form],
        "2025-11-25": [form, form],
      };
      assert.deepEqual(asked, [...forms[version as keyof typeof forms], ...rest]);
      assert.ok(last?.result);
      await handler.close();
    });
  });
}

describe("schemas of refusals", () => {
  test("[GATE-10, SES-3, SES-7] refusals hold a JSON-RPC error that fits every schema", async () => {
    const handler = createMcpHandler(verbose());
    const peer = await initialize(handler);
    const responses = [
      await peer.post({}),
      await peer.request(1, "ping", undefined, { "mcp-session-id": "x" }),
      await peer.request(2, "ping", undefined, { "mcp-session-id": undefined }),
      await peer.request(3, "ping", undefined, { "mcp-protocol-version": "x" }),
      await peer.request(4, "ping", undefined, { "content-type": "text/plain" }),
      await peer.request(5, "ping", undefined, { accept: "text/plain" }),
      await peer.send("PUT"),
    ];
    for (const response of responses) {
      assert.ok(response.status >= 400);
      const message: JsonObject = await response.json();
      for (const version of VERSIONS) {
        // JSON-RPC 2.0 §5 gives an error the id null when no request is known.
        assertValid(version, "JSONRPCErrorResponse", { ...message, id: message.id ?? 0 });
      }
    }
    await handler.close();
  });
});
