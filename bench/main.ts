/**
 * The benchmark: how fast Mooring is, and how little it keeps, compared with a bare handler and with
 * what others offer. `docs/performance.md` says how it measures.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { install } from "../tools/runtimes.ts";
import { readExpected, regressions } from "./expected.ts";
import { kindOf } from "./kinds.ts";
import { type Figure, measure, QUICK, type Target, THOROUGH } from "./measure.ts";
import { type BenchOptions, readOptions, USAGE } from "./options.ts";
import { loadStack } from "./stacks/mod.ts";
import { reportOf } from "./table.ts";
import { inUnit, TITLES } from "./words.ts";

/** Everything that there is to measure: what a server can't do is left out. */
async function targetsOf({ runtimes, stacks, kinds }: BenchOptions): Promise<Target[]> {
  const targets: Target[] = [];
  for (const runtime of runtimes) {
    for (const kind of kinds) {
      for (const stack of stacks) {
        const module = await loadStack(stack);
        const possible = stack !== "floor" || kindOf(kind).unit !== "pause";
        if (possible && module.kinds.includes(kind)) targets.push({ runtime, stack, kind });
      }
    }
  }
  return targets;
}

async function main(options: BenchOptions): Promise<number> {
  await install();
  const targets = await targetsOf(options);
  const figures: Figure[] = [];
  let failed = 0;
  for (const [i, target] of targets.entries()) {
    const { runtime, kind, stack } = target;
    const what = `${i + 1}/${targets.length} ${runtime}, ${kind}, ${TITLES[stack]}`;
    try {
      const figure = await measure(target, options.quick ? QUICK : THOROUGH);
      figures.push(figure);
      const { value, spread = 0 } = figure;
      const within = `± ${(spread * 100).toFixed(0)} %`;
      console.error(`${what}: ${inUnit(value, kindOf(kind).unit)} ${within}`);
    } catch (error) {
      failed++;
      console.error(`${what}: ${error instanceof Error ? error.message : error}`);
    }
    // What has been measured so far is not lost when the rest is.
    if (options.json !== undefined) await writeFile(options.json, JSON.stringify(figures, null, 2));
  }
  for (const runtime of options.runtimes) console.log(`\n${reportOf(runtime, figures)}`);
  const worse = options.check ? regressions(figures, await readExpected()) : [];
  for (const message of worse) console.error(`Worse than before: ${message}`);
  return failed + worse.length > 0 ? 1 : 0;
}

/** What is asked for, or `undefined` when that can't be understood. */
function asked(args: readonly string[]): BenchOptions | undefined {
  try {
    return readOptions(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    return undefined;
  }
}

const options = asked(process.argv.slice(2));
process.exitCode = options === undefined ? 2 : await main(options);
