/**
 * Finds the place of an error in what a runtime has written about it.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { stripVTControlCharacters } from "node:util";
import { clip } from "../../kit.ts";

/** Why a server doesn't run. */
export interface DevFailure {
  /** What the runtime says. */
  readonly message: string;
  /** The file, from the project's folder, and the place in it. */
  readonly file?: string | undefined;
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  /** Lines of the file around the place. */
  readonly source?: readonly { readonly line: number; readonly text: string }[] | undefined;
  /** The end of what the runtime has written. */
  readonly output: string;
}

/** Characters of a message, of a line, and of the output that are kept. */
const MAX_MESSAGE = 500;
const MAX_LINE = 200;
const MAX_OUTPUT = 8_000;
/** Lines before and behind the place. */
const AROUND = 2;

const PLACE = /(?:file:\/\/)?((?:\/|[A-Za-z]:[\\/])[^\s:()'"]+):(\d+)(?::(\d+))?/g;
const ERROR = /^(?:error: )?(?:Uncaught (?:\(in promise\) )?)?(\w*Error(?: \[\w+\])?: .+)$/m;

/**
 * Describes an error.
 *
 * @param written What the runtime wrote
 * @param root The project's folder
 * @param otherwise What to say if the runtime wrote no error
 */
export async function failureOf(
  written: string,
  root: string,
  otherwise: string,
): Promise<DevFailure> {
  const output = stripVTControlCharacters(written).trimEnd().slice(-MAX_OUTPUT);
  const place = placeIn(output, root);
  const said = ERROR.exec(output)?.[1] ?? /^\s*error: (.+)$/m.exec(output)?.[1] ?? otherwise;
  // Deno says the place in the same line
  const message = clip(said.replace(/ at file:\/\/\S+$/, ""), MAX_MESSAGE);
  if (place === undefined) return { message, output };
  const { path, line } = place;
  const column = place.column ?? caretIn(output);
  const source = await sourceAt(path, line);
  return { message, file: relative(root, path), line, column, source, output };
}

/** Writes a failure in lines, for the terminal. */
export function failureText({ message, file, line, column, source, output }: DevFailure): string {
  if (file === undefined || line === undefined) {
    return output.includes(message) ? output : `${message}\n${output}`.trimEnd();
  }
  const width = String(source?.at(-1)?.line ?? line).length;
  const shown = (source ?? []).flatMap((each) => [
    `${each.line === line ? ">" : " "} ${String(each.line).padStart(width)} | ${each.text}`,
    ...each.line === line && column !== undefined
      ? [`  ${" ".repeat(width)} | ${" ".repeat(column - 1)}^`]
      : [],
  ]);
  return [`${placeText({ file, line, column })}: ${message}`, ...shown].join("\n");
}

/** Writes a place as editors and terminals know it. */
export function placeText({ file, line, column }: Partial<DevFailure>): string {
  return [file, line, column].filter((each) => each !== undefined).join(":");
}

/** Returns the first place that is in the project's own files. */
function placeIn(
  output: string,
  root: string,
): { readonly path: string; readonly line: number; readonly column?: number } | undefined {
  for (const [, found = "", line, column] of output.matchAll(PLACE)) {
    const path = pathOf(found);
    if (path === undefined || path.includes("node_modules")) continue;
    const below = relative(root, path);
    if (below === "" || below.startsWith("..")) continue;
    return { path, line: Number(line), ...column !== undefined && { column: Number(column) } };
  }
  return undefined;
}

function pathOf(found: string): string | undefined {
  try {
    return found.startsWith("/") ? fileURLToPath(`file://${found}`) : found;
  } catch {
    return undefined;
  }
}

/** Returns the column of the mark that Node writes below a line. */
function caretIn(output: string): number | undefined {
  const at = /^( *)\^+\s*$/m.exec(output)?.[1];
  return at === undefined ? undefined : at.length + 1;
}

async function sourceAt(path: string, line: number): Promise<DevFailure["source"]> {
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const first = Math.max(1, line - AROUND);
  return text.split(/\r?\n/).slice(first - 1, line + AROUND)
    .map((text, at) => ({ line: first + at, text: clip(text, MAX_LINE) }));
}
