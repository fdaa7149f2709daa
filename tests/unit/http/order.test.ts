import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { refusal } from "../../../src/http/reply.ts";
import { reportRefusal, respond } from "../../../src/http/respond.ts";
import { Reporter } from "../../../src/protocol/reporter.ts";
import type { GateOptions } from "../../../src/http/gates/options.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import { assertRefused, bare, pass, passGates, PING, post } from "./support.ts";

/** A request that every gate refuses, mended gate by gate in their order. */
const FAULTS: readonly {
  readonly id: string;
  readonly reason: string;
  readonly status: number;
  readonly code: number;
  readonly mend: (facts: Facts) => Facts;
}[] = [
  {
    id: "GATE-1",
    reason: "path",
    status: 404,
    code: -32000,
    mend: (f) => ({ ...f, url: "http://api.example/mcp" }),
  },
  {
    id: "GATE-2",
    reason: "origin",
    status: 403,
    code: -32000,
    mend: (f) => with_(f, { origin: "https://app.example" }),
  },
  {
    id: "GATE-3",
    reason: "host",
    status: 403,
    code: -32000,
    mend: (f) => with_(f, { host: "api.example" }),
  },
  {
    id: "GATE-4",
    reason: "rate-limit",
    status: 429,
    code: -32000,
    mend: (f) => ({ ...f, limited: false }),
  },
  {
    id: "GATE-5",
    reason: "method",
    status: 405,
    code: -32000,
    mend: (f) => ({ ...f, method: "POST" }),
  },
  {
    id: "GATE-6",
    reason: "content-type",
    status: 415,
    code: -32000,
    mend: (f) => with_(f, { "content-type": "application/json" }),
  },
  {
    id: "GATE-6",
    reason: "accept",
    status: 406,
    code: -32000,
    mend: (f) => with_(f, { accept: "application/json" }),
  },
  {
    id: "GATE-7",
    reason: "required-header",
    status: 403,
    code: -32000,
    mend: (f) => with_(f, { "x-team": "blue" }),
  },
  {
    id: "GATE-8",
    reason: "body-size",
    status: 413,
    code: -32000,
    mend: (f) => ({ ...f, body: "{" }),
  },
  { id: "GATE-9", reason: "json", status: 400, code: -32700, mend: (f) => ({ ...f, body: "{}" }) },
  {
    id: "GATE-10",
    reason: "envelope",
    status: 400,
    code: -32600,
    mend: (f) => ({ ...f, body: PING }),
  },
];

interface Facts {
  readonly url: string;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly limited: boolean;
}

function with_(facts: Facts, headers: Record<string, string>): Facts {
  return { ...facts, headers: { ...facts.headers, ...headers } };
}

const WORST: Facts = {
  url: "http://api.example/other",
  method: "PUT",
  headers: {
    "origin": "https://evil.test",
    "host": "evil.test",
    "content-type": "text/plain",
    "accept": "text/html",
  },
  body: "{".repeat(1000),
  limited: true,
};

const OPTIONS: GateOptions = {
  path: "/mcp",
  healthPath: "/health",
  allowedOrigins: ["https://app.example"],
  allowedHosts: ["api.example"],
  requiredHeader: "x-team",
  limits: { bodyBytes: 100 },
};

function send({ url, method, headers, body, limited }: Facts) {
  const length = { "content-length": `${body.length}` };
  const request = new Request(url, { method, headers: { ...headers, ...length }, body });
  return pass(request, { ...OPTIONS, rateLimit: { check: () => ({ allowed: !limited }) } });
}

describe("the order of the gates", () => {
  for (const [index, { id, reason, status, code }] of FAULTS.entries()) {
    test(`[${id}] ${reason} is gate ${index + 1}, and is asked before all later ones`, async () => {
      const facts = FAULTS.slice(0, index).reduce((worst, { mend }) => mend(worst), WORST);
      const outcome = await send(facts);
      await assertRefused(outcome, status, code, reason);
      assert.equal(outcome.events.length, 1);
    });
  }

  test("[GATE-4, GATE-5] a limiter that answers later is no way around the gates after it", async () => {
    const options: GateOptions = {
      rateLimit: { check: () => Promise.resolve({ allowed: true }) },
      requiredHeader: "x-required",
    };
    await assertRefused(await pass(bare("PUT"), options), 405, -32000, "method");
    await assertRefused(await pass(bare("GET"), options), 403, -32000, "required-header");
    const text = post(PING, { "content-type": "text/plain" });
    await assertRefused(await pass(text, options), 415, -32000, "content-type");
  });

  test("[GATE-10] what is mended at every gate passes", async () => {
    const { passed } = await send(FAULTS.reduce((worst, { mend }) => mend(worst), WORST));
    assert.deepEqual(passed, {
      verb: "POST",
      json: true,
      sse: false,
      length: PING.length,
      kind: "request",
      message: JSON.parse(PING),
    });
  });

  test("[GATE-2] each header is read once, by its name, on the happy path", async () => {
    const request = post();
    const asked: string[] = [];
    const { headers } = request;
    const spy = new Proxy(headers, {
      get(_target, name) {
        if (name !== "get") throw new Error(`must not touch headers.${String(name)}`);
        return (header: string) => {
          asked.push(header.toLowerCase());
          return headers.get(header);
        };
      },
    });
    Object.defineProperty(request, "headers", { value: spy });
    for (const name of ["url", "clone", "signal"]) {
      Object.defineProperty(request, name, {
        get() {
          throw new Error(`must not touch request.${name}`);
        },
      });
    }
    const result = await passGates(request, undefined, gateSettings({}), () => {});
    assert.ok(!("status" in result));
    assert.deepEqual(asked.sort(), ["accept", "content-length", "content-type", "origin"]);
  });

  test("[GATE-10] whatever is sent is let through or refused with a 4xx, nothing is thrown", async () => {
    const statuses = new Set([400, 403, 404, 405, 406, 413, 415, 429]);
    const words = fc.constantFrom(
      "application/json",
      "text/event-stream",
      "*/*",
      ";q=0",
      ",",
      "null",
      "https://app.example",
      "http://localhost",
      "127.0.0.1",
      "[::1]",
      ":8080",
      '"',
      "\\",
      "é",
      "-1",
      "40",
    );
    const value = fc.oneof(
      fc.array(words, { maxLength: 4 }).map((all) => all.join("")),
      fc.string(),
    )
      // What can't be in a header never reaches a handler.
      .map((text) => text.replace(/[^\t\x20-\x7e\x80-\xff]/g, ""));
    const names = ["origin", "host", "accept", "content-type", "content-length", "x-team"];
    const headers = fc.record(Object.fromEntries(names.map((name) => [name, value])), {
      requiredKeys: [],
    });
    const body = fc.oneof(
      fc.constant(PING),
      fc.json(),
      fc.string(),
      fc.string().map((text) => `{"jsonrpc":"2.0",${text}}`),
      fc.constantFrom("[", "[[]]", "{}", "null", '{"__proto__":1}'),
    );
    const method = fc.constantFrom("POST", "POST", "POST", "DELETE", "PUT", "OPTIONS", "PATCH");
    const path = fc.constantFrom("/mcp", "/mcp", "/health", "/", "/mcp?x#y", "//");
    await fc.assert(
      fc.asyncProperty(
        method,
        path,
        headers,
        body,
        fc.boolean(),
        async (verb, at, given, text, easy) => {
          const defaults = { "content-type": "application/json", accept: "*/*", "x-team": "blue" };
          const request = new Request(`http://api.example${at}`, {
            method: verb,
            headers: Object.entries(easy ? { ...given, ...defaults } : given) as [string, string][], // no undefined
            body: text,
          });
          const { response, passed, events } = await pass(request, easy ? {} : OPTIONS);
          if (response === undefined) {
            assert.ok(passed);
            return;
          }
          if (response.status === 204) {
            assert.equal(verb, "OPTIONS");
            return;
          }
          assert.ok(statuses.has(response.status), `${response.status}`);
          assert.equal((await response.json()).id, null);
          assert.equal(events.length, 1);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("refusal()", () => {
  test("[GATE-10] holds the error and the id that it is given, and tells the operator why", async () => {
    const events: McpEvent[] = [];
    const refused = refusal({
      status: 503,
      code: -32000,
      message: "Server busy",
      reason: "request-limit",
      id: 0,
      data: { a: [1] },
      headers: { "retry-after": "1" },
    });
    reportRefusal(refused, new Reporter((event) => void events.push(event)));
    const response = respond(refused);
    assert.equal(response.status, 503);
    assert.deepEqual(Object.fromEntries(response.headers), {
      "cache-control": "no-store",
      "content-type": "application/json",
      "retry-after": "1",
    });
    assert.deepEqual(await response.json(), {
      jsonrpc: "2.0",
      id: 0,
      error: { code: -32000, message: "Server busy", data: { a: [1] } },
    });
    assert.deepEqual(events, [{ type: "refused", status: 503, reason: "request-limit" }]);
  });

  test("[GATE-5] a HEAD is refused like any other method", async () => {
    await assertRefused(await pass(bare("HEAD")), 405, -32000, "method");
  });
});
