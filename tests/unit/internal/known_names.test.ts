import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createMcpHandler,
  Forbidden,
  McpServer,
  onToolCall,
  type RequestContext,
  ResourceTemplate,
  tokenBucket,
  Unauthorized,
} from "../../../mod.ts";
import { serve } from "../../../src/adapters/node.ts";
import { serveStdio } from "../../../src/adapters/stdio.ts";
import { mcpWorker } from "../../../src/adapters/workers.ts";
import { accounts } from "../../../src/accounts/mod.ts";
import { audit, hashedPrincipals } from "../../../src/audit/mod.ts";
import { bearer, introspection, jwt, protectedResource } from "../../../src/auth/mod.ts";
import {
  createDashboard,
  createOperator,
  oneTimeLinks,
  operatorTokens,
} from "../../../src/dashboard/mod.ts";
import { serverCard, serverJson } from "../../../src/discovery/mod.ts";
import { cached, gateway, http, stdio } from "../../../src/gateway/mod.ts";
import { checkNames } from "../../../src/internal/known_names.ts";
import { redisStore } from "../../../src/redis/mod.ts";
import { sqliteStore } from "../../../src/sql/mod.ts";
import { skills } from "../../../src/skills/mod.ts";
import { tasks } from "../../../src/tasks/mod.ts";
import { metrics } from "../../../src/telemetry/metrics.ts";
import { telemetry } from "../../../src/telemetry/mod.ts";
import { connect, type TestClient } from "../../../src/testing/mod.ts";

const info = { name: "test", version: "1.0.0" };
const server = () => new McpServer(info);
const pipes = () => ({
  input: new ReadableStream<Uint8Array>(),
  output: new WritableStream<Uint8Array>(),
});

// Each row: whose options, the misspelled name, the name that is meant, and the call. Options have any
// type here: the compiler would refuse them.
// deno-lint-ignore no-explicit-any -- see above
type Call = (typo: any) => unknown;
const TABLE: readonly (readonly [string, string, string, Call])[] = [
  [
    "cached",
    "maxByte",
    "maxBytes",
    (o) => cached(http({ url: "https://a.example" }), { resources: true, ...o }),
  ],
  ["sqliteStore", "maxByte", "maxBytes", (o) => sqliteStore({ path: ":memory:", ...o })],
  ["createMcpHandler", "authentcate", "authenticate", (o) => createMcpHandler(server(), o)],
  ["limits", "bodyByte", "limits.bodyBytes", (limits) => createMcpHandler(server(), { limits })],
  ["sessions", "idleMS", "sessions.idleMs", (sessions) => createMcpHandler(server(), { sessions })],
  [
    "streams",
    "keepAliveMS",
    "streams.keepAliveMs",
    (streams) => createMcpHandler(server(), { streams }),
  ],
  [
    "requests",
    "timeout",
    "requests.timeoutMs",
    (requests) => createMcpHandler(server(), { requests }),
  ],
  ["cluster", "key", "cluster.keys", (cluster) => createMcpHandler(server(), { cluster })],
  [
    "events",
    "principalNames",
    "events.principalName",
    (events) => createMcpHandler(server(), { events }),
  ],
  ["close", "graceMS", "graceMs", (o) => createMcpHandler(server()).close(o)],
  ["McpServer", "instruction", "instructions", (o) => new McpServer(info, o)],
  ["McpServer.cache", "ttl", "ttlMs", (cache) => new McpServer(info, { cache })],
  ["registerTool", "inputShema", "inputSchema", (o) => server().registerTool("t", o, () => "")],
  [
    "tool.update",
    "descripton",
    "description",
    (o) => server().registerTool("t", {}, () => "").update(o),
  ],
  [
    "tool.task",
    "askfirst",
    "askFirst",
    (o) => server().registerTool("t", { task: { support: "optional", ...o } }, () => ""),
  ],
  ["registerPrompt", "argSchema", "argsSchema", (o) => server().registerPrompt("p", o, () => "")],
  [
    "registerResource",
    "mimetype",
    "mimeType",
    (o) => server().registerResource("r", "demo://r", o, () => ""),
  ],
  [
    "registerResource template",
    "titel",
    "title",
    (o) => server().registerResource("r", "demo://{r}", o, () => ""),
  ],
  ["ResourceTemplate", "completes", "complete", (o) => new ResourceTemplate("demo://{r}", o)],
  ["Unauthorized", "chalenge", "challenge", (o) => new Unauthorized("No", o)],
  ["Forbidden", "scope", "scopes", (o) => new Forbidden("No", o)],
  ["tokenBucket", "brust", "burst", (o) => tokenBucket({ perSecond: 1, ...o })],
  ["serve", "prot", "port", (o) => serve(server(), o)],
  ["serve handler", "allowedHost", "allowedHosts", (o) => serve(server(), o)],
  ["serveStdio", "principals", "principal", (o) => serveStdio(server(), { ...pipes(), ...o })],
  [
    "serveStdio limits",
    "request",
    "limits.requests",
    (limits) => serveStdio(server(), { ...pipes(), limits }),
  ],
  [
    "mcpWorker",
    "bindings",
    "binding",
    (o) => mcpWorker(server(), o).fetch(new Request("http://localhost/mcp"), {}),
  ],
  ["jwt", "isuer", "issuer", (o) => jwt(o)],
  [
    "dpop",
    "maxAge",
    "dpop.maxAgeS",
    (o) => {
      const issuer = "https://login.example";
      jwt({ issuer, audience: "a", jwks: { keys: [] }, dpop: { use: "accept", ...o } });
    },
  ],
  ["introspection", "clientID", "clientId", (o) => introspection(o)],
  ["bearer", "requiredScope", "requiredScopes", (o) => bearer(o)],
  ["protectedResource", "authorizationServer", "authorizationServers", (o) => protectedResource(o)],
  ["serverCard", "header", "headers", (o) => serverCard(info, o)],
  ["serverJson", "remote", "remotes", (o) => serverJson(info, o)],
  ["audit", "method", "methods", (o) => audit(o)],
  ["hashedPrincipals", "secrets", "secret", (o) => hashedPrincipals(o)],
  ["redisStore", "prefx", "prefix", (o) => redisStore(o)],
  ["tasks", "ttl", "ttlMs", (o) => tasks(o)],
  ["tasks limits", "task", "limits.tasks", (limits) => tasks({ limits })],
  ["skills", "limit", "limits", (o) => skills(o)],
  ["skills limits", "filebytes", "limits.fileBytes", (limits) => skills({ limits })],
  ["metrics", "serie", "series", (o) => metrics(o)],
  ["telemetry", "sessionID", "sessionId", (o) => telemetry(o)],
  ["gateway", "seperator", "separator", (o) => gateway(o)],
  ["gateway limits", "upstream", "limits.upstreams", (limits) => gateway({ limits })],
  ["http", "header", "headers", (o) => http({ url: "http://localhost/mcp", ...o })],
  ["stdio", "arg", "args", (o) => stdio({ command: "true", ...o })],
  ["accounts", "brwser", "browser", (o) => accounts({ url: "https://a.example", ...o })],
  [
    "accounts lifetimes",
    "linkMS",
    "lifetimes.linkMs",
    (lifetimes) =>
      accounts({ url: "https://a.example", browser: () => undefined, lifetimes } as never),
  ],
  [
    "accounts auth",
    "clientID",
    "clientId",
    (o) => accounts({ url: "https://a.example", browser: () => undefined }).auth(o),
  ],
  ["createDashboard", "paht", "path", (o) => createDashboard({}, o)],
  ["createOperator", "nod", "node", (o) => createOperator(createMcpHandler(server()), o)],
  ["oneTimeLinks", "tokn", "token", (o) => oneTimeLinks(o)],
  ["operatorTokens", "operator", "operators", (o) => operatorTokens(o)],
  ["connect", "protocolVersions", "protocolVersion", (o) => connect(createMcpHandler(server()), o)],
];

/** What a tool's handler does with its context, and fails with. */
async function inTool(act: (ctx: RequestContext) => unknown): Promise<void> {
  let thrown: unknown;
  const made = server();
  made.registerTool("t", {}, async (_args, ctx) => {
    await Promise.resolve().then(() => act(ctx)).catch((error) => thrown = error);
    return "";
  });
  await using handler = createMcpHandler(made);
  await using client = await connect(handler, {
    onElicit: () => ({ action: "decline" }),
    onSample: () => assert.fail("No model is asked"),
  });
  await client.callTool("t");
  if (thrown !== undefined) throw thrown;
}

/** What a client for tests does, and fails with. */
async function inClient(act: (client: TestClient) => Promise<unknown>): Promise<void> {
  const made = server();
  made.registerTool("t", {}, () => "");
  made.registerPrompt("p", {}, () => "");
  made.registerResource("r", "demo://r", {}, () => "");
  await using handler = createMcpHandler(made);
  await using client = await connect(handler);
  await act(client);
}

/** A table of its own: these need a call in progress, or objects in objects. */
const DEEPER: typeof TABLE = [
  ["ctx.elicit form", "mesage", "message", (o) => {
    return inTool((ctx) => ctx.elicit("k", { message: "?", schema: {}, ...o }));
  }],
  ["ctx.elicit visit", "urls", "url", (o) => {
    return inTool((ctx) => ctx.elicit("k", { message: "?", url: "https://a.example", ...o }));
  }],
  ["ctx.sample", "maxToken", "maxTokens", (o) => {
    return inTool((ctx) => ctx.sample("k", { messages: [], maxTokens: 1, ...o }));
  }],
  ["ctx.notify", "param", "params", (o) => {
    return inTool((ctx) => ctx.notify({ method: "notifications/x", ...o }));
  }],
  ["ctx.closeStream", "retryMS", "retryMs", (o) => inTool((ctx) => ctx.closeStream(o))],
  ["callTool", "onprogress", "onProgress", (o) => inClient((c) => c.callTool("t", {}, o))],
  ["readResource", "signals", "signal", (o) => inClient((c) => c.readResource("demo://r", o))],
  ["getPrompt", "timeout", "timeoutMs", (o) => inClient((c) => c.getPrompt("p", {}, o))],
  ["request", "timeout", "timeoutMs", (o) => inClient((c) => c.request("ping", {}, o))],
  ["nextNotification", "timeout", "timeoutMs", (o) => inClient((c) => c.nextNotification("x", o))],
  ["registerSkill", "prefx", "prefix", (o) => {
    const extension = server().use(skills());
    return extension.registerSkill({}, o);
  }],
  ["view", "toolsearch", "toolSearch", (o) => gateway({ upstreams: {} }).view(o)],
  ["http auth", "onUnauthorised", "auth.onUnauthorized", (auth) => {
    return http({ url: "http://localhost/mcp", auth: { token: async () => "t", ...auth } });
  }],
  ["http auth without a token", "tokn", "auth.token", (auth) => {
    return http({ url: "http://localhost/mcp", auth });
  }],
  ["tool annotations", "readonlyHint", "annotations.readOnlyHint", (annotations) => {
    return server().registerTool("t", { annotations }, () => "");
  }],
  ["tool annotations in update", "destructivHint", "annotations.destructiveHint", (annotations) => {
    return server().registerTool("t", {}, () => "").update({ annotations });
  }],
  ["resource annotations", "prioritys", "annotations.priority", (annotations) => {
    return server().registerResource("r", "demo://r", { annotations }, () => "");
  }],
  ["next() of onToolCall", "argument", "arguments", (o) => {
    const next = () => ({});
    const exchange = { method: "tools/call", params: { name: "t" } };
    return onToolCall((_call, proceed) => proceed(o))(exchange as never, next);
  }],
];

describe("options of every public function", () => {
  for (const [whose, typo, meant, call] of [...TABLE, ...DEEPER]) {
    test(`[AUT-3] ${whose}: "${typo}" is refused with the nearest name`, async () => {
      await assert.rejects(async () => await call({ [typo]: 1 }), (error) => {
        assert.ok(error instanceof TypeError, String(error));
        const prefix = meant.slice(0, meant.lastIndexOf(".") + 1);
        assert.ok(error.message.startsWith(`Unknown option "${prefix}${typo}"`), error.message);
        assert.ok(error.message.endsWith(`: did you mean "${meant}"?`), error.message);
        return true;
      });
    });
  }

  test("[AUT-3] a question is a form or a page, and a provider of a class has members of its own", async () => {
    const both = { message: "?", schema: {}, url: "https://a.example" };
    await assert.rejects(inTool((ctx) => ctx.elicit("k", both as never)), {
      name: "TypeError",
      message: 'Give ctx.elicit() either a "schema" or a "url", and ask one after the other',
    });
    await assert.rejects(inTool((ctx) => ctx.elicit("k", undefined as never)), TypeError);
    const schema = { type: "object", properties: { a: { type: "string" } } };
    const undefinedUrl = { message: "?", schema, url: undefined };
    await inTool((ctx) => ctx.elicit("k", undefinedUrl as never));
    class Provider {
      cached = "t";
      token = async () => this.cached;
    }
    http({ url: "http://localhost/mcp", auth: new Provider() });
    const oauth = { tokens: () => undefined, clientMetadata: {}, state: () => "s" };
    http({ url: "http://localhost/mcp", auth: oauth });
  });

  test("[AUT-3] a name that is like no other is refused without a proposal", () => {
    assert.throws(() => tasks({ colourful: 1 } as never), {
      message: 'Unknown option "colourful" of tasks()',
    });
    const long = "x".repeat(10_000);
    assert.throws(
      () => tasks({ [long]: 1 } as never),
      (error: Error) => error.message.length < 200,
    );
  });

  test("[AUT-3] what is undefined counts as left out; what is no object is refused", () => {
    checkNames("f()", { a: undefined, b: undefined } as { a?: number }, { a: true });
    checkNames<{ a?: number }>("f()", undefined, { a: true });
    for (const [given, kind] of [[null, "null"], [7, "number"], [[], "an array"]] as const) {
      assert.throws(() => checkNames<{ a?: number }>("f()", given as never, { a: true }), {
        name: "TypeError",
        message: `Give an object as options of f(): ${kind}`,
      });
    }
  });
});
