/**
 * What breaks in a soak, and when: drawn from a seed before anything begins, so that the same seed breaks the
 * same things, whatever the clients do meanwhile.
 *
 * @module
 */

/** The same numbers between 0 and 1 for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What can break. */
export const FAULTS = [
  "kill",
  "pause",
  "cut",
  "stall",
  "slow",
  "front",
  "restart",
  "failover",
] as const;

/** One thing that breaks. */
export interface Fault {
  readonly kind: typeof FAULTS[number];
  /** Which of the nodes that are there, between 0 and 1. */
  readonly node: number;
  /** How long it lasts, in milliseconds. */
  readonly ms: number;
  /** How long all is well afterwards, in milliseconds. */
  readonly thenMs: number;
}

/** How long a fault lasts at most, in milliseconds. A pause makes others take the node for dead. */
const MOST_MS: Readonly<Record<Fault["kind"], number>> = {
  kill: 0,
  pause: 10_000,
  cut: 8_000,
  stall: 3_000,
  slow: 500,
  front: 0,
  restart: 300,
  failover: 300,
};

/** Faults in which a node doesn't reach Redis. Until it has done so for a while it is sure of no other. */
export const OUTAGES: ReadonlySet<Fault["kind"]> = new Set([
  "stall",
  "cut",
  "restart",
  "failover",
  "pause",
]);

/**
 * How long nodes may be without Redis in one round, in milliseconds: a share that a node has leased lasts
 * for 30 seconds, of which 11 may have passed already.
 */
const MOST_AWAY_MS = 18_000;

/** Draws the faults of one round. Every round has a node that dies. */
export function planOf(random: () => number, count: number): readonly Fault[] {
  const deadly = Math.floor(random() * count);
  let leftMs = MOST_AWAY_MS;
  return Array.from({ length: count }, (_, at) => {
    const [kind, node, ms, then] = [random(), random(), random(), random()];
    const drawn = FAULTS[Math.floor(kind * FAULTS.length)] ?? "kill";
    const chosen = at === deadly ? "kill" : drawn;
    const lasts = Math.min(ms * MOST_MS[chosen], OUTAGES.has(chosen) ? leftMs : Infinity);
    if (OUTAGES.has(chosen)) leftMs -= lasts;
    return { kind: chosen, node, ms: lasts, thenMs: then * 300 };
  });
}

/** Says what a plan does, to be read when it has found something. */
export function describePlan(plan: readonly Fault[]): string {
  return plan.map(({ kind, node, ms }) => `${kind} ${node.toFixed(2)} ${Math.round(ms)} ms`)
    .join(", ");
}
