import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkForwardHeaders,
  cleanValue,
  forwardedHeaders,
  type ForwardHeaders,
} from "../../../src/gateway/upstreams/forward_headers.ts";

function forwarded(given: ForwardHeaders | undefined, headers: Record<string, string>) {
  return forwardedHeaders(new Headers(headers), checkForwardHeaders(given));
}

test("[GTW-5] nothing is handed on unless it was named", () => {
  const headers = { "x-a": "1", "authorization": "Bearer t", "cookie": "c=1" };
  assert.deepEqual(forwarded(undefined, headers), {});
  assert.deepEqual(forwarded([], headers), {});
  assert.deepEqual(forwarded(["X-A", "x-b"], headers), { "x-a": "1" });
  assert.deepEqual(forwarded({ "X-A": "X-Own" }, headers), { "x-own": "1" });
});

const NEVER = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host",
  "content-length",
  "content-type",
  "mcp-session-id",
  "x-mcp-session-id",
  "mcp-protocol-version",
  "mcp-method",
  "mcp-name",
  "mcp-param-region",
  "last-event-id",
  "cookie",
  "set-cookie",
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-real-ip",
  "true-client-ip",
  "cf-connecting-ip",
  "mooring-hops",
];

for (const name of NEVER) {
  test(`[GTW-5] ${name} can't be handed on, under its own or another name`, () => {
    const upper = name.toUpperCase();
    assert.throws(() => checkForwardHeaders([upper]), TypeError);
    assert.throws(() => checkForwardHeaders({ [upper]: "x-own" }), TypeError);
    assert.throws(() => checkForwardHeaders({ "x-own": upper }), TypeError);
  });
}

test("[GTW-5] the login is handed on only where it is mapped", () => {
  assert.throws(() => checkForwardHeaders(["Authorization"]), /to forward credentials/);
  const headers = { authorization: "Bearer t", "x-token": "Bearer u" };
  assert.deepEqual(forwarded({ Authorization: "Authorization" }, headers), {
    authorization: "Bearer t",
  });
  assert.deepEqual(forwarded({ "x-token": "authorization" }, headers), {
    authorization: "Bearer u",
  });
});

test("[GTW-5] what the request itself calls hop-by-hop ends here", () => {
  const headers = new Headers({ "x-a": "1", "x-b": "2" });
  // A `Request` may not carry it, but what an adapter hands over may.
  headers.set("connection", "close, X-A");
  const names = checkForwardHeaders(["x-a", "x-b"]);
  assert.deepEqual(forwardedHeaders(headers, names), { "x-b": "2" });
});

test("[GTW-5] values lose control characters, and what is beyond 4,096 characters", () => {
  assert.equal(cleanValue("a\r\nb\0c\x7fd\te"), "abcde");
  assert.equal(cleanValue("x".repeat(4096)).length, 4096);
  assert.equal(cleanValue("x".repeat(5000)).length, 4096);
  assert.equal(cleanValue(`${"\x01".repeat(3000)}${"x".repeat(5000)}`).length, 4096);
  assert.equal(cleanValue(`${"\x01".repeat(1_000_000)}x`), "");
});

test("[GTW-5] names that are none are refused", () => {
  for (const given of [["a b"], [""], ["a\r\nb"], [1], { a: "b c" }, { a: 1 }, "x-a", 7, null]) {
    assert.throws(() => checkForwardHeaders(given as ForwardHeaders), TypeError);
  }
});
