/**
 * Reads the command line.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { quote } from "../internal/quote.ts";
import { type Command, type CommandName, COMMANDS, isCommand, OTHER_NAMES } from "./commands.ts";
import { CliError, ExitCode } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** What the command line asks for. */
export type Invocation =
  | { readonly kind: "help"; readonly command: CommandName | undefined }
  | { readonly kind: "version" }
  | { readonly kind: "run"; readonly command: CommandName; readonly given: Given };

/** The flags that were given, and what stands there without a flag. */
export class Given {
  readonly operand: string | undefined;
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(values: ReadonlyMap<string, readonly string[]>, operand?: string) {
    this.#values = values;
    this.operand = operand;
  }

  /** Whether a flag was given. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** A flag's value. */
  text(name: string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  /** All values of a flag that may be given more than once; `undefined` without any. */
  texts(name: string): readonly string[] | undefined {
    return this.#values.get(name);
  }

  /**
   * A flag's value as a number.
   *
   * @throws {CliError} If it is none, or out of range
   */
  integer(name: string, least: number, most: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value >= least && value <= most) return value;
    throw usage(`Give a whole number from ${least} to ${most} to --${name}: ${quote(text)}`);
  }

  /**
   * A flag's value out of a few.
   *
   * @throws {CliError} If it is none of them
   */
  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const text = this.text(name);
    const found = values.find((value) => value === text);
    if (text === undefined || found !== undefined) return found;
    throw usage(`Give one of ${values.join(", ")} to --${name}: ${quote(text)}`);
  }
}

/**
 * Reads the command line, without the program's own name.
 *
 * @throws {CliError} If it can't be understood
 */
export function readArgs(args: readonly string[]): Invocation {
  const [first = "help", ...rest] = args;
  if (first === "--version" || first === "-v" || first === "version") return { kind: "version" };
  if (first === "help" || first === "--help" || first === "-h") {
    const [of = ""] = rest;
    return { kind: "help", command: isCommand(of) ? of : undefined };
  }
  if (!isCommand(first)) throw unknownCommand(first);
  return readCommand(COMMANDS[first], rest);
}

function readCommand(command: Command, args: string[]): Invocation {
  const options = Object.fromEntries(
    command.flags.map(({ name, value, many }) => [name, {
      type: value === undefined ? "boolean" as const : "string" as const,
      multiple: many ?? false,
      ...name === "help" && { short: "h" },
    }]),
  );
  const { tokens } = parseArgs({
    args,
    options,
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const values = new Map<string, string[]>();
  const operands: string[] = [];
  for (const token of tokens) {
    if (token.kind === "positional") operands.push(token.value);
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    const flag = command.flags.find((flag) => flag.name === name);
    if (flag === undefined) throw unknownFlag(rawName, name, command);
    checkValue(rawName, flag.value, value, inlineValue === true);
    const earlier = values.get(name) ?? [];
    if (earlier.length > 0 && flag.many === undefined) throw usage(`Give ${rawName} only once`);
    values.set(name, [...earlier, value ?? ""]);
  }
  if (values.has("help")) return { kind: "help", command: command.name };
  const operand = onlyOperand(command, operands);
  return { kind: "run", command: command.name, given: new Given(values, operand) };
}

function checkValue(
  rawName: string,
  wanted: string | undefined,
  value: string | undefined,
  inline: boolean,
): void {
  if (wanted === undefined) {
    if (value !== undefined) throw usage(`Give ${rawName} without a value`);
    return;
  }
  // What looks like the next flag is more likely that than a value.
  if (value === undefined || value === "" || (!inline && value.startsWith("--"))) {
    throw usage(`Give a value: ${rawName} ${wanted}`);
  }
}

function onlyOperand(
  { name, operand, usage: lines }: Command,
  given: string[],
): string | undefined {
  const [first, ...more] = operand === undefined ? [undefined, ...given] : given;
  if (more[0] !== undefined) {
    const hint = name === "serve" ? ": begin it with --stdio, and put it in quotes" : "";
    throw usage(`Leave this out${hint}: ${quote(more[0])}`);
  }
  if (operand !== undefined && first === undefined) {
    throw usage(`Say what to ${name}: mooring ${name} ${lines[0] ?? operand}`);
  }
  return first;
}

function unknownFlag(rawName: string, name: string, { name: of, flags }: Command): CliError {
  const names = flags.map((flag) => flag.name);
  const other = Object.hasOwn(OTHER_NAMES, name) ? OTHER_NAMES[name] : undefined;
  const meant = other !== undefined && names.includes(other) ? other : nearest(name, names);
  const hint = meant === undefined ? `See mooring ${of} --help` : `Did you mean --${meant}?`;
  const why = name === "token" ? ". Other users of this machine can read command lines" : "";
  return usage(`There is no flag ${quote(rawName)}${why}. ${hint}`);
}

function unknownCommand(first: string): CliError {
  const meant = nearest(first, Object.keys(COMMANDS));
  const hint = meant === undefined ? "See mooring --help" : `Did you mean mooring ${meant}?`;
  return usage(`There is no command ${quote(first)}. ${hint}`);
}

function usage(message: string): CliError {
  return new CliError(message, ExitCode.Usage);
}
