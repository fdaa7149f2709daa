/**
 * Runs `mooring import`: finds the configuration files of MCP clients on this machine, and writes their
 * servers into a configuration of Mooring.
 *
 * @module
 */
import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { applyEdits, modify } from "jsonc-parser";
import type { JsonObject } from "../../../mod.ts";
import { clip, escapeInvisible, isObject, quote } from "../../kit.ts";
import { freeName, readClientConfig } from "./client_config.ts";
import { type Input, literal } from "./client_variables.ts";
import { locatorOf, parseText, pathText, readConfig } from "../config/config.ts";
import { CliError, ExitCode, messageOf, usageError } from "../errors.ts";
import { replaceSecrets, VariableNames } from "./secrets.ts";
import { IMPORT_FROM, type ImportSource, type Machine, sourcesOf } from "./sources.ts";
import type { Io } from "../io.ts";
import { positionAt } from "../config/json.ts";
import { printable } from "../log.ts";
import { suggest } from "../../kit.ts";

/** The options of `mooring import`. */
export interface ImportOptions {
  /** One of {@linkcode IMPORT_FROM}, or a file; all of the former when left out. */
  readonly from?: string;
  /** The file to write. */
  readonly output?: string;
  /** Writes the configuration to stdout, and no file. */
  readonly print?: boolean;
  /** Replaces servers that have the same name. */
  readonly force?: boolean;
}

/** Servers that are taken. */
const MAX_SERVERS = 100;
/** Characters of a name that are shown. */
const MAX_SHOWN = 100;
const FORMAT = { formattingOptions: { tabSize: 2, insertSpaces: true, eol: "\n" } };

/** A server that was found. */
interface FoundFile {
  readonly name: string;
  readonly entry: JsonObject;
  readonly source: ImportSource;
  /** The keys that lead to it in its file. */
  readonly path: readonly (string | number)[];
}

/**
 * Imports servers.
 *
 * @throws {CliError} If a named file can't be read, the file to write is broken, or there are no servers
 */
export async function importServers(
  options: ImportOptions,
  io: Io,
  machine: Machine = { platform: process.platform, env: io.env, cwd: process.cwd() },
): Promise<ExitCode> {
  const { print = false, force = false } = options;
  // With --print, stdout has the configuration alone
  const say = (line: string): void => (print ? io.err : io.out).write(`${escapeInvisible(line)}\n`);
  const output = resolve(machine.cwd, options.output ?? "mooring.json");
  if (options.from !== undefined && resolve(machine.cwd, options.from) === output) {
    throw usageError("Give --from and --output different files");
  }
  const found = await findServers(options.from, machine, say, io);
  const before = await existing(output);
  const merge = mergeInto(before, found, { force, output });
  for (const line of merge.lines) say(line);
  const nothing = merge.text === before;
  if (print) io.out.write(`${(merge.text ?? "{}").trimEnd()}\n`);
  else if (nothing) say(`Nothing to write: ${output}`);
  else {
    await write(output, merge.text ?? "");
    say(
      `Wrote ${output}. Check it with: mooring check ${quoted(options.output ?? "mooring.json")}`,
    );
  }
  return ExitCode.Ok;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : quote(path, 4_096);
}

/** Reads all files, and shows what each has. */
async function findServers(
  from: string | undefined,
  machine: Machine,
  say: (line: string) => void,
  io: Io,
): Promise<FoundFile[]> {
  const known = IMPORT_FROM.find((it) => it === from);
  const named = from !== undefined && known === undefined;
  if (named && !/[./\\]/.test(from) && !await isFile(resolve(machine.cwd, from))) {
    const meant = suggest(from, IMPORT_FROM);
    const hint = meant === undefined ? `${IMPORT_FROM.join(", ")} or a file` : `a file or ${meant}`;
    throw usageError(`Give --from ${hint}: ${quote(from)}`);
  }
  const sources = named
    ? [{ title: "File", file: resolve(machine.cwd, from) }]
    : (await Promise.all(
      IMPORT_FROM.filter((it) => known === undefined || it === known)
        .map((it) => sourcesOf(it, machine)),
    )).flat();
  const found: FoundFile[] = [];
  const files: string[] = [];
  const failures: string[] = [];
  for (const source of sources) {
    if (!named && !await isFile(source.file)) continue;
    try {
      const servers = await serversOf(source, machine, io);
      // Editors keep their settings there, mostly without servers
      if (
        !named && servers.length === 0 &&
        /(?:settings\.json|config\.toml|opencode\.jsonc?)$/.test(source.file)
      ) continue;
      const names = servers.map(({ name }) => printable(clip(name, MAX_SHOWN))).join(", ") ||
        "no servers";
      files.push(`  ${source.title}  ${source.file}: ${names}`);
      found.push(...servers);
    } catch (error) {
      if (named || !(error instanceof CliError)) throw error;
      failures.push(...error.message.split("\n"));
    }
  }
  for (const line of failures) io.err.write(`${escapeInvisible(`warning: not read: ${line}`)}\n`);
  if (files.length > 0) ["Found", ...files, ""].forEach(say);
  if (found.length > 0) return found;
  const looked = sources.map(({ file }) => `\n  ${file}`).join("");
  throw new CliError(
    files.length + failures.length > 0
      ? "There is nothing to import: no server was found"
      : `Name a file with --from FILE. There is none of:${looked}`,
  );
}

async function isFile(file: string): Promise<boolean> {
  return await stat(file).then((found) => found.isFile(), () => false);
}

/** Reads the servers of a file. What isn't honoured is written to stderr. */
async function serversOf(source: ImportSource, machine: Machine, io: Io): Promise<FoundFile[]> {
  const { file } = source;
  const { env, cwd } = machine;
  const text = await readConfig(file);
  const { value, local } = withLocal(parseText(file, text).value, file, cwd);
  const read = readClientConfig({ file, value, env, cwd, envFiles: "path" });
  const originOf = (path: readonly (string | number)[]): readonly (string | number)[] => {
    const own = read.originOf(path);
    return local.has(String(own[1])) ? ["projects", cwd, ...own] : own;
  };
  const plain = text.replace(/^\uFEFF/, "");
  const offsetOf = locatorOf(file, plain);
  const servers = isObject(read.value) ? read.value["mcpServers"] : undefined;
  const entries = isObject(servers) ? Object.entries(servers) : [];
  const warn = (path: readonly (string | number)[], message: string): void => {
    const own = originOf(path);
    const { line, column } = positionAt(plain, offsetOf(own));
    const name = own.length === 0 ? "" : `${pathText(own)}: `;
    io.err.write(`${escapeInvisible(`warning: ${file}:${line}:${column}: ${name}${message}`)}\n`);
  };
  const own = [...read.warnings, ...read.problems].filter(({ path: [first] }) =>
    first === "mcpServers" || first === "inputs"
  );
  for (const { path, message } of own.slice(0, MAX_SERVERS)) warn(path, message);
  return entries.flatMap(([name, entry]) => {
    const path = ["mcpServers", name];
    const usable = isObject(entry) &&
      ["command", "url", "openapi"].some((key) => typeof entry[key] === "string");
    if (usable) {
      const own = withPlace(withDefaults(entry, read.inputs), file);
      return [{ name, entry: own, source, path: originOf(path) }];
    }
    warn(path, 'Left out: give an object with a "command", a "url" or an "openapi"');
    return [];
  });
}

/** Returns an API whose document has an absolute path: the file that is written may be in another folder. */
function withPlace(entry: JsonObject, file: string): JsonObject {
  const { openapi } = entry;
  if (typeof openapi !== "string" || /^(?:https?:|file:|\$\{)/i.test(openapi)) return entry;
  if (isAbsolute(openapi)) return entry;
  return { ...entry, openapi: join(literal(dirname(resolve(file))), openapi) };
}

/** Writes the defaults of inputs into their variables. */
function withDefaults(entry: JsonObject, inputs: ReadonlyMap<string, Input>): JsonObject {
  const change = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(change);
    if (isObject(value)) {
      return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, change(it)]));
    }
    if (typeof value !== "string") return value;
    let text = value;
    for (const { variable, fallback } of inputs.values()) {
      if (fallback === undefined || fallback.includes("}")) continue;
      text = text.replaceAll(`\${${variable}}`, () => `\${${variable}:-${fallback}}`);
    }
    return text;
  };
  // Objects stay objects
  return change(entry) as JsonObject;
}

interface WithLocal {
  readonly value: unknown;
  /** The names of the servers that are the project's. */
  readonly local: ReadonlySet<string>;
}

/** Adds the servers that Claude Code has for the project of a folder alone. They come first. */
function withLocal(value: unknown, file: string, cwd: string): WithLocal {
  const none = { value, local: new Set<string>() };
  if (!file.endsWith(".claude.json") || !isObject(value)) return none;
  const projects = value["projects"];
  const project = isObject(projects) && Object.hasOwn(projects, cwd) ? projects[cwd] : undefined;
  const local = isObject(project) ? project["mcpServers"] : undefined;
  const user = value["mcpServers"];
  if (!isObject(local)) return none;
  return {
    value: { ...value, mcpServers: { ...isObject(user) && user, ...local } },
    local: new Set(Object.keys(local)),
  };
}

/** Returns the text of the file to write, or `undefined` if there is none. */
async function existing(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    // Reading a property works on anything that `readFile` throws
    if ((cause as { readonly code?: unknown }).code === "ENOENT") return undefined;
    throw new CliError(`Name another file with --output: ${file}`, ExitCode.Failed, { cause });
  }
}

interface Merge {
  readonly text: string | undefined;
  /** What is said of each server and variable. */
  readonly lines: readonly string[];
}

/** Adds servers to a configuration. What is there keeps its text, unless it is to be replaced. */
function mergeInto(
  before: string | undefined,
  found: readonly FoundFile[],
  { force, output }: { readonly force: boolean; readonly output: string },
): Merge {
  const empty = before === undefined || before.trim() === "";
  let text = empty
    ? '{\n  "strict": true,\n  "mcpServers": {}\n}\n'
    : before.replace(/^\uFEFF/, "");
  const value = parseText(output, text).value;
  if (!isObject(value) || (value["mcpServers"] !== undefined && !isObject(value["mcpServers"]))) {
    throw new CliError(
      `Give "mcpServers" an object of servers in this file, or name another one: ${output}`,
    );
  }
  if (value["mcpServers"] === undefined && isObject(value["servers"])) {
    throw new CliError(`Name another file with --output: this one is not of Mooring: ${output}`);
  }
  const there = new Map(Object.entries(value["mcpServers"] ?? {}));
  const own = new Set(there.keys());
  const names = new VariableNames();
  const lines: string[] = [];
  const secrets = new Map<string, string[]>();
  let written = 0;
  for (const { name, entry, source, path } of found) {
    const clean = replaceSecrets(name, entry, names);
    const same = [...there].find(([, other]) => isSame(other, clean.entry));
    const shown = (text: string): string => printable(clip(text, MAX_SHOWN));
    if (same !== undefined) {
      lines.push(
        `  ${shown(name)}: there already${same[0] === name ? "" : ` as ${shown(same[0])}`}`,
      );
      continue;
    }
    if (there.size >= MAX_SERVERS) {
      lines.push(`  ${shown(name)}: left out, since a file has ${MAX_SERVERS} servers at most`);
      continue;
    }
    const replaces = force && own.delete(name);
    const separator = typeof value["separator"] === "string" ? value["separator"] : "__";
    const allowed = name.replace(/[^A-Za-z0-9_.-]+/g, "-").split(separator).join("-");
    const free = replaces ? name : freeName(allowed, (it) => there.has(it));
    there.set(free, clean.entry);
    text = applyEdits(text, modify(text, ["mcpServers", free], clean.entry, FORMAT));
    written++;
    const why = replaces
      ? ", replaced"
      : free === name
      ? ""
      : `, from ${shown(name)}: that name is taken`;
    lines.push(`  ${shown(free)}: ${source.title}${why}`);
    for (const { variable, path: inside } of clean.replaced) {
      const places = secrets.get(variable) ?? [];
      const used = before?.includes(`\${${variable}}`)
        ? " (the file has this variable already)"
        : "";
      places.push(`${source.file}, ${pathText([...path, ...inside])}${used}`);
      secrets.set(variable, places);
    }
  }
  const inputs = [...new Set(text.match(/MOORING_INPUT_[A-Z0-9_]+/g) ?? [])];
  return {
    text: written === 0 && !empty ? before : text,
    lines: [
      "Servers",
      ...lines,
      "",
      ...secrets.size > 0 ? ["Set these variables, whose values aren't written:"] : [],
      ...[...secrets].flatMap(([variable, places]) =>
        places.map((place) => `  ${variable}: the value of ${printable(place)}`)
      ),
      ...inputs.length > 0 ? ["Set these variables, which the program asked for:"] : [],
      ...inputs.map((name) => `  ${name}`),
      ...secrets.size + inputs.length > 0 ? [""] : [],
    ],
  };
}

/** Whether two servers are the same, in whatever order their keys stand. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  return Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map((
    [key, entry],
  ) => [key, sorted(entry)]);
}

/** Writes a file so that nobody ever sees half of it. */
async function write(output: string, text: string): Promise<void> {
  // A link stays one
  const target = await realpath(output).catch(() => output);
  const mode = await stat(target).then((found) => found.mode & 0o777, () => 0o600);
  const partial = `${target}.${process.pid}.new`;
  try {
    await writeFile(partial, text, { mode, flag: "wx" });
    await rename(partial, target);
  } catch (cause) {
    await rm(partial, { force: true });
    throw new CliError(
      `Name a file that can be written with --output: ${output}: ${messageOf(cause)}`,
    );
  }
}
