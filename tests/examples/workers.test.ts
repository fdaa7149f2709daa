import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { connect } from "../../src/testing/mod.ts";
import { bundle, type RunningWorker, startWorker, WORKERD } from "../../tools/workerd.ts";
import { text } from "./text.ts";

const skip = existsSync(WORKERD) ? false : "No workerd for this machine: run `deno task test` once";

describe("examples/workers.ts", { skip }, () => {
  let worker: RunningWorker;
  before(async () => {
    worker = await startWorker(await bundle("examples/workers.ts"), {
      sessions: "McpSession",
      vars: { STATE_KEY: "only for this test, 32 bytes or more" },
    });
  });
  after(() => worker?.stop());

  test("counts in a session, in workerd", async () => {
    const client = await connect((request) => {
      const { pathname } = new URL(request.url);
      return fetch(new Request(worker.origin + pathname, request));
    });
    try {
      assert.equal(text(await client.callTool("count", { by: 2 })), "2");
      assert.equal(text(await client.callTool("count")), "3");
    } finally {
      await client.close();
    }
  });
});
