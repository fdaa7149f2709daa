/**
 * Finds out what `mooring dev` is to run: a program under its runtime, a configuration, or nothing, since a URL
 * is served already.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, extname, join, resolve } from "node:path";
import process from "node:process";
import { quote } from "../../kit.ts";
import { CliError, usageError } from "../errors.ts";
import { NEW_RUNTIMES } from "../new/choices.ts";

/** What is run. */
export type DevTarget =
  | { readonly kind: "url"; readonly url: URL }
  | {
    readonly kind: "program";
    readonly file: string;
    /** The folder whose files are looked at. */
    readonly root: string;
    /** Whether the file is the only one that matters. */
    readonly alone: boolean;
    /** Returns the program and its arguments that serve at a port. */
    readonly command: (port: number) => readonly string[];
  };

/** Options for {@linkcode targetOf}. */
export interface TargetInit {
  readonly runtime?: string | undefined;
  readonly cwd: string;
  /** The arguments of the program. */
  readonly args: readonly string[];
}

/**
 * Returns what to run.
 *
 * @throws {CliError} If there is no such file, or it isn't known how to run it
 */
export async function targetOf(
  given: string,
  { runtime, cwd, args }: TargetInit,
): Promise<DevTarget> {
  if (/^https?:\/\//i.test(given)) {
    const url = URL.parse(given);
    if (url === null) throw usageError(`Give a URL: ${quote(given)}`);
    if (runtime !== undefined) throw usageError("Leave --runtime out: a URL is served already");
    return { kind: "url", url };
  }
  const file = resolve(cwd, given);
  if (!await stat(file).then((found) => found.isFile(), () => false)) {
    throw new CliError(`Name a file or a URL: ${file}`);
  }
  const root = dirname(file);
  if (/^\.jsonc?$/i.test(extname(file))) {
    const script = process.argv[1];
    if (script === undefined) throw new CliError("Run mooring as a program to serve a file");
    const own = [...process.execArgv, ...runArgs(), script, "serve", "--config", file];
    return {
      kind: "program",
      file,
      root,
      // What `serve` applies without a restart it would, too: but here, each change is one
      alone: true,
      command: (port) => [process.execPath, ...own, "--port", String(port), "--data", "none"],
    };
  }
  const chosen = runtimeOf(runtime, root);
  // Deno runs a module that exports a handler only so
  const text = await readFile(file, "utf8");
  const exported = /^export default\b/m.test(text);
  const at = "Deno" in globalThis ? process.execPath : "deno";
  const program = {
    deno: (port: number) =>
      exported
        ? [at, "serve", "-A", "--quiet", "--host", "127.0.0.1", "--port", String(port), file]
        : [at, "run", "-A", "--quiet", file],
    bun: () => ["Bun" in globalThis ? process.execPath : "bun", file],
    node: () => ["Deno" in globalThis || "Bun" in globalThis ? "node" : process.execPath, file],
  }[chosen];
  return {
    kind: "program",
    file,
    root,
    alone: false,
    command: (port) => [...program(port), ...args],
  };
}

/** How this runtime is told to run a script. */
function runArgs(): readonly string[] {
  return "Deno" in globalThis ? ["run", "-A", "--quiet"] : [];
}

/**
 * Returns the runtime of a project: what the option says, what the folder's files are for, or this one.
 *
 * @throws {CliError} If there is no such runtime
 */
function runtimeOf(given: string | undefined, root: string): (typeof NEW_RUNTIMES)[number] {
  if (given !== undefined) {
    const found = NEW_RUNTIMES.find((each) => each === given);
    if (found !== undefined) return found;
    throw usageError(`Give --runtime ${NEW_RUNTIMES.join(", ")}: ${quote(given)}`);
  }
  for (let folder = root;; folder = dirname(folder)) {
    const has = (...names: string[]) => names.some((name) => existsSync(join(folder, name)));
    if (has("deno.json", "deno.jsonc")) return "deno";
    if (has("bun.lock", "bun.lockb", "bunfig.toml")) return "bun";
    if (has("package.json")) return "Bun" in globalThis ? "bun" : "node";
    if (dirname(folder) === folder) break;
  }
  if ("Deno" in globalThis) return "deno";
  return "Bun" in globalThis ? "bun" : "node";
}
