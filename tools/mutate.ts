/**
 * Puts the faults of `mutations.ts` into a copy of the project, one at a time, and tells which of them
 * no test notices. Fails if there is such a fault, or one that no longer fits the code.
 *
 * Faults of `src/redis/` need the Redis server of the other tests.
 *
 * @module
 */
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Mutation, MUTATIONS } from "./mutations.ts";
import { type Outcome, run } from "./process.ts";
import { installPackages, ROOT } from "./runtimes.ts";

/** What the tests made of a fault. Every verdict but the first is a failure. */
export type Verdict =
  | "noticed"
  | "unnoticed"
  /** The text to find isn't in the file, or is there more than once. */
  | "outdated"
  /** The replacement is no code. */
  | "broken";

/** A fault and what the tests made of it. */
interface Judged {
  readonly mutation: Mutation;
  readonly verdict: Verdict;
}

/** The time limit of the tests without a fault. */
const WHOLE_MS = 1_200_000;
/** A fault may stop the tests from ending: then it has been noticed. */
const LIMIT_MS = 120_000;
/** What a copy of the project does without. */
const LEFT_OUT: ReadonlySet<string> = new Set([".cache", ".git", "node_modules"]);

const USAGE = `Usage: deno task mutate [--only PATH|ID] [--jobs N]

  --only  only the faults of one requirement, or in files whose path contains the text
  --jobs  faults that are tried at a time, as many as processors by default`;

/** Puts a fault into a source. Returns `undefined` unless its text is there exactly once. */
export function mutated(source: string, { find, replace }: Mutation): string | undefined {
  const at = source.indexOf(find);
  if (at === -1 || source.indexOf(find, at + 1) !== -1) return undefined;
  return source.slice(0, at) + replace + source.slice(at + find.length);
}

/** Selects the faults of a requirement, or in the files whose path contains a text. */
export function selected(mutations: readonly Mutation[], only: string): Mutation[] {
  return mutations.filter(({ id, file }) => id === only || file.includes(only));
}

/** Judges the run of the tests with a fault in the code. */
export function verdictOf({ code, output }: Pick<Outcome, "code" | "output">): Verdict {
  if (code === 0) return "unnoticed";
  return /^error: The module's source code could not be parsed/m.test(output)
    ? "broken"
    : "noticed";
}

/** Writes the last line of the output. */
export function summaryOf(verdicts: readonly Verdict[]): string {
  const count = (verdict: Verdict) => verdicts.filter((one) => one === verdict).length;
  const failures = (["unnoticed", "outdated", "broken"] as const)
    .map((verdict) => `${count(verdict)} ${verdict}`);
  return [`${count("noticed")} of ${verdicts.length} noticed`, ...failures].join(", ");
}

/** Copies the project, so that the working tree never has a fault in it. */
export async function copyProject(folder: string): Promise<string> {
  await cp(ROOT, folder, {
    recursive: true,
    filter: (path) => !relative(ROOT, path).split(/[\\/]/).some((name) => LEFT_OUT.has(name)),
  });
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

function runTests(cwd: string, tests: Iterable<string>, limitMs: number): Promise<Outcome> {
  const args = [
    ...["test", "-A", "--no-check", "--fail-fast", "--reporter=dot"],
    "--preload=tools/strict_errors.ts",
    ...tests,
  ];
  return run(process.execPath, args, { cwd, limitMs });
}

/** Tries a fault in a copy of the project, and takes it out again. */
async function judge(folder: string, mutation: Mutation): Promise<Verdict> {
  const path = join(folder, mutation.file);
  const source = await readFile(path, "utf8").catch(() => "");
  const faulty = mutated(source, mutation);
  if (faulty === undefined) return "outdated";
  await writeFile(path, faulty);
  try {
    return verdictOf(await runTests(folder, mutation.tests, LIMIT_MS));
  } finally {
    await writeFile(path, source);
  }
}

function describe({ id, file, find, replace }: Mutation): string {
  const line = (text: string) => text.replace(/\s+/g, " ").trim() || "nothing";
  return `${id.padEnd(7)} ${file}\n            ${line(find)}\n         →  ${line(replace)}`;
}

/** Takes faults off the queue and tries them, one at a time, until it is empty. */
async function work(folder: string, queue: Mutation[]): Promise<Judged[]> {
  const judged: Judged[] = [];
  for (let mutation = queue.shift(); mutation !== undefined; mutation = queue.shift()) {
    const began = performance.now();
    const verdict = await judge(folder, mutation);
    const seconds = ((performance.now() - began) / 1000).toFixed(1).padStart(5);
    console.log(`${verdict.padEnd(9)} ${seconds} s  ${describe(mutation)}`);
    judged.push({ mutation, verdict });
  }
  return judged;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      only: { type: "string", default: "" },
      jobs: { type: "string", default: String(availableParallelism()) },
      help: { type: "boolean", default: false },
    },
  });
  const jobs = Number(values.jobs);
  const queue = selected(MUTATIONS, values.only);
  if (values.help || !(jobs >= 1) || queue.length === 0) {
    console.error(USAGE);
    return values.help ? 0 : 2;
  }
  await installPackages();
  const folder = await mkdtemp(join(tmpdir(), "mutate-"));
  try {
    const first = await copyProject(join(folder, "0"));
    const all = new Set(queue.flatMap(({ tests }) => tests));
    const unchanged = await runTests(first, all, WHOLE_MS);
    if (unchanged.code !== 0) {
      console.error(`${unchanged.output}\nMend the tests first: they fail without any fault`);
      return 1;
    }
    const others = Array.from(
      { length: Math.min(jobs, queue.length) - 1 },
      (_, n) => copyProject(join(folder, `${n + 1}`)),
    );
    const folders = [first, ...await Promise.all(others)];
    const judged = (await Promise.all(folders.map((copy) => work(copy, queue)))).flat();
    const failures = judged.filter(({ verdict }) => verdict !== "noticed");
    if (failures.length > 0) console.log("\nWrite a test that notices, or correct the list:");
    for (const { mutation, verdict } of failures) console.log(`${verdict} ${describe(mutation)}`);
    console.log(summaryOf(judged.map(({ verdict }) => verdict)));
    return failures.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await main();
