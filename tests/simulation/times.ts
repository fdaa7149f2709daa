/**
 * Says when the faults of a plan are over, and what may take how long after that.
 *
 * @module
 */
import { START_MS } from "./environment.ts";
import type { Fault, Plan } from "./plan.ts";

/** The time before the first fault, in milliseconds: the nodes start in it. */
export const HARM_MS = 1_000;
/** The packets that may travel one after the other for a call. */
export const LATE_TRIPS = 20;
/**
 * The time in which a cancelled call or task stops after the last fault, in milliseconds, besides that of
 * packets: the node that runs it hears again, and what it is told is said again.
 */
const CANCELLED_MS = 4_000;
/** The time for which a node is told of a cancellation, in milliseconds. */
const TOLD_MS = 9_000;
/** The faults in which every node can still tell the others what it was told. */
const HARMLESS: ReadonlySet<Fault["do"]> = new Set(["deaf", "drop", "stall", "replay"]);

/** Returns the time at which all faults of a plan are over; `-Infinity` if there are none. */
export function lastFaultEnds({ faults }: Plan): number {
  return Math.max(-Infinity, ...faults.map(endOf));
}

/** Says that a run ended too long after it was cancelled; `undefined` if it didn't, or may. */
export function stoppedLate(plan: Plan, cancelledAt: number, ended: number): string | undefined {
  // A node that dies tells nobody any more.
  if (cancelledAt === Infinity || !plan.faults.every(({ do: what }) => HARMLESS.has(what))) return;
  const over = Math.max(cancelledAt, lastFaultEnds(plan));
  if (over > cancelledAt + TOLD_MS) return;
  if (ended <= over + CANCELLED_MS + LATE_TRIPS * plan.delayMs) return;
  return `ran on for ${ended - over} ms although it was cancelled`;
}

/** Returns the time at which a fault is over. A node that dies, or whose clock jumps, does that at once. */
function endOf(fault: Fault): number {
  const lasts = "ms" in fault && fault.do !== "kill" && fault.do !== "jump";
  const ms = fault.do === "failover" ? fault.lagMs : lasts ? fault.ms : 0;
  return START_MS + HARM_MS + fault.at + ms;
}
