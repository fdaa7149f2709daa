import assert from "node:assert/strict";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { common } from "../../examples/cluster.ts";
import { noRedis, type Server, uniquePrefix, useServer } from "../support/redis.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

describe("examples/cluster.ts", { skip: noRedis }, () => {
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

  test("[CLU-1] a session goes on at another node, and when its first one has ended", () =>
    running("cluster.ts", (other) =>
      running("cluster.ts", async (first) => {
        const client = await reach(first.url);
        const visit = async (url: string, id: number) => {
          const response = await fetch(url, {
            method: "POST",
            headers: {
              "content-type": "application/json",
              accept: "application/json",
              "mcp-session-id": client.sessionId ?? "",
            },
            body: JSON.stringify({
              jsonrpc: "2.0",
              id,
              method: "tools/call",
              params: { name: "visit", arguments: {} },
            }),
          });
          const { result } = await response.json();
          return text(result) ?? "";
        };
        const [one, two] = [await visit(first.url, 1), await visit(other.url, 2)];
        assert.match(one, /^Visit 1, at /);
        assert.match(two, /^Visit 2, at /);
        assert.notEqual(one.slice("Visit 1".length), two.slice("Visit 2".length));
        assert.equal(await first.stop(), 0);
        assert.match(await visit(other.url, 3), /^Visit 3, at /);
        for (const answer of await pasted(other)) assert.match(answer, /"name":"cluster"/);
      })));

  test("asks for the secret that nodes know each other by", async () => {
    await assert.rejects(common({}), /STATE_KEY/);
  });
});
