/**
 * Prints a warning for each long file and each long function of what ships. A size is no reason to split
 * something, so this fails only when it can't count.
 *
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** Lines of a file, its comments included, above which a warning is printed. */
export const MOST_FILE_LINES = 400;

/** How a line of output begins that `deno task ok` repeats at its end, although the check passed. */
export const WARNING = "warn  ";

const LIMIT_MS = 60_000;
/** Settings of `deno lint` with `tools/function_length.ts` as its only rule. */
const LINT_CONFIG = fileURLToPath(new URL("./function_length.json", import.meta.url));

/** The part of the output of `deno lint --json` that is used here. */
interface LintReport {
  readonly diagnostics: readonly {
    readonly filename: string;
    readonly message: string;
    readonly range: { readonly start: { readonly line: number } };
  }[];
  readonly errors: readonly { readonly file_path: string; readonly message: string }[];
}

/**
 * Returns one message for each file with more than {@linkcode MOST_FILE_LINES} lines, unless a tool wrote it.
 *
 * @param texts Each file's path and text
 */
export function longFiles(texts: ReadonlyMap<string, string>): string[] {
  return [...texts].flatMap(([path, text]) => {
    if (text.includes("Written by `tools/")) return [];
    const lines = text.replace(/\n$/, "").split("\n").length;
    return lines > MOST_FILE_LINES ? [`${path}: ${lines} lines, over ${MOST_FILE_LINES}`] : [];
  });
}

/**
 * Reads one message for each long function out of the output of `deno lint --json`.
 *
 * @param output The output
 * @param root The project's folder
 * @throws {Error} If the output is no report, or a file could not be parsed
 */
export function longFunctions(output: string, root: string): string[] {
  const { diagnostics, errors }: LintReport = JSON.parse(
    output.slice(output.indexOf("{"), output.lastIndexOf("}") + 1),
  );
  const [error] = errors;
  if (error !== undefined) {
    throw new Error(`Correct the file, it can't be parsed: ${error.file_path}: ${error.message}`);
  }
  return diagnostics.map(({ filename, message, range }) => {
    const path = relative(root, fileURLToPath(filename)).split(sep).join("/");
    return `${path}:${range.start.line}: ${message}`;
  });
}

async function main(root: string): Promise<number> {
  const inSrc = (await readdir(join(root, "src"), { recursive: true }))
    .filter((path) => path.endsWith(".ts")).map((path) => `src/${path.split(sep).join("/")}`);
  const paths = ["mod.ts", ...inSrc.sort()];
  const texts = new Map(
    await Promise.all(
      paths.map(async (path) => [path, await readFile(join(root, path), "utf8")] as const),
    ),
  );
  // A long function makes `deno lint` end with 1, so its output alone tells whether it worked.
  const args = ["lint", "--json", "--config", LINT_CONFIG, ...paths];
  const { output } = await run(process.execPath, args, { cwd: root, limitMs: LIMIT_MS });
  const warnings = [...longFiles(texts), ...longFunctions(output, root)].sort();
  warnings.forEach((warning) => console.log(`${WARNING} ${warning}`));
  console.log(`${paths.length} files, ${warnings.length} warnings`);
  return 0;
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
