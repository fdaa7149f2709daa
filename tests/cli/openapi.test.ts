/**
 * An API with an OpenAPI document in the configuration file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { listen } from "../gateway/servers.ts";
import { runHere as run } from "./fake_io.ts";
import { reach, serving, withConfig } from "./program.ts";

const DOCUMENT = `
openapi: 3.0.3
info: { title: Notes, version: 1.0.0 }
servers: [{ url: /v1 }]
security: [{ key: [] }]
paths:
  /notes/{id}:
    get:
      operationId: get
      parameters: [{ name: id, in: path, required: true, schema: { type: string } }]
      responses: { "200": { description: a } }
    trace: { responses: {} }
  /bad: { get: { parameters: [7] } }
components:
  securitySchemes: { key: { type: apiKey, in: header, name: X-Key } }
`;

test("[OAPI-11] a document of the file is checked, with what was left out", () =>
  withConfig({
    mcpServers: {
      notes: { openapi: "./notes.yaml", baseUrl: "https://notes.example", auth: "${KEY}" },
      far: { openapi: "https://far.example/openapi.json?key=hush-hush" },
    },
  }, async (file) => {
    await writeFile(join(dirname(file), "notes.yaml"), DOCUMENT);
    const { code, out, err } = await run(["check", file], { KEY: "secret-key" });
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(
      out,
      [
        "OK",
        "",
        "  Servers  2",
        "    notes  notes.yaml, an API",
        "    far    https://far.example/openapi.json, an API",
        "  Endpoint http://127.0.0.1:8000/mcp",
        "  Auth     none",
        "ok     notes: 1 tool of Notes 1.0.0",
        "warn   notes: left out: TRACE /notes/{id}: the method is no tool's",
        "warn   notes: left out: GET /bad: one of its parameters isn't described",
        "",
      ].join("\n"),
    );
    await writeFile(join(dirname(file), "notes.yaml"), "swagger: '2.0'\n");
    const old = await run(["check", file], { KEY: "secret-key" });
    assert.equal(old.code, 1);
    assert.match(old.out, /FAILED notes: "openapi": Convert the document to OpenAPI 3\.0 or 3\.1/);
  }));

test("[OAPI-11] wrong keys are told as for every server", () =>
  withConfig({
    mcpServers: {
      a: { openapi: "a.yaml", baseURL: "https://a.example" },
      b: { openapi: "a.yaml", versions: ["2025-11-25"] },
      c: { openapi: "a.yaml", auth: 7 },
      d: { openapi: "a.yaml", baseUrl: "https://user:hush@a.example" },
    },
  }, async (file) => {
    const { code, err } = await run(["check", file]);
    assert.equal(code, 1);
    assert.match(err, /mcpServers\.a\.baseURL: Unknown key\. Did you mean "baseUrl"\?/);
    assert.match(err, /mcpServers\.b\.versions: Unknown key/);
    assert.match(err, /mcpServers\.c\.auth: Give a string, or an object such as/);
    assert.match(err, /mcpServers\.d: Give credentials as "auth", not in the "baseUrl"/);
    assert.doesNotMatch(err, /hush/);
  }));

test("[OAPI-11] serve offers the operations of a document beside it, with its key", async () => {
  const api = await listen((request) =>
    Response.json({ path: new URL(request.url).pathname, key: request.headers.get("x-key") })
  );
  try {
    await withConfig({
      mcpServers: {
        notes: {
          openapi: "notes.yaml",
          baseUrl: new URL("/v2", api.url).href,
          auth: { schemes: { key: "${KEY}" } },
        },
      },
      listWaitMs: 30_000,
    }, async (file) => {
      await writeFile(join(dirname(file), "notes.yaml"), DOCUMENT);
      await serving(["--config", file], async (program, url) => {
        await using client = await reach(url);
        assert.deepEqual((await client.listTools()).map(({ name }) => name), ["notes__get"]);
        const { structuredContent } = await client.callTool("notes__get", { id: "a b" });
        assert.deepEqual(structuredContent, { path: "/v2/notes/a%20b", key: "[secret]" });
        assert.match(program.err, /"event":"upstream-entries-dropped"/);
        assert.doesNotMatch(program.err, /secret-key-123/);
      }, { KEY: "secret-key-123" });
    });
  } finally {
    await api.close();
  }
});
