import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { authenticate } from "../../../src/auth/authenticate.ts";
import { dropUnderscoreHeaders } from "../../../src/auth/underscore_headers.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import { FakeClock } from "../../support/clock.ts";

const FORGED = {
  "x_user": "mallory",
  "X_Forwarded_For": "192.0.2.1",
  "_": "x",
  "x-user": "alice",
  "authorization": "Bearer t",
};
const CLEAN = [["authorization", "Bearer t"], ["x-user", "alice"]];

const forged = (method = "GET") => new Request("http://api.example/", { method, headers: FORGED });

describe("dropUnderscoreHeaders()", () => {
  test("[GATE-11] authenticate sees no header with an underscore, on any verb", () => {
    for (const method of ["POST", "GET", "DELETE"]) {
      let seen: unknown;
      authenticate(new Inbound(forged(method)), {
        clock: new FakeClock(),
        authenticate(request) {
          seen = [...request.headers].sort();
          assert.equal(request.headers.get("x_user"), null);
          assert.equal(request.headers.get("x-user"), "alice");
          return { id: "a" };
        },
      });
      assert.deepEqual(seen, CLEAN);
    }
  });

  test("[GATE-11] neither by name nor by iterating nor in a copy", () => {
    const { headers } = dropUnderscoreHeaders(forged());
    for (const name of ["x_user", "X_USER", "x_forwarded_for", "_"]) {
      assert.equal(headers.get(name), null);
      assert.equal(headers.has(name), false);
    }
    assert.equal(headers.get("X-User"), "alice");
    assert.equal(headers.has("Authorization"), true);
    assert.equal(headers.get("x-other"), null);
    assert.deepEqual([...headers].sort(), CLEAN);
    assert.deepEqual([...headers.entries()].sort(), CLEAN);
    assert.deepEqual([...headers.keys()].sort(), ["authorization", "x-user"]);
    assert.deepEqual([...headers.values()].sort(), ["Bearer t", "alice"]);
    assert.deepEqual(Object.fromEntries(headers), Object.fromEntries(CLEAN));
    const each: unknown[] = [];
    headers.forEach(function (this: unknown, value, name, parent) {
      assert.equal(this, "self");
      assert.equal(parent, headers);
      each.push([name, value]);
    }, "self");
    assert.deepEqual(each.sort(), CLEAN);
    assert.deepEqual([...new Headers(headers)].sort(), CLEAN);
    assert.equal(new Request("http://a/", { headers }).headers.get("x_user"), null);
    assert.equal(new Request("http://a/", { headers }).headers.get("x-user"), "alice");
  });

  test("[GATE-11] the request stays the same, its other parts too", async () => {
    const request = new Request("http://api.example/x", {
      method: "POST",
      headers: FORGED,
      body: "b",
    });
    const result = dropUnderscoreHeaders(request);
    assert.equal(result, request);
    assert.ok(result instanceof Request);
    assert.equal(result.method, "POST");
    assert.equal(result.url, "http://api.example/x");
    assert.equal(result.signal.aborted, false);
    assert.equal(await result.text(), "b");
  });

  test("[GATE-11] doing it twice changes nothing", () => {
    const request = dropUnderscoreHeaders(forged());
    const { headers } = request;
    assert.equal(dropUnderscoreHeaders(request).headers, headers);
  });

  test("[GATE-11] headers can still be changed where the host allows it", () => {
    const { headers } = dropUnderscoreHeaders(new Request("http://a/"));
    headers.set("x-a", "1");
    headers.append("x-a", "2");
    assert.equal(headers.get("x-a"), "1, 2");
    headers.delete("x-a");
    assert.equal(headers.get("x-a"), null);
    assert.deepEqual(headers.getSetCookie(), []);
  });
});

test("[GATE-11, ERA-3] an argument that is repeated as a header is seen, whatever it is called", () => {
  const headers = { "Mcp-Param-User_Id": "7", "x_user": "forged", "x_mcp-param-user": "forged" };
  const request = dropUnderscoreHeaders(new Request("http://localhost/mcp", { headers }));
  assert.equal(request.headers.get("Mcp-Param-User_Id"), "7");
  assert.deepEqual([...request.headers.keys()], ["mcp-param-user_id"]);
});
