/**
 * What `sqliteStore` does with a file that it can't use, and with one that gets full.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createMcpHandler, type McpEvent, McpServer } from "../../mod.ts";
import { sqliteStore, type SqliteStoreOptions } from "../../src/sql/mod.ts";
import { initialize } from "../support/wire.ts";

const MIB = 1024 * 1024;

function server(): McpServer {
  const mcp = new McpServer({ name: "demo", version: "1.0.0" });
  mcp.registerTool("keep", {}, async (_args, ctx) => {
    await ctx.session?.state.set("text", "x".repeat(50_000));
    return "kept";
  });
  mcp.registerTool(
    "get",
    {},
    async (_args, ctx) => String(String(await ctx.session?.state.get("text") ?? "").length),
  );
  return mcp;
}

describe("a file", () => {
  let folder: string;
  let made = 0;
  const newPath = () => join(folder, `${++made}.sqlite`);
  before(async () => folder = await mkdtemp(join(tmpdir(), "sql-")));
  after(async () => await rm(folder, { recursive: true }));

  /** Makes a file with a session in it. */
  async function used(path: string): Promise<void> {
    using store = sqliteStore({ path });
    await using handler = createMcpHandler(server(), { store });
    const peer = await initialize(handler);
    await (await peer.call(1, "keep")).text();
  }

  const wrong = (options: object) => () => sqliteStore(options as SqliteStoreOptions);

  test("[DUR-4] options are checked", () => {
    assert.throws(wrong({}), /Give the path of a file as "path"/);
    assert.throws(wrong({ path: "" }), TypeError);
    assert.throws(wrong({ path: ":memory:", maxByte: 1 }), /did you mean "maxBytes"/);
    assert.throws(wrong({ path: ":memory:", maxBytes: 5 }), RangeError);
    assert.throws(wrong({ path: ":memory:", synchronous: "off" }), /"normal" or "full"/);
  });

  test("[DUR-4] that another process uses is refused, and usable once that has ended", () => {
    const path = newPath();
    const first = sqliteStore({ path });
    assert.throws(
      wrong({ path }),
      /End the other process that uses the file, or give another path/,
    );
    first.close();
    first.close();
    sqliteStore({ path }).close();
  });

  test("[DUR-4] that is a folder, or in none, is refused with what to do", async () => {
    const path = newPath();
    await mkdir(path);
    assert.throws(wrong({ path }), /Give a path of a file that can be created/);
    assert.throws(wrong({ path: join(path, "no", "x.sqlite") }), /Give a path of a file/);
  });

  test("[DUR-4] that is damaged is refused, and left as it is", async () => {
    const path = newPath();
    await writeFile(path, "This is no database, but a long text. ".repeat(1_000));
    assert.throws(wrong({ path }), /Move the damaged file away, or restore it from a copy/);
    const half = newPath();
    await used(half);
    await truncate(half, 8_192 + 100);
    assert.throws(wrong({ path: half }), /Move the damaged file away|Give a path/);
  });

  test("[DUR-4] of another program is refused", () => {
    const path = newPath();
    const database = new DatabaseSync(path);
    database.exec("CREATE TABLE a (b)");
    database.close();
    assert.throws(wrong({ path }), /Give a file that Mooring has created/);
  });

  test("[DUR-4] of a newer version is refused", async () => {
    const path = newPath();
    await used(path);
    const database = new DatabaseSync(path);
    database.exec("PRAGMA user_version = 99");
    database.close();
    assert.throws(
      wrong({ path }),
      /Use the version of Mooring that wrote the file, or a newer one/,
    );
  });

  test("[DUR-5] that is full refuses what needs room with a 503, keeps the rest, and recovers", async () => {
    const path = newPath();
    const events: McpEvent[] = [];
    using store = sqliteStore({ path, maxBytes: MIB });
    await using handler = createMcpHandler(server(), {
      store,
      onEvent: (event) => events.push(event),
    });
    const peer = await initialize(handler);
    const begin = async () => {
      const body = {
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "a", version: "1" },
        },
      };
      return await handler(
        new Request("http://localhost/mcp", {
          method: "POST",
          headers: {
            "content-type": "application/json",
            accept: "application/json, text/event-stream",
          },
          body: JSON.stringify(body),
        }),
      );
    };
    let refused: Response | undefined;
    // Each session takes 50 kB while there is room, and then a little: the file is full in the end.
    for (let sessions = 0; sessions < 900 && refused === undefined; sessions++) {
      const response = await begin();
      await response.clone().text();
      if (response.status !== 200) refused = response;
      else if (sessions < 25) {
        const sessionId = response.headers.get("mcp-session-id") ?? "";
        const filler = await initialize(handler).catch(() => undefined);
        await (await filler?.call(1, "keep"))?.text();
        assert.notEqual(sessionId, "");
      }
    }
    assert.equal(refused?.status, 503, "the file never got full");
    assert.match(await refused.text(), /try again/);
    const answer = await (await peer.call(2, "get")).json();
    assert.equal(answer.result.content[0].text, "0");
    for (const id of [...await store.open({} as never).sessions.ids()].slice(0, 40)) {
      if (id !== peer.sessionId) await handler.sessions.end(id);
    }
    const kept = await (await peer.call(3, "keep")).json();
    assert.equal(kept.result.content?.[0]?.text, "kept", JSON.stringify(kept));
  });

  test("[DUR-1] a handler that is closed leaves its sessions for the next", async () => {
    const path = newPath();
    let session: string;
    {
      using store = sqliteStore({ path });
      await using handler = createMcpHandler(server(), { store });
      const peer = await initialize(handler);
      await (await peer.call(1, "keep")).text();
      session = peer.sessionId ?? "";
    }
    using store = sqliteStore({ path });
    await using handler = createMcpHandler(server(), { store });
    const response = await handler(
      new Request("http://localhost/mcp", {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "mcp-session-id": session,
          "mcp-protocol-version": "2025-11-25",
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: 2,
          method: "tools/call",
          params: { name: "get", arguments: {} },
        }),
      }),
    );
    assert.equal((await response.json()).result.content[0].text, "50000");
  });
});
