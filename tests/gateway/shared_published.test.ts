/**
 * Published programs that many sessions use together.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { gateway, stdio } from "../../src/gateway/mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { binary, childrenOf } from "./children.ts";

let folder = "";
before(() => {
  // The server compares real paths.
  folder = realpathSync(mkdtempSync(join(tmpdir(), "mooring-")));
  writeFileSync(join(folder, "note.txt"), "Shared by all");
});
after(() => rmSync(folder, { recursive: true }));

/** The programs, and a call whose answer names its session. */
const PROGRAMS = [
  {
    name: "mcp-server-everything",
    args: () => [],
    call: (who: string) => ["echo", { message: who }] as const,
    answer: (who: string) => `Echo: ${who}`,
  },
  {
    name: "mcp-server-memory",
    args: () => [],
    call: (who: string) => ["search_nodes", { query: `nobody-${who}` }] as const,
    answer: () => '"entities": []',
  },
  {
    name: "mcp-server-filesystem",
    args: () => [folder],
    call: () => ["read_text_file", { path: join(folder, "note.txt") }] as const,
    answer: () => "Shared by all",
  },
] as const;

/** The processes of a program that run. */
function running(name: string): number {
  return childrenOf(process.pid).filter((line) => line.includes(name)).length;
}

describe("published programs", () => {
  for (const { name, args, call, answer } of PROGRAMS) {
    test(`[SHP-26] ${name} answers the sessions of many users from one process`, {
      timeout: 60_000,
    }, async () => {
      const env = { MEMORY_FILE_PATH: join(folder, "memory.jsonl") };
      const upstream = stdio({ command: binary(name), args: args(), env, share: "all" });
      const gw = gateway({ upstreams: { it: upstream } });
      const handler = createMcpHandler(gw, {
        authenticate: (request) => ({ id: request.headers.get("authorization") ?? "" }),
      });
      const before = running(name);
      const users = ["ada", "bob", "cy", "dee", "eve", "fay"];
      const clients = await Promise.all(
        users.map((authorization) => connect(handler, { headers: { authorization } })),
      );
      const results = await Promise.all(clients.map(async (client, nth) => {
        const [tool, given] = call(String(users[nth]));
        return await client.callTool(`it__${tool}`, given);
      }));
      for (const [nth, { content }] of results.entries()) {
        const [first] = content;
        assert.ok(first?.type === "text" && first.text.includes(answer(String(users[nth]))));
      }
      assert.equal(running(name) - before, 1);
      assert.equal(gw.stats().programs, 1);
      for (const client of clients) await client.close();
      await handler.close();
      await gw.close();
      assert.equal(running(name), before);
    });
  }
});
