/**
 * Makes the npm package: `deno pack` writes the declarations, then this adds what it leaves out: the
 * bundles, the dependencies, and the facts about the package. It prints each step as it begins and what it
 * made, and last the path of the tarball.
 *
 * @module
 */
import { mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { bundleCommand, bundleEntries, removeModules } from "./bundle.ts";
import { writeCreatePackage } from "./pack_create.ts";
import { run } from "./process.ts";
import { installPackages, installPackageTools, ROOT } from "./runtimes.ts";

const LIMIT_MS = 300_000;
/** The folder for everything that this makes. */
const DIST = join(ROOT, "dist");
/** The folder that becomes the tarball. */
const PACKAGE = join(DIST, "package");
/** The folder that becomes the tarball of `create-mooring`. */
const CREATE = join(DIST, "create-mooring");

/** The module of the command, its declarations, and the file that it is bundled into. */
const COMMAND = { source: "src/cli/main.ts", types: "./src/cli/main.d.ts", file: "bin/mooring.js" };

/** The file for the licenses of what is bundled with the command, from the package's root. */
const LICENSES = "bin/LICENSES.txt";

/** What a package of the registry says about itself, as far as this reads it. */
interface Manifest {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly engines: Readonly<Record<string, string>>;
}

/**
 * What the root and the adapters need is installed with the package, at the versions that are tested. That
 * of Node brings hono.
 */
const DEPENDENCIES = [
  "@cfworker/json-schema",
  "@hono/node-server",
  "eventsource-parser",
];

/**
 * What only some entry points need is installed by who uses them. A range, since the version must be the
 * one that the application itself has.
 */
const PEERS = [
  "@apidevtools/json-schema-ref-parser",
  "@modelcontextprotocol/client",
  "@noble/hashes",
  "@opentelemetry/api",
  "@opentelemetry/context-async-hooks",
  "@opentelemetry/core",
  "@opentelemetry/exporter-metrics-otlp-http",
  "@opentelemetry/exporter-metrics-otlp-proto",
  "@opentelemetry/exporter-trace-otlp-http",
  "@opentelemetry/exporter-trace-otlp-proto",
  "@opentelemetry/resources",
  "@opentelemetry/sdk-metrics",
  "@opentelemetry/sdk-trace",
  "hono",
  "ipaddr.js",
  "jose",
  "oauth4webapi",
  "prom-client",
  "redis",
  "yaml",
  "zod",
];

/** What the command loads only where it is asked for. The API of OpenTelemetry is used by `prom-client`, too. */
const OUTSIDE = PEERS.filter((name) =>
  name === "redis" || (name.startsWith("@opentelemetry/") && name !== "@opentelemetry/api")
);

/** What the bundled command contains, and nothing else imports. */
const BUNDLED = ["@clack/prompts", "commander", "jsonc-parser", "smol-toml"];

/**
 * Returns the package's `package.json`.
 *
 * @param packed The one that `deno pack` made
 * @param source The one of the source
 * @throws {Error} If a dependency of the source is in none of the lists
 */
export function manifestOf(
  packed: Readonly<Record<string, unknown>>,
  source: Manifest,
): Record<string, unknown> {
  const versionOf = (name: string): string => {
    const version = source.dependencies[name];
    if (version === undefined) throw new Error(`Remove "${name}" from the lists of tools/pack.ts`);
    return version;
  };
  const known = new Set([...DEPENDENCIES, ...PEERS, ...BUNDLED]);
  const unknown = Object.keys(source.dependencies).filter((name) => !known.has(name));
  if (unknown.length > 0) {
    throw new Error(`Add to a list of tools/pack.ts who installs them: ${unknown.join(", ")}`);
  }
  // `deno pack` makes the exports from those of deno.json.
  const exports = packed["exports"] as Record<string, unknown>;
  const cli = { types: COMMAND.types, default: `./${COMMAND.file}` };
  return {
    name: packed["name"],
    version: packed["version"],
    description: "MCP servers on the web standards: one function from Request to Response, with " +
      "sessions, owners, resumable streams and bounds that hold",
    license: packed["license"],
    keywords: ["mcp", "model context protocol", "server", "gateway", "fetch", "deno", "bun"],
    type: "module",
    engines: source.engines,
    sideEffects: [`./${COMMAND.file}`],
    main: packed["main"],
    types: packed["types"],
    exports: { ...exports, "./cli": cli, "./package.json": "./package.json" },
    bin: { mooring: COMMAND.file },
    dependencies: Object.fromEntries(DEPENDENCIES.map((name) => [name, versionOf(name)])),
    peerDependencies: Object.fromEntries(PEERS.map((name) => [name, `^${versionOf(name)}`])),
    peerDependenciesMeta: Object.fromEntries(PEERS.map((name) => [name, { optional: true }])),
  };
}

async function succeed(program: string, args: readonly string[], cwd = ROOT): Promise<string> {
  const { code, output } = await run(program, args, { cwd, limitMs: LIMIT_MS });
  if (code === 0) return output;
  throw new Error(`Look why ${program} ${args.join(" ")} failed:\n${output}`);
}

/** Compiles the modules and their declarations into {@linkcode PACKAGE}. */
async function compile(): Promise<void> {
  const raw = join(DIST, "compiled.tgz");
  const flags = ["--quiet", "--allow-dirty", "--no-source-maps"];
  await succeed(process.execPath, ["pack", ...flags, "--output", raw]);
  await succeed("tar", ["--extract", "--gzip", "--file", raw, "--directory", DIST]);
  await rm(raw);
  for (const file of await readdir(PACKAGE, { recursive: true })) {
    if (!file.endsWith(".d.ts")) continue;
    const path = join(PACKAGE, file);
    await writeFile(path, repaired(await readFile(path, "utf8")));
  }
}

/**
 * Names the library that declarations need, for projects that don't have it, and puts `readonly` behind a
 * member's comment: `deno pack` writes it before, where a comment of several lines makes it the name of a
 * member of its own.
 */
export function repaired(declarations: string): string {
  const disposable = /\bAsyncDisposable\b|\bSymbol\.asyncDispose\b/.test(declarations)
    ? '/// <reference lib="esnext.disposable" />\n'
    : "";
  return disposable + declarations.replace(/\breadonly (\/\*\*[^]*?\*\/) /g, "$1 readonly ");
}

/**
 * Bundles the command, and puts beside it the licenses of what is in it. Redis and the SDK of OpenTelemetry
 * stay outside, as few commands use them, and what is installed with the package without a file with its
 * license.
 */
async function addCommand(): Promise<void> {
  const licenses = await bundleCommand({
    source: COMMAND.source,
    folder: join(PACKAGE, "bin"),
    name: "mooring",
    outside: [...OUTSIDE, "@cfworker/json-schema"],
  });
  await writeFile(join(PACKAGE, LICENSES), licenses);
}

/** Returns the path of the tarball of `create-mooring`, which {@linkcode pack} makes beside another one. */
export function createTarball(tarball: string): string {
  return join(DIST, basename(tarball).replace(/^.*?-mcp-/, "create-mooring-"));
}

/** What was made. */
export interface Packed {
  /** The name and version of the package. */
  readonly name: string;
  /** The number of its files. */
  readonly files: number;
  /** The bytes of its files. */
  readonly bytes: number;
  /** The bytes of the tarball. */
  readonly tarball: number;
}

/** Says in one line what was made. */
export function summaryOf({ name, files, bytes, tarball }: Packed): string {
  const kilobytes = (count: number) => `${Math.ceil(count / 1_000).toLocaleString("en")} kB`;
  return `Made ${name}: ${files.toLocaleString("en")} files of ${kilobytes(bytes)}, ` +
    `${kilobytes(tarball)} as a tarball`;
}

/**
 * Makes the package and returns the tarball's path.
 *
 * @param report Takes a line for each step that begins, and what was made at the end
 */
export async function pack(report: (line: string) => void = () => {}): Promise<string> {
  report("1/5 Installing what builds the package");
  await installPackages();
  await installPackageTools();
  await rm(DIST, { recursive: true, force: true });
  await mkdir(DIST, { recursive: true });
  report("2/5 Writing the declarations");
  await compile();
  const file = join(PACKAGE, "package.json");
  const packed = JSON.parse(await readFile(file, "utf8"));
  const source = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
  await writeFile(file, `${JSON.stringify(manifestOf(packed, source), null, 2)}\n`);
  report("3/5 Bundling the entry points");
  await removeModules(PACKAGE);
  const { exports } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
  const entries = Object.values<string>(exports).filter((path) => path !== `./${COMMAND.source}`);
  await bundleEntries(entries.map((path) => path.replace("./", "")), PACKAGE);
  report("4/5 Bundling the command");
  await addCommand();
  report("5/5 Writing the tarball");
  const made = await succeed("npm", ["pack", "--silent", "--pack-destination", DIST], PACKAGE);
  await writeCreatePackage(CREATE, manifestOf(packed, source));
  await succeed("npm", ["pack", "--silent", "--pack-destination", DIST], CREATE);
  const tarball = join(DIST, made.trim().split("\n").at(-1) ?? "");
  const sizes = await sizesIn(PACKAGE);
  report(summaryOf({
    name: `${packed.name} ${packed.version}`,
    files: sizes.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
    tarball: (await stat(tarball)).size,
  }));
  return tarball;
}

/** Returns the sizes of the files in a folder, in bytes. */
async function sizesIn(folder: string): Promise<number[]> {
  const found = await Promise.all(
    (await readdir(folder, { recursive: true })).map((path) => stat(join(folder, path))),
  );
  return found.flatMap((each) => each.isFile() ? [each.size] : []);
}

if (import.meta.main) {
  try {
    // What is only to be read goes beside the path, which scripts take from the output.
    console.log(await pack((line) => console.error(line)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
