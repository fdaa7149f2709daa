/**
 * Nodes in processes of their own, one of which is killed at each step of a renewal: nobody is logged out where
 * a protocol can guarantee that, and otherwise the user is asked once. The authorization server is
 * oidc-provider, which replaces each refresh token, and ends a login whose token is used twice.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../auth/authorization_server.ts";
import { Program } from "../cli/program.ts";
import { CLIENTS, freePort, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { as, Peer, textOf } from "../support/wire.ts";
import type { Control, MortalNodeInit, Step } from "./mortal_node.ts";
import { PageBrowser, startUpstream } from "./network.ts";

const MORTAL = fileURLToPath(new URL("./mortal_node.ts", import.meta.url));
/** The lifetime of access tokens, in seconds; the upstream itself never sees one expire. */
const TTL_S = 3_600;

/** The time after which they are over, in milliseconds. */
const OVER_MS = (TTL_S + 60) * 1000;

/** A running node, and a client of it. */
class Node {
  readonly program: Program;
  #origin = "";
  #peer: Peer | undefined;

  constructor(init: MortalNodeInit) {
    this.program = new Program([JSON.stringify(init)], {}, MORTAL);
  }

  /** Controls it. Returns how far its clock is ahead, in milliseconds. */
  async control(control: Control): Promise<number> {
    const response = await fetch(`${await this.origin()}/control`, {
      method: "POST",
      body: JSON.stringify(control),
    });
    return (await response.json()).aheadMs;
  }

  async origin(): Promise<string> {
    if (this.#origin === "") [this.#origin] = await this.program.until(/http:\/\/127[^\s]*/);
    return this.#origin;
  }

  /** Calls the tool of the upstream. */
  async call(id: number): Promise<Response> {
    const origin = await this.origin();
    if (this.#peer === undefined) {
      this.#peer = new Peer(
        async (request) => {
          const response = await fetch(new Request(`${origin}/mcp`, request));
          return response.status === 202 ? new Response(null, { status: 202 }) : response;
        },
        { headers: as("ada"), capabilities: { elicitation: { url: {} } }, patienceMs: 30_000 },
      );
      await this.#peer.initialize();
    }
    return await this.#peer.call(id, "notes__who");
  }

  /** Returns what a call says, or the link that it asks to open. */
  async said(id: number): Promise<string> {
    const response = await this.call(id);
    const text = await response.clone().text();
    const [link] = /http:\/\/127[^"\\]*\/accounts\/connect\?ask=[\w.-]+/.exec(text) ?? [];
    if (link !== undefined) return link;
    assert.ok(this.#peer);
    return String(textOf(await this.#peer.result(response)));
  }

  async kill(): Promise<void> {
    this.program.signal("SIGKILL");
    await this.program.ended;
  }
}

/** An upstream, its authorization server, and what nodes are started with. */
interface Site {
  readonly provider: AuthorizationServer;
  readonly node: MortalNodeInit;
  close(): Promise<void>;
}

async function startSite(store: MortalNodeInit["store"]): Promise<Site> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const redirectUris = [`${url}/accounts/callback`];
  const options = { scope: "read", format: "jwt", ttlS: TTL_S, redirectUris } as const;
  const provider = await startAuthorizationServer(options);
  const upstream = await startUpstream(provider);
  return {
    provider,
    node: { url, port, store, upstream: upstream.resource, aheadMs: 0 },
    async close() {
      await upstream.close();
      await provider.close();
    },
  };
}

/** Returns what a call at a node says, while the time passes that others may hold the lock. */
async function patient(node: Node, id: number): Promise<string> {
  let isDone = false;
  const saying = node.said(id).finally(() => isDone = true);
  saying.catch(() => {});
  while (!isDone) {
    await sleep(100);
    if (!isDone) await node.control({ advanceMs: 16_000 });
  }
  return await saying;
}

async function formOf(incoming: IncomingMessage): Promise<URLSearchParams> {
  let text = "";
  for await (const piece of incoming.setEncoding("utf8")) text += piece;
  return new URLSearchParams(text);
}

/** Where a node is killed. */
interface Kill {
  /** The step at which it kills itself. */
  readonly dieAt?: Step;
  /** When the server kills it: with its request there, or with tokens issued that aren't sent. */
  readonly at?: "request" | "grant";
  /** Whether the server answers a refresh token again that it has just replaced, as many do for some seconds. */
  readonly hasGrace?: boolean;
}

/** What becomes of the user: how often the server issues tokens from the kill to the next result. */
type Outcome = { readonly grants: number } | "asked once";

const KILLS: readonly (readonly [string, Kill, Outcome])[] = [
  ["before it takes the lock", { dieAt: "before it takes the lock" }, { grants: 1 }],
  ["after it has taken the lock", { dieAt: "after it has taken the lock" }, { grants: 1 }],
  ["while its request is at the server", { at: "request" }, { grants: 1 }],
  // The server has replaced the refresh token, and nobody has the new one
  ["when the server has renewed, and not answered", { at: "grant" }, "asked once"],
  ["when the server has renewed, with grace", { at: "grant", hasGrace: true }, { grants: 1 }],
  ["before the tokens are stored", { dieAt: "before the tokens are stored" }, "asked once"],
  ["after the tokens are stored", { dieAt: "after the tokens are stored" }, { grants: 1 }],
];

/** Those of them after which a node with a file is started again. */
const RESTARTS = new Set([
  "after it has taken the lock",
  "when the server has renewed, with grace",
]);

/** Lets a server kill a node, or answer a refresh token again. */
function intercept(provider: AuthorizationServer, victim: Node, { at, hasGrace }: Kill): void {
  let kept: string | undefined;
  provider.onGrant = () => {
    if (at === "grant") victim.program.signal("SIGKILL");
    delete provider.onGrant;
  };
  provider.intercept = async (incoming, outgoing) => {
    if (incoming.url !== "/token") return false;
    if (at === "request") {
      victim.program.signal("SIGKILL");
      delete provider.intercept;
      outgoing.destroy();
      return true;
    }
    if (hasGrace !== true) return false;
    if (kept === undefined) {
      const end = outgoing.end.bind(outgoing);
      outgoing.end = ((body: unknown) => {
        kept = String(body);
        return end(kept);
      }) as ServerResponse["end"];
      return false;
    }
    const form = await formOf(incoming);
    assert.equal(form.get("refresh_token"), provider.grants.at(-1)?.refresh_token);
    outgoing.writeHead(200, { "content-type": "application/json" }).end(kept);
    delete provider.intercept;
    return true;
  };
}

/** Kills a node, and checks what becomes of its user at another one. */
async function check(
  { provider }: Site,
  victim: Node,
  survivor: () => Promise<Node>,
  kill: Kill,
  outcome: Outcome,
): Promise<void> {
  const before = { grants: provider.grants.length, logins: provider.authorizations.length };
  await victim.control({ ...kill.dieAt !== undefined && { dieAt: kill.dieAt } });
  intercept(provider, victim, kill);
  await assert.rejects(victim.call(100));
  assert.equal(await victim.program.ended, "SIGKILL", victim.program.err);
  const other = await survivor();
  const first = await patient(other, 200);
  delete provider.intercept;
  delete provider.onGrant;
  if (outcome === "asked once") {
    assert.match(first, /\/accounts\/connect/, other.program.err);
    // The same link for each call, until the user has signed in
    assert.equal(await patient(other, 201), first);
    assert.match(await new PageBrowser().connect(first), /Your account is connected/);
  } else {
    assert.equal(first, `ada at ${provider.issuer}`, other.program.err);
    assert.equal(provider.grants.length - before.grants, outcome.grants);
  }
  const logins = outcome === "asked once" ? 1 : 0;
  assert.equal(provider.authorizations.length - before.logins, logins);
  assert.equal(await patient(other, 202), `ada at ${provider.issuer}`);
}

async function connectFirst(node: Node, { issuer }: AuthorizationServer): Promise<void> {
  const link = await node.said(1);
  assert.match(await new PageBrowser().connect(link), /Your account is connected/);
  assert.equal(await node.said(2), `ada at ${issuer}`);
}

/** Nodes that share a Redis: one that is never killed, and one for each test. */
interface RedisSite extends Site {
  readonly survivor: Node;
}

let redis: RedisSite | undefined;

async function startRedisSite(): Promise<RedisSite> {
  const prefix = uniquePrefix();
  const server = await useServer();
  const site = await startSite({ redis: server.url, prefix });
  const survivor = new Node(site.node);
  await connectFirst(survivor, site.provider);
  return {
    ...site,
    survivor,
    async close() {
      await survivor.kill();
      await site.close();
      const [kind] = CLIENTS;
      assert.ok(kind);
      const connection = await kind.connect(server.url);
      const found = await connection.send("KEYS", `${prefix}*`) as string[];
      for (const key of found) await connection.send("DEL", key);
      await connection.close();
      await server.stop();
    },
  };
}

after(() => redis?.close());

for (const [name, kill, outcome] of KILLS) {
  test(`[UPA-24, UPA-73] with Redis, a node is killed ${name}`, { skip: noRedis }, async () => {
    redis ??= await startRedisSite();
    const { survivor, node } = redis;
    const aheadMs = await survivor.control({ advanceMs: OVER_MS });
    const victim = new Node({ ...node, port: 0, aheadMs });
    try {
      await check(redis, victim, async () => survivor, kill, outcome);
    } finally {
      await victim.kill();
    }
  });
}

for (const [name, kill, outcome] of KILLS.filter(([name]) => RESTARTS.has(name))) {
  test(`[UPA-24, UPA-73] with SQLite, a node is killed ${name}, and started again`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "accounts-kill-"));
    const site = await startSite({ file: join(folder, "store.db") });
    const nodes = [new Node(site.node)];
    try {
      const [victim] = nodes;
      assert.ok(victim);
      await connectFirst(victim, site.provider);
      const aheadMs = await victim.control({ advanceMs: OVER_MS });
      const again = async () => {
        const node = new Node({ ...site.node, aheadMs });
        nodes.push(node);
        return node;
      };
      await check(site, victim, again, kill, outcome);
    } finally {
      await Promise.all(nodes.map((node) => node.kill()));
      await site.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
}
