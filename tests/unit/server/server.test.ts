import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import type { ProtocolVersion } from "../../../src/protocol/versions.ts";
import { McpServer, type McpServerOptions } from "../../../src/server/server.ts";
import { flush } from "../../support/clock.ts";
import { FakeExchange, FakeHost, FakeSession } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { makeServer, rejectsWith, request } from "./helpers.ts";

const changed = (kind: string) => `notifications/${kind}/list_changed`;

describe("initialize", () => {
  test("[SRV-1] answers with the version agreed on and what the server says of itself", async () => {
    const info = { name: "test", version: "1.0.0", title: "Test", websiteUrl: "https://a.example" };
    const server = new McpServer(info, { instructions: "Be kind" });
    const { name, version, title } = info;
    const versions: readonly [ProtocolVersion, JsonObject][] = [
      ["2025-11-25", info],
      ["2025-06-18", { name, version, title }],
      ["2024-11-05", { name, version }],
    ];
    for (const [protocolVersion, known] of versions) {
      assert.deepEqual(await request(server, "initialize", {}, { protocolVersion }), {
        protocolVersion,
        capabilities: { logging: {} },
        serverInfo: known,
        instructions: "Be kind",
      });
    }
    assert.equal("instructions" in await request(makeServer(), "initialize"), false);
  });

  const all = (server: McpServer): void => {
    server.registerTool("a", {}, () => "x");
    server.registerResource("a", "a://b", {}, () => "x");
    server.registerPrompt("a", { complete: { a: () => [] } }, () => "x");
  };
  const listChanged = true;
  const cases: readonly [string, McpServerOptions, (server: McpServer) => void, JsonObject][] = [
    ["nothing", {}, () => {}, { logging: {} }],
    ["nothing, without logging", { logging: false }, () => {}, {}],
    ["a tool", { logging: false }, (server) => server.registerTool("a", {}, () => "x"), {
      tools: { listChanged },
    }],
    ["a template", { logging: false }, (server) => {
      server.registerResource("a", "a://{b}", {}, () => "x");
    }, { resources: { listChanged, subscribe: true } }],
    ["a prompt", { logging: false }, (server) => server.registerPrompt("a", {}, () => "x"), {
      prompts: { listChanged },
    }],
    ["everything", {}, all, {
      tools: { listChanged },
      resources: { listChanged, subscribe: true },
      prompts: { listChanged },
      completions: {},
      logging: {},
    }],
    ["no subscriptions", { resourceSubscriptions: false }, all, {
      tools: { listChanged },
      resources: { listChanged },
      prompts: { listChanged },
      completions: {},
      logging: {},
    }],
    [
      "something of its own",
      {
        capabilities: { experimental: { x: {} }, extensions: { "a/b": {} }, tools: {} },
      },
      () => {},
      { logging: {}, experimental: { x: {} }, extensions: { "a/b": {} } },
    ],
  ];
  for (const [what, options, register, capabilities] of cases) {
    test(`[SRV-1] advertises exactly what is there: ${what}`, async () => {
      const server = makeServer(options);
      register(server);
      const result = await request(server, "initialize");
      assert.deepEqual(result.capabilities, capabilities);
      const kinds = ["tools", "resources", "prompts"].filter((kind) => kind in capabilities);
      assert.deepEqual(server.listChanged, kinds.map(changed));
    });
  }

  test("a server needs a name and a version", () => {
    const bad: unknown[] = [{}, { name: "a" }, { name: "", version: "1" }, {
      name: "a",
      version: 1,
    }];
    for (const info of [...bad, undefined]) {
      assert.throws(() => new McpServer(info as { name: string; version: string }), TypeError);
    }
    const instructions = 7 as unknown as string;
    assert.throws(() => new McpServer({ name: "a", version: "1" }, { instructions }), TypeError);
  });
});

describe("ping", () => {
  test("[SRV-1] is answered with nothing", () => {
    assert.deepEqual(dispatch(makeServer(), new FakeExchange("ping")), {});
  });
});

describe("unknown methods", () => {
  test("[SRV-2] are -32601, whatever they are called", async () => {
    const server = makeServer();
    for (const method of ["nothing", "__proto__", "constructor", "toString", "tools/call"]) {
      await rejectsWith(-32601, /^Unknown method: "/, () => request(server, method));
    }
  });
});

describe("logging/setLevel", () => {
  test("[SRV-1] keeps the level with the session", async () => {
    const session = new FakeSession();
    const server = makeServer();
    const set = (level: unknown) => request(server, "logging/setLevel", { level }, { session });
    assert.deepEqual(await set("warning"), {});
    assert.equal(session.logLevel, "warning");
    for (const level of ["loud", "", "WARNING", 7, null, undefined, "constructor"]) {
      await rejectsWith(-32602, /^Give one of debug, info, .* as "level"/, () => set(level));
    }
    assert.equal(session.logLevel, "warning");
    assert.deepEqual(await request(server, "logging/setLevel", { level: "debug" }), {});
  });

  test("[SRV-1] is unknown where logging is switched off", async () => {
    const server = makeServer({ logging: false });
    await rejectsWith(-32601, /^Unknown method/, () => request(server, "logging/setLevel"));
  });
});

describe("attach()", () => {
  test("[SRV-1] every change is told, those of one turn once", async () => {
    const server = makeServer();
    const host = new FakeHost();
    const tool = server.registerTool("before", {}, () => "x");
    server.attach(host);
    for (let i = 0; i < 10; i++) server.registerTool(`t${i}`, {}, () => "x");
    server.registerPrompt("p", {}, () => "x");
    server.registerResource("r", "a://b", {}, () => "x");
    server.registerResource("r", "a://{b}", {}, () => "x");
    assert.deepEqual(host.broadcasts, []);
    await flush();
    assert.deepEqual(
      host.broadcasts.splice(0).sort(),
      ["prompts", "resources", "tools"].map(changed),
    );
    const changes = [
      () => tool.disable(),
      () => tool.enable(),
      () => tool.update({ title: "new" }),
      () => tool.remove(),
    ];
    for (const change of changes) {
      change();
      await flush();
      assert.deepEqual(host.broadcasts.splice(0), [changed("tools")]);
    }
    tool.remove();
    tool.enable();
    tool.update({ title: "newer" });
    await flush();
    assert.deepEqual(host.broadcasts, []);
  });

  test("what changes nothing is not told", async () => {
    const server = makeServer();
    const host = new FakeHost();
    server.attach(host);
    const tool = server.registerTool("t", {}, () => "x");
    await flush();
    host.broadcasts.length = 0;
    tool.enable();
    await flush();
    assert.deepEqual(host.broadcasts, []);
  });

  test("[MOV-3] send…ListChanged() tells what only the application knows, of lists that there are", async () => {
    const server = makeServer();
    const host = new FakeHost();
    server.attach(host);
    server.registerResource("r", "a://b", {}, () => "x");
    await flush();
    host.broadcasts.length = 0;
    const sendAll = () => {
      server.sendToolListChanged();
      server.sendResourceListChanged();
      server.sendPromptListChanged();
    };
    sendAll();
    sendAll();
    await flush();
    assert.deepEqual(host.broadcasts.splice(0), [changed("resources")]);
    server.registerTool("t", {}, () => "x");
    server.registerPrompt("p", {}, () => "x");
    await flush();
    host.broadcasts.length = 0;
    sendAll();
    await flush();
    assert.deepEqual(host.broadcasts.sort(), ["prompts", "resources", "tools"].map(changed));
  });

  test("several endpoints are told, each until it leaves, and none stops another", async () => {
    const server = makeServer();
    const hosts = [new FakeHost(), new FakeHost(), new FakeHost()] as const;
    const [first, broken, last] = hosts;
    const error = new Error("broken");
    broken.broadcast = () => {
      throw error;
    };
    const [leave] = hosts.map((host) => server.attach(host));
    server.registerTool("a", {}, () => "x");
    await flush();
    leave?.();
    leave?.();
    server.registerTool("b", {}, () => "x");
    await flush();
    assert.deepEqual(first.broadcasts, [changed("tools")]);
    assert.deepEqual(last.broadcasts, [changed("tools"), changed("tools")]);
    assert.deepEqual(broken.reported[0], { type: "error", during: changed("tools"), error });
  });

  test("[SRV-5] updates of resources are handed to every endpoint", () => {
    const server = makeServer();
    const hosts = [new FakeHost(), new FakeHost()];
    for (const host of hosts) server.attach(host);
    server.resourceUpdated("a://b");
    for (const { updated } of hosts) assert.deepEqual(updated, ["a://b"]);
  });
});
