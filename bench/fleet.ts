/**
 * Measures what nodes ask of Redis, with a Redis of its own: commands and processor time for each
 * kind of operation, then all nodes under a mixed load beside what the model says of them. Writes the
 * tables of `docs/scaling.md` with `--write`.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import { createMcpHandler } from "../src/handler/handler.ts";
import type { McpHandler } from "../src/handler/types.ts";
import { redisStore } from "../src/redis/mod.ts";
import { OwnServer } from "../tests/support/redis.ts";
import { as, byToken, initialize, type Peer, Stub, text } from "../tests/support/wire.ts";
import { withTables } from "./docs.ts";
import { type Cost, type Costs, demandOf, mostNodes, type NodeLoad } from "./fleet_model.ts";

const DOCS = new URL("../docs/scaling.md", import.meta.url);
const STATE_KEY = "0123456789abcdef0123456789abcdef";
const SIZES = [10, 100, 1_000];
const NOTIFICATION = { method: "notifications/message", params: { level: "info", data: 1 } };

/** A client, as far as it is used here. */
interface Client {
  sendCommand(args: string[]): Promise<unknown>;
  destroy(): unknown;
}

/** What Redis has done until now. */
interface Done {
  readonly commands: number;
  readonly us: number;
}

/** Nodes in this process, each with connections of its own. */
class Fleet {
  readonly nodes: McpHandler[] = [];
  readonly #clients: Client[] = [];
  readonly #url: string;
  readonly #admin: Client;
  /** What Redis does for itself in a second. */
  alone: Cost = { commands: 0, us: 0 };

  constructor(url: string, admin: Client) {
    this.#url = url;
    this.#admin = admin;
  }

  /** Adds nodes until there are so many. */
  async grow(size: number): Promise<void> {
    while (this.nodes.length < size) {
      const client = createClient({ url: this.#url });
      client.on("error", () => {});
      await client.connect();
      this.#clients.push(client);
      const tools = new Stub({ hello: () => text("Hello") });
      tools.noting = false;
      this.nodes.push(createMcpHandler(tools, {
        store: redisStore({ client, prefix: "fleet" }),
        authenticate: byToken,
        requests: { stateKeys: [STATE_KEY] },
        limits: { sessions: 10_000, sessionsPerPrincipal: 10_000 },
      }));
    }
    await sleep(500);
  }

  node(n: number): McpHandler {
    const node = this.nodes[n % this.nodes.length];
    if (node === undefined) throw new Error("There is no node");
    return node;
  }

  async done(): Promise<Done> {
    const info = String(await this.#admin.sendCommand(["INFO", "everything"]));
    const seconds = (name: string) => Number(new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]);
    const stats = info.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm);
    let commands = 0;
    for (const [, name = "", calls] of stats) if (OUTER.has(name)) commands += Number(calls);
    return { commands, us: 1e6 * (seconds("used_cpu_user") + seconds("used_cpu_sys")) };
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close({ graceMs: 0 })));
    for (const client of this.#clients) client.destroy();
  }
}

/** What clients send, and not what scripts do. A `publish` in a script counts once too often. */
const OUTER: ReadonlySet<string> = new Set(["evalsha", "eval", "hget", "zrem", "srem", "publish"]);

/** Does something many times, and tells what one costs Redis beyond what nodes cost at rest. */
async function cost(
  fleet: Fleet,
  idle: Cost,
  times: number,
  run: (n: number) => Promise<unknown>,
): Promise<Cost> {
  const began = performance.now();
  const before = await fleet.done();
  for (let n = 0; n < times; n += 10) {
    await Promise.all(Array.from({ length: 10 }, (_, i) => run(n + i)));
  }
  // Notes of sessions are written a second later.
  await sleep(1_100);
  const after = await fleet.done();
  const seconds = (performance.now() - began) / 1_000;
  const size = fleet.nodes.length;
  const rest = (idle: number, alone: number) => seconds * (size * idle + alone);
  const commands = after.commands - before.commands - rest(idle.commands, fleet.alone.commands);
  const us = after.us - before.us - rest(idle.us, fleet.alone.us);
  return { commands: Math.max(0, commands / times), us: Math.max(0, us / times) };
}

async function call(peer: Peer, fetch: McpHandler): Promise<void> {
  const response = await peer.with({ fetch }).call(1, "hello");
  if (response.status !== 200) throw new Error(`The call got ${response.status}`);
  await response.body?.cancel();
}

async function start(fleet: Fleet, n: number): Promise<Peer> {
  return await initialize(fleet.node(n), {
    headers: as(`user${n % 50}`),
    accept: "application/json",
  });
}

async function measure(fleet: Fleet): Promise<Costs> {
  const rest = async (ms: number): Promise<Cost> => {
    const began = performance.now();
    const before = await fleet.done();
    await sleep(ms);
    const after = await fleet.done();
    const seconds = (performance.now() - began) / 1_000;
    return {
      commands: (after.commands - before.commands) / seconds,
      us: (after.us - before.us) / seconds,
    };
  };
  fleet.alone = await rest(5_000);
  await fleet.grow(10);
  const all = await rest(10_000);
  const idle = {
    commands: (all.commands - fleet.alone.commands) / 10,
    us: Math.max(0, all.us - fleet.alone.us) / 10,
  };
  const peers = await Promise.all(Array.from({ length: 20 }, (_, n) => start(fleet, n)));
  const peerOf = (n: number) => peers[n % peers.length] ?? peers[0];
  const one = async (n: number) => {
    const peer = peerOf(n);
    if (peer !== undefined) await call(peer, fleet.node(n + 1));
  };
  await cost(fleet, idle, 500, one);
  const calls = await cost(fleet, idle, 3_000, one);
  const session = await cost(fleet, idle, 300, async (n) => {
    const peer = await start(fleet, n);
    await (await peer.delete()).body?.cancel();
  });
  const listener = await start(fleet, 0);
  const stream = await listener.listen();
  const drained = stream.messages().catch(() => []);
  const message = await cost(
    fleet,
    idle,
    600,
    () => fleet.node(1).notify(listener.sessionId ?? "", NOTIFICATION),
  );
  // One cancellation is one message to all nodes: few nodes, then many, show what a delivery costs.
  const cancel = (n: number) =>
    peerOf(n)?.notify("notifications/cancelled", { requestId: 1_000_000 + n }) ?? Promise.resolve();
  const few = await cost(fleet, idle, 2_000, cancel);
  await fleet.grow(30);
  const many = await cost(fleet, idle, 2_000, cancel);
  const us = Math.max(0, (many.us - few.us) / 20);
  await (await listener.delete()).body?.cancel();
  await drained;
  return {
    idle,
    call: calls,
    session,
    message,
    broadcast: { commands: few.commands, us: Math.max(0, few.us - 9 * us) },
    delivery: { commands: 0, us },
  };
}

/** All nodes under a mixed load, beside what the model says of them. */
async function check(fleet: Fleet, costs: Costs): Promise<readonly string[]> {
  const peers = await Promise.all(Array.from({ length: 20 }, (_, n) => start(fleet, n)));
  const began = performance.now();
  const before = await fleet.done();
  let [calls, sessions, broadcasts] = [0, 0, 0];
  while (performance.now() - began < 8_000) {
    await Promise.all(peers.map((peer, n) => call(peer, fleet.node(calls + n))));
    calls += peers.length;
    if (calls % 400 === 0) {
      await (await (await start(fleet, calls)).delete()).body?.cancel();
      sessions++;
    }
    if (calls % 200 === 0) {
      await peers[0]?.notify("notifications/cancelled", { requestId: 1_000_000 + calls });
      broadcasts++;
    }
  }
  await sleep(1_100);
  const after = await fleet.done();
  const seconds = (performance.now() - began) / 1_000;
  const size = fleet.nodes.length;
  const rate = (count: number) => count / seconds / size;
  const load: NodeLoad = {
    calls: rate(calls),
    sessions: rate(sessions),
    messages: 0,
    broadcasts: rate(broadcasts),
  };
  const said = demandOf(size, costs, load);
  const commands = (after.commands - before.commands) / seconds;
  const busy = ((after.us - before.us) / seconds - fleet.alone.us) / 1e6;
  return [
    `${size} nodes, ${Math.round(calls / seconds)} calls a second together: ` +
    `${Math.round(commands)} commands a second, the model says ${Math.round(said.commands)}; ` +
    `Redis ${percent(busy)} busy, the model says ${percent(said.busy)}.`,
  ];
}

const percent = (share: number) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const number = (value: number) =>
  value < 10 ? value.toFixed(1) : Math.round(value).toLocaleString("en");

const NAMES: Readonly<Record<keyof Costs, string>> = {
  idle: "A node that does nothing, each second",
  call: "A call that is answered with JSON",
  session: "A session: its beginning and its end",
  message: "A notification to a session at another node",
  broadcast: "A message to all nodes",
  delivery: "Its delivery to one node",
};

function tables(costs: Costs, checked: readonly string[]): string {
  const kinds = Object.keys(NAMES) as (keyof Costs)[]; // as the table says
  const demands = SIZES.map((nodes) => demandOf(nodes, costs));
  return [
    "| One of these | Commands | Processor time of Redis |\n| --- | ---: | ---: |",
    ...kinds.map((kind) =>
      `| ${NAMES[kind]} | ${number(costs[kind].commands)} | ${number(costs[kind].us)} µs |`
    ),
    "",
    ...checked,
    "",
    `| Each second | ${SIZES.map((size) => `${number(size)} nodes`).join(" | ")} |`,
    `| --- |${" ---: |".repeat(SIZES.length)}`,
    ...kinds.map((kind) =>
      `| ${NAMES[kind]}${kind === "delivery" ? ", deliveries" : ", commands"} | ${
        demands.map(({ rates, shares }) => `${number(rates[kind])} (${percent(shares[kind])})`)
          .join(" | ")
      } |`
    ),
    `| **All commands** | ${demands.map(({ commands }) => number(commands)).join(" | ")} |`,
    `| **Redis's thread** | ${demands.map(({ busy }) => percent(busy)).join(" | ")} |`,
    "",
    `One Redis of this machine is half busy with ${mostNodes(costs, 0.5)} such nodes, and full ` +
    `with ${mostNodes(costs, 1)}.`,
  ].join("\n");
}

const server = await OwnServer.start();
const admin = createClient({ url: server.url });
admin.on("error", () => {});
await admin.connect();
const fleet = new Fleet(server.url, admin);
try {
  const costs = await measure(fleet);
  const page = tables(costs, await check(fleet, costs));
  console.log(page);
  if (process.argv.includes("--write")) {
    await writeFile(DOCS, withTables(await readFile(DOCS, "utf8"), "tables of the fleet", page));
  }
} finally {
  await fleet.close();
  admin.destroy();
  await server.close();
}
process.exit();
