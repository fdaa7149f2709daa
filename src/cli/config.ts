/**
 * Reads a configuration file, and reports everything that is wrong with it at once.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { isObject } from "../protocol/jsonrpc.ts";
import { type Config, configSchema } from "./config_schema.ts";
import type { OptionValues } from "./config_from_options.ts";
import { type Env, expand, type Problem } from "./env.ts";
import { CliError, ExitCode } from "./errors.ts";
import { JsonError, parseJson } from "./json.ts";

/** Characters that a file may have. */
const MAX_LENGTH = 1024 * 1024;

/** The result of {@linkcode parseConfig}. */
export interface ParsedConfig {
  readonly config: Config;
  /** The texts in it that must never be written. */
  readonly secrets: readonly string[];
}

/** The inputs of {@linkcode parseConfig}. */
export interface ConfigSource {
  /** The file's name, for messages. */
  readonly file: string;
  readonly text: string;
  readonly env: Env;
  /** The command line's options. They replace keys of the file. */
  readonly options?: OptionValues;
}

/** Thrown for a configuration that can't be used; one line for each mistake. */
export class ConfigError extends CliError {
  constructor(lines: readonly string[], exitCode?: ExitCode) {
    super(lines.join("\n"), exitCode);
  }
}

/**
 * Reads the text of a configuration file.
 *
 * @throws {CliError} If the file can't be read
 */
export async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    // Reading a property works on anything that `readFile` throws
    const { code } = cause as { readonly code?: unknown };
    const advice = code === "ENOENT" ? "Name a file that exists" : "Name a file that can be read";
    throw new CliError(`${advice}: ${file}`, ExitCode.Failed, { cause });
  }
}

/**
 * Parses and checks the text of a configuration file.
 *
 * @throws {ConfigError} If something in it is wrong; with the exit code for usage if only options are
 */
export function parseConfig({ file, text, env, options }: ConfigSource): ParsedConfig {
  const parsed = parseText(file, text);
  const merged = isObject(parsed) ? { ...parsed, ...options?.values } : parsed;
  const { value, secrets, problems } = expand(merged, env);
  const { data, error } = configSchema.safeParse(value);
  if (data !== undefined && problems.length === 0) {
    return { config: data, secrets: [...secrets, ...secretsOf(data)] };
  }
  const found = [...problems, ...schemaProblems(error?.issues ?? [], problems)];
  const lines = found.map(({ path, message }) => {
    const place = options?.optionAt(path) ??
      [file, ...path.length === 0 ? [] : [pathText(path)]].join(": ");
    return `${place}: ${message}`;
  });
  const usage = found.every(({ path }) => options?.optionAt(path) !== undefined);
  throw new ConfigError(lines, usage ? ExitCode.Usage : ExitCode.Failed);
}

function parseText(file: string, text: string): unknown {
  if (text.length > MAX_LENGTH) {
    throw new ConfigError([`${file}: Write at most ${MAX_LENGTH} characters`]);
  }
  try {
    return parseJson(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ConfigError([`${file}:${error.line}:${error.column}: ${error.message}`]);
  }
}

/** Returns the problems that the schema found, without those of variables that have no value. */
function schemaProblems(
  issues: readonly z.core.$ZodIssue[],
  unexpanded: readonly Problem[],
): Problem[] {
  const paths = unexpanded.map(({ path }) => pathText(path));
  return issues.flatMap((issue) =>
    issueProblems(issue).filter(({ path }) => {
      const place = pathText(path);
      // A union reports its own path for a problem in one of its keys
      const inside = issue.code === "invalid_union" ? `${place}.` : undefined;
      return !paths.some((known) =>
        known === place || (inside !== undefined && known.startsWith(inside))
      );
    })
  );
}

function issueProblems(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map((key) => typeof key === "symbol" ? String(key) : key);
  if (issue.code === "unrecognized_keys") {
    const messages = issue.message.split("\n");
    return issue.keys.map((key, at) => ({ path: [...path, key], message: messages[at] ?? "" }));
  }
  if (issue.code === "invalid_key") {
    return issue.issues.map(({ message }) => ({ path, message }));
  }
  return [{ path, message: issue.message }];
}

/** Writes a path as JavaScript does. */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((key, at) => {
    if (typeof key === "number") return `[${key}]`;
    if (!/^[\w$-]+$/.test(key)) return `[${JSON.stringify(key)}]`;
    return at === 0 ? key : `.${key}`;
  }).join("");
}

/** Returns the texts in a configuration that are secrets, or may hold one. */
function secretsOf(config: Config): string[] {
  const { auth, redis, secret } = config;
  const redisUrl = typeof redis === "string" ? redis : redis?.url;
  return [
    ...Object.values(config.mcpServers).flatMap((entry) =>
      "url" in entry
        ? [...Object.values(entry.headers ?? {}).flatMap(headerSecrets), ...urlSecrets(entry.url)]
        : Object.values(entry.env ?? {})
    ),
    ...(auth?.tokens ?? []).map(({ token }) => token),
    ...auth?.introspection === undefined ? [] : [auth.introspection.clientSecret],
    ...redisUrl === undefined ? [] : urlSecrets(redisUrl),
    ...secret === undefined ? [] : [secret],
  ];
}

/** Returns a header's value, and the credentials after the scheme in one like `Bearer 123`. */
function headerSecrets(value: string): string[] {
  return [value, ...value.split(" ").slice(1)];
}

/** Returns the parts of a URL that may be secrets: the password, and the values of the query. */
function urlSecrets(text: string): string[] {
  const url = URL.parse(text);
  if (url === null) return [];
  const { password, searchParams } = url;
  // As it stands in the text: the parsed one is percent-encoded
  const [, plain = ""] = /^[^/]*\/\/[^/]*?:([^/@]*)@/.exec(text) ?? [];
  return [password, plain, ...searchParams.values()];
}
