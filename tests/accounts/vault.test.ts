/**
 * The tokens: whose they are, how they are kept, renewed and given back.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { accounts, type AccountsOptions } from "../../src/accounts/mod.ts";
import type { Clock } from "../../src/internal/clock.ts";
import { memoryStore, type RecordStore, type Store } from "../../src/cluster/mod.ts";
import { randomText } from "../../src/internal/random.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { questionsOf, stateOf } from "../support/modern.ts";
import { CLIENTS, noRedis, useServer } from "../support/redis.ts";
import { type Peer, textOf } from "../support/wire.ts";
import { callConnected, GATEWAY, linkOf, World, type WorldOptions } from "./world.ts";

async function withWorld(
  options: WorldOptions,
  act: (world: World) => Promise<void>,
): Promise<void> {
  const world = new World(options);
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

/** Lets time pass until something is there that waits for it. */
async function pumped<T>(world: World, work: Promise<T>, stepMs = 250): Promise<T> {
  let isDone = false;
  const settled = work.finally(() => isDone = true);
  settled.catch(() => {});
  while (!isDone) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (!isDone) await world.clock.advance(stepMs);
  }
  return await settled;
}

async function said(peer: Peer, id: number, tool = "notes__who"): Promise<unknown> {
  return textOf(await peer.result(await peer.call(id, tool)));
}

/** A store whose records of one node stop answering when it is killed. */
class MortalStore {
  readonly #store: Store;
  isDead = false;
  /** Whether its records fail at present. */
  isAway = false;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The store as the node sees it. */
  get own(): Store {
    const alive = async <T>(act: () => T | Promise<T>): Promise<T> => {
      if (this.isAway) throw new Error("The store is away");
      return this.isDead ? await new Promise<T>(() => {}) : await act();
    };
    return {
      open: (settings) => this.#store.open(settings),
      records: (clock) => {
        const records = this.#store.records?.(clock);
        assert.ok(records);
        return {
          get: (key) => alive(() => records.get(key)),
          put: (key, value, write) => alive(() => records.put(key, value, write)),
          delete: (key, version) => alive(() => records.delete(key, version)),
          list: (prefix, cursor) => alive(() => records.list(prefix, cursor)),
        } satisfies RecordStore;
      },
    };
  }
}

for (const era of ["2025-11-25", "2026-07-28"]) {
  test(`[UPA-20] each call of ${era} has its own user's token at three upstreams`, async () => {
    await withWorld({ nodes: 3, services: ["notes", "mail", "files"] }, async (world) => {
      for (const user of ["ada", "bob"]) {
        for (const [at, { name, url: _url }] of world.services.entries()) {
          const tool = `${name}__who`;
          if (era === "2025-11-25") {
            const peer = await world.peer(user, at);
            const result = await callConnected(world, peer, user, tool);
            assert.equal(textOf(result), `${user}@${name}`);
            continue;
          }
          const peer = world.modern(user, at);
          const asked = await peer.say(tool);
          const link = String(questionsOf(asked).mooring_sign_in?.params.url);
          await world.browser(user).connect(link, { node: at });
          const result = await peer.say(tool, {}, {
            inputResponses: { mooring_sign_in: { action: "accept" } },
            requestState: stateOf(asked),
          });
          assert.equal(textOf(result), `${user}@${name}`);
        }
      }
      await world.clock.advance(5_000);
      // All at the same time, at all nodes, in turns
      const peers = await Promise.all(
        ["ada", "bob"].flatMap((user) =>
          [0, 1, 2].map(async (node) => ({ user, peer: await world.peer(user, node) }))
        ),
      );
      await Promise.all(
        peers.flatMap(({ user, peer }) =>
          world.services.map(async ({ name }, id) =>
            assert.equal(await said(peer, 500 + id, `${name}__who`), `${user}@${name}`)
          )
        ),
      );
      for (const { name, calls } of world.services) {
        const whose = new Set(calls);
        assert.deepEqual([...whose].sort(), [`ada@${name} who`, `bob@${name} who`]);
      }
    });
  });
}

test("[UPA-20] principals of one id and other issuers have accounts of their own", async () => {
  const own = accounts({ url: GATEWAY, browser: () => undefined });
  const auth = own.auth();
  assert.ok(auth.begin);
  const need = { scopes: [], url: "https://notes.example/mcp", isStepUp: false };
  const ask = (issuer: string) =>
    auth.begin?.(need, {
      upstream: "notes",
      principal: { id: "ada", issuer },
      client: { capabilities: {} },
      session: undefined,
    });
  const [one, other] = [await ask("https://one.example"), await ask("https://other.example")];
  const owner = (id: string | undefined) => id?.split(".")[0];
  assert.notEqual(owner(one?.id), owner(other?.id));
  own.close();
});

describe("renewal", () => {
  test("[UPA-22] many calls at three nodes renew once", async () => {
    await withWorld({ nodes: 3 }, async (world) => {
      world.service.ttlS = 60;
      const first = await world.peer("ada");
      await callConnected(world, first, "ada", "notes__who");
      const peers = await Promise.all([0, 1, 2].map((node) => world.peer("ada", node)));
      await world.clock.advance(70_000);
      const calls = peers.flatMap((peer) => [1, 2, 3].map((id) => said(peer, id)));
      const answers = await pumped(world, Promise.all(calls), 50);
      assert.deepEqual(new Set(answers), new Set(["ada@notes"]));
      assert.equal(world.service.refreshes, 1);
      assert.equal(world.service.reuses, 0);
      assert.equal(world.service.logins, 1);
    });
  });

  test("[UPA-22] nodes whose clocks differ renew once", async () => {
    const inner = memoryStore();
    let clock: Clock | undefined;
    const store: Store = {
      open: (settings) => inner.open(settings),
      // One clock measures what expires, as Redis does
      records: (own) => inner.records?.(clock ??= own) ?? assert.fail(),
    };
    await withWorld({ store }, async (world) => {
      world.service.ttlS = 60;
      const behind = await world.peer("ada");
      await callConnected(world, behind, "ada", "notes__who");
      const timer = world.clock.timer.bind(world.clock);
      world.add({ clock: { now: () => world.clock.now() + 20_000, timer } });
      const ahead = await world.peer("ada", 1);
      await world.clock.advance(70_000);
      const asked = Promise.withResolvers<void>();
      world.service.faults.token = async () => {
        asked.resolve();
        await new Promise<void>((resolve) => void timer(2_000, resolve));
        return undefined;
      };
      const first = said(behind, 1);
      await asked.promise;
      const answers = await pumped(world, Promise.all([first, said(ahead, 1)]));
      assert.deepEqual(answers, ["ada@notes", "ada@notes"]);
      assert.equal(world.service.refreshes, 1);
      assert.equal(world.service.reuses, 0);
    });
  });

  test("[UPA-22] tokens are renewed ahead of their end", async () => {
    await withWorld({}, async (world) => {
      world.service.ttlS = 600;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await world.clock.advance(400_000);
      await said(peer, 5);
      assert.equal(world.service.refreshes, 0);
      await world.clock.advance(599_000 - 400_000);
      await said(peer, 6);
      assert.equal(world.service.refreshes, 1);
    });
  });

  test("[UPA-26] a day with tokens of one minute needs one login", async () => {
    await withWorld({ nodes: 3 }, async (world) => {
      world.service.ttlS = 60;
      for (const user of ["ada", "bob"]) {
        await callConnected(world, await world.peer(user), user, "notes__who");
      }
      const peers = await Promise.all(
        ["ada", "bob"].flatMap((user) =>
          [0, 1, 2].map(async (node) => ({ user, peer: await world.peer(user, node) }))
        ),
      );
      const end = world.clock.now() + 24 * 3600_000;
      for (let turn = 0; world.clock.now() < end; turn++) {
        await world.clock.advance(20_000 + (turn * 7_919_000) % 900_000);
        const calls = peers.map(async ({ user, peer }) =>
          assert.equal(await said(peer, turn), `${user}@notes`)
        );
        await pumped(world, Promise.all(calls), 50);
      }
      assert.equal(world.service.logins, 2);
      assert.equal(world.service.reuses, 0);
      assert.ok(world.service.refreshes > 100);
    });
  });

  test("[UPA-23] a refused renewal asks the user again, once", async () => {
    await withWorld({}, async (world) => {
      world.service.ttlS = 3600;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await world.clock.advance(1_800_000);
      world.service.revokeAll("ada");
      const { url } = await linkOf(peer, await peer.call(5, "notes__who"));
      const [account] = (await world.node().accounts.list()).accounts;
      assert.equal(account?.isEnded, true);
      assert.equal((await linkOf(peer, await peer.call(6, "notes__who"))).url, url);
      await world.browser("ada").connect(url);
      assert.equal(await said(peer, 7), "ada@notes");
    });
  });

  test("[UPA-23] tokens without renewal ask at their end", async () => {
    await withWorld({}, async (world) => {
      world.service.ttlS = 60;
      world.service.faults.hasNoRefresh = true;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await world.clock.advance(61_000);
      const { url } = await linkOf(peer, await peer.call(5, "notes__who"));
      await world.browser("ada").connect(url);
      assert.equal(await said(peer, 7), "ada@notes");
    });
  });

  test("[UPA-25] a server that is away costs nothing while tokens hold, and comes back", async () => {
    await withWorld({}, async (world) => {
      world.service.ttlS = 600;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      world.service.faults.token = () => new Response("gone", { status: 503 });
      await world.clock.advance(595_000);
      assert.equal(await said(peer, 5), "ada@notes");
      await world.clock.advance(10_000);
      const text = await (await peer.call(6, "notes__who")).text();
      assert.match(text, /can't be used now/);
      assert.ok(world.reasons.some((reason) => reason.startsWith("refresh failed")));
      delete world.service.faults.token;
      assert.equal(await said(peer, 7), "ada@notes");
      assert.equal(world.service.logins, 1);
    });
  });
});

describe("a node that dies while it renews", () => {
  /** Kills node 1 at a step of its renewal, and calls at node 0. */
  async function killed(
    at: "before the answer" | "before it is stored",
    hasGrace: boolean,
    check: (world: World, peer: Peer) => Promise<void>,
  ): Promise<void> {
    const store = memoryStore();
    await withWorld({ store }, async (world) => {
      world.service.ttlS = 60;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      world.service.faults.hasGrace = hasGrace;
      const mortal = new MortalStore(store);
      world.add({ store: mortal.own });
      const victim = await world.peer("ada", 1);
      await world.clock.advance(61_000);
      const reached = Promise.withResolvers<void>();
      world.service.faults.token = async () => {
        delete world.service.faults.token;
        mortal.isDead = true;
        reached.resolve();
        // The server may still answer, but there is nobody left
        return at === "before it is stored" ? undefined : await new Promise<never>(() => {});
      };
      void victim.call(1, "notes__who").catch(() => {});
      await reached.promise;
      await world.clock.advance(0);
      await check(world, peer);
    });
  }

  test("[UPA-24] before the server answers: another node renews", async () => {
    await killed("before the answer", false, async (world, peer) => {
      assert.equal(await pumped(world, said(peer, 5)), "ada@notes");
      assert.equal(world.service.logins, 1);
      assert.equal(world.service.reuses, 0);
    });
  });

  test("[UPA-24] the new tokens are stored again while the store fails", async () => {
    const mortal = new MortalStore(memoryStore());
    await withWorld({ store: mortal.own }, async (world) => {
      world.service.ttlS = 60;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await world.clock.advance(61_000);
      world.service.faults.token = () => {
        delete world.service.faults.token;
        mortal.isAway = true;
        world.clock.timer(1_000, () => void (mortal.isAway = false));
        return undefined;
      };
      assert.equal(await pumped(world, said(peer, 5)), "ada@notes");
      assert.equal(world.service.refreshes, 1);
      assert.equal(world.service.logins, 1);
    });
  });

  test("[UPA-24] before the new tokens are stored: the old refresh token is tried", async () => {
    await killed("before it is stored", true, async (world, peer) => {
      assert.equal(await pumped(world, said(peer, 5)), "ada@notes");
      assert.equal(world.service.logins, 1);
    });
    // A server that ends the login for that: the user is asked, and nothing fails for ever
    await killed("before it is stored", false, async (world, peer) => {
      const { url } = await linkOf(peer, await pumped(world, peer.call(5, "notes__who")));
      await world.browser("ada").connect(url);
      assert.equal(await said(peer, 6), "ada@notes");
    });
  });
});

describe("secrets", () => {
  test("[UPA-21] no secret is in events, pages, lists, errors, results, or clear in the store", async () => {
    const store = memoryStore();
    await withWorld(
      {
        store,
        auth: {
          clientId: "gw",
          clientSecret: "client-secret-hush",
          issuer: "https://login-notes.example",
        },
      },
      async (world) => {
        world.service.secrets.add("client-secret-hush");
        const shown: string[] = [];
        const note = async (response: Response) => {
          const copy = response.clone();
          shown.push(await copy.text(), JSON.stringify([...copy.headers]));
          return response;
        };
        const peer = await world.peer("ada");
        const { url } = await linkOf(peer, await note(await peer.call(1, "notes__who")));
        const browser = world.browser("ada");
        const html = await (await note(await browser.send(url))).text();
        const sent = await note(await browser.submit(html));
        const back = world.service.authorize(new URL(sent.headers.get("location") ?? ""), "ada");
        await note(await browser.send(back));
        await note(await peer.call(2, "notes__who"));
        await note(await browser.send("/accounts"));
        shown.push(JSON.stringify(await world.node().accounts.list()));
        await world.clock.advance(3_600_000);
        await note(await peer.call(3, "notes__who"));
        world.service.revokeAll("ada");
        world.service.faults.token = (form) =>
          new Response(`wrong ${form.get("refresh_token")}`, { status: 500 });
        await world.clock.advance(3_600_000);
        await note(await peer.call(4, "notes__who"));
        delete world.service.faults.token;
        await note(await peer.call(5, "notes__who"));
        const everything = (value: unknown) =>
          JSON.stringify(value, (_key, each) =>
            each instanceof Error
              ? {
                ...each,
                name: each.name,
                message: each.message,
                stack: each.stack,
                cause: each.cause,
              }
              : each);
        shown.push(everything(world.events), everything(world.mcpEvents));
        const records = store.records?.(world.clock);
        assert.ok(records);
        const { keys } = await records.list("");
        assert.ok(keys.some((key) => key.includes("account:")));
        for (const key of keys) shown.push(key, (await records.get(key))?.value ?? "");
        assert.ok(world.service.secrets.size >= 5);
        for (const secret of world.service.secrets) {
          for (const text of shown) assert.ok(!text.includes(secret), text);
        }
        assert.ok(shown.every((text) => !text.includes("ada@notes") || text.includes("result")));
      },
    );
  });
});

describe("views", () => {
  test("[UPA-27] a user sees and disconnects the own accounts alone", async () => {
    await withWorld({}, async (world) => {
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await callConnected(world, await world.peer("bob"), "bob", "notes__who");
      const ada = world.browser("ada");
      const html = await (await ada.send("/accounts")).text();
      assert.match(html, /notes/);
      assert.match(html, /Connected since 2025-06-15/);
      const token = /name="token" value="([^"]*)"/.exec(html)?.[1] ?? "";
      const { accounts: all } = await world.node().accounts.list();
      assert.equal(all.length, 2);
      const bobs = all.find(({ user }) => user.id === "bob")?.id ?? "";
      const adas = all.find(({ user }) => user.id === "ada")?.id ?? "";
      // Bob's with Ada's form, and Ada's by Eve with Ada's form
      assert.equal((await ada.form("/accounts", { account: bobs, token })).status, 400);
      const eve = world.browser("eve");
      assert.equal((await eve.form("/accounts", { account: adas, token })).status, 400);
      assert.equal((await ada.form("/accounts", { account: adas, token: "guess" })).status, 400);
      assert.equal((await world.node().accounts.list()).accounts.length, 2);
      assert.equal((await ada.submit(html)).status, 303);
      assert.equal(world.service.requests.at(-1)?.path, "/revoke");
      assert.equal(world.reasons.at(-1), "disconnect passed revoked");
      const left = (await world.node().accounts.list()).accounts;
      assert.deepEqual(left.map(({ user }) => user.id), ["bob"]);
      assert.match(await (await ada.send("/accounts")).text(), /No account is connected/);
      await linkOf(peer, await peer.call(50, "notes__who"));
      assert.equal(await world.node().accounts.disconnect(bobs), true);
      assert.equal(await world.node().accounts.disconnect(bobs), false);
    });
  });

  test("[UPA-27] who disconnects while tokens are renewed is disconnected", async () => {
    await withWorld({}, async (world) => {
      world.service.ttlS = 60;
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      await world.clock.advance(61_000);
      world.service.faults.token = async () => {
        delete world.service.faults.token;
        const [account] = (await world.node().accounts.list()).accounts;
        assert.equal(await world.node().accounts.disconnect(account?.id ?? ""), true);
        return undefined;
      };
      await linkOf(peer, await peer.call(5, "notes__who"));
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    });
  });
});

test("[UPA-28] a user's 21st question pushes out the oldest", async () => {
  await withWorld({}, async (world) => {
    const links: string[] = [];
    for (let i = 0; i < 21; i++) {
      const peer = await world.peer("ada");
      links.push((await linkOf(peer, await peer.call(1, "notes__who"))).url);
      await world.clock.advance(1);
    }
    const browser = world.browser("ada");
    assert.equal((await browser.send(links[0] ?? "")).status, 400);
    assert.equal((await browser.send(links[1] ?? "")).status, 200);
    assert.equal((await browser.send(links[20] ?? "")).status, 200);
  });
});

test("[UPA-29] options are checked when they are given", () => {
  const browser = () => undefined;
  const make = (options: object) => () =>
    accounts({ url: GATEWAY, browser, ...options } as AccountsOptions);
  assert.throws(make({ brwser: browser }), /"browser"/);
  assert.throws(make({ url: "http://gateway.example" }), /https/);
  assert.throws(make({ url: "https://gateway.example?a=1" }), /query/);
  assert.throws(make({ browser: undefined }), /browser/);
  assert.throws(make({ lifetimes: { linkMS: 1 } }), /lifetimes\.linkMs/);
  assert.throws(make({ keys: ["short"] }), /32 bytes/);
  assert.throws(make({ store: { shared: true, records: () => ({}), open() {} } }), /"keys"/);
  assert.throws(make({ store: { durable: true, records: () => ({}), open() {} } }), /restart/);
  assert.throws(make({ store: { open() {} } }), /records/);
  const own = accounts({ url: GATEWAY, browser });
  assert.throws(() => own.auth({ clientID: "a" } as object), /clientId/);
  assert.throws(() => own.auth({ clientSecret: "a" }), /clientId/);
  assert.throws(() => own.auth({ clientId: "a", clientSecret: "b" }), /"issuer" that the/);
  assert.throws(() => own.auth({ scopes: ["a b"] }), /scopes/);
  assert.throws(() => own.auth({ issuer: "nowhere" }), /issuer/);
  own.close();
});

/** What must hold with every store: link, login, answer and calls at other nodes, renewal, disconnecting. */
async function everything(store: Store | (() => Store)): Promise<void> {
  await withWorld({ nodes: 3, store }, async (world) => {
    world.service.ttlS = 60;
    const peer = await world.peer("ada", 0);
    const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
    const page = await world.browser("ada").connect(url, { node: 1, backAt: 2 });
    assert.equal(page.status, 200, await page.text());
    const peers = await Promise.all([0, 1, 2].map((node) => world.peer("ada", node)));
    for (const each of peers) assert.equal(await said(each, 2), "ada@notes");
    await world.clock.advance(61_000);
    const answers = await pumped(world, Promise.all(peers.map((each) => said(each, 3))), 20);
    assert.deepEqual(new Set(answers), new Set(["ada@notes"]));
    assert.equal(world.service.refreshes, 1);
    assert.equal(world.service.reuses, 0);
    const [account] = (await world.node(1).accounts.list()).accounts;
    assert.equal(await world.node(2).accounts.disconnect(account?.id ?? ""), true);
    await world.clock.advance(5_000);
    await linkOf(peer, await pumped(world, peer.call(4, "notes__who"), 20));
  });
}

test("[UPA-30] SQLite", async () => {
  const folder = await mkdtemp(join(tmpdir(), "accounts-"));
  try {
    const store = sqliteStore({ path: join(folder, "store.db") });
    try {
      await everything(store);
    } finally {
      store.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("[UPA-30] Redis", { skip: noRedis }, async () => {
  const server = await useServer();
  const prefix = `accounts-${randomText(8)}`;
  const [kind] = CLIENTS;
  assert.ok(kind);
  const connections = await Promise.all([1, 2, 3].map(() => kind.connect(server.url)));
  const clients = connections.map(({ client }) => client);
  try {
    await everything(() => {
      const client = clients.shift();
      assert.ok(client);
      return redisStore({ client, prefix });
    });
  } finally {
    await Promise.all(connections.map((each) => each.close()));
    await server.stop();
  }
});
