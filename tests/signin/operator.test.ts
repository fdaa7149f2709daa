/**
 * What operators see of grants and end of them, and that what a grant has opened ends with it, at every node.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { TopClient, topTarget } from "../../src/cli/top/client.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { settingsOf } from "../../src/cli/config/settings.ts";
import { backend } from "../../src/cli/serve/backend.ts";
import { CommandServer } from "../../src/cli/serve/server.ts";
import { openStores } from "../../src/cli/serve/stores.ts";
import { audit as auditTrail } from "../../src/audit/mod.ts";
import type { GrantSource, ListedGrant } from "../../src/dashboard/mod.ts";
import { startAuthorizationServer } from "../auth/authorization_server.ts";
import { counter } from "../cli/program.ts";
import {
  actOnRow,
  noBrowser,
  openDashboard,
  selectTab,
  startBrowser,
} from "../dashboard/browser.ts";
import { startNode } from "../dashboard/endpoint.ts";
import { freePort, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { soon } from "../support/wire.ts";
import { CLIENTS, Kept, signInWith } from "./official_clients.ts";

const v2 = CLIENTS["v2"] ?? assert.fail();

/** One node of a cluster that users sign in to. */
interface ServedNode {
  readonly origin: string;
  readonly server: CommandServer;
  readonly events: string[];
}

/** Starts nodes of one cluster, with one issuer, for as long as `use` takes. */
async function servingCluster(
  more: object,
  use: (nodes: readonly [ServedNode, ServedNode], audit: () => string) => Promise<void>,
): Promise<void> {
  const redis = await useServer();
  const [first, second] = [await freePort(), await freePort()];
  const issuer = `http://127.0.0.1:${first}`;
  const provider = await startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: [`${issuer}/signin/callback`],
  });
  let recorded = "";
  const trail = auditTrail({ write: (lines) => void (recorded += lines) });
  const prefix = uniquePrefix();
  const nodes: ServedNode[] = [];
  try {
    for (const port of [first, second]) {
      const text = JSON.stringify({
        mcpServers: { one: counter("one") },
        publicUrl: issuer,
        port,
        redis: { url: redis.url, prefix },
        secret: "the secret of all nodes in the tests",
        signIn: {
          provider: { type: "oidc", issuer: provider.issuer, clientId: "editor", scopes: [] },
          allowInsecure: true,
        },
        ...more,
      });
      const { config } = parseConfig({ file: "m.json", text, env: {} });
      const events: string[] = [];
      const log = (_level: string, event: string, fields = {}) =>
        void events.push(`${event} ${JSON.stringify(fields)}`);
      const server = await CommandServer.start({
        settings: settingsOf({ config, alone: undefined, noAuth: false }),
        backend,
        stores: await openStores(config, log),
        log,
        audit: trail,
      });
      nodes.push({ origin: `http://127.0.0.1:${port}`, server, events });
    }
    const [north, south] = nodes;
    assert.ok(north !== undefined && south !== undefined);
    await use([north, south], () => recorded);
  } finally {
    for (const { server } of nodes) await server.close();
    await trail.close();
    await provider.close();
    await redis.stop();
  }
}

/** Opens a session with a stream at a node. Returns its id, and a promise of the stream's end. */
async function openSession(
  url: URL,
  token: string,
): Promise<{ readonly id: string; readonly ended: Promise<string> }> {
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
  };
  const opened = await fetch(url, {
    method: "POST",
    headers,
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "initialize",
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "test", version: "1.0.0" },
      },
    }),
  });
  assert.equal(opened.status, 200, await opened.text());
  const id = opened.headers.get("mcp-session-id") ?? assert.fail();
  const stream = await fetch(url, {
    headers: { ...headers, accept: "text/event-stream", "mcp-session-id": id },
  });
  assert.equal(stream.status, 200);
  return { id, ended: stream.text() };
}

/** Opens a subscription of the 2026 era at a node. Returns it with a promise of its end. */
async function openListen(
  url: URL,
  token: string,
): Promise<{ readonly ended: Promise<string> }> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "subscriptions/listen",
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "subscriptions/listen",
      params: {
        notifications: { toolsListChanged: true },
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
  assert.equal(response.status, 200);
  return { ended: response.text() };
}

/** Signs a client in at a node, and returns its tokens. */
async function tokensAt(url: URL): Promise<{ access_token: string; client_id: string } & object> {
  const kept = new Kept();
  const client = v2(url, kept);
  await signInWith(client, kept);
  await client.close();
  const { client_id } = kept.client as { readonly client_id: string };
  return { ...kept.kept as { readonly access_token: string }, client_id };
}

describe("grants", { skip: noRedis }, () => {
  test("[FRONT-24] an operator at one node sees a grant and ends it: sessions, streams and subscriptions of all nodes end", () =>
    servingCluster({ dashboard: { port: 0 } }, async ([north, south], recorded) => {
      const { access_token: token } = await tokensAt(new URL("/mcp", north.origin));
      const other = await tokensAt(new URL("/servers/one", north.origin));
      const session = await openSession(new URL("/mcp", south.origin), token);
      const listen = await openListen(new URL("/mcp", south.origin), token);
      const kept = await openSession(new URL("/servers/one", south.origin), other.access_token);
      const link = north.server.dashboard?.link() ?? assert.fail();
      const top = await TopClient.signIn(topTarget(link, undefined));
      const { grants } = await top.snapshot();
      assert.equal(grants.length, 2);
      const grant = grants.find(({ resource }) => resource.endsWith("/mcp")) ?? assert.fail();
      assert.equal(grant.principal, "ada");
      assert.equal(grant.client, "Official");
      assert.equal(grant.clientKind, "registered");
      assert.equal(grant.scopes, "mcp");
      assert.ok(grant.since > 0 && grant.usedAt >= grant.since);
      const result = await top.act({ act: "end-grant", grant: grant.grant });
      assert.deepEqual([result.ok, result.count], [true, 1], result.message);
      await soon(session.ended, "the session's stream at the other node");
      await soon(listen.ended, "the subscription at the other node");
      for (const { origin } of [north, south]) {
        const response = await fetch(new URL("/mcp", origin), {
          method: "DELETE",
          headers: { authorization: `Bearer ${token}`, "mcp-session-id": session.id },
        });
        await response.body?.cancel();
        assert.ok([401, 404].includes(response.status), String(response.status));
      }
      const again = await top.act({ act: "end-grant", grant: grant.grant });
      assert.equal(again.ok, false);
      // All of the user: also what is at another URL.
      const all = await top.act({
        act: "end-grants",
        principal: grant.principal,
        issuer: grant.issuer,
      });
      assert.deepEqual([all.ok, all.count], [true, 1], all.message);
      await soon(kept.ended, "the other session's stream");
      assert.deepEqual((await top.snapshot()).grants, []);
      const acts = recorded().split("\n").filter((line) => line.includes('"operator"'))
        .map((line) => JSON.parse(line)).filter(({ act }) => act === "operator");
      assert.deepEqual(acts.map(({ action, detail }) => [action, detail.outcome]), [
        ["end-grant", "done"],
        ["end-grant", "failed"],
        ["end-grants", "done"],
      ]);
      assert.ok(acts.every(({ operator }) => typeof operator === "string"));
    }));

  test("[FRONT-25] a grant that a client revokes ends its sessions and streams at every node, without a dashboard", () =>
    servingCluster({}, async ([north, south]) => {
      const tokens = await tokensAt(new URL("/servers/one", north.origin));
      const at = new URL("/servers/one", south.origin);
      const session = await openSession(at, tokens.access_token);
      const response = await fetch(new URL("/revoke", north.origin), {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams({ token: tokens.access_token, client_id: tokens.client_id }),
      });
      assert.equal(response.status, 200, await response.text());
      await soon(session.ended, "the stream at the other node");
      assert.ok(north.events.some((event) => /^sign-in .*"step":"grant".*"revoked"/.test(event)));
    }));
});

/** Grants that a test holds. */
class HeldGrants implements GrantSource {
  held: ListedGrant[];

  constructor(names: readonly string[]) {
    this.held = names.map((name, at) => ({
      id: `grant-${at}`,
      user: { id: name, issuer: "https://login.example", name: `${name}@example.com` },
      client: { id: `client-${at}`, kind: "registered", name: `Editor ${at}` },
      scopes: ["notes:read", "notes:write"],
      resource: "https://mcp.example/mcp",
      since: Date.now() - 3_600_000,
      lastUsed: Date.now() - 60_000,
    }));
  }

  list() {
    return Promise.resolve({ grants: this.held });
  }
  end(id: string) {
    const left = this.held.filter((grant) => grant.id !== id);
    const ended = left.length < this.held.length;
    this.held = left;
    return Promise.resolve(ended);
  }
  endUser({ id }: { readonly id: string }) {
    const left = this.held.filter(({ user }) => user.id !== id);
    const ended = this.held.length - left.length;
    this.held = left;
    return Promise.resolve(ended);
  }
}

describe("grants on the page", { skip: noBrowser }, () => {
  let browser: Browser;
  before(async () => {
    if (noBrowser === false) browser = await startBrowser();
  });
  after(async () => {
    await browser?.close();
  });

  test("[FRONT-24] the page lists them, and ends one, or all of a user", async () => {
    const grants = new HeldGrants(["ada", "ada", "ada", "eve"]);
    const node = await startNode("north", undefined, { grants, updateMs: 50 });
    const { page, errors } = await openDashboard(browser, node);
    await selectTab(page, "grants");
    const row = page.locator("main tbody tr");
    await row.nth(3).waitFor();
    assert.match(
      await row.filter({ hasText: "Editor 1" }).innerText(),
      /ada@example\.com.*not verified/s,
    );
    await actOnRow(page, "Editor 1", "End");
    await row.filter({ hasText: "Editor 1" }).waitFor({ state: "detached" });
    assert.deepEqual(grants.held.map(({ id }) => id), ["grant-0", "grant-2", "grant-3"]);
    await actOnRow(page, "Editor 0", "End all of user");
    await row.filter({ hasText: "ada" }).first().waitFor({ state: "detached" });
    assert.deepEqual(grants.held.map(({ id }) => id), ["grant-3"]);
    assert.deepEqual(node.acts.map(({ act, outcome }) => [act, outcome]), [
      ["end-grant", "done"],
      ["end-grants", "done"],
    ]);
    assert.deepEqual(errors, []);
    await page.context().close();
    await node.close();
  });

  test("[FRONT-24] without sign-in there is no such table", async () => {
    const node = await startNode("north");
    const { page } = await openDashboard(browser, node);
    assert.equal(await page.locator("#tab-grants").count(), 0);
    const refused = await node.dashboard.act({ act: "end-grant", grant: "x" }, "ada");
    assert.match(refused.message, /"grants"/);
    await page.context().close();
    await node.close();
  });
});
