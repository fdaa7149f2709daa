/**
 * Runs `mooring bundle`: makes an `.mcpb`, which desktop clients install with a click, of a stdio server in
 * a configuration file. The official tool checks and packs it, and is fetched when it is needed.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { cp, lstat, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import process from "node:process";
import type { JsonObject } from "../../../mod.ts";
import { clip, escapeInvisible, isObject } from "../../kit.ts";
import { readClientConfig } from "../import/client_config.ts";
import type { Input } from "../import/client_variables.ts";
import { configError, examineConfig, parseText, readConfig } from "../config/config.ts";
import { type Config, configSchema, type ServerEntry } from "../config/schema.ts";
import { homeOf } from "../import/dialect.ts";
import { CliError, ExitCode, messageOf, usageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { parseJson } from "../config/json.ts";
import { writeWarnings } from "../serve/warnings.ts";

/** The options of `mooring bundle`. */
export interface BundleOptions {
  /** The server's name, if the file has more than one program. */
  readonly server?: string;
  /** The folder that has the server's files. */
  readonly dir?: string;
  /** The file to write. */
  readonly output?: string;
  readonly description?: string;
  readonly author?: string;
  readonly release?: string;
  /** Writes the manifest to stdout, and packs nothing. */
  readonly print?: boolean;
}

/** Runs the tool that packs a folder. Rejects with its output if it refuses. */
export type Pack = (folder: string, output: string) => Promise<void>;

/** The tool, in the version that is tested. */
const TOOL = "@anthropic-ai/mcpb@2.1.2";
const TOOL_MS = 300_000;
const MAX_OUTPUT = 1024 * 1024;
/** Characters of the tool's output that are shown. */
const MAX_SHOWN = 2_000;
const MANIFEST = "manifest.json";
/** What a folder may have at most. The tool reads all of it into memory. */
const MAX_FILES = 100_000;
const MAX_BYTES = 512 * 1024 * 1024;
/** A variable in a configuration, with its default. `$${` is no variable. */
const REFERENCE = /(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}/g;
/** Names of variables whose values nobody else may have. */
const SECRET_NAME = /key|token|secret|password|passwd|credential|bearer|authorization/i;
/** A URL with a password in it. */
const URL_WITH_PASSWORD = /:\/\/[^/?#\s]*:[^/?#\s]*@/;
/** Programs that fetch the server when it starts, so that there is nothing to pack. */
const FETCHING = new Set(["npx", "npm", "bunx", "pnpm", "yarn", "uvx", "uv", "pipx", "docker"]);
/** The kinds of server that run a file of the folder with a program of the client. */
const KINDS: Readonly<Record<string, string>> = {
  node: "node",
  python: "python",
  python3: "python",
};

type ProgramEntry = Extract<ServerEntry, { readonly command: string }>;

/**
 * Makes a bundle.
 *
 * @throws {CliError} If the file, the folder or the server in it can't be used, or the tool refuses it
 */
export async function bundle(
  file: string,
  options: BundleOptions,
  io: Io,
  pack: Pack = packWith(["npx", "-y", TOOL]),
): Promise<ExitCode> {
  const { name, entry, defaults } = await serverOf(file, options.server, io);
  const folder = resolve(dirname(file), options.dir ?? entry.cwd ?? ".");
  await checkFolder(folder);
  const about = await aboutOf(folder, name, options);
  const server = await launchOf(folder, name, entry);
  const manifest = { manifest_version: "0.3", ...about, server, ...userConfig(server, defaults) };
  const text = `${JSON.stringify(manifest, null, 2)}\n`;
  if (options.print === true) {
    io.out.write(text);
    return ExitCode.Ok;
  }
  const output = resolve(options.output ?? `${fileName(about)}.mcpb`);
  const copy = await mkdtemp(join(tmpdir(), "mooring-bundle-"));
  try {
    await copyFolder(folder, copy, [resolve(file), output]);
    await writeFile(join(copy, MANIFEST), text);
    await pack(copy, output);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  io.out.write(`${escapeInvisible(`Wrote ${output}`)}\n`);
  return ExitCode.Ok;
}

/**
 * Copies what is packed: all of a folder but some files and what holds secrets by custom. The folder
 * itself stays as it is.
 *
 * @throws {CliError} If it is too large, or can't be read
 */
async function copyFolder(folder: string, copy: string, without: readonly string[]): Promise<void> {
  let bytes = 0;
  let files = 0;
  const filter = async (path: string): Promise<boolean> => {
    if (path === folder) return true;
    const name = basename(path);
    if (without.includes(path) || name === ".git" || /^\.env(\.|$)/.test(name)) return false;
    bytes += (await lstat(path)).size;
    if (++files <= MAX_FILES && bytes <= MAX_BYTES) return true;
    throw new CliError(
      `Name a smaller folder with --dir, of ${MAX_FILES} files and ${MAX_BYTES} bytes or fewer: ` +
        folder,
    );
  };
  try {
    await cp(folder, copy, { recursive: true, filter });
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError(`Name a folder that can be read with --dir: ${folder}`, ExitCode.Failed, {
      cause,
    });
  }
}

/** Checks the folder that is packed. */
async function checkFolder(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => undefined);
  if (names === undefined) throw new CliError(`Name a folder that exists with --dir: ${folder}`);
  if (!names.includes(MANIFEST)) return;
  throw new CliError(
    `There is a manifest already. Pack it with "npx ${TOOL} pack", or remove it: ` +
      join(folder, MANIFEST),
  );
}

interface Chosen {
  readonly name: string;
  /** The server. In place of each variable stands the user's setting of it. */
  readonly entry: ProgramEntry;
  /** The defaults of its variables, by the names of the settings. */
  readonly defaults: ReadonlyMap<string, Setting>;
}

interface Setting {
  readonly variable: string;
  readonly fallback: string | undefined;
  /** The input of the file that has its value. */
  readonly input: Input | undefined;
}

/** Reads the server from the file. Variables are not looked up: their values must not get into a bundle. */
async function serverOf(file: string, wanted: string | undefined, io: Io): Promise<Chosen> {
  const text = await readConfig(file);
  const env: Record<string, string> = {};
  const defaults = new Map<string, Setting>();
  const envFiles = "references";
  const { value: written } = parseText(file, text);
  // Only where the user's folder is, which paths may begin with
  const place = { HOME: homeOf(io.env) };
  const read = readClientConfig({ file, value: written, env: place, cwd: process.cwd(), envFiles });
  const inputs = new Map([...read.inputs.values()].map((input) => [input.variable, input]));
  for (const [, variable = "", fallback] of JSON.stringify(read.value).matchAll(REFERENCE)) {
    const setting = variable.toLowerCase();
    const input = inputs.get(variable);
    env[variable] = `\${user_config.${setting}}`;
    defaults.set(setting, {
      variable,
      fallback: fallback ?? defaults.get(setting)?.fallback ?? input?.fallback,
      input,
    });
  }
  const source = { file, text, env: { ...place, ...env }, envFiles } as const;
  const { value, problems, warnings, originOf } = examineConfig(source);
  writeWarnings(warnings, io);
  // The rest, such as a port, is not bundled, and can't be checked with such values
  const own = problems.filter(({ path }) => path.length === 0 || path[0] === "mcpServers");
  const servers = isObject(value) ? value.mcpServers : undefined;
  const { data: config } = configSchema.safeParse({ mcpServers: servers });
  if (own.length > 0 || config === undefined) {
    throw configError(source, problems, originOf);
  }
  const [name, entry] = choose(config, wanted);
  return { name, entry, defaults };
}

function choose({ mcpServers }: Config, wanted: string | undefined): [string, ProgramEntry] {
  const programs = Object.entries(mcpServers).flatMap(([name, entry]) =>
    "command" in entry && entry.disabled !== true ? [[name, entry] as [string, ProgramEntry]] : []
  );
  const names = programs.map(([name]) => name).join(", ");
  if (programs.length === 0) {
    throw new CliError('Give a file with a server that has a "command": only programs are bundled');
  }
  if (wanted === undefined) {
    const [only, ...others] = programs;
    if (only !== undefined && others.length === 0) return only;
    throw usageError(`Name one server with --server: ${names}`);
  }
  const found = programs.find(([name]) => name === wanted);
  if (found === undefined) throw usageError(`Give --server one of ${names}`);
  return found;
}

/** What the manifest says about the server: from package.json in the folder, and from options. */
async function aboutOf(
  folder: string,
  name: string,
  { description, author, release }: BundleOptions,
): Promise<JsonObject> {
  const own = await packageJson(folder);
  const about: JsonObject = {
    name: typeof own.name === "string" ? own.name : name,
    version: release ?? own.version,
    description: description ?? own.description,
    author: author === undefined ? authorOf(own.author) : { name: author },
  };
  const missing: [string, string][] = [
    ["version", "--release VERSION"],
    ["description", "--description TEXT"],
    ["author", "--author NAME"],
  ];
  for (const [key, flag] of missing) {
    if (about[key] !== undefined) continue;
    throw usageError(`Give ${flag}, or "${key}" in ${join(folder, "package.json")}`);
  }
  const { license, homepage } = own;
  return {
    ...about,
    ...typeof license === "string" && { license },
    ...typeof homepage === "string" && { homepage },
  };
}

async function packageJson(folder: string): Promise<JsonObject> {
  let text: string;
  try {
    text = await readFile(join(folder, "package.json"), "utf8");
  } catch {
    return {};
  }
  try {
    const parsed = parseJson(text);
    if (isObject(parsed)) return parsed;
  } catch {
    // Reported below
  }
  throw new CliError(`Correct the JSON: ${join(folder, "package.json")}`);
}

/** Reads an author as npm writes it: an object, or `Name <mail> (url)`. */
function authorOf(author: unknown): JsonObject | undefined {
  if (isObject(author) && typeof author.name === "string") return { ...author };
  if (typeof author !== "string") return undefined;
  const [, name = "", email, url] =
    /^([^<(]*?)\s*(?:<([^>]*)>)?\s*(?:\(([^)]*)\))?\s*$/.exec(author) ?? [];
  if (name === "") return undefined;
  return { name, ...email !== undefined && { email }, ...url !== undefined && { url } };
}

/** How the client starts the server: the paths of its files as the client knows them. */
async function launchOf(folder: string, name: string, entry: ProgramEntry): Promise<JsonObject> {
  const { command, args = [], env = {} } = entry;
  const program = basename(command).replace(/\.exe$/i, "");
  if (FETCHING.has(program)) {
    throw new CliError(
      `mcpServers.${name}.command: Install the server into ${folder} and name its file, such as ` +
        `"node" with "node_modules/…": ${program} fetches it when it starts, a bundle has it`,
    );
  }
  for (const [place, value] of namedValues(entry)) {
    if (/\$\{user_config\./.test(value) || value === "") continue;
    if (!SECRET_NAME.test(place) && !URL_WITH_PASSWORD.test(value)) continue;
    throw new CliError(
      `mcpServers.${name}.${place}: Write a variable, such as "\${API_KEY}", which each user sets: ` +
        "everybody who has the bundle could read the value",
    );
  }
  const files = await Promise.all(args.map((arg) => fileIn(folder, arg)));
  const placed = args.map((arg, at) => inBundle(files[at]) ?? arg);
  const own = await fileIn(folder, command);
  const kind = own === undefined ? KINDS[program] : "binary";
  if (kind === undefined) {
    throw new CliError(
      `mcpServers.${name}.command: Give node, python, or the path of a program in ${folder}`,
    );
  }
  const main = own ?? files.find((found) => found !== undefined);
  if (main === undefined) {
    throw new CliError(`mcpServers.${name}.args: Name the file in ${folder} that ${program} runs`);
  }
  return {
    type: kind,
    entry_point: main,
    mcp_config: {
      command: inBundle(own) ?? program,
      args: placed,
      ...Object.keys(env).length > 0 && { env },
    },
  };
}

/** The values that have a name: variables, and options among the arguments. */
function namedValues({ args = [], env = {} }: ProgramEntry): [string, string][] {
  const options = args.flatMap((arg, at): [string, string][] => {
    const [, option, own] = /^--?([A-Za-z][\w-]*)(?:=(.*))?$/s.exec(arg) ?? [];
    if (option === undefined) return [];
    const next = args[at + 1] ?? "";
    return [[`args --${option}`, own ?? (next.startsWith("-") ? "" : next)]];
  });
  return [
    ...Object.entries(env).map(([key, value]): [string, string] => [`env.${key}`, value]),
    ...options,
  ];
}

function inBundle(path: string | undefined): string | undefined {
  return path === undefined ? undefined : `\${__dirname}/${path}`;
}

/** Returns the path of a file in a folder, from there and with slashes, if there is such a file. */
async function fileIn(folder: string, path: string): Promise<string | undefined> {
  if (path === "" || path.startsWith("-") || path.includes("\0")) return undefined;
  const found = relative(folder, resolve(folder, path));
  if (found === "" || found.startsWith("..") || isAbsolute(found)) return undefined;
  try {
    if (!(await stat(join(folder, found))).isFile()) return undefined;
  } catch {
    return undefined;
  }
  return found.split(sep).join("/");
}

/** The settings that the client asks its user for: each variable that the server uses. */
function userConfig(server: JsonObject, all: ReadonlyMap<string, Setting>): JsonObject {
  const used = JSON.stringify(server);
  const settings = [...all].filter(([key]) => used.includes(`\${user_config.${key}}`));
  if (settings.length === 0) return {};
  const described = settings.map(([key, { variable, fallback, input }]) => {
    const about = {
      type: "string",
      title: input?.id ?? variable,
      description: input?.description ?? `The value of ${variable}`,
    };
    return [
      key,
      fallback === undefined
        ? { ...about, sensitive: input?.password ?? true, required: true }
        : { ...about, required: false, default: fallback },
    ];
  });
  return { user_config: Object.fromEntries(described) };
}

function fileName({ name, version }: JsonObject): string {
  return `${name}-${version}`.replace(/^@/, "").replace(/[^A-Za-z0-9._-]+/g, "-");
}

/**
 * Returns a function that packs with the official tool.
 *
 * @param command The command line of the tool, to which the rest is added
 */
export function packWith([program = "", ...args]: readonly string[]): Pack {
  return (folder, output) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const limits = { timeout: TOOL_MS, maxBuffer: MAX_OUTPUT };
    execFile(program, [...args, "pack", folder, output], limits, (error, stdout, stderr) => {
      if (error === null) return resolve();
      const { code } = error;
      if (String(code) === "ENOENT") {
        return reject(new CliError("Install Node, which has npx, or use --print"));
      }
      const said = clip(`${stdout}\n${stderr}`.trim() || messageOf(error), MAX_SHOWN);
      reject(new CliError(`${TOOL} refused the bundle:\n${escapeInvisible(said)}`));
    });
    return promise;
  };
}
