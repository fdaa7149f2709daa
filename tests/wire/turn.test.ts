import { AsyncLocalStorage } from "node:async_hooks";
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { as, initialize, soon, textOf } from "../support/wire.ts";

/** Returns who sends a request. */
function nameOf({ headers }: Request): string {
  return `${headers.get("authorization")?.slice("Bearer ".length)}`;
}

describe("requests that arrive together", () => {
  test("[HOST-7] each is answered in the asynchronous context of its own request", async () => {
    const context = new AsyncLocalStorage<string>();
    const server = new McpServer({ name: "test", version: "1.0.0" });
    server.registerTool("whose", {}, () => `${context.getStore()}`);
    await using handler = createMcpHandler(server, {
      authenticate: () => ({ id: `${context.getStore()}` }),
    });
    const fetch = (request: Request) => context.run(nameOf(request), () => handler(request));
    const names = Array.from({ length: 50 }, (_, n) => `user${n}`);
    const peers = await Promise.all(names.map((name) => initialize(fetch, { headers: as(name) })));
    const whose = await soon(Promise.all(peers.map(async (peer) => {
      return textOf(await peer.result(await peer.call(1, "whose")));
    })));
    assert.deepEqual(whose, names);
  });
});
