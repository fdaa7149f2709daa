/**
 * Explains mistakes in a command line: what is wrong, and what was probably meant.
 *
 * @module
 */
import { type Command, Option } from "commander";
import { quote } from "../kit.ts";
import { type CliError, usageError } from "./errors.ts";
import { suggest } from "../kit.ts";

/** The commands that serve what a configuration file says. */
const SERVES: ReadonlySet<string> = new Set(["serve", "stdio"]);

/** Options that other programs have, and their names here. */
const OTHER_OPTIONS: Readonly<Record<string, string>> = {
  address: "host",
  auth: "token-env",
  bind: "host",
  command: "stdio",
  cors: "allow-origin",
  hostname: "host",
  origin: "allow-origin",
  prometheus: "metrics",
  token: "token-env",
  url: "http",
  verbose: "log-level",
};

/** An option that may be given more than once. */
export class RepeatableOption extends Option {
  constructor(flags: string, description: string) {
    super(flags, `${description} (repeatable)`);
  }
}

/** Writes an option as `--port PORT`. */
export function plainFlags({ flags }: Option): string {
  return flags.replace(/[<>]/g, "");
}

/**
 * Replaces the parser's errors with usage errors, and adds checks that the parser doesn't have.
 *
 * On its own the parser would write to the console, end the process, show whole arguments, which may hold
 * secrets, and take the next option for a missing value.
 */
export function refuseMisuse(command: Command, args: readonly string[]): void {
  command.exitOverride((error) => {
    throw error.exitCode === 0 ? error : misuse(error.code, command, args);
  });
  for (const option of command.options) {
    const { long = "", required } = option;
    let times = 0;
    command.on(`option:${option.name()}`, (value = "") => {
      const isOption = value.startsWith("--") && !args.includes(`${long}=${value}`);
      if (required && (value === "" || isOption)) throw missingValue(option);
      if (++times > 1 && !(option instanceof RepeatableOption)) {
        throw usageError(`Give ${long} only once`);
      }
    });
  }
}

function missingValue(option: Option): CliError {
  return usageError(`Give a value: ${plainFlags(option)}`);
}

/** Returns the usage error for an error of the parser. */
function misuse(code: string, command: Command, args: readonly string[]): CliError {
  const name = command.name();
  const { options, registeredArguments, args: given } = command;
  switch (code) {
    case "commander.unknownOption":
      return unknownOption(command, given.find((arg) => /^-./.test(arg)) ?? "");
    case "commander.unknownCommand":
      return unknownCommand(command, given[0] ?? "");
    case "commander.optionMissingArgument": {
      // A value is missing only at the end
      const option = options.find(({ long }) => long === args.at(-1));
      return option === undefined ? usageError(`See mooring ${name} --help`) : missingValue(option);
    }
    case "commander.missingMandatoryOptionValue": {
      const option = options.find((option) =>
        option.mandatory && command.getOptionValue(option.attributeName()) === undefined
      );
      return option === undefined ? usageError(`See mooring ${name} --help`) : missingValue(option);
    }
    case "commander.missingArgument": {
      return missingArgument(name, registeredArguments.map((each) => each.name()).join(" "));
    }
    case "commander.excessArguments": {
      const extra = given[registeredArguments.length] ?? "";
      if (SERVES.has(name) && /\.jsonc?$/i.test(extra)) {
        return usageError(`Give a configuration file with --config: ${quote(extra)}`);
      }
      const hint = SERVES.has(name) ? ", or put it in quotes after --stdio" : "";
      return usageError(`Leave this out${hint}: ${quote(extra)}`);
    }
    default:
      return usageError("Give a command. See mooring --help");
  }
}

/** Returns the error for a command without its arguments. */
export function missingArgument(name: string, what: string): CliError {
  return usageError(`Give what to ${name}: mooring ${name} ${what}`);
}

/** Returns the error for a command that there is not. */
export function unknownCommand(program: Command, name: string): CliError {
  const meant = suggest(name, program.commands.map((command) => command.name()));
  const hint = meant === undefined ? "See mooring --help" : `Did you mean mooring ${meant}?`;
  return usageError(`Unknown command ${quote(name)}. ${hint}`);
}

function unknownOption(command: Command, given: string): CliError {
  // What follows may be a value, and secret
  const [flag = ""] = given.startsWith("--") ? given.split("=") : [given.slice(0, 2)];
  const name = flag.replace(/^-+/, "");
  if (command.options.some(({ long }) => long === flag)) {
    return usageError(`Give ${flag} without a value`);
  }
  const names = [...command.options.map((option) => option.name()), "help"];
  const other = Object.hasOwn(OTHER_OPTIONS, name) ? OTHER_OPTIONS[name] : undefined;
  const meant = other !== undefined && names.includes(other) ? other : suggest(name, names);
  const why = name === "token" ? ". Other users of this machine can read command lines" : "";
  const hint = meant === undefined
    ? `See ${command.parent === null ? "mooring" : `mooring ${command.name()}`} --help`
    : `Did you mean --${meant}?`;
  return usageError(`Unknown option ${quote(flag)}${why}. ${hint}`);
}
