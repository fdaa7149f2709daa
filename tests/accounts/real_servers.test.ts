/**
 * Two users, three nodes on one Redis, the official clients, and three upstreams with three authorization
 * servers: two oidc-providers, and one that misbehaves.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import {
  Client,
  StreamableHTTPClientTransport,
  UrlElicitationRequiredError,
} from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client";
// The package maps the types of such paths to files that don't exist.
// @ts-types="@modelcontextprotocol/sdk/client/streamableHttp"
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { createMcpHandler, type McpHandler } from "../../mod.ts";
import { type AccountEvent, type Accounts, accounts } from "../../src/accounts/mod.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import {
  type AuthorizationServer,
  CLIENT,
  startAuthorizationServer,
} from "../auth/authorization_server.ts";
import { FakeClock } from "../support/clock.ts";
import { CLIENTS, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { as, byToken } from "../support/wire.ts";
import { PageBrowser, startUpstream } from "./network.ts";
import { type Faults, GATEWAY, KEYS, Service } from "./world.ts";

const USERS = ["ada", "bob"] as const;
/** The minutes of the test with tokens of one minute. */
const MINUTES = process.env["MOORING_LONG"] === "1" ? 24 * 60 : 30;
/** The lifetime of the tokens of oidc-provider, in seconds. */
const TTL_S = 60;

type OpenLink = (url: string) => Promise<void>;

/** A client that opens the links that it is asked to open. */
interface LinkClient {
  call(tool: string): Promise<string>;
  close(): Promise<void>;
}

type Connect = (handler: McpHandler, user: string, open: OpenLink) => Promise<LinkClient>;

const ENDPOINT = new URL("/mcp", GATEWAY);
const INFO = { name: "official", version: "1.0.0" };
const CAPABILITIES = { elicitation: { form: {}, url: {} } };

function transportInit(handler: McpHandler, user: string) {
  const send = (url: string | URL, init?: RequestInit) => handler(new Request(url, init));
  return { requestInit: { headers: as(user) }, fetch: send };
}

function textOf(result: unknown): string {
  const { content } = result as { readonly content: readonly { readonly text?: string }[] };
  return String(content[0]?.text);
}

/** The most links that a client opens for a call. */
const MOST_LINKS = 2;

/** Calls a tool, and once more after each link of an error. */
async function linked(
  call: () => Promise<unknown>,
  linksOf: (error: unknown) => readonly string[],
  open: OpenLink,
): Promise<string> {
  for (let turns = 0;; turns++) {
    try {
      return textOf(await call());
    } catch (error) {
      const links = linksOf(error);
      if (links.length === 0 || turns >= MOST_LINKS) throw error;
      for (const link of links) await open(link);
    }
  }
}

function v2(mode: "legacy" | { readonly pin: string }): Connect {
  return async (handler, user, open) => {
    const client = new Client(INFO, { capabilities: CAPABILITIES, versionNegotiation: { mode } });
    client.setRequestHandler("elicitation/create", async ({ params }) => {
      assert.equal(params.mode, "url");
      if (params.mode === "url") await open(params.url);
      return { action: "accept" };
    });
    await client.connect(new StreamableHTTPClientTransport(ENDPOINT, transportInit(handler, user)));
    const linksOf = (error: unknown) =>
      error instanceof UrlElicitationRequiredError ? error.elicitations.map(({ url }) => url) : [];
    return {
      call: (name) => linked(() => client.callTool({ name }), linksOf, open),
      close: () => client.close(),
    };
  };
}

const OFFICIAL: Readonly<Record<string, Connect>> = {
  async "v1"(handler, user, open) {
    const client = new ClientV1(INFO, { capabilities: CAPABILITIES });
    await client.connect(new TransportV1(ENDPOINT, transportInit(handler, user)) as never);
    const linksOf = (error: unknown) => {
      const { code, data } = error as {
        readonly code?: unknown;
        readonly data?: { readonly elicitations: readonly { readonly url: string }[] };
      };
      return code === -32042 ? data?.elicitations.map(({ url }) => url) ?? [] : [];
    };
    return {
      call: (name) => linked(() => client.callTool({ name }), linksOf, open),
      close: () => client.close(),
    };
  },
  "v2": v2("legacy"),
  "v2 in 2026-07-28": v2({ pin: "2026-07-28" }),
};

/** A node. */
interface Node {
  readonly own: Accounts;
  readonly handler: McpHandler;
}

/** Everything that a test needs. */
interface Site {
  readonly notes: AuthorizationServer;
  readonly mail: AuthorizationServer;
  readonly odd: Service;
  readonly nodes: readonly Node[];
  readonly events: AccountEvent[];
  /** A client of a user at a node. */
  client(kind: string, user: string, node: number): Promise<LinkClient>;
  /** What a user of an upstream is called there. */
  who(user: string, upstream: string): string;
}

async function withSite(act: (site: Site) => Promise<void>): Promise<void> {
  const closing: (() => Promise<unknown> | unknown)[] = [];
  const later = <T>(it: T, close: (it: T) => Promise<unknown> | unknown): T => {
    closing.unshift(() => close(it));
    return it;
  };
  try {
    const provide = async () => {
      const redirectUris = [`${GATEWAY}/accounts/callback`];
      const options = { scope: "read", format: "jwt", ttlS: TTL_S, redirectUris } as const;
      return later(await startAuthorizationServer(options), (it) => it.close());
    };
    const [notes, mail] = [await provide(), await provide()];
    const clock = new FakeClock();
    const odd = later(new Service("odd", clock), (it) => it.close());
    const urls = {
      notes: later(await startUpstream(notes), (it) => it.close()).resource,
      mail: later(await startUpstream(mail), (it) => it.close()).resource,
      odd: odd.url,
    };
    const send = async (url: URL, init: RequestInit = {}) =>
      url.hostname.endsWith("odd.example")
        ? await odd.fetch(url, init) ?? Response.error()
        : await fetch(url, init);
    const server = later(await useServer(), (it) => it.stop());
    const prefix = uniquePrefix();
    const [kind] = CLIENTS;
    assert.ok(kind);
    const events: AccountEvent[] = [];
    const nodes: Node[] = [];
    for (let node = 0; node < 3; node++) {
      const connection = later(await kind.connect(server.url), (it) => it.close());
      if (node === 0) {
        closing.unshift(async () => {
          const found = await connection.send("KEYS", `${prefix}*`) as string[];
          for (const key of found) await connection.send("DEL", key);
        });
      }
      const store = redisStore({ client: connection.client, prefix });
      const own = later(
        accounts({
          url: GATEWAY,
          browser: (request) => ({ id: request.headers.get("x-user") ?? "" }),
          ...{ store, keys: KEYS, allowInsecure: true, fetch: send },
          onEvent: (event) => events.push(event),
        }),
        (it) => it.close(),
      );
      const auth = own.auth({ clientId: CLIENT.client_id });
      const gw = later(
        gateway({
          upstreams: {
            notes: http({ url: urls.notes, auth }),
            mail: http({ url: urls.mail, auth }),
            odd: http({ url: urls.odd, auth, fetch: (url, init) => send(new URL(url), init) }),
          },
          listCacheMs: 0,
        }),
        (it) => it.close(),
      );
      const handler = later(
        createMcpHandler(gw, {
          path: "/mcp",
          ...{ authenticate: byToken, store, cluster: { keys: KEYS } },
          requests: { stateKeys: KEYS },
        }),
        (it) => it.close({ graceMs: 0 }),
      );
      nodes.push({ own, handler });
    }
    let turn = 0;
    const browse = (user: string): OpenLink => async (link) => {
      const browser = new PageBrowser(user, async (url, init) => {
        if (url.origin === GATEWAY) {
          // Each page at another node
          const { own } = nodes[turn++ % 3] ?? {};
          const answer = await own?.routes(new Request(url, init));
          assert.ok(answer, url.href);
          return answer;
        }
        if (url.origin !== odd.issuer) return await fetch(url, init);
        return Response.redirect(odd.authorize(url, user).href);
      });
      await browser.connect(link);
    };
    await act({
      ...{ notes, mail, odd, nodes, events },
      async client(kind, user, node) {
        const { handler } = nodes[node] ?? {};
        const connect = OFFICIAL[kind];
        assert.ok(handler && connect);
        return later(await connect(handler, user, browse(user)), (it) => it.close());
      },
      who: (user, upstream) =>
        upstream === "odd"
          ? `${user}@odd`
          : `${user} at ${upstream === "notes" ? notes.issuer : mail.issuer}`,
    });
  } finally {
    for (const close of closing) await close();
  }
}

/** What the third server does wrong, one after the other, and the reason of the event. */
const WRONGS: readonly (readonly [Faults, string])[] = [
  [{ metadata: { issuer: "https://login.example" } }, "foreign-issuer"],
  [{ metadata: { token_endpoint: "http://169.254.169.254/token" } }, "unsafe-address"],
  [{ iss: "https://login.example" }, "invalid-answer"],
  [{ audience: "https://bank.example/" }, "foreign-audience"],
  [{ token: () => Response.json({ error: "server_error" }, { status: 500 }) }, "invalid-answer"],
];

test("[UPA-74] each call has its own user's token, at three servers of which one misbehaves", {
  skip: noRedis,
}, async () => {
  await withSite(async (site) => {
    const { odd, notes, mail, events, who } = site;
    const kinds = Object.keys(OFFICIAL);
    const all: { readonly user: string; readonly client: LinkClient }[] = [];
    // Each user at each node, each time with another client
    for (const [at, user] of USERS.entries()) {
      for (const node of [0, 1, 2]) {
        const client = await site.client(kinds[(node + at) % 3] ?? "", user, node);
        all.push({ user, client });
      }
    }
    for (const [at, { user, client }] of all.entries()) {
      const upstream = ["notes", "mail"][at % 3];
      if (upstream === undefined) continue;
      assert.equal(await client.call(`${upstream}__who`), who(user, upstream));
    }
    // Whatever the third server does, nobody is connected there, and the others go on
    for (const [turn, [faults, reason]] of WRONGS.entries()) {
      Object.assign(odd.faults, faults);
      const { user, client } = all[turn % all.length] ?? {};
      assert.ok(user !== undefined && client !== undefined);
      const before = events.length;
      assert.notEqual(await client.call("odd__who").catch(String), who(user, "odd"));
      const reasons = events.slice(before).map((event) => event.reason);
      assert.ok(reasons.includes(reason), `${reason}: ${reasons}`);
      for (const name of Object.keys(faults)) delete odd.faults[name as keyof Faults];
      assert.equal(await client.call("notes__who"), who(user, "notes"));
    }
    for (const { user, client } of all) {
      assert.equal(await client.call("odd__who"), who(user, "odd"));
    }
    odd.calls.length = 0;
    // All at the same time, in turns
    await Promise.all(
      all.flatMap(({ user, client }) =>
        ["notes", "mail", "odd"].map(async (upstream) =>
          assert.equal(await client.call(`${upstream}__who`), who(user, upstream))
        )
      ),
    );
    assert.deepEqual([...new Set(odd.calls)].sort(), ["ada@odd who", "bob@odd who"]);
    for (const { authorizations } of [notes, mail]) assert.equal(authorizations.length, 2);
    const { accounts: list } = await (site.nodes[0]?.own.list() ?? Promise.reject());
    assert.equal(list.length, 6);
  });
});

/** Moves the time of this process on, for its servers and its nodes. */
class ProcessTime {
  readonly #now = Date.now;
  #aheadMs = 0;

  constructor() {
    Date.now = () => this.#now() + this.#aheadMs;
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
  }

  restore(): void {
    Date.now = this.#now;
  }
}

test(
  `[UPA-26, UPA-75] ${MINUTES} minutes with tokens of one minute at two oidc-providers need one login`,
  { skip: noRedis },
  async () => {
    const time = new ProcessTime();
    try {
      await withSite(async ({ notes, mail, client, who }) => {
        const clients = await Promise.all(
          [0, 1, 2].map((node) =>
            Promise.all(USERS.map(async (user) => {
              return { user, client: await client("v2 in 2026-07-28", user, node) };
            }))
          ),
        );
        const upstreams = ["notes", "mail"] as const;
        const calls = async (node: number): Promise<void> => {
          await Promise.all(
            (clients[node] ?? []).flatMap(({ user, client }) =>
              upstreams.map(async (upstream) =>
                assert.equal(await client.call(`${upstream}__who`), who(user, upstream))
              )
            ),
          );
        };
        await calls(0);
        for (let minute = 0; minute < MINUTES; minute++) {
          time.advance(TTL_S * 1000);
          await calls(minute % 3);
        }
        for (const { authorizations, grants } of [notes, mail]) {
          assert.equal(authorizations.length, USERS.length);
          const refreshes = grants.filter(({ grant_type: type }) => type === "refresh_token");
          assert.equal(refreshes.length, USERS.length * MINUTES);
          const used = new Set(refreshes.map(({ refresh_token: token }) => token));
          assert.equal(used.size, refreshes.length);
        }
      });
    } finally {
      time.restore();
    }
  },
);
