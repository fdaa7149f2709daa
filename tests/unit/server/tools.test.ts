import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { isPromise } from "../../../src/internal/types.ts";
import { ErrorCode, McpError, NO_STREAM, QuestionError } from "../../../src/protocol/errors.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { fromJsonSchema } from "../../../src/server/schemas/from_json_schema.ts";
import { McpServer } from "../../../src/server/server.ts";
import { ToolError } from "../../../src/server/tool_error.ts";
import type { RequestContext } from "../../../src/server/types.ts";
import { FakeExchange, type FakeExchangeInit } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { errorTextOf, makeServer, rejectsWith } from "./helpers.ts";

function callOf(name: string, args?: unknown, init?: FakeExchangeInit): FakeExchange {
  return new FakeExchange("tools/call", { name, arguments: args }, init);
}

describe("tools/call", () => {
  test("[SRV-1] runs a tool at once when nothing in it waits, and looks at no signal", () => {
    const server = makeServer();
    server.registerTool("add", {
      inputSchema: z.object({ a: z.number(), b: z.number() }),
      outputSchema: z.object({ sum: z.number() }),
    }, ({ a, b }) => ({ structuredContent: { sum: a + b } }));
    const exchange = callOf("add", { a: 1, b: 2 });
    const result = dispatch(server, exchange);
    assert.ok(!isPromise(result));
    assert.deepEqual(result, {
      content: [{ type: "text", text: '{"sum":3}' }],
      structuredContent: { sum: 3 },
    });
    assert.equal(exchange.watched, false);
  });

  const image = { type: "image" as const, data: "AA==", mimeType: "image/png" };
  const full = { content: [image], isError: false, _meta: { a: 1 } };
  const forms: readonly [string, unknown, JsonObject][] = [
    ["a text", "hello", { content: [{ type: "text", text: "hello" }] }],
    ["a block", image, { content: [image] }],
    ["blocks", [image, image], { content: [image, image] }],
    ["no blocks", [], { content: [] }],
    ["a full result", full, full],
    ["data", { structuredContent: { a: 1 }, _meta: { b: 2 } }, {
      structuredContent: { a: 1 },
      _meta: { b: 2 },
      content: [{ type: "text", text: '{"a":1}' }],
    }],
    ["data with its own text", { structuredContent: { a: 1 }, content: [] }, {
      structuredContent: { a: 1 },
      content: [],
    }],
  ];
  for (const [what, returned, expected] of forms) {
    test(`[SRV-1] takes ${what} as a result, now or later`, async () => {
      const server = makeServer();
      server.registerTool("now", {}, () => returned as string);
      server.registerTool("later", {}, async () => returned as string);
      assert.deepEqual(await dispatch(server, callOf("now")), expected);
      assert.deepEqual(await dispatch(server, callOf("later")), expected);
    });
  }

  for (const returned of [undefined, null, 3, {}, { content: "text" }]) {
    test(`[SRV-2] fails a tool that returns ${JSON.stringify(returned)}`, async () => {
      const server = makeServer();
      server.registerTool("odd", {}, () => returned as unknown as string);
      const exchange = callOf("odd");
      const result = await dispatch(server, exchange);
      assert.equal(result.isError, true);
      assert.equal(exchange.reported.length, 1);
    });
  }

  test("[SRV-2] tells nobody what a handler threw but the operator", async () => {
    const server = makeServer();
    const error = new Error("password is hunter2");
    server.registerTool("now", {}, () => {
      throw error;
    });
    server.registerTool("later", {}, () => Promise.reject(error));
    for (const name of ["now", "later"]) {
      const exchange = callOf(name);
      assert.deepEqual(await dispatch(server, exchange), {
        content: [{ type: "text", text: `The tool "${name}" failed` }],
        isError: true,
      });
      assert.deepEqual(exchange.reported, [
        { type: "error", during: `tools/call ${name}`, error },
      ]);
    }
  });

  test("[SRV-2] passes an McpError on as it is", async () => {
    const server = makeServer();
    const error = new McpError(7, "Try tomorrow", { day: 2 });
    server.registerTool("now", {}, () => {
      throw error;
    });
    server.registerTool("later", {}, () => Promise.reject(error));
    for (const name of ["now", "later"]) {
      const exchange = callOf(name);
      assert.equal(await rejectsWith(7, /^Try/, () => dispatch(server, exchange)), error);
      assert.deepEqual(exchange.reported, []);
    }
  });

  test("[SRV-2] tells the model what a ToolError says, and the operator its cause", async () => {
    const server = makeServer();
    const cause = new Error("ECONNREFUSED 10.0.0.7");
    const thrown: Record<string, ToolError> = {
      plain: new ToolError("Give a date after 1970"),
      caused: new ToolError("The library is closed: try tomorrow", { cause }),
    };
    for (const [name, error] of Object.entries(thrown)) {
      const now = () => {
        throw error;
      };
      server.registerTool(`${name}_now`, { outputSchema: { n: z.number() } }, now);
      server.registerTool(`${name}_later`, {}, async () => now());
      for (const when of ["now", "later"]) {
        const exchange = callOf(`${name}_${when}`);
        const told = errorTextOf(await dispatch(server, exchange));
        assert.equal(told, error.message);
        const during = `tools/call ${name}_${when}`;
        const reported = name === "plain" ? [] : [{ type: "error", during, error }];
        assert.deepEqual(exchange.reported, reported);
      }
    }
    assert.ok(thrown.plain instanceof Error && thrown.plain.name === "ToolError");
    assert.equal(thrown.caused?.cause, cause);
  });

  test("[SRV-2] a question that failed is the tool's failure, unless the handler goes on", async () => {
    const server = makeServer();
    const said = new McpError(-1, "The user said no", { why: "busy" });
    const caught: unknown[] = [];
    const roots = (ctx: RequestContext) => ctx.roots();
    const sample = (ctx: RequestContext) => ctx.sample("s", { messages: [], maxTokens: 1 });
    const form = (ctx: RequestContext) =>
      ctx.elicit("f", { message: "Who?", schema: z.object({ name: z.string() }) });
    const cases: [(ctx: RequestContext) => Promise<unknown>, number, RegExp][] = [
      [
        roots,
        -1,
        /^A question of the tool "ask" failed: The user said no\. Tell the user, or go on/,
      ],
      [sample, -32602, /^A question of the tool "ask" failed: The client answered without a role/],
      [
        form,
        -32602,
        /^A question of the tool "ask" failed: The client's answer doesn't fit: "name": /,
      ],
    ];
    const capabilities = { roots: {}, sampling: {}, elicitation: {} };
    const answer = (method: string) => {
      if (method === "roots/list") throw said;
      return { action: "accept", content: { name: 7 } };
    };
    for (const [question, code, told] of cases) {
      const ask = server.registerTool("ask", {}, async (_args, ctx) => {
        await question(ctx);
        return "never";
      });
      const params = { name: "ask", arguments: {} };
      const exchange = new FakeExchange("tools/call", params, { capabilities, answer });
      assert.match(errorTextOf(await dispatch(server, exchange)), told);
      assert.deepEqual(exchange.reported, []);
      ask.update({
        callback: async (_args, ctx) => {
          caught.push(await question(ctx).catch((error) => error));
          return "went on";
        },
      });
      const again = new FakeExchange("tools/call", params, { capabilities, answer });
      assert.deepEqual((await dispatch(server, again)).isError, undefined);
      const error = caught.at(-1);
      assert.ok(error instanceof QuestionError && error instanceof McpError);
      assert.equal(error.code, code);
      ask.remove();
    }
    const [first] = caught;
    assert.ok(first instanceof QuestionError);
    assert.deepEqual([first.message, first.data, first.cause], [said.message, said.data, said]);
  });

  test("[AUT-10] a model is told what a tool needs, and not to change its client", async () => {
    const form = z.object({ name: z.string() });
    const page = { message: "Go", url: "https://a.example" };
    const prompt = { messages: [], maxTokens: 1 };
    const visits = { elicitation: { url: {} } };
    const cases: readonly [(ctx: RequestContext) => Promise<unknown>, object, string][] = [
      [(ctx) => ctx.elicit("f", { message: "Who?", schema: form }), {}, "ask the user"],
      [
        (ctx) => ctx.elicit("f", { message: "Who?", schema: form }),
        visits,
        "ask the user to fill in a form",
      ],
      [
        (ctx) => ctx.elicit("v", page),
        { elicitation: {} },
        "ask the user to visit a web page",
      ],
      [(ctx) => ctx.sample("s", prompt), {}, "ask a model"],
      [
        (ctx) => ctx.sample("s", { ...prompt, tools: [] }),
        { sampling: {} },
        "ask a model with tools",
      ],
      [(ctx) => ctx.roots(), {}, "ask for the user's folders"],
    ];
    for (const [question, capabilities, need] of cases) {
      const server = makeServer();
      server.registerTool("ask", {}, async (_args, ctx) => {
        await question(ctx);
        return "never";
      });
      const exchange = new FakeExchange("tools/call", { name: "ask" }, { capabilities });
      assert.equal(
        errorTextOf(await dispatch(server, exchange)),
        `The tool "ask" has to ${need}, and this client can't. Tell the user, or go on without ` +
          "this tool",
      );
    }
  });

  test("[AUT-10] a client without a stream is not told to open one by way of its model", async () => {
    const server = makeServer();
    server.registerTool("ask", {}, async (_args, ctx) => {
      await ctx.roots();
      return "never";
    });
    const answer = () => {
      throw new McpError(ErrorCode.Refused, NO_STREAM);
    };
    const init = { capabilities: { roots: {} }, answer };
    const exchange = new FakeExchange("tools/call", { name: "ask" }, init);
    assert.equal(
      errorTextOf(await dispatch(server, exchange)),
      'The tool "ask" has to ask, and this client can\'t be asked now. Tell the user, or go on ' +
        "without this tool",
    );
  });

  test("a stopped call ends with the reason it was stopped for, whatever its handler throws", async () => {
    const server = makeServer();
    const reason = new Error("stopped");
    const exchange = callOf("wait");
    server.registerTool("wait", {}, async () => {
      exchange.abort(reason);
      throw new McpError(1, "something else");
    });
    await assert.rejects(async () => dispatch(server, exchange), reason);
    assert.deepEqual(exchange.reported, []);
  });

  test("[SRV-2] answers an unknown, disabled or removed tool alike, with -32602", async () => {
    const server = makeServer();
    const handle = server.registerTool("here", {}, () => "yes");
    const refused = () =>
      rejectsWith(-32602, /^Unknown tool: "here"$/, () => {
        return dispatch(server, callOf("here"));
      });
    handle.disable();
    assert.equal(handle.enabled, false);
    await refused();
    handle.enable();
    assert.equal(handle.enabled, true);
    await dispatch(server, callOf("here"));
    handle.remove();
    handle.enable();
    handle.remove();
    assert.equal(handle.enabled, false);
    await refused();
    await rejectsWith(-32602, /^Unknown tool: "constructor"$/, () => {
      return dispatch(server, callOf("constructor"));
    });
    await rejectsWith(-32602, /"name"/, () => dispatch(server, new FakeExchange("tools/call")));
    const long = "x".repeat(100_000);
    const error = await rejectsWith(-32602, /^Unknown/, () => dispatch(server, callOf(long)));
    assert.ok(error.message.length < 200);
  });

  const nested = z.object({ a: z.object({ b: z.array(z.number()) }) });
  const schemas = {
    "a zod schema": nested,
    "a shape": { a: nested.shape.a },
    "a JSON Schema": {
      type: "object",
      properties: {
        a: {
          type: "object",
          properties: { b: { type: "array", items: { type: "number" } } },
        },
      },
      required: ["a"],
    },
    "a schema that checks later": nested.refine(async () => true),
  };
  for (const [what, inputSchema] of Object.entries(schemas)) {
    test(`[SRV-2] names the path of a wrong argument, with ${what}`, async () => {
      const server = makeServer();
      const seen: unknown[] = [];
      server.registerTool("sum", { inputSchema }, (args) => {
        seen.push(args);
        return "ok";
      });
      await dispatch(server, callOf("sum", { a: { b: [1] } }));
      assert.deepEqual(seen, [{ a: { b: [1] } }]);
      const wrong = { a: { b: [1, "x"] } };
      const told = errorTextOf(await dispatch(server, callOf("sum", wrong)));
      assert.match(told, /^Invalid arguments for the tool "sum"\. Fix "a\.b\[1\]": /);
      assert.match(told, /[eE]xpected number/);
      assert.match(errorTextOf(await dispatch(server, callOf("sum"))), /Fix .*a/);
      for (const args of ["text", [], null]) {
        await rejectsWith(-32602, /^Give an object as "arguments"$/, () => {
          return dispatch(server, callOf("sum", args));
        });
      }
      assert.equal(seen.length, 1);
    });
  }

  test("[SRV-2] names every path that is wrong, within a bound", async () => {
    const server = makeServer();
    const names = Array.from({ length: 40 }, (_, at) => `field${at}`);
    const inputSchema = z.object(Object.fromEntries(names.map((name) => [name, z.number()])));
    server.registerTool("sum", { inputSchema }, () => "ok");
    const given = (count: number) =>
      Object.fromEntries(names.map((name, at) => [name, at < count ? "x".repeat(10_000) : 1]));
    const told = errorTextOf(await dispatch(server, callOf("sum", given(12))));
    for (const name of names.slice(0, 12)) assert.ok(told.includes(`"${name}": `), name);
    assert.doesNotMatch(told, /more\)/);
    const most = errorTextOf(await dispatch(server, callOf("sum", given(40))));
    assert.match(most, / \(and 20 more\)$/);
    assert.ok(most.length < 10_000, `${most.length}`);
  });

  test("gives the handler what the schema made of the arguments", async () => {
    const server = makeServer();
    server.registerTool("greet", {
      inputSchema: z.object({ name: z.string().default("you"), n: z.coerce.number().optional() }),
    }, (args) => JSON.stringify(args));
    const result = await dispatch(server, callOf("greet", { n: "4", other: true }));
    assert.deepEqual(result, { content: [{ type: "text", text: '{"name":"you","n":4}' }] });
  });

  test("gives a tool without a schema an empty object, whatever was sent", async () => {
    const server = makeServer();
    server.registerTool("plain", {}, (args) => JSON.stringify(args));
    for (const args of [undefined, {}, { a: 1 }]) {
      const result = await dispatch(server, callOf("plain", args));
      assert.deepEqual(result.content, [{ type: "text", text: "{}" }]);
    }
  });

  test("[SRV-2] output that doesn't fit its schema is -32603, and told to the operator", async () => {
    const server = makeServer();
    const outputSchema = z.object({ sum: z.number() });
    const later = outputSchema.refine(async () => true);
    const wrong = { structuredContent: { sum: "secret" as unknown as number } };
    const missing = { content: [] } as unknown as typeof wrong;
    server.registerTool("wrong", { outputSchema }, () => wrong);
    server.registerTool("wrong_later", { outputSchema: later }, async () => wrong);
    server.registerTool("missing", { outputSchema }, () => missing);
    for (const name of ["wrong", "wrong_later", "missing"]) {
      const exchange = callOf(name);
      const error = await rejectsWith(-32603, /output schema$/, () => dispatch(server, exchange));
      assert.doesNotMatch(error.message, /secret/);
      assert.equal(exchange.reported.length, 1);
    }
  });

  test("an error needs no data, whatever the output schema says", async () => {
    const server = makeServer();
    const outputSchema = z.object({ sum: z.number() });
    const failed = { isError: true as const, content: [] };
    server.registerTool("fail", { outputSchema }, () => failed);
    assert.deepEqual(await dispatch(server, callOf("fail")), failed);
  });

  test("sends what the output schema lets through, as data and as text", async () => {
    const server = makeServer();
    const outputSchema = z.object({ sum: z.number(), unit: z.string().default("m") });
    const data = { sum: 1, secret: "hunter2" };
    server.registerTool("sum", { outputSchema }, () => ({ structuredContent: data }));
    assert.deepEqual(await dispatch(server, callOf("sum")), {
      content: [{ type: "text", text: '{"sum":1,"unit":"m"}' }],
      structuredContent: { sum: 1, unit: "m" },
    });
  });

  test("links to resources become texts for versions that don't know them", async () => {
    const server = makeServer();
    const link = { type: "resource_link" as const, uri: "a://b", name: "B" };
    const text = { type: "text" as const, text: "x" };
    server.registerTool("one", {}, () => link);
    server.registerTool("some", {}, () => ({ content: [text, link] }));
    const old: FakeExchangeInit = { protocolVersion: "2025-03-26" };
    const replaced = { type: "text", text: "B: a://b" };
    assert.deepEqual(await dispatch(server, callOf("one", {}, old)), { content: [replaced] });
    assert.deepEqual(await dispatch(server, callOf("some", {}, old)), {
      content: [text, replaced],
    });
    assert.deepEqual(await dispatch(server, callOf("some")), { content: [text, link] });
  });
});

describe("registerTool()", () => {
  const listed = async (server: McpServer): Promise<JsonObject[]> => {
    const { tools } = await dispatch(server, new FakeExchange("tools/list"));
    assert.ok(Array.isArray(tools));
    return tools;
  };

  test("lists what there is to say about a tool, and nothing else", async () => {
    const server = makeServer();
    const config = {
      title: "Add",
      description: "Adds",
      annotations: { readOnlyHint: true },
      icons: [{ src: "https://a.example/i.png" }],
      _meta: { a: 1 },
    };
    server.registerTool("add", {
      ...config,
      inputSchema: z.object({ a: z.number().default(1) }),
      outputSchema: z.object({ sum: z.number() }),
      approval: false,
    }, () => ({ structuredContent: { sum: 1 } }));
    server.registerTool("bare", {}, () => "x");
    assert.deepEqual(await listed(server), [{
      name: "add",
      ...config,
      inputSchema: { type: "object", properties: { a: { type: "number", default: 1 } } },
      outputSchema: {
        type: "object",
        properties: { sum: { type: "number" } },
        required: ["sum"],
        additionalProperties: false,
      },
    }, { name: "bare", inputSchema: { type: "object", properties: {} } }]);
  });

  test("lists JSON Schema as it was given", async () => {
    const server = makeServer();
    const inputSchema = {
      $schema: "https://json-schema.org/draft/2020-12/schema",
      type: "object",
      $defs: { address: { $anchor: "here", type: "object" } },
      properties: { address: { $ref: "#/$defs/address" }, url: { type: "string", format: "url" } },
      "x-anything": "else",
      additionalProperties: false,
    };
    server.registerTool("verbatim", { inputSchema: fromJsonSchema(inputSchema) }, () => "x");
    const { $defs: _, ...plain } = { ...inputSchema, properties: { a: { type: "string" } } };
    server.registerTool("plain", { inputSchema: plain }, () => "x");
    const tools = await listed(server);
    assert.equal(JSON.stringify(tools[0]?.inputSchema), JSON.stringify(inputSchema));
    assert.equal(JSON.stringify(tools[1]?.inputSchema), JSON.stringify(plain));
  });

  test("refuses a name that is taken, and one that is none", () => {
    const server = makeServer();
    server.registerTool("a", {}, () => "x");
    assert.throws(() => server.registerTool("a", {}, () => "x"), /^TypeError: .*"a"$/);
    assert.throws(() => server.registerTool("", {}, () => "x"), TypeError);
    assert.throws(
      () => server.registerTool("b", {}, undefined as unknown as () => string),
      TypeError,
    );
  });

  test("[CLU-10] only a tool that says that it may run again is begun again", () => {
    const server = new McpServer({ name: "test", version: "1.0.0" });
    const annotations = { idempotentHint: true };
    assert.throws(
      () => server.registerTool("a", { retryOnNodeLoss: true }, () => "x"),
      /^TypeError: Give the tool "a" annotations with "idempotentHint: true"/,
    );
    assert.throws(
      // @ts-expect-error: not a boolean
      () => server.registerTool("a", { annotations, retryOnNodeLoss: "yes" }, () => "x"),
      /^TypeError: Give a boolean as "retryOnNodeLoss" of "a"/,
    );
    server.registerTool("plain", { annotations }, () => "x");
    const handle = server.registerTool("again", { annotations, retryOnNodeLoss: true }, () => "x");
    const may = () =>
      ["plain", "again", "unknown"].map((name) =>
        server.route({ method: "tools/call", params: { name } }).retry
      );
    assert.deepEqual(may(), [false, true, false]);
    assert.throws(() => handle.update({ annotations: { idempotentHint: false } }), TypeError);
    handle.update({ retryOnNodeLoss: false });
    assert.deepEqual(may(), [false, false, false]);
  });

  test("refuses input schemas that are not of an object", () => {
    const server = makeServer();
    for (
      const inputSchema of [z.string(), z.union([z.object({}), z.object({})]), { type: "array" }]
    ) {
      assert.throws(
        () => server.registerTool("a", { inputSchema }, () => "x"),
        /^TypeError: Give an object at the root of the inputSchema of "a"/,
      );
    }
  });

  test("update() changes what is given and leaves the rest and the place", async () => {
    const server = makeServer();
    const handle = server.registerTool("a", {
      title: "A",
      inputSchema: { n: z.number() },
    }, ({ n }) => `${n}`);
    server.registerTool("b", {}, () => "b");
    handle.update({ description: "new", callback: ({ n }) => `new ${n}` });
    assert.deepEqual(
      (await listed(server)).map(({ name, title, description }) => {
        return [name, title, description];
      }),
      [["a", "A", "new"], ["b", undefined, undefined]],
    );
    const call = () => dispatch(server, callOf("a", { n: 1 }));
    assert.deepEqual(await call(), { content: [{ type: "text", text: "new 1" }] });
    handle.update({ inputSchema: { n: z.string() }, callback: ({ n }) => n.trim() });
    assert.match(errorTextOf(await call()), /Fix "n"/);
    handle.update({ enabled: false });
    assert.deepEqual((await listed(server)).map(({ name }) => name), ["b"]);
    handle.remove();
    handle.update({ enabled: true, title: "gone" });
    await rejectsWith(-32602, /^Unknown/, call);
  });
});
