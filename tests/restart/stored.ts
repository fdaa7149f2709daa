/**
 * The settings of a store that one process writes, and another one checks.
 *
 * @module
 */
import { systemClock } from "../../src/internal/clock.ts";
import type { StoreSettings } from "../../src/cluster/types.ts";

/** The keys of the file. */
export const KEYS = ["a key of thirty-two bytes or more"] as const;

/** The settings. */
export const SETTINGS: StoreSettings = {
  clock: systemClock,
  caps: { sessions: 1_000_000, sessionsPerPrincipal: 1_000_000 },
  lifetimes: { idleMs: 3_600_000, absoluteMs: 3_600_000 },
  log: { events: 256, eventBytes: 1_048_576, retainMs: 3_600_000 },
};
