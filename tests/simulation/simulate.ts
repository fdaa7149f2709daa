/**
 * Runs one plan, and says what was wrong with what came of it.
 *
 * @module
 */
import { SimulatedUser } from "./client.ts";
import { Environment, Random, START_MS } from "./environment.ts";
import { type Run, SimulatedNode, type Surroundings } from "./node.ts";
import { type ClientPlan, type Fault, type Plan, smaller } from "./plan.ts";
import { SimulatedNetwork } from "./redis/client.ts";
import type { ClientSurroundings, SimulatedPeer } from "./request.ts";
import { Disk } from "./sqlite.ts";
import { SignInUser } from "./sign_in_user.ts";
import { TaskUser } from "./task_user.ts";
import { planOf } from "./themes.ts";
import { HARM_MS } from "./times.ts";

/** What came of a plan. */
export interface Outcome {
  readonly plan: Plan;
  /** What was wrong. */
  readonly failures: readonly string[];
  /** What happened, a line each. */
  readonly trace: readonly string[];
}

/** The time within which everything has ended, in milliseconds. */
const END_MS = 300_000;
/** The time of a client that finds out whether a node works, in milliseconds. */
const PROBE_MS = 30_000;
/** The longest delay of a packet with which nothing is late, in milliseconds. */
const FAST_MS = 300;
/** The time after which a process that could not start is started again, in milliseconds. */
const START_AGAIN_MS = 500;
/** The time of closing, in milliseconds. */
const CLOSE_MS = 60_000;
/** The time in which a node that heard nothing of a session's end learns of it, in milliseconds. */
const LEARN_MS = 70_000;

/** Runs a plan. */
export function simulate(plan: Plan): Promise<Outcome> {
  const environment = new Environment();
  return environment.during(plan.seed, () => new Simulation(plan, environment).run());
}

/** Finds the smallest plan that fails. */
export async function shrink(outcome: Outcome, most = 300): Promise<Outcome> {
  let best = outcome;
  let tries = 0;
  for (let found = true; found;) {
    found = false;
    for (const plan of smaller(best.plan)) {
      if (tries++ >= most) return best;
      const next = await simulate(plan);
      if (next.failures.length === 0) continue;
      best = next;
      found = true;
      break;
    }
  }
  return best;
}

/** Runs the plan of a seed. */
export function simulateSeed(seed: number): Promise<Outcome> {
  return simulate(planOf(seed));
}

class Simulation {
  readonly #plan: Plan;
  readonly #environment: Environment;
  readonly #network: SimulatedNetwork;
  readonly #nodes: SimulatedNode[] = [];
  readonly #all: SimulatedNode[] = [];
  readonly #runs: Run[] = [];
  readonly #trace: string[] = [];
  readonly #failures: string[] = [];
  readonly #users: SimulatedPeer[];
  readonly #around: Surroundings;

  constructor(plan: Plan, environment: Environment) {
    this.#plan = plan;
    this.#environment = environment;
    this.#network = new SimulatedNetwork(() => Math.floor(environment.now), true);
    const note = (text: string) => void this.#trace.push(`${environment.now - START_MS} ${text}`);
    const disk = plan.file ? new Disk() : undefined;
    if (disk !== undefined) disk.onDeath = () => this.#replace(0);
    this.#around = {
      disk,
      ...{ environment, network: this.#network, random: new Random(plan.seed) },
      ...{
        plan,
        runs: this.#runs,
        note, // A call that is cancelled gives its place back at once, and ends in the same moment.
        onRun: (run) => void environment.after(1, () => this.#checkShare(run)),
      },
    };
    for (let i = 0; i < plan.nodes; i++) this.#start(i);
    const around: ClientSurroundings = {
      ...{ environment, note, runs: this.#runs, nodes: this.#nodes },
      calm: plan.faults.length === 0 && this.#fast,
      // A failover loses what was acknowledged, sessions and events too, and so does a power cut.
      forgetful: this.#forgetful,
      fail: (what) => this.#fail(what),
      node: (random) => this.#nodes[random.int(0, plan.nodes - 1)] ?? this.#start(0),
    };
    this.#users = plan.clients.map((client, i) =>
      this.#user(`${client.owner}${i}`, client, new Random(plan.seed + i + 1), around)
    );
  }

  /** Whether commands, one after the other, are always answered within the store's time limit. */
  get #fast(): boolean {
    return this.#plan.delayMs <= FAST_MS;
  }

  get #forgetful(): boolean {
    return this.#plan.faults.some((fault) => ["failover", "power"].includes(fault.do));
  }

  #user(
    name: string,
    client: ClientPlan,
    random: Random,
    around: ClientSurroundings,
  ): SimulatedPeer {
    if (client.kind === "tasks") return new TaskUser(name, this.#plan, client, random, around);
    if (client.kind === "sign-in") return new SignInUser(name, client, random, around);
    return new SimulatedUser(name, this.#plan, client, random, around);
  }

  async run(): Promise<Outcome> {
    const environment = this.#environment;
    await environment.advance(HARM_MS);
    for (const fault of this.#plan.faults) environment.after(fault.at, () => this.#harm(fault));
    let over = 0;
    for (const user of this.#users) {
      user.run().then(() => void over++, (error) => this.#fail(`${user.name}: ${error}`));
    }
    for (let ms = 0; over < this.#users.length && ms < END_MS; ms += 1_000) {
      await environment.advance(1_000);
      this.#checkStore();
    }
    if (over < this.#users.length) this.#fail("A client waits for ever");
    await environment.advance(LEARN_MS);
    this.#around.disk?.dieAfter(Infinity);
    this.#check();
    await this.#probe();
    await this.#close();
    this.#around.disk?.remove();
    return { plan: this.#plan, failures: this.#failures, trace: this.#trace };
  }

  #start(at: number): SimulatedNode {
    const node = new SimulatedNode(`node${this.#all.length}`, this.#around);
    this.#nodes[at] = node;
    this.#all.push(node);
    return node;
  }

  /** Ends a node at once, and starts another one in its place. */
  #replace(at: number): void {
    this.#nodes[at]?.kill();
    try {
      this.#start(at);
    } catch (error) {
      // A process doesn't start while its disk fails.
      this.#around.note(`no start: ${error}`);
      this.#around.disk?.leave();
      this.#environment.after(START_AGAIN_MS, () => this.#replace(at));
    }
  }

  #fail(what: string): void {
    if (this.#failures.includes(what)) return;
    this.#failures.push(what);
    this.#around.note(`WRONG ${what}`);
  }

  #harm(fault: Fault): void {
    const { note } = this.#around;
    note(JSON.stringify(fault));
    const network = this.#network;
    const { disk } = this.#around;
    switch (fault.do) {
      case "replay":
        return network.replay();
      case "crash":
        return disk?.dieAfter(fault.steps);
      case "power":
        disk?.leave(this.#around.random);
        return this.#replace(0);
      case "disk": {
        const over = disk?.fail(fault.full ? "database or disk is full" : "disk I/O error");
        return void this.#environment.after(fault.ms, () => over?.());
      }
    }
    if (fault.do === "failover") {
      const replica = network.server.snapshot();
      this.#environment.after(fault.lagMs, () => network.server.restore(replica));
      return;
    }
    const node = this.#nodes[fault.node];
    if (node === undefined) return;
    switch (fault.do) {
      case "kill":
        disk?.leave();
        return this.#replace(fault.node);
      case "stall":
        return node.stall(fault.ms);
      case "jump":
        return node.jump(fault.ms);
      case "drop":
        return node.drop(fault.ms, fault.again, fault.arrived);
      case "deaf":
        return node.deafen(fault.ms);
    }
  }

  #check(): void {
    for (const user of this.#users) user.check();
    for (const { call, node, ended } of this.#runs) {
      if (ended === undefined && !node.dead) this.#fail(`${call} still runs at ${node.name}`);
    }
    for (const node of this.#nodes) {
      const { requests, streams, questions } = node.handler.stats();
      if (requests + streams + questions > 0) {
        this.#fail(`${node.name} keeps ${JSON.stringify(node.handler.stats())}`);
      }
    }
    const kept = this.#network.server.keys.filter((key) => /:(record|state|uris)$/.test(key));
    const { pinned, faults } = this.#plan;
    const rows = this.#users.length > 0 ? this.#around.disk?.count("mooring_session") ?? 0 : 0;
    const unclear = this.#forgetful || (pinned && faults.length > 0) ||
      this.#users.some((user) => user instanceof SimulatedUser && user.unclear);
    if (kept.length > 0 && !unclear) this.#fail(`The store keeps ${kept.length} session keys`);
    if (rows > 0 && !unclear) this.#fail(`The file keeps ${rows} sessions`);
  }

  /** No user has more calls running than all nodes together may run. */
  #checkShare({ call }: Run): void {
    const { share } = this.#plan;
    if (share === undefined) return;
    const owner = /^[a-z]+/.exec(call)?.[0] ?? "";
    const running = this.#runs.filter((run) =>
      run.ended === undefined && !run.node.dead && run.call.startsWith(owner)
    );
    const margin = share < 20 ? 0 : Math.floor(share / 20) * (this.#all.length - 1);
    if (running.length > share + margin) this.#fail(`${owner} runs ${running.length} calls`);
  }

  /** What the store keeps of a run is gone once the stream of its answer has ended. */
  #checkStore(): void {
    for (const [, fields] of this.#network.server.hashes()) {
      for (const [name, text] of fields) {
        const stream = /^[rk]:(.*)$/.exec(name)?.[1];
        const [, ended] = /^\d+\|\d+\|(\d)/.exec(fields.get(`s:${stream}`) ?? "") ?? [];
        if (stream === undefined || ended === undefined || ended === "0") continue;
        this.#fail(
          `The store keeps ${name.slice(0, 1)}: ${text.length} of a stream that has ended`,
        );
        return;
      }
    }
  }

  /** Whatever has happened: every node serves a new client now. */
  async #probe(): Promise<void> {
    const environment = this.#environment;
    const action = {
      ...{ do: "call", at: 0, steps: 1, stepMs: 1, ask: false, again: false } as const,
      ...{ idleMs: 0, cutAfter: 0, cancelMs: 0 },
    };
    for (const node of this.#nodes) {
      const plan: Plan = { ...this.#plan, faults: [], clients: [] };
      const client: ClientPlan = { owner: "carol", era: "2025", actions: [action] };
      const user = new SimulatedUser(`${node.name} probe`, plan, client, new Random(1), {
        ...{ environment, runs: this.#runs, nodes: [node], calm: this.#fast, forgetful: false },
        node: () => node,
        note: this.#around.note,
        fail: (what) => this.#fail(what),
      });
      let over = false;
      user.run().then(() => over = true, (error) => this.#fail(`${user.name}: ${error}`));
      for (let ms = 0; !over && ms < PROBE_MS; ms += 1_000) await environment.advance(1_000);
      if (!over) this.#fail(`${node.name} serves nobody`);
      user.check();
    }
  }

  async #close(): Promise<void> {
    let closed = 0;
    for (const node of this.#nodes) {
      node.run(() => void node.close().then(() => closed++, () => closed++));
    }
    await this.#environment.advance(CLOSE_MS);
    if (closed < this.#nodes.length) this.#fail("A node doesn't close");
    for (const node of this.#nodes) {
      if (node.timers > 0) this.#fail(`${node.name} keeps ${node.timers} timers`);
    }
  }
}
