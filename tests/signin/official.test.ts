/**
 * The official clients sign in over HTTP: they find the server, register, and call; their user logs in at a
 * certified OpenID provider.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CLIENTS, Kept, signInWith } from "./official_clients.ts";
import { withSite } from "./site.ts";

describe("official clients", () => {
  for (const [name, make] of Object.entries(CLIENTS)) {
    test(`[FRONT-2] ${name} signs in with a certified OpenID provider, calls and refreshes`, () =>
      withSite(async ({ url, events }) => {
        const kept = new Kept();
        const client = make(url, kept);
        await signInWith(client, kept);
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        const before = kept.kept as { readonly refresh_token: string };
        // As after five minutes: the access token is refused, and the client refreshes by itself.
        kept.kept = { ...before, access_token: "expired" };
        await client.connect();
        assert.match(JSON.stringify(await client.call()), /"ada"/);
        await client.close();
        assert.ok(events.some(({ step, reason }) => step === "refresh" && reason === "issued"));
      }));
  }
});
