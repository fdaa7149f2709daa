/**
 * Fails when a served requirement has no test, when a test names a requirement that doesn't exist, and
 * when `docs/requirements-tests.md` doesn't list the test files of each. `--write` writes that file.
 *
 * @module
 */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, sep } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";

const DOCUMENT = "docs/requirements.md";
const LIST = "docs/requirements-tests.md";
/** The command that writes {@linkcode LIST}. */
const WRITE = "deno run -A tools/check_requirements.ts --write";
/** The width at which `deno fmt` wraps lines. */
const LINE_WIDTH = 100;

/** The ids of the requirements, in the order of `docs/requirements.md`. */
export interface Requirements {
  readonly served: readonly string[];
  readonly planned: readonly string[];
}

/** An id in a test's name. */
export interface Mention {
  readonly id: string;
  /** The test file, from the project's root. */
  readonly file: string;
  /** The line of the name, counted from 1. */
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
 * Finds the ids in the names of a file's tests. A name is any string that begins with ids in brackets, so
 * that tables of cases count too. Comments and skipped tests don't count.
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

/** Returns one message for each id that is used twice, unknown, or without a test. */
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
    ...[...twice].map((id) =>
      `${DOCUMENT}: Give one of the requirements with this id another number: ${id}`
    ),
    ...mentions.filter(({ id }) => !known.has(id)).map(({ id, file, line }) =>
      `${file}:${line}: Correct the id in the test's name, or add it to ${DOCUMENT}: ${id}`
    ),
    ...untested.length === 0 ? [] : [
      `Begin a test's name with the id in brackets, or move the requirement to "Planned" in ` +
      `${DOCUMENT}: ${untested.join(", ")}`,
    ],
  ];
}

/**
 * Makes the document that lists the test files of each requirement. Ids without a test are left out.
 *
 * @param requirements The ids, which give the order
 * @param mentions Where tests name them
 */
export function testList(
  { served, planned }: Requirements,
  mentions: readonly Mention[],
): string {
  const lines = [
    "# Requirements and their tests",
    "",
    "The test files that prove each requirement of [requirements.md](requirements.md).",
    "",
    `Don't edit this list: \`${WRITE}\` writes it.`,
  ];
  let section: string | undefined;
  for (const id of new Set([...served, ...planned])) {
    const files = new Set(mentions.filter((one) => one.id === id).map(({ file }) => `\`${file}\``));
    if (files.size === 0) continue;
    const [prefix] = id.split("-");
    if (prefix !== section) lines.push("", `## ${prefix}`, "");
    section = prefix;
    lines.push(...wrapped(`- ${id}: ${[...files].sort().join(", ")}`, "  "));
  }
  return `${lines.join("\n")}\n`;
}

/** Breaks a list item between words as `deno fmt` does. */
function wrapped(text: string, indent: string): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > LINE_WIDTH) {
      lines.push(line);
      line = indent + word;
    } else line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}

async function mentionsIn(root: string): Promise<Mention[]> {
  const entries = await readdir(join(root, "tests"), { recursive: true });
  const files = entries.filter((path) => path.endsWith(".ts"))
    .map((path) => `tests/${path.split(sep).join("/")}`).sort();
  const mentions = await Promise.all(
    files.map(async (file) => mentionsOf(file, await readFile(join(root, file), "utf8"))),
  );
  return mentions.flat();
}

async function main(): Promise<number> {
  const { values, positionals: [root = process.cwd()] } = parseArgs({
    allowPositionals: true,
    options: { write: { type: "boolean", default: false } },
  });
  const requirements = requirementsOf(await readFile(join(root, DOCUMENT), "utf8"));
  const mentions = await mentionsIn(root);
  const list = testList(requirements, mentions);
  if (values.write) await writeFile(join(root, LIST), list);
  const problems = requirementProblems(requirements, mentions);
  if (await readFile(join(root, LIST), "utf8").catch(() => "") !== list) {
    problems.push(`Write the list of tests again, it is out of date: ${LIST}: ${WRITE}`);
  }
  problems.forEach((problem) => console.error(problem));
  const tested = new Set(mentions.map(({ id }) => id));
  for (const [name, ids] of Object.entries(requirements)) {
    const count = ids.filter((id: string) => tested.has(id)).length;
    console.log(`${name.padEnd(8)} ${count} of ${ids.length} tested`);
  }
  return problems.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
