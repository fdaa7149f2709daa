import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { preparedText } from "../../../src/protocol/prepared.ts";
import type { ProtocolVersion } from "../../../src/protocol/versions.ts";
import { Lifecycle } from "../../../src/server/features/lifecycle.ts";
import type { McpServer } from "../../../src/server/server.ts";
import { FakeExchange } from "../../support/exchange.ts";
import { makeServer, rejectsWith, request } from "./helpers.ts";

const VERSIONS_2025 = [
  "2024-11-05",
  "2025-03-26",
  "2025-06-18",
  "2025-11-25",
] as const satisfies readonly ProtocolVersion[];

function greet(server: McpServer, protocolVersion: ProtocolVersion): Promise<JsonObject> {
  return request(server, "initialize", {}, { protocolVersion });
}

describe("Lifecycle: the answer to initialize", () => {
  test("[SRV-1] is made once for each version, and anew once something else is served", async () => {
    let made = 0;
    let hasTools = false;
    const lifecycle = new Lifecycle({
      info: { name: "test", version: "1.0.0" },
      instructions: undefined,
      serves(method) {
        if (method === "tools/list") made += 1;
        return method === "tools/list" && hasTools;
      },
      extra: {},
      extensions: () => assert.fail("Extensions are for clients of the 2026 era"),
    });
    const answer = async (protocolVersion: ProtocolVersion) =>
      await lifecycle.methods.initialize?.(new FakeExchange("initialize", {}, { protocolVersion }));
    const first = new Set<unknown>();
    for (let i = 0; i < 3; i++) {
      for (const version of VERSIONS_2025) first.add(await answer(version));
    }
    assert.equal(first.size, VERSIONS_2025.length);
    assert.equal(made, VERSIONS_2025.length);
    hasTools = true;
    lifecycle.renew();
    for (const protocolVersion of VERSIONS_2025) {
      const renewed = await answer(protocolVersion);
      assert.equal(first.has(renewed), false);
      assert.deepEqual(renewed, {
        protocolVersion,
        capabilities: { tools: { listChanged: true } },
        serverInfo: { name: "test", version: "1.0.0" },
      });
      assert.equal(await answer(protocolVersion), renewed);
    }
    assert.equal(made, 2 * VERSIONS_2025.length);
  });

  test("[SRV-1] has the version that was asked for, and its text with it", async () => {
    const server = makeServer({ instructions: "Be kind" });
    for (const version of [...VERSIONS_2025, ...VERSIONS_2025.toReversed()]) {
      const answer = await greet(server, version);
      assert.equal(answer.protocolVersion, version);
      assert.equal(preparedText(answer), JSON.stringify(answer));
      assert.equal(await greet(server, version), answer);
    }
  });

  const listChanged = true;
  const registrations: readonly [string, (server: McpServer) => void, JsonObject][] = [
    ["a tool", (server) => server.registerTool("a", {}, () => "x"), { tools: { listChanged } }],
    ["a resource", (server) => server.registerResource("a", "a://b", {}, () => "x"), {
      resources: { listChanged, subscribe: true },
    }],
    ["a prompt", (server) => server.registerPrompt("a", {}, () => "x"), {
      prompts: { listChanged },
    }],
    ["an argument with suggestions", (server) => {
      server.registerPrompt("a", { complete: { a: () => [] } }, () => "x");
    }, { prompts: { listChanged }, completions: {} }],
  ];
  for (const [what, register, more] of registrations) {
    test(`[SRV-1] tells of ${what} that is registered after others were answered`, async () => {
      const server = makeServer();
      const before = new Map<ProtocolVersion, JsonObject>();
      for (const version of VERSIONS_2025) before.set(version, await greet(server, version));
      register(server);
      for (const version of VERSIONS_2025) {
        const answer = await greet(server, version);
        assert.deepEqual(answer.capabilities, { logging: {}, ...more });
        assert.equal(preparedText(answer), JSON.stringify(answer));
        // What others were told stays what they were told.
        assert.deepEqual(before.get(version)?.capabilities, { logging: {} });
      }
    });
  }

  test("[SRV-1] servers have their answers apart", async () => {
    const [one, two] = [makeServer(), makeServer()];
    const before = await greet(one, "2025-11-25");
    two.registerTool("a", {}, () => "x");
    assert.deepEqual((await greet(two, "2025-11-25")).capabilities, {
      logging: {},
      tools: { listChanged },
    });
    assert.equal(await greet(one, "2025-11-25"), before);
  });
});

describe("Lifecycle: the other methods", () => {
  test("server/discover knows what is registered, whatever initialize was told", async () => {
    const server = makeServer({ logging: false });
    const discover = () =>
      request(server, "server/discover", {}, { protocolVersion: "2026-07-28" });
    await greet(server, "2025-11-25");
    assert.deepEqual((await discover()).capabilities, {});
    server.registerTool("a", {}, () => "x");
    assert.deepEqual((await discover()).capabilities, { tools: { listChanged: true } });
    await rejectsWith(-32601, /^Unknown method/, () => request(server, "server/discover"));
  });
});
