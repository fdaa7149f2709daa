/**
 * What the compiler makes of registrations: checked by `deno check`, run for the sake of form.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import type { ContentBlock } from "../../src/protocol/content.ts";
import { completable } from "../../src/server/schemas/completable.ts";
import { ResourceTemplate } from "../../src/server/uris/resource_template.ts";
import { McpServer } from "../../src/server/server.ts";
import type { JsonSchemaType } from "../../src/server/schemas/json_schema_type.ts";
import type { TemplateVariables } from "../../src/server/uris/template_variables.ts";
import { UriTemplate } from "../../src/server/uris/uri_template.ts";
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
      same<Equal<typeof variables, { id: string }>>();
      same<Equal<typeof ctx, RequestContext>>();
      return new Uint8Array();
    });
    const template = new ResourceTemplate("a://c/{id}", { list: undefined });
    server.registerResource("template", template, {}, (_uri, { id }) => ({
      contents: [{ uri: "a://c/1", text: id }],
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

describe("types of templates", () => {
  test("[AUT-6] a literal's variables are known by name, and may be missing where a URI may omit them", () => {
    same<Equal<TemplateVariables<"x://{id}">, { id: string }>>();
    same<Equal<TemplateVariables<"x://{+path}">, { path: string }>>();
    same<Equal<TemplateVariables<"x://{a,b}/{c}">, { a: string; b?: string; c: string }>>();
    same<Equal<TemplateVariables<"x://{+a,b}">, { a: string; b?: string }>>();
    same<Equal<TemplateVariables<"x://s{?q,limit}">, { q?: string; limit?: string }>>();
    same<Equal<TemplateVariables<"x://s?a=1{&b}">, { b?: string }>>();
    same<
      Equal<
        TemplateVariables<"x://a{/b}{.c}{;d}{#e}">,
        { b?: string; c?: string; d?: string; e?: string }
      >
    >();
    same<Equal<TemplateVariables<string>, Record<string, string>>>();
    same<Equal<TemplateVariables<`${string}/{id}`>, Record<string, string>>>();
  });

  test("[AUT-6] other names are refused where the text is known", () => {
    // @ts-expect-error The template has no such variable
    server.registerResource("v1", "a://v1/{id}", {}, (_uri, { ids }) => `${ids}`);
    // @ts-expect-error The URI may omit it
    server.registerResource("v2", "a://v2{?q}", {}, (_uri, { q }) => q);
    const template = new ResourceTemplate("a://v3/{id}{?q}", {
      complete: { id: (typed) => [typed.trim()], q: undefined },
    });
    server.registerResource("v3", template, {}, (_uri, variables) => {
      same<Equal<typeof variables, { id: string; q?: string }>>();
      return variables.id;
    });
    const plain = (_uri: URL, variables: Record<string, string>) => `${variables.id}`;
    server.registerResource("v4", "a://v4/{id}", {}, plain);
    const handle = server.registerResource("v5", "a://v5/{id}", {}, (_uri, { id }) => id);
    handle.update({ callback: (_uri, { id }) => id.trim() });
    // @ts-expect-error The template has no such variable
    handle.update({ callback: (_uri, { ids }) => `${ids}` });
    const complete = { complete: { ids: () => [] } };
    assert.throws(() => new ResourceTemplate("a://{id}", complete as never), {
      message: 'Complete only variables of "a://{id}": "ids"',
    });
    // @ts-expect-error The template has no such variable
    const bad = () => new ResourceTemplate("a://{id}", { complete: { ids: () => [] } });
    void bad;
    const text: string = "a://v6/{id}";
    const any = new ResourceTemplate(text, { complete: { id: () => [] } });
    const general: ResourceTemplate = template;
    assert.equal(general.completers.size, 1);
    server.registerResource("v6", any, {}, (_uri, variables) => {
      same<Equal<typeof variables, Record<string, string>>>();
      return "x";
    });
    server.registerResource("v7", new UriTemplateOf("a://v7/{id}"), {}, (_uri, { id }) => id);
    server.registerResource("v8", text.replace("v6", "v8"), {}, (uri) => uri.href);
  });
});

/** A template of a template, as a program may make it. */
class UriTemplateOf<const Text extends string> extends ResourceTemplate<Text> {
  constructor(text: Text) {
    super(new UriTemplate(text));
  }
}

describe("types of JSON Schema", () => {
  const book = {
    type: "object",
    properties: {
      title: { type: "string" },
      pages: { type: ["integer", "null"] },
      price: { type: "number" },
      sold: { type: "boolean" },
      kind: { enum: ["novel", "poem", 7] },
      version: { const: 1 },
      tags: { type: "array", items: { type: "string" } },
      rest: { type: "array" },
      author: {
        type: "object",
        properties: { name: { type: "string" }, born: { type: "integer" } },
        required: ["name"],
      },
      odd: { anyOf: [{ type: "string" }] },
      extra: { type: "object" },
      counts: { type: "object", additionalProperties: { type: "integer" } },
    },
    required: ["title", "pages", "odd"],
    additionalProperties: false,
  } as const;
  interface Book {
    title: string;
    pages: number | null;
    odd: unknown;
    price?: number;
    sold?: boolean;
    kind?: "novel" | "poem" | 7;
    version?: 1;
    tags?: string[];
    rest?: unknown[];
    author?: { name: string; born?: number };
    extra?: Record<string, unknown>;
    counts?: Record<string, number>;
  }

  test("[AUT-7] a literal's values are known", () => {
    same<Equal<JsonSchemaType<typeof book>, { [Name in keyof Book]: Book[Name] }>>();
    same<Equal<JsonSchemaType<{ $ref: "#/x" }>, unknown>>();
    same<Equal<JsonSchemaType<{ type: string }>, unknown>>();
    same<Equal<JsonSchemaType<{ type: "array"; items: { type: "null" } }>, null[]>>();
    const open = {
      type: "object",
      properties: { a: { type: "string" } },
      required: ["a"],
      additionalProperties: true,
    } as const;
    const value: JsonSchemaType<typeof open> = { a: "x", b: 1 };
    same<Equal<typeof value.a, string>>();
    same<Equal<typeof value["b"], unknown>>();
    const wide = { type: "object", properties: { a: { type: "string" } }, required: ["a"] };
    same<Equal<InferOutput<typeof wide>, Record<string, unknown>>>();
  });

  test("[AUT-7] tools, prompts and questions infer it, with and without `as const`", () => {
    server.registerTool("book", { inputSchema: book }, (args) => {
      same<Equal<typeof args, { [Name in keyof Book]: Book[Name] }>>();
      return args.title;
    });
    server.registerTool("inline", {
      inputSchema: {
        type: "object",
        properties: { a: { type: "integer" }, b: { type: ["string", "null"] } },
        required: ["a"],
      },
      approval: ({ a }) => a > 1,
    }, (args) => {
      same<Equal<typeof args, { a: number; b?: string | null }>>();
      return "x";
    });
    const outputSchema = {
      type: "object",
      properties: { sum: { type: "number" }, unit: { enum: ["m", "km"] } },
      required: ["sum"],
    } as const;
    server.registerTool("sum", { outputSchema }, () => ({
      structuredContent: { sum: 1, unit: "km" as const },
    }));
    server.registerTool("sums", {
      outputSchema: { type: "array", items: { type: "number" } },
    }, () => ({ structuredContent: [1] }));
    // @ts-expect-error The sum is a number
    server.registerTool("sum_1", { outputSchema }, () => ({ structuredContent: { sum: "1" } }));
    // @ts-expect-error The sum is missing
    server.registerTool("sum_2", { outputSchema }, () => ({ structuredContent: {} }));
    // @ts-expect-error The schema knows no such argument
    server.registerTool("book_1", { inputSchema: book }, ({ name }) => `${name}`);
    server.registerPrompt("json", {
      argsSchema: { type: "object", properties: { word: { type: "string" } }, required: ["word"] },
    }, (args) => {
      same<Equal<typeof args, { word: string }>>();
      return args.word;
    });
    server.registerTool("ask_json", {}, async (_args, ctx) => {
      const answer = await ctx.elicit("colour", {
        message: "?",
        schema: { type: "object", properties: { colour: { type: "string" } } },
      });
      if (answer.action === "accept") {
        same<Equal<typeof answer.content, { colour?: string }>>();
      }
      return "x";
    });
    const told = withJsonSchema(z.object({ a: z.number() }), book);
    same<Equal<InferOutput<typeof told>, { a: number }>>();
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
