import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  protectedResource,
  type ProtectedResourceOptions,
} from "../../../src/auth/protected_resource.ts";

const GOOD: ProtectedResourceOptions = {
  resource: "https://api.example/mcp",
  authorizationServers: ["https://login.example"],
};
const WELL_KNOWN = "/.well-known/oauth-protected-resource";

describe("protectedResource()", () => {
  test("[AUTH-4] says what it is told, and nothing may say otherwise", () => {
    const { metadata } = protectedResource({
      ...GOOD,
      scopes: ["a", "b"],
      name: "Notes",
      documentation: "https://api.example/docs",
      metadata: { resource: "x", resource_policy_uri: "https://api.example/policy" },
    });
    assert.deepEqual(metadata, {
      resource: "https://api.example/mcp",
      authorization_servers: ["https://login.example"],
      scopes_supported: ["a", "b"],
      bearer_methods_supported: ["header"],
      resource_name: "Notes",
      resource_documentation: "https://api.example/docs",
      resource_policy_uri: "https://api.example/policy",
    });
    assert.deepEqual(Object.keys(protectedResource(GOOD).metadata), [
      "resource",
      "authorization_servers",
      "bearer_methods_supported",
    ]);
  });

  const places: [string, string, readonly string[]][] = [
    ["https://api.example/mcp", `${WELL_KNOWN}/mcp`, [`${WELL_KNOWN}/mcp`, WELL_KNOWN]],
    ["https://api.example/a/b/", `${WELL_KNOWN}/a/b/`, [`${WELL_KNOWN}/a/b/`, WELL_KNOWN]],
    ["https://api.example", WELL_KNOWN, [WELL_KNOWN]],
    ["https://api.example/", WELL_KNOWN, [WELL_KNOWN]],
    ["https://api.example/mcp?t=1", `${WELL_KNOWN}/mcp?t=1`, [`${WELL_KNOWN}/mcp?t=1`]],
  ];
  for (const [resource, place, served] of places) {
    test(`[AUTH-4] ${resource} is described at ${place}`, async () => {
      const described = protectedResource({ ...GOOD, resource });
      assert.equal(described.metadataUrl, `https://api.example${place}`);
      assert.equal(described.challenge, `Bearer resource_metadata="https://api.example${place}"`);
      for (const path of served) {
        // What host the proxy in front leaves in the URL is nobody's business
        const response = described.respond(new Request(`http://10.0.0.7:8080${path}`));
        assert.equal(response?.status, 200);
        assert.equal(response.headers.get("content-type"), "application/json");
        assert.equal((await response.json()).resource, resource);
      }
      for (const path of ["/mcp", "/", `${WELL_KNOWN}/other`, `${WELL_KNOWN}x`, "/.well-known"]) {
        assert.equal(described.respond(new Request(`https://api.example${path}`)), undefined);
      }
    });
  }

  test("[GATE-13] clients that add a slash to the path, or leave one out, find it", () => {
    for (const resource of ["https://api.example/mcp", "https://api.example/mcp/"]) {
      const described = protectedResource({ ...GOOD, resource });
      for (const path of [`${WELL_KNOWN}/mcp`, `${WELL_KNOWN}/mcp/`, `${WELL_KNOWN}/`]) {
        assert.equal(described.respond(new Request(`https://api.example${path}`))?.status, 200);
      }
    }
  });

  test("[AUTH-4] every page may read it, also with headers that make browsers ask", async () => {
    const described = protectedResource(GOOD);
    const send = (method: string, headers: Record<string, string> = {}) => {
      return described.respond(new Request(described.metadataUrl, { method, headers }));
    };
    for (const method of ["GET", "HEAD"]) {
      const response = send(method, { origin: "https://evil.example" });
      assert.equal(response?.status, 200);
      assert.equal(response.headers.get("access-control-allow-origin"), "*");
      assert.equal((await response.text()) === "", method === "HEAD");
    }
    const preflight = send("OPTIONS", {
      "origin": "https://inspector.example",
      "access-control-request-method": "GET",
      "access-control-request-headers": "mcp-protocol-version",
    });
    assert.equal(preflight?.status, 204);
    assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
    assert.equal(preflight.headers.get("access-control-allow-headers"), "mcp-protocol-version");
    for (const method of ["POST", "PUT", "DELETE"]) {
      const response = send(method);
      assert.equal(response?.status, 405);
      assert.equal(response.headers.get("allow"), "GET, HEAD, OPTIONS");
    }
  });

  const misuse: [string, Record<string, unknown>][] = [
    ["no resource", { resource: undefined }],
    ["a name as resource", { resource: "api.example" }],
    ["a fragment", { resource: "https://api.example/mcp#x" }],
    ["an empty fragment", { resource: "https://api.example/mcp#" }],
    ["another scheme", { resource: "urn:x" }],
    ["no authorization server", { authorizationServers: [] }],
    ["a name as authorization server", { authorizationServers: ["login"] }],
    ["a scope with a space", { scopes: ["a b"] }],
    ["a text of scopes", { scopes: "a b" }],
    ["an empty name", { name: "" }],
  ];
  for (const [name, options] of misuse) {
    test(`[AUTH-4] ${name} is misuse`, () => {
      // The point is what happens when the type is not kept
      const wrong = { ...GOOD, ...options } as unknown as ProtectedResourceOptions;
      assert.throws(() => protectedResource(wrong), TypeError);
    });
  }
});
