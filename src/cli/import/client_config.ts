/**
 * Reads the configuration files of MCP clients (Claude Desktop, Claude Code, Cursor, VS Code, Codex, Gemini
 * CLI, opencode, Zed and those that took over their keys) as a configuration of Mooring, and warns of everything that it doesn't honour.
 *
 * @module
 */
import { delimiter, dirname, isAbsolute, join, resolve } from "node:path";
import type { JsonObject } from "../../../mod.ts";
import { isObject, quote } from "../../kit.ts";
import { type Input, literal, readInputs, rewriteVariables } from "./client_variables.ts";
import { CONFIG_KEYS, SERVER_KEYS, suggestServerKey } from "../config/schema.ts";
import { type Dialect, dialectOf, homeOf } from "./dialect.ts";
import { type Env, type EnvProblem, expand } from "../config/env.ts";
import { readEnvFile } from "../config/env_file.ts";
import { translated } from "./translate.ts";

/** The inputs of {@linkcode readClientConfig}. */
export interface ClientSource {
  readonly file: string;
  /** The file's JSON. */
  readonly value: unknown;
  readonly env: Env;
  /** The folder in which the command runs. */
  readonly cwd: string;
  /**
   * What stands in place of an `envFile`: the variables in it with their values, variables of the same names
   * in the environment, or the file's absolute path.
   */
  readonly envFiles: "values" | "references" | "path";
}

/** A configuration that was read. */
export interface ClientConfig {
  /** The values under Mooring's keys. They may be anything. */
  readonly value: unknown;
  readonly dialect: Dialect;
  readonly inputs: ReadonlyMap<string, Input>;
  /** What is wrong, by paths of `value`. */
  readonly problems: readonly EnvProblem[];
  /** What isn't honoured, by paths of `value`. */
  readonly warnings: readonly EnvProblem[];
  /** Returns where something of `value` stands in the file. */
  readonly originOf: OriginOf;
}

/** Maps a path of the values to the path in the file. */
export type OriginOf = (path: EnvProblem["path"]) => EnvProblem["path"];

/** Characters of a path that are shown. */
const MAX_PATH = 300;
/** Characters of a server's name. */
const MAX_NAME = 64;

const UNLISTED =
  'Not honoured: every tool of the server is served. Say in its "policy" what may be used';
const APPROVAL =
  "Not an approval policy here: which calls need no question is decided by each client";
const SANDBOX = "Not honoured: the program runs with all rights of this user";
const LOGIN =
  'Not honoured without "signIn" in the file: with it, each user signs in at the server. Or give a token ' +
  'in the headers, or pass the client\'s own one on with "forwardHeaders"';

/** Keys of servers that have another meaning, or none, and what is said of them. */
const NOT_HONOURED: Readonly<Record<string, string>> = {
  autoApprove: APPROVAL,
  alwaysAllow: APPROVAL,
  trust: APPROVAL,
  disabledTools: UNLISTED,
  enabledTools: UNLISTED,
  enabled_tools: UNLISTED,
  disabled_tools: UNLISTED,
  includeTools: UNLISTED,
  excludeTools: UNLISTED,
  sandbox: SANDBOX,
  sandboxEnabled: SANDBOX,
  headersHelper: "Not honoured: the program isn't run. Write the headers, with variables",
  authProviderType: LOGIN,
  timeout: 'Not honoured: programs differ in its unit. Write "timeoutMs", in milliseconds',
  dev: "Not honoured: the server isn't started again when files change",
  watchPaths: "Not honoured: the server isn't started again when files change",
  alwaysLoad: "Not honoured: it is for the client",
};

/** The same for keys that are taken for misspelt ones in Mooring's own files. */
const FOREIGN: Readonly<Record<string, string>> = {
  auth: LOGIN,
  tools: UNLISTED,
};

/** Types of servers that can't be reached, and URLs. */
const UNREACHABLE_TYPE = /^(?:ws|websocket|sdk)$/i;
const UNREACHABLE_URL = /^(?:ws|wss|unix|pipe):/i;

/** Reads a file's values. Never throws: whatever doesn't fit is left to the schema. */
export function readClientConfig({ file, value, env, cwd, envFiles }: ClientSource): ClientConfig {
  const dialect = dialectOf(file, value, env);
  const problems: EnvProblem[] = [];
  const warnings: EnvProblem[] = [];
  const report = (problem: EnvProblem): void => void problems.push(problem);
  const warn = (problem: EnvProblem): void => void warnings.push(problem);
  const names = new Map<string, string>();
  const top = isObject(value) ? value : undefined;
  const above = dialect.servers.length > 1 ? objectAt(top, dialect.servers[0] ?? "") ?? {} : top;
  const inputs = readInputs(above?.["inputs"], report, warn);
  const rewriteAll = (
    value: unknown,
    path: EnvProblem["path"],
    own?: readonly string[],
  ): unknown => {
    if (typeof value === "string") {
      return rewriteVariables(value, {
        dialect,
        env,
        cwd,
        inputs,
        report: (message) => report({ path, message }),
        warn: (message) => warn({ path, message }),
        ...own !== undefined && { own },
      });
    }
    if (Array.isArray(value)) {
      return value.map((entry, at) => rewriteAll(entry, [...path, at], own));
    }
    if (!isObject(value)) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, rewriteAll(entry, [...path, key], own)]),
    );
  };
  const originOf: OriginOf = ([first, name, ...rest]) => {
    if (first === "inputs" && dialect.servers.length > 1) {
      return [...dialect.servers.slice(0, -1), ...[first, name, ...rest].filter(isStep)];
    }
    if (first !== "mcpServers") return [first, name, ...rest].filter(isStep);
    const own = typeof name === "string" ? names.get(name) ?? name : name;
    return [...dialect.servers, own, ...rest].filter(isStep);
  };
  const done = (value: unknown): ClientConfig => ({
    value,
    dialect,
    inputs,
    problems,
    warnings,
    originOf,
  });
  if (top === undefined) return done(value);
  const servers = dialect.servers.reduce<unknown>(
    (from, key) => isObject(from) ? from[key] : undefined,
    top,
  );
  const read = isObject(servers)
    ? Object.entries(servers).flatMap(([name, entry]) => {
      const shown = nameOf(name, dialect, names);
      names.set(shown, name);
      const path = ["mcpServers", shown];
      if (shown !== name) {
        warn({ path, message: `Served as ${quote(shown)}, a name without blanks` });
      }
      if (!isObject(entry)) return [[shown, entry] as const];
      const own = Object.keys(objectAt(entry, "env") ?? {});
      const rewritten = rewriteAll(entry, path, own) as JsonObject;
      const signsIn = top.signIn !== undefined;
      const server = { file, dialect, signsIn, env, envFiles, path, report, warn };
      const usual = translated(dialect.program, rewritten, path, warn);
      const result = usual && readServer(usual, server);
      return result === undefined ? [] : [[shown, result] as const];
    })
    : undefined;
  const rest = restOf(top, dialect, warn);
  return done({
    ...rewriteAll(rest, []) as JsonObject,
    ...servers !== undefined &&
      { mcpServers: read === undefined ? servers : Object.fromEntries(read) },
  });
}

function isStep(step: string | number | undefined): step is string | number {
  return step !== undefined;
}

function objectAt(value: JsonObject | undefined, key: string): JsonObject | undefined {
  const found = value?.[key];
  return isObject(found) ? found : undefined;
}

/** Returns the keys of a file besides its servers and inputs. */
function restOf(
  top: JsonObject,
  dialect: Dialect,
  warn: (problem: EnvProblem) => void,
): JsonObject {
  const { program, title, settings, servers: [first = ""] } = dialect;
  const others = Object.entries(top).filter(([key]) => key !== first && key !== "inputs");
  if (settings) {
    const projects = Object.values(objectAt(top, "projects") ?? {})
      .filter((project) =>
        isObject(project) && Object.keys(objectAt(project, "mcpServers") ?? {}).length > 0
      );
    if (program === "claude-code" && projects.length > 0) {
      const message = "Not honoured: servers of single projects. Copy those of a project with " +
        '"mooring import --from claude-code" in its folder';
      warn({ path: ["projects"], message });
    }
    const left = others.length;
    if (left > 0) {
      const count = left === 1 ? "1 other setting" : `${left} other settings`;
      warn({ path: [], message: `Only the servers are read: ${title} has ${count} here` });
    }
    return {};
  }
  if (program === "mooring") return Object.fromEntries(others);
  return Object.fromEntries(others.filter(([key]) => {
    if (CONFIG_KEYS.includes(key)) return true;
    warn({ path: [key], message: `Not honoured: an unknown key of ${title}` });
    return false;
  }));
}

/** Returns the name under which a server is served: one that Mooring allows, and no other has. */
function nameOf(name: string, { program }: Dialect, taken: ReadonlyMap<string, string>): string {
  if (program === "mooring") return name;
  const plain = name.normalize("NFKD").replace(/[^A-Za-z0-9_.-]+/g, "-").replace(/__+/g, "_")
    .replace(/^[^A-Za-z0-9]+|-+$/g, "").slice(0, MAX_NAME) || "server";
  return freeName(plain, (found) => taken.has(found));
}

/** Returns a name, with a number behind it if it is taken. */
export function freeName(name: string, isTaken: (name: string) => boolean): string {
  let found = name;
  for (let count = 2; isTaken(found); count++) {
    const suffix = `-${count}`;
    found = name.slice(0, MAX_NAME - suffix.length) + suffix;
  }
  return found;
}

interface ImportedServerInit extends Pick<ClientSource, "file" | "env" | "envFiles"> {
  readonly dialect: Dialect;
  /** Whether users sign in at this server. */
  readonly signsIn: boolean;
  readonly path: readonly string[];
  readonly report: (problem: EnvProblem) => void;
  readonly warn: (problem: EnvProblem) => void;
}

/** The keys of clients' `oauth` that are for their own redirects, or that are found by discovery here. */
const FOUND: ReadonlySet<string> = new Set([
  "enabled",
  "callbackPort",
  "redirectUri",
  "authorizationUrl",
  "tokenUrl",
  "registrationUrl",
  "authServerMetadataUrl",
  "tokenParamName",
]);

/** Returns a client's `oauth` under Mooring's keys, or `undefined` if it can't be honoured. */
function readOAuth(
  value: unknown,
  { signsIn, path, warn }: ImportedServerInit,
): JsonObject | boolean | undefined {
  const at = [...path, "oauth"];
  if (!signsIn) {
    warn({ path: at, message: LOGIN });
    return undefined;
  }
  if (!isObject(value)) return value === true ? true : undefined;
  if (value.enabled === false) return false;
  const result: Record<string, unknown> = {};
  for (const [key, given] of Object.entries(value)) {
    if (key === "clientId" || key === "clientSecret" || key === "issuer") result[key] = given;
    else if (key === "scopes" || key === "scope") {
      result.scopes = typeof given === "string" ? given.split(/[\s,]+/).filter(Boolean) : given;
    } else if (key === "audience" || key === "audiences") {
      const [first] = [given].flat();
      if (typeof first === "string") result.audience = first;
    } else if (!FOUND.has(key)) {
      warn({ path: [...at, key], message: "Not honoured: an unknown key of oauth" });
    }
  }
  return result;
}

/** Returns a server under Mooring's keys, or `undefined` if it can't be served. */
function readServer(entry: JsonObject, init: ImportedServerInit): JsonObject | undefined {
  const { dialect: { program, title, workspace }, path, warn } = init;
  const foreign = program !== "mooring";
  const { type, url } = entry;
  if (foreign && typeof type === "string" && UNREACHABLE_TYPE.test(type)) {
    warn({ path: [...path, "type"], message: `Left out: servers of this type can't be reached` });
    return undefined;
  }
  if (foreign && typeof url === "string" && UNREACHABLE_URL.test(url)) {
    warn({ path: [...path, "url"], message: "Left out: only http and https URLs can be reached" });
    return undefined;
  }
  const result: Record<string, unknown> = {};
  /** Keys that the schema reports. */
  const wrong = new Map<string, unknown>();
  for (const [key, value] of Object.entries(entry)) {
    const at = [...path, key];
    if (key === "oauth" && foreign) {
      const oauth = readOAuth(value, init);
      if (oauth !== undefined) result.oauth = oauth;
    } else if (SERVER_KEYS.includes(key)) result[key] = value;
    else if (key === "envFile") continue;
    else if (key === "enabled" && typeof value === "boolean") result.disabled ??= !value;
    else {
      const known = own(NOT_HONOURED, key) ?? (foreign ? own(FOREIGN, key) : undefined);
      const misspelt = known === undefined && (!foreign || suggestServerKey(key) !== undefined);
      // The schema reports it
      if (misspelt) wrong.set(key, value);
      else if (!says(value)) continue;
      else warn({ path: at, message: known ?? `Not honoured: an unknown key of ${title}` });
    }
  }
  if (typeof type === "string" && type.toLowerCase() === "sse" && "url" in entry) {
    delete result.type;
    const message =
      'Tried as Streamable HTTP: "sse" is the old transport, which isn\'t spoken here. ' +
      "Give the URL of the server's Streamable HTTP endpoint";
    warn({ path: [...path, "type"], message });
  }
  readEnvironment(entry, result, init);
  if (foreign && typeof entry["command"] === "string") {
    const home = homeOf(init.env);
    const inHome = (text: unknown): unknown =>
      program === "vscode" && typeof text === "string" && /^~(?=$|[/\\])/.test(text)
        ? literal(home) + text.slice(1)
        : text;
    result.command = inHome(result.command);
    if (Array.isArray(result.args)) result.args = result.args.map(inHome);
    const cwd = inHome(result.cwd);
    if (workspace !== undefined && (cwd === undefined || typeof cwd === "string")) {
      // Programs begin in the project's folder
      result.cwd = cwd === undefined
        ? literal(workspace)
        : isAbsolute(cwd) || cwd.startsWith("${")
        ? cwd
        : join(literal(workspace), cwd);
    } else if (cwd !== undefined) result.cwd = cwd;
  }
  return { ...result, ...Object.fromEntries(wrong) };
}

function own(table: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** Whether a value asks for something: an empty list of tools doesn't, for example. */
function says(value: unknown): boolean {
  if (value === undefined || value === null || value === false || value === "") return false;
  return typeof value !== "object" || Object.keys(value).length > 0;
}

/** Reads `env` and `envFile` of a server. What `env` says counts. */
function readEnvironment(
  entry: JsonObject,
  result: Record<string, unknown>,
  init: ImportedServerInit,
): void {
  const { dialect: { program }, envFiles, path, warn } = init;
  const given = entry["env"];
  const fromFile = variablesOfFile(entry, result, init);
  if (given !== undefined && !isObject(given)) return;
  // A key may be `__proto__`
  const env = new Map<string, unknown>(Object.entries(fromFile));
  for (const [name, value] of Object.entries(given ?? {})) {
    const at = [...path, "env", name];
    if (program === "mooring" || typeof value === "string") env.set(name, value);
    else if (typeof value === "number" || typeof value === "boolean") env.set(name, String(value));
    else if (value === null) {
      env.delete(name);
      warn({ path: at, message: "Left out: a program gets no variables but a few, such as PATH" });
    } else env.set(name, value);
    // As the editor does
    const appended = program === "vscode" && name === "PATH" && envFiles !== "references";
    const given = env.get(name);
    if (appended && typeof given === "string") {
      env.set(name, `\${PATH:-}${delimiter}${given}`);
    }
  }
  if (given !== undefined || Object.keys(fromFile).length > 0) result.env = Object.fromEntries(env);
}

/** Reads the variables of a server's `envFile`, so that they are taken literally. */
function variablesOfFile(
  entry: JsonObject,
  result: Record<string, unknown>,
  { file, env, envFiles, dialect: { workspace }, path, report, warn }: ImportedServerInit,
): Record<string, string> {
  const named = entry["envFile"];
  const at = [...path, "envFile"];
  if (!says(named)) return {};
  if (!("command" in entry)) {
    warn({ path: at, message: "Not honoured: only programs have environment variables" });
    return {};
  }
  if (typeof named !== "string") {
    report({ path: at, message: "Give the path of a file" });
    return {};
  }
  const { value, problems } = expand(named, env);
  if (envFiles === "path") {
    result.envFile = isAbsolute(String(value)) || named.startsWith("${")
      ? named
      : join(literal(dirname(resolve(file))), named);
    return {};
  }
  // Nobody needs it
  if (entry["disabled"] === true || entry["enabled"] === false) return {};
  if (problems.length > 0) {
    for (const { message } of problems) report({ path: at, message });
    return {};
  }
  const found = resolve(dirname(resolve(file)), String(value));
  const content = readEnvFile(found);
  if (typeof content === "string") {
    const other = workspace === undefined ? found : resolve(workspace, String(value));
    const hint = other !== found && typeof readEnvFile(other) !== "string"
      ? ". There is one in the project's folder: begin the path with ${workspaceFolder}/"
      : "";
    // The value of a variable may be a secret
    const shown = named.includes("${") ? named : found;
    report({ path: at, message: `${content}: ${quote(shown, MAX_PATH)}${hint}` });
    return {};
  }
  if (content.broken.length > 0) {
    const lines = content.broken.slice(0, 20).join(", ");
    const message = `Left out: lines of this file that aren't NAME=value, or its quotes don't end`;
    warn({ path: at, message: `${message}: ${lines}` });
  }
  return Object.fromEntries(
    Object.entries(content.values).map(([name, text]) => [
      name,
      envFiles === "references" ? `\${${name}}` : literal(text),
    ]),
  );
}
