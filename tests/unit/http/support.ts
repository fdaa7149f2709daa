/**
 * Sends requests through the gates, for their tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  type GateOptions,
  type GateSettings,
  gateSettings,
} from "../../../src/http/gates/options.ts";
import { Gates } from "../../../src/http/gates/order.ts";
import { Inbound, type PostContent } from "../../../src/http/inbound.ts";
import type { Reply } from "../../../src/http/reply.ts";
import { complete, respond } from "../../../src/http/respond.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { type Report, Reporter } from "../../../src/protocol/reporter.ts";
import { FakeClock } from "../../support/clock.ts";

/** What the gates learned of a request that passed. */
export type Passed =
  | { readonly verb: "GET" | "DELETE" }
  | (PostContent & {
    readonly verb: "POST";
    readonly json: boolean;
    readonly sse: boolean;
    readonly length: number;
  });

/** What the gates made of a request. */
export interface Outcome {
  readonly response: Response | undefined;
  readonly passed: Passed | undefined;
  readonly events: readonly McpEvent[];
}

export const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const encoder = new TextEncoder();

/** A POST of JSON whose length is declared. Headers given as `null` are left out. */
export function post(
  body: string | Uint8Array<ArrayBuffer> = PING,
  headers: Record<string, string | null> = {},
  url = "http://api.example/mcp",
): Request {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  return new Request(url, {
    method: "POST",
    body: bytes,
    headers: given({
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "content-length": `${bytes.byteLength}`,
      ...headers,
    }),
  });
}

/** A request without a body. */
export function bare(
  method: string,
  headers: Record<string, string | null> = {},
  url = "http://api.example/mcp",
): Request {
  return new Request(url, { method, headers: given(headers) });
}

/** Sends a request through the gates that come before the body. */
export function passHead(inbound: Inbound, settings: GateSettings) {
  return new Gates(settings, new FakeClock()).passHead(inbound);
}

/** Sends a request through all the gates, as a handler does. The reply is that of the exit. */
export async function passGates(
  request: Request,
  context: unknown,
  settings: GateSettings,
  report: Report,
): Promise<Passed | Reply> {
  const inbound = new Inbound(request, context);
  const gates = new Gates(settings, new FakeClock());
  let reply = await gates.passHead(inbound);
  if (reply === undefined && inbound.method === "POST") {
    reply = gates.passBody(inbound, await gates.readBody(inbound));
  }
  if (reply !== undefined) {
    return complete(inbound, reply, { ...settings, cors: false }, new Reporter(report));
  }
  if (inbound.method !== "POST") return { verb: inbound.method === "GET" ? "GET" : "DELETE" };
  const { accepts: { json, sse }, bodyLength: length } = inbound;
  return { verb: "POST", json, sse, length, ...inbound.content };
}

/** Sends a request through the gates. */
export async function pass(
  request: Request,
  options: GateOptions = {},
  context?: unknown,
): Promise<Outcome> {
  const events: McpEvent[] = [];
  const settings = gateSettings(options);
  const result = await passGates(request, context, settings, (event) => void events.push(event));
  return "status" in result
    ? { response: respond(result), passed: undefined, events }
    : { response: undefined, passed: result, events };
}

/** Asserts that a request was refused: with this status and code, for this reason, in plain JSON. */
export async function assertRefused(
  { response, events }: Outcome,
  status: number,
  code: number,
  reason: string,
): Promise<string> {
  assert.ok(response, "the request passed");
  assert.equal(response.status, status);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.equal(response.headers.get("cache-control"), "no-store");
  const body = await response.json();
  assert.equal(body.jsonrpc, "2.0");
  assert.equal(body.id, null);
  assert.equal(body.error.code, code);
  assert.deepEqual(Object.keys(body).sort(), ["error", "id", "jsonrpc"]);
  assert.deepEqual(events.at(-1), { type: "refused", status, reason });
  return body.error.message;
}

/** Asserts that a request went through all gates. */
export function assertPassed({ response, passed, events }: Outcome): Passed {
  assert.equal(response, undefined);
  assert.ok(passed);
  assert.deepEqual(events, []);
  return passed;
}

function given(headers: Record<string, string | null>): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(headers)) {
    if (value !== null) result.set(name, value);
  }
  return result;
}
