/**
 * Published OpenAPI documents as upstreams: GitHub's with its thousand operations, and others. Arguments and
 * answers are generated from the tools' own schemas, and must arrive as they were given; what mocks made from
 * the documents say of the requests is in `mocked_documents.ts`. Run as the part `programs` of the tests: GitHub's document is hundreds of megabytes to install.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { createMcpHandler, fromJsonSchema } from "../../mod.ts";
import { readDocument } from "../../src/gateway/openapi/document.ts";
import { type ApiOperation, operationsOf } from "../../src/gateway/openapi/operations.ts";
import { checkable } from "../../src/gateway/openapi/schemas.ts";
import { gateway, openapi } from "../../src/gateway/mod.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect } from "../../src/testing/mod.ts";
import { Session, textOf } from "../gateway/session.ts";
import { published } from "./mock.ts";
import { Values } from "./values.ts";

const BASE = "https://api.example/base";
/** The time that a document may take, on a machine with other work. */
const LONG = { timeout: 120_000 };

interface Published {
  readonly file: string;
  readonly operations: number;
  /** Calls of each tool. */
  readonly calls: number;
}

const DOCUMENTS: readonly Published[] = [
  { file: "@octokit/openapi/generated/api.github.com.json", operations: 1223, calls: 1 },
  { file: "@blockfrost/openapi/openapi.yaml", operations: 0, calls: 3 },
  { file: "@directus/specs/dist/openapi.json", operations: 0, calls: 3 },
  { file: "@ideal-postcodes/openapi/dist/openapi.yaml", operations: 0, calls: 3 },
  { file: "@readme/oas-examples/3.0/yaml/star-trek.yaml", operations: 0, calls: 3 },
  { file: "@readme/oas-examples/3.1/json/readme.json", operations: 0, calls: 3 },
  { file: "@scalar/galaxy/dist/3.1.yaml", operations: 0, calls: 5 },
];

function matcher(path: string): RegExp {
  const parts = path.split(/\{[^{}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^/base${parts.join("([^/]+)")}$`);
}

/** Checks that a request is what its operation's document says, with the arguments that were given. */
function checkRequest(
  operation: ApiOperation,
  args: JsonObject,
  url: string,
  init: RequestInit,
): void {
  const { origin, pathname, searchParams } = new URL(url);
  assert.equal(origin, "https://api.example");
  assert.equal(init.method, operation.method);
  const found = matcher(operation.path).exec(pathname);
  assert.ok(found, `${pathname} isn't ${operation.path}`);
  const inPath = operation.parameters.filter((each) => each.in === "path");
  const values = found.slice(1).map(decodeURIComponent);
  const names = [...operation.path.matchAll(/\{([^{}]*)\}/g)].map(([, name]) => name);
  // Two values in one part of a path can't be told apart.
  const apart = operation.path.split("/").every((part) => (part.match(/\{/g) ?? []).length < 2);
  for (const { name, argument } of apart ? inPath : []) {
    const given = args[argument];
    if (typeof given !== "object") assert.equal(values[names.indexOf(name)], String(given));
  }
  for (const parameter of operation.parameters) {
    const given = args[parameter.argument];
    if (
      parameter.in !== "query" || given === undefined || given === null || typeof given === "object"
    ) continue;
    assert.equal(searchParams.get(parameter.name), String(given));
  }
  const { body } = operation;
  if (body === undefined || args[body.argument] === undefined) return;
  if (body.kind === "json") {
    assert.equal(new Headers(init.headers).get("content-type"), body.mediaType);
    assert.deepEqual(
      JSON.parse(String(init.body)),
      JSON.parse(JSON.stringify(args[body.argument])),
    );
  }
}

for (const { file, operations: expected, calls } of DOCUMENTS) {
  describe(file, () => {
    test(
      "[OAPI-13] generated arguments arrive as the document says, and its answers come back",
      LONG,
      async () => {
        const signal = new AbortController().signal;
        const { document } = await readDocument(published(file), {
          mostBytes: 33_554_432,
          fetch,
          signal,
        });
        const options = { baseUrl: BASE, documentUrl: undefined, most: 2000 };
        const { operations, complaints } = operationsOf(document, options);
        assert.ok(operations.length > 5);
        if (expected > 0) assert.equal(operations.length, expected);
        const methods = Object.values(document.paths as JsonObject).filter(isObject)
          .flatMap((item) =>
            Object.keys(item).filter((key) => /^(?:get|put|post|delete|patch)$/.test(key))
          );
        const left = complaints.filter(({ kind, text }) =>
          kind === "left out" && !text.startsWith("the method")
        );
        assert.equal(operations.length + left.length, methods.length, JSON.stringify(left));
        let current: { operation: ApiOperation; args: JsonObject; answer: unknown } | undefined;
        const upstream = openapi({
          document,
          baseUrl: BASE,
          fetch: async (url, init = {}) => {
            assert.ok(current);
            checkRequest(current.operation, current.args, url, init);
            return Response.json(current.answer);
          },
        });
        await using session = await Session.open(upstream);
        let answered = 0;
        for (const operation of operations) {
          const input = operation.tool.inputSchema as JsonObject;
          const args = new Values(input).of(input);
          const output = operation.output;
          const answers = output === undefined
            ? fc.constant({ ok: true })
            : new Values(output).of(output);
          for (
            const [given, answer] of fc.sample(fc.tuple(args, answers), { numRuns: calls, seed: 7 })
          ) {
            assert.ok(isObject(given));
            const { issues } = await fromJsonSchema(checkable(input))["~standard"].validate(given);
            // The generator doesn't know every keyword: what it can't fit is refused before it is sent.
            current = { operation, args: given, answer: JSON.parse(JSON.stringify(answer)) };
            const result = await session.call(operation.name, given);
            if (issues !== undefined) {
              assert.match(textOf(result), /^Fix /, operation.name);
              continue;
            }
            if (result.isError === true) {
              assert.match(textOf(result), /^(?:Give |The API did what was asked)/, operation.name);
              continue;
            }
            const data = operation.wraps && isObject(result.structuredContent)
              ? result.structuredContent.result
              : result.structuredContent;
            assert.deepEqual(data, current.answer, operation.name);
            answered++;
          }
        }
        assert.ok(answered > 0.7 * calls * operations.length, `${answered} answers`);
      },
    );
  });
}

test(
  "[OAPI-13] GitHub's operations are behind tool search, and each can be listed",
  LONG,
  async () => {
    const [github] = DOCUMENTS;
    assert.ok(github);
    const seen: string[] = [];
    const upstream = openapi({
      document: published(github.file),
      auth: "token",
      fetch: async (url) => {
        seen.push(url);
        return Response.json([]);
      },
    });
    const gw = gateway({
      upstreams: { github: upstream },
      listWaitMs: 60_000,
      listTimeoutMs: 60_000,
    });
    const all = createMcpHandler(gw);
    const client = await connect(all);
    assert.equal((await client.listTools()).length, github.operations);
    await client.close();
    await all.close();
    const search = createMcpHandler(gw.view({ toolSearch: true }));
    const finder = await connect(search);
    assert.deepEqual((await finder.listTools()).map(({ name }) => name), [
      "search_tools",
      "call_tool",
    ]);
    const found = await finder.callTool("search_tools", { query: "create an issue" });
    assert.match(JSON.stringify(found), /github__issues_create/);
    const args = { owner: "denoland", repo: "std", state: "open" };
    await finder.callTool("call_tool", { name: "github__issues_list-for-repo", arguments: args });
    assert.deepEqual(seen, ["https://api.github.com/repos/denoland/std/issues?state=open"]);
    await finder.close();
    await search.close();
    await gw.close();
  },
);
