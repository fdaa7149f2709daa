/**
 * Fills in the defaults of a configuration, and refuses one that is unsafe by mistake.
 *
 * @module
 */
import { hostname } from "node:os";
import process from "node:process";
import { isLoopback, LOOPBACK_HOSTS } from "../../kit.ts";
import type { Config, ServerEntry } from "./schema.ts";
import { CliError } from "../errors.ts";

/** The address and options to serve with. */
export interface CommandSettings {
  readonly config: Config;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly graceMs: number;
  /** The name of this node in the log, in events, on the operator's page, in the trail and in metrics. */
  readonly node: string;
  /** The host names to answer to; any name if `undefined`. */
  readonly allowedHosts: readonly string[] | undefined;
  /** The name of the one server that options describe: its tools keep their names. */
  readonly alone: string | undefined;
}

/** The inputs of {@linkcode settingsOf}. */
export interface SettingsInit {
  readonly config: Config;
  readonly alone: string | undefined;
  /** Whether to serve without authentication although other machines reach the address. */
  readonly noAuth: boolean;
}

/**
 * Fills in the defaults.
 *
 * @throws {CliError} If other machines reach the address, and there is neither authentication nor
 * `noAuth`
 */
export function settingsOf({ config, alone, noAuth }: SettingsInit): CommandSettings {
  const { host = "127.0.0.1", port = 8_000, path = "/mcp", graceMs = 10_000 } = config;
  const hasAuth = config.auth !== undefined || config.signIn !== undefined;
  if (noAuth && hasAuth) {
    throw new CliError(
      "Give either --no-auth or authentication, which is --token-env, or auth or signIn in the " +
        "configuration",
    );
  }
  if (!isLoopback(host) && !hasAuth && !noAuth) {
    throw new CliError(
      "Say who may call, with --token-env NAME or auth or signIn in the configuration, or let " +
        `everybody who reaches the address call, with --no-auth: ${host}`,
    );
  }
  const node = config.events?.nodeName ?? nodeNameOf(port);
  return { config, alone, host, port, path, graceMs, node, allowedHosts: hostsOf(config, host) };
}

/** The characters of a node's name. */
const MOST_NODE_NAME = 100;

/** Names a process of a machine: by its port, or where that is any free one, by its process id. */
function nodeNameOf(port: number): string {
  return `${hostname()}:${port === 0 ? process.pid : port}`.slice(-MOST_NODE_NAME);
}

/** Returns the host names to answer to: only known ones on loopback, or with a public URL. */
function hostsOf({ allowedHosts, publicUrl }: Config, host: string): readonly string[] | undefined {
  if (allowedHosts !== undefined) return allowedHosts;
  const own = publicUrl === undefined ? [] : [new URL(publicUrl).host];
  return isLoopback(host) || own.length > 0 ? [...LOOPBACK_HOSTS, ...own] : undefined;
}

/** Returns the servers that aren't disabled, by name. */
export function enabledServers({ mcpServers }: Config): ReadonlyMap<string, ServerEntry> {
  return new Map(Object.entries(mcpServers).filter(([, entry]) => entry.disabled !== true));
}
