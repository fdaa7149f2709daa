/**
 * Makes a module of each example, so that all are type-checked together and run in one process. Examples are
 * the `ts` blocks of doc comments, of the README and of `docs/`. Blocks marked `ts ignore` are skipped.
 *
 * @module
 */
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import process from "node:process";

/** The folder for the modules, below the project's. */
export const EXAMPLES = ".cache/examples";
/** The longest that an example may run, in milliseconds. */
const EXAMPLE_MS = 10_000;

/** An example. */
export interface Example {
  /** The path of the file that it stands in. */
  readonly file: string;
  /** The line of its first line, counted from 1. */
  readonly line: number;
  /** The code. */
  readonly code: string;
}

/** Finds the examples in the text of a file: of a Markdown page, or in the doc comments of a module. */
export function examplesIn(file: string, text: string): Example[] {
  const found: Example[] = [];
  const isPage = file.endsWith(".md");
  let open: { line: number; code: string[]; indent: number } | "skipped" | undefined;
  for (const [at, whole] of text.split("\n").entries()) {
    // Code in a doc comment stands behind the comment's asterisk and one blank.
    const line = isPage ? whole : whole.match(/^\s*\* ?(.*)$/)?.[1];
    if (line === undefined) {
      open = undefined;
      continue;
    }
    const [, blanks = "", mark] = line.match(/^(\s*)```(.*)$/) ?? [];
    if (mark === undefined) {
      if (typeof open === "object") open.code.push(line.slice(open.indent));
    } else if (open === undefined) {
      open = mark.trim() === "ts" ? { line: at + 2, code: [], indent: blanks.length } : "skipped";
    } else {
      if (typeof open === "object") {
        found.push({ file, line: open.line, code: open.code.join("\n") });
      }
      open = undefined;
    }
  }
  return found;
}

/** Finds all examples of a project: below `src/` and `docs/`, in `mod.ts` and in the README. */
export async function findExamples(root: string): Promise<Example[]> {
  const inFolder = async (folder: string, end: string) =>
    (await readdir(join(root, folder), { recursive: true }).catch(() => []))
      .filter((path) => path.endsWith(end)).map((path) => `${folder}/${path}`).sort();
  const files = [
    "mod.ts",
    "README.md",
    ...await inFolder("src", ".ts"),
    ...await inFolder("docs", ".md"),
  ];
  const found = await Promise.all(files.map(async (file) => {
    const text = await readFile(join(root, file), "utf8").catch(() => "");
    return examplesIn(file, text);
  }));
  return found.flat();
}

/** Returns the name of an example's module, which says where the example stands. */
function moduleName({ file, line }: Example): string {
  return `${file.replaceAll("/", "__")}__${line}.ts`;
}

/**
 * Returns the text of an example's module. Its lines have the numbers that they have in their file, so that
 * an error says where to look; what it imports beside itself is found from its new place.
 */
function moduleText({ file, line, code }: Example): string {
  const moved = code.replace(
    /(\bfrom\s+|\bimport\()"(\.{1,2}\/[^"]+)"/g,
    (_, before: string, path: string) =>
      `${before}"${relative(EXAMPLES, join(dirname(file), path))}"`,
  );
  return `${"\n".repeat(line - 1)}${moved}\nexport {};\n`;
}

/**
 * Writes the module of each example into {@linkcode EXAMPLES}, and the program that runs them all,
 * `run.ts`.
 *
 * @returns The number of examples
 */
export async function writeExamples(root: string): Promise<number> {
  const folder = join(root, EXAMPLES);
  const examples = await findExamples(root);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await Promise.all(
    examples.map((example) => writeFile(join(folder, moduleName(example)), moduleText(example))),
  );
  const names = examples.map((example) => [`${example.file}:${example.line}`, moduleName(example)]);
  await writeFile(
    join(folder, "run.ts"),
    `import { runExamples } from "../../tools/examples.ts";
await runExamples(${JSON.stringify(names)}, (name) => import(new URL(name, import.meta.url).href));
`,
  );
  return examples.length;
}

/**
 * Runs examples one after the other in this process, and ends it: with 1 if one has thrown, set an exit code,
 * or still runs after {@linkcode EXAMPLE_MS}. The last line is `N examples passed` if all have run.
 *
 * @param examples The place and the module of each
 * @param load Imports a module
 */
export async function runExamples(
  examples: readonly (readonly [place: string, module: string])[],
  load: (module: string) => Promise<unknown>,
): Promise<void> {
  let current = "";
  const failures: string[] = [];
  const fail = (error: unknown) => {
    failures.push(`${current}\n${error instanceof Error ? error.stack : String(error)}`);
  };
  process.on("uncaughtException", fail);
  process.on("unhandledRejection", fail);
  for (const [place, module] of examples) {
    current = place;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(`Close what the example opens, it still runs after ${EXAMPLE_MS} ms`),
        EXAMPLE_MS,
      );
    });
    try {
      await Promise.race([load(module), late]);
      // What an example leaves to run later, such as a promise that nobody awaits, may fail now.
      await new Promise((resolve) => setTimeout(resolve, 0));
      if (process.exitCode) throw new Error(`The example set the exit code ${process.exitCode}`);
    } catch (error) {
      fail(error);
    }
    process.exitCode = 0;
    clearTimeout(timer);
  }
  for (const failure of failures) console.error(`FAILED ${failure}\n`);
  if (failures.length === 0) console.log(`${examples.length} examples passed`);
  // Examples may leave a server open.
  process.exit(failures.length === 0 ? 0 : 1);
}

if (import.meta.main) console.log(`${await writeExamples(process.cwd())} examples`);
