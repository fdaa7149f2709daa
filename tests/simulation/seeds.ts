/**
 * Plans that found a fault once, as small as they could be made.
 *
 * @module
 */
import type { Plan } from "./plan.ts";

const QUIET = { again: false, idleMs: 0, cutAfter: 0, cancelMs: 0 };

/** The plans, by what was wrong. */
export const FOUND: Readonly<Record<string, Plan>> = {
  "an answer to a question was lost while the node that had asked was deaf": {
    ...{ seed: 815, nodes: 3, delayMs: 1 },
    clients: [{
      ...{ owner: "alice", era: "2025" },
      actions: [
        { do: "notify", at: 3_472 },
        { ...QUIET, do: "call", at: 4_007, steps: 0, stepMs: 332, ask: true },
      ],
    }],
    faults: [{ do: "deaf", at: 3_695, node: 2, ms: 982 }],
  },
};
