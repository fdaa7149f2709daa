/**
 * Defines what a simulation does, all of it data: a seed makes a plan, and a plan can be made smaller.
 *
 * @module
 */
import { Random } from "./environment.ts";

/** What a client does. Times are in milliseconds since the beginning. */
export type Action =
  /** Calls a tool that reports `steps` steps, and perhaps asks. */
  | {
    readonly do: "call";
    readonly at: number;
    readonly steps: number;
    readonly stepMs: number;
    readonly ask: boolean;
    /** Whether the tool may run again when its node has died. */
    readonly again: boolean;
    /** The silence after which the client takes its connection for broken; never if 0. */
    readonly idleMs: number;
    /** The messages after which the client's connection breaks; never if 0. */
    readonly cutAfter: number;
    /** The time after which the client cancels the call; never if 0. */
    readonly cancelMs: number;
  }
  /** Sends the session's id as another user. */
  | { readonly do: "steal"; readonly at: number }
  /** Writes to the session's state, and reads it elsewhere. */
  | { readonly do: "state"; readonly at: number }
  /** Sends the session a notification from some node. */
  | { readonly do: "notify"; readonly at: number };

/** What goes wrong. */
export type Fault =
  /** A node dies, and another one starts after a time. */
  | { readonly do: "kill"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node stands still, or a message from or to it takes long. */
  | { readonly do: "stall"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node's clock jumps, back too. */
  | { readonly do: "jump"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node loses its connection for commands. */
  | {
    readonly do: "drop";
    readonly at: number;
    readonly node: number;
    readonly ms: number;
    readonly again: boolean;
    readonly arrived: boolean;
  }
  /** A node loses its connection for subscriptions. */
  | { readonly do: "deaf"; readonly at: number; readonly node: number; readonly ms: number }
  /** The server is replaced by a replica that lags. */
  | { readonly do: "failover"; readonly at: number; readonly lagMs: number };

/** A client and what it does. */
export interface ClientPlan {
  readonly owner: string;
  readonly era: "2025" | "2026";
  readonly actions: readonly Action[];
}

/** A whole simulation. */
export interface Plan {
  readonly seed: number;
  readonly nodes: number;
  /** The longest time that a packet travels, in milliseconds. */
  readonly delayMs: number;
  readonly clients: readonly ClientPlan[];
  readonly faults: readonly Fault[];
}

/** The time in which all that is planned begins, in milliseconds. */
export const BUSY_MS = 20_000;

/** The most that a clock is wrong: two may differ by less than 30 s, as docs/scaling.md says. */
const MOST_SKEW_MS = 14_000;

/** Makes the plan of a seed. */
export function planOf(seed: number): Plan {
  const random = new Random(Math.imul(seed + 1, 0x9e3779b1));
  const nodes = random.int(2, 3);
  const at = () => random.int(0, BUSY_MS);
  const node = () => random.int(0, nodes - 1);
  const calm = random.chance(0.25);
  const action = (): Action => {
    const kind = random.next();
    if (kind < 0.1) return { do: "steal", at: at() };
    if (kind < 0.2) return { do: "state", at: at() };
    if (kind < 0.3) return { do: "notify", at: at() };
    return {
      do: "call",
      at: at(),
      steps: random.int(0, 6),
      stepMs: random.int(1, 10) * random.int(1, 200),
      ask: random.chance(0.25),
      again: random.chance(0.3),
      idleMs: random.chance(0.4) ? random.int(500, 4_000) : 0,
      cutAfter: random.chance(0.4) ? random.int(1, 4) : 0,
      cancelMs: random.chance(0.25) ? random.int(1, 3_000) : 0,
    };
  };
  const fault = (): Fault => {
    const kind = random.next();
    const common = { at: at(), node: node(), ms: random.int(5, 3_000) };
    if (kind < 0.3) return { do: "kill", ...common };
    if (kind < 0.45) return { do: "stall", ...common, ms: random.int(50, 20_000) };
    if (kind < 0.55) return { do: "jump", ...common, ms: random.int(-MOST_SKEW_MS, MOST_SKEW_MS) };
    if (kind < 0.75) {
      return { do: "drop", ...common, again: random.chance(0.5), arrived: random.chance(0.5) };
    }
    if (kind < 0.95) return { do: "deaf", ...common };
    return { do: "failover", at: common.at, lagMs: random.int(1, 500) };
  };
  return {
    seed,
    nodes,
    delayMs: random.int(1, 40),
    clients: Array.from({ length: random.int(1, 3) }, () => ({
      owner: random.chance(0.5) ? "alice" : "bob",
      era: random.chance(0.25) ? "2026" : "2025",
      actions: Array.from({ length: random.int(1, 6) }, action),
    })),
    faults: calm ? [] : Array.from({ length: random.int(1, 4) }, fault),
  };
}

const SIMPLER = [
  ...[["steps", 0], ["ask", false], ["again", false], ["idleMs", 0]] as const,
  ...[["cutAfter", 0], ["cancelMs", 0]] as const,
] as const;

/** Lists plans that are a little smaller, the smallest first. */
export function* smaller(plan: Plan): Iterable<Plan> {
  const { faults, clients } = plan;
  for (const at of faults.keys()) yield { ...plan, faults: without(faults, at) };
  for (const at of clients.keys()) yield { ...plan, clients: without(clients, at) };
  for (const [at, client] of clients.entries()) {
    for (const which of client.actions.keys()) {
      const actions = without(client.actions, which);
      yield { ...plan, clients: clients.with(at, { ...client, actions }) };
    }
    for (const [which, action] of client.actions.entries()) {
      if (action.do !== "call") continue;
      for (const [name, value] of SIMPLER) {
        if (action[name] === value) continue;
        const actions = client.actions.with(which, { ...action, [name]: value });
        yield { ...plan, clients: clients.with(at, { ...client, actions }) };
      }
    }
  }
  if (plan.delayMs > 1) yield { ...plan, delayMs: 1 };
}

function without<T>(list: readonly T[], at: number): T[] {
  return list.toSpliced(at, 1);
}
