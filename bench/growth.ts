/**
 * Measures how the time of a call grows with the number of sessions, streams and tools, and with the size of
 * arguments and results; draws the curves. Each point is taken in turn with the smallest one.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { parseArgs } from "node:util";
import { install, isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { type Chart, drawCharts } from "./growth_chart.ts";
import type { Grown, GrowthInit } from "./growth_work.ts";
import { namesIn } from "./options.ts";
import { alternate, median } from "./pairs.ts";
import { Subordinate } from "./process.ts";

const PICTURE = new URL("../docs/images/growth.svg", import.meta.url);
const WARM_UP_MS = 1_500;
const SLICE_MS = 60;

const USAGE = `Usage: deno task bench:growth [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: these instead of all
  --pairs N         how often a point is taken in turn with the smallest one; 12 when left out
  --json FILE       writes the figures there, too

Draws docs/images/growth.svg.`;

const SMALLEST: GrowthInit = { stack: "mooring", sessions: 1, streams: 0, tools: 3, chars: 0 };

/** What grows, the steps, and what stays the same beside it. */
interface Growth {
  readonly title: string;
  readonly steps: readonly number[];
  readonly init: (step: number) => GrowthInit;
  /** What a point is compared with; the first step when left out. */
  readonly reference?: (step: number) => GrowthInit;
}

const GROWTHS: readonly Growth[] = [
  {
    title: "sessions",
    steps: [1, 10, 100, 1_000, 10_000, 100_000],
    init: (sessions) => ({ ...SMALLEST, sessions }),
  },
  {
    title: "open streams",
    steps: [1, 10, 100, 1_000, 10_000],
    init: (streams) => ({ ...SMALLEST, streams }),
  },
  {
    title: "tools",
    steps: [3, 10, 100, 1_000],
    init: (tools) => ({ ...SMALLEST, tools }),
  },
  {
    title: "characters of argument and result",
    steps: [16, 1_024, 4_096, 16_384, 65_536],
    init: (chars) => ({ ...SMALLEST, chars }),
    reference: (chars) => ({ ...SMALLEST, stack: "floor", chars }),
  },
];

/** Returns the processor time of a call, as a multiple of the reference's. */
async function point(
  runtime: Runtime,
  subject: GrowthInit,
  reference: GrowthInit,
  pairs: number,
): Promise<number> {
  await using one = await Subordinate.start(runtime, "growth_work.ts", subject);
  await using other = await Subordinate.start(runtime, "growth_work.ts", reference);
  const slicer = (of: Subordinate, ms: number) => () => of.order<Grown>(ms);
  for (const each of [one, other]) await slicer(each, WARM_UP_MS)();
  const slices = await alternate(slicer(one, SLICE_MS), slicer(other, SLICE_MS), pairs);
  return median(slices.map(({ subject, reference }) => timeOf(subject) / timeOf(reference)));
}

function timeOf({ ops, cpuMs }: Grown): number {
  return cpuMs / ops;
}

async function main(args: {
  readonly runtime?: string | undefined;
  readonly pairs: string;
  readonly json?: string | undefined;
}): Promise<void> {
  const runtimes = namesIn(args.runtime, isRuntime, "runtime") ?? RUNTIMES;
  const pairs = Number(args.pairs);
  if (!(pairs >= 1)) throw new TypeError(USAGE);
  await install();
  const charts: Chart[] = [];
  for (const { title, steps, init, reference } of GROWTHS) {
    const lines: { name: Runtime; points: number[] }[] = [];
    for (const runtime of runtimes) {
      const points: number[] = [];
      for (const step of steps) {
        const beside = reference?.(step) ?? init(steps[0] ?? step);
        points.push(await point(runtime, init(step), beside, pairs));
        console.error(`${runtime}, ${step} ${title}: × ${points.at(-1)?.toFixed(2)}`);
      }
      lines.push({ name: runtime, points });
    }
    const unit = reference === undefined ? "the first point" : "the bare handler";
    charts.push({ title, unit, steps, lines });
    if (args.json !== undefined) await writeFile(args.json, JSON.stringify(charts, null, 2));
  }
  await writeFile(PICTURE, drawCharts(charts));
}

try {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { runtime: text, json: text, pairs: { ...text, default: "12" } },
  });
  await main(values);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
