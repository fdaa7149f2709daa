/**
 * `handler.reply`: the same answers as data.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { Reply } from "../../src/http/reply.ts";
import { McpServer } from "../../src/server/server.ts";
import { as, byToken, Events, seen, URL_2025 } from "../support/wire.ts";

const ORIGIN = "https://app.example";
const PING = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const JSON_BODY = { "content-type": "application/json" };

/** Requests that are answered, refused at a gate, refused after it, and preflighted. */
const REQUESTS: Readonly<Record<string, RequestInit>> = {
  "a call": { method: "POST", headers: { ...as("alice"), ...JSON_BODY }, body: PING },
  "a call of a page": {
    method: "POST",
    headers: { ...as("alice"), ...JSON_BODY, origin: ORIGIN },
    body: PING,
  },
  "another page": { method: "POST", headers: { origin: "https://evil.example" } },
  "another type": { method: "POST", headers: { origin: ORIGIN }, body: PING },
  "nobody": { method: "POST", headers: { ...JSON_BODY, origin: ORIGIN }, body: PING },
  "another method": { method: "PUT", headers: { origin: ORIGIN } },
  "a HEAD": { method: "HEAD" },
  "a GET": { headers: { ...as("alice"), accept: "text/event-stream" } },
  "a preflight": { method: "OPTIONS", headers: { origin: ORIGIN } },
};

/** Makes a response of a reply, as a host does. */
function asResponse({ status, headers, body }: Reply): Response {
  return new Response(body, { status, headers });
}

describe("reply()", () => {
  for (const [what, init] of Object.entries(REQUESTS)) {
    test(`[GATE-12, AUTH-1] answers ${what} as the handler does, and reports the same`, async () => {
      const events = new Events();
      const server = new McpServer({ name: "data", version: "1.0.0" });
      await using handler = createMcpHandler(server, {
        authenticate: byToken,
        allowedOrigins: [ORIGIN],
        sessions: false,
        onEvent: events.onEvent,
      });
      const response = await seen(await handler(new Request(URL_2025, init)));
      const reported = events.of("refused");
      events.all.length = 0;
      const reply = await handler.reply(new Request(URL_2025, init));
      assert.deepEqual(await seen(asResponse(reply)), response);
      assert.deepEqual(events.of("refused"), reported);
      assert.equal(reported.length, response.status >= 400 ? 1 : 0);
    });
  }
});
