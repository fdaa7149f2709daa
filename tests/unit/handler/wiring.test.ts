/**
 * What an author is told who wires something wrongly.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { McpServer as SdkServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { createMcpHandler, type McpEvent, McpServer, tokenBucket } from "../../../mod.ts";
import { bearer, introspection, jwt, protectedResource } from "../../../src/auth/mod.ts";
import { audit } from "../../../src/audit/mod.ts";
import { serverJson } from "../../../src/discovery/mod.ts";
import { gateway, http, stdio } from "../../../src/gateway/mod.ts";
import { redisStore } from "../../../src/redis/mod.ts";
import { tasks } from "../../../src/tasks/mod.ts";
import { metrics } from "../../../src/telemetry/metrics.ts";
import { telemetry } from "../../../src/telemetry/mod.ts";

const info = { name: "demo", version: "1.0.0" };
const server = () => new McpServer(info);
/** Options of any names: what TypeScript would refuse. */
// deno-lint-ignore no-explicit-any -- the tests give what no type allows
const wrong = (options: Record<string, unknown>): any => options;

describe("[HOST-9] an unknown option is refused with the nearest name", () => {
  const CASES: Readonly<
    Record<string, readonly [call: () => unknown, unknown: string, near?: string]>
  > = {
    createMcpHandler: [
      () => createMcpHandler(server(), wrong({ authentcate: () => undefined })),
      "authentcate",
      "authenticate",
    ],
    "createMcpHandler limits": [
      () => createMcpHandler(server(), { limits: wrong({ bodyByte: 1 }) }),
      "limits.bodyByte",
      "limits.bodyBytes",
    ],
    McpServer: [
      () => new McpServer(info, wrong({ instruction: "x" })),
      "instruction",
      "instructions",
    ],
    registerTool: [
      () => server().registerTool("t", wrong({ inputShema: z.object({}) }), () => ""),
      "inputShema",
      "inputSchema",
    ],
    registerResource: [
      () => server().registerResource("r", "a://b", wrong({ mimetype: "a/b" }), () => ""),
      "mimetype",
      "mimeType",
    ],
    registerPrompt: [
      () => server().registerPrompt("p", wrong({ argSchema: {} }), () => ""),
      "argSchema",
      "argsSchema",
    ],
    bearer: [
      () => bearer(wrong({ verify: () => {}, requiredScope: [] })),
      "requiredScope",
      "requiredScopes",
    ],
    jwt: [() => jwt(wrong({ jwkUri: "https://a.example" })), "jwkUri", "jwksUri"],
    introspection: [() => introspection(wrong({ endpont: "" })), "endpont", "endpoint"],
    protectedResource: [() => protectedResource(wrong({ resorce: "" })), "resorce", "resource"],
    tokenBucket: [() => tokenBucket(wrong({ perSecond: 1, bursts: 2 })), "bursts", "burst"],
    redisStore: [() => redisStore(wrong({ client: {}, prefixx: "" })), "prefixx", "prefix"],
    gateway: [() => gateway(wrong({ upstream: {} })), "upstream", "upstreams"],
    view: [() => gateway().view(wrong({ toolSerch: true })), "toolSerch", "toolSearch"],
    http: [() => http(wrong({ url: "https://a.example/mcp", header: {} })), "header", "headers"],
    stdio: [() => stdio(wrong({ command: "x", arg: [] })), "arg", "args"],
    tasks: [() => tasks(wrong({ ttl: 1 })), "ttl", "ttlMs"],
    audit: [() => audit(wrong({ write: () => {}, method: [] })), "method", "methods"],
    telemetry: [() => telemetry(wrong({ sessionID: "hash" })), "sessionID", "sessionId"],
    metrics: [() => metrics(wrong({ name: 1 })), "name", "names"],
    serverJson: [() => serverJson(info, wrong({ remote: [] })), "remote", "remotes"],
    "close()": [() => createMcpHandler(server()).close(wrong({ grace: 1 })), "grace"],
    "nothing like it": [() => createMcpHandler(server(), wrong({ zzzzzzzz: 1 })), "zzzzzzzz"],
  };

  for (const [name, [call, unknown, near]] of Object.entries(CASES)) {
    test(name, () => {
      assert.throws(call, (error: Error) => {
        assert.ok(error instanceof TypeError, String(error));
        assert.ok(error.message.startsWith(`Unknown option "${unknown}"`), error.message);
        if (near !== undefined) {
          assert.ok(error.message.endsWith(`did you mean "${near}"`), error.message);
        }
        return true;
      });
    });
  }

  test("a name with the value undefined counts as left out", async () => {
    await using _handler = createMcpHandler(server(), wrong({ authentcate: undefined }));
  });
});

describe("[HOST-10] wrong wiring says what to do", () => {
  for (
    const [what, value] of [["undefined", undefined], ["null", null], [
      "a function",
      () => {},
    ]] as const
  ) {
    test(`${what} in place of a server`, () => {
      assert.throws(() => createMcpHandler(value as never), /Give a server as the first parameter/);
    });
  }

  test("a server of the official SDK names sdk()", () => {
    const other = new SdkServer(info);
    assert.throws(() => createMcpHandler(other as never), /sdk\(\) of @mooring\/mcp\/gateway/);
  });

  test("createServer(handler) without toNodeHandler() answers what to do, and the process lives", async () => {
    const events: McpEvent[] = [];
    await using handler = createMcpHandler(server(), { onEvent: (event) => events.push(event) });
    const listening = createServer(handler as never);
    await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
    try {
      const { port } = listening.address() as { port: number };
      for (let times = 0; times < 2; times++) {
        const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
          method: "POST",
          body: "{}",
        });
        assert.equal(response.status, 500);
        assert.match(await response.text(), /createServer\(toNodeHandler\(handler\)\)/);
      }
      assert.equal(events.filter(({ type }) => type === "error").length, 2);
    } finally {
      await new Promise((resolve) => {
        listening.close(resolve);
        listening.closeAllConnections();
      });
    }
  });

  for (
    const [what, schema] of [
      ["a number", z.number()],
      ["a boolean", z.boolean()],
      ["a list", z.array(z.string())],
    ] as const
  ) {
    test(`an argument of a prompt that is ${what} is refused`, () => {
      const register = () =>
        server().registerPrompt("p", { argsSchema: z.object({ days: schema }) }, () => "");
      assert.throws(register, /Give a schema of texts as the argument "days" of the prompt "p"/);
    });
  }

  test("an argument of a prompt that is converted from a text is taken", () => {
    const argsSchema = z.object({
      days: z.coerce.number(),
      kind: z.enum(["a", "b"]).optional(),
      on: z.stringbool(),
    });
    server().registerPrompt("p", { argsSchema }, () => "");
  });

  for (const name of ["two words", "ä", "a/b", "", "x".repeat(129)]) {
    test(`a tool's name that clients refuse: ${JSON.stringify(name.slice(0, 10))}`, () => {
      assert.throws(() => server().registerTool(name, {}, () => ""), TypeError);
    });
  }

  test("a tool's name of 128 characters is taken", () => {
    server().registerTool("aZ9_-.".padEnd(128, "x"), {}, () => "");
  });

  test("bytes of an image, a sound and a file are encoded", async () => {
    const bytes = new Uint8Array([1, 2, 3]);
    const mcp = server();
    const image = { type: "image", mimeType: "image/png", data: bytes };
    const file = { type: "resource", resource: { uri: "a://b", mimeType: "a/b", blob: bytes } };
    const text = { type: "text", text: "x" };
    mcp.registerTool("one", {}, () => image as never);
    mcp.registerTool("list", {}, () => [text, image] as never);
    mcp.registerTool("whole", {}, () => ({ content: [file, text] }) as never);
    await using handler = createMcpHandler(mcp, { sessions: false });
    const contentOf = async (name: string) => {
      const response = await handler(
        new Request("http://localhost/mcp", {
          method: "POST",
          headers: {
            "content-type": "application/json",
            accept: "application/json, text/event-stream",
            "mcp-protocol-version": "2025-11-25",
          },
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } }),
        }),
      );
      return (await response.json()).result.content;
    };
    const encoded = { ...image, data: "AQID" };
    assert.deepEqual(await contentOf("one"), [encoded]);
    assert.deepEqual(await contentOf("list"), [text, encoded]);
    assert.deepEqual(await contentOf("whole"), [
      { ...file, resource: { ...file.resource, blob: "AQID" } },
      text,
    ]);
  });
});
