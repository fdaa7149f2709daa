/**
 * Finds the folder in which the command keeps its data, unless one is given.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { basename, isAbsolute, join } from "node:path";
import process from "node:process";
import type { Env } from "./env.ts";
import type { ServeCommandOptions } from "./serve_options.ts";

/** The inputs of {@linkcode dataFolder}. */
export interface DataFolderInit {
  /** The absolute path of the configuration file, if there is one. */
  readonly file: string | undefined;
  /** The command's options. */
  readonly given: ServeCommandOptions;
  readonly env: Env;
  /** The operating system, as `process.platform` names it. */
  readonly platform?: string;
  /** Returns the user's home folder. */
  readonly home?: () => string;
}

/** The characters of a hash that tell configurations of the same name apart. */
const HASH = 12;

/**
 * Returns the folder for the data of one configuration: in the user's own folder for the state of programs,
 * named after the configuration file, or after what the options serve.
 */
export function dataFolder(init: DataFolderInit): string {
  const { file, given } = init;
  const name = file === undefined
    ? "options"
    : basename(file).replace(/\.[^.]*$/, "").replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64);
  return join(stateFolder(init), "mooring", `${name}-${hashOf(file ?? described(given))}`);
}

/** Returns the user's folder for what programs keep between two starts. */
export function stateFolder(
  { env, platform = process.platform, home = homedir }: Pick<
    DataFolderInit,
    "env" | "platform" | "home"
  >,
): string {
  const { XDG_STATE_HOME: state, LOCALAPPDATA: local } = env;
  // The specification has relative paths ignored
  if (state !== undefined && isAbsolute(state)) return state;
  if (platform === "darwin") return join(home(), "Library", "Application Support");
  if (platform === "win32") return local ?? join(home(), "AppData", "Local");
  return join(home(), ".local", "state");
}

/** Describes what options serve, without what may be a secret: variables, headers and queries. */
function described({ stdio, cwd, http }: ServeCommandOptions): string {
  return JSON.stringify([stdio, cwd, http?.replace(/[?#].*$/, "")]);
}

function hashOf(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, HASH);
}
