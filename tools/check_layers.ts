/**
 * Checks the imports of everything that ships. Fails on an import against the order of the folders, one
 * that crosses the border between library and product elsewhere than through a door, a circle of imports,
 * a file that can't be read, and anything that ties the root export to one runtime.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Graph, groupsOf, loopIn } from "./circles.ts";
import { run } from "./process.ts";

/** The folders under `src/`, lowest first. Each may import from those before it. */
export const ORDER: readonly string[] = [
  "internal",
  "protocol",
  "http",
  "auth",
  "discovery",
  "streams",
  "calls",
  "sessions",
  "cluster",
  "era2025",
  "era2026",
  "long_calls",
  "server",
  "tasks",
  "skills",
  "handler",
  "audit",
  "redis",
  "sql",
  "telemetry",
  "adapters",
  "testing",
  "kit.ts",
  "kit_node.ts",
  "signin",
  "gateway",
  "accounts",
  "dashboard",
  "cli",
];

/**
 * The folders of the product, which know the library as any program does: by the entry points in
 * deno.json, and by {@linkcode KITS}.
 */
const PRODUCT: readonly string[] = ["signin", "gateway", "accounts", "dashboard", "cli"];

/** What only the product may import of the library, besides its entry points. */
const KITS: ReadonlySet<string> = new Set(["src/kit.ts", "src/kit_node.ts"]);

/** Folders, and the root export, that may import from fewer places than their position allows. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  // What is published depends on nothing that runs.
  discovery: ["internal", "protocol", "http"],
  // To drop an era is to delete its folder, so neither imports the other, not even types.
  era2026: before("era2025"),
  tasks: ["internal", "protocol", "calls", "sessions", "cluster", "server"],
  long_calls: ["internal", "protocol", "calls", "sessions", "cluster"],
  skills: ["internal", "protocol", "server"],
  handler: before("server"),
  audit: ["internal", "protocol"],
  redis: ["internal", "protocol", "streams", "sessions", "cluster"],
  sql: ["internal", "protocol", "streams", "sessions", "cluster"],
  signin: [],
  gateway: [],
  // It reads metadata and shows pages as sign-in does, and is an upstream's `auth`.
  accounts: ["signin", "gateway"],
  dashboard: [],
  // Of the server only types: a client can know the tools of one.
  testing: ["internal", "protocol", "server"],
  // An entry point of its own costs nothing to those who don't import it.
  "mod.ts": [...before("tasks"), "handler"],
};

/**
 * The order inside a folder, lowest first, for the folders that have one. An entry is a sub-folder, a
 * file that lies directly in the folder (`types.ts`), or `.` for all other files that do:
 *
 * `gateway: ["types.ts", "upstreams", "client", "session", "view", "."]`
 */
const INNER_ORDER: InnerOrder = {
  gateway: [
    "types.ts",
    "policy",
    "options.ts",
    "shared",
    "client",
    "session",
    "view",
    "openapi",
    "upstreams",
    "gateway.ts",
    "mod.ts",
  ],
};

/** Files that may import each other in a circle, when imports of types count. */
const MOST_IN_CIRCLE = 3;

/** Specifiers that only some runtimes resolve, or that need a network. */
const TIED = /^(node|bun|jsr|https?):|^bun$/;

/** Folders under `src/`, each with the order of what is in it, lowest first. */
export type InnerOrder = Readonly<Record<string, readonly string[]>>;

/** One import. */
export interface Import {
  /** A path from the project's root, or a specifier as written when it is not a file of the project. */
  readonly to: string;
  /** Whether it imports types alone, so that nothing is loaded at run time. */
  readonly typeOnly: boolean;
  /** The line of the import, counted from 1. */
  readonly line: number;
}

/** One module of the project. */
export interface Module {
  /** From the project's root, with slashes. */
  readonly path: string;
  readonly imports: readonly Import[];
  /** The reason why the file could not be read or parsed. */
  readonly error?: string;
}

/**
 * Returns one message for each rule that the modules break.
 *
 * @param modules The modules, with what they import
 * @param entries The paths of the entry points
 * @param innerOrder The order inside folders
 */
export function layerProblems(
  modules: readonly Module[],
  entries: readonly string[] = [],
  innerOrder: InnerOrder = INNER_ORDER,
): string[] {
  return [
    ...modules.flatMap(({ path, error }) => error === undefined ? [] : [`${path}: ${error}`]),
    ...modules.flatMap((module) =>
      module.imports.flatMap((edge) =>
        borderProblem(module.path, edge, entries) ?? orderProblem(module.path, edge) ??
          innerProblem(module.path, edge, innerOrder) ?? []
      )
    ),
    ...runtimeCircles(modules),
    ...typeCircles(modules),
    ...tiedProblems(modules),
  ];
}

/** Returns what is wrong with an import of the library by the product. */
function borderProblem(
  from: string,
  { to, line }: Import,
  entries: readonly string[],
): string | undefined {
  if (!isOurs(from) || !isOurs(to) || !isProduct(from) || isProduct(to)) return undefined;
  if (KITS.has(to) || entries.includes(to)) return undefined;
  return `${from}:${line} imports ${to}: Import the library by an entry point of deno.json, or add ` +
    `what only ${PRODUCT.join(", ")} need to ${[...KITS].join(" or ")}`;
}

function isProduct(path: string): boolean {
  return PRODUCT.includes(folderOf(path));
}

function orderProblem(from: string, { to, line }: Import): string | undefined {
  if (!isOurs(from) || !isPath(to)) return undefined;
  const where = `${from}:${line} imports ${to}`;
  if (!isOurs(to)) return `${where}: Import only from src/ in what ships`;
  const [low, high] = [folderOf(from), folderOf(to)];
  if (low === high || isProduct(from) && !isProduct(to)) return undefined;
  if (ONLY[low] === undefined && !ORDER.includes(low)) {
    return `${from}: Add the folder to ORDER in tools/check_layers.ts: ${low}`;
  }
  const allowed = ONLY[low] ?? before(low);
  if (allowed.includes(high)) return undefined;
  if (allowed.length === 0) return `${where}: Move what both need into ${low}/, the lowest folder`;
  return `${where}: Move what both need into a folder that ${low} may import from, or pass it in ` +
    `as an argument: ${allowed.join(", ")}`;
}

/** Applies {@linkcode INNER_ORDER} to an import inside one folder. */
function innerProblem(
  from: string,
  { to, line }: Import,
  innerOrder: InnerOrder,
): string | undefined {
  const order = innerOrder[folderOf(from)];
  if (!isOurs(from) || !isOurs(to) || folderOf(from) !== folderOf(to)) return undefined;
  if (order === undefined || order.length === 0) return undefined;
  for (const path of [from, to]) {
    if (order.includes(innerEntry(path, order))) continue;
    return `${path}: Add it to INNER_ORDER.${folderOf(path)} in tools/check_layers.ts: ` +
      innerEntry(path, order);
  }
  const [low, high] = [innerEntry(from, order), innerEntry(to, order)];
  if (order.indexOf(high) <= order.indexOf(low)) return undefined;
  return `${from}:${line} imports ${to}: Import downwards inside ${folderOf(from)}/: ` +
    order.join(", ");
}

/** The entry of an inner order that a file belongs to. */
function innerEntry(path: string, order: readonly string[]): string {
  const [, , entry = "", ...deeper] = path.split("/");
  return deeper.length > 0 || order.includes(entry) ? entry : ".";
}

/** Returns one message for each circle of imports at run time: each module would have to load first. */
function runtimeCircles(modules: readonly Module[]): string[] {
  const graph = graphOf(modules, ({ typeOnly }) => !typeOnly);
  return groupsOf(graph).map((group) =>
    `${loopIn(graph, group).join(" → ")}: a circle at run time. ` +
    `Use \`import type\`, or move what both need into a file of its own`
  );
}

/** Returns one message for each circle of too many files, types included. */
function typeCircles(modules: readonly Module[]): string[] {
  const graph = graphOf(modules, () => true);
  return groupsOf(graph).filter(({ length }) => length > MOST_IN_CIRCLE).map((group) =>
    `${group.length} files import each other in a circle, types included, and ` +
    `${MOST_IN_CIRCLE} may. Move what they share into a file that imports none of them.\n` +
    `  Files: ${group.join(", ")}\n` +
    `  One way round: ${loopIn(graph, group).join(" → ")}`
  );
}

/** The modules and which of them each imports. */
function graphOf(modules: readonly Module[], counts: (edge: Import) => boolean): Graph {
  return new Map(
    modules.map(({ path, imports }) => [
      path,
      imports.filter((edge) => isPath(edge.to) && counts(edge)).map(({ to }) => to),
    ]),
  );
}

/** Returns one message for each import, reached from the root export, that only some runtimes have. */
function tiedProblems(modules: readonly Module[]): string[] {
  const byPath = new Map(modules.map((module) => [module.path, module]));
  const reached = new Set(["mod.ts"]);
  const found: string[] = [];
  for (const path of reached) {
    for (const { to, line } of byPath.get(path)?.imports ?? []) {
      if (isPath(to)) reached.add(to);
      else if (TIED.test(to)) {
        found.push(
          `${path}:${line} imports ${to}, and mod.ts reaches it: ` +
            `Move what needs one runtime into src/adapters/`,
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
  // The types of a package may be a path, too
  return /^[^:]+\.tsx?$/.test(to) && !to.startsWith("node_modules/");
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

/** Reads the project's modules out of the output of `deno info --json`. */
export function modulesOf(
  info: Info,
  root: string,
  exists: (path: string) => boolean,
): Module[] {
  const local = (specifier: string): string =>
    specifier.startsWith("file:")
      ? relative(root, fileURLToPath(specifier)).split(sep).join("/")
      : specifier;
  return info.modules.filter(({ specifier }) => specifier.startsWith("file:")).map((module) => {
    const path = local(module.specifier);
    const imports = (module.dependencies ?? []).map(({ specifier, code, type }) => {
      const resolved = (code ?? type)?.specifier ?? specifier;
      const line = ((code ?? type)?.span?.start.line ?? 0) + 1;
      return { to: local(resolved), typeOnly: code === undefined, line };
    });
    if (module.error === undefined) return { path, imports };
    // Deno's own message names the file by its full path and may take several lines.
    const error = exists(path)
      ? "Run `deno check` to see why the file can't be parsed"
      : "Create the file, or remove what imports or exports it";
    return { path, imports, error };
  });
}

/** Lists the entry points, as paths from the root. */
async function entryPoints(root: string): Promise<string[]> {
  const { exports } = JSON.parse(await readFile(join(root, "deno.json"), "utf8"));
  return Object.values<string>(exports).map((path) => path.replace(/^\.\//, ""));
}

/** Lists what ships: the entry points and every module under `src/`, as paths from the root. */
async function sources(root: string, entries: readonly string[]): Promise<string[]> {
  const paths = new Set(entries);
  for (const entry of await readdir(join(root, "src"), { recursive: true })) {
    if (/\.tsx?$/.test(entry)) paths.add(`src/${entry.split(sep).join("/")}`);
  }
  return [...paths];
}

async function main(root: string): Promise<number> {
  const entries = await entryPoints(root);
  const paths = await sources(root, entries);
  const folder = await mkdtemp(join(tmpdir(), "layers-"));
  try {
    // `deno info` takes one module: one that imports all.
    const all = join(folder, "all.ts");
    const lines = paths.map((path) => `import "${pathToFileURL(join(root, path))}";`);
    await writeFile(all, lines.join("\n"));
    const args = ["info", "--json", "--no-lock", "--config", join(root, "deno.json"), all];
    const { code, output } = await run(process.execPath, args, { cwd: root, limitMs: 60_000 });
    if (code !== 0) throw new Error(`\`deno info\` failed: ${output}`);
    const info: Info = JSON.parse(output.slice(output.indexOf("{")));
    const modules = modulesOf(info, root, (path) => existsSync(join(root, path)))
      .filter(({ path }) => !path.startsWith(".."));
    const problems = layerProblems(modules, entries);
    problems.forEach((problem) => console.error(problem));
    if (problems.length === 0) console.log(`${modules.length} modules in their layers`);
    return problems.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (import.meta.main) process.exitCode = await main(process.argv[2] ?? process.cwd());
