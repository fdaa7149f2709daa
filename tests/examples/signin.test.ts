import { test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import { startAuthorizationServer } from "../auth/authorization_server.ts";

test("[FRONT-2] examples/signin.ts registers a client, and sends its user to the provider", async () => {
  const provider = await startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: ["http://localhost:8000/signin/callback"],
  });
  process.env["PROVIDER"] = provider.issuer;
  process.env["CLIENT_ID"] = "editor";
  try {
    const { default: { fetch } } = await import("../../examples/signin.ts");
    const at = (path: string, init?: RequestInit) =>
      fetch(new Request(`http://localhost:8000${path}`, init));
    const refused = await at("/mcp", {
      method: "POST",
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
    });
    assert.equal(refused.status, 401);
    assert.match(refused.headers.get("www-authenticate") ?? "", /oauth-protected-resource/);
    const redirect_uri = "http://127.0.0.1:9/callback";
    const registered = await at("/register", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ client_name: "Test", redirect_uris: [redirect_uri] }),
    });
    assert.equal(registered.status, 201);
    const query = new URLSearchParams({
      response_type: "code",
      client_id: (await registered.json()).client_id,
      redirect_uri,
      code_challenge: "c".repeat(43),
      code_challenge_method: "S256",
    });
    const sent = await at(`/authorize?${query}`);
    assert.equal(sent.status, 302, await sent.clone().text());
    assert.equal(new URL(sent.headers.get("location") ?? "").origin, provider.issuer);
  } finally {
    delete process.env["PROVIDER"];
    delete process.env["CLIENT_ID"];
    await provider.close();
  }
});
