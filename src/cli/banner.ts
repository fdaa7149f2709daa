/**
 * What is said when a server has started: where it is, and what to paste into a client.
 *
 * @module
 */
import { SERVERS_PATH } from "./routes.ts";
import { VERSION } from "./version.ts";

/** What the words are made of. */
export interface BannerInit {
  /** Where clients reach all servers together. */
  readonly url: string;
  /** Where clients reach the server, without a path. */
  readonly base: string;
  readonly names: readonly string[];
  /** Whether clients need a token of their own. */
  readonly tokens: boolean;
}

/** The words. */
export function banner({ url, base, names, tokens }: BannerInit): string {
  const width = Math.max(0, ...names.map((name) => name.length));
  const headers = tokens ? { headers: { Authorization: "Bearer YOUR-TOKEN" } } : {};
  const pasted = { mcpServers: { mooring: { type: "http", url, ...headers } } };
  const header = tokens ? ' --header "Authorization: Bearer YOUR-TOKEN"' : "";
  return [
    `Mooring ${VERSION} serves ${count(names)} at ${url}`,
    "",
    ...names.map((name) => `  ${name.padEnd(width)}  ${base}${SERVERS_PATH}${name}`),
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

function count(names: readonly string[]): string {
  return names.length === 1 ? "1 server" : `${names.length} servers`;
}
