/**
 * An API with an OpenAPI document in the configuration file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
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

test("[OAPI-18] check reads a document wherever it is, and a URL only when it may connect", async () => {
  const text = JSON.stringify({
    openapi: "3.1.0",
    info: { title: "Far", version: "2" },
    paths: { "/a": { get: { responses: {} } } },
  });
  const api = await listen((request) =>
    new URL(request.url).pathname === "/gone"
      ? new Response("", { status: 404 })
      : new Response(text, { headers: { "content-type": "application/json" } })
  );
  const at = (path: string) => new URL(path, api.url).href;
  const absolute: Record<string, string> = {};
  try {
    await withConfig({
      mcpServers: {
        beside: { openapi: "far.json", baseUrl: "https://far.example" },
        below: { openapi: "./apis/far.json", baseUrl: "https://far.example" },
        path: { openapi: "${FILE}", baseUrl: "https://far.example" },
        fileUrl: { openapi: "${FILE_URL}", baseUrl: "https://far.example" },
        url: { openapi: at("/openapi.json?key=hush-hush") },
        upper: { openapi: at("/openapi.json").replace("http:", "HTTP:") },
        gone: { openapi: at("/gone") },
      },
    }, async (file) => {
      const folder = dirname(file);
      await mkdir(join(folder, "apis"));
      for (const name of ["far.json", "apis/far.json"]) await writeFile(join(folder, name), text);
      absolute.FILE = join(folder, "far.json");
      absolute.FILE_URL = pathToFileURL(absolute.FILE).href;
      const near = ["beside", "below", "path", "fileUrl"].map((name) =>
        `ok     ${name}: 1 tool of Far 2`
      );
      const linesOf = (out: string) =>
        out.split("\n").filter((line) => /^(?:ok|FAILED)\s/.test(line));
      const alone = await run(["check", file], absolute);
      assert.deepEqual([alone.code, linesOf(alone.out)], [0, near]);
      const connected = await run(["check", file, "--connect"], absolute);
      assert.equal(connected.code, 1);
      const lines = linesOf(connected.out);
      for (
        const line of [...near, "ok     url: 1 tool of Far 2", "ok     upper: 1 tool of Far 2"]
      ) {
        assert.ok(lines.includes(line), `${line} isn't in\n${connected.out}`);
      }
      assert.match(connected.out, /FAILED gone: "openapi": .*404 from http:\/\//);
      assert.doesNotMatch(connected.out + connected.err + alone.out, /hush/);
    });
  } finally {
    await api.close();
  }
});

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
