/**
 * Clients at work behind a proxy while nodes die and join, and lines to Redis break, stall and slow
 * down, at random. Afterwards: nothing that was acknowledged is lost, nothing came twice or to anybody
 * else, no tool ran twice, and everything works.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { noBinary, OwnServer } from "../../support/redis.ts";
import { as, initialize, type Peer, textOf } from "../../support/wire.ts";
import { BACK_MS, works } from "./checks.ts";
import { aliceAt, Cluster, toUrl, until } from "./cluster.ts";
import { Follower } from "./follower.ts";
import { Front } from "./front.ts";

const LONG = process.env["MOORING_LONG"] === "1";
const CHAOS_MS = LONG ? 300_000 : 8_000;
const SEED = Number(process.env["MOORING_SEED"] ?? Date.now() % 100_000);
const CLIENTS = 5;
/** What a peer says of an answer that broke off. */
const BROKEN = /No result|cut short/;

/** The same numbers between 0 and 1 for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One client, and what it was promised. */
class Worker {
  readonly peer: Peer;
  readonly follower: Follower;
  /** What it knows to have been told to its session. */
  readonly told: number[] = [];
  /** Its calls, and whether each was answered. */
  readonly calls = new Map<string, boolean>();
  readonly #cluster: Cluster;
  #next: number;

  constructor(cluster: Cluster, peer: Peer, index: number) {
    this.#cluster = cluster;
    this.peer = peer;
    this.follower = new Follower([peer]);
    // Nobody else is told the same numbers.
    this.#next = index * 1_000_000;
  }

  /** Calls a tool, of which nothing may come. */
  async add(): Promise<void> {
    const n = ++this.#next;
    const call = `add ${n}`;
    this.calls.set(call, false);
    const text = await this.#answer("add", { call, a: n, b: 1 });
    if (text === undefined) return;
    assert.equal(text, String(n + 1));
    this.calls.set(call, true);
  }

  /** Has its session told something. */
  async emit(): Promise<void> {
    const n = ++this.#next;
    const text = await this.#answer("emit", { from: n, to: n });
    if (text === `emitted ${n} to ${n}`) this.told.push(n);
  }

  /** Tries another's session. */
  async trespass(other: Worker): Promise<void> {
    const thief = other.peer.with({ headers: this.peer.headers });
    const response = await thief.call("thief", "whoami").catch(() => undefined);
    await response?.body?.cancel();
    assert.ok([undefined, 404, 502, 503].includes(response?.status), `${response?.status}`);
  }

  /** Checks that all promises were kept. */
  async check(): Promise<void> {
    const { follower, told } = this;
    await until(() => told.every((n) => follower.heard.includes(n)), "what was told", BACK_MS);
    const twice = follower.heard.filter((n, at) => follower.heard.indexOf(n) !== at);
    const ran = twice.map((n) => this.#cluster.count("ran", `emit ${n}`));
    assert.deepEqual({ twice, ran }, { twice: [], ran: [] });
    assert.deepEqual(follower.heard.filter((n) => told.includes(Number(n))), told);
    for (const n of follower.heard) {
      assert.equal(Math.floor(Number(n) / 1_000_000), Math.floor(this.#next / 1_000_000));
    }
    for (const [call, answered] of this.calls) {
      const ran = this.#cluster.count("ran", call);
      assert.ok(answered ? ran === 1 : ran <= 1, `${call} ran ${ran} times`);
    }
  }

  async #answer(name: string, args: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      const response = await this.peer.call(this.#next, name, args);
      if (response.status === 200) return textOf(await this.peer.result(response));
      await response.body?.cancel();
      assert.ok([502, 503].includes(response.status), `${response.status}`);
    } catch (error) {
      // A connection that broke with its node, or an answer that never came.
      if (error instanceof assert.AssertionError && !BROKEN.test(error.message)) throw error;
    }
    return undefined;
  }
}

/** Breaks things, one after the other, until the time is over; and mends them. */
async function breakThings(cluster: Cluster, front: Front, random: () => number): Promise<void> {
  const late = Date.now() + CHAOS_MS;
  const serve = () => front.targets = cluster.nodes.map((node) => node.target("shared"));
  const some = () => cluster.nodes[Math.floor(random() * cluster.nodes.length)] ?? assert.fail();
  const faults: readonly (() => Promise<void>)[] = [
    async () => {
      await some().kill();
      await cluster.add();
      serve();
    },
    async () => {
      const { line } = some();
      line.cut();
      await pause(random() * 1_500);
      line.mend();
    },
    async () => {
      const { line } = some();
      line.stall();
      await pause(random() * 3_000);
      line.mend();
    },
    async () => {
      const { line } = some();
      line.delayMs = random() * 50;
      await pause(500);
      line.delayMs = 0;
    },
    async () => front.cut(),
  ];
  while (Date.now() < late) {
    await faults[Math.floor(random() * faults.length)]?.();
    await pause(random() * 300);
  }
}

describe("chaos", { skip: noBinary }, () => {
  test(`[CLU-1, CLU-2, CLU-3, CLU-8] every promise is kept (seed ${SEED})`, async () => {
    const random = randomFrom(SEED);
    const redis = await OwnServer.start();
    let cluster: Cluster | undefined;
    let front: Front | undefined;
    const workers: Worker[] = [];
    try {
      const { nodes } = cluster = await Cluster.start(redis.url);
      front = await Front.before(nodes.map((node) => node.target("shared")));
      for (let index = 0; index < CLIENTS; index++) {
        const headers = as(`user${index}`);
        const peer = await initialize(toUrl(front.url), { headers });
        workers.push(new Worker(cluster, peer, index));
      }
      let over = false;
      const work = Promise.all(workers.map(async (worker) => {
        while (!over) {
          await worker.add();
          await worker.emit();
          if (random() < 0.1) {
            await worker.trespass(
              workers[0] === worker ? workers[1] ?? worker : workers[0] ?? worker,
            );
          }
          await pause(random() * 50);
        }
      }));
      await breakThings(cluster, front, random).finally(() => over = true);
      await work;
      await Promise.all(workers.map((worker) => worker.check()));
      assert.ok(workers.every(({ told }) => told.length > 10), "hardly anything was done");
      await works(cluster, await aliceAt(cluster.nodes, "shared"));
    } finally {
      for (const { follower } of workers) follower.stop();
      await cluster?.stop();
      await front?.close();
      await redis.stop();
    }
  });
});
