/**
 * A process that calls an API in two ways, one call at a time: through a gateway whose upstream is its OpenAPI
 * document, and with `fetch`. Does what it is told on its standard input.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { createMcpHandler } from "../mod.ts";
import { gateway, openapi } from "../src/gateway/mod.ts";
import { open, senderAt } from "./client.ts";
import { cpuTime } from "./cpu_time.ts";
import { ENDPOINT, post, request, sessionHeaders } from "./messages.ts";
import { DOCUMENT } from "./openapi_books.ts";
import { median } from "./pairs.ts";

/** What it is started with. */
export interface OpenApiInit {
  readonly port: number;
}

/** What is called: one book, or a page of a hundred. */
export type OpenApiCall = "get" | "list";

/** What it can be told. */
export interface OpenApiOrder {
  readonly call: OpenApiCall;
  readonly way: "gateway" | "fetch";
  readonly ms: number;
}

/** What a slice of calls came to. */
export interface OpenApiSlice {
  readonly calls: number;
  /** Milliseconds of a call, the median. */
  readonly p50: number;
  /** Milliseconds of processor time of the JavaScript thread for a call. */
  readonly cpuMs: number;
}

const { port }: OpenApiInit = JSON.parse(process.argv[2] ?? "null");
const base = `http://127.0.0.1:${port}`;
const gw = gateway({ upstreams: { books: openapi({ document: DOCUMENT, baseUrl: base }) } });
const handler = createMcpHandler(gw, {
  authenticate: ({ headers }) => ({ id: headers.get("authorization") ?? "nobody" }),
});
const { session, sender } = await open({ answer: handler }, senderAt(0));

const ARGUMENTS = { get: { isbn: "978-0-0" }, list: { author: "Author 1", page: 1 } };
const PATHS = { get: "/books/978-0-0", list: "/books?author=Author%201&page=1" };

async function through(call: OpenApiCall): Promise<void> {
  const body = request("tools/call", { name: `books__${call}`, arguments: ARGUMENTS[call] });
  const init = post(body, sender, sessionHeaders(session));
  const response = await handler(new Request(ENDPOINT, init));
  const { result } = await response.json();
  assert.ok(result.structuredContent !== undefined && result.isError === undefined);
}

async function bare(call: OpenApiCall): Promise<void> {
  const response = await fetch(base + PATHS[call], { headers: { accept: "application/json" } });
  const data = await response.json();
  assert.ok(typeof data === "object" && data !== null);
}

async function slice({ call, way, ms }: OpenApiOrder): Promise<OpenApiSlice> {
  const act = way === "gateway" ? through : bare;
  const times: number[] = [];
  const begin = performance.now();
  const cpu = cpuTime();
  for (let now = begin; now - begin < ms;) {
    await act(call);
    const then = performance.now();
    times.push(then - now);
    now = then;
  }
  return { calls: times.length, p50: median(times), cpuMs: (cpuTime() - cpu) / times.length };
}

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await slice(JSON.parse(line)));
}
process.exit();
