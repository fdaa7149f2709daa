import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { z } from "zod";
import {
  audioContent,
  createMcpHandler,
  embeddedFile,
  imageContent,
  type McpEvent,
  McpServer,
  type StandardSchema,
} from "../../mod.ts";
import { listenError } from "../../src/adapters/listen_error.ts";
import { serve } from "../../src/adapters/node.ts";
import { serveStdio } from "../../src/adapters/stdio.ts";
import { connect } from "../../src/testing/mod.ts";

const info = { name: "test", version: "1.0.0" };
const server = () => new McpServer(info);

/** A server as other SDKs make it. */
const otherServer = { server: {}, connect() {}, close() {}, registerTool() {} };

/** A schema as valibot makes it: it validates, and has no JSON Schema. */
const valibot: StandardSchema = {
  "~standard": { version: 1, vendor: "valibot", validate: (value) => ({ value }) },
};

/** What a handler without `toNodeHandler` answers. */
const NOT_WRAPPED =
  'Wrap the handler: createServer(toNodeHandler(handler)), with toNodeHandler of "@mooring/mcp/node"';

/** The ten wirings that an author gets wrong, with what each prints. */
const LADDER: readonly (readonly [string, () => unknown, string])[] = [
  [
    "nothing in place of the server",
    () => createMcpHandler(undefined as never),
    "Give a server, such as new McpServer(…): undefined. Is it exported by the module that it is " +
    "imported from?",
  ],
  [
    "a server of another SDK",
    () => createMcpHandler(otherServer as never),
    "Give a server, such as new McpServer(…): a server of another SDK. Give the " +
    'function that creates it: createMcpHandler(sdk(createServer)), with sdk of "@mooring/mcp/gateway"',
  ],
  [
    "the handler in place of the server",
    () => serve(createMcpHandler(server()) as never),
    "Give a server, such as new McpServer(…): a handler, which can be served by itself. Give the " +
    "server that it was made of",
  ],
  [
    "a function that makes the server",
    () => serveStdio(server as never),
    "Give a server, such as new McpServer(…): a function. Call it, and give the server that it " +
    "returns",
  ],
  [
    "a misspelled protection",
    () => createMcpHandler(server(), { authentcate: () => ({ id: "a" }) } as never),
    'Unknown option "authentcate": did you mean "authenticate"?',
  ],
  [
    "a misspelled schema",
    () => server().registerTool("t", { inputShema: {} } as never, () => ""),
    'Unknown option "inputShema" of the tool "t": did you mean "inputSchema"?',
  ],
  [
    "a prompt's argument that is a number",
    () => server().registerPrompt("p", { argsSchema: z.object({ n: z.number() }) }, () => ""),
    'Give a schema of a text as "n" of the prompt "p", such as z.string() or z.coerce.number(): ' +
    "clients send arguments of prompts as strings, not as number",
  ],
  [
    "valibot without its wrapper",
    () => server().registerTool("t", { inputSchema: valibot }, () => ""),
    'Wrap the schema with toStandardJsonSchema() of "@valibot/to-json-schema" as the inputSchema ' +
    'of "t", or add a JSON Schema with withJsonSchema(): valibot',
  ],
  [
    "a tool's name with a blank",
    () => server().registerTool("add numbers", {}, () => ""),
    'Name tools with letters, digits, "_", "-", "." and "/" only, as clients refuse others: ' +
    '"add numbers"',
  ],
  [
    "a tool's name that is too long",
    () => server().registerTool("t".repeat(129), {}, () => ""),
    `Name tools with 128 characters or fewer: "${"t".repeat(40)}…" has 129`,
  ],
];

describe("wrong wiring", () => {
  for (const [what, wire, message] of LADDER) {
    test(`[AUT-4] ${what} says what to do`, async () => {
      await assert.rejects(async () => await wire(), { name: "TypeError", message });
    });
  }

  test("[AUT-11] docs/troubleshooting.md has each message as it is printed", async () => {
    const page = await readFile(
      new URL("../../docs/troubleshooting.md", import.meta.url),
      "utf8",
    );
    const blocks = [...page.matchAll(/^```text\n([^]*?)\n```$/gm)].map(([, text = ""]) => text);
    const names = { port: '"port"', hostname: '"hostname"' };
    const cause = Object.assign(new Error(), { code: "EADDRINUSE" });
    const taken = listenError(cause, { hostname: "127.0.0.1", port: 8_000 }, names);
    assert.deepEqual(blocks, [
      ...LADDER.map(([, , message]) => `TypeError: ${message}`),
      NOT_WRAPPED,
      String(taken),
    ]);
  });

  test("[AUT-4] a handler without toNodeHandler answers with what to do, and lives on", async () => {
    const events: McpEvent[] = [];
    await using handler = createMcpHandler(server(), { onEvent: (event) => events.push(event) });
    const listener = createServer(handler as never);
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = listener.address() as AddressInfo;
      for (let at = 0; at < 2; at++) {
        const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
          method: "POST",
          body: "{}",
        });
        assert.equal(response.status, 500);
        assert.equal(await response.text(), NOT_WRAPPED);
      }
    } finally {
      listener.closeAllConnections();
      await new Promise((resolve) => listener.close(resolve));
    }
    const errors = events.filter((event) => event.type === "error");
    assert.deepEqual(errors.map(({ during }) => during), ["serving", "serving"]);
    assert.equal((await handler(undefined as never)).status, 500);
  });

  test("[AUT-4] a prompt takes what converts a text", () => {
    const argsSchema = z.object({
      n: z.coerce.number(),
      yes: z.stringbool(),
      on: z.string().transform(Number).optional(),
    });
    server().registerPrompt("p", { argsSchema }, () => "");
  });
});

describe("bytes in content", () => {
  test("[AUT-5] bytes of images, recordings and files are encoded", async () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const made = server();
    made.registerTool("block", {}, () => ({ type: "image", data: bytes, mimeType: "image/png" }));
    made.registerTool("list", {}, () => [
      imageContent(bytes, "image/png"),
      audioContent("AQID", "audio/wav"),
      embeddedFile("file:///a.bin", bytes, "application/x"),
      embeddedFile("file:///a.txt", "text", "text/plain"),
      { type: "audio", data: bytes, mimeType: "audio/wav" },
    ]);
    const block = { type: "image", data: bytes, mimeType: "image/png" } as never;
    made.registerTool("full", {}, () => ({ content: [block] }));
    made.registerPrompt("show", {}, () => [{ role: "user", content: block }]);
    await using handler = createMcpHandler(made);
    for (const protocolVersion of ["2025-11-25", "2026-07-28"]) {
      await using client = await connect(handler, { protocolVersion });
      const image = { type: "image", data: "AQID", mimeType: "image/png" };
      const audio = { type: "audio", data: "AQID", mimeType: "audio/wav" };
      assert.deepEqual((await client.callTool("block")).content, [image]);
      assert.deepEqual((await client.callTool("full")).content, [image]);
      assert.deepEqual((await client.callTool("list")).content, [
        image,
        audio,
        {
          type: "resource",
          resource: { uri: "file:///a.bin", mimeType: "application/x", blob: "AQID" },
        },
        {
          type: "resource",
          resource: { uri: "file:///a.txt", mimeType: "text/plain", text: "text" },
        },
        audio,
      ]);
      assert.deepEqual((await client.getPrompt("show")).messages[0]?.content, image);
    }
  });
});
