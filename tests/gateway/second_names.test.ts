/**
 * Attacks by a second name: each leads to the judgement of the first, and appears under it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { audit } from "../../src/audit/audit.ts";
import type { RateLimiter } from "../../src/http/gates/rate_limit.ts";
import { gateway, type GatewayPolicy, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { ErrorCode, McpError } from "../../src/protocol/errors.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer, ResourceTemplate } from "../../mod.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, initialize } from "../support/wire.ts";

/** What is used in an attack, by another name than the one that rules have. */
interface Attack {
  readonly method: string;
  readonly params: JsonObject;
}

/** The canonical name of the tool, and requests that mean it. */
const TOOL = "n__purge";
const TOOLS: Readonly<Record<string, Attack>> = {
  "its name": { method: "tools/call", params: { name: TOOL, arguments: {} } },
  "an app's short name": { method: "tools/call", params: { name: "purge", arguments: {} } },
};
const WRAPPED: Readonly<Record<string, Attack>> = {
  "its name": TOOLS["its name"] ?? assert.fail(),
  "call_tool": {
    method: "tools/call",
    params: { name: "call_tool", arguments: { name: TOOL, arguments: {} } },
  },
};

const URI = "notes://secret";
const reading = (uri: string): Attack => ({ method: "resources/read", params: { uri } });
const RESOURCES: Readonly<Record<string, Attack>> = {
  "its address": reading(URI),
  "the address with the prefix": reading("notes://n__secret"),
  "an escape": reading("notes://%73ecret"),
  "escapes in the address with the prefix": reading("notes://n__%73%65cret"),
  "an upper-case scheme": reading("NOTES://secret"),
  "a completion": {
    method: "completion/complete",
    params: { ref: { type: "ref/resource", uri: URI }, argument: { name: "id", value: "" } },
  },
};
/** Those of a server without a gateway, or one that is served alone: it has no prefix. */
const OWN: Readonly<Record<string, Attack>> = {
  "its address": reading(URI),
  "an escape": reading("notes://%73ecret"),
  "several escapes": reading("notes://%73%65%63%72%65%74"),
};

function makeServer(): McpServer {
  const server = new McpServer({ name: "upstream", version: "1.0.0" });
  server.registerTool("show", { _meta: { ui: { resourceUri: "ui://x/page" } } }, () => "Shown");
  server.registerTool("purge", { scopes: ["admin"] }, () => "Purged");
  const template = new ResourceTemplate("notes://{id}", { complete: { id: () => [] } });
  server.registerResource("note", template, {}, (_uri, { id }) => `Note ${id}`);
  return server;
}

const limited = (used: string[]): RateLimiter => ({
  check(_request, _context, principal) {
    used.push(principal?.id ?? "");
    return { allowed: false };
  },
});

/** The ways to serve the server, each with the names that it has there. */
const WAYS = {
  gateway: {
    serve: (policy?: GatewayPolicy) => gateway(withPolicy(policy)),
    tools: TOOLS,
    tool: TOOL,
    resources: RESOURCES,
  },
  "a searched gateway": {
    serve: (policy?: GatewayPolicy) => gateway(withPolicy(policy)).view({ toolSearch: true }),
    tools: WRAPPED,
    tool: TOOL,
    resources: RESOURCES,
  },
  "a server alone": {
    serve: (policy?: GatewayPolicy) => gateway(withPolicy(policy)).view({ only: "n" }),
    tools: { "its name": { method: "tools/call", params: { name: "purge", arguments: {} } } },
    tool: "purge",
    resources: OWN,
  },
  McpServer: {
    serve: (policy?: GatewayPolicy) => policy === undefined ? makeServer() : undefined,
    tools: { "its name": { method: "tools/call", params: { name: "purge", arguments: {} } } },
    tool: "purge",
    resources: OWN,
  },
} as const;

function withPolicy(policy: GatewayPolicy | undefined) {
  const upstreams = { n: local(makeServer()) };
  return { upstreams, ...policy !== undefined && { policy } };
}

/** Sends a request in an era, and returns the answer. */
type Send = (attack: Attack) => Promise<JsonObject>;

async function sending(
  era: "2025" | "2026",
  handler: ReturnType<typeof createMcpHandler>,
): Promise<Send> {
  if (era === "2026") {
    const peer = new ModernPeer(handler, { headers: as("ada") });
    return async ({ method, params }) => {
      const response = await peer.request(method, params);
      return await response.json();
    };
  }
  const peer = await initialize(handler, { headers: as("ada") });
  let id = 0;
  return async ({ method, params }) => {
    const response = await peer.request(++id, method, params);
    return await response.json();
  };
}

type Scopes = readonly string[];

describe("a second name is no way round a rule", () => {
  for (const [way, { serve, tools, tool, resources }] of Object.entries(WAYS)) {
    for (const era of ["2025", "2026"] as const) {
      const attacking = async (
        attacks: Readonly<Record<string, Attack>>,
        options: McpHandlerOptions,
        policy: GatewayPolicy | undefined,
        judge: (answer: JsonObject, name: string) => void,
        scopes: Scopes = ["admin"],
      ) => {
        const dispatcher = serve(policy);
        if (dispatcher === undefined) return;
        const handler = createMcpHandler(dispatcher, {
          authenticate: (request) => ({ ...byToken(request), scopes }),
          ...options,
        });
        const send = await sending(era, handler);
        // A client has seen the lists before it has a name.
        for (const list of ["tools", "resources"]) {
          await send({ method: `${list}/list`, params: {} });
        }
        for (const [name, attack] of Object.entries(attacks)) judge(await send(attack), name);
        await handler.close({ graceMs: 0 });
      };
      const refused = (answer: JsonObject, name: string) => {
        assert.ok(isObject(answer.error), `${name}: ${JSON.stringify(answer)}`);
      };
      const all = { ...tools, ...resources };

      test(`[MID-4, SRCH-3, APP-5] without a rule each name is answered: ${way}, ${era}`, async () => {
        await attacking(all, {}, undefined, (answer, name) => {
          // Without rules the upstream gets what the client sent.
          if (name === "an upper-case scheme") return;
          assert.ok(isObject(answer.result), `${name}: ${JSON.stringify(answer)}`);
          assert.notEqual(answer.result.isError, true, `${name}: ${JSON.stringify(answer)}`);
        });
      });

      test(`[MID-4, SRCH-3, APP-5] middleware: ${way}, ${era}`, async () => {
        const middleware: McpHandlerOptions["middleware"] = [({ method, params }, next) => {
          const { ref } = params;
          const uri = isObject(ref) ? ref.uri : params.uri;
          if ((method === "tools/call" && params.name === tool) || uri === URI) {
            throw new McpError(ErrorCode.Refused, "Refused by middleware");
          }
          return next();
        }];
        await attacking(all, { middleware }, undefined, (answer, name) => {
          assert.match(JSON.stringify(answer.error), /Refused by middleware/, name);
        });
      });

      test(`[AUTH-5, SRCH-3, APP-5] authorize: ${way}, ${era}`, async () => {
        const authorize: McpHandlerOptions["authorize"] = (_principal, { method, params }) =>
          !(method === "tools/call" && params.name === tool) && params.uri !== URI;
        await attacking(all, { authorize }, undefined, refused);
      });

      test(`[AUTH-6, SRCH-3, APP-5] scopes: ${way}, ${era}`, async () => {
        await attacking(tools, {}, undefined, refused, []);
      });

      test(`[POL-1, SRCH-3, APP-5] a policy: ${way}, ${era}`, async () => {
        const policy: GatewayPolicy = {
          upstreams: { n: { tools: { deny: ["purge"] }, resources: { deny: [URI] } } },
        };
        await attacking(all, {}, policy, refused);
      });

      test(`[POL-1, SRCH-3, APP-5] a rate: ${way}, ${era}`, async () => {
        const used: string[] = [];
        const rate = limited(used);
        const policy: GatewayPolicy = {
          upstreams: {
            n: { tools: { rateLimit: { purge: rate } }, resources: { rateLimit: { [URI]: rate } } },
          },
        };
        const { "a completion": _completion, ...read } = { ...resources } as typeof RESOURCES;
        await attacking({ ...tools, ...read }, {}, policy, (answer, name) => {
          assert.match(JSON.stringify(answer.error), /used too often/, name);
          assert.equal(used.splice(0).length, 1, name);
        });
      });

      test(`[MID-7, AUD-1] events and the audit trail: ${way}, ${era}`, async () => {
        const lines: string[] = [];
        const events = new Events();
        const trail = audit({ write: (line) => void lines.push(line) });
        const onEvent: McpHandlerOptions["onEvent"] = (event) => {
          events.onEvent(event);
          trail.onEvent(event);
        };
        let count = 0;
        await attacking(tools, { onEvent }, undefined, () => void count++);
        await trail.close();
        const finished = events.of("request-finished").filter(({ tool }) => tool !== undefined);
        assert.deepEqual(finished.map((event) => event.tool), Array(count).fill(tool));
        const recorded = lines.join("").split("\n").filter((line) => line !== "")
          .map((line) => JSON.parse(line)).filter(({ tool }) => tool !== undefined);
        assert.deepEqual(recorded.map((line) => line.tool), Array(count).fill(tool));
      });
    }
  }
});
