/**
 * Runs `mooring call`: calls one tool of a server that a configuration file names, or that has a URL.
 *
 * @module
 */
import { quote } from "../../kit.ts";
import { defaultFile } from "../config/default_file.ts";
import { type ExitCode, usageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { type InspectInit, withConnection } from "./client.ts";
import { argumentsOf, headersFor, showCall } from "./inspect.ts";

/** The options of `mooring call`. */
export interface CallOptions {
  readonly args?: string;
  /** The file that has the server. */
  readonly config?: string;
  /** The values of the file's inputs, by their ids. */
  readonly input?: Readonly<Record<string, string>>;
  readonly header?: Readonly<Record<string, string>>;
  readonly tokenEnv?: string;
  /** In seconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/**
 * Calls a tool.
 *
 * @param server The name of a server in the file, or a URL
 * @returns Whether the tool answered, or answered with an error
 * @throws {CliError} If the server can't be reached, or an option can't be read
 */
export async function callTool(
  server: string,
  tool: string,
  options: CallOptions,
  io: Io,
): Promise<ExitCode> {
  const { args: text = "{}", json = false, input: inputs } = options;
  const args = argumentsOf(text);
  const call = (
    target: Pick<InspectInit, "url" | "fetch" | "shown">,
    headers: Record<string, string> = {},
  ): Promise<ExitCode> => {
    const timeoutMs = options.timeout * 1_000;
    return withConnection(
      { ...target, headers, timeoutMs, redact: io.secrets.redact },
      (connection) => showCall(connection, { tool, args, json, io }),
    );
  };
  const url = URL.parse(server);
  if (url !== null && /^https?:$/.test(url.protocol)) {
    for (const [name, given] of [["--config", options.config], ["--input", inputs]] as const) {
      if (given !== undefined) throw usageError(`Give ${name} only with a server's name`);
    }
    io.secrets.add([url.password, ...url.searchParams.values()]);
    return await call({ url }, await headersFor(url, options, io));
  }
  for (const [name, given] of [["--header", options.header], ["--token-env", options.tokenEnv]]) {
    if (given !== undefined) throw usageError(`Give ${name} only with a URL`);
  }
  const file = options.config ?? await defaultFile();
  if (file === undefined) {
    throw usageError(
      `Give --config FILE for the server ${quote(server)}, or begin in a folder with mooring.json`,
    );
  }
  const { withServersOf } = await import("./file.ts");
  return await withServersOf({ file, server, inputs, io }, (target) => call(target));
}
