/**
 * Lists where MCP clients keep their servers.
 *
 * @module
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { homeOf } from "./dialect.ts";
import type { Env } from "../config/env.ts";

/** The programs whose files are found. */
export const IMPORT_FROM = [
  "claude",
  "claude-code",
  "cursor",
  "vscode",
  "codex",
  "gemini",
  "opencode",
  "zed",
] as const;

/** One of {@linkcode IMPORT_FROM}. */
export type ImportFrom = (typeof IMPORT_FROM)[number];

/** A file that may be there. */
export interface ImportSource {
  /** The program's name, for messages. */
  readonly title: string;
  readonly file: string;
}

/** This machine, as far as the places of files depend on it. */
export interface Machine {
  readonly platform: string;
  readonly env: Env;
  /** The folder whose project's files are read too. */
  readonly cwd: string;
}

/** The editions of VS Code, by the names of their folders. */
export const EDITIONS = ["Code", "Code - Insiders", "VSCodium"] as const;
/** Profiles of one edition that are read. */
const MAX_PROFILES = 50;

/** Lists the files of a program, those of the user before those of the project. */
export async function sourcesOf(from: ImportFrom, machine: Machine): Promise<ImportSource[]> {
  const { env, cwd } = machine;
  const home = homeOf(env);
  switch (from) {
    case "claude":
      return [{
        title: "Claude Desktop",
        file: join(appDataOf(machine), "Claude", "claude_desktop_config.json"),
      }];
    case "claude-code":
      return [join(env["CLAUDE_CONFIG_DIR"] || home, ".claude.json"), join(cwd, ".mcp.json")]
        .map((file) => ({ title: "Claude Code", file }));
    case "cursor":
      return [...new Set([home, cwd])]
        .map((folder) => ({ title: "Cursor", file: join(folder, ".cursor", "mcp.json") }));
    case "codex":
      return [env["CODEX_HOME"] || join(home, ".codex"), join(cwd, ".codex")]
        .map((folder) => ({ title: "Codex", file: join(folder, "config.toml") }));
    case "gemini":
      return [...new Set([home, cwd])].map((folder) => ({
        title: "Gemini CLI",
        file: join(folder, ".gemini", "settings.json"),
      }));
    case "opencode":
      return [join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "opencode"), cwd]
        .flatMap((folder) => ["opencode.json", "opencode.jsonc"].map((name) => join(folder, name)))
        .map((file) => ({ title: "opencode", file }));
    case "zed": {
      const user = machine.platform === "win32"
        ? join(appDataOf(machine), "Zed")
        : join(env["XDG_CONFIG_HOME"] || join(home, ".config"), "zed");
      return [user, join(cwd, ".zed")]
        .map((folder) => ({ title: "Zed", file: join(folder, "settings.json") }));
    }
    case "vscode": {
      const users = await Promise.all(
        EDITIONS.map((edition) => foldersOf(join(appDataOf(machine), edition, "User"))),
      );
      const folders = [...users.flat(), join(cwd, ".vscode")];
      return folders.flatMap((folder) =>
        ["mcp.json", "settings.json"].map((name) => ({
          title: "VS Code",
          file: join(folder, name),
        }))
      );
    }
  }
}

/** Returns the folder in which programs keep their settings. */
export function appDataOf({ platform, env }: Machine): string {
  const home = homeOf(env);
  if (platform === "darwin") return join(home, "Library", "Application Support");
  if (platform === "win32") return env["APPDATA"] || join(home, "AppData", "Roaming");
  return env["XDG_CONFIG_HOME"] || join(home, ".config");
}

/** Returns a user's folder of VS Code, and those of its profiles. */
async function foldersOf(user: string): Promise<string[]> {
  const profiles = join(user, "profiles");
  const names = await readdir(profiles).catch(() => []);
  return [user, ...names.sort().slice(0, MAX_PROFILES).map((name) => join(profiles, name))];
}
