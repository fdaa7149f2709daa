/** The option `processes` of `serve`, where it can't work. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { ServeOptions } from "../../src/adapters/serve_options.ts";
import { Stub } from "../support/wire.ts";
import { runtime, serve } from "./runtime.ts";

const KEY = "a key of at least 32 bytes for tests";

describe("serve with processes", () => {
  const refused = (
    options: ServeOptions & McpHandlerOptions,
    error: object,
    what: string,
  ): Promise<void> => assert.rejects(serve(new Stub(), { port: 0, ...options }), error, what);

  test("[CORE-8] needs what processes share, and says so before any is started", async () => {
    const advice = { name: "TypeError", message: /^Give a "store" that processes share/ };
    await refused({ processes: 2 }, advice, "no store");
    await refused({ processes: 2, store: memoryStore() }, advice, "a store of one process");
    await refused({ processes: 2, sessions: false }, advice, "no keys");
    await refused({ processes: 0 }, { name: "RangeError" }, "none");
    await refused({ processes: 257 }, /at most 256 as "processes"/, "too many");
    await refused({ processes: "all" as "auto" }, /"processes"/, "a word");
  });

  test("[CORE-8] one process is the server itself", async () => {
    const running = await serve(new Stub(), { port: 0, signals: false, processes: 1 });
    assert.equal(running.handler.stats().sessions, 0);
    await running.close();
  });

  test("[CORE-8] Deno names its own way", { skip: runtime !== "deno" }, async () => {
    const options = { processes: 2, sessions: false, requests: { stateKeys: [KEY] } } as const;
    await refused(options, /deno serve --parallel/, "on Deno");
  });
});
