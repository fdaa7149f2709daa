import assert from "node:assert/strict";
import { createServer } from "node:net";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { noRedis, type Server, uniquePrefix, useServer } from "../support/redis.ts";
import { reach, runtime, startCommand } from "./program.ts";
import { text } from "./text.ts";

const MOST_TRIES = 64;
const pathOf = (example: string) =>
  fileURLToPath(new URL(`../../examples/${example}`, import.meta.url));

async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

/** Visits in one session, each time on a connection of its own, until two processes or threads have answered. */
async function visitBoth(url: string): Promise<Set<string>> {
  const client = await reach(url);
  const seen = new Set<string>();
  for (let visits = 1; seen.size < 2; visits++) {
    assert.ok(visits < MOST_TRIES, "One has answered all of them");
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        connection: "close",
        "mcp-session-id": client.sessionId ?? "",
      },
      body: JSON.stringify({
        ...{ jsonrpc: "2.0", id: visits, method: "tools/call" },
        params: { name: "visit", arguments: {} },
      }),
    });
    const { result } = await response.json();
    const [, count, who] = /^Visit (\d+), in \w+ (\w+)$/.exec(text(result) ?? "") ?? [];
    assert.equal(count, String(visits), "The session goes on, whoever answers");
    seen.add(who ?? "");
  }
  await client.close();
  return seen;
}

describe("all cores", { skip: noRedis }, () => {
  let redis: Server;

  before(async () => {
    redis = await useServer();
    process.env.REDIS_URL = redis.url;
    process.env.PREFIX = uniquePrefix();
    process.env.STATE_KEY = "a secret that is long enough for all of them";
  });

  after(async () => {
    await redis?.stop();
  });

  const onDeno = runtime === "deno";

  test("[CORE-7] examples/processes.ts: a session goes on in every process, also after one died", {
    skip: onDeno,
  }, async () => {
    const args = [pathOf("processes.ts"), "--port", "0", "--processes", "2"];
    const program = await startCommand(args);
    try {
      const seen = await visitBoth(program.url);
      const [pid] = seen;
      process.kill(Number(pid), "SIGKILL");
      for (let tries = 0; !/died \(SIGKILL\)/.test(program.output()); tries++) {
        assert.ok(tries < 200, program.output());
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      // It serves again when the one that took its place does.
      for (let tries = 0;; tries++) {
        const again = await visitBoth(program.url).catch((error: unknown) => {
          if (tries > 20) throw error;
        });
        if (again === undefined) continue;
        assert.ok(!again.has(pid ?? ""));
        break;
      }
      assert.equal(await program.stop(), 0, program.output());
    } finally {
      await program.kill();
    }
    assert.equal(program.output().match(/Listening at/g)?.length, 1);
  });

  test(
    "[CORE-7] examples/parallel.ts: a session goes on in every thread",
    { skip: !onDeno },
    async () => {
      process.env.DENO_JOBS = "2";
      const port = String(await unusedPort());
      const flags = ["serve", "-A", "--no-check", "--parallel", "--host", "127.0.0.1"];
      const program = await startCommand([...flags, "--port", port, pathOf("parallel.ts")]);
      try {
        await visitBoth(`http://127.0.0.1:${port}/mcp`);
      } finally {
        await program.kill();
      }
    },
  );
});
