/**
 * Apps and extensions through a merged view: what two upstreams call alike is kept apart.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { gateway } from "../../src/gateway/mod.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock } from "../support/clock.ts";
import { targetOf } from "../support/routes.ts";
import {
  type Answer,
  ask,
  type AskInit,
  callOf,
  FakeUpstream,
  type FakeUpstreamInit,
  GatewayExchange,
  GatewayHost,
  sessionOf,
  text,
  textOf,
} from "./core_support.ts";

const session = sessionOf("a");
const UI = "io.modelcontextprotocol/ui";
const MODERN: AskInit = { protocolVersion: "2026-07-28" };

const PAGE = "ui://chart/page.html";
const PAGE_META = {
  ui: {
    csp: { connectDomains: ["https://api.example"], resourceDomains: ["https://cdn.example"] },
    permissions: { clipboardWrite: {} },
    domain: "charts.example",
    prefersBorder: true,
  },
};

/** What a server with an app answers. Its page isn't in its list, as few are. */
function app(
  { page = PAGE, uris = [], templates = [], extra = {} }: {
    readonly page?: string;
    readonly uris?: readonly string[];
    readonly templates?: readonly string[];
    readonly extra?: Readonly<Record<string, JsonObject>>;
  } = {},
): FakeUpstreamInit {
  const refer: Answer = ({ params }) => {
    const { arguments: args } = params;
    const uri = isObject(args) ? args.uri : undefined;
    return {
      content: [
        { type: "text", text: String(uri) },
        { type: "resource_link", uri, name: "linked" },
        { type: "resource", resource: { uri, text: "embedded" } },
      ],
      _meta: { ui: { resourceUri: uri, other: 1 } },
    };
  };
  const definitions: Record<string, JsonObject> = {
    show: { _meta: { ui: { resourceUri: page, visibility: ["model"] }, "ui/resourceUri": page } },
    refresh: { _meta: { ui: { visibility: ["app"] } } },
    refer: {},
    ...extra,
  };
  return {
    capabilities: { tools: {}, resources: { subscribe: true }, prompts: {}, completions: {} },
    answers: {
      "ping": () => ({}),
      "tools/list": () => ({
        tools: Object.entries(definitions).map(([name, definition]) => {
          return { name, inputSchema: { type: "object" }, ...definition };
        }),
      }),
      "tools/call": (call, session) => {
        const { name } = call.params;
        if (name === "refer") return refer(call, session);
        if (!Object.hasOwn(definitions, String(name))) throw new McpError(-32602, "No such tool");
        return text(`${session.opened.name} ${name}`);
      },
      "prompts/list": () => ({ prompts: [{ name: "p" }] }),
      "prompts/get": () => ({
        messages: [{
          role: "user",
          content: { type: "resource", resource: { uri: page, text: "" } },
        }],
      }),
      "resources/list": () => ({ resources: uris.map((uri) => ({ uri, name: uri })) }),
      "resources/templates/list": () => ({
        resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })),
      }),
      "resources/read": ({ params: { uri } }, { opened }) => ({
        contents: [
          { uri, mimeType: "text/html;profile=mcp-app", text: opened.name, _meta: PAGE_META },
          { uri: page, text: "beside" },
        ],
      }),
      "resources/subscribe": () => ({}),
      "resources/unsubscribe": () => ({}),
      "completion/complete": ({ params: { ref } }, { opened }) => ({ ref, from: opened.name }),
    },
  };
}

/** A gateway over several upstreams. */
function over(
  inits: Readonly<Record<string, FakeUpstreamInit>>,
  options: Parameters<typeof gateway>[0] = {},
) {
  const clock = new FakeClock();
  const ups = Object.fromEntries(
    Object.entries(inits).map(([name, init]) => [name, new FakeUpstream(init)]),
  );
  const gw = gateway({ upstreams: ups, clock, ...options });
  const host = new GatewayHost();
  gw.attach?.(host);
  return { clock, gw, host, up: (name: string) => ups[name] ?? assert.fail(name) };
}

/** The entries of a list. */
async function list(
  gw: Dispatcher,
  method: string,
  init: AskInit = { session },
): Promise<JsonObject[]> {
  const result = await ask(gw, new GatewayExchange(method, {}, init));
  const entries = result.tools ?? result.resources ?? result.resourceTemplates;
  assert.ok(Array.isArray(entries));
  return entries;
}

/** The addresses of all resources, or of all templates. */
async function addresses(
  gw: Dispatcher,
  kind: "resources" | "resources/templates" = "resources",
  init?: AskInit,
): Promise<unknown[]> {
  return (await list(gw, `${kind}/list`, init)).map(({ uri, uriTemplate }) => uri ?? uriTemplate);
}

/** The first of the contents of a resource. */
async function read(
  gw: Dispatcher,
  uri: unknown,
  init: AskInit = { session },
): Promise<JsonObject> {
  const { contents } = await ask(gw, new GatewayExchange("resources/read", { uri }, init));
  const [first] = Array.isArray(contents) ? contents : [];
  return isObject(first) ? first : assert.fail("No contents");
}

/** The upstream that answers when an address is read. */
async function ownerOf(gw: Dispatcher, uri: unknown, init?: AskInit): Promise<unknown> {
  return (await read(gw, uri, init)).text;
}

async function isUnknown(gw: Dispatcher, uri: string, init: AskInit = { session }): Promise<void> {
  const code = init.protocolVersion === undefined ? -32002 : -32602;
  await assert.rejects(read(gw, uri, init), { code });
}

describe("addresses of apps", () => {
  for (const [era, init] of [["2025", { session }], ["2026", MODERN]] as const) {
    test(`[APP-1, APP-2] two upstreams with the same page: each tool leads to its own (${era})`, async () => {
      const { gw } = over({ a: app({ uris: [PAGE] }), b: app() });
      const tools = await list(gw, "tools/list", init);
      for (const name of ["a", "b"]) {
        const address = `ui://${name}__chart/page.html`;
        const tool = tools.find((each) => each.name === `${name}__show`);
        assert.deepEqual(tool?._meta, {
          ui: { resourceUri: address, visibility: ["model"] },
          "ui/resourceUri": address,
        });
        const page = await read(gw, address, init);
        assert.deepEqual(page, {
          uri: address,
          mimeType: "text/html;profile=mcp-app",
          text: name,
          _meta: PAGE_META,
        });
      }
      assert.deepEqual(await addresses(gw, "resources", init), ["ui://a__chart/page.html"]);
      await gw.close();
    });
  }

  test("[APP-2] what ChatGPT's apps name is replaced, and nothing that is no page", async () => {
    const meta = {
      "openai/outputTemplate": "ui://w.html",
      "openai/widgetAccessible": true,
      "ui/resourceUri": "https://pages.example/",
      ui: { resourceUri: 1, visibility: ["app"] },
    };
    const plain = { title: "Plain", _meta: { ui: "odd" } };
    const { gw } = over({ a: app({ extra: { odd: { _meta: meta }, plain } }) });
    const tools = await list(gw, "tools/list");
    assert.deepEqual(
      tools.find(({ name }) => name === "a__odd")?._meta,
      { ...meta, "openai/outputTemplate": "ui://a__w.html" },
    );
    assert.deepEqual(tools.find(({ name }) => name === "a__plain")?._meta, plain._meta);
  });

  test("[APP-1] one upstream alone keeps its addresses and names", async () => {
    const { gw, up } = over({ a: app({ uris: [PAGE] }), b: app() });
    const only = gw.only("a");
    const [show] = await list(only, "tools/list");
    assert.deepEqual(show?._meta, {
      ui: { resourceUri: PAGE, visibility: ["model"] },
      "ui/resourceUri": PAGE,
    });
    assert.deepEqual(await addresses(only), [PAGE]);
    assert.equal((await read(only, PAGE)).uri, PAGE);
    await read(only, "ui://a__chart/page.html");
    assert.deepEqual(up("a").session().calls.at(-1)?.params.uri, "ui://a__chart/page.html");
  });

  test("[APP-3] an app's own address is found if only one upstream has it, and is nobody's otherwise", async () => {
    const { gw, up } = over({ a: app({ uris: [PAGE, "ui://a/data"] }), b: app({ uris: [PAGE] }) });
    assert.equal(await ownerOf(gw, "ui://a/data"), "a");
    await isUnknown(gw, PAGE);
    // Also while the other one can't be reached that has listed it.
    await addresses(gw);
    await gw.set("b", new FakeUpstream({ ...app({ uris: [PAGE] }) }));
    await isUnknown(gw, PAGE, { session: sessionOf("other") });
    assert.equal(
      up("a").session().methods.filter((method) => method === "resources/read").length,
      1,
    );
  });
});

describe("addresses that collide", () => {
  test("[APP-1] get a form of their own, whichever upstream comes first; others stay", async () => {
    const one = app({
      uris: ["memo://1", "memo://2", "https://x.example/"],
      templates: ["f://{x}"],
    });
    const two = app({
      uris: ["memo://1", "https://x.example/"],
      templates: ["f://{+path}", "g://{x}"],
    });
    for (const inits of [{ a: one, b: two }, { b: two, a: one }]) {
      const { gw, host } = over(inits);
      const resources = await addresses(gw);
      assert.deepEqual([...resources].sort(), [
        "https://x.example/",
        "memo://2",
        "memo://a__1",
        "memo://b__1",
      ]);
      assert.deepEqual((await addresses(gw, "resources/templates")).sort(), [
        "f://a__{x}",
        "f://b__{+path}",
        "g://{x}",
      ]);
      for (
        const [address, owner] of [
          ["memo://a__1", "a"],
          ["memo://b__1", "b"],
          ["memo://2", "a"],
          ["f://a__deep", "a"],
          ["f://b__deep/er", "b"],
          ["g://1", "b"],
          // A page of the web is the same whoever lists it: it belongs to the first.
          ["https://x.example/", Object.keys(inits)[0]],
        ]
      ) assert.equal(await ownerOf(gw, address), owner, address);
      for (const address of ["memo://1", "f://1"]) await isUnknown(gw, address);
      assert.deepEqual(
        host.reported.filter(({ type }) => type === "upstream-entries-dropped").length,
        1,
      );
      await gw.close();
    }
  });

  test("[APP-1] an address that looks like another upstream's gets a form of its own", async () => {
    const { gw } = over({ a: app({ uris: ["memo://b__1"] }), b: app({ uris: ["memo://1"] }) });
    assert.deepEqual(await addresses(gw), ["memo://a__b__1", "memo://1"]);
    assert.equal(await ownerOf(gw, "memo://a__b__1"), "a");
    assert.equal(await ownerOf(gw, "memo://b__1"), "b");
  });

  test("[APP-3, GTW-11] what a client knows stays its upstream's, whatever comes later", async () => {
    const { gw } = over({ b: app({ uris: ["memo://1"], templates: ["f://{x}"] }) });
    assert.deepEqual(await addresses(gw), ["memo://1"]);
    assert.equal(await ownerOf(gw, "f://1"), "b");
    await gw.set("a", new FakeUpstream(app({ uris: ["memo://1", "f://1"] })));
    assert.deepEqual(await addresses(gw), ["memo://b__1", "memo://a__1", "f://a__1"]);
    assert.equal(await ownerOf(gw, "memo://1"), "b");
    assert.equal(await ownerOf(gw, "f://1"), "b");
    // To others it is nobody's.
    await isUnknown(gw, "memo://1", { session: sessionOf("new") });
    await gw.remove("b");
    assert.deepEqual(await addresses(gw), ["memo://a__1", "f://a__1"]);
    await isUnknown(gw, "memo://1");
    assert.equal(await ownerOf(gw, "memo://1", { session: sessionOf("new") }), "a");
  });

  test("[APP-3] an upstream that is late or ends changes no address's owner", async () => {
    let dead = false;
    const init = app({ uris: ["memo://1"], templates: ["f://{x}"] });
    const { gw, clock } = over({
      a: {
        ...init,
        opening() {
          if (dead) throw new Error("Down");
        },
      },
      b: app({ uris: ["memo://2"] }),
    });
    assert.deepEqual(await addresses(gw), ["memo://1", "memo://2"]);
    await addresses(gw, "resources/templates");
    dead = true;
    await gw.sessionEnded?.("a", "ended");
    await gw.set("b", new FakeUpstream(app({ uris: ["memo://1"], templates: ["f://{x}"] })));
    const other = { session: sessionOf("other") };
    const pending = isUnknown(gw, "memo://1", other).then(() => isUnknown(gw, "f://1", other));
    for (let n = 0; n < 20; n++) await clock.advance(1000);
    await pending;
  });

  test("[APP-3] a link claims no address that another upstream has, and keeps the one that is new", async () => {
    const { gw } = over({ a: app({ uris: ["memo://1"] }), b: app() });
    const refer = async (uri: string, init: AskInit = { session }) => {
      const params = { name: "b__refer", arguments: { uri } };
      const result = await ask(gw, new GatewayExchange("tools/call", params, init));
      const [, link, embedded] = Array.isArray(result.content) ? result.content : [];
      assert.equal(link.uri, embedded.resource.uri);
      return { address: link.uri, meta: result._meta };
    };
    assert.equal((await refer("memo://new")).address, "memo://new");
    assert.equal(await ownerOf(gw, "memo://new"), "b");
    assert.deepEqual(await refer(PAGE), {
      address: "ui://b__chart/page.html",
      meta: { ui: { resourceUri: "ui://b__chart/page.html", other: 1 } },
    });
    assert.equal((await refer("https://x.example/")).address, "https://x.example/");
    await addresses(gw);
    assert.equal((await refer("memo://1")).address, "memo://b__1");
    const later = { session: sessionOf("later") };
    assert.equal((await refer("memo://1", later)).address, "memo://b__1");
    assert.equal((await refer("memo://a__1")).address, "memo://b__a__1");
    assert.equal(await ownerOf(gw, "memo://1"), "a");
    // A link that came before the list leads where it did.
    const early = { session: sessionOf("early") };
    const fresh = over({ a: app({ uris: ["memo://1"] }), b: app() }).gw;
    const params = { name: "b__refer", arguments: { uri: "memo://1" } };
    await ask(fresh, new GatewayExchange("tools/call", params, early));
    assert.deepEqual(await addresses(fresh, "resources", early), ["memo://a__1"]);
    assert.equal(await ownerOf(fresh, "memo://1", early), "b");
  });

  test("[APP-3] a result may have any number of links, of which a thousand are looked up", async () => {
    const links = Array.from({ length: 1002 }, (_, n) => {
      return { type: "resource_link", uri: `memo://${n}`, name: "link" };
    });
    const { answers } = app();
    const { gw } = over({
      a: { ...app(), answers: { ...answers, "tools/call": () => ({ content: links }) } },
      b: app(),
    });
    const { content } = await ask(gw, callOf("a__show", session));
    assert.ok(Array.isArray(content));
    assert.deepEqual(content.slice(0, 1000), links.slice(0, 1000));
    assert.deepEqual(content.slice(1000).map(({ uri }) => uri), [
      "memo://a__1000",
      "memo://a__1001",
    ]);
    assert.equal(await ownerOf(gw, "memo://a__1001"), "a");
  });

  test("[APP-2] prompts, contents, completions and errors have the addresses of the client", async () => {
    const { gw, up } = over({
      a: app({ uris: ["memo://1"], templates: ["f://{x}"] }),
      b: app({ uris: ["memo://1"], templates: ["f://{y}"] }),
    });
    const prompt = await ask(gw, new GatewayExchange("prompts/get", { name: "b__p" }, { session }));
    assert.deepEqual(prompt.messages, [{
      role: "user",
      content: { type: "resource", resource: { uri: "ui://b__chart/page.html", text: "" } },
    }]);
    const { contents } = await ask(
      gw,
      new GatewayExchange("resources/read", { uri: "memo://b__1" }, { session }),
    );
    assert.ok(Array.isArray(contents));
    assert.deepEqual(contents.map(({ uri }) => uri), ["memo://b__1", "ui://b__chart/page.html"]);
    assert.equal(up("b").session().calls.at(-1)?.params.uri, "memo://1");
    const ref = { type: "ref/resource", uri: "f://b__{y}" };
    const params = { ref, argument: { name: "y", value: "" } };
    const done = await ask(gw, new GatewayExchange("completion/complete", params, { session }));
    assert.deepEqual([done.from, done.ref], ["b", { ...ref, uri: "f://{y}" }]);
  });

  test("[APP-2] subscriptions and their updates have the addresses of the client", async () => {
    const { gw, up, host, clock } = over({
      a: app({ uris: ["memo://1"] }),
      b: app({ uris: ["memo://1"] }),
    });
    const send = (method: string, uri: string) =>
      ask(gw, new GatewayExchange(`resources/${method}`, { uri }, { session }));
    await send("subscribe", "memo://a__1");
    await send("subscribe", "memo://b__1");
    const updated = { method: "notifications/resources/updated", params: { uri: "memo://1" } };
    const seen = async () => {
      for (const name of ["a", "b"]) up(name).session().opened.downstream.notified(updated);
      await clock.advance(250);
      return host.told.splice(0).map(([, { params }]) => params?.uri);
    };
    assert.deepEqual(await seen(), ["memo://a__1", "memo://b__1"]);
    await send("unsubscribe", "memo://a__1");
    assert.deepEqual(await seen(), ["memo://b__1"]);
    const methods = (name: string) =>
      up(name).session().calls.filter(({ method }) => /subscribe/.test(method))
        .map(({ method, params }) => [method, params.uri]);
    assert.deepEqual(methods("a"), [
      ["resources/subscribe", "memo://1"],
      ["resources/unsubscribe", "memo://1"],
    ]);
    assert.deepEqual(methods("b"), [["resources/subscribe", "memo://1"]]);
  });

  test("[APP-2] one resource by two addresses is updated by both, and left with the last", async () => {
    const { gw, host, clock } = over({ a: app({ uris: ["memo://1"] }) });
    const send = (method: string, uri: string) =>
      ask(gw, new GatewayExchange(`resources/${method}`, { uri }, { session }));
    const a = new FakeUpstream(app({ uris: ["memo://1"] }));
    await gw.set("a", a);
    await send("subscribe", "memo://1");
    await send("subscribe", "memo://a__1");
    const updated = { method: "notifications/resources/updated", params: { uri: "memo://1" } };
    a.session().opened.downstream.notified(updated);
    await clock.advance(250);
    const seen = host.told.filter(([, { method }]) => method === updated.method);
    assert.deepEqual(seen.map(([, { params }]) => params?.uri), ["memo://1", "memo://a__1"]);
    await send("unsubscribe", "memo://1");
    assert.ok(!a.session().methods.includes("resources/unsubscribe"));
    await send("unsubscribe", "memo://a__1");
    assert.ok(a.session().methods.includes("resources/unsubscribe"));
  });

  test("[APP-2] the result of a held call has them, too", async () => {
    const refer: Answer = async ({ ask }) => {
      await ask("elicitation/create", { mode: "form", message: "Sure?", requestedSchema: {} });
      return { content: [{ type: "resource_link", uri: PAGE, name: "page" }] };
    };
    const { answers } = app();
    const { gw } = over({
      a: { ...app(), answers: { ...answers, "tools/call": refer } },
      b: app(),
    });
    const init = { ...MODERN, capabilities: { elicitation: {} } };
    const params = { name: "a__show", arguments: {} };
    const first = new GatewayExchange("tools/call", params, init);
    const asked = await ask(gw, first).catch(() => first.required[0]);
    assert.ok(isObject(asked) && isObject(asked.inputRequests));
    const [key = ""] = Object.keys(asked.inputRequests);
    const answered = {
      ...params,
      requestState: asked.requestState,
      inputResponses: { [key]: { action: "accept", content: {} } },
    };
    const { content } = await ask(gw, new GatewayExchange("tools/call", answered, init));
    assert.deepEqual(content, [
      { type: "resource_link", uri: "ui://a__chart/page.html", name: "page" },
    ]);
    await gw.close();
  });
});

describe("authorize", () => {
  const rule = (allowed: (key: string) => boolean): AskInit => ({
    session,
    mayUse: (_method, key) => Promise.resolve(allowed(key)),
  });

  test("[APP-5] a resource that collides is judged by both of its addresses", async () => {
    const { gw } = over({
      a: app({ uris: ["memo://1"] }),
      b: app({ uris: ["memo://1", "memo://2"] }),
    });
    // The endpoint judges what the client sends; this is about the other address.
    const denied = rule((key) => key !== "memo://1");
    assert.deepEqual(await addresses(gw, "resources", denied), ["memo://2"]);
    await isUnknown(gw, "memo://b__1", denied);
    assert.equal(await ownerOf(gw, "memo://2", denied), "b");
    await isUnknown(gw, "memo://b__2", rule((key) => key !== "memo://2"));
    const allowed = rule(() => true);
    assert.deepEqual(await addresses(gw, "resources", allowed), [
      "memo://a__1",
      "memo://b__1",
      "memo://2",
    ]);
    assert.equal(await ownerOf(gw, "memo://b__1", allowed), "b");
  });

  test("[APP-5] an address that a client knows is judged as the lists have it by now", async () => {
    const { gw } = over({ a: app({ uris: ["memo://1"] }) });
    const denied = rule((key) => key !== "memo://a__1");
    assert.deepEqual(await addresses(gw, "resources", denied), ["memo://1"]);
    assert.equal(await ownerOf(gw, "memo://1", denied), "a");
    await gw.set("b", new FakeUpstream(app({ uris: ["memo://1"] })));
    assert.deepEqual(await addresses(gw, "resources", denied), ["memo://a__1", "memo://b__1"]);
    await isUnknown(gw, "memo://1", denied);
  });

  test("[APP-5] an app's page is judged by the address that tools have", async () => {
    const { gw } = over({ a: app({ uris: [PAGE, "ui://a/data"] }), b: app() });
    const denied = rule((key) => !key.startsWith("ui://a__"));
    await isUnknown(gw, "ui://a/data", denied);
    assert.equal(await ownerOf(gw, "ui://b__chart/page.html", rule((key) => key !== PAGE)), "b");
  });
});

describe("tools that apps call", () => {
  const call = async (gw: Dispatcher, name: string, init: AskInit = { session }) =>
    textOf(await ask(gw, callOf(name, session, init)));

  test("[APP-4] are found by their server's own names, if apps may call them", async () => {
    const { gw } = over({ a: app({ extra: { own: {} } }), b: { capabilities: { tools: {} } } });
    assert.equal(await call(gw, "refresh"), "a refresh");
    assert.equal(await call(gw, "own"), "a own");
    // Only the model may call it.
    await assert.rejects(call(gw, "show"), { message: 'Unknown tool: "show"' });
    await assert.rejects(call(gw, "nowhere"), { message: 'Unknown tool: "nowhere"' });
    assert.equal(await call(gw, "refresh", { ...MODERN, session: undefined }), "a refresh");
  });

  test("[APP-4] are never those of a server without apps, and never another server's", async () => {
    const { answers = {} } = app();
    const plain = { tools: [{ name: "refresh", inputSchema: { type: "object" } }] };
    const without = { ...app(), answers: { ...answers, "tools/list": () => plain } };
    const { gw } = over({ without, a: app() });
    assert.equal(await call(gw, "refresh"), "a refresh");
    await gw.set("b", new FakeUpstream(app()));
    await assert.rejects(call(gw, "refresh"), {
      code: -32602,
      message: 'Call "a__refresh" or "b__refresh": several servers have such a tool',
    });
    assert.equal(await call(gw, "b__refresh"), "b refresh");
    const alone = over({ without }).gw;
    await assert.rejects(call(alone, "refresh"), /Unknown tool/);
  });

  test("[APP-4] belong to an upstream that can't be reached now, if it has listed them", async () => {
    let dead = false;
    const { gw, clock } = over({
      a: {
        ...app(),
        opening() {
          if (dead) throw new Error("Down");
        },
      },
    });
    assert.equal(await call(gw, "refresh"), "a refresh");
    dead = true;
    await gw.sessionEnded?.("a", "ended");
    await gw.set("b", new FakeUpstream(app()));
    const called = assert.rejects(
      call(gw, "refresh", { session: sessionOf("other") }),
      /Call "a__refresh" or "b__refresh"|Call "b__refresh" or "a__refresh"/,
    );
    for (let n = 0; n < 10; n++) await clock.advance(1000);
    await called;
  });

  test("[APP-4, AUTH-5] are judged by the name in the lists, and what is hidden is unknown", async () => {
    const { gw } = over({ a: app(), b: app({ extra: { own: {} } }) });
    const denied: AskInit = {
      session,
      mayUse: (_method, key) => Promise.resolve(key !== "b__own" && key !== "b__refresh"),
    };
    for (const name of ["own", "refresh"]) {
      await assert.rejects(call(gw, name, denied), {
        code: -32602,
        message: `Unknown tool: "${name}"`,
      });
    }
    assert.equal(await call(gw, "own", { session, mayUse: () => Promise.resolve(true) }), "b own");
  });

  test("[APP-4] are named in events as the lists have them", async () => {
    const { gw } = over({ a: app(), b: app({ extra: { own: {} } }) });
    assert.equal(targetOf(gw, "tools/call", { name: "own" }), undefined);
    await list(gw, "tools/list");
    assert.deepEqual(targetOf(gw, "tools/call", { name: "own" }), {
      tool: "b__own",
      upstream: "b",
    });
    assert.equal(targetOf(gw, "tools/call", { name: "refresh" }), undefined);
    const uris = { a: app({ uris: ["memo://1"] }), b: app({ uris: ["memo://1"] }) };
    const { gw: other } = over(uris);
    await addresses(other);
    assert.deepEqual(targetOf(other, "resources/read", { uri: "memo://b__1" }), {
      resource: "memo://1",
      upstream: "b",
    });
  });
});

describe("extensions", () => {
  const settings = { mimeTypes: ["text/html;profile=mcp-app"] };

  for (const version of ["2025-06-18", "2025-11-25", "2026-07-28"] as const) {
    test(`[APP-6] those of a client reach each upstream (${version})`, async () => {
      const { gw, up } = over({ a: app(), b: app() });
      const capabilities = {
        extensions: {
          [UI]: settings,
          "com.example/odd": { x: 1 },
          "io.modelcontextprotocol/tasks": {},
        },
        experimental: { x: {} },
      };
      const isModern = version === "2026-07-28";
      const init = { protocolVersion: version, capabilities, ...!isModern && { session } };
      await list(gw, "tools/list", init);
      for (const name of ["a", "b"]) {
        assert.deepEqual(up(name).session().opened.client.capabilities, {
          extensions: { [UI]: settings, "com.example/odd": { x: 1 } },
        });
      }
      await gw.close();
    });
  }

  test("[APP-6] a 2026 client's requests with other extensions have sessions of their own", async () => {
    const { gw, up } = over({ a: app() });
    const init = { ...MODERN, capabilities: { extensions: { [UI]: settings } } };
    for (const each of [init, MODERN, init]) await list(gw, "tools/list", each);
    assert.equal(up("a").sessions.length, 2);
    await gw.close();
  });

  /** What clients get of the extensions of some upstreams, and what operators are told of the others. */
  async function offered(...all: (JsonObject | undefined | "down")[]) {
    const { gw } = over(Object.fromEntries(all.map((extensions, n) => {
      if (extensions === "down") {
        return [`u${n}`, { opening: () => Promise.reject(new Error("x")) }];
      }
      const capabilities = { tools: {}, ...extensions !== undefined && { extensions } };
      return [`u${n}`, { capabilities }];
    })));
    const host = new GatewayHost();
    gw.attach?.(host);
    const first = await ask(gw, new GatewayExchange("initialize", {}, { session }));
    const second = await ask(gw, new GatewayExchange("server/discover", {}, MODERN));
    const [old, modern] = [first, second].map(({ capabilities }) =>
      isObject(capabilities) ? capabilities.extensions : assert.fail()
    );
    assert.deepEqual(old, modern);
    await gw.close();
    const withheld = host.reported.flatMap((event) =>
      event.type === "upstream-extension-withheld"
        ? [`${event.upstream} ${event.extension} ${event.reason}`]
        : []
    );
    return { extensions: old, withheld };
  }
  const x = "com.example/x";

  test("[APP-6] clients get those that all upstreams offer with the same settings", async () => {
    const same = { [x]: { a: 1, b: [{ c: 1, d: 2 }] } };
    assert.deepEqual(
      await offered(same, { [x]: { b: [{ d: 2, c: 1 }], a: 1 } }),
      { extensions: same, withheld: [] },
    );
    assert.deepEqual(await offered({ [x]: { a: 1 } }), {
      extensions: { [x]: { a: 1 } },
      withheld: [],
    });
  });

  test("[APP-10] what differs is withheld, and operators are told once of which and why", async () => {
    for (
      const [reason, ...all] of [
        ["settings", { [x]: { a: 1 } }, { [x]: { a: 2 } }],
        ["settings", { [x]: { a: [1, 2] } }, { [x]: { a: [2, 1] } }],
        ["missing", { [x]: {} }, undefined],
        ["missing", { [x]: {} }, { [x]: {} }, {}],
        ["settings", { [x]: { a: 1 } }, { [x]: { a: 2 } }, "down"],
      ] as const
    ) {
      const { extensions, withheld } = await offered(...all);
      assert.equal(extensions, undefined);
      const offering = all.flatMap((each, n) => isObject(each) && x in each ? [`u${n}`] : []);
      assert.deepEqual(withheld, offering.map((name) => `${name} ${x} ${reason}`));
    }
    const down = await offered({ [x]: {} }, "down");
    assert.deepEqual(down, { extensions: undefined, withheld: [] }, "it may have it, too");
  });

  test("[APP-10] of the media types of apps clients get all, whoever has them", async () => {
    const types = (...mimeTypes: string[]) => ({ [UI]: { mimeTypes } });
    for (
      const all of [
        [types("a", "b"), types("b", "c")],
        [types("a", "b", "c"), undefined],
        [types("a"), types("b", "c"), "down"],
      ] as const
    ) {
      assert.deepEqual(await offered(...all), {
        extensions: types("a", "b", "c"),
        withheld: [],
      });
    }
    const more = (extra: number) => ({ [UI]: { mimeTypes: ["a"], extra } });
    const { extensions, withheld } = await offered(more(1), more(2));
    assert.equal(extensions, undefined);
    assert.deepEqual(withheld, [`u0 ${UI} settings`, `u1 ${UI} settings`]);
  });

  test("[APP-10] how an upstream's clients are authorized is not how the gateway's are", async () => {
    const own = { "io.modelcontextprotocol/oauth-client-credentials": {} };
    assert.deepEqual(await offered(own, own), { extensions: undefined, withheld: [] });
  });

  test("[APP-6] of an upstream that can't be reached nothing is promised", async () => {
    const extensions = { "com.example/odd": settings };
    const { gw } = over({
      a: { capabilities: { tools: {}, extensions } },
      b: { opening: () => Promise.reject(new Error("Down")) },
    });
    const { capabilities } = await ask(gw, new GatewayExchange("initialize", {}, { session }));
    assert.ok(isObject(capabilities) && capabilities.extensions === undefined);
  });
});
