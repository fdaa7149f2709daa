/**
 * Reads a configuration file, and reports everything that is wrong with it at once.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import process from "node:process";
import type { z } from "zod";
import { isObject, quote } from "../../kit.ts";
import {
  type ClientConfig,
  type ClientSource,
  type OriginOf,
  readClientConfig,
} from "../import/client_config.ts";
import { inputAdvice } from "../import/client_variables.ts";
import type { ApiEntry } from "../serve/backend.ts";
import { type Config, configSchema } from "./schema.ts";
import type { OptionValues } from "./serve_options.ts";
import { type Env, type EnvProblem, expand } from "./env.ts";
import { CliError, ExitCode, usageError } from "../errors.ts";
import { JsonError, locator, positionAt, type ReadJson, readJson } from "./json.ts";
import { readToml, tomlLocator } from "./toml.ts";

/** Characters that a file may have. */
const MAX_LENGTH = 1024 * 1024;
/** The same for a file in which Claude Code keeps everything that it knows. */
const MAX_LENGTH_SETTINGS = 16 * 1024 * 1024;
/** Warnings that are shown, and those whose places are looked up to sort them. */
const MAX_WARNINGS = 100;
const MAX_PLACED = 200;

/** The result of {@linkcode parseConfig}. */
export interface ParsedConfig {
  readonly config: Config;
  /** The texts in it that must never be written. */
  readonly secrets: readonly string[];
  /** What isn't honoured: one line for each. */
  readonly warnings: readonly string[];
}

/** The inputs of {@linkcode parseConfig}. */
export interface ConfigInput {
  /** The file's name, for messages. */
  readonly file: string;
  readonly text: string;
  readonly env: Env;
  /** The command line's options. They replace keys of the file. */
  readonly options?: OptionValues;
  /** The values of inputs that the command line gives, by their ids. */
  readonly inputs?: Readonly<Record<string, string>> | undefined;
  /** What stands in place of an `envFile`: its values by default. */
  readonly envFiles?: ClientSource["envFiles"];
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
    throw new CliError(`${adviceOn(cause)}: ${file}`, ExitCode.Failed, { cause });
  }
}

/** The advice for common errors of `readFile`. */
const ADVICE: Readonly<Record<string, string>> = {
  ENOENT: "Name a file that exists",
  ENOTDIR: "Name a file that exists",
  EISDIR: "Name a file, not a folder",
  EACCES: "Allow this user to read the file",
  EPERM: "Allow this user to read the file",
};

function adviceOn(error: unknown): string {
  // Reading a property works on anything that `readFile` throws
  const { code } = error as { readonly code?: unknown };
  return (typeof code === "string" ? ADVICE[code] : undefined) ?? "Name a file that can be read";
}

/** What {@linkcode examineConfig} found. */
export interface Examined {
  /** The configuration, if nothing is wrong with it. */
  readonly config: Config | undefined;
  /** The values, their variables replaced. They may be anything. */
  readonly value: unknown;
  readonly problems: readonly EnvProblem[];
  /** The texts that must never be written; of a configuration with problems, those of variables. */
  readonly secrets: readonly string[];
  /** What isn't honoured: one line for each. */
  readonly warnings: readonly string[];
  /** Returns where something of `value` stands in the file. */
  readonly originOf: OriginOf;
}

/**
 * Parses and checks the text of a configuration file.
 *
 * @throws {ConfigError} If something in it is wrong; with the exit code for usage if only options are
 */
export function parseConfig(source: ConfigInput): ParsedConfig {
  const { config, problems, secrets, warnings, originOf } = examineConfig(source);
  if (config === undefined || problems.length > 0) throw configError(source, problems, originOf);
  return { config, secrets, warnings };
}

/**
 * Finds everything that is wrong with a configuration.
 *
 * @throws {ConfigError} If it isn't JSON: then nothing more can be said about it
 */
export function examineConfig(source: ConfigInput): Examined {
  const { file, text, env, options, envFiles = "values" } = source;
  const { value: parsed, duplicates } = parseText(file, text);
  const read = readClientConfig({ file, value: parsed, env, cwd: process.cwd(), envFiles });
  const merged = isObject(read.value) ? { ...read.value, ...options?.values } : read.value;
  const given = givenInputs(source, read);
  const byVariable = new Map([...read.inputs.values()].map((input) => [input.variable, input]));
  const { value, secrets, problems: unset } = expand(merged, { ...env, ...given.values }, {
    fallback: (name) => byVariable.get(name)?.fallback,
    advice: (name) => {
      const input = byVariable.get(name);
      return input && inputAdvice(input);
    },
  });
  // Nobody needs the values of a server that isn't started
  const areInputsWrong = read.problems.some(({ path: [first] }) => first === "inputs");
  const expected = unset.filter(({ path: [first, name], variable = "" }) =>
    !(first === "mcpServers" && isDisabled(value, name)) &&
    !(areInputsWrong && byVariable.has(variable))
  );
  const { data: config, error } = configSchema.safeParse(value);
  const wrong = [...unset, ...read.problems];
  return {
    config: config && withPlaces(config, file),
    value,
    problems: [
      ...expected,
      ...read.problems,
      ...given.problems,
      ...schemaProblems(error?.issues ?? [], wrong, value),
      ...duplicates.map((fault) => ({ path: [], ...fault })),
    ],
    secrets: [
      ...secrets,
      ...config === undefined ? [] : secretsOf(config),
    ],
    warnings: warningLines(source, [...read.warnings, ...given.warnings], read.originOf),
    originOf: read.originOf,
  };
}

/** Returns a configuration whose files have absolute paths. */
function withPlaces(config: Config, file: string): Config {
  const { pins, data, mcpServers } = config;
  const place = (path: string): string => resolve(dirname(file), path);
  const servers = Object.entries(mcpServers).map(([name, entry]) => [
    name,
    "openapi" in entry && !/^(?:https?|file):/i.test(entry.openapi)
      ? { ...entry, openapi: place(entry.openapi) }
      : entry,
  ]);
  return {
    ...config,
    mcpServers: Object.fromEntries(servers),
    ...pins !== undefined && { pins: place(pins) },
    ...data !== undefined && data !== "none" && { data: place(data) },
  };
}

function isDisabled(value: unknown, name: string | number | undefined): boolean {
  const servers = isObject(value) ? value["mcpServers"] : undefined;
  const entry = isObject(servers) && typeof name === "string" ? servers[name] : undefined;
  return isObject(entry) && entry["disabled"] === true;
}

/** The inputs that the command line gives. */
interface GivenInputs {
  /** Their values, by the names of their variables. */
  readonly values: Readonly<Record<string, string>>;
  readonly problems: readonly EnvProblem[];
  readonly warnings: readonly EnvProblem[];
}

function givenInputs(
  { inputs = {}, env, envFiles }: ConfigInput,
  read: ClientConfig,
): GivenInputs {
  const values: Record<string, string> = {};
  const problems: EnvProblem[] = [];
  const warnings: EnvProblem[] = [];
  const known = [...read.inputs.keys()];
  for (const [id, text] of Object.entries(inputs)) {
    const input = read.inputs.get(id);
    if (input === undefined) {
      const hint = known.length === 0
        ? "the file has none"
        : `those of the file are ${known.join(", ")}`;
      throw usageError(`Give --input the id of an input, ${hint}: ${quote(id)}`);
    }
    const expanded = expand(text, env);
    const [problem] = expanded.problems;
    if (problem !== undefined) throw usageError(`--input: ${problem.message}`);
    const value = String(expanded.value);
    values[input.variable] = value;
    if (input.password && expanded.secrets.length === 0) {
      const message =
        "Other users of this machine can read command lines. Give this input in the " +
        `variable ${input.variable}`;
      warnings.push({ path: ["inputs", input.at], message });
    }
  }
  // Of a bundle, each user gives them
  const checked = envFiles === "references" ? [] : read.inputs.values();
  for (const input of checked) {
    const value = values[input.variable] ??
      (Object.hasOwn(env, input.variable) ? env[input.variable] : undefined);
    if (value === undefined || input.options.length === 0 || input.options.includes(value)) {
      continue;
    }
    const message = `Give this input one of its options, ${
      input.options.map((it) => quote(it)).join(", ")
    }`;
    problems.push({ path: ["inputs", input.at], message });
  }
  return { values, problems, warnings };
}

/** Writes warnings in the order in which they stand in the file. */
function warningLines(
  { file, text }: ConfigInput,
  warnings: readonly EnvProblem[],
  originOf: OriginOf,
): string[] {
  if (warnings.length === 0) return [];
  const plain = withoutMark(text);
  const offsetOf = locatorOf(file, plain);
  const lines = warnings.slice(0, MAX_PLACED).map(({ path, message }) => {
    const own = originOf(path);
    const offset = offsetOf(own);
    const name = own.length === 0 ? "" : `${pathText(own)}: `;
    return { offset, line: `${placeText(file, plain, offset)}: ${name}${message}` };
  });
  const sorted = lines.sort((a, b) => a.offset - b.offset).map(({ line }) => line);
  const unique = [...new Set(sorted)];
  const more = unique.length - MAX_WARNINGS + Math.max(0, warnings.length - MAX_PLACED);
  return more > 0
    ? [...unique.slice(0, MAX_WARNINGS), `${file}: ${more} more warnings aren't shown`]
    : unique;
}

/** Creates the error for a configuration with problems, in the order in which they stand in the file. */
export function configError(
  { file, text, options }: ConfigInput,
  problems: readonly EnvProblem[],
  originOf: OriginOf = (path) => path,
): ConfigError {
  const plain = withoutMark(text);
  const offsetOf = locatorOf(file, plain);
  const found = problems.map(({ path: key, message, offset: known, variable }) => {
    const option = options?.optionAt(key);
    if (option !== undefined) return { offset: -1, line: `${option}: ${message}`, variable };
    const path = originOf(key);
    const offset = known ?? offsetOf(path);
    const name = path.length === 0 ? "" : `${pathText(path)}: `;
    return { offset, line: `${placeText(file, plain, offset)}: ${name}${message}`, variable };
  });
  const usage = found.every(({ offset }) => offset === -1);
  const seen = new Set<string>();
  const lines = found.sort((a, b) => a.offset - b.offset).flatMap(({ line, variable }) => {
    if (variable !== undefined && seen.has(variable)) return [];
    if (variable !== undefined) seen.add(variable);
    return [line];
  });
  return new ConfigError([...new Set(lines)], usage ? ExitCode.Usage : ExitCode.Failed);
}

function isToml(file: string): boolean {
  return /\.toml$/i.test(file);
}

/** Returns what finds the places of a file's values, by their paths. */
export function locatorOf(
  file: string,
  text: string,
): (path: readonly (string | number)[]) => number {
  return isToml(file) ? tomlLocator(text) : locator(text);
}

/**
 * Reads a file's JSON, or its TOML.
 *
 * @throws {ConfigError} If it is broken, empty or too long
 */
export function parseText(file: string, text: string): ReadJson {
  const most = basename(file) === ".claude.json" ? MAX_LENGTH_SETTINGS : MAX_LENGTH;
  if (text.length > most) {
    throw new ConfigError([`${file}: Write at most ${most} characters`]);
  }
  const plain = withoutMark(text);
  // What UTF-16 and binary files look like
  if (plain.includes("\0")) throw new ConfigError([`${file}: Save the file as text in UTF-8`]);
  if (plain.trim() === "") {
    throw new ConfigError([
      `${file}: Write a configuration, such as {"mcpServers": {}}: it is empty`,
    ]);
  }
  try {
    return isToml(file) ? readToml(plain) : readJson(plain);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new ConfigError(
      error.faults.map(({ message, offset }) => `${placeText(file, plain, offset)}: ${message}`),
    );
  }
}

/** Removes the byte order mark that some editors put at the start. */
function withoutMark(text: string): string {
  return text.replace(/^\uFEFF/, "");
}

function placeText(file: string, text: string, offset: number): string {
  const { line, column } = positionAt(text, offset);
  return `${file}:${line}:${column}`;
}

/**
 * Returns the problems that the schema found, without those of variables that have no value, and without
 * what follows from a misspelled key: that the key is missing, and that its object isn't complete.
 */
function schemaProblems(
  found: readonly z.core.$ZodIssue[],
  unexpanded: readonly EnvProblem[],
  value: unknown,
): EnvProblem[] {
  const paths = unexpanded.map(({ path }) => pathText(path));
  const { issues, meant } = withoutConsequences(found, value);
  return issues.flatMap((issue) =>
    issueProblems(issue, meant).filter(({ path }) => {
      const place = pathText(path);
      // A union reports its own path for a problem in one of its keys
      const inside = issue.code === "invalid_union" ? `${place}.` : undefined;
      return !paths.some((known) =>
        known === place || (inside !== undefined && known.startsWith(inside))
      );
    })
  );
}

/**
 * Leaves out what follows from misspelled keys. The one unknown key of an object is meant for the one that
 * it lacks, however little they look alike.
 */
function withoutConsequences(issues: readonly z.core.$ZodIssue[], value: unknown): {
  readonly issues: readonly z.core.$ZodIssue[];
  /** The keys that unknown ones stand for, by the path of the unknown one. */
  readonly meant: ReadonlyMap<string, string>;
} {
  const meant = new Map<string, string>();
  const caused = new Set<z.core.$ZodIssue>();
  for (const unknown of issues) {
    if (unknown.code !== "unrecognized_keys") continue;
    const path = pathOf(unknown);
    const place = pathText(path);
    const missing = issues.filter((issue) =>
      issue.code !== "custom" && issue.path.length === path.length + 1 &&
      pathText(pathOf(issue).slice(0, -1)) === place &&
      isMissing(value, pathOf(issue))
    );
    const messages = unknown.message.split("\n");
    for (const [at, key] of unknown.keys.entries()) {
      const message = messages[at] ?? "";
      const isLikeAnother = message.includes("Did you mean");
      const isOnly = unknown.keys.length === 1 && missing.length === 1 && !isLikeAnother;
      const cause = isOnly
        ? missing[0]
        : missing.find(({ path }) => message.endsWith(`"${String(path.at(-1))}"?`));
      if (cause === undefined) continue;
      caused.add(cause);
      meant.set(pathText([...path, key]), String(cause.path.at(-1)));
    }
    for (const issue of issues) {
      if (issue.code === "custom" && pathText(pathOf(issue)) === place) caused.add(issue);
    }
  }
  return { issues: issues.filter((issue) => !caused.has(issue)), meant };
}

/** Tells whether an object lacks the key that a path ends with. */
function isMissing(value: unknown, path: readonly (string | number)[]): boolean {
  let place = value;
  for (const step of path.slice(0, -1)) {
    place = typeof place === "object" && place !== null ? Reflect.get(place, step) : undefined;
  }
  return isObject(place) && !Object.hasOwn(place, path.at(-1) ?? "");
}

function pathOf(issue: z.core.$ZodIssue): (string | number)[] {
  return issue.path.map((key) => typeof key === "symbol" ? String(key) : key);
}

function issueProblems(
  issue: z.core.$ZodIssue,
  meant: ReadonlyMap<string, string>,
): EnvProblem[] {
  const path = pathOf(issue);
  if (issue.code === "unrecognized_keys") {
    const messages = issue.message.split("\n");
    return issue.keys.map((key, at) => {
      const own = [...path, key];
      const other = meant.get(pathText(own));
      const message = other === undefined
        ? messages[at] ?? ""
        : `Unknown key. Did you mean "${other}"?`;
      return { path: own, message };
    });
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
  const { auth, dashboard, operators, redis, secret, signIn } = config;
  const clientSecret = signIn?.provider["clientSecret"];
  const operatorToken = dashboard === true ? undefined : dashboard?.token;
  const redisUrl = typeof redis === "string" ? redis : redis?.url;
  return [
    ...Object.values(config.mcpServers).flatMap((entry) =>
      "url" in entry
        ? [...Object.values(entry.headers ?? {}).flatMap(headerSecrets), ...urlSecrets(entry.url)]
        : "openapi" in entry
        ? [
          ...Object.values(entry.headers ?? {}).flatMap(headerSecrets),
          ...credentialsOf(entry.auth).flatMap((text) => [text, ...text.split(":").slice(1)]),
          ...urlSecrets(entry.openapi),
        ]
        : Object.values(entry.env ?? {})
    ),
    ...(auth?.tokens ?? []).map(({ token }) => token),
    ...auth?.introspection === undefined ? [] : [auth.introspection.clientSecret],
    ...dpopSecrets(config),
    ...redisUrl === undefined ? [] : urlSecrets(redisUrl),
    ...secret === undefined ? [] : [secret].flat(),
    ...typeof clientSecret === "string" ? [clientSecret] : [],
    ...signIn?.keys ?? [],
    ...(signIn?.idJag ?? []).flatMap(({ clients }) =>
      clients.flatMap(({ secret }) => secret ?? [])
    ),
    ...accountSecrets(config),
    ...operatorToken === undefined ? [] : [operatorToken],
    ...Object.values(operators ?? {}),
  ];
}

function dpopSecrets({ auth, signIn }: Config): readonly string[] {
  const { dpop } = auth?.jwt ?? auth?.introspection ?? signIn ?? {};
  return dpop?.nonceKeys ?? [];
}

function credentialsOf(auth: ApiEntry["auth"]): readonly string[] {
  return typeof auth === "object" ? Object.values(auth.schemes) : auth === undefined ? [] : [auth];
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

/** Returns the lines of a private key in PEM, or the private members of a JWK. */
function keySecrets(key: string | Readonly<Record<string, unknown>>): readonly string[] {
  if (typeof key === "string") return key.split("\n").filter((line) => /^[\w+/=]{16,}$/.test(line));
  const { d, p, q, dp, dq, qi } = key;
  return [d, p, q, dp, dq, qi].filter((member) => typeof member === "string");
}

/** Returns the secrets of the gateway at the servers that users sign in at. */
function accountSecrets({ mcpServers }: Config): readonly string[] {
  return Object.values(mcpServers).flatMap((entry) => {
    const oauth = "oauth" in entry ? entry.oauth : undefined;
    if (typeof oauth !== "object") return [];
    const { clientSecret } = oauth;
    // APIs have no grants
    const { privateKey, identityProvider } = "url" in entry && typeof entry.oauth === "object"
      ? entry.oauth
      : {};
    return [
      ...[clientSecret, identityProvider?.clientSecret].flatMap((secret) => secret ?? []),
      ...[privateKey, identityProvider?.privateKey].flatMap((key) =>
        key === undefined ? [] : keySecrets(key)
      ),
    ];
  });
}
