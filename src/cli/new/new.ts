/**
 * Runs `mooring new`: writes a small project that serves tools.
 *
 * @module
 */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { basename, dirname, isAbsolute, join, relative, resolve } from "node:path";
import process from "node:process";
import { quote, randomText } from "../../kit.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Machine } from "../import/sources.ts";
import type { Io } from "../io.ts";
import { type Ask, type ChoiceQuestion, type Choices, choose } from "./choices.ts";
import { CLIENT_TITLES, clientsOn } from "./clients.ts";
import { projectName, projectOf } from "./project.ts";

/** The options of `mooring new`. */
export interface NewOptions {
  readonly runtime?: string;
  readonly transport?: string;
  readonly auth?: string;
  /** Takes the defaults for what isn't given. */
  readonly yes?: boolean;
  /** What to install as `@mooring/mcp`: a version, or a tarball's path. */
  readonly package?: string;
}

/** Characters of the token of a new project. */
const TOKEN = 43;

/**
 * Writes a new project.
 *
 * @throws {CliError} If the folder has something in it, or can't be written; or there is nobody to ask
 */
export async function newProject(
  folder: string,
  options: NewOptions,
  io: Io,
  machine: Machine = { platform: process.platform, env: io.env, cwd: process.cwd() },
  ask: Ask | undefined = askAt(),
): Promise<ExitCode> {
  const path = resolve(machine.cwd, folder);
  // Before any question
  await checkEmpty(path);
  const choices = await choose({ ...options, here: runtimeHere(), ask });
  if (choices === undefined) {
    io.err.write("Nothing was written\n");
    return ExitCode.Failed;
  }
  const clients = await clientsOn(machine);
  const project = projectOf({
    name: projectName(basename(path)),
    choices,
    clients,
    token: randomText(TOKEN),
    package: packageOf(options.package, machine.cwd),
  });
  await write(path, project.files);
  const found = clients.length > 0
    ? `, with files for ${clients.map((client) => CLIENT_TITLES[client]).join(", ")}`
    : "";
  const below = relative(machine.cwd, path) || ".";
  const shown = below.startsWith("..") ? path : below;
  io.out.write(`Wrote ${Object.keys(project.files).length} files to ${shown}${found}\n\n`);
  io.out.write("To the first call:\n");
  if (shown !== ".") {
    io.out.write(`  cd ${/^[\w./-]+$/.test(shown) ? shown : quote(shown, 4_096)}\n`);
  }
  for (const step of project.steps) io.out.write(`  ${step}\n`);
  return ExitCode.Ok;
}

/** Returns the runtime that this runs under. */
function runtimeHere(): Choices["runtime"] {
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}

/** Makes a tarball's path absolute: the project is in another folder. */
function packageOf(given: string | undefined, cwd: string): string | undefined {
  if (given === undefined || !given.endsWith(".tgz")) return given;
  const path = given.replace(/^file:/, "");
  return `file:${isAbsolute(path) ? path : resolve(cwd, path)}`;
}

/**
 * Checks that a folder isn't there, or has nothing but a repository in it.
 *
 * @throws {CliError} If it has something in it
 */
async function checkEmpty(path: string): Promise<void> {
  const names = await readdir(path).catch((cause) => {
    // Reading a property works on anything that `readdir` throws
    if ((cause as { readonly code?: unknown }).code === "ENOENT") return [];
    throw new CliError(`Name a folder: ${path}`, ExitCode.Failed, { cause });
  });
  if (names.some((name) => name !== ".git")) {
    throw new CliError(`Name a folder that is empty, or isn't there: ${path}`);
  }
}

/**
 * Writes files that aren't there. If one can't be written, none is left.
 *
 * @throws {CliError} If one can't be written
 */
async function write(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  const written: string[] = [];
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = join(folder, name);
      await mkdir(dirname(path), { recursive: true });
      const mode = name === ".env" ? 0o600 : 0o644;
      await writeFile(path, text, { flag: "wx", mode });
      written.push(path);
    }
  } catch (cause) {
    for (const path of written) await rm(path, { force: true });
    throw new CliError(`Can't write to ${folder}: ${messageOf(cause)}`, ExitCode.Failed, { cause });
  }
}

/** Returns what asks at the terminal; `undefined` if there is none, so that nothing waits for ever. */
function askAt(): Ask | undefined {
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) return undefined;
  return async ({ message, answers, first }: ChoiceQuestion) => {
    const { isCancel, select } = await import("@clack/prompts");
    const found = await select({ message, options: [...answers], initialValue: first });
    return isCancel(found) ? undefined : found;
  };
}
