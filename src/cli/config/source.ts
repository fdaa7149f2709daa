/**
 * Reads the configuration of a command that serves: a file, options, or both.
 *
 * @module
 */
import { resolve } from "node:path";
import { parseConfig, readConfig } from "./config.ts";
import { configFromOptions, type ServeCommandOptions } from "./serve_options.ts";
import type { Config } from "./schema.ts";
import type { Io } from "../io.ts";

/** A configuration that can be parsed again when its file has changed. */
export interface ConfigSource {
  /** The absolute path of the file, if there is one. */
  readonly file: string | undefined;
  /** The text of the file; an empty configuration without one. */
  readonly text: string;
  /**
   * Parses a text of the file, together with the command's options. Its secrets are kept out of the output.
   *
   * @throws {CliError} If the configuration is wrong
   */
  readonly parse: (text: string) => { config: Config; warnings: readonly string[] };
}

/**
 * Reads the configuration of a command.
 *
 * @param command The name of the command, for mistakes in its options
 * @throws {CliError} If the file can't be read, or an option is wrong
 */
export async function configSource(
  command: string,
  given: ServeCommandOptions,
  io: Io,
): Promise<ConfigSource> {
  const options = configFromOptions(given);
  const file = given.config === undefined ? undefined : resolve(given.config);
  const text = file === undefined ? "{}" : await readConfig(file);
  const parse: ConfigSource["parse"] = (text) => {
    const { env } = io;
    const source = { file: given.config ?? command, text, env, options, inputs: given.input };
    const { config, secrets, warnings } = parseConfig(source);
    io.secrets.add(secrets);
    return { config, warnings };
  };
  return { file, text, parse };
}
