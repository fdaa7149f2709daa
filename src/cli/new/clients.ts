/**
 * Writes the files with which MCP clients find the server of a project. They are all in the project's folder.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { homeOf } from "../import/dialect.ts";
import { appDataOf, EDITIONS, type Machine } from "../import/sources.ts";
import type { Choices } from "./choices.ts";

/** A client that reads a file of a project. */
export type ProjectClient = "claude-code" | "cursor" | "vscode" | "codex" | "gemini";

/** The titles of the clients. */
export const CLIENT_TITLES: Readonly<Record<ProjectClient, string>> = {
  "claude-code": "Claude Code",
  cursor: "Cursor",
  vscode: "VS Code",
  codex: "Codex",
  gemini: "Gemini CLI",
};

/** The file in which each client looks. */
const FILES: Readonly<Record<ProjectClient, string>> = {
  "claude-code": ".mcp.json",
  cursor: ".cursor/mcp.json",
  vscode: ".vscode/mcp.json",
  codex: ".codex/config.toml",
  gemini: ".gemini/settings.json",
};

/** The clients on this machine, as far as their folders show it. */
export async function clientsOn(machine: Machine): Promise<ProjectClient[]> {
  const { env } = machine;
  const home = homeOf(env);
  const places: Readonly<Record<ProjectClient, readonly string[]>> = {
    "claude-code": [
      env["CLAUDE_CONFIG_DIR"] || join(home, ".claude"),
      join(home, ".claude.json"),
    ],
    cursor: [join(home, ".cursor")],
    vscode: [
      ...EDITIONS.map((edition) => join(appDataOf(machine), edition)),
      join(home, ".vscode"),
    ],
    codex: [env["CODEX_HOME"] || join(home, ".codex")],
    gemini: [join(home, ".gemini")],
  };
  const found = await Promise.all(
    // Its keys are those of the type
    (Object.keys(places) as ProjectClient[]).map(async (client) => {
      const there = await Promise.all(
        places[client].map((path) => stat(path).then(() => true, () => false)),
      );
      return there.includes(true) ? [client] : [];
    }),
  );
  return found.flat();
}

/** What the files of clients say. */
export interface ClientFilesInit {
  readonly name: string;
  readonly choices: Choices;
  /** The program and its arguments, of which the last is a file of the project. */
  readonly command: readonly string[];
  readonly url: string;
  readonly clients: readonly ProjectClient[];
}

/** Returns the files of the clients, and always that of Claude Code, which others and `mooring` read too. */
export function clientFiles(init: ClientFilesInit): Record<string, string> {
  const clients = new Set<ProjectClient>(["claude-code", ...init.clients]);
  return Object.fromEntries([...clients].map((client) => [FILES[client], textFor(client, init)]));
}

function textFor(client: ProjectClient, init: ClientFilesInit): string {
  const { name, url, choices: { transport, auth } } = init;
  const bearer = auth === "bearer";
  const [program = "", ...args] = init.command;
  const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const header = (value: string) => bearer ? { headers: { Authorization: `Bearer ${value}` } } : {};
  /** Editors start programs elsewhere. */
  const placed = (folder: string) => [...args.slice(0, -1), `${folder}/${args.at(-1) ?? ""}`];
  const stdio = transport === "stdio";
  switch (client) {
    case "claude-code":
      return json({
        mcpServers: {
          [name]: stdio
            ? { command: program, args }
            : { type: "http", url, ...header("${MCP_TOKEN}") },
        },
      });
    case "cursor":
      return json({
        mcpServers: {
          [name]: stdio
            ? { command: program, args: placed("${workspaceFolder}") }
            : { url, ...header("${env:MCP_TOKEN}") },
        },
      });
    case "vscode":
      return json({
        ...bearer && {
          inputs: [{
            type: "promptString",
            id: "mcp-token",
            description: `The token of ${name}`,
            password: true,
          }],
        },
        servers: {
          [name]: stdio
            ? { type: "stdio", command: program, args: placed("${workspaceFolder}") }
            : { type: "http", url, ...header("${input:mcp-token}") },
        },
      });
    case "codex": {
      // A TOML string of these characters is a JSON string
      const lines = stdio
        ? [`command = ${JSON.stringify(program)}`, `args = ${JSON.stringify(args)}`]
        : [`url = ${JSON.stringify(url)}`, ...bearer ? ['bearer_token_env_var = "MCP_TOKEN"'] : []];
      return `[mcp_servers.${name}]\n${lines.join("\n")}\n`;
    }
    case "gemini":
      return json({
        mcpServers: {
          [name]: stdio ? { command: program, args } : { httpUrl: url, ...header("$MCP_TOKEN") },
        },
      });
  }
}
