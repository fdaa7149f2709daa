import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { createMcpHandler, McpServer, tokenBucket } from "../../../mod.ts";
import { mcpWorker } from "../../../src/adapters/workers.ts";
import { introspection, jwt } from "../../../src/auth/mod.ts";

/** Counts the calls of what a Worker may not use while its modules are loaded. */
function counting<T>(run: () => T): { readonly calls: readonly string[]; readonly value: T } {
  const calls: string[] = [];
  const undo: (() => void)[] = [];
  const watch = (object: object, name: string) => {
    const own = Object.getOwnPropertyDescriptor(object, name);
    const original = Reflect.get(object, name);
    const value = (...args: unknown[]) => {
      calls.push(name);
      return original.apply(object, args);
    };
    Object.defineProperty(object, name, { value, configurable: true, writable: true });
    undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(object, name);
      else Object.defineProperty(object, name, own);
    });
  };
  for (const name of ["getRandomValues", "randomUUID"]) watch(crypto, name);
  for (const name of ["setTimeout", "setInterval", "setImmediate", "fetch"]) {
    watch(globalThis, name);
  }
  try {
    return { value: run(), calls };
  } finally {
    for (const each of undo) each();
  }
}

describe("module scope", () => {
  test("[WRK-1] nothing that can be made there takes randomness, sets timers or does I/O", async () => {
    const { calls, value: handler } = counting(() => {
      const server = new McpServer({ name: "test", version: "1.0.0" });
      const tool = server.registerTool("hello", {}, () => "Hello!");
      mcpWorker(server);
      const [issuer, audience] = ["https://login.example", "https://mcp.example/mcp"];
      jwt({ issuer, audience, jwksUri: "https://login.example/keys" });
      const [clientId, clientSecret] = ["mcp", "secret"];
      introspection({
        endpoint: "https://login.example/introspect",
        issuer,
        audience,
        clientId,
        clientSecret,
      });
      const rateLimit = tokenBucket({ perSecond: 1, key: () => "everybody" });
      const handler = createMcpHandler(server, { rateLimit });
      // Nobody is there yet who could be told.
      tool.disable();
      tool.enable();
      server.resourceUpdated("test://news");
      return handler;
    });
    assert.deepEqual(calls, []);
    const session = await handler.sessions.open();
    assert.equal(handler.sessions.size, 1);
    assert.equal(await handler.sessions.end(session), true);
    await handler.close();
  });
});
