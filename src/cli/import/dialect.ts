/**
 * Finds out which program a configuration file was written for: the name of a server's folder, and what
 * `${…}` stands for, differ between them.
 *
 * @module
 */
import { homedir } from "node:os";
import { basename, dirname, resolve } from "node:path";
import { isObject } from "../../kit.ts";
import type { Env } from "../config/env.ts";

/** The programs whose files differ from each other. */
export type ClientProgramName =
  | "mooring"
  | "claude-desktop"
  | "claude-code"
  | "cursor"
  | "vscode"
  | "codex"
  | "gemini"
  | "opencode"
  | "zed";

/** What the program of a configuration file makes of it. */
export interface Dialect {
  readonly program: ClientProgramName;
  /** The program's name, for messages. */
  readonly title: string;
  /** Whether the file holds the program's other settings too, so that only its servers are read. */
  readonly settings: boolean;
  /** The keys that lead to the object of servers. */
  readonly servers: readonly string[];
  /** The project's folder, or `undefined` for a file that is of no project. */
  readonly workspace: string | undefined;
  /** Whether `${NAME}` is a variable. Elsewhere it is `${env:NAME}`, or nothing. */
  readonly bareNames: boolean;
}

const TITLES: Readonly<Record<ClientProgramName, string>> = {
  mooring: "Mooring",
  "claude-desktop": "Claude Desktop",
  "claude-code": "Claude Code",
  cursor: "Cursor",
  vscode: "VS Code",
  codex: "Codex",
  gemini: "Gemini CLI",
  opencode: "opencode",
  zed: "Zed",
};

/** The programs whose files may name variables without `env:`. */
const BARE_NAMES: readonly ClientProgramName[] = ["mooring", "claude-code", "gemini"];

/** Returns the user's folder. */
export function homeOf(env: Env): string {
  return env["HOME"] ?? env["USERPROFILE"] ?? homedir();
}

/** Returns the dialect of a file, by its path and then by its keys. */
export function dialectOf(file: string, value: unknown, env: Env): Dialect {
  const path = resolve(file);
  const folder = dirname(path);
  const name = basename(path);
  const parent = basename(folder);
  const make = (program: ClientProgramName, more: Partial<Dialect> = {}): Dialect => ({
    program,
    title: TITLES[program],
    settings: false,
    servers: ["mcpServers"],
    workspace: undefined,
    bareNames: BARE_NAMES.includes(program),
    ...more,
  });
  const above = dirname(folder);
  if (name === "claude_desktop_config.json") return make("claude-desktop", { settings: true });
  if (name === ".claude.json") return make("claude-code", { settings: true });
  if (name === ".mcp.json") return make("claude-code", { workspace: folder });
  if (name === "mcp.json" && parent === ".cursor") {
    // In the user's own folder it is there for all projects
    const workspace = above === resolve(homeOf(env)) ? undefined : above;
    return make("cursor", { workspace });
  }
  if (name.endsWith(".toml")) {
    const workspace = parent === ".codex" && above !== resolve(homeOf(env)) ? above : undefined;
    return make("codex", { settings: true, servers: ["mcp_servers"], workspace });
  }
  if (/^opencode\.jsonc?$/.test(name)) {
    const workspace = parent === "opencode" ? undefined : folder;
    return make("opencode", { settings: true, servers: ["mcp"], workspace });
  }
  if (name === "settings.json" && parent === ".gemini") {
    const workspace = above === resolve(homeOf(env)) ? undefined : above;
    return make("gemini", { settings: true, workspace });
  }
  if (name === "settings.json" && (parent === ".zed" || parent === "zed" || parent === "Zed")) {
    const workspace = parent === ".zed" ? above : undefined;
    return make("zed", { settings: true, servers: ["context_servers"], workspace });
  }
  const inProject = parent === ".vscode";
  if (inProject || parent === "User" || basename(above) === "profiles") {
    const project = inProject ? { workspace: above } : {};
    if (name === "mcp.json") return make("vscode", { servers: ["servers"], ...project });
    if (name === "settings.json") {
      return make("vscode", { settings: true, servers: ["mcp", "servers"], ...project });
    }
  }
  if (isObject(value) && isObject(value["context_servers"]) && value["mcpServers"] === undefined) {
    return make("zed", { settings: true, servers: ["context_servers"] });
  }
  if (isObject(value) && isObject(value["servers"]) && value["mcpServers"] === undefined) {
    return make("vscode", { servers: ["servers"], workspace: folder });
  }
  return make("mooring", { workspace: folder });
}
