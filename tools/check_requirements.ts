/**
 * Fails when a requirement that is served has no test, and when a test names one that doesn't exist.
 *
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** The ids of the requirements, in the order of the document. */
export interface Requirements {
  readonly served: readonly string[];
  readonly planned: readonly string[];
}

/** Where an id stands in a test's name. */
export interface Mention {
  readonly id: string;
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/** Reads the ids out of `docs/requirements.md`: those above the heading "Planned" are served. */
export function requirementsOf(markdown: string): Requirements {
  const [served = "", planned = ""] = markdown.split(/^## Planned$/m);
  const ids = (text: string): string[] =>
    [...text.matchAll(/^- ([A-Z]+-\d+) /gm)].map(([, id = ""]) => id);
  return { served: ids(served), planned: ids(planned) };
}

/**
 * The ids in the names of a file's tests. A name is any text that begins with ids in brackets, so
 * that tables of cases count too; comments and tests that are skipped don't.
 */
export function mentionsOf(file: string, source: string): Mention[] {
  const blank = (text: string): string => text.replace(/[^\n]/g, " ");
  const code = source.replace(/^[ \t]*\/\*[\s\S]*?\*\//gm, blank).replace(/^[ \t]*\/\/.*/gm, blank);
  const names = code.matchAll(/(?<=(.*))(["'`])((?:\[[A-Z]+-\d+(?:, ?[A-Z]+-\d+)*\] ?)+)/g);
  return [...names].flatMap(({ 1: before = "", 3: ids = "", index }) => {
    if (/\b(skip|todo)\s*\(\s*$|(^|\s)\/\//.test(before)) return [];
    const line = code.slice(0, index).split("\n").length;
    return (ids.match(/[A-Z]+-\d+/g) ?? []).map((id) => ({ id, file, line }));
  });
}

/** What is wrong between the document and the tests, one message each. */
export function requirementProblems(
  { served, planned }: Requirements,
  mentions: readonly Mention[],
): string[] {
  const all = [...served, ...planned];
  const known = new Set(all);
  const tested = new Set(mentions.map(({ id }) => id));
  const twice = new Set(all.filter((id, at) => all.indexOf(id) !== at));
  const untested = served.filter((id) => !tested.has(id));
  return [
    ...[...twice].map((id) => `docs/requirements.md: give one of the two ${id} a new number`),
    ...mentions.filter(({ id }) => !known.has(id)).map(({ id, file, line }) =>
      `${file}:${line}: docs/requirements.md has no ${id}. Add it there, or mend the test's name`
    ),
    ...untested.length === 0 ? [] : [
      `No test proves ${untested.join(", ")}. Begin a test's name with "[${
        untested[0]
      }]", or move ` +
      `what isn't served to "Planned" in docs/requirements.md`,
    ],
  ];
}

async function main(root: string): Promise<number> {
  const requirements = requirementsOf(await readFile(join(root, "docs/requirements.md"), "utf8"));
  const files = (await readdir(join(root, "tests"), { recursive: true }))
    .filter((path) => path.endsWith(".ts")).map((path) => `tests/${path}`).sort();
  const mentions = (await Promise.all(
    files.map(async (file) => mentionsOf(file, await readFile(join(root, file), "utf8"))),
  )).flat();
  const problems = requirementProblems(requirements, mentions);
  problems.forEach((problem) => console.error(problem));
  const tested = new Set(mentions.map(({ id }) => id));
  for (const [name, ids] of Object.entries(requirements)) {
    const count = ids.filter((id: string) => tested.has(id)).length;
    console.log(`${name.padEnd(8)} ${count} of ${ids.length} tested`);
  }
  return problems.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
