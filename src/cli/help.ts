/**
 * The texts of `--help`.
 *
 * @module
 */
import { type Command, type CommandName, COMMANDS } from "./commands.ts";

/** How the whole command, or one subcommand, is used. */
export function helpText(name: CommandName | undefined): string {
  return name === undefined ? overview() : commandHelp(COMMANDS[name]);
}

function overview(): string {
  const commands = Object.values(COMMANDS);
  return [
    "Mooring puts MCP servers behind one safe endpoint.",
    "",
    "Usage:",
    ...commands.flatMap(({ name, usage }) => usage.map((line) => `  mooring ${name} ${line}`)),
    "",
    "Commands:",
    ...columns(commands.map(({ name, summary }) => [name, summary])),
    "",
    "Flags:",
    ...columns([
      ["--help", "Show this; after a command, what that command takes"],
      ["--version", "Show the version"],
    ]),
    "",
  ].join("\n");
}

function commandHelp({ name, usage, summary, flags, examples }: Command): string {
  return [
    `${summary}.`,
    "",
    "Usage:",
    ...usage.map((line) => `  mooring ${name} ${line}`),
    "",
    "Flags:",
    ...columns(flags.map(({ name, value, help, many }) => [
      value === undefined ? `--${name}` : `--${name} ${value}`,
      many === undefined ? help : `${help} (repeatable)`,
    ])),
    "",
    "Examples:",
    ...examples.map((line) => `  ${line}`),
    "",
  ].join("\n");
}

function columns(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
