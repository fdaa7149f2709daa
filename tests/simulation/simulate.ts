/**
 * Runs one plan, and says what was wrong with what came of it.
 *
 * @module
 */
import { Environment, Random, START_MS } from "./environment.ts";
import { type CallRecord, SimulatedUser } from "./client.ts";
import { type Run, SimulatedNode, type Surroundings } from "./node.ts";
import { BUSY_MS, type Fault, type Plan, planOf, smaller } from "./plan.ts";
import { SimulatedNetwork } from "./redis/client.ts";
import { isObject } from "../../src/protocol/jsonrpc.ts";

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
/** The time of closing, in milliseconds. */
const CLOSE_MS = 60_000;
/** The most that a call of a calm plan takes beyond its steps, besides the client's coming back. */
const LATE_MS = 3_000;
/** The time in which a cancelled call stops while nothing goes wrong, in milliseconds. */
const CANCEL_MS = 1_000;

/** Runs a plan. */
export async function simulate(plan: Plan): Promise<Outcome> {
  const environment = new Environment();
  const restore = environment.install(plan.seed);
  try {
    return await new Simulation(plan, environment).run();
  } finally {
    restore();
  }
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
  readonly #users: SimulatedUser[];
  readonly #around: Surroundings;

  constructor(plan: Plan, environment: Environment) {
    this.#plan = plan;
    this.#environment = environment;
    this.#network = new SimulatedNetwork(() => Math.floor(environment.now), true);
    const note = (text: string) => void this.#trace.push(`${environment.now - START_MS} ${text}`);
    this.#around = {
      ...{ environment, network: this.#network, random: new Random(plan.seed) },
      ...{ delayMs: plan.delayMs, runs: this.#runs, note },
    };
    for (let i = 0; i < plan.nodes; i++) this.#start(i);
    this.#users = plan.clients.map((client, i) =>
      new SimulatedUser(`${client.owner}${i}`, client, new Random(plan.seed + i + 1), {
        ...{ environment, note, fail: (what) => this.#fail(what) },
        node: (random) => this.#nodes[random.int(0, plan.nodes - 1)] ?? this.#start(0),
      })
    );
  }

  async run(): Promise<Outcome> {
    const environment = this.#environment;
    await environment.advance(1_000);
    for (const fault of this.#plan.faults) environment.after(fault.at, () => this.#harm(fault));
    let over = 0;
    for (const user of this.#users) {
      user.run().then(() => void over++, (error) => this.#fail(`${user.name}: ${error}`));
    }
    for (let ms = 0; over < this.#users.length && ms < END_MS; ms += 1_000) {
      await environment.advance(1_000);
    }
    if (over < this.#users.length) this.#fail("A client waits for ever");
    await environment.advance(2 * BUSY_MS);
    this.#check();
    await this.#close();
    return { plan: this.#plan, failures: this.#failures, trace: this.#trace };
  }

  #start(at: number): SimulatedNode {
    const node = new SimulatedNode(`node${this.#all.length}`, this.#around);
    this.#nodes[at] = node;
    this.#all.push(node);
    return node;
  }

  #fail(what: string): void {
    this.#failures.push(what);
    this.#around.note(`WRONG ${what}`);
  }

  #harm(fault: Fault): void {
    const { note } = this.#around;
    note(JSON.stringify(fault));
    const network = this.#network;
    if (fault.do === "failover") {
      const replica = network.server.snapshot();
      this.#environment.after(fault.lagMs, () => network.server.restore(replica));
      return;
    }
    const node = this.#nodes[fault.node];
    if (node === undefined) return;
    switch (fault.do) {
      case "kill":
        node.kill();
        this.#start(fault.node);
        return;
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
    const { faults } = this.#plan;
    // A failover loses what was acknowledged, sessions and events too.
    const forgetful = faults.some((fault) => fault.do === "failover");
    for (const user of this.#users) {
      if (user.gone && !forgetful) this.#fail(`${user.name} lost its session`);
      const heard = new Set(user.heard);
      if (heard.size < user.heard.length && !forgetful) {
        this.#fail(`${user.name} heard something twice: ${user.heard}`);
      }
      for (const call of user.calls) this.#checkCall(call, forgetful);
    }
    for (const { call, node, ended } of this.#runs) {
      if (ended === undefined && !node.dead) {
        this.#fail(`${call} still runs at ${node.name}`);
      }
    }
    for (const node of this.#nodes) {
      const { requests, streams, questions } = node.handler.stats();
      if (requests + streams + questions > 0) {
        this.#fail(`${node.name} keeps ${JSON.stringify(node.handler.stats())}`);
      }
    }
    const kept = this.#network.server.keys.filter((key) => /:(record|state|uris)$/.test(key));
    const unclear = forgetful || this.#users.some((user) => user.unclear);
    if (kept.length > 0 && !unclear) this.#fail(`The store keeps ${kept.length} session keys`);
  }

  #checkCall(record: CallRecord, forgetful: boolean): void {
    const { call, answers, progress, action, statuses, lost, resumable, cancelledAt } = record;
    const calm = this.#plan.faults.length === 0;
    const runs = this.#runs.filter((run) => run.call === call);
    const fail = (what: string) => this.#fail(`${call} ${what}`);
    if (record.era === "2025" && runs.length > 1 && !action.again) fail("ran twice");
    const effects = runs.filter(({ effect }) => effect).length;
    if (effects > 1 && !action.again) fail("had its effect twice");
    if (answers.length > 1) fail("got two answers");
    if (calm && (lost || statuses.some((status) => status !== 200)) && cancelledAt === undefined) {
      fail(`got ${statuses}, lost: ${lost}`);
    }
    const owed = resumable && cancelledAt === undefined && !forgetful;
    if (owed && answers.length === 0) fail(`got no answer: ${statuses}`);
    if (progress.some((step, i) => step <= (progress[i - 1] ?? 0))) fail(`got ${progress}`);
    // What could not be stored in time is lost, and reported.
    const told = runs.some(({ node, begun, ended = Infinity }) =>
      node.troubles.some((at) => at >= begun && at <= ended + LATE_MS)
    );
    const whole = !forgetful && !told;
    if (whole && progress.some((step, i) => step !== i + 1)) fail(`got ${progress}`);
    const [answer] = answers;
    if (isObject(answer?.result) && !answer.result.isError) {
      const { content } = answer.result;
      const text = Array.isArray(content) ? content[0]?.text : undefined;
      const word = action.ask ? call : "";
      if (text !== `${call} ${word}`) fail(`got ${JSON.stringify(answer.result)}`);
      if (progress.length !== action.steps && whole) fail(`missed progress: ${progress}`);
      if (runs.length === 0) fail("has a result of no run");
    } else if (answer !== undefined && calm && cancelledAt === undefined) {
      fail(`got ${JSON.stringify(answer)}`);
    }
    if (!calm) return;
    const took = (record.ended ?? Infinity) - record.began;
    if (took > action.steps * action.stepMs + LATE_MS) fail(`took ${took} ms`);
    for (const { begun, ended } of runs) {
      // A cancellation may arrive before the call.
      if (begun > record.cancelSentAt) continue;
      if (cancelledAt !== undefined && (ended ?? Infinity) > cancelledAt + CANCEL_MS) {
        fail("ran on although it was cancelled");
      }
    }
  }

  async #close(): Promise<void> {
    let closed = 0;
    for (const node of this.#nodes) {
      node.run(() => void node.handler.close({ graceMs: 0 }).then(() => closed++, () => closed++));
    }
    await this.#environment.advance(CLOSE_MS);
    if (closed < this.#nodes.length) this.#fail("A node doesn't close");
    for (const node of this.#nodes) {
      if (node.timers > 0) this.#fail(`${node.name} keeps ${node.timers} timers`);
    }
  }
}
