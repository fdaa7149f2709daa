import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { createMcpHandler, type McpHandler, McpServer } from "../../mod.ts";
import { toNodeHandler } from "../../src/adapters/node.ts";
import { assertServerJson } from "../unit/discovery/schemas.ts";
import { runHere } from "./fake_io.ts";

const TOKEN = "Token-0123456789";
const NAME = ["--name", "com.example/library"];
const PUBLIC = ["--public-url", "https://api.example.com/mcp"];

describe("mooring server-json", () => {
  let handler: McpHandler;
  let url = "";
  const http = createServer((request, response) => listener(request, response));
  let listener: ReturnType<typeof toNodeHandler>;

  before(async () => {
    const server = new McpServer({
      name: "library",
      version: "1.2.3",
      title: "The library",
      description: "Finds and lends books.",
    });
    handler = createMcpHandler(server, { path: "/mcp" });
    listener = toNodeHandler(handler);
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    const address = http.address();
    url = `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}/mcp`;
  });

  after(async () => {
    await handler.close({ graceMs: 0 });
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });

  test("[CMD-9] says what the server says, and no secret", async () => {
    const args = [...NAME, ...PUBLIC, "--npm", "@example/library", "--token-env", "TOKEN"];
    const { code, out, err } = await runHere(["server-json", `${url}?key=${TOKEN}`, ...args], {
      TOKEN,
    });
    assert.deepEqual([code, err], [0, ""]);
    const json = JSON.parse(out);
    assertServerJson(json);
    assert.deepEqual(json, {
      $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
      name: "com.example/library",
      version: "1.2.3",
      description: "Finds and lends books.",
      title: "The library",
      packages: [{
        registryType: "npm",
        identifier: "@example/library",
        version: "1.2.3",
        transport: { type: "stdio" },
      }],
      remotes: [{
        type: "streamable-http",
        url: "https://api.example.com/mcp",
        headers: [{ name: "Authorization", isRequired: true, isSecret: true }],
      }],
    });
  });

  test("[CMD-9] takes the options' word for what they say", async () => {
    const args = [...NAME, ...PUBLIC, "--release", "2.0.0", "--description", "Lends"];
    const { out } = await runHere(["server-json", url, ...args]);
    const { version, description, remotes, packages } = JSON.parse(out);
    assert.deepEqual([version, description, packages], ["2.0.0", "Lends", undefined]);
    assert.deepEqual(remotes, [{ type: "streamable-http", url: "https://api.example.com/mcp" }]);
  });

  test("[CMD-9] refuses what the registry would refuse", async () => {
    const refused: readonly (readonly [readonly string[], RegExp])[] = [
      [NAME, /Give --public-url, --npm or both/],
      [["--name", "library", ...PUBLIC], /reverse-DNS/],
      [[...NAME, ...PUBLIC, "--release", "^1.0"], /no range/],
      [[...NAME, ...PUBLIC, "--description", "d".repeat(101)], /1 to 100/],
      [[...NAME, "--public-url", "api.example.com"], /"remotes.url"/],
    ];
    for (const [args, message] of refused) {
      const { code, out, err } = await runHere(["server-json", url, ...args]);
      assert.deepEqual([code, out], [2, ""], err);
      assert.match(err, message);
    }
  });
});
