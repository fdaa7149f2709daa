/**
 * Clients at work behind a proxy while nodes die, stand still and join, lines to Redis break, stall and slow
 * down, and Redis itself starts again and changes places with its replica, at random. Afterwards: nothing that
 * was acknowledged is lost, nothing came twice or to anybody else, no tool ran oftener than it may, every call
 * has one answer in time, no principal had more than its share by more than its margin, and everything works.
 *
 * Rounds of faults alternate with quiet ones, in which every call that was hit must end. `MOORING_SEED=…`
 * breaks the same things again in the same form; `MOORING_LONG=1` goes on for ten minutes.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { SILENT_MS } from "../../../src/cluster/types.ts";
import { connectIoRedis, noBinary } from "../../support/redis.ts";
import { as, initialize, logData, type Peer, textOf } from "../../support/wire.ts";
import { Caller, type Outcome } from "./caller.ts";
import { BACK_MS, works } from "./checks.ts";
import { aliceAt, Cluster, type ClusterNode, toUrl, until } from "./cluster.ts";
import { Follower } from "./follower.ts";
import { Front } from "./front.ts";
import { Metered } from "./metered.ts";
import { describePlan, type Fault, OUTAGES, planOf, randomFrom } from "./plan.ts";
import { RedisPair } from "./redis_pair.ts";

const LONG = process.env["MOORING_LONG"] === "1";
const SEED = Number(process.env["MOORING_SEED"]?.split(":")[0] ?? Date.now() % 100_000);
const ROUNDS = LONG ? 45 : 2;
/** The faults of one round, one after the other. */
const FAULTS_EACH = LONG ? 4 : 3;
const CLIENTS = 5;
/** The time within which every call has its answer after a fault, in milliseconds. */
const ANSWERED_MS = 10_000;
/** What a busy machine may add. */
const SLACK_MS = 3_000;
/** The time between two rounds, in which each node renews what it has leased, in milliseconds. */
const QUIET_MS = 2_000;
/** The most streams of one client that are read again after each round. */
const MOST_REPLAYS = 8;
/** What a proxy and a node say that can't answer now. */
const REFUSALS: readonly unknown[] = [undefined, "broken", 502, 503];

/** A call that a client has made, and what became of it. */
interface Made {
  readonly call: string;
  /** How often it may run. */
  readonly most: number;
  /** The numbers that it says before its answer. */
  readonly says: readonly number[];
  readonly caller: Caller;
  outcome?: Outcome;
}

/** One client, and what it was promised. */
class Worker {
  readonly peer: Peer;
  readonly follower: Follower;
  /** What it knows to have been told to its session. */
  readonly told: number[] = [];
  readonly made: Made[] = [];
  readonly #cluster: Cluster;
  readonly #first: number;
  #next: number;
  /** How many calls `checkResumed` has seen. */
  #checked = 0;

  constructor(cluster: Cluster, peer: Peer, index: number) {
    this.#cluster = cluster;
    this.peer = peer;
    this.follower = new Follower([peer]);
    // Nobody else is told the same numbers.
    this.#next = this.#first = index * 1_000_000;
  }

  /** Its calls that have no answer yet. */
  get open(): readonly Made[] {
    return this.made.filter(({ outcome }) => outcome === undefined);
  }

  /** Calls a tool whose answer is JSON. */
  async add(): Promise<void> {
    const n = ++this.#next;
    const call = `add ${n}`;
    const { responses } = await this.#call(call, "add", { call, a: n, b: 1 });
    for (const { result } of responses) assert.equal(textOf(result), String(n + 1));
  }

  /** Calls a tool that speaks for a while before it answers. */
  async count(): Promise<void> {
    const from = this.#next + 1;
    const to = this.#next += 10;
    const call = `count ${from}`;
    const says = Array.from({ length: 10 }, (_, n) => from + n);
    await this.#call(call, "count", { call, from, to, everyMs: 100 }, { says });
  }

  /** Calls a tool that may run again, and speaks too. */
  async again(): Promise<void> {
    const call = `again ${++this.#next}`;
    await this.#call(call, "again", { call, to: 3, thenMs: 300 }, { most: 2 });
  }

  /** Has its session told something. */
  async emit(): Promise<void> {
    const n = ++this.#next;
    const { responses } = await this.#call(`emit ${n}`, "emit", { from: n, to: n });
    if (textOf(responses[0]?.result) === `emitted ${n} to ${n}`) this.told.push(n);
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
    const missing = () => told.filter((n) => !follower.heard.includes(n));
    await until(() => missing().length === 0, "what was told", BACK_MS).catch((error: unknown) => {
      const last = follower.heard.slice(-3);
      const about = JSON.stringify({ missing: missing(), last, of: told.length });
      throw new Error(`${about} (${follower.trail})`, { cause: error });
    });
    const twice = follower.heard.filter((n, at) => follower.heard.indexOf(n) !== at);
    const ran = twice.map((n) => this.#cluster.count("ran", `emit ${n}`));
    assert.deepEqual({ twice, ran }, { twice: [], ran: [] });
    assert.deepEqual(follower.heard.filter((n) => told.includes(Number(n))), told);
    for (const n of follower.heard) {
      assert.equal(Math.floor(Number(n) / 1_000_000), this.#first / 1_000_000);
    }
    for (const made of this.made) this.#checkCall(made);
    await this.#checkReplays();
  }

  #checkCall({ call, most, says, outcome }: Made): void {
    const ran = this.#cluster.count("ran", call);
    assert.ok(outcome !== undefined, `${call} was not answered`);
    const { responses, refused, heard } = outcome;
    const about = `${call} ran ${ran} times: ${JSON.stringify({ responses, refused })}`;
    assert.ok(ran <= most, about);
    assert.ok(REFUSALS.includes(refused), about);
    assert.equal(responses.length, refused === undefined ? 1 : 0, about);
    if (responses.some(({ result }) => result !== undefined)) assert.ok(ran >= 1, about);
    const said = heard.map(logData).filter((n) => typeof n === "number");
    const own = says.filter((n) => said.includes(n));
    // Each once and in order, and nobody else's.
    if (says.length > 0) assert.deepEqual(said, own, about);
  }

  /** Checks that what is left of the last streams has the answers that their clients got, once. */
  async #checkReplays(): Promise<void> {
    const kept = this.made.filter(({ outcome }) =>
      outcome?.firstId !== undefined && outcome.refused === undefined
    );
    await this.#replay(kept.slice(-3));
  }

  /**
   * Checks that nothing came after the answers for which clients came back: nodes that others took for dead
   * may be there again.
   */
  async checkResumed(): Promise<void> {
    const resumed = this.made.slice(this.#checked).filter(({ outcome }) =>
      outcome?.resumed === true && outcome.refused === undefined
    );
    this.#checked = this.made.length;
    await this.#replay(resumed.slice(-MOST_REPLAYS));
  }

  async #replay(calls: readonly Made[]): Promise<void> {
    for (const { call, outcome } of calls) {
      const caller = new Caller([this.peer]);
      // A stream whose time is over is none any more: its reader gets the session's own stream.
      const done = setTimeout(() => caller.stop(), 2_000);
      const { responses } = await caller.replay(outcome?.firstId ?? "");
      clearTimeout(done);
      if (responses.length > 0) assert.deepEqual(responses, outcome?.responses, call);
    }
  }

  async #call(
    call: string,
    name: string,
    args: Readonly<Record<string, unknown>>,
    { says = [], most = 1 }: { says?: readonly number[]; most?: number } = {},
  ): Promise<Outcome> {
    const caller = new Caller([this.peer]);
    const made: Made = { call, most, says, caller };
    this.made.push(made);
    return made.outcome = await caller.call(call, name, args);
  }
}

/** What is broken, and mended. */
interface Broken {
  readonly cluster: Cluster;
  /** What leads to each endpoint. */
  readonly fronts: Readonly<Record<"shared" | "metered", Front>>;
  readonly redis: RedisPair;
}

/** Sends clients to the nodes that are there, but for one that stands still. */
function lead({ cluster, fronts }: Broken, still?: ClusterNode): void {
  const nodes = cluster.nodes.filter((node) => node !== still);
  for (const endpoint of ["shared", "metered"] as const) {
    fronts[endpoint].targets = nodes.map((node) => node.target(endpoint));
  }
}

/** Breaks the connections of all clients. */
function cutFronts({ fronts }: Broken): void {
  for (const front of Object.values(fronts)) front.cut();
}

/** Breaks one thing, and mends it. */
async function breakOne(broken: Broken, fault: Fault): Promise<void> {
  const { cluster, redis } = broken;
  const { nodes } = cluster;
  const node = nodes[Math.floor(fault.node * nodes.length)] ?? assert.fail("no node");
  const during = async (begin: () => void, mend: () => void) => {
    begin();
    await pause(fault.ms);
    mend();
  };
  switch (fault.kind) {
    case "kill":
      await node.kill();
      await cluster.add();
      return lead(broken);
    case "pause":
      // Its clients come back elsewhere meanwhile, so that others take it for dead.
      return await during(() => {
        node.pause();
        lead(broken, node);
        cutFronts(broken);
      }, () => {
        node.resume();
        lead(broken);
      });
    case "cut":
      return await during(() => node.line.cut(), () => node.line.mend());
    case "stall":
      return await during(() => node.line.stall(), () => node.line.mend());
    case "slow":
      return await during(() => node.line.delayMs = 40, () => node.line.delayMs = 0);
    case "front":
      return cutFronts(broken);
    case "restart":
      await redis.primary.stop();
      await pause(fault.ms);
      return await redis.primary.begin();
    case "failover":
      await redis.failOver();
      // Until then nodes write to a server that takes no writes.
      await pause(fault.ms);
      return cluster.redirect(redis.primary.url);
  }
}

/** Breaks what a plan says, one after the other, and then checks that every call ends in time. */
async function round(
  broken: Broken,
  plan: readonly Fault[],
  workers: readonly Worker[],
  metered: Metered,
): Promise<number> {
  for (const fault of plan) {
    await breakOne(broken, fault);
    // Clients come back elsewhere, also those whose node has kept their connection.
    if (fault.kind === "cut") cutFronts(broken);
    await pause(fault.thenMs);
  }
  const mendedAt = Date.now();
  const hit = workers.flatMap(({ open }) => open);
  const counted = metered.open;
  const late = () => [
    ...hit.filter(({ outcome }) => outcome === undefined)
      .map(({ call, caller }) => `${call} (${caller.trail})`),
    ...counted.filter(({ ended }) => !ended).map(({ call }) => call),
  ];
  const unsureMs = plan.some(({ kind }) => OUTAGES.has(kind)) ? SILENT_MS : 0;
  const ms = ANSWERED_MS + unsureMs;
  await until(() => late().length === 0, `an answer, within ${ms} ms`, ms + SLACK_MS)
    .catch((error: unknown) => {
      throw new Error(`${late().join(", ")} after ${describePlan(plan)}`, { cause: error });
    });
  const slowest = Date.now() - mendedAt;
  try {
    metered.check();
  } catch (error) {
    throw new Error(`A share is exceeded after ${describePlan(plan)}`, { cause: error });
  }
  return slowest;
}

/** Checks that every key of a cluster expires. */
async function noKeyStays(redis: RedisPair, prefix: string): Promise<void> {
  const { send, close } = await connectIoRedis(redis.primary.url);
  try {
    const keys = (await send("KEYS", `${prefix}*`)) as string[]; // by KEYS
    assert.ok(keys.length > 0);
    const lasting = [];
    for (const key of keys) if (await send("PTTL", key) === -1) lasting.push(key);
    assert.deepEqual(lasting.filter((key) => !key.includes(":d:")), []);
  } finally {
    await close();
  }
}

describe("chaos", { skip: noBinary }, () => {
  test(
    `[CLU-1, CLU-2, CLU-3, CLU-8, CLU-10, CLU-14, CLU-15, CLU-16, RDS-2] every promise is kept (MOORING_SEED=${SEED})`,
    {
      timeout: LONG ? 1_800_000 : 240_000,
    },
    async () => {
      const random = randomFrom(SEED);
      const plans = Array.from({ length: ROUNDS }, () => planOf(random, FAULTS_EACH));
      const redis = await RedisPair.start();
      let cluster: Cluster | undefined;
      let fronts: Broken["fronts"] | undefined;
      let metered: Metered | undefined;
      const workers: Worker[] = [];
      let over = false;
      try {
        cluster = await Cluster.start(redis.primary.url, 3, { metered: true });
        fronts = { shared: await Front.before([]), metered: await Front.before([]) };
        const broken = { cluster, fronts, redis };
        lead(broken);
        metered = new Metered(cluster, fronts.metered.url, randomFrom(SEED));
        for (let index = 0; index < CLIENTS; index++) {
          const headers = as(`user${index}`);
          const capabilities = { elicitation: { form: {} } };
          const peer = await initialize(toUrl(fronts.shared.url), { headers, capabilities });
          workers.push(new Worker(cluster, peer, index));
        }
        const work = Promise.all(workers.map(async (worker, index) => {
          const random = randomFrom(SEED + index);
          const often = async (act: () => Promise<void>) => {
            while (!over) {
              await act();
              await pause(random() * 50);
            }
          };
          await Promise.all([
            often(async () => {
              await worker.add();
              await worker.emit();
              if (random() > 0.1) return;
              await worker.trespass(workers[(index + 1) % workers.length] ?? worker);
            }),
            often(() => worker.count()),
            often(() => worker.again()),
          ]);
        }));
        const counted = metered.work();
        const slowest = [];
        try {
          for (const plan of plans) {
            slowest.push(await round(broken, plan, workers, metered));
            await pause(QUIET_MS);
            await Promise.all(workers.map((worker) => worker.checkResumed()));
          }
          if (LONG) await metered.wholeAgain();
        } finally {
          over = true;
          metered.stop();
        }
        await Promise.all([work, counted]);
        await Promise.all(workers.map((worker) => worker.check()));
        const most = metered.check();
        metered.checkCalls();
        const made = workers.flatMap(({ made }) => made);
        const lost = made.filter(({ outcome }) => outcome?.responses[0]?.error !== undefined);
        console.log(
          `# seed ${SEED}: ${made.length} calls, ${lost.length} lost with their node, the last ` +
            `answered ${
              Math.max(...slowest)
            } ms after its fault; of one principal ${most.atOnce} ` +
            `ran at once, and ${most.over.toFixed(1)} tokens were spent beyond the bucket`,
        );
        assert.ok(workers.flatMap(({ told }) => told).length > 30, "hardly anything was done");
        await works(cluster, await aliceAt(cluster.nodes, "shared"));
        await noKeyStays(redis, cluster.prefix);
      } finally {
        over = true;
        metered?.stop();
        for (const { follower } of workers) follower.stop();
        for (const node of cluster?.nodes ?? []) node.resume();
        await cluster?.stop();
        await Promise.all(Object.values(fronts ?? {}).map((front) => front.close()));
        await redis.close();
      }
    },
  );
});
