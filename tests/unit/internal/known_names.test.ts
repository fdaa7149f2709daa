import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  createMcpHandler,
  Forbidden,
  McpServer,
  ResourceTemplate,
  tokenBucket,
  Unauthorized,
} from "../../../mod.ts";
import { serve } from "../../../src/adapters/node.ts";
import { serveStdio } from "../../../src/adapters/stdio.ts";
import { mcpWorker } from "../../../src/adapters/workers.ts";
import { audit, hashedPrincipals } from "../../../src/audit/mod.ts";
import { bearer, introspection, jwt, protectedResource } from "../../../src/auth/mod.ts";
import {
  createDashboard,
  createOperator,
  oneTimeLinks,
  operatorTokens,
} from "../../../src/dashboard/mod.ts";
import { serverCard, serverJson } from "../../../src/discovery/mod.ts";
import { gateway, http, stdio } from "../../../src/gateway/mod.ts";
import { checkNames } from "../../../src/internal/known_names.ts";
import { redisStore } from "../../../src/redis/mod.ts";
import { sqliteStore } from "../../../src/sql/mod.ts";
import { skills } from "../../../src/skills/mod.ts";
import { tasks } from "../../../src/tasks/mod.ts";
import { metrics } from "../../../src/telemetry/metrics.ts";
import { telemetry } from "../../../src/telemetry/mod.ts";
import { connect } from "../../../src/testing/mod.ts";

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
  ["createDashboard", "paht", "path", (o) => createDashboard({}, o)],
  ["createOperator", "nod", "node", (o) => createOperator(createMcpHandler(server()), o)],
  ["oneTimeLinks", "tokn", "token", (o) => oneTimeLinks(o)],
  ["operatorTokens", "operator", "operators", (o) => operatorTokens(o)],
  ["connect", "protocolVersions", "protocolVersion", (o) => connect(createMcpHandler(server()), o)],
];

describe("options of every public function", () => {
  for (const [whose, typo, meant, call] of TABLE) {
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
