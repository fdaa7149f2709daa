/**
 * Connects `mooring inspect` to the servers of a configuration file, as a client of `mooring serve` would
 * see them.
 *
 * @module
 */
import { createMcpHandler } from "../../../mod.ts";
import { quote } from "../../kit.ts";
import { backend } from "../serve/backend.ts";
import { parseConfig, readConfig } from "../config/config.ts";
import { usageError } from "../errors.ts";
import type { InspectInit } from "./client.ts";
import type { Io } from "../io.ts";
import { gatewayOf } from "../serve/server.ts";
import { enabledServers } from "../config/settings.ts";
import { writeWarnings } from "../serve/warnings.ts";

/** What to inspect of a file. */
export interface FileInit {
  readonly file: string;
  /** The name of one server; all of them together if `undefined`. */
  readonly server: string | undefined;
  readonly inputs: Readonly<Record<string, string>> | undefined;
  readonly io: Io;
}

/**
 * Opens the servers of a file for `use`, and closes them.
 *
 * @throws {CliError} If the file can't be used, or has no such server
 */
export async function withServersOf<T>(
  { file, server, inputs, io }: FileInit,
  use: (init: Pick<InspectInit, "url" | "fetch" | "shown">) => Promise<T>,
): Promise<T> {
  const source = { file, text: await readConfig(file), env: io.env, inputs };
  const { config, secrets, warnings } = parseConfig(source);
  io.secrets.add(secrets);
  writeWarnings(warnings, io);
  const names = [...enabledServers(config).keys()];
  const [only, ...others] = names;
  if (only === undefined) {
    throw usageError(`Give a file with a server that isn't disabled: ${file}`);
  }
  if (server !== undefined && !names.includes(server)) {
    const listed = names.map((name) => quote(name)).join(", ");
    throw usageError(
      `Give the name of a server of the file, which are ${listed}: ${quote(server)}`,
    );
  }
  const alone = server ?? (others.length === 0 ? only : undefined);
  // A program for each request would be started again and again
  const gateway = gatewayOf({ ...config, stateless: "principal" }, backend);
  const handler = createMcpHandler(alone === undefined ? gateway : gateway.only(alone));
  try {
    return await use({
      url: new URL("http://localhost/mcp"),
      fetch: (url, init) => handler.fetch(new Request(url, init)),
      shown: alone === undefined ? file : `${file}, ${alone}`,
    });
  } finally {
    await handler.close();
    await gateway.close();
  }
}
