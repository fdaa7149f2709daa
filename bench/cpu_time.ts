/**
 * How much processor time this thread has used: what other threads and other processes do doesn't
 * count.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const SCHEDSTAT = "/proc/thread-self/schedstat";

/** Milliseconds that the calling thread has run so far, as exactly as the runtime can tell. */
export const cpuTime: () => number = source();

function source(): () => number {
  try {
    readSchedstat();
    return readSchedstat;
  } catch {
    // Not Linux, or not allowed to look.
    return process.threadCpuUsage === undefined ? wholeProcess : thisThread;
  }
}

/** Nanoseconds as Linux counts them, on every runtime: some of theirs count whole ticks only. */
function readSchedstat(): number {
  const [ran = ""] = readFileSync(SCHEDSTAT, "utf8").split(" ", 1);
  const ms = Number(ran) / 1e6;
  if (!(ms > 0)) throw new Error(`Can't read ${SCHEDSTAT}`);
  return ms;
}

function thisThread(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}

function wholeProcess(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e3;
}
