/**
 * Compiles and runs the programs of `docs/moving.md`, and compares what they answer.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import type { CallToolResult } from "../../mod.ts";
import { connect, type ListedTool, type TestClient } from "../../src/testing/mod.ts";
import { runtime } from "./program.ts";

const ROOT = new URL("../../", import.meta.url);

/** A program of the page, which exports what answers requests, or listens. */
interface Program {
  readonly default?: { readonly fetch: (request: Request) => Response | Promise<Response> };
  readonly listener?: Server;
}

/** The programs of each section, before and after. */
async function programsOf(page: string): Promise<Map<string, readonly string[]>> {
  const sections = (await readFile(new URL(page, ROOT), "utf8")).split(/^## From /m).slice(1);
  return new Map(sections.map((section) => {
    const [name = ""] = section.split("\n");
    const blocks = [...section.matchAll(/```ts ignore\n([^]*?)```/g)];
    return [name, blocks.map(([, code = ""]) => code)];
  }));
}

/** Makes a program that listens take a free port, and say which. */
function listenable(code: string): string {
  return code.replace(
    /^app\.listen\(8000\);/m,
    'export const listener = app.listen(0, "127.0.0.1");',
  );
}

/** Runs something with a program, and stops it. Once only: modules are kept. */
async function using<T>(
  file: string,
  use: (fetch: (request: Request) => Response | Promise<Response>, url: string) => Promise<T>,
): Promise<T> {
  const program: Program = await import(pathToFileURL(file).href);
  const { listener, default: app } = program;
  if (listener === undefined) {
    assert.ok(app, "It exports what answers requests");
    return await use((request) => app.fetch(request), "http://localhost/mcp");
  }
  try {
    if (!listener.listening) await new Promise((resolve) => listener.once("listening", resolve));
    const { port } = listener.address() as AddressInfo;
    return await use((request) => fetch(request), `http://127.0.0.1:${port}/mcp`);
  } finally {
    listener.closeAllConnections();
    await new Promise((resolve) => listener.close(resolve));
  }
}

/** A tool without what other SDKs add to it or leave out. */
function plain(tool: ListedTool): unknown {
  return JSON.parse(JSON.stringify({ ...tool, execution: undefined }), (key, value) => {
    const isEmpty = key === "properties" && Object.keys(value).length === 0;
    return isEmpty || key === "$schema" || key === "additionalProperties" ? undefined : value;
  });
}

function outcome({ content, structuredContent, isError }: CallToolResult): unknown {
  return { content, structuredContent, isError: isError === true };
}

/** What a server lists, answers and refuses. */
async function answers(client: TestClient): Promise<Record<string, unknown>> {
  const { tools, resources, prompts, completions } = client.capabilities;
  const offers = { tools, resources: { ...resources, subscribe: undefined }, prompts, completions };
  const said: Record<string, unknown> = { offers };
  const listed = await client.listTools();
  const has = (name: string) => listed.some((tool) => tool.name === name);
  said.tools = listed.map(plain);
  said.author = outcome(await client.callTool("author", { title: "emma" }));
  said.unknown = outcome(await client.callTool("author", { title: "none" }));
  if (has("count")) {
    const progress: unknown[] = [];
    const onProgress = (update: unknown) => progress.push(update);
    said.count = outcome(await client.callTool("count", {}, { onProgress }));
    said.progress = progress;
    said.silent = outcome(await client.callTool("count"));
  }
  if (has("lend")) {
    said.lent = outcome(await client.callTool("lend", { title: "emma" }));
    said.declined = outcome(await client.callTool("lend", { title: "ulysses" }));
  }
  // The texts differ
  said.refused = await client.callTool("author", { title: 1 }).then(
    ({ isError }) => isError === true,
    (error) => error.code === -32602,
  );
  assert.equal(said.refused, true);
  if (resources !== undefined) {
    said.templates = await client.listResourceTemplates();
    const { contents } = await client.readResource("books://emma");
    // Mooring fills in the media type
    said.book = contents.map((piece) => ({ ...piece, mimeType: "text/plain", type: undefined }));
  }
  if (prompts !== undefined) {
    said.prompts = await client.listPrompts();
    said.review = (await client.getPrompt("review", { title: "emma" })).messages;
  }
  if (completions !== undefined) {
    const typed = { name: "title", value: "u" };
    const of = async (ref: Parameters<typeof client.complete>[0]) =>
      (await client.complete(ref, typed)).values;
    said.completed = [
      await of({ type: "ref/prompt", name: "review" }),
      await of({ type: "ref/resource", uri: "books://{title}" }),
    ];
  }
  return JSON.parse(JSON.stringify(said));
}

/**
 * Answers of a program in each of some versions, in a session of its own. The user lends the first
 * book, and no other.
 */
async function answersOf(
  file: string,
  versions: readonly string[],
): Promise<Record<string, unknown>[]> {
  return await using(file, async (fetch, url) => {
    const all: Record<string, unknown>[] = [];
    for (const protocolVersion of versions) {
      let asked = 0;
      const client = await connect(fetch, {
        url,
        protocolVersion,
        onElicit: () =>
          asked++ === 0 ? { action: "accept", content: { days: 7 } } : { action: "decline" },
      });
      try {
        all.push(await answers(client));
      } finally {
        await client.close();
      }
    }
    return all;
  });
}

describe("docs/moving.md", () => {
  let folder = "";
  let programs: Map<string, readonly string[]>;
  const fileOf = (name: string, index: number) =>
    `${folder}/${name.replace(/\W+/g, "_")}_${index === 0 ? "before" : "after"}.ts`;

  before(async () => {
    programs = await programsOf("docs/moving.md");
    // The part `package` walks through that section
    programs.delete("an empty folder");
    // In the project's folder, where its name resolves as in a clone
    await mkdir(new URL(".cache/", ROOT), { recursive: true });
    folder = await mkdtemp(fileURLToPath(new URL(".cache/moving-", ROOT)));
    for (const [name, codes] of programs) {
      for (const [index, code] of codes.entries()) {
        await writeFile(fileOf(name, index), listenable(code));
      }
    }
  });

  after(async () => {
    if (folder !== "") await rm(folder, { recursive: true });
  });

  test("[MOV-1] has a program before and after for each SDK, and all of them compile", async () => {
    const names = ["SDK v1", "SDK v2", "@hono/mcp", "mcp-lite"];
    assert.deepEqual([...programs.keys()], names);
    for (const [name, codes] of programs) {
      assert.equal(codes.length, 2, name);
      assert.match(codes[1] ?? "", /"@mooring\/mcp"/);
      assert.doesNotMatch(codes[0] ?? "", /@mooring/);
    }
    if (runtime !== "deno") return;
    const files = names.flatMap((name) => [fileOf(name, 0), fileOf(name, 1)]);
    await promisify(execFile)(process.execPath, ["check", ...files]);
  });

  const sections: readonly (readonly [string, string, string])[] = [
    ["SDK v1", "2025-11-25", "2026-07-28"],
    ["SDK v2", "2026-07-28", "2025-11-25"],
    ["@hono/mcp", "2025-11-25", "2026-07-28"],
    ["mcp-lite", "2025-06-18", "2026-07-28"],
  ];
  for (const [name, version, other] of sections) {
    test(`[MOV-1] ${name}: before and after answer the same, and after so in both eras`, async () => {
      const [theirs] = await answersOf(fileOf(name, 0), [version]);
      const [ours, newer] = await answersOf(fileOf(name, 1), [version, other]);
      assert.deepEqual(ours, theirs);
      assert.deepEqual(newer, theirs);
    });
  }
});
