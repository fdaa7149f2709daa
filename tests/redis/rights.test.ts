/**
 * The rights that a Redis user needs, as the documentation states them, and TLS.
 */
import { after, describe, test } from "node:test";
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";
import type { Backplane, Store } from "../../src/cluster/types.ts";
import { systemClock } from "../../src/internal/clock.ts";
import { type RedisClient, redisStore } from "../../src/redis/mod.ts";
import { contracts } from "../contracts/redis_contracts.ts";
import { uniqueId } from "../contracts/unique.ts";
import { CLIENTS, freePort, noBinary, OwnServer } from "../support/redis.ts";
import { ask, until } from "../support/redis_fleet.ts";

const SOURCES = new URL("../../src/redis/", import.meta.url);
const PAGE = new URL("../../docs/redis.md", import.meta.url);
const CERTIFICATE = fileURLToPath(
  new URL("../gateway/fixtures/self_signed_cert.pem", import.meta.url),
);
const KEY = fileURLToPath(new URL("../gateway/fixtures/self_signed_key.pem", import.meta.url));

/** The user of the documentation, with its password and prefix. */
async function documented(): Promise<readonly string[]> {
  const page = await readFile(PAGE, "utf8");
  const [, words] = /^ACL SETUSER ((?:.*\\\n)*.*)$/m.exec(page) ?? assert.fail("no ACL SETUSER");
  return (words ?? "").replaceAll("\\\n", " ").split(/\s+/);
}

const words = await documented();
const rights = words.filter((word) => /^\+/.test(word)).map((word) => word.slice(1));

test("[RDS-3] the documented rights are the commands that the store sends, and those in its scripts", async () => {
  const used = new Set<string>();
  const files = (await readdir(SOURCES, { recursive: true })).filter((it) => it.endsWith(".ts"));
  for (const file of files) {
    const source = await readFile(new URL(file, SOURCES), "utf8");
    for (const [, name = ""] of source.matchAll(/(?:redis\.call\('|send\(\s*")([A-Z]+)['"]/g)) {
      used.add(name.toLowerCase());
    }
  }
  // The subscriber's connection has methods for these.
  for (const name of ["subscribe", "unsubscribe"]) used.add(name);
  assert.deepEqual([...rights].sort(), [...used].sort());
});

/** Uses everything that a store can do, and returns what failed. */
async function everything(store: Store): Promise<readonly unknown[]> {
  const backplane: Backplane = store.open(SETTINGS);
  const quotas = store.quotas?.(systemClock);
  const { sessions, log, leases, bus, nodes, claims, documents, tasks } = backplane;
  const [id, other, third] = [uniqueId(), uniqueId(), uniqueId()];
  const rest = { client: { capabilities: {} }, initialized: true, logLevel: undefined };
  const calls: (() => unknown)[] = [
    ...[id, other].flatMap((id) => [
      () => sessions.reserve(id, "o"),
      () => sessions.create({ id, owner: "o", createdAt: 1, protocolVersion: undefined, ...rest }),
      () => sessions.use(id, "o"),
    ]),
    () => sessions.peek(id),
    () => sessions.update(id, { logLevel: "debug" }),
    () => sessions.update(id, { logLevel: undefined }),
    () => sessions.setState(id, "k", 1),
    () => sessions.getState(id, "k"),
    () => sessions.deleteState(id, "k"),
    () => sessions.subscribe(id, "a:b", 2),
    () => sessions.subscribers("a:b"),
    () => sessions.unsubscribe(id, "a:b"),
    () => sessions.ids(),
    () => sessions.uses?.(),
    () => sessions.hold(id),
    () => sessions.sweep(10),
    () => sessions.free(id),
    () => sessions.sweep(10),
    () => sessions.reserve(third, "o"),
    () => sessions.release(third),
    () => sessions.end(id),
    () => sessions.end(other),
    () => log.append(id, "s", "x"),
    () => log.append(id, "s", "y"),
    () => log.read(id, "s", 1),
    () => log.end(id, "s"),
    () => log.deliver(id, "s", 2),
    () => log.drop(id),
    async () => {
      const [first, second] = [await leases.take(id, () => {}), await leases.take(id, () => {})];
      await leases.held(id);
      second.release();
      first.release();
    },
    async () => {
      const member = bus.join("a", () => {});
      let heard = false;
      const second = bus.join("b", () => heard = true);
      try {
        await member.publish("text");
        await member.send(uniqueId(), "text");
        // What has not begun yet need not be ended.
        for (let i = 0; i < 10 && !heard; i++) {
          await member.send("b", "text");
          await sleep(5);
        }
      } finally {
        second.leave();
        // The connection ends with the last subscription.
        await sleep(10);
        member.leave();
      }
    },
    () => nodes.beat({ id: "a" }, 1_000),
    () => nodes.find("a"),
    () => nodes.leave("a"),
    () => claims.claim(id, "a", 1_000),
    () => claims.release(id, "a"),
    () => documents.put("d", "1"),
    () => documents.get("d"),
    () => tasks?.beat("a", 1_000),
    () => tasks?.leave("a"),
    () => quotas?.hold("q", "a", { limit: 5, keep: 0, need: 1, spare: 0, ttlMs: 1_000 }),
    () => quotas?.spend("b", { perSecond: 1, burst: 5, charge: 0, need: 1, spare: 0 }),
  ];
  const failures: unknown[] = [];
  // Each one, whether or not those before it are allowed.
  for (const call of calls) {
    try {
      await call();
    } catch (error) {
      failures.push(error);
    }
  }
  return failures;
}

const SETTINGS = {
  keys: ["0123456789abcdef0123456789abcdef"],
  clock: systemClock,
  caps: { sessions: 10, sessionsPerPrincipal: 2 },
  lifetimes: { idleMs: 60_000, absoluteMs: 600_000 },
  log: { events: 1, eventBytes: 1_048_576, retainMs: 60_000 },
};

if (noBinary !== false) {
  test("[RDS-3] a user with the documented rights", { skip: noBinary }, () => {});
} else {
  const server = await OwnServer.start();
  // The suite itself pings; its prefix is another one.
  const suite = words.map((word) => word.replaceAll("demo", "test"));
  const [name = "", password = ""] = [words[0], words.find((word) => /^>/.test(word))?.slice(1)];
  await ask(server, "ACL", "SETUSER", ...suite, "+ping");
  const url = server.url.replace("//", `//${name}:${password}@`);
  after(() => server.close());

  for (const { name, connect } of CLIENTS.slice(0, 1)) {
    const connection = await connect(url);
    describe(`A user with the documented rights, ${name}`, () => {
      contracts(`[RDS-3] ${name}`, connection);
      after(() => connection.close());
    });
  }

  test("[RDS-3] one right less, and Redis refuses something that the store does", async () => {
    const client = createClient({ url });
    client.on("error", () => {});
    // Each store listens.
    client.setMaxListeners(0);
    await client.connect();
    try {
      assert.deepEqual(await everything(redisStore({ client, prefix: "test:all" })), []);
      const missing = ["~test:*", "&test:*", ...rights.map((right) => `+${right}`)];
      for (const right of missing) {
        const without = suite.filter((word) => word !== right);
        assert.equal(without.length, suite.length - 1, `${right} is there once`);
        await ask(server, "ACL", "SETUSER", name, "reset", ...without.slice(1));
        await ask(server, "SCRIPT", "FLUSH");
        await ask(server, "ACL", "LOG", "RESET");
        await everything(redisStore({ client, prefix: `test:${right}` }));
        const refused = async () => JSON.stringify(await ask(server, "ACL", "LOG"));
        const expected = right.startsWith("+")
          ? `"${right.slice(1)}"`
          : `"${KINDS[right[0] ?? ""]}"`;
        await until(
          async () => (await refused()).toLowerCase().includes(expected),
          `${right} is missed`,
        );
      }
    } finally {
      client.destroy();
    }
  });

  test("[RDS-3] with all rights nothing is refused", async () => {
    await ask(server, "ACL", "SETUSER", name, "reset", ...suite.slice(1));
    await ask(server, "SCRIPT", "FLUSH");
    await ask(server, "ACL", "LOG", "RESET");
    const client = createClient({ url });
    client.on("error", () => {});
    await client.connect();
    await everything(redisStore({ client, prefix: "test" }));
    client.destroy();
    const log = await ask(server, "ACL", "LOG");
    assert.ok(Array.isArray(log));
    // A client may introduce itself; it works without being allowed to.
    assert.deepEqual(log.filter((entry) => !JSON.stringify(entry).includes("client|")), []);
  });
}

/** How Redis's log of refusals calls what a pattern is for. */
const KINDS: Readonly<Record<string, string>> = { "~": "key", "&": "channel" };

describe("TLS", { skip: noBinary }, () => {
  test("[RDS-3] the store works over TLS, with the clients of both packages", async () => {
    const port = await freePort();
    const server = await OwnServer.start(
      ...["--tls-port", `${port}`, "--tls-cert-file", CERTIFICATE, "--tls-key-file", KEY],
      ...["--tls-ca-cert-file", CERTIFICATE, "--tls-auth-clients", "no"],
    );
    const ca = await readFile(CERTIFICATE, "utf8");
    const node = createClient({ socket: { host: "127.0.0.1", port, tls: true, ca } });
    const io = new Redis({ host: "127.0.0.1", port, tls: { ca } });
    try {
      node.on("error", () => {});
      io.on("error", () => {});
      await node.connect();
      const heard: string[] = [];
      const clients: readonly RedisClient[] = [node, io];
      const [a, b] = clients.map((client) => redisStore({ client, prefix: "tls" }).open(SETTINGS));
      assert.ok(a && b);
      const members = [a, b].map((node, n) => node.bus.join(`${n}`, (text) => heard.push(text)));
      assert.equal(await a.documents.put("d", "1"), 1);
      assert.equal((await b.documents.get("d"))?.text, "1");
      for (const [n, member] of members.entries()) {
        await until(async () => {
          await member.publish(`from ${n}`);
          return heard.includes(`from ${n}`);
        }, "a message over TLS");
      }
      for (const member of members) member.leave();
    } finally {
      node.destroy();
      io.disconnect();
      await server.close();
    }
  });
});
