/**
 * A process of its own for one server and one kind of work: does what it is told on its standard
 * input, a line of JSON each, and answers in the same way.
 *
 * @module
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { cpuTime } from "./cpu_time.ts";
import { heapOf } from "./heap_work.ts";
import { type KindName, kindOf } from "./kinds.ts";
import { pauseOf } from "./pause_work.ts";
import { loadStack, type StackName } from "./stacks/mod.ts";
import type { NotifyRung } from "./stacks/notify_ladder.ts";
import type { StackModule } from "./stacks/types.ts";
import { prepare, type Work } from "./work.ts";

/** What a worker is started with. */
export interface WorkerInit {
  readonly stack: StackName;
  /** A rung of the ladder of notifications, which takes the stack's place. */
  readonly rung?: NotifyRung;
  readonly kind: KindName;
  /** How many sessions there are before the clock starts. */
  readonly sessions: number;
}

/** What a worker can be told to do. */
export type Order =
  /** Works for so many milliseconds. */
  | { readonly do: "slice"; readonly ms: number }
  /** Measures what is no matter of speed. */
  | { readonly do: "measure" };

/** What a worker answers. */
export interface Done {
  /** How often the work was done. */
  readonly ops: number;
  /** Milliseconds of processor time. */
  readonly cpuMs: number;
  /** What was measured. */
  readonly value: number;
}

/** Works for a while. */
async function slice(work: Work, ms: number): Promise<Done> {
  const until = performance.now() + ms;
  const begin = cpuTime();
  let ops = 0;
  do {
    await work.run();
    ops++;
  } while (performance.now() < until);
  const cpuMs = cpuTime() - begin;
  work.check();
  return { ops, cpuMs, value: 0 };
}

/** Makes what takes orders. */
async function begin(
  { stack, rung, kind, sessions }: WorkerInit,
): Promise<(order: Order) => Promise<Done>> {
  const module = rung === undefined
    ? await loadStack(stack)
    : (await import("./stacks/notify_ladder.ts")).notifyRungOf(rung);
  const { unit } = kindOf(kind);
  if (unit === "bytes" || unit === "pause") {
    const measure = unit === "bytes" ? heapOf : pauseOf;
    return async () => ({ ops: 0, cpuMs: 0, value: await measure(module, kind, sessions) });
  }
  const renew = () => fresh(module, kind, sessions);
  let work = await renew();
  await work.run();
  work.check();
  return async (order) => {
    if (order.do !== "slice") throw new TypeError(`Order a slice of work: ${order.do}`);
    const done = await slice(work, order.ms);
    // Most servers never end a session by themselves: they would be timed while memory runs out, and
    // the others at work that those don't do.
    if (kind === "initialize") work = await renew();
    return done;
  };
}

async function fresh(module: StackModule, kind: KindName, sessions: number): Promise<Work> {
  const tools = kindOf(kind).tools ?? 3;
  const stack = await module.make({ kind, tools, room: sessions && sessions + 1000 });
  return await prepare({ kind, module, stack, sessions });
}

const init: WorkerInit = JSON.parse(process.argv[2] ?? "null");
const obey = await begin(init);
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await obey(JSON.parse(line)));
}
process.exit();
