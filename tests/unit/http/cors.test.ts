import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withCors } from "../../../src/http/cors.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { reply } from "../../../src/http/reply.ts";
import { respond } from "../../../src/http/respond.ts";
import { gateSettings } from "../../../src/http/gates/options.ts";
import { assertRefused, bare, pass } from "./support.ts";

const ORIGIN = "https://app.example";
const CORS = { allowedOrigins: [ORIGIN, "https://.tenant.example"] };
const ASKED = {
  "origin": ORIGIN,
  "access-control-request-method": "POST",
  "access-control-request-headers": "content-type,mcp-session-id",
};

function names(response: Response | undefined, header: string): string[] {
  return response?.headers.get(header)?.toLowerCase().split(", ") ?? [];
}

describe("preflight", () => {
  test("[GATE-12] is answered for an allowed origin", async () => {
    const { response, events } = await pass(bare("OPTIONS", ASKED), CORS);
    assert.equal(response?.status, 204);
    assert.equal(await response?.text(), "");
    assert.equal(response?.headers.get("access-control-allow-origin"), ORIGIN);
    assert.deepEqual(names(response, "access-control-allow-methods"), ["get", "post", "delete"]);
    assert.ok(names(response, "vary").includes("origin"));
    assert.equal(response?.headers.get("access-control-allow-credentials"), null);
    assert.deepEqual(events, []);
    const allowed = names(response, "access-control-allow-headers");
    for (
      const name of [
        "accept",
        "authorization",
        "content-type",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
      ]
    ) assert.ok(allowed.includes(name), name);
  });

  test("[GATE-12] names the origin that asks, not another", async () => {
    for (const origin of ["https://a.tenant.example", "https://app.example"]) {
      const { response } = await pass(bare("OPTIONS", { ...ASKED, origin }), CORS);
      assert.equal(response?.headers.get("access-control-allow-origin"), origin);
    }
  });

  test("[GATE-12] is refused to any other origin", async () => {
    for (const origin of ["https://evil.test", "null", "http://app.example"]) {
      const outcome = await pass(bare("OPTIONS", { ...ASKED, origin }), CORS);
      assert.equal(outcome.response?.headers.get("access-control-allow-origin"), null);
      await assertRefused(outcome, 403, -32000, "origin");
    }
  });

  test("[GATE-12] lets pages send the required header, and is asked for none itself", async () => {
    const options = { ...CORS, requiredHeader: { name: "X-Team", value: "blue" } };
    const { response } = await pass(bare("OPTIONS", ASKED), options);
    assert.equal(response?.status, 204);
    assert.ok(names(response, "access-control-allow-headers").includes("x-team"));
  });

  test("[GATE-12] lets pages send the parameter headers that they ask for, and nothing else", async () => {
    const headers = {
      ...ASKED,
      "access-control-request-headers": "Mcp-Param-Region, mcp-param-, x-user,mcp-param-a b",
    };
    const { response } = await pass(bare("OPTIONS", headers), CORS);
    const extra = names(response, "access-control-allow-headers").slice(9);
    assert.deepEqual(extra, ["mcp-param-region"]);
  });

  test("[GATE-12] without allowedOrigins, or with cors off, OPTIONS is no method", async () => {
    const loopback = { ...ASKED, origin: "http://localhost:1", host: "localhost:2" };
    await assertRefused(await pass(bare("OPTIONS", loopback)), 405, -32000, "method");
    const off = await pass(bare("OPTIONS", ASKED), { ...CORS, cors: false });
    await assertRefused(off, 405, -32000, "method");
  });

  test("[GATE-12] is answered for loopback pages once allowedOrigins is set", async () => {
    const headers = { ...ASKED, origin: "http://localhost:6274", host: "127.0.0.1:3000" };
    const { response } = await pass(bare("OPTIONS", headers), { allowedOrigins: [] });
    assert.equal(response?.headers.get("access-control-allow-origin"), "http://localhost:6274");
  });

  test("[GATE-12] an OPTIONS without an Origin learns the methods and nothing of CORS", async () => {
    const { response } = await pass(bare("OPTIONS"), CORS);
    assert.equal(response?.status, 204);
    assert.equal(response?.headers.get("allow"), "GET, POST, DELETE, OPTIONS");
    assert.equal(response?.headers.get("access-control-allow-methods"), null);
  });
});

describe("withCors()", () => {
  const settings = gateSettings(CORS);

  const from = (request: Request) => new Inbound(request);

  test("[GATE-12] lets an allowed page read the response and the headers it needs", () => {
    const given = reply(200, { vary: "Accept" }, "x");
    const result = respond(withCors(from(bare("GET", { origin: ORIGIN })), given, settings));
    assert.equal(result.headers.get("access-control-allow-origin"), ORIGIN);
    assert.equal(result.headers.get("vary"), "Accept, Origin");
    assert.deepEqual(names(result, "access-control-expose-headers"), [
      "mcp-session-id",
      "www-authenticate",
      "dpop-nonce",
      "retry-after",
    ]);
  });

  test("[GATE-12] says once that the response varies", () => {
    for (const vary of ["Origin", "accept, origin", "*"]) {
      const given = reply(200, { vary }, "x");
      const result = withCors(from(bare("GET", { origin: ORIGIN })), given, settings);
      assert.equal(result.headers.vary, vary);
    }
  });

  test("[GATE-12] adds nothing without an Origin, for a foreign one, or with cors off", () => {
    const off = gateSettings({ ...CORS, cors: false });
    const cases = [
      [bare("GET"), settings],
      [bare("GET", { origin: "https://evil.test" }), settings],
      [bare("GET", { origin: "null" }), settings],
      [bare("GET", { origin: ORIGIN }), off],
      [bare("GET", { origin: "http://localhost", host: "localhost" }), gateSettings({})],
    ] as const;
    for (const [request, options] of cases) {
      const given = reply(200, {}, "x");
      assert.equal(withCors(from(request), given, options), given);
      assert.deepEqual(given.headers, {});
    }
  });

  test("[GATE-12] leaves the headers of other replies alone", () => {
    const given = reply(200, { "content-type": "text/plain" }, "x");
    withCors(from(bare("GET", { origin: ORIGIN })), given, settings);
    assert.deepEqual(given.headers, { "content-type": "text/plain" });
  });

  test("[GATE-12] cors that is no boolean is misuse", () => {
    // @ts-expect-error not a boolean
    assert.throws(() => gateSettings({ cors: "yes" }), TypeError);
  });
});
