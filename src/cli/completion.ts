/**
 * Writes the scripts with which bash, zsh and fish complete the command line, from the commands and options
 * that the parser knows.
 *
 * @module
 */
import type { Argument, Command, Option } from "commander";
import { quote, suggest } from "../kit.ts";
import { usageError } from "./errors.ts";
import { IMPORT_FROM } from "./import/sources.ts";
import { FORMATS, LEVELS } from "./log.ts";

/** The shells that there are scripts for. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

type Shell = (typeof SHELLS)[number];

/** What an option or an argument takes: nothing, a file, a folder, one of some words, or anything. */
type Value =
  | { readonly kind: "none" | "file" | "folder" | "any" }
  | { readonly kind: "words"; readonly words: readonly string[] };

/** The words that an option or an argument may be. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  "--log": FORMATS,
  "--log-level": LEVELS,
  "--from": IMPORT_FROM,
  SHELL: SHELLS,
};

/** An option of a command. */
interface CompletedOption {
  readonly flag: string;
  readonly description: string;
  readonly value: Value;
}

/** A command, with what may follow its name. */
interface CompletedCommand {
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** The value of its first argument. */
  readonly argument: Value;
}

/**
 * Returns the script for a shell.
 *
 * @throws {CliError} If there is none for the shell
 */
export function completionOf(program: Command, shell: string): string {
  const known = SHELLS.find((name) => name === shell);
  if (known === undefined) {
    const meant = suggest(shell, SHELLS);
    const hint = meant === undefined ? "" : `. Did you mean ${meant}?`;
    throw usageError(`Give one of the shells ${SHELLS.join(", ")}: ${quote(shell)}${hint}`);
  }
  return WRITERS[known](commandsOf(program));
}

function commandsOf(program: Command): CompletedCommand[] {
  const help = { flag: "--help", description: "Show this help", value: { kind: "none" } as const };
  return program.createHelp().visibleCommands(program).map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [...command.options.map(optionOf), help],
    argument: argumentOf(command.registeredArguments[0]),
  }));
}

function optionOf(option: Option): CompletedOption {
  const { long: flag = "", description, flags } = option;
  const [, name] = /[<[](.*)[\]>]/.exec(flags) ?? [];
  return { flag, description, value: valueOf(name, flag) };
}

function argumentOf(argument: Argument | undefined): Value {
  // A URL may stand where a file may
  const name = argument?.name();
  return valueOf(name === "URL" && argument?.required === false ? "FILE" : name, name ?? "");
}

function valueOf(name: string | undefined, key: string): Value {
  if (name === undefined) return { kind: "none" };
  const words = Object.hasOwn(WORDS, key) ? WORDS[key] : undefined;
  if (words !== undefined) return { kind: "words", words };
  return { kind: name === "FILE" ? "file" : name === "DIR" ? "folder" : "any" };
}

const WRITERS: Readonly<Record<Shell, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Writes a text that a shell takes as it is. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", () => "'\\''")}'`;
}

function bashScript(commands: readonly CompletedCommand[]): string {
  const words = (list: readonly string[]): string =>
    `COMPREPLY=($(compgen -W "${list.join(" ")}" -- "$word"))`;
  const replies: Readonly<Record<Value["kind"], (value: Value) => string>> = {
    none: () => "",
    any: () => "COMPREPLY=()",
    file: () => 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))',
    folder: () => 'compopt -o filenames; COMPREPLY=($(compgen -d -- "$word"))',
    words: (value) => words(value.kind === "words" ? value.words : []),
  };
  const values = commands.flatMap(({ name, options }) =>
    options.flatMap(({ flag, value }) =>
      value.kind === "none" ? [] : [`    ${name}:${flag}) ${replies[value.kind](value)}; return ;;`]
    )
  );
  const names = commands.map(({ name }) => name);
  const own = commands.map(({ name, options, argument }) =>
    [
      `    ${name})`,
      `      if [[ $word == -* ]]; then ${words(options.map(({ flag }) => flag))}`,
      `      else ${argument.kind === "none" ? ":" : replies[argument.kind](argument)}; fi ;;`,
    ].join("\n")
  );
  return `# Completion of mooring for bash. Load it with: source <(mooring completion bash)
_mooring() {
  local IFS=$' \\t\\n' word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    ${words([...names, "--help", "--version"])}
    return
  fi
  case \${COMP_WORDS[1]}:$before in
${values.join("\n")}
  esac
  case \${COMP_WORDS[1]} in
${own.join("\n")}
    help) ${words(names)} ;;
  esac
}
complete -F _mooring mooring
`;
}

function zshScript(commands: readonly CompletedCommand[]): string {
  /** What `_arguments` gives a special meaning. */
  const plain = (text: string): string => text.replace(/[[\]:\\]/g, (sign) => `\\${sign}`);
  const action = (value: Value): string =>
    value.kind === "file"
      ? "_files"
      : value.kind === "folder"
      ? "_files -/"
      : value.kind === "words"
      ? `(${value.words.join(" ")})`
      : " ";
  const own = commands.map(({ name, options, argument }) => {
    const specs = options.map(({ flag, description, value }) =>
      quoted(
        `*${flag}[${plain(description)}]${value.kind === "none" ? "" : `:value:${action(value)}`}`,
      )
    );
    const rest = argument.kind === "none" ? [] : [quoted(`1:argument:${action(argument)}`)];
    return `    ${name}) _arguments ${[...specs, ...rest].join(" \\\n        ")} ;;`;
  });
  const described = commands.map(({ name, description }) =>
    `    ${quoted(`${plain(name)}:${description}`)}`
  );
  return `#compdef mooring
# Completion of mooring for zsh. Load it with: source <(mooring completion zsh)
_mooring() {
  local -a commands=(
${described.join("\n")}
  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local name=$words[2]
  shift words
  ((CURRENT--))
  case $name in
${own.join("\n")}
    help) _describe command commands ;;
  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _mooring "$@"; else compdef _mooring mooring; fi
`;
}

function fishScript(commands: readonly CompletedCommand[]): string {
  const takes = (value: Value): string =>
    value.kind === "none"
      ? ""
      : value.kind === "file"
      ? " -r -F"
      : value.kind === "folder"
      ? " -x -a '(__fish_complete_directories)'"
      : value.kind === "words"
      ? ` -x -a ${quoted(value.words.join(" "))}`
      : " -x";
  const lines = commands.flatMap(({ name, description, options, argument }) => [
    `complete -c mooring -n __fish_use_subcommand -a ${name} -d ${fishQuoted(description)}`,
    ...options.map(({ flag, description, value }) =>
      `complete -c mooring -n '__fish_seen_subcommand_from ${name}' -l ${flag.slice(2)}` +
      `${takes(value)} -d ${fishQuoted(description)}`
    ),
    ...argument.kind === "file"
      ? [`complete -c mooring -n '__fish_seen_subcommand_from ${name}' -F`]
      : argument.kind === "words"
      ? [
        `complete -c mooring -n '__fish_seen_subcommand_from ${name}' -a ` +
        quoted(argument.words.join(" ")),
      ]
      : [],
  ]);
  return `# Completion of mooring for fish. Load it with: mooring completion fish | source
complete -c mooring -f
${lines.join("\n")}
`;
}

/** Writes a text that fish takes as it is: it knows two escapes between single quotes. */
function fishQuoted(text: string): string {
  return `'${text.replace(/[\\']/g, (sign) => `\\${sign}`)}'`;
}
