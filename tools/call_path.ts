/**
 * Prints how one JSON `tools/call` in a warm session runs through the source: the files of `src/` in the
 * order in which they are first entered, how many files and functions ran, and how often the call enters
 * a new file in a room (a folder of `src/`) that it had left. `--write` writes that into
 * `docs/architecture.md`, without the functions.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { withTables } from "../bench/docs.ts";
import type { CalledFunction } from "./call_trace.ts";
import { run } from "./process.ts";
import { commandOf, install, ROOT } from "./runtimes.ts";

const LIMIT_MS = 60_000;
const TRACE = fileURLToPath(new URL("./call_trace.ts", import.meta.url));

const DOCUMENT = "docs/architecture.md";
/** What the markers in {@linkcode DOCUMENT} call the table. */
const TABLE = "way of a call";

const USAGE = `Usage: deno task path [--json | --write]

  --json   the counts and files as JSON instead of a table
  --write  into ${DOCUMENT} instead`;

/** The rooms whose functions have no state and are called from all others: each call is a way there and back. */
const HELPERS: ReadonlySet<string> = new Set(["internal", "protocol"]);

/** A file that a call ran through. */
export interface Step {
  /** From the project's root. */
  readonly path: string;
  /** The folder of `src/` that the file is in, without sub-folders. */
  readonly room: string;
  /** Whether the call had been in this room before and left it. */
  readonly isReturn: boolean;
  /** The functions that ran, in the order of their first entry. */
  readonly functions: readonly string[];
}

/** How a call runs through the source. */
export interface CallPath {
  readonly files: number;
  readonly functions: number;
  readonly returns: number;
  /** The returns without the rooms `internal` and `protocol`. */
  readonly returnsOfOwners: number;
  /** The files in the order in which they are first entered. */
  readonly steps: readonly Step[];
}

/**
 * Counts files, functions and returns.
 *
 * @param called The functions that ran, in the order of their first entry
 */
export function callPathOf(called: readonly CalledFunction[]): CallPath {
  const byFile = new Map<string, string[]>();
  for (const { path, name } of called) {
    byFile.set(path, [...byFile.get(path) ?? [], name]);
  }
  const files = [...byFile];
  const returned = returnsIn(files.map(([path]) => path));
  const steps: Step[] = files.map(([path, functions]) => {
    return { path, room: roomOf(path), isReturn: returned.has(path), functions };
  });
  const owners = files.map(([path]) => path).filter((path) => !HELPERS.has(roomOf(path)));
  return {
    files: steps.length,
    functions: called.length,
    returns: returned.size,
    returnsOfOwners: returnsIn(owners).size,
    steps,
  };
}

/** Returns the files in a room that had been left for another one. */
function returnsIn(paths: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  let last = "";
  const returned = new Set<string>();
  for (const path of paths) {
    const room = roomOf(path);
    if (room !== last && seen.has(room)) returned.add(path);
    seen.add(room);
    last = room;
  }
  return returned;
}

/** Formats a path as a Markdown table of files and functions, and its counts as a line below. */
export function callPathText(path: CallPath): string {
  const { steps } = path;
  const rows = steps.map((step, index) => [
    String(index + 1),
    step.isReturn ? `${step.room} (again)` : step.room,
    `\`${step.path.replace(/^src\//, "")}\``,
    step.functions.map(displayName).join(", "),
  ]);
  const table = [["", "Room", "File", "Functions"], ["-", "-", "-", "-"], ...rows];
  const widths = [0, 1, 2].map((at) => Math.max(...table.map((row) => row[at]?.length ?? 0)));
  const lines = table.map((row) => {
    const cells = row.map((cell, at) => cell.padEnd(widths[at] ?? 0, cell === "-" ? "-" : " "));
    return `| ${cells.join(" | ")} |`;
  });
  return `${lines.join("\n")}\n\n${countsText(path)}`;
}

/** Formats a path for a document: its counts, and a Markdown table with a row for each stay in a room. */
export function callPathSummary(path: CallPath): string {
  const stays: Step[][] = [];
  for (const step of path.steps) {
    const stay = stays.at(-1);
    if (stay?.[0]?.room === step.room) stay.push(step);
    else stays.push([step]);
  }
  const rows = stays.map((stay) => {
    const room = stay[0]?.room ?? "";
    const files = stay.map(({ path }) => `\`${path.split("/").slice(2).join("/")}\``);
    return `| \`${room}\`${stay[0]?.isReturn ? ", again" : ""} | ${files.join(", ")} |`;
  });
  const table = ["| Room | Files |", "| - | - |", ...rows].join("\n");
  return `${countsText(path)}.\n\n${table}`;
}

function countsText({ files, functions, returns, returnsOfOwners }: CallPath): string {
  return `${files} files, ${functions} functions, ` +
    `${returns} returns to a room that the call had left already, ` +
    `${returnsOfOwners} without \`internal\` and \`protocol\``;
}

function roomOf(path: string): string {
  return path.split("/")[1] ?? path;
}

/** Turns a name of V8's into one for a table: `#private` and `get x` stay as they are. */
function displayName(name: string): string {
  if (name === "") return "(anonymous)";
  return name === "<instance_members_initializer>" ? "(fields)" : name;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  await install();
  const { program, args } = commandOf("node");
  const { code, output } = await run(program, [...args, TRACE], { cwd: ROOT, limitMs: LIMIT_MS });
  if (code !== 0) {
    console.error(output.trimEnd());
    return 1;
  }
  const json = output.split("\n").find((line) => line.startsWith("[")) ?? "[]";
  const path = callPathOf(JSON.parse(json));
  if (values.write) return await writeInto(join(ROOT, DOCUMENT), path);
  console.log(values.json ? JSON.stringify(path, undefined, 2) : callPathText(path));
  return 0;
}

async function writeInto(document: string, path: CallPath): Promise<number> {
  const page = await readFile(document, "utf8");
  await writeFile(document, withTables(page, TABLE, callPathSummary(path)));
  const { code, output } = await run(process.execPath, ["fmt", "--quiet", document], {
    cwd: ROOT,
    limitMs: LIMIT_MS,
  });
  if (code !== 0) console.error(output.trimEnd());
  return code === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main();
