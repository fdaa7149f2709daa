/**
 * Takes the figure of one server for one kind of work on one runtime.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import { measureHttp } from "./http_measure.ts";
import { type KindName, kindOf } from "./kinds.ts";
import { alternate, median, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";
import type { StackName } from "./stacks/mod.ts";
import type { Done, WorkerInit } from "./worker.ts";

/** How thoroughly to measure. */
export interface Effort {
  /** How often to begin anew, with fresh processes. */
  readonly passes: number;
  /** How often the two processes take turns in a pass. */
  readonly pairs: number;
  /** How long each of them works at a time, in milliseconds. */
  readonly sliceMs: number;
  /** How long each of them works before that, in milliseconds. */
  readonly warmUpMs: number;
}

/**
 * As thoroughly as the figures in the documentation. Large servers on Node need seconds until they
 * are compiled: what is slow only at first is not to be held against them.
 */
export const THOROUGH: Effort = { passes: 3, pairs: 15, sliceMs: 80, warmUpMs: 2_500 };

/** As quickly as can tell a regression from noise. */
export const QUICK: Effort = { passes: 1, pairs: 25, sliceMs: 40, warmUpMs: 1_000 };

/** What to measure. */
export interface Target {
  readonly runtime: Runtime;
  readonly stack: StackName;
  readonly kind: KindName;
}

/** A figure: what it means depends on the kind's unit. */
export interface Figure extends Target {
  /** A share, a number of bytes, or milliseconds. */
  readonly value: number;
  /** How far the middle half of the pairs, or of the passes, lies from it, as a share of it. */
  readonly spread?: number;
  /** Over HTTP, requests per CPU second as a share of the floor's. */
  readonly perCpu?: number;
  /** Over HTTP, the 99th percentile of the latency as a multiple of the floor's. */
  readonly p99?: number;
}

/** Measures. */
export async function measure(target: Target, effort: Effort): Promise<Figure> {
  const { unit, sessions = 0 } = kindOf(target.kind);
  if (unit === "http") return { ...target, ...await measureHttp(target, effort) };
  if (unit === "bytes" || unit === "pause") {
    const values: number[] = [];
    for (let pass = 0; pass < effort.passes; pass++) values.push(await once(target, sessions));
    return { ...target, value: median(values), spread: spreadOf(values) };
  }
  const reference: WorkerInit = unit === "own"
    ? { ...target, sessions: 0 }
    : { ...target, stack: "floor", sessions };
  const ratios: number[] = [];
  for (let pass = 0; pass < effort.passes; pass++) {
    ratios.push(...await compare(target.runtime, { ...target, sessions }, reference, effort));
  }
  return { ...target, value: median(ratios), spread: spreadOf(ratios) };
}

/** What a fresh process measures by itself. */
async function once({ runtime, stack, kind }: Target, sessions: number): Promise<number> {
  const init: WorkerInit = { stack, kind, sessions };
  await using worker = await Subordinate.start(runtime, "worker.ts", init);
  const { value } = await worker.order<Done>({ do: "measure" });
  return value;
}

/** Operations per CPU second of one process, as shares of another's. */
async function compare(
  runtime: Runtime,
  subject: WorkerInit,
  reference: WorkerInit,
  { pairs, sliceMs, warmUpMs }: Effort,
): Promise<number[]> {
  await using one = await Subordinate.start(runtime, "worker.ts", subject);
  await using other = await Subordinate.start(runtime, "worker.ts", reference);
  const slicer = (worker: Subordinate, ms: number) => () => worker.order<Done>({ do: "slice", ms });
  for (const worker of [one, other]) await slicer(worker, warmUpMs)();
  const slices = await alternate(slicer(one, sliceMs), slicer(other, sliceMs), pairs);
  return slices.map((pair) => rate(pair.subject) / rate(pair.reference));
}

function rate({ ops, cpuMs }: Done): number {
  return ops / cpuMs;
}
