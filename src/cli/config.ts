/**
 * Reads a configuration file, and says all that is wrong with it at once.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { z } from "zod";
import { isObject } from "../protocol/jsonrpc.ts";
import { type Config, configSchema } from "./config_schema.ts";
import { type Env, expand, type Problem } from "./env.ts";
import { CliError, ExitCode } from "./errors.ts";
import type { FlagValues } from "./flag_values.ts";
import { jsonProblem } from "./json_source.ts";

/** The longest file that is read, in characters. */
const LONGEST = 1024 * 1024;

/** A configuration, and what of it must never be shown. */
export interface Loaded {
  readonly config: Config;
  readonly secrets: readonly string[];
}

/** Where a configuration comes from. */
export interface ConfigSource {
  /** The file's name, for messages. */
  readonly file: string;
  readonly text: string;
  readonly env: Env;
  /** What flags say: it takes the place of what the file says. */
  readonly flags?: FlagValues;
}

/** A configuration that can't be used. */
export class ConfigError extends CliError {
  constructor(lines: readonly string[], exitCode?: ExitCode) {
    super(lines.join("\n"), exitCode);
  }
}

/**
 * The text of a configuration file.
 *
 * @throws {CliError} If it can't be read
 */
export async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (cause) {
    // Looking for a property harms nothing, whatever was thrown
    const { code } = cause as { readonly code?: unknown };
    const why = code === "ENOENT" ? "Name a file that exists" : "Name a file that can be read";
    throw new CliError(`${why}: ${file}`, ExitCode.Failed, { cause });
  }
}

/**
 * Checks the text of a configuration file.
 *
 * @throws {ConfigError} If something in it is wrong
 */
export function parseConfig({ file, text, env, flags }: ConfigSource): Loaded {
  const said = parseText(file, text);
  const raw = isObject(said) ? { ...said, ...flags?.values } : said;
  const { value, secrets, problems } = expand(raw, env);
  const { data, error } = problems.length > 0 ? NOTHING : configSchema.safeParse(value);
  if (data !== undefined) return { config: data, secrets: [...secrets, ...secretsOf(data)] };
  const found = [...problems, ...(error?.issues ?? []).flatMap(issueProblems)];
  const lines = found.map(({ path, message }) => {
    const where = flags?.flagOf(path) ??
      [file, ...path.length === 0 ? [] : [pathText(path)]].join(": ");
    return `${where}: ${message}`;
  });
  const usage = found.every(({ path }) => flags?.flagOf(path) !== undefined);
  throw new ConfigError(lines, usage ? ExitCode.Usage : ExitCode.Failed);
}

const NOTHING = { data: undefined, error: undefined };

function parseText(file: string, text: string): unknown {
  if (text.length > LONGEST) {
    throw new ConfigError([`${file}: Write at most ${LONGEST} characters`]);
  }
  const json = text.replace(/^\uFEFF/, "");
  const broken = jsonProblem(json);
  if (broken === undefined) return JSON.parse(json);
  throw new ConfigError([`${file}:${broken.line}:${broken.column}: ${broken.message}`]);
}

function issueProblems(issue: z.core.$ZodIssue): Problem[] {
  const path = issue.path.map((key) => typeof key === "symbol" ? String(key) : key);
  const messages = issue.message.split("\n");
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key, at) => ({ path: [...path, key], message: messages[at] ?? "" }));
  }
  if (issue.code === "invalid_key") {
    return issue.issues.map(({ message }) => ({ path, message }));
  }
  return [{ path, message: issue.message }];
}

/** A path the way that JavaScript writes it. */
export function pathText(path: readonly (string | number)[]): string {
  return path.map((key, at) => {
    if (typeof key === "number") return `[${key}]`;
    if (!/^[\w$-]+$/.test(key)) return `[${JSON.stringify(key)}]`;
    return at === 0 ? key : `.${key}`;
  }).join("");
}

/** What people write into such files that nobody else should see. */
export function secretsOf(config: Config): string[] {
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

/** A header's value, and what follows the scheme in one like `Bearer 123`. */
function headerSecrets(value: string): string[] {
  return [value, ...value.split(" ").slice(1)];
}

/** The parts of a URL that may be secrets: the password, and the values of its query. */
export function urlSecrets(text: string): string[] {
  const url = URL.parse(text);
  if (url === null) return [];
  const { password, searchParams } = url;
  const [, plain = ""] = /^[^/]*\/\/[^/]*?:([^/@]*)@/.exec(text) ?? [];
  return [password, plain, ...searchParams.values()];
}
