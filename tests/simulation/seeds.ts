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
  "a session ended elsewhere while the node that ran its call was deaf": {
    ...{ seed: 56, nodes: 3, delayMs: 25 },
    clients: [{
      ...{ owner: "alice", era: "2025" },
      actions: [
        { ...QUIET, do: "call", at: 29, steps: 0, stepMs: 804, ask: true, cutAfter: 2 },
        { ...QUIET, do: "call", at: 17_146, steps: 0, stepMs: 640, ask: false },
        {
          ...{ ...QUIET, do: "call", at: 7_041, steps: 0, stepMs: 158, ask: true },
          ...{ cutAfter: 1, cancelMs: 2_984 },
        },
      ],
    }],
    faults: [
      { do: "deaf", at: 18_665, node: 0, ms: 1_714 },
      { do: "stall", at: 4_434, node: 0, ms: 6_828 },
    ],
  },
};
