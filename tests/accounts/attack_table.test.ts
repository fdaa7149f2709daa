/**
 * The attack table: what strangers, other users, other nodes and servers try with links, states and answers.
 * Each row runs in both eras, and with each store where what is stored matters. That a DPoP proof works once
 * is shown by `DPOP-3` and `DPOP-6` in `tests/auth/dpop.test.ts`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { memoryStore, type Store } from "../../src/cluster/mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { questionsOf, stateOf } from "../support/modern.ts";
import { CLIENTS, noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { textOf } from "../support/wire.ts";
import { type Browser, type Faults, linkOf, type Service, World } from "./world.ts";

const ERAS = ["2025-11-25", "2026-07-28"] as const;
type Era = typeof ERAS[number];
const STORES = ["memory", "SQLite", "Redis"] as const;
type StoreKind = typeof STORES[number];

/** A call that was answered with a link. */
interface Asked {
  readonly url: string;
  /** Calls again after the sign-in. Returns the text of the result. */
  goOn(): Promise<unknown>;
  /** Ends the session of the call. */
  endSession(): Promise<void>;
}

/** Three nodes, the upstreams `notes` and `mail`, and what attacks are made of. */
class Arena {
  readonly world: World;
  readonly #era: Era;

  constructor(world: World, era: Era) {
    this.world = world;
    this.#era = era;
  }

  get notes(): Service {
    return this.world.service;
  }

  get mail(): Service {
    const [, mail] = this.world.services;
    assert.ok(mail);
    return mail;
  }

  async ask(user: string, tool = "notes__who", node = 0): Promise<Asked> {
    if (this.#era === "2025-11-25") {
      const peer = await this.world.peer(user, node);
      const { url } = await linkOf(peer, await peer.call(1, tool));
      return {
        url,
        goOn: async () => textOf(await peer.result(await peer.call(2, tool))),
        endSession: async () => void await peer.delete(),
      };
    }
    const peer = this.world.modern(user, node);
    const asked = await peer.say(tool);
    const again = {
      inputResponses: { mooring_sign_in: { action: "accept" } },
      requestState: stateOf(asked),
    };
    return {
      url: String(questionsOf(asked).mooring_sign_in?.params.url),
      goOn: async () => textOf(await peer.say(tool, {}, again)),
      endSession: () => assert.fail("There are no sessions"),
    };
  }

  /** Calls a tool without an answer to a question. Returns what came as it is. */
  async call(user: string, tool: string): Promise<string> {
    const response = this.#era === "2025-11-25"
      ? await (await this.world.peer(user)).call(1, tool)
      : await this.world.modern(user).call(tool);
    return await response.text();
  }

  browser(user: string): Browser {
    return this.world.browser(user);
  }

  /** Begins a login: returns where the server sends the browser after it. */
  async answered(browser: Browser, url: string, server = this.notes, node = 0): Promise<URL> {
    return server.authorize(await browser.begin(url, node), browser.user);
  }

  /** Checks that a page refuses, and why. */
  async refused(page: Promise<Response> | Response, reason: string): Promise<void> {
    const { status, headers } = await page;
    assert.ok(status >= 400, `${status}: ${this.world.reasons.join("\n")}`);
    assert.equal(headers.get("location"), null);
    assert.equal(this.world.events.at(-1)?.reason, reason);
  }

  /** Checks how many accounts there are. */
  async has(count: number): Promise<void> {
    assert.equal((await this.world.node().accounts.list()).accounts.length, count);
  }

  /** Waits until the store has no question. */
  async questionsGone(): Promise<void> {
    const records = this.world.store.records?.(this.world.clock);
    assert.ok(records);
    for (let tries = 0; tries < 5_000; tries++) {
      const { keys } = await records.list("");
      if (!keys.some((key) => key.includes(":ask:"))) return;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    assert.fail("A question of a session that has ended is left");
  }
}

interface Row {
  readonly name: string;
  readonly ids: string;
  /** The eras that have what the row is about. Both by default. */
  readonly eras?: readonly Era[];
  /** The stores that matter. All by default. */
  readonly stores?: readonly StoreKind[];
  act(arena: Arena): Promise<void>;
}

const ROWS: readonly Row[] = [
  {
    name: "another user opens the link, and posts its form",
    ids: "UPA-12",
    async act(arena) {
      const asked = await arena.ask("ada");
      const eve = arena.browser("eve");
      const [own, unknown] = [await eve.send(asked.url), await eve.send(`${asked.url}AAAA`)];
      assert.deepEqual([own.status, unknown.status], [400, 400]);
      const strip = (text: string) => text.replace(/nonce="[^"]*"/g, "");
      assert.equal(strip(await own.text()), strip(await unknown.text()));
      const ada = arena.browser("ada");
      const html = await (await ada.send(asked.url)).text();
      await arena.refused(eve.submit(html), "another-user");
      const { user, browserUser } = arena.world.events.at(-1) ?? {};
      assert.deepEqual([user, browserUser], ["ada", "eve"]);
      assert.equal(arena.notes.logins, 0);
      await arena.has(0);
      assert.equal((await ada.connect(asked.url)).status, 200);
      assert.equal(await asked.goOn(), "ada@notes");
    },
  },
  {
    name: "another user brings the answer, without and with the cookies of the browser",
    ids: "UPA-12, UPA-16",
    async act(arena) {
      const asked = await arena.ask("ada");
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, asked.url);
      const eve = arena.browser("eve");
      await arena.refused(eve.send(back), "another-browser");
      for (const [name, value] of ada.cookies) eve.cookies.set(name, value);
      await arena.refused(eve.send(back, {}, 1), "another-user");
      await arena.has(0);
      // It was not used up by that
      assert.equal((await ada.send(back)).status, 200);
      assert.equal(await asked.goOn(), "ada@notes");
    },
  },
  {
    name: "a link is continued twice, at several nodes at the same time",
    ids: "UPA-13",
    async act(arena) {
      const { url } = await arena.ask("ada");
      const ada = arena.browser("ada");
      const html = await (await ada.send(url)).text();
      const sent = await Promise.all([0, 1, 2, 0].map((node) => ada.submit(html, "connect", node)));
      assert.deepEqual(sent.map(({ status }) => status).sort(), [303, 400, 400, 400]);
      await arena.refused(ada.send(url, {}, 1), "used-before");
    },
  },
  {
    name: "an answer is used twice, at several nodes at the same time",
    ids: "UPA-13",
    async act(arena) {
      const asked = await arena.ask("ada");
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, asked.url);
      const sent = await Promise.all([0, 1, 2].map((node) => ada.send(back, {}, node)));
      assert.deepEqual(sent.map(({ status }) => status).sort(), [200, 400, 400]);
      assert.equal((await ada.send(back)).status, 400);
      assert.equal(await asked.goOn(), "ada@notes");
    },
  },
  {
    name: "a link and an answer come late",
    ids: "UPA-14",
    async act(arena) {
      const [first, second] = [await arena.ask("ada"), await arena.ask("ada")];
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, second.url);
      await arena.world.clock.advance(600_000);
      await arena.refused(ada.send(first.url), "unknown-or-late");
      assert.equal((await ada.send(back, {}, 1)).status, 400);
      await arena.has(0);
    },
  },
  {
    name: "link, login and answer reach three nodes",
    ids: "UPA-15",
    async act(arena) {
      const asked = await arena.ask("ada");
      const ada = arena.browser("ada");
      assert.equal((await ada.connect(asked.url, { node: 1, backAt: 2 })).status, 200);
      assert.equal(await asked.goOn(), "ada@notes");
    },
  },
  {
    name: "a link and an answer come after the session",
    ids: "UPA-14",
    // The calls of 2026-07-28 have none
    eras: ["2025-11-25"],
    async act(arena) {
      const [first, second] = [await arena.ask("ada"), await arena.ask("ada")];
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, second.url);
      await first.endSession();
      await second.endSession();
      await arena.questionsGone();
      await arena.refused(ada.send(first.url, {}, 1), "unknown-or-late");
      await arena.refused(ada.send(back, {}, 2), "session-ended-or-late");
      await arena.has(0);
    },
  },
  {
    name: "an attacker's answer comes in the victim's browser, and with the victim's state",
    ids: "UPA-16",
    async act(arena) {
      const [mallorys, adas] = [await arena.ask("mallory"), await arena.ask("ada")];
      const back = await arena.answered(arena.browser("mallory"), mallorys.url);
      const ada = arena.browser("ada");
      const begun = await ada.begin(adas.url);
      await arena.refused(ada.send(back), "another-browser");
      const mixed = new URL(back);
      mixed.searchParams.set("state", begun.searchParams.get("state") ?? "");
      // The code belongs to another verifier: the server refuses it
      await arena.refused(ada.send(mixed), "token-refused");
      await arena.has(0);
    },
  },
  {
    name: "states of two upstreams are swapped",
    ids: "UPA-16",
    async act(arena) {
      const [notes, mail] = [await arena.ask("ada"), await arena.ask("ada", "mail__who")];
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, notes.url);
      const other = await ada.begin(mail.url);
      back.searchParams.set("state", other.searchParams.get("state") ?? "");
      // The answer names its server, which isn't that of the state
      await arena.refused(ada.send(back), "invalid-answer");
      assert.ok(arena.mail.requests.every(({ path }) => path !== "/token"));
      await arena.has(0);
    },
  },
  {
    name: "states of two nodes are swapped",
    ids: "UPA-16",
    async act(arena) {
      const [one, two] = [await arena.ask("ada"), await arena.ask("ada", "notes__who", 1)];
      const ada = arena.browser("ada");
      const back = await arena.answered(ada, one.url, arena.notes, 1);
      const other = await ada.begin(two.url, 2);
      back.searchParams.set("state", other.searchParams.get("state") ?? "");
      await arena.refused(ada.send(back), "token-refused");
      await arena.has(0);
    },
  },
  {
    name: "a server sends the answer of another one, with its own name and with none",
    ids: "UPA-16",
    async act(arena) {
      const first = await arena.ask("ada");
      const ada = arena.browser("ada");
      await arena.refused(
        ada.send(await arena.answered(ada, first.url, arena.mail)),
        "invalid-answer",
      );
      arena.notes.faults.iss = null;
      const second = await arena.ask("ada");
      await arena.refused(ada.send(await arena.answered(ada, second.url)), "invalid-answer");
      for (const { requests } of arena.world.services) {
        assert.ok(requests.every(({ path }) => path !== "/token"));
      }
      await arena.has(0);
    },
  },
  {
    name: "a token is for another audience",
    ids: "UPA-4",
    async act(arena) {
      arena.notes.faults.audience = "https://bank.example/mcp";
      const { url } = await arena.ask("ada");
      await arena.refused(arena.browser("ada").connect(url), "foreign-audience");
      assert.equal(arena.notes.requests.at(-1)?.path, "/revoke");
      await arena.has(0);
      arena.notes.faults.audience = arena.notes.url;
      const asked = await arena.ask("ada");
      assert.equal((await arena.browser("ada").connect(asked.url)).status, 200);
      assert.equal(await asked.goOn(), "ada@notes");
    },
  },
  {
    name: "an upstream asks for a sign-in in a loop",
    ids: "UPA-18",
    async act(arena) {
      arena.notes.faults.refusesAll = true;
      const { url } = await arena.ask("ada");
      assert.equal((await arena.browser("ada").connect(url)).status, 200);
      await arena.world.clock.advance(5_000);
      for (let calls = 0; calls < 5; calls++) {
        const text = await arena.call("ada", "notes__who");
        assert.doesNotMatch(text, /-32042|input_required/);
        assert.match(text, /can't be used now \(unauthorized\)/);
      }
      assert.equal(arena.notes.logins, 1);
      assert.ok(arena.notes.refreshes <= 1);
    },
  },
  ...wrongMetadata("unsafe-address", "UPA-3", {
    "javascript: as authorization endpoint": {
      metadata: { authorization_endpoint: "javascript:alert(1)//" },
    },
    "javascript: as token endpoint": { metadata: { token_endpoint: "javascript:alert(1)" } },
    "javascript: as authorization server": {
      resource: { authorization_servers: ["javascript:alert(1)"] },
    },
    "data: as metadata": { metadataUrl: "data:application/json,{}" },
    "an inner address as authorization endpoint": {
      metadata: { authorization_endpoint: "https://192.168.0.1/reboot" },
    },
    "an inner address as token endpoint": {
      metadata: { token_endpoint: "https://169.254.169.254/token" },
    },
    "an inner address as registration endpoint": {
      metadata: {
        client_id_metadata_document_supported: false,
        registration_endpoint: "https://[::1]/register",
      },
    },
    "an inner address as revocation endpoint": {
      metadata: { revocation_endpoint: "https://10.0.0.1/revoke" },
    },
    "an inner address as authorization server": {
      resource: { authorization_servers: ["https://127.0.0.1"] },
    },
    "an inner address as metadata": { metadataUrl: "https://10.0.0.1/metadata" },
    "http: as token endpoint": { metadata: { token_endpoint: "http://login-notes.example/token" } },
    "a user name in an address": {
      metadata: { token_endpoint: "https://a:b@login-notes.example/token" },
    },
  }),
  ...wrongMetadata("foreign-resource", "UPA-3", {
    "metadata of another resource": { resource: { resource: "https://other.example/mcp" } },
  }),
  ...wrongMetadata("foreign-issuer", "UPA-3", {
    "metadata of another issuer": { metadata: { issuer: "https://other.example" } },
  }),
  ...wrongMetadata("no-pkce", "UPA-1, UPA-3", {
    "a server without PKCE": { metadata: { code_challenge_methods_supported: ["plain"] } },
  }),
  ...wrongMetadata("no-server", "UPA-3", {
    "no authorization server": { resource: { authorization_servers: [] } },
  }),
  ...wrongMetadata("no-registration", "UPA-2", {
    "a server that takes no registration": {
      metadata: { client_id_metadata_document_supported: false, registration_endpoint: undefined },
    },
  }),
];

/** Rows about metadata, which is not stored: before the browser is sent anywhere, the page says that it can't. */
function wrongMetadata(
  reason: string,
  ids: string,
  cases: Readonly<Record<string, Faults>>,
): Row[] {
  return Object.entries(cases).map(([name, faults]) => ({
    name,
    ids,
    stores: ["memory"],
    async act(arena) {
      Object.assign(arena.notes.faults, faults);
      const { url } = await arena.ask("ada");
      const ada = arena.browser("ada");
      const html = await (await ada.send(url)).text();
      await arena.refused(ada.submit(html), reason);
      assert.equal(arena.notes.logins, 0);
      // It comes back: the next call asks anew
      for (const name of Object.keys(faults)) delete arena.notes.faults[name as keyof Faults];
      const again = await arena.ask("ada");
      assert.equal((await ada.connect(again.url)).status, 200);
      assert.equal(await again.goOn(), "ada@notes");
    },
  }));
}

/** What the rows of one kind of store share. */
interface Stores {
  /** Returns the store of each node of a row. */
  open(): () => Store;
  close(): Promise<void>;
}

const OPENED = new Map<StoreKind, Promise<Stores>>();

const OPEN: Readonly<Record<StoreKind, () => Promise<Stores>>> = {
  async memory() {
    return {
      open() {
        const store = memoryStore();
        return () => store;
      },
      async close() {},
    };
  },
  async SQLite() {
    const folder = await mkdtemp(join(tmpdir(), "accounts-attacks-"));
    const stores: { close(): void }[] = [];
    return {
      open() {
        const store = sqliteStore({ path: join(folder, `${stores.length}.db`) });
        stores.push(store);
        return () => store;
      },
      async close() {
        for (const store of stores) store.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
  async Redis() {
    const server = await useServer();
    const prefix = uniquePrefix();
    const [kind] = CLIENTS;
    assert.ok(kind);
    const connections = await Promise.all([0, 1, 2].map(() => kind.connect(server.url)));
    let rows = 0;
    return {
      open() {
        const own = `${prefix}:${rows++}`;
        const clients = connections.map(({ client }) => client);
        return () => {
          const client = clients.shift();
          assert.ok(client);
          return redisStore({ client, prefix: own });
        };
      },
      async close() {
        const [one] = connections;
        const keys = await one?.send("KEYS", `${prefix}*`) as string[];
        for (const key of keys) await one?.send("DEL", key);
        await Promise.all(connections.map((each) => each.close()));
        await server.stop();
      },
    };
  },
};

after(async () => {
  for (const stores of OPENED.values()) await (await stores).close();
});

for (const { name, ids, eras = ERAS, stores = STORES, act } of ROWS) {
  for (const era of eras) {
    for (const kind of stores) {
      const skip = kind === "Redis" && noRedis;
      test(`[UPA-76] ${name} (${ids}; ${era}, ${kind})`, { skip }, async () => {
        const opened = OPENED.get(kind) ?? OPEN[kind]();
        OPENED.set(kind, opened);
        const store = (await opened).open();
        const world = new World({ nodes: 3, services: ["notes", "mail"], store });
        try {
          await act(new Arena(world, era));
        } finally {
          await world.close();
        }
      });
    }
  }
}
