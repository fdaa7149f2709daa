import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { isPromise } from "../../../src/internal/types.ts";
import { McpError, MissingCapabilityError } from "../../../src/protocol/errors.ts";
import { completable } from "../../../src/server/schemas/completable.ts";
import { ResourceTemplate } from "../../../src/server/uris/resource_template.ts";
import type { McpServer } from "../../../src/server/server.ts";
import { FakeExchange } from "../../support/exchange.ts";
import { dispatch } from "../../../src/protocol/route.ts";
import { makeServer, rejectsWith, request } from "./helpers.ts";

const hello = { role: "assistant" as const, content: { type: "text" as const, text: "hello" } };

describe("prompts/get", () => {
  const forms: readonly [string, unknown, unknown][] = [
    ["a text", "hi", { messages: [{ role: "user", content: { type: "text", text: "hi" } }] }],
    ["a message", hello, { messages: [hello] }],
    ["messages", [hello, hello], { messages: [hello, hello] }],
    ["a full result", { description: "d", messages: [hello] }, {
      description: "d",
      messages: [hello],
    }],
  ];
  for (const [what, returned, expected] of forms) {
    test(`[SRV-1] takes ${what}, now or later`, async () => {
      const server = makeServer();
      const handle = server.registerPrompt("p", {}, () => returned as string);
      const now = dispatch(server, new FakeExchange("prompts/get", { name: "p" }));
      assert.ok(!isPromise(now));
      assert.deepEqual(now, expected);
      handle.update({ callback: async () => returned as string });
      assert.deepEqual(await request(server, "prompts/get", { name: "p" }), expected);
    });
  }

  test("[SRV-2] the code of a failed question is not the code of a 2025 request", async () => {
    const server = makeServer();
    const errors = [new McpError(-1, "The user said no"), new MissingCapabilityError("roots")];
    server.registerPrompt("p", {}, async (_args, ctx) => `${await ctx.roots()}`);
    server.registerResource("r", "r://1", {}, async (_uri, ctx) => `${await ctx.roots()}`);
    for (const error of errors) {
      const init = { capabilities: { roots: {} }, answer: () => Promise.reject(error) };
      for (
        const [method, params] of [["prompts/get", { name: "p" }], ["resources/read", {
          uri: "r://1",
        }]] as const
      ) {
        const message = new RegExp(`^${error.message}$`);
        await rejectsWith(-32603, message, () => request(server, method, params, init));
      }
    }
  });

  test("[SRV-1] gives the checked arguments and the context; `{}` without a schema", async () => {
    const server = makeServer();
    server.registerPrompt("plain", {}, (args, ctx) => JSON.stringify([args, ctx.principal.id]));
    server.registerPrompt("greet", {
      argsSchema: { name: z.string(), n: z.coerce.number().optional() },
    }, ({ name, n }) => JSON.stringify([name, n]));
    const textOf = async (name: string, args: object) => {
      const { messages } = await request(server, "prompts/get", { name, arguments: args });
      return JSON.stringify(messages);
    };
    assert.match(await textOf("plain", { a: "1" }), /\[\{\},\\"alice\\"\]/);
    assert.match(await textOf("greet", { name: "Ada", n: "3" }), /\[\\"Ada\\",3\]/);
  });

  test("[SRV-2] refuses wrong arguments and unknown prompts with -32602", async () => {
    const server = makeServer();
    const handle = server.registerPrompt(
      "p",
      { argsSchema: z.object({ a: z.string() }) },
      () => "x",
    );
    const get = (args?: unknown) => request(server, "prompts/get", { name: "p", arguments: args });
    await rejectsWith(-32602, /^Fix "a": /, () => get());
    await rejectsWith(-32602, /^Fix "a": /, () => get({ a: 1 }));
    await rejectsWith(-32602, /^Give an object as "arguments"$/, () => get([]));
    handle.disable();
    await rejectsWith(-32602, /^Unknown prompt: "p"$/, () => get({ a: "1" }));
    await rejectsWith(-32602, /"name"/, () => request(server, "prompts/get"));
  });

  test("[SRV-2] tells nobody why a prompt failed but the operator", async () => {
    const server = makeServer();
    const failures: Record<string, () => unknown> = {
      "throws": () => {
        throw new Error("secret");
      },
      "rejects": () => Promise.reject(new Error("secret")),
      "returns": () => 7,
      "resolves": async () => ({ messages: "x" }),
      "misshapes": () => [{ role: "user", content: "x" }],
    };
    for (const [name, run] of Object.entries(failures)) {
      server.registerPrompt(name, {}, run as () => string);
      const exchange = new FakeExchange("prompts/get", { name });
      await rejectsWith(-32603, /^Internal error$/, () => dispatch(server, exchange));
      assert.equal(exchange.reported.length, 1);
    }
    server.registerPrompt("mcp", {}, () => Promise.reject(new McpError(7, "Not today")));
    await rejectsWith(7, /^Not today$/, () => request(server, "prompts/get", { name: "mcp" }));
  });

  test("links to resources become texts for versions that don't know them", async () => {
    const server = makeServer();
    const content = { type: "resource_link" as const, uri: "a://b", name: "B" };
    server.registerPrompt("p", {}, () => [{ role: "user", content }]);
    const { messages } = await request(server, "prompts/get", { name: "p" }, {
      protocolVersion: "2024-11-05",
    });
    assert.deepEqual(messages, [{ role: "user", content: { type: "text", text: "B: a://b" } }]);
  });
});

describe("registerPrompt()", () => {
  test("lists a prompt's arguments by name", async () => {
    const server = makeServer();
    const about = {
      title: "Review",
      description: "Reviews",
      icons: [{ src: "data:," }],
      _meta: {},
    };
    const handle = server.registerPrompt("review", {
      ...about,
      argsSchema: z.object({
        code: z.string().describe("What to review"),
        style: z.string().meta({ title: "Style" }).optional(),
      }),
    }, () => "x");
    server.registerPrompt("bare", {}, () => "x");
    const listed = {
      name: "review",
      ...about,
      arguments: [
        { name: "code", description: "What to review", required: true },
        { name: "style", title: "Style", required: false },
      ],
    };
    const bare = { name: "bare" };
    assert.deepEqual(await request(server, "prompts/list"), { prompts: [listed, bare] });
    handle.update({ title: "New", argsSchema: { a: z.string() } });
    const args = [{ name: "a", required: true }];
    assert.deepEqual(await request(server, "prompts/list"), {
      prompts: [{ ...listed, title: "New", arguments: args }, bare],
    });
  });

  test("refuses what can't be served, and offers no completion for it", async () => {
    const server = makeServer();
    const complete = { a: () => [] };
    server.registerPrompt("p", {}, () => "x");
    assert.throws(() => server.registerPrompt("p", { complete }, () => "x"), /once: "p"$/);
    assert.throws(() => server.registerPrompt("", {}, () => "x"), TypeError);
    assert.throws(
      () => server.registerPrompt("q", { argsSchema: z.string() }, () => "x"),
      TypeError,
    );
    const none = undefined as unknown as () => string;
    assert.throws(() => server.registerPrompt("q", {}, none), TypeError);
    await rejectsWith(-32601, /^Unknown method/, () => request(server, "completion/complete"));
  });
});

describe("completion/complete", () => {
  const complete = (
    server: McpServer,
    ref: object,
    name: string,
    value: string,
    context?: object,
  ) => request(server, "completion/complete", { ref, argument: { name, value }, context });

  test("[SRV-1] completes arguments of prompts: by schema, by shape, by config", async () => {
    const server = makeServer();
    const word = () =>
      completable(z.string(), (typed) => ["one", "two"].filter((w) => w.startsWith(typed)));
    server.registerPrompt("schema", { argsSchema: z.object({ a: word() }) }, () => "x");
    server.registerPrompt("shape", { argsSchema: { a: word().optional() } }, () => "x");
    server.registerPrompt("config", {
      argsSchema: { a: z.string() },
      complete: { a: async (typed) => [`${typed}!`] },
    }, () => "x");
    const values = { values: ["two"], total: 1, hasMore: false };
    for (const name of ["schema", "shape"]) {
      const result = await complete(server, { type: "ref/prompt", name }, "a", "t");
      assert.deepEqual(result, { completion: values });
    }
    const result = await complete(server, { type: "ref/prompt", name: "config" }, "a", "t");
    assert.deepEqual(result, { completion: { ...values, values: ["t!"] } });
    const none = { completion: { values: [], total: 0, hasMore: false } };
    for (const argument of ["b", "__proto__", "constructor"]) {
      const ref = { type: "ref/prompt", name: "config" };
      assert.deepEqual(await complete(server, ref, argument, "t"), none);
    }
  });

  test("[SRV-1] completes variables of templates, with what is known already", async () => {
    const server = makeServer();
    const template = new ResourceTemplate("git://{owner}/{repo}", {
      complete: {
        repo: (typed, { arguments: { owner } }, ctx) => [`${owner}-${typed}-${ctx.principal.id}`],
      },
    });
    server.registerResource("repo", template, {}, () => "x");
    server.registerResource("fixed", "git://fixed", {}, () => "x");
    const ref = { type: "ref/resource", uri: "git://{owner}/{repo}" };
    const context = { arguments: { owner: "ada", n: 7 } };
    const { completion } = await complete(server, ref, "repo", "m", context);
    assert.deepEqual(completion, { values: ["ada-m-alice"], total: 1, hasMore: false });
    const fixed = { type: "ref/resource", uri: "git://fixed" };
    const none = { completion: { values: [], total: 0, hasMore: false } };
    assert.deepEqual(await complete(server, fixed, "x", "m"), none);
    const unknown = { type: "ref/resource", uri: "other://{x}" };
    await rejectsWith(-32002, /^Resource not found$/, () => complete(server, unknown, "x", "m"));
  });

  test("sends at most 100 values, and says how many there are", async () => {
    const server = makeServer();
    const values = Array.from({ length: 150 }, (_, i) => `${i}`);
    server.registerPrompt("p", { complete: { a: () => values } }, () => "x");
    const { completion } = await complete(server, { type: "ref/prompt", name: "p" }, "a", "");
    assert.deepEqual(completion, { values: values.slice(0, 100), total: 150, hasMore: true });
  });

  test("[SRV-2] refuses malformed requests and unknown prompts with -32602", async () => {
    const server = makeServer();
    server.registerPrompt("p", { complete: { a: () => [] } }, () => "x");
    const ref = { type: "ref/prompt", name: "p" };
    const argument = { name: "a", value: "" };
    const bad = [
      {},
      { ref },
      { argument },
      { ref, argument: { name: "a" } },
      { ref: { type: "ref/other", name: "p" }, argument },
      { ref: { type: "ref/prompt", name: "q" }, argument },
      { ref: { type: "ref/prompt" }, argument },
      { ref: { type: "ref/resource" }, argument },
    ];
    for (const params of bad) {
      await rejectsWith(-32602, /./, () => request(server, "completion/complete", params));
    }
  });

  test("[SRV-2] tells nobody why completing failed but the operator", async () => {
    const server = makeServer();
    const failing: (() => unknown)[] = [
      () => {
        throw new Error("secret");
      },
      () => Promise.reject(new Error("secret")),
      () => "text",
      async () => [1],
    ];
    for (const [i, run] of failing.entries()) {
      const name = `p${i}`;
      server.registerPrompt(name, { complete: { a: run as () => string[] } }, () => "x");
      const exchange = new FakeExchange("completion/complete", {
        ref: { type: "ref/prompt", name },
        argument: { name: "a", value: "" },
      });
      await rejectsWith(-32603, /^Internal error$/, () => dispatch(server, exchange));
      assert.equal(exchange.reported.length, 1);
    }
  });

  test("[SRV-1] is unknown until something can be completed", async () => {
    const server = makeServer();
    const handle = server.registerPrompt("p", { argsSchema: { a: z.string() } }, () => "x");
    const ask = () => complete(server, { type: "ref/prompt", name: "p" }, "a", "");
    await rejectsWith(-32601, /^Unknown method/, ask);
    handle.update({ complete: { a: () => ["x"] } });
    const { completion } = await ask();
    assert.deepEqual(completion, { values: ["x"], total: 1, hasMore: false });
  });
});
