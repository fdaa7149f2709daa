/**
 * What a configuration comes to: its defaults, and what is not safe without saying so.
 *
 * @module
 */
import { isLoopback } from "../adapters/serve_options.ts";
import type { Config, ServerEntry } from "./config_schema.ts";
import { CliError } from "./errors.ts";

/** Where and how to serve. */
export interface Settings {
  readonly config: Config;
  readonly host: string;
  readonly port: number;
  readonly path: string;
  readonly graceMs: number;
  /** The host names to answer under; any when `undefined`. */
  readonly allowedHosts: readonly string[] | undefined;
  /** The one server that flags describe: its tools keep their names. */
  readonly alone: string | undefined;
}

const LOOPBACK_HOSTS: readonly string[] = ["localhost", "127.0.0.1", "[::1]"];

/** What only flags say. */
export interface SettingsInit {
  readonly config: Config;
  readonly alone: string | undefined;
  /** Whether everybody may call although others reach the address. */
  readonly noAuth: boolean;
}

/**
 * Fills in the defaults.
 *
 * @throws {CliError} If others reach the address, nobody is asked who they are, and that isn't said to
 * be meant
 */
export function settingsOf({ config, alone, noAuth }: SettingsInit): Settings {
  const { host = "127.0.0.1", port = 8_000, path = "/mcp", graceMs = 10_000 } = config;
  if (noAuth && config.auth !== undefined) {
    throw new CliError("Leave out either --no-auth or what says who may call");
  }
  if (!isLoopback(host) && config.auth === undefined && !noAuth) {
    throw new CliError(
      "Say who may call, with --token-env NAME or auth in the configuration, or let everybody who " +
        `reaches the address call, with --no-auth: ${host}`,
    );
  }
  return { config, alone, host, port, path, graceMs, allowedHosts: hostsOf(config, host) };
}

/** Bound to this machine alone, or with a name of its own, no other name is answered to. */
function hostsOf({ allowedHosts, publicUrl }: Config, host: string): readonly string[] | undefined {
  if (allowedHosts !== undefined) return allowedHosts;
  const own = publicUrl === undefined ? [] : [new URL(publicUrl).host];
  return isLoopback(host) || own.length > 0 ? [...LOOPBACK_HOSTS, ...own] : undefined;
}

/** The servers that aren't switched off, by their names. */
export function enabledServers({ mcpServers }: Config): ReadonlyMap<string, ServerEntry> {
  return new Map(Object.entries(mcpServers).filter(([, entry]) => entry.disabled !== true));
}
