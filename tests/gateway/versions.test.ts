/**
 * What the clients of each version get from upstreams of a newer one.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { gateway } from "../../src/gateway/mod.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { OFFICIAL } from "../clients/in_process.ts";
import { FakeClock } from "../support/clock.ts";
import { assertValid, SCHEMA_VERSIONS } from "../support/schema.ts";
import { initialize } from "../support/wire.ts";
import { FakeUpstream, type FakeUpstreamInit, tools } from "./core_support.ts";

const MODERN = "2026-07-28";
const ICONS = [{ src: "https://a.example/i.png" }];
const inputSchema = { type: "object", properties: { any: true } };

/** Tools with their data. */
const TOOLS: readonly (readonly [tool: JsonObject & { readonly name: string }, data: unknown])[] = [
  [{ name: "array", outputSchema: { type: "array", items: { type: "number" } } }, [1, 2]],
  [{
    name: "either",
    outputSchema: { anyOf: [{ type: "string" }, { type: "object", required: ["a"] }] },
  }, { a: 1 }],
  [{ name: "object", outputSchema: { type: "object", required: ["sum"] } }, { sum: 3 }],
  [{ name: "bare" }, "text"],
  [{ name: "plain" }, { a: 1 }],
];
const CONTENT = [
  { type: "audio", data: "AQID", mimeType: "audio/wav" },
  { type: "resource_link", uri: "test://a", name: "a", icons: ICONS },
];

/** An upstream of 2026-07-28 that uses what older versions don't know. */
function makeUpstream(more: FakeUpstreamInit = {}): FakeUpstream {
  const handlers = Object.fromEntries(
    TOOLS.map(([{ name }, structuredContent]) => [
      name,
      () => ({ resultType: "complete", content: [], structuredContent }),
    ]),
  );
  return new FakeUpstream({
    version: MODERN,
    capabilities: { tools: {}, prompts: {}, resources: {} },
    answers: {
      ...tools({ ...handlers, content: () => ({ resultType: "complete", content: CONTENT }) }),
      "tools/list": () => ({
        resultType: "complete",
        tools: [...TOOLS.map(([tool]) => tool), { name: "content" }].map((tool) => ({
          title: "T",
          icons: ICONS,
          annotations: { readOnlyHint: true },
          execution: { taskSupport: "required" },
          _meta: { a: 1 },
          ...tool,
          inputSchema,
        })),
      }),
      "prompts/list": () => ({
        prompts: [{ name: "p", title: "P", icons: ICONS, arguments: [{ name: "a", title: "A" }] }],
      }),
      "prompts/get": () => ({
        messages: CONTENT.map((content) => ({ role: "user", content })),
      }),
      "resources/list": () => ({ resources: [{ uri: "test://a", name: "a", title: "A" }] }),
      "resources/templates/list": () => ({
        resourceTemplates: [{ uriTemplate: "test://{a}", name: "a", icons: ICONS }],
      }),
    },
    ...more,
  });
}

describe("a newer upstream behind a gateway", () => {
  for (const { name, era, connect } of OFFICIAL) {
    for (const stateful of [true, false]) {
      const sessions = stateful ? {} : { sessions: false as const };
      test(`[GTW-13] ${name} accepts every list and result (sessions: ${stateful})`, async () => {
        const gw = gateway({ upstreams: { up: makeUpstream() } });
        const handler = createMcpHandler(gw, sessions);
        const client = await connect(handler);
        assert.equal((await client.list()).length, TOOLS.length + 1);
        for (const [{ name }, data] of TOOLS) {
          const isWrapped = era === "2025" && name !== "object" && name !== "plain";
          const expected = isWrapped ? { result: data } : data;
          assert.deepEqual(await client.call(`up__${name}`), expected, name);
        }
        assert.deepEqual((await client.result("up__content")).content, CONTENT);
        await client.close();
        await handler.close();
        await gw.close();
      });
    }
  }

  for (const version of SCHEMA_VERSIONS.filter((each) => each !== MODERN)) {
    test(`[GTW-13] a client of ${version} gets what its version has, by its schema`, async () => {
      const info = { name: "gw", version: "1", title: "GW", websiteUrl: "https://a.example" };
      const gw = gateway({ upstreams: { up: makeUpstream() }, info });
      const handler = createMcpHandler(gw);
      const peer = await initialize(handler, { version });
      const lists = [
        ["tools/list", "tools", "Tool"],
        ["prompts/list", "prompts", "Prompt"],
        ["resources/list", "resources", "Resource"],
        ["resources/templates/list", "resourceTemplates", "ResourceTemplate"],
      ] as const;
      const ask = async (method: string, params: JsonObject = {}) =>
        await peer.result(await peer.request(1, method, params));
      const text = JSON.stringify(
        await ask("initialize", {
          protocolVersion: version,
          capabilities: {},
          clientInfo: { name: "c", version: "1" },
        }),
      );
      assert.equal(text.includes('"title"'), version >= "2025-06-18");
      assert.equal(text.includes('"websiteUrl"'), version >= "2025-11-25");
      for (const [method, key, definition] of lists) {
        const entries = (await ask(method))[key] as readonly JsonObject[];
        assert.ok(entries.length > 0);
        for (const entry of entries) assertValid(version, definition, entry);
        const text = JSON.stringify(entries);
        assert.equal(text.includes('"execution"'), false);
        for (
          const [member, since] of [
            ["title", "2025-06-18"],
            ["_meta", "2025-06-18"],
            ["outputSchema", "2025-06-18"],
            ["icons", "2025-11-25"],
          ] as const
        ) {
          if (version < since) assert.equal(text.includes(`"${member}"`), false, member);
        }
      }
      const structured = version >= "2025-06-18";
      for (const [{ name }, data] of TOOLS) {
        const result = await ask("tools/call", { name: `up__${name}`, arguments: {} });
        assert.equal("structuredContent" in result, structured);
        const unwrapped = structured && (name === "object" || name === "plain");
        const [block] = result.content as readonly JsonObject[];
        assert.equal(block?.text, unwrapped ? undefined : JSON.stringify(data));
      }
      await ask("tools/call", { name: "up__content", arguments: {} });
      await ask("prompts/get", { name: "up__p", arguments: {} });
      await handler.close();
      await gw.close();
    });
  }

  test("[GTW-13] a result isn't lost with a list that can't be had", async () => {
    let lists = 0;
    const upstream = makeUpstream({
      capabilities: { tools: {} },
      answers: {
        ...tools({ object: () => ({ content: [], structuredContent: { sum: 3 } }) }),
        "tools/list": () => {
          lists++;
          throw new Error("No list");
        },
      },
    });
    const gw = gateway({ upstreams: { up: upstream } });
    const handler = createMcpHandler(gw);
    const peer = await initialize(handler);
    const result = await peer.result(await peer.call(1, "up__object"));
    assert.deepEqual(result.structuredContent, { sum: 3 });
    assert.equal(lists, 1);
    await handler.close();
    await gw.close();
  });

  for (const version of ["2025-06-18", "2025-11-25"] satisfies ProtocolVersion[]) {
    test(`[GTW-13] ${version} is notified of an elicitation's end if it knows that`, async () => {
      const clock = new FakeClock();
      const upstream = makeUpstream({ version: "2025-11-25" });
      const gw = gateway({ upstreams: { up: upstream }, clock });
      const handler = createMcpHandler(gw, { clock });
      const peer = await initialize(handler, { version });
      const stream = await peer.listen();
      const { downstream } = upstream.session().opened;
      const method = "notifications/elicitation/complete";
      downstream.notified({ method, params: { elicitationId: "e" } });
      await clock.advance(250);
      downstream.notified({ method: "notifications/message", params: { level: "error", data: 1 } });
      const heard: unknown[] = [];
      while (!heard.includes("notifications/message")) heard.push((await stream.message())?.method);
      const last = "notifications/message";
      assert.deepEqual(heard, version === "2025-11-25" ? [method, last] : [last]);
      await handler.close();
      await gw.close();
    });
  }

  test("[GTW-13] a server alone keeps the output schemas that it has in 2024-11-05", async () => {
    const outputSchema = { type: "object", properties: { sum: { type: "number" } } };
    const upstream = new FakeUpstream({
      version: "2024-11-05",
      answers: {
        "tools/list": () => ({ tools: [{ name: "add", inputSchema, outputSchema }] }),
        "tools/call": () => ({ content: [], structuredContent: { sum: 3 } }),
      },
    });
    const gw = gateway({ upstreams: { up: upstream } });
    const handler = createMcpHandler(gw.view({ only: "up" }));
    const peer = await initialize(handler, { version: "2024-11-05" });
    const { result: list } = await (await peer.request(1, "tools/list")).json();
    assert.deepEqual(list.tools[0].outputSchema, outputSchema);
    const { result } = await (await peer.call(2, "add")).json();
    assert.deepEqual(result.structuredContent, { sum: 3 });
    await handler.close();
    await gw.close();
  });
});
