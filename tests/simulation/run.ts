/**
 * Runs simulations: `deno run -A tests/simulation/run.ts --seeds N [--from N] [--theme NAME] [--trace|--digest]`.
 *
 * @module
 */
import { createHash } from "node:crypto";
import process from "node:process";
import { parseArgs } from "node:util";
import { shrink, simulateSeed } from "./simulate.ts";
import { planOf } from "./themes.ts";

const USAGE = `Usage: deno task simulate [--seeds N] [--from N] [--theme NAME] [--trace]
                          [--plain] [--most N] [--digest]

  --seeds  seeds to run, 100 by default
  --from   the first seed, 1 by default
  --theme  only the seeds of this theme
  --trace  prints what happens in each
  --plain  doesn't look for the smallest plan that fails
  --digest prints a SHA-256 of each trace
  --most   failures after which it stops, 1 by default`;

/** Runs the command. Returns its exit code. */
export async function main(args = process.argv.slice(2)): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: "string", default: "100" },
      from: { type: "string", default: "1" },
      theme: { type: "string", default: "" },
      most: { type: "string", default: "1" },
      trace: { type: "boolean", default: false },
      digest: { type: "boolean", default: false },
      plain: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const [seeds, from, most] = [values.seeds, values.from, values.most].map(Number);
  if (values.help || !(Number(seeds) > 0) || !(Number(from) >= 0) || !(Number(most) > 0)) {
    console.log(USAGE);
    return values.help ? 0 : 2;
  }
  const began = process.cpuUsage();
  let failed = 0;
  const themes = new Map<string, number>();
  for (let seed = Number(from); seed < Number(from) + Number(seeds); seed++) {
    const { theme = "" } = planOf(seed);
    if (values.theme !== "" && theme !== values.theme) continue;
    themes.set(theme, (themes.get(theme) ?? 0) + 1);
    const outcome = await simulateSeed(seed);
    if (values.trace) console.log(outcome.trace.join("\n"));
    if (values.digest) {
      const digest = createHash("sha256").update(outcome.trace.join("\n")).digest("hex");
      console.log(`Trace of ${seed}: ${digest}`);
    }
    if (outcome.failures.length === 0) continue;
    console.log(`Seed ${seed} (${outcome.plan.theme}): ${outcome.failures.join("; ")}`);
    if (++failed >= Number(most) && values.plain) break;
    if (values.plain) continue;
    const { plan, failures, trace } = await shrink(outcome);
    console.log(`The smallest plan that fails: ${failures.join("; ")}`);
    console.log(JSON.stringify(plan, undefined, 1));
    console.log(trace.join("\n"));
    if (failed >= Number(most)) break;
  }
  const { user, system } = process.cpuUsage(began);
  console.log([...themes].map(([theme, count]) => `${theme} ${count}`).join(", "));
  console.log(`${seeds} seeds, ${failed} failed, ${Math.round((user + system) / 1_000)} ms of CPU`);
  return failed === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
