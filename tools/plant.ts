/**
 * Puts the faults of `plants.ts` into a copy of the project, one at a time, and says which of them the
 * simulation finds, and at which seed.
 *
 * @module
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { copyProject, mutated } from "./mutate.ts";
import { run } from "./process.ts";
import { type Plant, PLANTS } from "./plants.ts";

/** The faults that must be found: of the others, docs/simulation.md says why not. */
const MUST_FIND = 46;
/** The time limit of one fault: it may keep the simulation from ending. */
const LIMIT_MS = 900_000;

const USAGE = `Usage: deno task plant [--only TEXT] [--theme NAME] [--seeds N] [--from N]

  --only   only the faults whose name contains the text
  --theme  only the faults that the seeds of this theme find
  --seeds  the most seeds for each, 1000 by default
  --from   the first seed, 1 by default`;

/** Says what the simulation made of a fault: the seed that found it, `no`, or `outdated`. */
async function judge(
  folder: string,
  plant: Plant,
  seeds: string,
  from: string,
): Promise<string> {
  const [, file, find, replace, theme] = plant;
  const path = join(folder, "src", file);
  const source = await readFile(path, "utf8");
  const changed = mutated(source, { id: "", file, find, replace, tests: [] });
  if (changed === undefined) return "outdated";
  await writeFile(path, changed);
  try {
    const args = [
      "run",
      "-A",
      "--no-check",
      "tests/simulation/run.ts",
      "--plain",
      "--seeds",
      seeds,
      "--from",
      from,
      ...theme === undefined ? [] : ["--theme", theme],
    ];
    const { code, output, late } = await run("deno", args, { cwd: folder, limitMs: LIMIT_MS });
    if (code === 0) return "no";
    if (late) return "no: not in time";
    if (/could not be parsed/.test(output)) return "outdated";
    const [, seed, why = ""] = /^Seed (\d+) \(.*?\): (.*)/m.exec(output) ?? [];
    return seed === undefined ? "the simulation doesn't end" : `seed ${seed}: ${why.slice(0, 80)}`;
  } finally {
    await writeFile(path, source);
  }
}

/** Runs the command. Returns its exit code. */
export async function main(args = process.argv.slice(2)): Promise<number> {
  const { values: { only, theme, seeds, from, help } } = parseArgs({
    args,
    options: {
      only: { type: "string", default: "" },
      theme: { type: "string", default: "" },
      seeds: { type: "string", default: "1000" },
      from: { type: "string", default: "1" },
      help: { type: "boolean", default: false },
    },
  });
  if (help) {
    console.log(USAGE);
    return 0;
  }
  const plants = PLANTS.filter(([name, , , , own = ""]) =>
    name.includes(only) && (theme === "" || own === theme)
  );
  const folder = await mkdtemp(join(tmpdir(), "mooring-plant-"));
  let found = 0;
  let outdated = 0;
  try {
    await copyProject(folder);
    for (const plant of plants) {
      const verdict = await judge(folder, plant, seeds, from);
      if (verdict === "outdated") outdated++;
      else if (!verdict.startsWith("no")) found++;
      console.log(`${plant[0]}: ${verdict}`);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  console.log(`${found} of ${plants.length} found, ${outdated} outdated`);
  return outdated === 0 && found >= (only + theme === "" ? MUST_FIND : plants.length) ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
