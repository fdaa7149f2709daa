/**
 * A SQLite file that is sealed with keys.
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { sqliteStore, SqliteStoreError } from "../../src/sql/mod.ts";
import { initialize } from "../support/wire.ts";

const ONE = "the first key, of thirty-two bytes or more";
const TWO = new TextEncoder().encode("the second key, of thirty-two bytes or more");
const WORD = "Xylophone";

function server(): McpServer {
  const mcp = new McpServer({ name: "demo", version: "1.0.0" });
  mcp.registerTool("keep", {}, async (_args, ctx) => {
    await ctx.session?.state.set(`key-${WORD}`, `value-${WORD}`);
    await ctx.progress(1, 2, `progress-${WORD}`);
    return `answer-${WORD}`;
  });
  mcp.registerTool("get", {}, async (_args, ctx) => {
    return String(await ctx.session?.state.get(`key-${WORD}`));
  });
  return mcp;
}

async function inFolder(use: (path: string, texts: () => Promise<string>) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), "sealed-"));
  const texts = async (): Promise<string> => {
    const names = await readdir(folder);
    return (await Promise.all(names.map((name) => readFile(join(folder, name), "latin1")))).join();
  };
  try {
    await use(join(folder, "data.sqlite"), texts);
  } finally {
    await rm(folder, { recursive: true });
  }
}

type Keys = readonly (string | Uint8Array)[];

/** Makes a session, and returns its id. */
async function begin(path: string, keys: Keys): Promise<string> {
  using store = sqliteStore({ path, keys });
  await using handler = createMcpHandler(server(), { store });
  const peer = await initialize(handler);
  const params = { name: "keep", arguments: {}, _meta: { progressToken: "p" } };
  const response = await handler(post(peer.sessionId ?? "", "tools/call", params));
  assert.match(await response.text(), new RegExp(`answer-${WORD}`));
  return peer.sessionId ?? "";
}

/** Reads the state of a session. */
async function state(path: string, keys: Keys, session: string): Promise<string> {
  using store = sqliteStore({ path, keys });
  await using handler = createMcpHandler(server(), { store });
  const response = await handler(post(session, "tools/call", { name: "get", arguments: {} }));
  return (await response.json()).result.content[0].text;
}

function post(session: string, method: string, params: object): Request {
  return new Request("http://localhost/mcp", {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-session-id": session,
      "mcp-protocol-version": "2025-11-25",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 2, method, params }),
  });
}

const refused = (path: string, keys: Keys): void =>
  assert.throws(
    () => sqliteStore({ path, keys }),
    (error) => error instanceof SqliteStoreError && error.problem === "key",
  );

describe("a sealed file", () => {
  test("[DUR-8] has nothing in the clear, neither contents nor ids nor keys of state", () =>
    inFolder(async (path, texts) => {
      const session = await begin(path, [ONE]);
      const all = await texts();
      for (const word of [session, WORD, "2025-11-25"]) assert.ok(!all.includes(word), word);
      assert.equal(await state(path, [ONE], session), `value-${WORD}`);
    }));

  test("[DUR-8] is refused without its key, and left as it is", () =>
    inFolder(async (path) => {
      const session = await begin(path, [ONE]);
      assert.throws(() => sqliteStore({ path }), /Give the key of the file as "keys"/);
      assert.throws(
        () => sqliteStore({ path, keys: [TWO] }),
        /Give the key that the file was sealed/,
      );
      refused(path, [TWO]);
      assert.equal(await state(path, [ONE], session), `value-${WORD}`);
    }));

  test("[DUR-8] is sealed anew with the first key, after which the old one is needed no more", () =>
    inFolder(async (path) => {
      const session = await begin(path, [ONE]);
      assert.equal(await state(path, [TWO, ONE], session), `value-${WORD}`);
      refused(path, [ONE]);
      assert.equal(await state(path, [TWO], session), `value-${WORD}`);
    }));

  test("[DUR-8] that was in the clear is sealed, and keeps nothing of what it was", () =>
    inFolder(async (path, texts) => {
      const session = await begin(path, []);
      assert.ok((await texts()).includes(WORD));
      assert.equal(await state(path, [ONE], session), `value-${WORD}`);
      const all = await texts();
      for (const word of [session, WORD]) assert.ok(!all.includes(word), word);
    }));

  test("[DUR-8] a content that was moved to another row is not read as that one's", () =>
    inFolder(async (path) => {
      const [first, second] = [await begin(path, [ONE]), await begin(path, [ONE])];
      const database = new DatabaseSync(path);
      const rows = database.prepare("SELECT id, record FROM mooring_session").all();
      assert.equal(rows.length, 2);
      const [{ id = null } = {}, { record = null } = {}] = rows;
      database.prepare("UPDATE mooring_session SET record = ? WHERE id = ?").run(record, id);
      database.close();
      assert.notEqual(first, second);
      using store = sqliteStore({ path, keys: [ONE] });
      assert.throws(
        () => createMcpHandler(server(), { store }),
        /A part of the SQLite file was changed/,
      );
    }));

  test("[DUR-8] keys are checked", () => {
    const of = (keys: unknown) => () => sqliteStore({ path: ":memory:", keys } as never);
    assert.throws(of("x"), TypeError);
    assert.throws(of([1]), TypeError);
    assert.throws(of(["short"]), RangeError);
  });
});
