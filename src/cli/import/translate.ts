/**
 * Writes the servers of Codex, Gemini CLI, opencode and Zed under the keys that Claude Desktop began with,
 * as far as they mean the same.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import type { EnvProblem } from "../config/env.ts";
import type { ClientProgramName } from "./dialect.ts";

/** Takes something that isn't honoured: the key of the server, and what is said of it. */
type Warn = (key: string, message: string) => void;

type Translate = (entry: JsonObject, warn: Warn) => JsonObject | undefined;

const TRANSLATIONS: Readonly<Partial<Record<ClientProgramName, Translate>>> = {
  codex: codexServer,
  gemini: geminiServer,
  opencode: opencodeServer,
  zed: zedServer,
};

/**
 * Returns a server under the usual keys, or `undefined` if it can't be served. Values of the wrong type stay
 * as they are: the schema reports them.
 *
 * @param entry The server, its variables rewritten
 */
export function translated(
  program: ClientProgramName,
  entry: JsonObject,
  path: EnvProblem["path"],
  warn: (problem: EnvProblem) => void,
): JsonObject | undefined {
  const translate = TRANSLATIONS[program];
  if (translate === undefined) return entry;
  return translate(entry, (key, message) => warn({ path: [...path, key], message }));
}

/** Returns the entries of an object whose values are texts. */
function texts(value: unknown): [string, string][] {
  return Object.entries(isObject(value) ? value : {})
    .flatMap(([key, text]) => typeof text === "string" ? [[key, text] as [string, string]] : []);
}

function variable(name: string): string {
  return `\${${name}}`;
}

/** Codex names the variables that it reads, and replaces none in texts. */
function codexServer(entry: JsonObject, warn: Warn): JsonObject {
  const {
    bearer_token_env_var: token,
    http_headers: headers,
    env_http_headers: headerVariables,
    env_vars: variables,
    env,
    tool_timeout_sec: timeout,
    startup_timeout_sec: startup,
    startup_timeout_ms: startupMs,
    ...rest
  } = entry;
  for (
    const [key, value] of Object.entries({
      startup_timeout_sec: startup,
      startup_timeout_ms: startupMs,
    })
  ) {
    if (value !== undefined) {
      warn(key, "Not honoured: a server that doesn't start is named in the log");
    }
  }
  const sent = [
    ...texts(headers),
    ...texts(headerVariables).map(([name, from]) => [name, variable(from)]),
    ...typeof token === "string" ? [["Authorization", `Bearer ${variable(token)}`]] : [],
  ];
  const names = Array.isArray(variables) ? variables.filter((it) => typeof it === "string") : [];
  const passed = [
    ...names.map((name) => [name, variable(name)]),
    ...Object.entries(isObject(env) ? env : {}),
  ];
  return {
    ...rest,
    ...sent.length > 0 && { headers: Object.fromEntries(sent) },
    ...passed.length > 0 && { env: Object.fromEntries(passed) },
    ...typeof timeout === "number" && { timeoutMs: Math.round(timeout * 1_000) },
  };
}

/** Gemini CLI has two keys for URLs, by the transport. */
function geminiServer(entry: JsonObject): JsonObject {
  const { httpUrl, url, timeout, ...rest } = entry;
  return {
    ...rest,
    ...httpUrl !== undefined
      ? { url: httpUrl }
      : url !== undefined
      ? { url, type: rest["type"] ?? "sse" }
      : {},
    ...timeout !== undefined && { timeoutMs: timeout },
  };
}

/** In opencode the command is a list, and `environment` has the variables. */
function opencodeServer(entry: JsonObject): JsonObject {
  const { type: _, command, environment, timeout: _starts, ...rest } = entry;
  if (!Array.isArray(command)) return entry["type"] === "local" ? { ...rest, command } : rest;
  const [program, ...args] = command;
  return { ...rest, command: program, args, ...environment !== undefined && { env: environment } };
}

/** Zed has servers of extensions, whose programs only it knows, and once had the command in an object. */
function zedServer(entry: JsonObject, warn: Warn): JsonObject | undefined {
  const { source, command, settings, ...rest } = entry;
  if (command === undefined && rest["url"] === undefined) {
    warn(
      source === undefined ? "settings" : "source",
      'Left out: only Zed knows the program of an extension. Give its "command"',
    );
    return undefined;
  }
  if (settings !== undefined) warn("settings", "Not honoured: they are for an extension of Zed");
  if (!isObject(command)) return { ...rest, ...command !== undefined && { command } };
  const { path: program, args, env } = command;
  return {
    ...rest,
    command: program,
    ...args !== undefined && { args },
    ...env !== undefined && env !== null && { env },
  };
}
