/**
 * What the compiler makes of registrations: checked by `deno check`, run for the sake of form.
 *
 * @module
 */
import { describe, test } from "node:test";
import { z } from "zod";
import type { ContentBlock } from "../../src/protocol/content.ts";
import { completable } from "../../src/server/schemas/completable.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import {
  type InferInput,
  type InferOutput,
  withJsonSchema,
} from "../../src/server/schemas/standard_schema.ts";
import type { FormAnswer, RequestContext, ToolReturn } from "../../src/server/types.ts";

/** Whether two types are the same, not only assignable to each other. */
type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;

/** Compiles only for `true`. */
function same<T extends true>(_proof?: T): void {}

const server = new McpServer({ name: "types", version: "1.0.0" });
const schema = z.object({ a: z.number(), b: z.string().default("x"), c: z.boolean().optional() });
const shape = { a: z.number(), b: z.string().default("x"), c: z.boolean().optional() };

describe("types of schemas", () => {
  test("[SRV-1] go in and come out as the library says", () => {
    type Out = { a: number; b: string; c?: boolean | undefined };
    type In = { a: number; b?: string | undefined; c?: boolean | undefined };
    same<Equal<InferOutput<typeof schema>, Out>>();
    same<Equal<InferInput<typeof schema>, In>>();
    same<Equal<InferOutput<typeof shape>, Out>>();
    same<Equal<InferInput<typeof shape>, In>>();
    const told = withJsonSchema(schema, { type: "object" });
    same<Equal<InferOutput<typeof told>, Out>>();
    same<Equal<InferInput<typeof told>, In>>();
    same<Equal<InferOutput<{ type: "object"; properties: object }>, Record<string, unknown>>>();
  });
});

describe("types of tools", () => {
  test("[SRV-1] arguments follow from the schema", () => {
    server.registerTool("zod", { inputSchema: schema }, (args, ctx) => {
      same<Equal<typeof args, { a: number; b: string; c?: boolean | undefined }>>();
      same<Equal<typeof ctx, RequestContext>>();
      return "x";
    });
    server.registerTool("shape", { inputSchema: { a: z.number() } }, (args) => {
      same<Equal<typeof args, { a: number }>>();
      return "x";
    });
    server.registerTool("json", { inputSchema: { type: "object", required: ["a"] } }, (args) => {
      same<Equal<typeof args, Record<string, unknown>>>();
      return "x";
    });
    server.registerTool("none", { description: "No arguments" }, (args) => {
      same<Equal<keyof typeof args, never>>();
      return "x";
    });
    // @ts-expect-error Without a schema the context is the second argument, too
    server.registerTool("context", {}, ({ signal }) => `${signal}`);
    // @ts-expect-error The schema knows no such argument
    server.registerTool("wrong", { inputSchema: schema }, ({ nothing }) => `${nothing}`);
    // @ts-expect-error A schema is no text
    const bad = () => server.registerTool("wrong", { inputSchema: "text" }, () => "x");
    void bad;
  });

  test("[ASK-4] approval gets the arguments as well", () => {
    server.registerTool("approve", {
      inputSchema: schema,
      approval: (args) => {
        same<Equal<typeof args, { a: number; b: string; c?: boolean | undefined }>>();
        return args.a > 1 ? `Spend ${args.a}?` : false;
      },
    }, ({ a }) => `${a}`);
    // @ts-expect-error An approval is a boolean or a text
    server.registerTool("approve_wrong", { approval: () => 7 }, () => "x");
  });

  test("[SRV-1] results are anything that can be brought into form", () => {
    const block: ContentBlock = { type: "text", text: "x" };
    interface Data {
      readonly a: number;
    }
    const data: Data = { a: 1 };
    server.registerTool("text", {}, () => "x");
    server.registerTool("block", {}, () => block);
    server.registerTool("literal", {}, () => ({ type: "text", text: "x" }));
    server.registerTool("blocks", {}, async () => [block, block]);
    server.registerTool(
      "full",
      {},
      () => ({ content: [{ type: "text", text: "x" }], isError: true }),
    );
    server.registerTool("data", {}, () => ({ structuredContent: data }));
    // @ts-expect-error A number is no result
    server.registerTool("number", {}, () => 7);
    // @ts-expect-error Nothing is no result
    server.registerTool("nothing", {}, () => {});
    // @ts-expect-error There is no such block
    server.registerTool("video", {}, () => ({ type: "video", data: "" }));
  });

  test("[SRV-2] data is checked against the output schema", () => {
    const outputSchema = z.object({ sum: z.number(), unit: z.string().default("m") });
    server.registerTool("out", { outputSchema }, () => ({ structuredContent: { sum: 1 } }));
    server.registerTool("out_later", { outputSchema }, async () => ({
      structuredContent: { sum: 1, unit: "km" },
      content: [],
    }));
    server.registerTool("out_error", { outputSchema }, () => ({ isError: true, content: [] }));
    // @ts-expect-error The sum is a number
    server.registerTool("out_1", { outputSchema }, () => ({ structuredContent: { sum: "1" } }));
    // @ts-expect-error The sum is missing
    server.registerTool("out_2", { outputSchema }, () => ({ structuredContent: {} }));
    // @ts-expect-error There is no data
    server.registerTool("out_3", { outputSchema }, () => ({ content: [] }));
    // @ts-expect-error There is no data
    server.registerTool("out_4", { outputSchema }, () => "x");
    same<Equal<string extends ToolReturn<undefined> ? true : false, true>>();
  });

  test("[SRV-7] data may be of any type that its schema has", () => {
    const list = z.array(z.number());
    server.registerTool("list", { outputSchema: list }, () => ({ structuredContent: [1] }));
    server.registerTool("union", { outputSchema: z.union([list, z.null()]) }, () => ({
      structuredContent: null,
    }));
    // @ts-expect-error The items are numbers
    server.registerTool("list_1", { outputSchema: list }, () => ({ structuredContent: ["x"] }));
    // @ts-expect-error The data is a list
    server.registerTool("list_2", { outputSchema: list }, () => ({ structuredContent: {} }));
    // The compiler doesn't read plain JSON Schema
    const outputSchema = { type: "array", items: { type: "number" } };
    server.registerTool("json_list", { outputSchema }, () => ({ structuredContent: [1] }));
    server.registerTool("no_schema", {}, () => ({ structuredContent: [1] }));
    // @ts-expect-error There is no data
    server.registerTool("undefined", {}, () => ({ structuredContent: undefined }));
  });

  test("[SRV-1] update() keeps to the schema that there is, or takes a new one", () => {
    const handle = server.registerTool("update", { inputSchema: schema }, () => "x");
    handle.update({ title: "New" });
    handle.update({ callback: ({ a }) => `${a.toFixed()}`, enabled: true });
    handle.update({ inputSchema: { d: z.string() }, callback: ({ d }) => d.trim() });
    // @ts-expect-error The schema knows no such argument
    handle.update({ callback: ({ d }) => `${d}` });
  });
});

describe("types of resources", () => {
  test("[SRV-1] a template's handler gets variables, a fixed one's doesn't", () => {
    server.registerResource("fixed", "a://b", {}, (uri, ctx) => {
      same<Equal<typeof uri, URL>>();
      same<Equal<typeof ctx, RequestContext>>();
      return "x";
    });
    server.registerResource("text", "a://b/{id}", {}, (uri, variables, ctx) => {
      same<Equal<typeof uri, URL>>();
      same<Equal<typeof variables, Record<string, string>>>();
      same<Equal<typeof ctx, RequestContext>>();
      return new Uint8Array();
    });
    const template = new ResourceTemplate("a://c/{id}", { list: undefined });
    server.registerResource("template", template, {}, (_uri, { id }) => ({
      contents: [{ uri: "a://c/1", text: `${id}` }],
    }));
    const handle = server.registerResource("update", "a://d", {}, () => [{ blob: "" }]);
    handle.update({ callback: (uri) => uri.href });
    // @ts-expect-error A fixed resource has no variables
    handle.update({ callback: (_uri, _variables, ctx) => `${ctx}` });
    // @ts-expect-error A number is no resource
    const bad = () => server.registerResource("number", "a://e", {}, () => 7);
    void bad;
  });
});

describe("types of prompts", () => {
  test("[SRV-1] arguments follow from the schema, completable or not", () => {
    const argsSchema = { word: completable(z.string(), () => ["x"]), n: z.string().optional() };
    server.registerPrompt("shape", { argsSchema }, (args, ctx) => {
      same<Equal<typeof args, { word: string; n?: string | undefined }>>();
      same<Equal<typeof ctx, RequestContext>>();
      return { messages: [{ role: "user", content: { type: "text", text: args.word } }] };
    });
    server.registerPrompt("none", {}, (args) => {
      same<Equal<keyof typeof args, never>>();
      return [{ role: "assistant", content: { type: "text", text: "x" } }];
    });
    // @ts-expect-error A number is no prompt
    server.registerPrompt("number", {}, () => 7);
  });
});

describe("types of questions", () => {
  test("[SRV-1] an accepted form has the schema's content, a page has none", () => {
    server.registerTool("ask", {}, async (_args, ctx) => {
      const form = await ctx.elicit("form", { message: "?", schema });
      same<
        Equal<typeof form, FormAnswer<{ a: number; b: string; c?: boolean | undefined }>>
      >();
      if (form.action === "accept") same<Equal<typeof form.content.a, number>>();
      else same<Equal<typeof form.content, undefined>>();
      const json = await ctx.elicit("json", { message: "?", schema: { type: "object" } });
      same<Equal<typeof json, FormAnswer<Record<string, unknown>>>>();
      const page = await ctx.elicit("page", { message: "?", url: "https://a.example" });
      same<Equal<typeof page, { readonly action: "accept" | "decline" | "cancel" }>>();
      // @ts-expect-error A question is a form or a page
      await ctx.elicit("none", { message: "?" });
      return "x";
    });
  });
});
