/**
 * A file that fails while it is in use, behind this runtime's own adapter: what needs the store gets a 503, the
 * rest is served, and everything is there again when the file is.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type McpEvent, McpServer } from "../../mod.ts";
import { SqlFile } from "../../src/sql/file.ts";
import type { SqlValue } from "../../src/sql/sql.ts";
import { storeIn } from "../../src/sql/sqlite_store.ts";
import { serve } from "../runtimes/runtime.ts";

/** A file whose writes fail on demand. */
class FailingFile extends SqlFile {
  error: string | undefined;

  constructor() {
    super({ path: ":memory:", maxBytes: 1 << 28, synchronous: "normal" });
  }

  override exec(query: string, ...bindings: SqlValue[]) {
    if (this.error !== undefined && !query.startsWith("SELECT")) throw new Error(this.error);
    return super.exec(query, ...bindings);
  }
}

/** What SQLite says in each case. */
const PROBLEMS = {
  "full": "database or disk is full",
  "read-only": "attempt to write a readonly database",
  "damaged": "database disk image is malformed",
  "locked": "database is locked",
  "failing": "disk I/O error",
} as const;

async function started() {
  const server = new McpServer({ name: "demo", version: "1.0.0" });
  server.registerTool("echo", {}, () => "echo");
  server.registerTool("keep", {}, async (_args, ctx) => {
    await ctx.session?.state.set("key", "value");
    return "kept";
  });
  server.registerTool("stream", {}, async (_args, ctx) => {
    for (let n = 1; n <= 3; n++) {
      await ctx.progress(n, 3);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return "streamed";
  });
  const file = new FailingFile();
  const store = storeIn(file);
  const events: McpEvent[] = [];
  const running = await serve(server, {
    port: 0,
    store,
    signals: false,
    graceMs: 0,
    onEvent: (event: McpEvent) => events.push(event),
  });
  let id = 0;
  const post = async (method: string, params: object, session?: string) => {
    const response = await fetch(running.url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        ...session !== undefined &&
          { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" },
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: ++id, method, params }),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const open = () =>
    post("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    });
  const call = (name: string, session: string) =>
    post("tools/call", { name, arguments: {}, _meta: { progressToken: 1 } }, session);
  return {
    ...{ file, events, open, call, url: running.url },
    async close() {
      file.error = undefined;
      await running.close();
      store.close();
    },
  };
}

describe("a file that fails behind this runtime's adapter", () => {
  for (const [problem, error] of Object.entries(PROBLEMS)) {
    test(`[DUR-26] ${problem}: 503 for what needs it, answers for the rest, and it comes back`, async () => {
      const { file, events, open, call, url, close } = await started();
      try {
        const opened = await open();
        assert.equal(opened.status, 200);
        const session = opened.headers.get("mcp-session-id") ?? "";
        assert.match((await call("keep", session)).text, /kept/);

        file.error = error;
        const refused = await open();
        assert.equal(refused.status, 503);
        assert.equal(refused.headers.get("retry-after"), "1");
        assert.match(refused.text, /try again/);
        // Who asks is told nothing of the file: its operator is.
        assert.ok(!refused.text.includes(error), refused.text);
        assert.ok(
          events.some((event) => event.type === "refused" && event.reason === "store-failed"),
        );
        assert.match((await call("echo", session)).text, /"text":"echo"/);
        const state = await call("keep", session);
        assert.equal(state.status, 200);
        assert.doesNotMatch(state.text, /"text":"kept"/);
        // What a call has done is told, whether it could be stored or not.
        assert.match((await call("stream", session)).text, /"text":"streamed"/);
        const ended = await fetch(url, {
          method: "DELETE",
          headers: { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" },
        });
        assert.equal(ended.status, 503);
        await ended.body?.cancel();

        file.error = undefined;
        assert.equal((await open()).status, 200);
        assert.match((await call("echo", session)).text, /"text":"echo"/);
        assert.match((await call("keep", session)).text, /"text":"kept"/);
        const { text } = await call("stream", session);
        assert.match(text, /"progress":1.*"progress":2.*"progress":3.*"text":"streamed"/s);
      } finally {
        await close();
      }
    });
  }
});
