/**
 * As many handles at once as are kept, in each store: each gives its owner its own result, and is unknown to
 * everybody else.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Store } from "../../src/cluster/types.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { z } from "zod";
import { KEY } from "../support/cluster.ts";
import { ModernPeer } from "../support/modern.ts";
import { CLIENTS, deleteKeys, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { as, byToken, Gate, isPending, textOf } from "../support/wire.ts";

/** The default of `limits.longCalls`, and of users who have a full share each. */
const MOST = 1_000;
const USERS = 10;
const EACH = MOST / USERS;
/** How many handles somebody else tries. */
const TRIED = 25;

/** A place for handles. */
interface Place {
  /** Returns the store of one more node; `undefined` for the memory of a single one. */
  readonly node: () => Store | undefined;
  readonly nodes: number;
  readonly close: () => unknown;
}

const PLACES: Readonly<Record<string, () => Place | Promise<Place>>> = {
  "the memory of a handler": () => ({ node: () => undefined, nodes: 1, close() {} }),
  "a store in memory": () => {
    const store = memoryStore();
    return { node: () => store, nodes: 2, close() {} };
  },
  "SQLite": () => {
    const folder = mkdtempSync(join(tmpdir(), "mooring-handles-"));
    const store = sqliteStore({ path: join(folder, "file.sqlite") });
    const close = () => {
      store.close();
      rmSync(folder, { recursive: true });
    };
    return { node: () => store, nodes: 1, close };
  },
  "Redis": async () => {
    const redis = await useServer();
    const [{ connect } = assert.fail()] = CLIENTS;
    const connection = await connect(redis.url);
    const prefix = uniquePrefix();
    const { client } = connection;
    const close = async () => {
      await deleteKeys(connection, prefix);
      await connection.close();
      await redis.stop();
    };
    return { node: () => redisStore({ client, prefix }), nodes: 2, close };
  },
};

function serverOf(finish: Gate) {
  const server = new McpServer({ name: "test", version: "1.0.0" });
  server.registerTool("work", { inputSchema: z.object({ n: z.number() }) }, async ({ n }, ctx) => {
    await finish.promise;
    return `${n} of ${ctx.principal.id}`;
  });
  return server;
}

/** A new client of a user, so that all say the same in the same way. */
function peerOf(handler: McpHandler, user: string): ModernPeer {
  return new ModernPeer(handler, { headers: as(user), accept: "application/json" });
}

/** What comes back for a handle, byte for byte. */
async function bytesOf(handler: McpHandler, user: string, tool: string, handle: string) {
  const response = await peerOf(handler, user).call(tool, { handle });
  return [response.status, [...response.headers], await response.text()];
}

for (const [name, open] of Object.entries(PLACES)) {
  const skip = name === "Redis" && noRedis;
  test(
    `[LONG-23] ${MOST} handles at once, each for its owner alone: ${name}`,
    { skip },
    async () => {
      const place = await open();
      const finish = new Gate();
      const handlers = Array.from({ length: place.nodes }, () => {
        const store = place.node();
        return createMcpHandler(serverOf(finish), {
          authenticate: byToken,
          longCalls: { afterMs: 1 },
          limits: { requests: 2 * MOST, requestsPerPrincipal: MOST },
          requests: { stateKeys: [KEY] },
          ...store !== undefined && { store },
        });
      });
      const [first, last] = [handlers[0], handlers.at(-1)];
      assert.ok(first && last);
      try {
        const users = Array.from({ length: USERS }, (_, index) => `user${index}`);
        const handles = await Promise.all(
          users.flatMap((user) =>
            Array.from({ length: EACH }, async (_, n) => {
              const text = String(textOf(await peerOf(first, user).say("work", { n })));
              const [handle] = /call_[\w-]+/.exec(text) ?? assert.fail(text);
              return { user, n, handle };
            })
          ),
        );
        assert.equal(new Set(handles.map(({ handle }) => handle)).size, MOST);
        const more = peerOf(first, "mallory").say("work", { n: 0 });
        for (const tool of ["wait_for_result", "cancel_call"]) {
          for (const handler of handlers) {
            const unknown = await bytesOf(handler, "mallory", tool, "call_none");
            for (const { handle } of handles.slice(0, TRIED)) {
              assert.deepEqual(await bytesOf(handler, "mallory", tool, handle), unknown);
            }
          }
        }
        assert.equal(await isPending(more), true, "There was room for one more");
        finish.open();
        assert.equal(textOf(await more), "0 of mallory");
        await Promise.all(handles.map(async ({ user, n, handle }) => {
          const result = await peerOf(last, user).say("wait_for_result", { handle });
          assert.equal(textOf(result), `${n} of ${user}`);
        }));
      } finally {
        finish.open();
        await Promise.all(handlers.map((handler) => handler.close({ graceMs: 0 })));
        await place.close();
      }
    },
  );
}
