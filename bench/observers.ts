/**
 * Measures what observing an endpoint costs a call: a handler that is observed and one that isn't work in
 * turn, in processes of their own. `docs/performance.md` has the figures.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { install, isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { type ObserverName, OBSERVERS, type Slice } from "./observers_work.ts";
import { alternate, median, type Pair, spreadOf } from "./pairs.ts";
import { Subordinate } from "./process.ts";

const PASSES = 2;
const PAIRS = 15;
const SLICE_MS = 100;
const WARM_UP_MS = 1_500;

const USAGE = `Usage: deno task bench:observers [--runtime ${RUNTIMES.join(",")}] [--json FILE]`;

/** What one way of observing costs on one runtime. */
interface Cost {
  readonly runtime: Runtime;
  readonly observer: ObserverName;
  /** The additional processor time of a call, as a share of that of the call without it. */
  readonly share: number;
  /** The same in microseconds. */
  readonly us: number;
  /** How far the middle half of the pairs lies from the ratio, as a share of it. */
  readonly spread: number;
}

async function costOf(runtime: Runtime, observer: ObserverName): Promise<Cost> {
  const pairs: Pair<Slice>[] = [];
  for (let pass = 0; pass < PASSES; pass++) {
    await using subject = await Subordinate.start(runtime, "observers_work.ts", observer);
    await using reference = await Subordinate.start(runtime, "observers_work.ts", "none");
    const slicer = (of: Subordinate, ms: number) => () => of.order<Slice>(ms);
    for (const one of [subject, reference]) await slicer(one, WARM_UP_MS)();
    pairs.push(...await alternate(slicer(subject, SLICE_MS), slicer(reference, SLICE_MS), PAIRS));
  }
  const ratios = pairs.map(({ subject, reference }) => timeOf(subject) / timeOf(reference));
  const us = median(pairs.map(({ subject, reference }) => timeOf(subject) - timeOf(reference)));
  return { runtime, observer, share: median(ratios) - 1, us, spread: spreadOf(ratios) };
}

/** Returns the processor time of one call, in microseconds. */
function timeOf({ ops, cpuMs }: Slice): number {
  return cpuMs * 1_000 / ops;
}

function cell(cost: Cost | undefined): string {
  if (cost === undefined) return "–";
  return `${(cost.share * 100).toFixed(1)} %, ${cost.us.toFixed(1)} µs`;
}

/** Writes the costs as a table of Markdown. */
function tableOf(runtimes: readonly Runtime[], costs: readonly Cost[]): string {
  const rows = Object.entries(OBSERVERS).map(([observer, title]) => {
    const cells = runtimes.map((runtime) =>
      cell(costs.find((cost) => cost.observer === observer && cost.runtime === runtime))
    );
    return `| ${title} | ${cells.join(" | ")} |`;
  });
  const head = `| Observed by | ${runtimes.join(" | ")} |\n| --- |${
    " ---: |".repeat(runtimes.length)
  }`;
  return [head, ...rows].join("\n");
}

async function main({ runtime, json }: { runtime?: string; json?: string }): Promise<void> {
  const runtimes = runtime?.split(",").filter(isRuntime) ?? RUNTIMES;
  if (runtimes.length === 0) throw new TypeError(USAGE);
  await install();
  const costs: Cost[] = [];
  for (const runtime of runtimes) {
    for (const observer of Object.keys(OBSERVERS) as ObserverName[]) { // they are its keys
      const cost = await costOf(runtime, observer);
      costs.push(cost);
      console.error(`${runtime}, ${observer}: ${cell(cost)} ± ${(cost.spread * 100).toFixed(0)} %`);
      if (json !== undefined) await writeFile(json, JSON.stringify(costs, null, 2));
    }
  }
  console.log(`\n${tableOf(runtimes, costs)}`);
}

try {
  const options = { runtime: { type: "string" }, json: { type: "string" } } as const;
  await main(parseArgs({ options }).values);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
