/**
 * What may be asked of the command: its subcommands and their flags, and the words for them.
 *
 * @module
 */

/** One flag. */
export interface Flag {
  readonly name: string;
  /** What its value stands for; a flag without is on or off. */
  readonly value?: string;
  /** Whether it may be given more than once. */
  readonly many?: true;
  readonly help: string;
}

/** The names of the subcommands. */
export type CommandName = "serve" | "check" | "inspect";

/** One subcommand. */
export interface Command {
  readonly name: CommandName;
  /** What comes after its name, as usage lines show it. */
  readonly usage: readonly string[];
  readonly summary: string;
  /** What stands there without a flag, if anything must. */
  readonly operand?: string;
  readonly flags: readonly Flag[];
  readonly examples: readonly string[];
}

const HELP: Flag = { name: "help", help: "Show this" };
const HEADER = 'Send a header "NAME: VALUE"; ${NAME} stands for a variable';

const serve: Command = {
  name: "serve",
  usage: ["--config FILE", '--stdio "PROGRAM ARGUMENTS"', "--http URL"],
  summary: "Put servers behind one endpoint",
  flags: [
    { name: "config", value: "FILE", help: "Serve what a file says; changes of it are picked up" },
    { name: "stdio", value: "COMMAND", help: "Serve a program that speaks MCP on its stdin" },
    { name: "env", value: "NAME", many: true, help: "Give the program a variable; NAME=VALUE too" },
    { name: "cwd", value: "DIR", help: "Start the program in a folder" },
    { name: "http", value: "URL", help: "Serve a server that is reached at a URL" },
    { name: "header", value: "HEADER", many: true, help: HEADER },
    { name: "host", value: "ADDRESS", help: "Bind to an address (127.0.0.1)" },
    { name: "port", value: "PORT", help: "Listen on a port; 0 takes a free one (8000)" },
    { name: "path", value: "PATH", help: "Serve the endpoint under a path (/mcp)" },
    { name: "public-url", value: "URL", help: "Say where clients reach it, without the path" },
    { name: "token-env", value: "NAME", help: "Ask for the bearer token in a variable" },
    { name: "no-auth", help: "Let everybody in although others reach the address" },
    { name: "allow-origin", value: "ORIGIN", many: true, help: "Let pages of an origin call" },
    { name: "allow-host", value: "HOST", many: true, help: "Answer under a host name" },
    { name: "redis", value: "URL", help: "Share sessions with other nodes through Redis" },
    { name: "secret-env", value: "NAME", help: "Sign with the secret in a variable, for --redis" },
    { name: "log", value: "FORMAT", help: "Write the log as json or text (text on a terminal)" },
    {
      name: "log-level",
      value: "LEVEL",
      help: "Write debug, info, warn or error and above (info)",
    },
    HELP,
  ],
  examples: [
    'mooring serve --stdio "npx -y @modelcontextprotocol/server-everything"',
    "mooring serve --config mooring.json --port 9000",
    "mooring serve --http https://mcp.example/mcp --header 'Authorization: Bearer ${TOKEN}'",
  ],
};

const check: Command = {
  name: "check",
  usage: ["FILE"],
  summary: "Say what is wrong with a configuration",
  operand: "FILE",
  flags: [
    { name: "connect", help: "Connect to each server, too" },
    HELP,
  ],
  examples: ["mooring check mooring.json --connect"],
};

const inspect: Command = {
  name: "inspect",
  usage: ["URL"],
  summary: "Show what a server has, or call one of its tools",
  operand: "URL",
  flags: [
    { name: "call", value: "TOOL", help: "Call a tool instead of listing" },
    { name: "args", value: "JSON", help: "Call it with arguments ({})" },
    { name: "header", value: "HEADER", many: true, help: HEADER },
    { name: "token-env", value: "NAME", help: "Send the bearer token in a variable" },
    { name: "timeout", value: "SECONDS", help: "Wait that long for an answer (30)" },
    { name: "json", help: "Write JSON" },
    HELP,
  ],
  examples: [
    "mooring inspect http://127.0.0.1:8000/mcp",
    `mooring inspect http://127.0.0.1:8000/mcp --call add --args '{"a":2,"b":3}'`,
  ],
};

/** All subcommands. */
export const COMMANDS: Readonly<Record<CommandName, Command>> = { serve, check, inspect };

/** Whether a text names a subcommand. */
export function isCommand(name: string): name is CommandName {
  return Object.hasOwn(COMMANDS, name);
}

/** Flags that people try, and what they are called here. */
export const OTHER_NAMES: Readonly<Record<string, string>> = {
  address: "host",
  auth: "token-env",
  bind: "host",
  command: "stdio",
  cors: "allow-origin",
  hostname: "host",
  origin: "allow-origin",
  token: "token-env",
  url: "http",
  verbose: "log-level",
};
