/**
 * Writes what is shown when the server has started: its URLs, and what to paste into a client.
 *
 * @module
 */
import { SERVERS_PATH } from "./routes.ts";
import { VERSION } from "../version.ts";

/** The content of {@linkcode banner}. */
export interface BannerInit {
  /** The URL of the endpoint for all servers together. */
  readonly url: string;
  /** The same URL without a path. */
  readonly base: string;
  readonly names: readonly string[];
  /** Whether clients need a configured token. */
  readonly tokens: boolean;
  /** The names of servers that don't work. */
  readonly failed?: ReadonlySet<string>;
}

/** Writes the banner. */
export function banner({ url, base, names, tokens, failed = new Set() }: BannerInit): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const headers = tokens ? { headers: { Authorization: "Bearer YOUR-TOKEN" } } : {};
  const pasted = { mcpServers: { mooring: { type: "http", url, ...headers } } };
  const header = tokens ? ' --header "Authorization: Bearer YOUR-TOKEN"' : "";
  return [
    `Mooring ${VERSION} serves ${count(names)} at ${url}`,
    ...failed.size === 0
      ? []
      : [`FAILED ${count([...failed])}: the log says why. Clients don't see what it offers`],
    "",
    ...names.map((name) =>
      `  ${name.padEnd(width)}  ${base}${SERVERS_PATH}${name}${failed.has(name) ? "  FAILED" : ""}`
    ),
    "",
    "Paste this into the configuration of a client:",
    "",
    ...JSON.stringify(pasted, null, 2).split("\n").map((line) => `  ${line}`),
    "",
    "Or run one of these:",
    "",
    `  claude mcp add --transport http mooring ${url}${header}`,
    `  mooring inspect ${url}${tokens ? " --token-env YOUR_VARIABLE" : ""}`,
    "",
    "",
  ].join("\n");
}

/**
 * Writes the links to the dashboard.
 *
 * @param page A link for a browser
 * @param top Another one, for `mooring top`
 */
export function dashboardText(page: string, top: string): string {
  return [
    "Open the dashboard with this link, which works once and for ten minutes:",
    "",
    `  ${page}`,
    "",
    `Or in a terminal: mooring top '${top}'`,
    "",
    "",
  ].join("\n");
}

/** Writes where operators with tokens sign in. */
export function operatorsText(url: string): string {
  return [
    "Operators open the dashboard here, and sign in with their tokens:",
    "",
    `  ${url}`,
    "",
    `Or in a terminal: mooring top ${url} --token-env YOUR_VARIABLE`,
    "",
    "",
  ].join("\n");
}

function count(names: readonly string[]): string {
  return names.length === 1 ? "1 server" : `${names.length} servers`;
}
