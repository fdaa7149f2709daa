/**
 * Turns the options of `mooring serve` into keys of the configuration file, so that one schema checks
 * both.
 *
 * @module
 */
import { usageError } from "./errors.ts";

/** The options of `mooring serve`. */
export interface ServeOptions {
  readonly config?: string;
  /** A program and its arguments. */
  readonly stdio?: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly http?: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly host?: string;
  readonly port?: string;
  readonly path?: string;
  readonly publicUrl?: string;
  readonly tokenEnv?: string;
  /** False with `--no-auth`. */
  readonly auth?: boolean;
  readonly allowOrigin?: readonly string[];
  readonly allowHost?: readonly string[];
  readonly redis?: string;
  readonly secretEnv?: string;
  /** True without an address. */
  readonly metrics?: string | true;
  readonly audit?: string;
  readonly log?: string;
  readonly logLevel?: string;
  readonly dashboard?: boolean;
  readonly dashboardPort?: string;
  readonly dashboardTokenEnv?: string;
  /** The values of the file's inputs, by their ids. */
  readonly input?: Readonly<Record<string, string>>;
}

/** The name of the one server that options describe. */
export const ONLY = "server";

/** Keys of the configuration, and the option that gives each. */
const OPTIONS: Readonly<Record<string, readonly [keyof ServeOptions, string]>> = {
  host: ["host", "--host"],
  port: ["port", "--port"],
  path: ["path", "--path"],
  publicUrl: ["publicUrl", "--public-url"],
  redis: ["redis", "--redis"],
  metrics: ["metrics", "--metrics"],
  audit: ["audit", "--audit"],
  log: ["log", "--log"],
  logLevel: ["logLevel", "--log-level"],
  allowedOrigins: ["allowOrigin", "--allow-origin"],
  allowedHosts: ["allowHost", "--allow-host"],
};

/** The same for the keys of a server. */
const SERVER_OPTIONS: Readonly<Record<string, string>> = {
  url: "--http",
  headers: "--header",
  command: "--stdio",
  args: "--stdio",
  env: "--env",
  cwd: "--cwd",
};

/** The part of a configuration that options give. */
export interface OptionValues {
  readonly values: Readonly<Record<string, unknown>>;
  /** Returns the option that gives the value at a path, or `undefined` if the file does. */
  optionAt(path: readonly (string | number)[]): string | undefined;
}

/**
 * Turns options into keys of a configuration.
 *
 * @throws {CliError} If nothing is to be served, or two options exclude each other
 */
export function configFromOptions(options: ServeOptions): OptionValues {
  const values: Record<string, unknown> = {};
  for (const [key, [option]] of Object.entries(OPTIONS)) {
    if (options[option] !== undefined) values[key] = options[option];
  }
  const { tokenEnv, secretEnv } = options;
  if (tokenEnv !== undefined) {
    values["auth"] = { tokens: [{ id: "token", token: `\${${tokenEnv}}` }] };
  }
  if (secretEnv !== undefined) values["secret"] = `\${${secretEnv}}`;
  const { dashboard, dashboardPort: port, dashboardTokenEnv } = options;
  if (port !== undefined || dashboardTokenEnv !== undefined) {
    if (dashboard !== true) {
      const option = port === undefined ? "--dashboard-token-env" : "--dashboard-port";
      throw usageError(`Give ${option} only with --dashboard`);
    }
    values["dashboard"] = {
      ...port !== undefined && { port },
      ...dashboardTokenEnv !== undefined && { token: `\${${dashboardTokenEnv}}` },
    };
  } else if (dashboard === true) values["dashboard"] = true;
  const server = serverOf(options);
  if (server !== undefined) values["mcpServers"] = { [ONLY]: server };
  return {
    values,
    optionAt([first = "", second = "", key = ""]) {
      // --redis makes it required
      if (first === "secret" && Object.hasOwn(values, "redis")) return "--secret-env";
      if (!Object.hasOwn(values, first)) return undefined;
      if (first === "auth") return "--token-env";
      if (first === "dashboard") {
        return second === "token" ? "--dashboard-token-env" : "--dashboard-port";
      }
      return first === "mcpServers" ? SERVER_OPTIONS[key] : OPTIONS[first]?.[1];
    },
  };
}

/** Returns the one server that options describe, or `undefined` if a file describes the servers. */
function serverOf(options: ServeOptions): unknown {
  const { http, header = {}, stdio, env = {}, cwd } = options;
  const [source, second] = (["config", "stdio", "http"] as const)
    .filter((name) => options[name] !== undefined);
  if (source === undefined) {
    throw usageError("Give what to serve: --config FILE, --stdio COMMAND or --http URL");
  }
  if (second !== undefined) {
    throw usageError(`Give either --${source} or --${second}; a file may describe many servers`);
  }
  const owners = [["env", "stdio"], ["cwd", "stdio"], ["header", "http"], [
    "input",
    "config",
  ]] as const;
  for (const [name, owner] of owners) {
    if (options[name] !== undefined && source !== owner) {
      throw usageError(`Give --${name} only with --${owner}`);
    }
  }
  if (http !== undefined) return { url: http, headers: header };
  if (stdio === undefined) return undefined;
  const [command, ...args] = stdio;
  return { command, args, env, ...cwd !== undefined && { cwd } };
}
