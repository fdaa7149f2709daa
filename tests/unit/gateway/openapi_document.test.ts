import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { type DocumentSource, readDocument } from "../../../src/gateway/openapi/document.ts";
import { operationsOf } from "../../../src/gateway/openapi/operations.ts";
import { UpstreamError } from "../../../src/gateway/shared/upstream_error.ts";
import { isObject } from "../../../src/protocol/jsonrpc.ts";

const NOTES = new URL("../../fixtures/openapi/notes.yaml", import.meta.url);
const EMPTY = { openapi: "3.1.0", info: { title: "Empty", version: "1" }, paths: {} };

function read(source: DocumentSource, answer?: Response | Error, mostBytes = 1_000_000) {
  return readDocument(source, {
    mostBytes,
    signal: new AbortController().signal,
    fetch: async () => {
      if (answer instanceof Response) return answer;
      throw answer ?? new Error("Not expected");
    },
  });
}

async function refused(source: DocumentSource, message: RegExp, answer?: Response | Error) {
  await assert.rejects(read(source, answer), (error) => {
    assert.ok(error instanceof UpstreamError, String(error));
    assert.match(error.message, message);
    return true;
  });
}

/** Makes a folder of files, and removes it. */
async function files(
  all: Readonly<Record<string, string>>,
  use: (folder: string) => Promise<void>,
) {
  const folder = await mkdtemp(join(tmpdir(), "openapi-"));
  try {
    for (const [name, text] of Object.entries(all)) await writeFile(join(folder, name), text);
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("[OAPI-1] a document in YAML with a file beside it is one", async () => {
  const { document, url } = await read(NOTES);
  assert.equal(url, undefined);
  const { operations } = operationsOf(document, {
    baseUrl: undefined,
    documentUrl: undefined,
    most: 100,
  });
  assert.deepEqual(
    operations.map(({ name, method, base }) => `${method} ${name} ${base}`),
    [
      "GET notes_list https://notes.example/api",
      "POST notes_create https://notes.example/api",
      "GET notes_get https://notes.example/api",
      "PUT notes_replace https://notes.example/api",
      "DELETE delete_notes_id https://notes.example/api",
    ],
  );
  // What two files refer to is the same.
  const output = operations[2]?.output;
  assert.ok(isObject(output) && isObject(output.properties) && "replies" in output.properties);
});

test("[OAPI-1] a document is a file, a URL, or an object", async () => {
  assert.deepEqual((await read(EMPTY)).document, EMPTY);
  await files({ "a.json": JSON.stringify(EMPTY) }, async (folder) => {
    const file = join(folder, "a.json");
    assert.deepEqual((await read(file)).document, EMPTY);
    assert.deepEqual((await read(pathToFileURL(file))).document, EMPTY);
    assert.deepEqual((await read(pathToFileURL(file).href)).document, EMPTY);
  });
  const at = "https://api.example/openapi.yaml";
  const yaml = "openapi: 3.0.0\ninfo: &i {title: a, version: '1'}\npaths: {}\nx-info: *i\n";
  const { document, url } = await read(at, new Response(yaml));
  assert.equal(url, at);
  assert.deepEqual(document.info, document["x-info"]);
});

test("[OAPI-1] what is no document of 3.0 or 3.1 is refused with what to change", async () => {
  await refused({ swagger: "2.0" }, /^Convert the document to OpenAPI 3\.0 or 3\.1: .* 2\.0$/);
  await refused({ openapi: "4.0.0" }, /3\.0 or 3\.1: its "openapi" is "4\.0\.0"/);
  await refused({}, /its "openapi" is "undefined"/);
  await refused("./nowhere/at-all.json", /^Name a document that can be read: "at-all\.json"$/);
  await refused("https://api.example/a", /^Correct "a"/, new Response("a: [1"));
  await refused("https://api.example/a", /an object is expected/, new Response("[1]"));
  await refused(
    "https://api.example/a",
    /404 from https:\/\/api\.example/,
    new Response("", { status: 404 }),
  );
  const away = Object.assign(new Error("no"), { code: "ECONNREFUSED" });
  await refused("https://api.example/a?key=hush", /refused \(https:\/\/api\.example\)$/, away);
});

test("[OAPI-1] no reference is fetched, and no file outside of the folder is read", async () => {
  const refers = (to: string) => JSON.stringify({ ...EMPTY, paths: { "/a": { $ref: to } } });
  await files({ "secret.yaml": "get: {}\n" }, async (outside) => {
    for (
      const [to, message] of [
        [`../${outside.slice(outside.lastIndexOf("/") + 1)}/secret.yaml`, /is outside its folder/],
        ["../../../../../../etc/hostname", /is outside its folder/],
        ["missing.yaml", /can be read: "missing\.yaml"/],
      ] as const
    ) {
      await files({ "a.json": refers(to) }, (folder) => refused(join(folder, "a.json"), message));
    }
    // A URL and an absolute path are left as they are, and lead to nothing.
    for (
      const to of [
        "http://127.0.0.1:1/a.yaml",
        "file:///etc/hostname",
        join(outside, "secret.yaml"),
      ]
    ) {
      await files({ "a.json": refers(to) }, async (folder) => {
        const { document } = await read(join(folder, "a.json"));
        assert.deepEqual(document.paths, { "/a": { $ref: to } });
        const options = { baseUrl: "https://a.example", documentUrl: undefined, most: 1 };
        const { operations, complaints } = operationsOf(document, options);
        assert.deepEqual([operations.length, complaints[0]?.kind], [0, "left out"]);
      });
    }
    // Beside another file, a URL would be followed.
    const both = { "a.json": refers("b.yaml"), "b.yaml": "$ref: http://127.0.0.1:1/x.yaml\n" };
    await files(both, (folder) => refused(join(folder, "a.json"), /which isn't fetched/));
  });
});

test("[OAPI-9] a document is bounded in bytes, levels and values, however it is written", async () => {
  const at = "https://api.example/a";
  const long = JSON.stringify({ ...EMPTY, "x-long": "x".repeat(2_000_000) });
  await refused(at, /at most 1000000 bytes/, new Response(long));
  const chunked = new ReadableStream<Uint8Array>({
    pull: (to) => to.enqueue(new Uint8Array(100_000)),
  });
  await refused(at, /at most 1000000 bytes/, new Response(chunked));
  await files(
    { "a.json": long },
    (folder) => refused(join(folder, "a.json"), /fewer bytes and files/),
  );
  const deep = `{"openapi":"3.1.0","x":${"[".repeat(5000)}${"]".repeat(5000)}}`;
  await refused(at, /at most 200 levels/, new Response(deep));
  const bomb = ["a: &a [x,x,x,x,x,x,x,x,x,x]"];
  for (const [at, name] of [..."bcdefghij"].entries()) {
    const before = "abcdefghi"[at];
    bomb.push(`${name}: &${name} [${Array(10).fill(`*${before}`).join(",")}]`);
  }
  await refused(at, /^Correct "a"/, new Response(`openapi: 3.1.0\n${bomb.join("\n")}\n`));
  const circle: Record<string, unknown> = { ...EMPTY };
  circle["x-self"] = circle;
  await refused(circle, /written as JSON/);
});
