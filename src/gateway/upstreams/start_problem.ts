/**
 * Finds out why a program can't be started: the system says little more than that something isn't there.
 *
 * @module
 */
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, resolve } from "node:path";
import process from "node:process";
import { quote } from "../../kit.ts";
import { childEnv } from "./child_env.ts";

/** The part of a program's settings that decides whether it can be started. */
export interface StartSettings {
  readonly command: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string | undefined;
}

/** A reason why a program can't be started. */
export interface StartProblem {
  /** The option that is wrong. */
  readonly option: "command" | "cwd";
  /** What to do, and the value of the option. */
  readonly advice: string;
}

/** The most entries of `PATH` that are searched. */
const MAX_FOLDERS = 1_000;

/** The extensions of programs that Windows starts without a shell. */
const EXTENSIONS = process.platform === "win32" ? ["", ".exe", ".com"] : [""];

/** Returns why a program can't be started, or `undefined` if nothing speaks against it. */
export async function startProblem(settings: StartSettings): Promise<StartProblem | undefined> {
  const { command, env = {}, cwd } = settings;
  if (cwd !== undefined) {
    const kind = await kindOf(cwd);
    const advice = kind === "missing" ? "Create this folder, or correct its name" : "Give a folder";
    if (kind === "missing" || kind === "file" || kind === "program") {
      return { option: "cwd", advice: `${advice}: ${quote(cwd)}` };
    }
  }
  const places = placesOf(command, cwd, childEnv(env));
  const kinds = await Promise.all(places.map(kindOf));
  if (kinds.includes("program") || kinds.includes("unknown")) return undefined;
  return { option: "command", advice: `${adviceOn(command, kinds)}: ${quote(command)}` };
}

function adviceOn(command: string, kinds: readonly Kind[]): string {
  if (kinds.includes("file")) return "Make this file executable, as with chmod +x";
  if (!hasPath(command)) return "Install this program or correct its name: it isn't in PATH";
  if (kinds.includes("folder")) return "Give a program, not a folder";
  return "Correct the path of this program: there is no such file";
}

/** Lists the files that the system would try. */
function placesOf(
  command: string,
  cwd: string | undefined,
  env: Readonly<Record<string, string>>,
): string[] {
  const from = cwd ?? process.cwd();
  const folders = hasPath(command)
    ? [from]
    : (env["PATH"] ?? "").split(delimiter).slice(0, MAX_FOLDERS).map((dir) => resolve(from, dir));
  return folders.flatMap((dir) => EXTENSIONS.map((end) => resolve(dir, `${command}${end}`)));
}

function hasPath(command: string): boolean {
  return command.includes("/") || (process.platform === "win32" && command.includes("\\"));
}

type Kind = "program" | "file" | "folder" | "missing" | "unknown";

async function kindOf(path: string): Promise<Kind> {
  try {
    if ((await stat(path)).isDirectory()) return "folder";
  } catch (error) {
    return isAbsent(error) ? "missing" : "unknown";
  }
  // Windows has no such right
  const right = process.platform === "win32" ? constants.F_OK : constants.X_OK;
  return await access(path, right).then(() => "program" as const, () => "file" as const);
}

function isAbsent(error: unknown): boolean {
  // Reading a property works on anything that `stat` throws
  const { code } = error as { readonly code?: unknown };
  return code === "ENOENT" || code === "ENOTDIR";
}
