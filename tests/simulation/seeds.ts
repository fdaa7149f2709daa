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
  "a command that was sent again refused the session that it had begun": {
    ...{ seed: 161, nodes: 3, delayMs: 137 },
    clients: [
      { owner: "bob", era: "2025", actions: [] },
      { owner: "alice", era: "2025", actions: [] },
    ],
    faults: [{ do: "drop", at: 755, node: 2, ms: 427, again: true, arrived: false }],
  },
  "progress came again that the first node had reported while its run moved": {
    ...{ seed: 165, nodes: 3, delayMs: 125 },
    clients: [
      {
        ...{ owner: "bob", era: "2025" },
        actions: [
          {
            ...{ ...QUIET, do: "call", at: 1_468, steps: 2, stepMs: 2_355, ask: false },
            ...{ idleMs: 1_888, cutAfter: 2 },
          },
          { ...QUIET, do: "call", at: 372, steps: 5, stepMs: 1_536, ask: false, idleMs: 857 },
          {
            ...{ ...QUIET, do: "call", at: 963, steps: 5, stepMs: 2_440, ask: false },
            ...{ again: true, idleMs: 2_141 },
          },
        ],
      },
      {
        ...{ owner: "bob", era: "2025" },
        actions: [
          { ...QUIET, do: "call", at: 2_063, steps: 4, stepMs: 680, ask: false, cutAfter: 3 },
          {
            ...{ ...QUIET, do: "call", at: 1_346, steps: 2, stepMs: 2_486, ask: false },
            ...{ again: true, idleMs: 2_918 },
          },
        ],
      },
      {
        ...{ owner: "alice", era: "2025" },
        actions: [
          { ...QUIET, do: "call", at: 2_142, steps: 3, stepMs: 1_463, ask: false },
          {
            ...{ ...QUIET, do: "call", at: 1_975, steps: 0, stepMs: 2_296, ask: false },
            ...{ again: true, idleMs: 1_684, cutAfter: 3 },
          },
        ],
      },
    ],
    faults: [
      { do: "stall", at: 4_628, node: 2, ms: 8_317 },
      { do: "kill", at: 4_213, node: 1, ms: 2_610 },
    ],
  },
  "an answer to a question was lost when the connection of the node that had it broke": {
    ...{ seed: 214, nodes: 2, delayMs: 62 },
    clients: [
      {
        ...{ owner: "alice", era: "2025" },
        actions: [
          { ...QUIET, do: "call", at: 859, steps: 0, stepMs: 134, ask: true, cutAfter: 2 },
        ],
      },
      {
        ...{ owner: "bob", era: "2025" },
        actions: [
          { ...QUIET, do: "call", at: 1_248, steps: 0, stepMs: 146, ask: false },
          { ...QUIET, do: "call", at: 266, steps: 8, stepMs: 116, ask: false, cutAfter: 1 },
          { ...QUIET, do: "call", at: 754, steps: 4, stepMs: 145, ask: false },
        ],
      },
    ],
    faults: [
      { do: "drop", at: 2_403, node: 0, ms: 584, again: false, arrived: true },
      { do: "drop", at: 3_144, node: 0, ms: 607, again: false, arrived: false },
    ],
  },
  "a user who had signed in again was asked once more at a node that knew of the end": {
    ...{ seed: 56, theme: "accounts", nodes: 3, delayMs: 1, tokensS: 10 },
    clients: [{
      ...{ owner: "alice", era: "2026", kind: "account" },
      actions: [
        { do: "use", at: 6_346, link: "once" },
        { do: "use", at: 55_802, link: "late" },
        { do: "use", at: 4_549, link: "twice" },
        { do: "use", at: 13_304, link: "once" },
        { do: "disconnect", at: 20_384 },
        { do: "use", at: 56_395, link: "answered-twice" },
      ],
    }],
    faults: [{ do: "lose-tokens", at: 13_451 }],
  },
  "renewed tokens were lost as the store was away for a moment": {
    ...{ seed: 2_565, theme: "accounts", nodes: 3, delayMs: 24, tokensS: 10 },
    clients: [{
      ...{ owner: "bob", era: "2026", kind: "account" },
      actions: [
        { do: "use", at: 14_870, link: "once" },
        { do: "use", at: 40_383, link: "once" },
      ],
    }],
    faults: [
      { do: "drop-renewing", at: 12_306, ms: 2_022, afterMs: 17, again: false, arrived: false },
    ],
  },
  "two nodes renewed at once, as the clock of one was behind": {
    ...{ seed: 2_745, theme: "accounts", nodes: 3, delayMs: 1, tokensS: 6 },
    clients: [
      { owner: "bob", era: "2026", actions: [], kind: "account" },
      {
        ...{ owner: "alice", era: "2026", kind: "account" },
        actions: [
          { do: "use", at: 12_494, link: "stolen" },
          { do: "use", at: 13_789, link: "late" },
          { do: "use", at: 5_099, link: "once" },
          { do: "use", at: 5_111, link: "once" },
          { do: "use", at: 17_201, link: "answered-twice" },
          { do: "disconnect", at: 1_682 },
          { do: "use", at: 47_610, link: "once" },
          { do: "use", at: 44_192, link: "answered-twice" },
        ],
      },
    ],
    faults: [
      { do: "jump", at: 0, node: 1, ms: -7_596 },
      { do: "provider-stall", at: 41_678, ms: 11_972 },
    ],
  },
};
