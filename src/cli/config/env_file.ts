/**
 * Reads a file of environment variables, which `envFile` names.
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";

/** Bytes that a file may have. */
const MAX_BYTES = 1024 * 1024;
/** Variables that are read. */
const MAX_VARIABLES = 1_000;

/** The variables of a file. */
export interface EnvFile {
  readonly values: Readonly<Record<string, string>>;
  /** The numbers of the lines that are no assignment, counted from 1. */
  readonly broken: readonly number[];
}

/** Reads a file. The result is the message that says what to do, if it can't be read. */
export function readEnvFile(path: string): EnvFile | string {
  try {
    const found = statSync(path);
    // Reading a pipe might never end
    if (!found.isFile()) return "Name a file";
    if (found.size > MAX_BYTES) return `Name a file of ${MAX_BYTES} bytes or fewer`;
    return parseEnvFile(readFileSync(path, "utf8"));
  } catch (error) {
    // Reading a property works on anything that is thrown here
    const { code } = error as { readonly code?: unknown };
    return code === "ENOENT" || code === "ENOTDIR"
      ? "Create this file, or correct its name"
      : "Allow this user to read the file";
  }
}

const ASSIGNMENT = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*/y;
/** What may stand after a value in quotes, and all of a line without an assignment. */
const REST = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Parses lines of `NAME=value`. `export` may stand before the name; blank lines and `#` comments are left
 * out. A value may be in `"…"`, where `\n`, `\r`, `\t`, `\"` and `\\` are escapes, or in `'…'` or backticks,
 * where nothing is; in quotes it may have several lines. Otherwise it ends with its line, or at a `#` after
 * a blank. Variables in values aren't replaced. The last of two assignments counts.
 */
export function parseEnvFile(text: string): EnvFile {
  const plain = text.replace(/^\uFEFF/, "").replace(/\r\n?/g, "\n");
  const values = new Map<string, string>();
  const broken: number[] = [];
  let line = 1;
  for (let at = 0; at < plain.length;) {
    const nextLine = plain.indexOf("\n", at) + 1 || plain.length;
    const found = assignmentAt(plain, at, nextLine);
    if (found !== undefined && (values.has(found.name) || values.size < MAX_VARIABLES)) {
      values.set(found.name, found.value);
    } else if (matchAt(REST, plain, at) === null) broken.push(line);
    const end = found?.end ?? nextLine;
    line += plain.slice(at, end).split("\n").length - 1;
    at = end;
  }
  return { values: Object.fromEntries(values), broken };
}

interface Assignment {
  readonly name: string;
  readonly value: string;
  /** Where the next line begins. */
  readonly end: number;
}

function assignmentAt(text: string, at: number, nextLine: number): Assignment | undefined {
  const [start, name] = matchAt(ASSIGNMENT, text, at) ?? [];
  if (start === undefined || name === undefined) return undefined;
  const from = at + start.length;
  const mark = text[from] ?? "";
  if (!/["'`]/.test(mark)) {
    const rest = text.slice(from, nextLine);
    const comment = rest.search(/(?:^|[ \t])#/);
    return { name, value: (comment === -1 ? rest : rest.slice(0, comment)).trim(), end: nextLine };
  }
  let close = from + 1;
  while (close < text.length && text[close] !== mark) {
    close += mark === '"' && text[close] === "\\" ? 2 : 1;
  }
  const rest = close < text.length ? matchAt(REST, text, close + 1) : null;
  if (rest === null) return undefined;
  const inside = text.slice(from + 1, close);
  const value = mark === '"'
    ? inside.replace(/\\([nrt"\\])/g, (_, code: string) => ESCAPES[code] ?? code)
    : inside;
  return { name, value, end: close + 1 + rest[0].length };
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
