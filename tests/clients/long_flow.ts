/**
 * What a program does with a call that takes longer than its client waits: fetches the result by the handle.
 * Runs in the processes of clients too.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";

/** Calls a tool by name, and returns the result as text. */
export type CallTool = (name: string, args: Record<string, unknown>) => Promise<string>;

/** What became of the calls of one client. */
export interface LongRow {
  /** Seconds until the call was answered with a handle; `undefined` if the client followed a task by itself. */
  readonly handleS: number | undefined;
  /** The answers of `wait_for_result`, the last of which was the result. */
  readonly waits: number;
  /** The errors of calls of `wait_for_result`, after each of which it was called again. */
  readonly failures: readonly string[];
  /** Seconds until the result was there, and the result. */
  readonly doneS: number;
  readonly text: string;
  /** Seconds until the call that nobody answers early ended, and how. */
  readonly wholeS: number;
  readonly whole: string;
}

/** The most errors of `wait_for_result` before a program gives up. */
const MOST_FAILURES = 30;
const PAUSE_MS = 2_000;
/** The time after which a program calls again, as some clients never learn that their stream broke off. */
const WAIT_MS = 120_000;

const LINE = "LONG ";

/** Calls both tools at the same time, and follows the one that is handed over. */
export async function callBoth(call: CallTool): Promise<LongRow> {
  const began = performance.now();
  const seconds = () => Math.round((performance.now() - began) / 1_000);
  const whole = call("whole", {}).then(
    (text) => text,
    (error) => error instanceof Error ? error.message : String(error),
  ).then((whole) => ({ whole, wholeS: seconds() }));
  const answer = await call("long", {});
  const handle = /call_[\w-]+/.exec(answer)?.[0];
  if (handle === undefined) {
    return {
      handleS: undefined,
      waits: 0,
      failures: [],
      doneS: seconds(),
      text: answer,
      ...await whole,
    };
  }
  const handleS = seconds();
  const failures: string[] = [];
  for (let waits = 1;; waits++) {
    const text = await waitOnce(call, handle, failures);
    if (text.includes("still running")) continue;
    return { handleS, waits, failures, doneS: seconds(), text, ...await whole };
  }
}

async function waitOnce(call: CallTool, handle: string, failures: string[]): Promise<string> {
  for (;;) {
    try {
      return await inTime(call("wait_for_result", { handle }));
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      if (failures.length > MOST_FAILURES) throw error;
      await pause(PAUSE_MS);
    }
  }
}

async function inTime(said: Promise<string>): Promise<string> {
  const late = new AbortController();
  const { signal } = late;
  said.catch(() => {});
  try {
    return await Promise.race([
      said,
      pause(WAIT_MS, undefined, { signal }).then(() => Promise.reject(new Error("No answer"))),
    ]);
  } finally {
    late.abort();
  }
}

/** Does it in a process of its own, which writes what became of it. */
export async function callBothHere(call: CallTool): Promise<void> {
  // What waits for a stream that broke off must not end the process.
  const alive = setInterval(() => {}, 1_000);
  console.log(LINE + JSON.stringify(await callBoth(call)));
  clearInterval(alive);
}

/** Reads what {@linkcode callBothHere} has written. */
export function readRow(output: string): LongRow {
  const line = output.split("\n").find((line) => line.startsWith(LINE));
  if (line === undefined) throw new Error(`It wrote no result: ${output}`);
  return JSON.parse(line.slice(LINE.length));
}
