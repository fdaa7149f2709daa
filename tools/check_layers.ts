/**
 * Fails on an import against the order of the folders, a cycle of imports at run time, a source file
 * that is too long, and anything that ties the root export to one runtime.
 *
 * @module
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { run } from "./process.ts";

/** The folders under `src/`, lowest first: each may import from those before it. */
const ORDER = [
  "internal",
  "protocol",
  "http",
  "auth",
  "streams",
  "calls",
  "sessions",
  "cluster",
  "server",
  "tasks",
  "skills",
  "handler",
  "redis",
  "gateway",
  "adapters",
  "dashboard",
  "cli",
];

/** Folders that may import from fewer places than their rank allows, or stand beside the order. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  tasks: ["internal", "protocol", "calls", "sessions", "server"],
  skills: ["internal", "protocol", "server"],
  handler: before("server"),
  redis: ["internal", "protocol", "streams", "sessions", "cluster"],
  gateway: ["internal", "protocol", "streams", "calls"],
  testing: ["internal", "protocol", "streams"],
  // What is an entry point of its own costs nobody anything who doesn't import it.
  "mod.ts": [...before("tasks"), "handler"],
};

/** What a folder may take types from, and nothing else. */
const TYPES_ONLY: Readonly<Record<string, readonly string[]>> = {
  testing: ["handler"],
};

const MOST_LINES = 300;

/** Specifiers that work on some runtimes, or not without a network. */
const TIED = /^(node|bun|jsr|https?):|^bun$/;

/** One import. */
export interface Import {
  /** A path from the project's root, or the specifier of what isn't the project's. */
  readonly to: string;
  /** Whether only types come through it, so that it is gone at run time. */
  readonly typeOnly: boolean;
  /** Counted from 1. */
  readonly line: number;
}

/** One module of the project. */
export interface Module {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly lines: number;
  readonly imports: readonly Import[];
  /** Why it could not be read. */
  readonly error?: string;
}

/** Every rule that a graph of modules breaks, one message each. */
export function layerProblems(modules: readonly Module[]): string[] {
  return [
    ...modules.flatMap(({ path, error }) => error === undefined ? [] : [`${path}: ${error}`]),
    ...modules.flatMap((module) =>
      module.imports.flatMap((edge) => orderProblem(module.path, edge) ?? [])
    ),
    ...cycles(modules),
    ...modules.flatMap(lengthProblem),
    ...tiedProblems(modules),
  ];
}

function orderProblem(from: string, { to, typeOnly, line }: Import): string | undefined {
  if (!isOurs(from) || !isPath(to)) return undefined;
  const where = `${from}:${line} imports ${to}`;
  if (!isOurs(to)) return `${where}: what ships imports nothing from outside src/`;
  const [low, high] = [folderOf(from), folderOf(to)];
  if (low === high) return undefined;
  if (ONLY[low] === undefined && !ORDER.includes(low)) {
    return `${from}: give the folder "${low}" its place in tools/check_layers.ts`;
  }
  const allowed = ONLY[low] ?? before(low);
  if (allowed.includes(high)) return undefined;
  if (TYPES_ONLY[low]?.includes(high)) {
    if (typeOnly) return undefined;
    return `${where}: ${low}/ may only \`import type\` from ${high}/`;
  }
  if (allowed.length === 0) return `${where}: ${low} is the lowest. Move what both need into it`;
  return `${where}: ${low} may only import from ${allowed.join(", ")}. ` +
    `Move what both need into one of these, or hand it in from above`;
}

/** One message for each group of modules that need each other to be loaded first. */
function cycles(modules: readonly Module[]): string[] {
  const graph = new Map(
    modules.map(({ path, imports }) => [
      path,
      imports.filter(({ to, typeOnly }) => !typeOnly && isPath(to)).map(({ to }) => to),
    ]),
  );
  const found: string[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const at = trail.indexOf(path);
    if (at >= 0) {
      const circle = [...trail.slice(at), path].join(" → ");
      found.push(
        `${circle}: a cycle at run time. Use \`import type\`, or split what both need off`,
      );
      return;
    }
    if (done.has(path)) return;
    trail.push(path);
    for (const next of graph.get(path) ?? []) visit(next);
    trail.pop();
    done.add(path);
  };
  for (const path of graph.keys()) visit(path);
  return found;
}

function lengthProblem({ path, lines }: Module): string[] {
  if (!isOurs(path) || lines <= MOST_LINES) return [];
  return [`${path}: ${lines} lines, ${MOST_LINES} are the most. Move one of its ideas into a file`];
}

/** What the root export reaches and only some runtimes have. */
function tiedProblems(modules: readonly Module[]): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const reached = new Set(["mod.ts"]);
  const found: string[] = [];
  for (const path of reached) {
    for (const { to, line } of byPath.get(path)?.imports ?? []) {
      if (isPath(to)) reached.add(to);
      else if (TIED.test(to)) {
        found.push(
          `${path}:${line} imports ${to}, and mod.ts reaches it: only adapters know a runtime`,
        );
      }
    }
  }
  return found;
}

function before(folder: string): string[] {
  return ORDER.slice(0, ORDER.indexOf(folder));
}

function folderOf(path: string): string {
  return path.split("/")[path.startsWith("src/") ? 1 : 0] ?? path;
}

function isOurs(path: string): boolean {
  return path === "mod.ts" || path.startsWith("src/");
}

function isPath(to: string): boolean {
  return /^[^:]+\.tsx?$/.test(to);
}

/** The part of `deno info --json` that is used here. */
interface Info {
  readonly modules: readonly {
    readonly specifier: string;
    readonly error?: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: Resolution;
      readonly type?: Resolution;
    }[];
  }[];
}

interface Resolution {
  readonly specifier?: string;
  readonly span?: { readonly start: { readonly line: number } };
}

/** The project's modules, as `deno info --json` tells of them. */
export function modulesOf(
  info: Info,
  root: string,
  texts: ReadonlyMap<string, string | undefined>,
): Module[] {
  const local = (specifier: string): string =>
    specifier.startsWith("file:")
      ? relative(root, fileURLToPath(specifier)).split(sep).join("/")
      : specifier;
  return info.modules.filter(({ specifier }) => specifier.startsWith("file:")).map((module) => {
    const path = local(module.specifier);
    const text = texts.get(path) ?? "";
    const imports = (module.dependencies ?? []).map(({ specifier, code, type }) => {
      const resolved = (code ?? type)?.specifier ?? specifier;
      const line = ((code ?? type)?.span?.start.line ?? 0) + 1;
      return { to: local(resolved), typeOnly: code === undefined, line };
    });
    if (module.error === undefined) return { path, lines: countLines(text), imports };
    // Deno's own message names the file by its full path, and may go on for lines.
    const error = texts.get(path) === undefined
      ? "something imports or exports this file, but it does not exist"
      : "the file can't be parsed: run `deno check`";
    return { path, lines: countLines(text), imports, error };
  });
}

function countLines(text: string): number {
  return text.replace(/\n$/, "").split("\n").length;
}

/** Every module of a project that ships: its entry points and all that is under `src/`. */
async function sources(root: string): Promise<Map<string, string | undefined>> {
  const { exports } = JSON.parse(await readFile(join(root, "deno.json"), "utf8"));
  const paths = new Set(Object.values<string>(exports).map((path) => path.replace(/^\.\//, "")));
  for (const entry of await readdir(join(root, "src"), { recursive: true })) {
    if (/\.tsx?$/.test(entry)) paths.add(`src/${entry.split(sep).join("/")}`);
  }
  return new Map(
    await Promise.all(
      [...paths].map(async (path) =>
        [
          path,
          await readFile(join(root, path), "utf8").catch(() => undefined),
        ] as const
      ),
    ),
  );
}

async function main(root: string): Promise<number> {
  const texts = await sources(root);
  const folder = await mkdtemp(join(tmpdir(), "layers-"));
  try {
    // `deno info` takes one module: one that imports all.
    const all = join(folder, "all.ts");
    const lines = [...texts.keys()].map((path) => `import "${pathToFileURL(join(root, path))}";`);
    await writeFile(all, lines.join("\n"));
    const args = ["info", "--json", "--no-lock", "--config", join(root, "deno.json"), all];
    const { code, output } = await run(process.execPath, args, { cwd: root, limitMs: 60_000 });
    if (code !== 0) throw new Error(`\`deno info\` failed: ${output}`);
    const info: Info = JSON.parse(output.slice(output.indexOf("{")));
    const modules = modulesOf(info, root, texts).filter(({ path }) => !path.startsWith(".."));
    const problems = layerProblems(modules);
    problems.forEach((problem) => console.error(problem));
    if (problems.length === 0) console.log(`${modules.length} modules in their layers`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
