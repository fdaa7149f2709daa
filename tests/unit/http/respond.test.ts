import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Inbound } from "../../../src/http/inbound.ts";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { internalError, serverBusy, sessionNotFound } from "../../../src/http/refusals.ts";
import { accepted, jsonReply, type Reply, reply } from "../../../src/http/reply.ts";
import { complete, respond } from "../../../src/http/respond.ts";
import { sseReplyOf } from "../../../src/streams/sse.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";

const ORIGIN = "https://app.example";

/**
 * A class like the one that `@hono/node-server` 1 puts in the place of `Response`: it keeps the headers
 * that it is given, and adds the body's length to them when it is sent.
 */
class KeepingResponse {
  #headers: Record<string, string> | Headers;

  constructor(body: unknown, { headers }: { readonly headers: Record<string, string> | Headers }) {
    this.#headers = headers;
    if (typeof body !== "string" || headers instanceof Headers) return;
    headers["Content-Length"] = String(body.length);
  }

  get headers(): Headers {
    if (!(this.#headers instanceof Headers)) this.#headers = new Headers(this.#headers);
    return this.#headers;
  }
}

/** Calls a function while another class is in the place of `Response`. */
function withResponse<T>(replacement: unknown, call: () => T): T {
  const own = Object.getOwnPropertyDescriptor(globalThis, "Response");
  assert.ok(own);
  Object.defineProperty(globalThis, "Response", { value: replacement, configurable: true });
  try {
    return call();
  } finally {
    Object.defineProperty(globalThis, "Response", own);
  }
}

function completed(sent: Reply, headers: HeadersInit = {}) {
  const events: McpEvent[] = [];
  const inbound = new Inbound(new Request("http://localhost/mcp", { headers }));
  const settings = gateSettings({ allowedOrigins: [ORIGIN] });
  const reporter = new Reporter((event) => void events.push(event));
  return { events, reply: complete(inbound, sent, settings, reporter) };
}

describe("respond()", () => {
  const shared: readonly [string, (text: string) => Reply][] = [
    ["JSON", (text) => jsonReply(text)],
    ["a stream's whole text", (text) => sseReplyOf(text)],
    ["a refusal", () => sessionNotFound("session-unknown")],
  ];
  for (const [what, make] of shared) {
    test(`[STR-2, OWN-2] a class that changes the headers it gets changes no other reply: ${what}`, () => {
      const before = { ...make("x").headers };
      withResponse(KeepingResponse, () => {
        respond(make("a text"));
        respond(make("a longer text"));
      });
      assert.deepEqual(make("x").headers, before);
    });
  }

  test("[STR-2] makes a response of the class that the host has at that moment", () => {
    assert.ok(respond(accepted()) instanceof Response);
    assert.ok(withResponse(KeepingResponse, () => respond(accepted())) instanceof KeepingResponse);
  });
});

describe("complete()", () => {
  test("[AUTH-1] reports a refusal once, after the failure behind it", () => {
    const error = new Error("secret");
    const { events, reply: sent } = completed(internalError(error));
    assert.deepEqual(events, [
      { type: "error", during: "answering a request", error },
      { type: "refused", status: 500, reason: "internal" },
    ]);
    assert.ok(!String(sent.body).includes("secret"));
  });

  test("[AUTH-1] reports nothing of a reply that refuses nothing", () => {
    assert.deepEqual(completed(reply(404, {}, null)).events, []);
  });

  test("[GATE-12] adds CORS headers to a copy of the reply: others share its headers", () => {
    for (
      const sent of [accepted(), jsonReply("{}"), sseReplyOf("{}"), serverBusy("request-limit")]
    ) {
      const before = { ...sent.headers };
      const { headers } = completed(sent, { origin: ORIGIN }).reply;
      assert.equal(headers["access-control-allow-origin"], ORIGIN);
      assert.equal(headers.vary, "Origin");
      assert.deepEqual(sent.headers, before);
    }
  });
});
