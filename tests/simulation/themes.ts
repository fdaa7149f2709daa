/**
 * Makes the plan of a seed. Each seed has a theme, which says what happens more often than by chance: some
 * faults need several things to meet.
 *
 * @module
 */
import { Random } from "./environment.ts";
import { type Action, BUSY_MS, type ClientPlan, type Fault, type Plan } from "./plan.ts";

/** The most that a clock is wrong: two may differ by less than 30 s, as docs/scaling.md says. */
const MOST_SKEW_MS = 14_000;

/** Says which seeds have one of the themes that are drawn apart: none that a test or a table names. */
const SALT = 0x85ebdf99;

type Call = Action & { readonly do: "call" };
type FaultKind = Fault["do"];

/** Makes the parts of a plan. */
class Maker {
  readonly random: Random;
  readonly nodes: number;
  busyMs = BUSY_MS;

  constructor(seed: number) {
    this.random = new Random(Math.imul(seed + 1, 0x9e3779b1));
    this.nodes = this.random.int(2, 3);
  }

  at(): number {
    return this.random.int(0, this.busyMs);
  }

  times<T>(from: number, to: number, make: () => T): T[] {
    return Array.from({ length: this.random.int(from, to) }, make);
  }

  call(changes: Partial<Call> = {}): Call {
    const { random } = this;
    return {
      do: "call",
      at: this.at(),
      steps: random.int(0, 6),
      stepMs: random.int(1, 10) * random.int(1, 200),
      ask: random.chance(0.25),
      again: random.chance(0.3),
      idleMs: random.chance(0.4) ? random.int(500, 4_000) : 0,
      cutAfter: random.chance(0.4) ? random.int(1, 4) : 0,
      cancelMs: random.chance(0.25) ? random.int(1, 3_000) : 0,
      ...random.chance(0.1) && { approve: true, ask: false, again: false },
      ...random.chance(0.1) && { leave: true },
      ...changes,
    };
  }

  action(): Action {
    const kind = this.random.next();
    if (kind < 0.1) return { do: "steal", at: this.at() };
    if (kind < 0.2) return { do: "state", at: this.at() };
    if (kind < 0.3) return { do: "notify", at: this.at() };
    return this.call();
  }

  signIn(): Action {
    const { random } = this;
    return {
      do: "sign-in",
      at: this.at(),
      twiceMs: random.chance(0.4) ? random.int(1, 300) : 0,
      refreshes: random.int(0, 4),
      againMs: random.chance(0.6) ? random.int(1, 600) : 0,
      reuse: random.chance(0.3),
    };
  }

  client(actions: readonly Action[], changes: Partial<ClientPlan> = {}): ClientPlan {
    return {
      owner: this.random.chance(0.5) ? "alice" : "bob",
      era: this.random.chance(0.25) ? "2026" : "2025",
      actions,
      ...changes,
    };
  }

  clients(): ClientPlan[] {
    return this.times(1, 3, () => this.client(this.times(1, 6, () => this.action())));
  }

  fault(kind: FaultKind = this.#kind()): Fault {
    const { random } = this;
    const common = { at: this.at(), node: random.int(0, this.nodes - 1), ms: random.int(5, 3_000) };
    switch (kind) {
      case "kill":
      case "deaf":
        return { do: kind, ...common };
      case "stall":
        return { do: kind, ...common, ms: random.int(50, 20_000) };
      case "jump":
        return { do: kind, ...common, ms: random.int(-MOST_SKEW_MS, MOST_SKEW_MS) };
      case "drop":
        return { do: kind, ...common, again: random.chance(0.5), arrived: random.chance(0.5) };
      case "failover":
        return { do: kind, at: common.at, lagMs: random.int(1, 500) };
      case "crash":
        return { do: kind, at: common.at, steps: random.int(1, 40) };
      case "power":
        return { do: kind, at: common.at };
      case "disk":
        return { do: kind, at: common.at, ms: common.ms, full: random.chance(0.5) };
      case "replay":
        return { do: kind, at: common.at };
    }
  }

  #kind(): FaultKind {
    const kind = this.random.next();
    if (kind < 0.3) return "kill";
    if (kind < 0.45) return "stall";
    if (kind < 0.55) return "jump";
    if (kind < 0.75) return "drop";
    if (kind < 0.9) return "deaf";
    return kind < 0.95 ? "replay" : "failover";
  }

  /** Makes faults of some kinds. */
  faults(from: number, to: number, ...kinds: readonly FaultKind[]): Fault[] {
    return this.times(from, to, () => this.fault(kinds[this.random.int(0, kinds.length - 1)]));
  }
}

type Theme = (maker: Maker) => Partial<Plan>;

/** The themes, each as often as its number says. */
const THEMES: readonly (readonly [name: string, often: number, theme: Theme])[] = [
  ["calm", 3, () => ({ faults: [] })],
  ["all", 6, (maker) => ({ faults: maker.faults(1, 4) })],
  // A run moves to another node, and the first comes back before the second has ended.
  ["move", 6, (maker) => {
    const { random } = maker;
    maker.busyMs = 8_000;
    // Some answer at once when their node comes back, just as others take it for lost.
    const late = random.chance(0.5);
    const call = () =>
      late
        ? maker.call({
          ...{ again: false, cancelMs: 0, leave: false, approve: false, ask: false, cutAfter: 0 },
          ...{ steps: random.int(1, 2), stepMs: random.int(1_000, 6_000) },
          ...{ idleMs: random.int(500, 2_000), at: random.int(0, 2_000) },
        })
        : maker.call({
          ...{ again: random.chance(0.5), cancelMs: 0, leave: false, approve: false, ask: false },
          ...{ steps: random.int(2, 6), stepMs: random.int(300, 2_500) },
          ...{ idleMs: random.int(500, 3_000), at: random.int(0, 3_000) },
        });
    const stall = (): Fault => ({
      ...{ do: "stall", node: random.int(0, maker.nodes - 1) },
      at: late ? random.int(1_000, 3_500) : random.int(200, 5_000),
      // Others take it for lost after six seconds or more.
      ms: random.chance(0.5) ? random.int(5_500, 9_000) : random.int(6_000, 14_000),
    });
    return {
      delayMs: random.chance(0.5) ? random.int(100, 500) : random.int(1, 40),
      clients: maker.times(1, 3, () => maker.client(maker.times(1, 4, call), { era: "2025" })),
      faults: [...maker.times(1, 2, stall), ...maker.faults(0, 1, "kill", "drop", "deaf")],
    };
  }],
  // What meets only by chance meets more often where each packet takes long.
  ["slow", 3, (maker) => {
    const { random } = maker;
    const action = () =>
      random.chance(0.5)
        ? maker.call({ steps: random.int(1, 2), stepMs: random.int(1, 100) })
        : maker.action();
    return {
      delayMs: random.int(100, 500),
      clients: maker.times(1, 3, () => maker.client(maker.times(1, 6, action))),
      faults: maker.faults(0, 4, "kill", "stall", "drop", "deaf"),
    };
  }],
  // Commands are on their way when a connection breaks.
  ["drop", 4, (maker) => {
    const { random } = maker;
    maker.busyMs = 6_000;
    const call = () =>
      maker.call({
        ...{ steps: random.int(3, 8), stepMs: random.int(10, 200), leave: false },
        ...{ idleMs: random.int(500, 2_000), cutAfter: random.int(0, 3) },
      });
    return {
      delayMs: random.int(5, 200),
      clients: maker.times(1, 2, () => maker.client(maker.times(4, 10, call), { era: "2025" })),
      faults: maker.faults(3, 8, "drop").map((fault) => ({
        ...fault,
        ms: random.chance(0.7) ? random.int(5, 1_000) : random.int(1_000, 3_000),
      })),
    };
  }],
  // Clients go away from calls that run long, cancel them, and end their sessions.
  ["deaf", 3, (maker) => {
    const { random } = maker;
    maker.busyMs = 6_000;
    const call = () => {
      const kind = random.next();
      // Those that are cancelled would run on for long after all is well again.
      if (kind < 0.3) {
        const cancelMs = random.int(50, 2_000);
        return maker.call({ leave: true, cancelMs, steps: 6, stepMs: random.int(1_500, 2_500) });
      }
      if (kind > 0.6) return maker.action();
      return maker.call({ leave: true, steps: random.int(4, 6), stepMs: random.int(500, 2_500) });
    };
    return {
      clients: maker.times(1, 3, () => maker.client(maker.times(1, 5, call))),
      faults: maker.faults(2, 6, "deaf"),
    };
  }],
  ["listen", 2, (maker) => {
    maker.busyMs = 3 * BUSY_MS;
    const action = (): Action =>
      maker.random.chance(0.5)
        ? { do: "listen", at: maker.at() }
        : { do: "notify", at: maker.at() };
    return {
      clients: maker.times(1, 2, () => maker.client(maker.times(2, 8, action), { era: "2025" })),
      faults: maker.faults(0, 5, "deaf"),
    };
  }],
  ["pinned", 4, (maker) => {
    const { random } = maker;
    // Much is said at once.
    const action = () =>
      random.chance(0.4)
        ? maker.call({ steps: random.int(3, 8), stepMs: random.int(1, 3), leave: false })
        : maker.action();
    return {
      pinned: true,
      delayMs: random.int(1, 100),
      clients: maker.times(1, 3, () => maker.client(maker.times(1, 6, action))),
      // What was never delivered can be delivered by whoever recorded it, for as long as it is fresh.
      faults: random.chance(0.2)
        ? []
        : random.chance(0.2)
        ? maker.faults(1, 4, "replay")
        : maker.faults(1, 4, "kill", "stall", "drop", "deaf"),
    };
  }],
  ["tasks", 5, (maker) => {
    const { random } = maker;
    maker.busyMs = 10_000;
    // Some nodes come back after others have taken their tasks.
    const back = random.chance(0.5);
    const call = () =>
      maker.call({
        ...back && { again: random.chance(0.6), ask: false, steps: random.int(1, 4) },
        ...back && { stepMs: random.int(1_000, 4_000) },
        cancelMs: random.chance(0.3) ? random.int(500, 8_000) : 0,
      });
    const stall = () => ({ ...maker.fault("stall"), ms: random.int(5_000, 16_000) });
    return {
      clients: maker.times(
        1,
        3,
        () => maker.client(maker.times(1, 4, call), { era: "2026", kind: "tasks" }),
      ),
      faults: random.chance(0.2) ? [] : [
        ...back ? maker.times(1, 2, stall) : [],
        ...maker.faults(0, 3, "kill", "stall", "drop", "deaf", "deaf", "jump"),
      ],
    };
  }],
  ["sign-in", 2, (maker) => ({
    clients: maker.times(
      1,
      2,
      () => maker.client(maker.times(1, 2, () => maker.signIn()), { era: "2026", kind: "sign-in" }),
    ),
    faults: maker.random.chance(0.3) ? [] : maker.faults(1, 4, "kill", "stall", "drop"),
  })],
  ["file", 4, (maker) => ({
    ...{ file: true, nodes: 1, delayMs: maker.random.int(1, 20) },
    faults: maker.random.chance(0.2)
      ? []
      : maker.faults(1, 5, "kill", "crash", "crash", "crash", "disk", "stall", "power"),
  })],
  ["shares", 2, (maker) => {
    const { random } = maker;
    const share = random.chance(0.8) ? random.int(1, 4) : 20;
    maker.busyMs = 6_000;
    const call = () => maker.call({ leave: false, approve: false, stepMs: random.int(20, 900) });
    const each = share < 20 ? 2 * share : 15;
    return {
      share,
      clients: maker.times(2, 3, () => maker.client(maker.times(each, 2 * each, call))),
      faults: random.chance(0.4) ? [] : maker.faults(1, 3, "kill", "stall", "drop", "deaf"),
    };
  }],
];

/**
 * The themes of every fifth seed or so, apart from the others, so that those keep their seeds: each as often
 * as its number says.
 */
const MORE_THEMES: typeof THEMES = [
  // Tasks that say nothing for long are cancelled while their node hears nothing.
  ["deaf-tasks", 2, (maker) => {
    const { random } = maker;
    maker.busyMs = 6_000;
    const call = () =>
      maker.call({
        ...{ again: false, ask: random.chance(0.2), cancelMs: random.int(50, 3_000) },
        ...{ steps: random.int(1, 2), stepMs: random.int(4_000, 16_000) },
      });
    return {
      clients: maker.times(
        1,
        3,
        () => maker.client(maker.times(1, 3, call), { era: "2026", kind: "tasks" }),
      ),
      faults: maker.faults(2, 5, "deaf"),
    };
  }],
  ["file-tasks", 2, (maker) => ({
    ...{ file: true, nodes: 1, delayMs: maker.random.int(1, 20) },
    clients: maker.times(
      1,
      3,
      () => maker.client(maker.times(1, 4, () => maker.call()), { era: "2026", kind: "tasks" }),
    ),
    faults: maker.random.chance(0.2)
      ? []
      : maker.faults(1, 5, "kill", "crash", "crash", "crash", "disk", "stall", "power"),
  })],
  ["file-sign-in", 2, (maker) => ({
    ...{ file: true, nodes: 1, delayMs: maker.random.int(1, 20) },
    clients: maker.times(
      1,
      2,
      () => maker.client(maker.times(1, 2, () => maker.signIn()), { era: "2026", kind: "sign-in" }),
    ),
    // A power cut may take that a code was used.
    faults: maker.random.chance(0.2)
      ? []
      : maker.faults(1, 5, "kill", "crash", "crash", "crash", "disk", "stall"),
  })],
];
/** The part of the seeds that have one of those. */
const MORE = 0.2;

/** Returns one of some themes. */
function drawn(themes: typeof THEMES, random: Random) {
  let left = random.int(0, themes.reduce((sum, [, often]) => sum + often, 0) - 1);
  return themes.find(([, often]) => (left -= often) < 0) ?? themes[0] ?? [];
}

/** Makes the plan of a seed. */
export function planOf(seed: number): Plan {
  const maker = new Maker(seed);
  const other = new Random(Math.imul(seed + 1, SALT));
  const usual = drawn(THEMES, maker.random);
  const [theme, , make] = other.chance(MORE) ? drawn(MORE_THEMES, other) : usual;
  const delayMs = maker.random.int(1, 40);
  const { nodes } = maker;
  const made = make?.(maker) ?? {};
  const { clients = maker.clients(), faults = [] } = made;
  return { seed, theme: theme ?? "", nodes, delayMs, ...made, clients, faults };
}
