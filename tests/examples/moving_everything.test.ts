/**
 * Registers the tools, resources and prompts of the official everything server with Mooring: its
 * published files, of which only imports change.
 *
 * @module
 */
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client";
// The package maps the types of such paths to files that don't exist.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
// @ts-types="@modelcontextprotocol/sdk/inMemory"
import { InMemoryTransport } from "@modelcontextprotocol/sdk/inMemory.js";
import { CallToolResultSchema } from "@modelcontextprotocol/sdk/types.js";
import { createMcpHandler, type McpHandler, McpServer } from "../../mod.ts";

const ROOT = new URL("../../", import.meta.url);
const DIST = new URL("node_modules/@modelcontextprotocol/server-everything/dist/", ROOT);
const FOLDERS = ["tools", "resources", "prompts", "server", "docs"];
/** The modules whose names Mooring has, too. */
const SDK = /(?<=^import \{[^}]*\} from )"@modelcontextprotocol\/sdk\/server\/\w+\.js"/gm;
const CLIENT = { name: "test", version: "1.0.0" };

/** The part of the everything server that is used here. */
interface Registration {
  readonly registerTools: (server: McpServer) => void;
  readonly registerResources: (server: McpServer) => void;
  readonly registerPrompts: (server: McpServer) => void;
}

/** Copies the published files to a folder in which `@mooring/mcp` resolves, with other imports. */
async function moved(folder: string): Promise<Registration> {
  let changed = 0;
  for (const name of FOLDERS) {
    await cp(fileURLToPath(new URL(name, DIST)), `${folder}/${name}`, { recursive: true });
    for (const file of await readdir(`${folder}/${name}`)) {
      if (name === "server" && file === "index.js") continue;
      const path = `${folder}/${name}/${file}`;
      const source = await readFile(path, "utf8");
      const target = source.replace(SDK, () => `${++changed && '"@mooring/mcp"'}`);
      if (file.endsWith(".js")) await writeFile(path, target);
    }
  }
  // ResourceTemplate and completable() in the templates, completable() in the prompts
  assert.equal(changed, 3);
  const all = {
    registerTools: "tools",
    registerResources: "resources",
    registerPrompts: "prompts",
  };
  const found = await Promise.all(
    Object.entries(all).map(async ([name, folderName]) => {
      const module = await import(pathToFileURL(`${folder}/${folderName}/index.js`).href);
      return [name, module[name]];
    }),
  );
  return Object.fromEntries(found);
}

/** A copy in which times are the same, also in resources that are encoded. */
function timeless(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value), (key, member) => {
    const isText = typeof member === "string";
    const text = isText && key === "blob" ? atob(member) : member;
    return isText ? text.replace(/(?<=created at ).*$/, "now") : member;
  });
}

/** The entries of a list by name, without what the official SDK adds to them. */
function entries(list: readonly { readonly name: string }[]): Record<string, unknown> {
  return Object.fromEntries(list.map((entry) => {
    const text = JSON.stringify({ ...entry, execution: undefined });
    return [entry.name, JSON.parse(text, (key, value) => key === "$schema" ? undefined : value)];
  }));
}

const OK: readonly (readonly [string, Record<string, unknown>])[] = [
  ["echo", { message: "hello" }],
  ["get-annotated-message", { messageType: "error" }],
  ["get-annotated-message", { messageType: "debug", includeImage: true }],
  ["get-resource-links", {}],
  ["get-resource-links", { count: 10 }],
  ["get-resource-reference", {}],
  ["get-resource-reference", { resourceType: "Blob", resourceId: 7 }],
  ["get-structured-content", { location: "Chicago" }],
  ["get-sum", { a: 2, b: 3.5 }],
  ["get-tiny-image", {}],
  ["gzip-file-as-resource", { name: "a.gz", data: "data:text/plain,hello" }],
  [
    "gzip-file-as-resource",
    { name: "b.gz", data: "data:text/plain,x", outputType: "resource" },
  ],
  // They look for `extra.sessionId`, which neither an SDK server in memory nor Mooring has
  ["toggle-subscriber-updates", {}],
  ["toggle-subscriber-updates", {}],
  ["trigger-long-running-operation", { duration: 0.01, steps: 2 }],
];

const WRONG: typeof OK = [
  ["echo", {}],
  ["get-annotated-message", { messageType: "unknown" }],
  ["get-resource-links", { count: 11 }],
  ["get-structured-content", { location: "Berlin" }],
  ["get-sum", { a: "2", b: 3 }],
];

describe("the everything server's own files", () => {
  const original = new Client(CLIENT);
  const mooring = new Client(CLIENT);
  let folder = "";
  let handler: McpHandler;
  let closeOriginal: () => Promise<void>;

  before(async () => {
    await mkdir(new URL(".cache/", ROOT), { recursive: true });
    folder = await mkdtemp(fileURLToPath(new URL(".cache/everything-", ROOT)));
    const { registerTools, registerResources, registerPrompts } = await moved(folder);
    const server = new McpServer({ name: "everything", version: "1.0.0" });
    registerTools(server);
    registerResources(server);
    registerPrompts(server);
    handler = createMcpHandler(server);
    const { createServer } = await import(new URL("server/index.js", DIST).href);
    const { server: theirs, cleanup } = createServer();
    const [here, there] = InMemoryTransport.createLinkedPair();
    await theirs.connect(there);
    await original.connect(here);
    closeOriginal = async () => {
      cleanup();
      await original.close();
    };
    const fetch = (url: string | URL, init?: RequestInit) => handler(new Request(url, init));
    const url = new URL("http://localhost/mcp");
    await mooring.connect(new StreamableHTTPClientTransport(url, { fetch }));
  });

  after(async () => {
    await Promise.allSettled([closeOriginal?.(), mooring.close()]);
    await handler?.close({ graceMs: 0 });
    if (folder !== "") await rm(folder, { recursive: true });
  });

  test("[MOV-2] list the same tools", async () => {
    const theirs = entries((await original.listTools()).tools);
    // Registered after `initialize`, with the client's capabilities: those tools use tasks
    delete theirs["simulate-research-query"];
    const ours = entries((await mooring.listTools()).tools);
    assert.equal(Object.keys(ours).length, 12);
    assert.deepEqual(ours, theirs);
  });

  test("[MOV-2] answer calls the same way", async () => {
    for (const [name, args] of OK) {
      const call = { name, arguments: args };
      const ours = timeless(await mooring.callTool(call));
      assert.deepEqual(ours, timeless(await original.callTool(call)), name);
    }
  });

  test("[MOV-2] answer with the same environment", async () => {
    const call = { name: "get-env", arguments: {} };
    const names = await Promise.all([mooring, original].map(async (client) => {
      const { content } = CallToolResultSchema.parse(await client.callTool(call));
      const [block] = content;
      // Names alone: a failure would print the values
      return Object.keys(JSON.parse(block?.type === "text" ? block.text : "")).sort();
    }));
    assert.deepEqual(names[0], names[1]);
  });

  test("[MOV-2] refuse wrong arguments with a result that the model reads", async () => {
    for (const [name, args] of WRONG) {
      const call = { name, arguments: args };
      const [ours, theirs] = await Promise.all([mooring.callTool(call), original.callTool(call)]);
      assert.equal(ours.isError, true, name);
      assert.equal(theirs.isError, true, name);
      const [path = ""] = JSON.stringify(theirs).match(/(?<= at )\w+/) ?? [];
      assert.ok(path !== "" && JSON.stringify(ours).includes(path), `${name}: ${path}`);
    }
  });

  test("[MOV-2] differ in errors that they throw: Mooring keeps the message to itself", async () => {
    const call = { name: "get-resource-reference", arguments: { resourceId: -1 } };
    const [ours, theirs] = await Promise.all([mooring.callTool(call), original.callTool(call)]);
    assert.equal(ours.isError, true);
    assert.match(JSON.stringify(theirs), /Must be a finite positive integer/);
    assert.doesNotMatch(JSON.stringify(ours), /finite/);
  });

  test("[MOV-2] differ for a tool that isn't there: Mooring answers as the specification has it", async () => {
    const call = { name: "none", arguments: {} };
    assert.equal((await original.callTool(call)).isError, true);
    await assert.rejects(mooring.callTool(call), { code: -32602 });
  });

  test("[MOV-2] list, read and complete the same resources", async () => {
    const [ours, theirs] = await Promise.all([mooring, original].map(async (client) => ({
      templates: entries((await client.listResourceTemplates()).resourceTemplates),
      resources: entries((await client.listResources()).resources),
      text: timeless(await client.readResource({ uri: "demo://resource/dynamic/text/3" })),
      blob: timeless(await client.readResource({ uri: "demo://resource/dynamic/blob/4" })),
      // Registered by a call
      file: await client.readResource({ uri: "demo://resource/session/a.gz" }),
      document: await client.readResource({
        uri: "demo://resource/static/document/architecture.md",
      }),
      completion: await client.complete({
        ref: { type: "ref/resource", uri: "demo://resource/dynamic/text/{resourceId}" },
        argument: { name: "resourceId", value: "12" },
      }),
    })));
    assert.equal(Object.keys(ours?.templates ?? {}).length, 2);
    assert.ok(Object.keys(ours?.resources ?? {}).length > 3);
    assert.deepEqual(ours, theirs);
  });

  test("[MOV-2] list, get and complete the same prompts", async () => {
    const [ours, theirs] = await Promise.all([mooring, original].map(async (client) => ({
      prompts: entries((await client.listPrompts()).prompts),
      simple: await client.getPrompt({ name: "simple-prompt" }),
      args: await client.getPrompt({ name: "args-prompt", arguments: { city: "Oslo" } }),
      team: await client.getPrompt({
        name: "completable-prompt",
        arguments: { department: "Sales", name: "Eve" },
      }),
      resource: timeless(
        await client.getPrompt({
          name: "resource-prompt",
          arguments: { resourceType: "Text", resourceId: "1" },
        }),
      ),
      departments: await client.complete({
        ref: { type: "ref/prompt", name: "completable-prompt" },
        argument: { name: "department", value: "S" },
      }),
      names: await client.complete({
        ref: { type: "ref/prompt", name: "completable-prompt" },
        argument: { name: "name", value: "" },
        context: { arguments: { department: "Support" } },
      }),
    })));
    assert.equal(Object.keys(ours?.prompts ?? {}).length, 4);
    // The SDK loses the description of an optional argument
    const described = JSON.stringify(ours).replace(',"description":"Name of the state"', "");
    assert.notEqual(described, JSON.stringify(ours));
    assert.deepEqual(JSON.parse(described), theirs);
  });
});
