/**
 * Headers made of anything that a request can carry. Two people have a session each, a third has none,
 * and whatever is sent, a session is only ever touched by whoever owns it.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import type { Exchange } from "../../src/protocol/exchange.ts";
import { VERSIONS } from "../../src/protocol/versions.ts";
import { FakeClock } from "../support/clock.ts";
import { assertLinear } from "../support/growth.ts";
import { envelope, MODERN } from "../support/modern.ts";
import {
  as,
  byToken,
  Events,
  initialize,
  logMessage,
  Peer,
  Stub,
  text,
  URL_2025,
} from "../support/wire.ts";
import { assertNothingInside, checkResponse, quiet } from "./invariants.ts";
import { property } from "./runs.ts";

/** Whose session an id is, in a generated request. */
const IDS = ["ALICE", "BOB", "OVER"] as const;

/** Bytes that a header's value can have: all but controls. */
const raw = fc.array(
  fc.oneof(fc.integer({ min: 0x20, max: 0x7e }), fc.integer({ min: 0x80, max: 0xff })),
  { maxLength: 40 },
).map((codes) => String.fromCharCode(...codes).trim());
const token = fc.constantFrom(
  ...[
    "",
    "*",
    "*/*",
    "null",
    "undefined",
    "true",
    "0",
    "-1",
    "1e9",
    "NaN",
    "__proto__",
    "constructor",
  ],
);
const anything = fc.oneof(raw, token, fc.constantFrom("x".repeat(8_000), ",".repeat(8_000), '"'));

/** What each header has that means something. */
const MEANT: Readonly<Record<string, readonly string[]>> = {
  "authorization": ["Bearer alice", "Bearer bob", "Bearer mallory", "bearer alice", "Basic YTpi"],
  "mcp-session-id": [...IDS, "ALICE, BOB", "U".repeat(32), "ALICE\u00a0", "aLICE"],
  "mcp-protocol-version": [...Object.keys(VERSIONS), "2025-11-25, 2025-06-18", "9999-99-99"],
  "last-event-id": ["s.0", "s.1", "s.9999999999999999", "s.-1", ".", "h.0", "h.1", "s.1.1", "S.1"],
  "mcp-method": ["ping", "tools/call", "initialize"],
  "mcp-name": ["hello", "=?base64?aGVsbG8=?=", "=?base64?////?=", "=?base64?aGVsbG8?="],
  "accept": [
    "application/json, text/event-stream",
    "text/event-stream",
    "application/json",
    "text/*;q=0.1, */*;q=0",
    'text/event-stream;a=",";q=0',
    "*/*;q=1e400",
    "text/event-stream;;;q=;",
  ],
  "content-type": [
    "application/json",
    "APPLICATION/JSON ; charset=utf-16",
    "text/plain",
    "application/json, text/plain",
    "application/jsonp",
  ],
  "content-length": ["0", "1", "1048577", "-1", "1e3", "99999999999999999999", "12, 12"],
  "origin": [
    "https://app.example",
    "https://APP.example:443",
    "https://evil.example",
    "https://app.example.evil.example",
    "http://localhost:1",
    "null",
    "https://app.example, https://evil.example",
    "https://app.example@evil.example",
    "https://app.example\u00a0",
  ],
  "host": ["localhost", "app.example", "evil.example", "localhost:80", "[::1]", "127.0.0.1.evil"],
  "x-user": ["alice"],
  "x_user": ["alice"],
  "mcp_session_id": ["ALICE"],
  "x-mcp-session-id": ["ALICE"],
  "access-control-request-method": ["POST"],
  "access-control-request-headers": ["mcp-param-a, x", "mcp-param-\u00ff", "authorization,,,"],
  "transfer-encoding": ["chunked"],
  "x-forwarded-host": ["localhost"],
  "expect": ["100-continue"],
};

const header = fc.constantFrom(...Object.keys(MEANT)).chain((name) =>
  fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...MEANT[name] ?? []) },
    { weight: 1, arbitrary: anything },
  ).map((value) => [name, value] as const)
);

const BODIES: Readonly<Record<string, unknown>> = {
  ping: { jsonrpc: "2.0", id: 1, method: "ping" },
  call: { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "hello", arguments: {} } },
  initialize: new Peer(() => Promise.reject()).initializeRequest(),
  cancel: { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 1 } },
  reply: { jsonrpc: "2.0", id: "q-1", result: {} },
  modern: {
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name: "hello", arguments: {}, _meta: envelope() },
  },
  discover: { jsonrpc: "2.0", id: 1, method: "server/discover", params: { _meta: envelope() } },
  nothing: undefined,
};

const request = fc.record({
  method: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom("POST", "GET", "DELETE") },
    { weight: 1, arbitrary: fc.constantFrom("OPTIONS", "HEAD", "PUT", "PATCH", "QUERY", "x") },
  ),
  // Most of the time what lets a request in is there
  usual: fc.record({
    authorization: fc.constantFrom("Bearer alice", "Bearer bob", "Bearer mallory"),
    "mcp-session-id": fc.constantFrom(...IDS),
    accept: fc.constant("application/json, text/event-stream"),
    "content-type": fc.constant("application/json"),
    host: fc.constant("localhost"),
  }, { requiredKeys: [] }),
  odd: fc.array(header, { maxLength: 5 }),
  body: fc.constantFrom(...Object.keys(BODIES)),
  path: fc.constantFrom("/mcp", "/mcp/", "/health", "/mcp?x=1", "//mcp", "/mcp%2f..", "/MCP"),
});
type Generated = typeof request extends fc.Arbitrary<infer T> ? T : never;

/** Two sessions, and what happens in them. */
class World {
  readonly clock = new FakeClock();
  readonly events = new Events();
  readonly stub = new Stub({ hello: () => text("Hello") });
  readonly handler: McpHandler;
  readonly sessions = new Map<string, string>();

  constructor(options: McpHandlerOptions) {
    this.handler = createMcpHandler(this.stub, {
      clock: this.clock,
      authenticate: byToken,
      onEvent: this.events.onEvent,
      ...options,
    });
  }

  /** Begins what is missing of alice's and bob's sessions, and one that is over. */
  async ready(): Promise<void> {
    for (const who of ["alice", "bob"] as const) {
      const peer = new Peer(this.handler, { headers: { ...as(who), host: "localhost" } });
      peer.sessionId = this.sessions.get(who.toUpperCase());
      if (peer.sessionId !== undefined && (await peer.request(1, "ping")).status === 200) continue;
      await peer.initialize();
      this.sessions.set(who.toUpperCase(), String(peer.sessionId));
    }
    if (this.sessions.has("OVER")) return;
    const over = await initialize(this.handler, { headers: { ...as("alice"), host: "localhost" } });
    await over.delete();
    this.sessions.set("OVER", String(over.sessionId));
  }

  /** A generated request, with the ids in their places. */
  request({ method, usual, odd, body, path }: Generated): Request {
    const headers = new Headers();
    for (const [name, value] of [...Object.entries(usual), ...odd]) {
      const real = value.replace(/ALICE|BOB|OVER/g, (who) => this.sessions.get(who) ?? who);
      headers.set(name, real);
    }
    const json = JSON.stringify(BODIES[body]);
    const content = ["POST", "PUT", "PATCH", "QUERY"].includes(method) ? json : undefined;
    return new Request(new URL(path, URL_2025), { method, headers, body: content });
  }
}

const STATUSES = [200, 202, 204, 400, 401, 403, 404, 405, 406, 413, 415];

/** Who asked, in an exchange. */
function askedBy({ request }: Exchange): string {
  return byToken(request).id;
}

describe("OWN: odd headers", () => {
  const variants: Readonly<Record<string, McpHandlerOptions>> = {
    "as it comes": {},
    "with every gate": {
      path: "/mcp",
      healthPath: "/health",
      allowedOrigins: ["https://app.example"],
      allowedHosts: ["localhost", "app.example"],
      requiredHeader: "authorization",
    },
    "of 2026 alone": { versions: [MODERN] },
    "without sessions": { sessions: false },
  };
  for (const [name, options] of Object.entries(variants)) {
    const world = new World(options);
    const sessions = options.sessions !== false && options.versions === undefined;
    property(
      `[OWN-1, OWN-2, GATE-2, GATE-3, GATE-11] an endpoint ${name}: nobody gets into another's session`,
      request,
      { everyday: 700, long: 30_000 },
      async (generated) => {
        if (sessions) await world.ready();
        const { stub, handler, events } = world;
        const before = stub.exchanges.length;
        const sent = world.request(generated);
        const echo = [...sent.headers].flat().join("\n");
        const response = await handler(sent);
        await checkResponse(response, [], `${echo}\n${sent.url}`);
        assert.ok(STATUSES.includes(response.status), `${response.status}`);
        for (const [name, value] of response.headers) {
          // Of all that a request says, only an allowed origin and names of headers come back
          if (/^(access-control|vary|content|cache|allow|www|retry|x-acc|mcp-session)/.test(name)) {
            continue;
          }
          assert.fail(`${name}: ${value}`);
        }
        const origin = response.headers.get("access-control-allow-origin");
        // Pages of this very machine may call what is reached as this very machine
        if (origin !== null) {
          assert.match(origin, /^(https:\/\/app\.example(:443)?|http:\/\/localhost:1)$/i);
        }
        await response.body?.cancel();
        for (const exchange of stub.exchanges.slice(before)) {
          const { session, principal, method } = exchange;
          assert.equal(askedBy(exchange), principal.id);
          if (session === undefined || method === "initialize") continue;
          assert.equal(session.id, world.sessions.get(principal.id.toUpperCase()));
        }
        stub.exchanges.length = 0;
        assert.deepEqual(events.of("error").map(({ error }) => error), []);
        const told = JSON.stringify(events.all);
        for (const id of world.sessions.values()) assert.ok(!told.includes(id), told);
        assert.doesNotMatch(told, /bearer /i);
        events.all.length = 0;
        await quiet(1);
        const { requests, questions, listens, streams } = handler.stats();
        assert.deepEqual({ requests, questions, listens, streams }, {
          requests: 0,
          questions: 0,
          listens: 0,
          streams: 0,
        });
      },
    );
  }

  test("[OWN-2] and nothing that is meant for one is ever read by another", async () => {
    const world = new World({});
    await world.ready();
    const { handler } = world;
    const id = String(world.sessions.get("ALICE"));
    await handler.notify(id, logMessage("for alice alone"));
    for (const sample of fc.sample(request, { numRuns: 300, seed: 7 })) {
      const usual = { ...sample.usual, authorization: "Bearer mallory" as const };
      const odd = sample.odd.filter(([name]) => name !== "authorization");
      const response = await handler(world.request({ ...sample, usual, odd }));
      const reader = response.body?.getReader();
      const first = await Promise.race([reader?.read(), quiet(3).then(() => undefined)]);
      const read = new TextDecoder().decode(first?.value);
      assertNothingInside(read, JSON.stringify(sample));
      assert.doesNotMatch(read, /for alice alone/);
      await reader?.cancel();
    }
    await handler.close({ graceMs: 0 });
  });
});

describe("GATE: costly headers", () => {
  const LENGTH = 60_000;
  const long: Readonly<Record<string, (length: number) => string>> = {
    commas: (length) => ",".repeat(length),
    quotes: (length) => '"'.repeat(length),
    "quoted commas": (length) => '"a,b",'.repeat(length / 6),
    parameters: (length) => `text/event-stream${";a=b".repeat(length / 4)}`,
    stars: (length) => "*/*,".repeat(length / 4),
    backslashes: (length) => `"${"\\".repeat(length)}`,
    colons: (length) => `http://${":".repeat(length)}`,
    brackets: (length) => `http://${"[".repeat(length)}`,
    dots: (length) => `https://${".".repeat(length)}`,
    base64: (length) => `=?base64?${"A".repeat(length)}?=`,
  };
  for (const [what, valueOf] of Object.entries(long)) {
    test(`[GATE-2, GATE-3, GATE-6] 60,000 characters of ${what} cost no more than their length, in any header`, async () => {
      const handler = createMcpHandler(new Stub({ hello: () => text("Hello") }), {
        allowedOrigins: ["https://.app.example"],
        allowedHosts: [".app.example"],
      });
      for (const name of Object.keys(MEANT)) {
        await assertLinear(name, LENGTH, async (length) => {
          const headers = {
            "host": "app.example",
            "content-type": "application/json",
            "mcp-protocol-version": MODERN,
            "mcp-method": "tools/call",
            "mcp-name": "hello",
            [name]: valueOf(length),
          };
          const body = JSON.stringify(BODIES.modern);
          const response = await handler(new Request(URL_2025, { method: "POST", headers, body }));
          await response.text();
        });
      }
      await handler.close();
    });
  }
});
