/**
 * The options of the commands that serve, `mooring serve` and `mooring stdio`: how each is given, and
 * which keys of the configuration file it stands for, so that one schema checks both.
 *
 * @module
 */
import { resolve } from "node:path";
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import { splitArgv } from "./argv_split.ts";
import { usageError } from "../errors.ts";
import { addHeader, addInput, addText, addVariable, type TextsByName } from "./option_values.ts";

/** One option of the commands that serve. */
export interface ServeOption<T> {
  /** Its name and its value, as the help shows them. */
  readonly flags: string;
  readonly description: string;
  /** The only command that has it; both when left out. */
  readonly command?: "serve" | "stdio";
  /** The option without which it means nothing. */
  readonly needs?: string;
  /** Whether it may be given more than once. */
  readonly repeatable?: boolean;
  /** Returns its value, with those that were given before if it is repeatable. */
  parse?(text: string, earlier?: T): T;
  /** Returns the part of a configuration that it stands for. */
  config?(value: T): JsonObject;
}

/** The name of the one server that options describe. */
export const ONLY = "server";

/** All options, in the order of the help. The keys are their names in camel case. */
export const SERVE_OPTIONS = {
  config: option<string>(
    "--config <FILE>",
    "Serve what a configuration file says, and follow its changes",
  ),
  input: option<TextsByName>(
    "--input <ID=VALUE>",
    "Give an input that the file asks for; ${NAME} is replaced by a variable",
    { repeatable: true, parse: addInput, needs: "config" },
  ),
  only: option<string>("--only <NAME>", "Serve one server of the file, as it is", {
    command: "stdio",
    needs: "config",
  }),
  stdio: option<readonly [string, ...string[]]>(
    "--stdio <COMMAND>",
    "Serve a program that speaks MCP on stdin and stdout",
    { parse: splitArgv, config: ([command, ...args]) => serverWith({ command, args }) },
  ),
  env: option<TextsByName>(
    "--env <NAME>",
    "Pass a variable to the program; NAME=VALUE sets one",
    { repeatable: true, parse: addVariable, needs: "stdio", config: (env) => serverWith({ env }) },
  ),
  cwd: option<string>("--cwd <DIR>", "Start the program in a folder", {
    needs: "stdio",
    config: (cwd) => serverWith({ cwd }),
  }),
  http: option<string>("--http <URL>", "Serve a server that has a URL", {
    config: (url) => serverWith({ url }),
  }),
  header: option<TextsByName>(
    "--header <HEADER>",
    'Send a header "NAME: VALUE"; ${NAME} is replaced by a variable',
    {
      repeatable: true,
      parse: addHeader,
      needs: "http",
      config: (headers) => serverWith({ headers }),
    },
  ),
  host: option<string>("--host <ADDRESS>", "Listen on an address (default: 127.0.0.1)", {
    command: "serve",
    config: (host) => ({ host }),
  }),
  port: option<string>("--port <PORT>", "Listen on a port; 0 takes a free one (default: 8000)", {
    command: "serve",
    config: (port) => ({ port }),
  }),
  path: option<string>("--path <PATH>", "Serve the endpoint under a path (default: /mcp)", {
    command: "serve",
    config: (path) => ({ path }),
  }),
  publicUrl: option<string>(
    "--public-url <URL>",
    "Name the URL that clients use, without the path",
    { command: "serve", config: (publicUrl) => ({ publicUrl }) },
  ),
  tokenEnv: option<string>(
    "--token-env <NAME>",
    "Require the bearer token that is in a variable",
    {
      command: "serve",
      config: (name) => ({ auth: { tokens: [{ id: "token", token: `\${${name}}` }] } }),
    },
  ),
  // False when it is given
  auth: option<boolean>(
    "--no-auth",
    "Let everybody call, although other machines reach the address",
    { command: "serve" },
  ),
  allowOrigin: option<readonly string[]>(
    "--allow-origin <ORIGIN>",
    "Let web pages of an origin call",
    {
      command: "serve",
      repeatable: true,
      parse: addText,
      config: (allowedOrigins) => ({ allowedOrigins }),
    },
  ),
  allowHost: option<readonly string[]>("--allow-host <HOST>", "Answer requests to a host name", {
    command: "serve",
    repeatable: true,
    parse: addText,
    config: (allowedHosts) => ({ allowedHosts }),
  }),
  redis: option<string>("--redis <URL>", "Share sessions with other nodes through Redis", {
    command: "serve",
    config: (redis) => ({ redis }),
  }),
  secretEnv: option<string>(
    "--secret-env <NAME>",
    "Sign, and seal what is kept, with the secret that is in a variable",
    { command: "serve", config: (name) => ({ secret: `\${${name}}` }) },
  ),
  processes: option<string>(
    "--processes <N>",
    "Serve with so many processes, or auto for all cores; starts a Redis without --redis",
    { command: "serve", config: (processes) => ({ processes }) },
  ),
  data: option<string>(
    "--data <DIR>",
    "Keep sessions in a folder (default: the user's own); none keeps them in memory",
    { command: "serve", config: (data) => ({ data: data === "none" ? data : resolve(data) }) },
  ),
  dashboard: option<boolean>(
    "--dashboard",
    "Serve the operator's page on this machine, by a link that works once",
    { command: "serve", config: (dashboard) => ({ dashboard }) },
  ),
  dashboardPort: option<string>(
    "--dashboard-port <PORT>",
    "Serve the page on a port (default: 8001)",
    { command: "serve", needs: "dashboard", config: (port) => ({ dashboard: { port } }) },
  ),
  dashboardTokenEnv: option<string>(
    "--dashboard-token-env <NAME>",
    "Let scripts use the page by the token in a variable",
    {
      command: "serve",
      needs: "dashboard",
      config: (name) => ({ dashboard: { token: `\${${name}}` } }),
    },
  ),
  audit: option<string>("--audit <FILE>", "Write who did what to a file that rotates", {
    command: "serve",
    config: (audit) => ({ audit }),
  }),
  // True without an address
  metrics: option<string | true>(
    "--metrics [ADDRESS]",
    "Serve metrics for Prometheus (default: 127.0.0.1:9464)",
    { command: "serve", config: (metrics) => ({ metrics }) },
  ),
  otel: option<boolean>(
    "--otel",
    "Export traces and metrics to OpenTelemetry, by its environment variables",
    { command: "serve", config: (otel) => ({ otel }) },
  ),
  log: option<string>(
    "--log <FORMAT>",
    "Write the log as json or text (default: text on a terminal)",
    { config: (log) => ({ log }) },
  ),
  logLevel: option<string>(
    "--log-level <LEVEL>",
    "Log from debug, info, warn or error upwards (default: info)",
    { config: (logLevel) => ({ logLevel }) },
  ),
};

type Table = typeof SERVE_OPTIONS;

/** The values of the options of `mooring serve` and `mooring stdio`. */
export type ServeCommandOptions = {
  readonly [Name in keyof Table]?: Table[Name] extends ServeOption<infer T> ? T : never;
};

/** The part of a configuration that options give. */
export interface OptionValues {
  readonly values: JsonObject;
  /** Returns the option that gives the value at a path, or `undefined` if the file does. */
  optionAt(path: readonly (string | number)[]): string | undefined;
}

/**
 * Turns options into keys of a configuration.
 *
 * @throws {CliError} If nothing is to be served, or two options exclude each other
 */
export function configFromOptions(options: ServeCommandOptions): OptionValues {
  checkTogether(options);
  const parts: (readonly [name: string, part: JsonObject])[] = [];
  const table: Readonly<Record<string, ServeOption<unknown>>> = SERVE_OPTIONS;
  for (const [name, value] of Object.entries(options)) {
    const part = value === undefined ? undefined : table[name]?.config?.(value);
    if (part !== undefined) parts.push([name, part]);
  }
  return {
    values: parts.reduce<JsonObject>((all, [, part]) => merged(all, part), {}),
    optionAt(path) {
      const [name] = parts.findLast(([, part]) => reaches(part, path)) ?? [];
      // --redis makes a secret required
      if (name === undefined && path[0] === "secret" && options.redis !== undefined) {
        return flagOf("secretEnv");
      }
      return name === undefined ? undefined : flagOf(name);
    },
  };
}

/** Checks that the options say what to serve, once, and that none lacks the one that it needs. */
function checkTogether(options: ServeCommandOptions): void {
  const [source, second] = (["config", "stdio", "http"] as const)
    .filter((name) => options[name] !== undefined);
  if (source === undefined) {
    throw usageError(
      "Give what to serve: --config FILE, --stdio COMMAND or --http URL, or begin in a folder " +
        "with mooring.json",
    );
  }
  if (second !== undefined) {
    throw usageError(`Give either --${source} or --${second}; a file may describe many servers`);
  }
  const given = new Map(Object.entries(options).filter(([, value]) => value !== undefined));
  for (const [name, { needs }] of Object.entries<ServeOption<unknown>>(SERVE_OPTIONS)) {
    if (needs !== undefined && given.has(name) && !given.has(needs)) {
      throw usageError(`Give ${flagOf(name)} only with --${needs}`);
    }
  }
}

/** Returns the name of an option, with its dashes. */
function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function option<T>(
  flags: string,
  description: string,
  more: Omit<ServeOption<T>, "flags" | "description"> = {},
): ServeOption<T> {
  return { flags, description, ...more };
}

/** Returns the configuration of the one server that options describe. */
function serverWith(keys: JsonObject): JsonObject {
  return { mcpServers: { [ONLY]: keys } };
}

function merged(all: JsonObject, part: JsonObject): JsonObject {
  const entries = Object.entries(part).map(([key, value]) => {
    const before = all[key];
    return [key, isObject(before) && isObject(value) ? merged(before, value) : value];
  });
  return { ...all, ...Object.fromEntries(entries) };
}

/** Tells whether a part of a configuration has a value at a path. */
function reaches(part: unknown, [key, ...rest]: readonly (string | number)[]): boolean {
  if (key === undefined || !isObject(part)) return true;
  return Object.hasOwn(part, key) && reaches(part[key], rest);
}
