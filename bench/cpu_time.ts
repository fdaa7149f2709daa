/**
 * How much processor time this thread has used: what other threads and other processes do doesn't
 * count.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";

const SCHEDSTAT = "/proc/thread-self/schedstat";
const MOMENT_MS = 0.01;
/** Nobody ever wakes who waits for this. */
const NEVER = new Int32Array(new SharedArrayBuffer(4));

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

/**
 * Nanoseconds as Linux counts them, on every runtime. What a thread that runs has used since the last
 * tick, up to 4 ms, is only added when it stops: so it stops, for a moment that costs nothing.
 */
function readSchedstat(): number {
  Atomics.wait(NEVER, 0, 0, MOMENT_MS);
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
