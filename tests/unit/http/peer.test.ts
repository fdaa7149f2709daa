import assert from "node:assert/strict";
import { test } from "node:test";
import { localPeer } from "../../../src/http/peer.ts";

const request = (headers: Record<string, string> = {}) => () =>
  new Request("http://localhost/mcp", { headers });

test("[GTW-18] localPeer() finds the address in what each host passes", () => {
  const bun = { requestIP: () => ({ address: "::ffff:127.0.0.1", port: 1 }) };
  const deno = { remoteAddr: { transport: "tcp", hostname: "127.0.0.1", port: 1 } };
  const node = { incoming: { socket: { remoteAddress: "::1" } }, outgoing: {} };
  for (const context of [bun, deno, node, { env: node }, { env: deno }, { env: { server: bun } }]) {
    assert.equal(localPeer(context, request()), "127.0.0.1");
  }
});

test("[GTW-18] localPeer() knows nobody elsewhere, behind a proxy, or without an address", () => {
  const from = (hostname: unknown) => ({ remoteAddr: { hostname } });
  const others = ["192.0.2.1", "10.0.0.1", "::", "2001:db8::1", "::ffff:10.0.0.1", "127.0.0.256"];
  for (const hostname of [...others, "", "127.0.0.1.evil.example", 127, null, undefined]) {
    assert.equal(localPeer(from(hostname), request()), undefined, String(hostname));
  }
  for (
    const context of [undefined, null, 1, "x", {}, { incoming: {} }, { requestIP: () => null }]
  ) {
    assert.equal(localPeer(context, request()), undefined);
  }
  for (const name of ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "CF-Connecting-IP"]) {
    assert.equal(localPeer(from("127.0.0.1"), request({ [name]: "192.0.2.1" })), undefined, name);
  }
  // A proxy that passes the Host header on
  for (const host of ["mcp.example", "mcp.example:8000", "192.0.2.1", "localhost.evil.example"]) {
    assert.equal(localPeer(from("127.0.0.1"), request({ host })), undefined, host);
  }
  for (const host of ["localhost:8000", "127.0.0.1", "[::1]:1", "LOCALHOST"]) {
    assert.equal(localPeer(from("127.0.0.1"), request({ host })), "127.0.0.1", host);
  }
  // A host that contains itself
  const loop: { env?: unknown } = {};
  loop.env = loop;
  assert.equal(localPeer(loop, request()), undefined);
});
