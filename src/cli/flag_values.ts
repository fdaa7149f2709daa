/**
 * What the flags of `mooring serve` say, in the words of the configuration file, so that one schema
 * checks both.
 *
 * @module
 */
import type { Given } from "./args.ts";
import { splitArgv } from "./argv_split.ts";
import { CliError, ExitCode } from "./errors.ts";

/** The name of the one server that flags describe. */
export const ONLY = "server";

/** Keys of the configuration, and the flag that gives each. */
const FLAGS: Readonly<Record<string, string>> = {
  host: "host",
  port: "port",
  path: "path",
  publicUrl: "public-url",
  redis: "redis",
  log: "log",
  logLevel: "log-level",
};
const LISTS: Readonly<Record<string, string>> = {
  allowedOrigins: "allow-origin",
  allowedHosts: "allow-host",
};
/** The same for the keys of a server. */
const SERVER_FLAGS: Readonly<Record<string, string>> = {
  url: "http",
  headers: "header",
  command: "stdio",
  args: "stdio",
  env: "env",
  cwd: "cwd",
};

/** A part of a configuration that flags give. */
export interface FlagValues {
  readonly values: Readonly<Record<string, unknown>>;
  /** The flag that gives what is at a path, if one does. */
  flagOf(path: readonly (string | number)[]): string | undefined;
}

/**
 * Reads the flags of `mooring serve`.
 *
 * @throws {CliError} If they don't fit each other, or one can't be read
 */
export function flagValues(given: Given): FlagValues {
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(FLAGS)) {
    if (given.has(flag)) values[key] = given.text(flag);
  }
  for (const [key, flag] of Object.entries(LISTS)) {
    if (given.has(flag)) values[key] = given.texts(flag);
  }
  const variable = given.text("token-env");
  if (variable !== undefined) {
    values["auth"] = { tokens: [{ id: "token", token: `\${${variable}}` }] };
  }
  const secret = given.text("secret-env");
  if (secret !== undefined) values["secret"] = `\${${secret}}`;
  const server = serverOf(given);
  if (server !== undefined) values["mcpServers"] = { [ONLY]: server };
  return {
    values,
    flagOf([first = "", , key = ""]) {
      // It is asked for because of another flag.
      if (first === "secret" && Object.hasOwn(values, "redis")) return "--secret-env";
      if (!Object.hasOwn(values, first)) return undefined;
      if (first === "auth") return "--token-env";
      const flag = first === "mcpServers" ? SERVER_FLAGS[key] : FLAGS[first] ?? LISTS[first];
      return flag === undefined ? undefined : `--${flag}`;
    },
  };
}

/** The one server that flags describe, unless a file does. */
function serverOf(given: Given): unknown {
  const [first, second] = ["config", "stdio", "http"].filter((name) => given.has(name));
  if (first === undefined) {
    throw usage("Say what to serve: --config FILE, --stdio COMMAND or --http URL");
  }
  if (second !== undefined) {
    throw usage(`Give either --${first} or --${second}; a file may describe many servers`);
  }
  for (const [name, owner] of [["env", "stdio"], ["cwd", "stdio"], ["header", "http"]] as const) {
    if (given.has(name) && first !== owner) throw usage(`Give --${name} only with --${owner}`);
  }
  const url = given.text("http");
  if (url !== undefined) return { url, headers: readHeaders(given.texts("header")) };
  const line = given.text("stdio");
  if (line === undefined) return undefined;
  const [command, ...args] = splitArgv(line);
  const cwd = given.text("cwd");
  const env = Object.fromEntries((given.texts("env") ?? []).map(readVariable));
  return { command, args, env, ...cwd !== undefined && { cwd } };
}

/** `NAME=VALUE`, or `NAME` for what the variable has here. */
function readVariable(text: string): [string, string] {
  const at = text.indexOf("=");
  const name = at === -1 ? text : text.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw usage("Give --env a NAME, or NAME=VALUE");
  return [name, at === -1 ? `\${${name}}` : text.slice(at + 1)];
}

/**
 * Reads headers, each as `NAME: VALUE`.
 *
 * @throws {CliError} If one isn't
 */
export function readHeaders(given: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(given.map((text) => {
    const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(text) ?? [];
    if (name === undefined || value === undefined) throw usage('Give --header a "NAME: VALUE"');
    return [name, value];
  }));
}

function usage(message: string): CliError {
  return new CliError(message, ExitCode.Usage);
}
