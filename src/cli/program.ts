/**
 * Defines the command line, which is the commands, their options and their help, and runs it.
 *
 * @module
 */
import { Command, CommanderError, Option } from "commander";
import { escapeInvisible, quote } from "../kit.ts";
import type { BundleOptions } from "./publish/bundle.ts";
import type { CheckOptions } from "./check/check.ts";
import { CliError, ExitCode, messageOf, usageError } from "./errors.ts";
import type { ImportOptions } from "./import/import.ts";
import type { DevOptions } from "./dev/dev.ts";
import type { DoctorOptions } from "./doctor/doctor.ts";
import type { CallOptions } from "./inspect/call.ts";
import type { InspectOptions } from "./inspect/inspect.ts";
import type { LoginOptions } from "./login/login.ts";
import type { NewOptions } from "./new/new.ts";
import type { PinOptions } from "./check/pin.ts";
import type { TopOptions } from "./top/top.ts";
import type { Io } from "./io.ts";
import { completionOf, SHELLS } from "./completion.ts";
import { defaultFile } from "./config/default_file.ts";
import { IMPORT_FROM } from "./import/sources.ts";
import { addHeader, addInput } from "./config/option_values.ts";
import type { ServerJsonCommandOptions } from "./publish/server_json.ts";
import {
  SERVE_OPTIONS,
  type ServeCommandOptions,
  type ServeOption,
} from "./config/serve_options.ts";
import {
  missingArgument,
  plainFlags,
  refuseMisuse,
  RepeatableOption,
  unknownCommand,
} from "./misuse.ts";
import { VERSION } from "./version.ts";

/** The implementation of each command. */
export interface CommandActions {
  serve(options: ServeCommandOptions, io: Io): Promise<ExitCode>;
  stdio(options: ServeCommandOptions, io: Io): Promise<ExitCode>;
  check(file: string, options: CheckOptions, io: Io): Promise<ExitCode>;
  inspect(url: string, options: InspectOptions, io: Io): Promise<ExitCode>;
  call?(server: string, tool: string, options: CallOptions, io: Io): Promise<ExitCode>;
  login?(url: string, options: LoginOptions, io: Io): Promise<ExitCode>;
  logout?(url: string, io: Io): Promise<ExitCode>;
  doctor?(url: string, options: DoctorOptions, io: Io): Promise<ExitCode>;
  bundle(file: string, options: BundleOptions, io: Io): Promise<ExitCode>;
  serverJson(url: string, options: ServerJsonCommandOptions, io: Io): Promise<ExitCode>;
  top?(url: string, options: TopOptions, io: Io): Promise<ExitCode>;
  importServers(options: ImportOptions, io: Io): Promise<ExitCode>;
  pin?(file: string, options: PinOptions, io: Io): Promise<ExitCode>;
  newProject?(folder: string, options: NewOptions, io: Io): Promise<ExitCode>;
  dev?(what: string, args: readonly string[], options: DevOptions, io: Io): Promise<ExitCode>;
}

/** Loads each command when it runs: the server needs far more than its help. */
const COMMANDS: CommandActions = {
  serve: async (options, io) => (await import("./serve/serve.ts")).serve(options, io),
  stdio: async (options, io) => (await import("./serve/stdio.ts")).stdio(options, io),
  check: async (file, options, io) => (await import("./check/check.ts")).check(file, options, io),
  inspect: async (url, options, io) =>
    (await import("./inspect/inspect.ts")).inspect(url, options, io),
  call: async (server, tool, options, io) =>
    (await import("./inspect/call.ts")).callTool(server, tool, options, io),
  login: async (url, options, io) => (await import("./login/login.ts")).login(url, options, io),
  logout: async (url, io) => (await import("./login/login.ts")).logout(url, io),
  doctor: async (url, options, io) => (await import("./doctor/doctor.ts")).doctor(url, options, io),
  bundle: async (file, options, io) =>
    (await import("./publish/bundle.ts")).bundle(file, options, io),
  serverJson: async (url, options, io) =>
    (await import("./publish/server_json.ts")).serverJsonOf(url, options, io),
  top: async (url, options, io) => (await import("./top/top.ts")).top(url, options, io),
  importServers: async (options, io) =>
    (await import("./import/import.ts")).importServers(options, io),
  pin: async (file, options, io) => (await import("./check/pin.ts")).pin(file, options, io),
  newProject: async (folder, options, io) =>
    (await import("./new/new.ts")).newProject(folder, options, io),
  dev: async (what, args, options, io) =>
    (await import("./dev/dev.ts")).dev(what, args, options, io),
};

/** Columns of the help. */
const HELP_WIDTH = 100;
/** Seconds that `mooring inspect` waits for an answer: the default and the maximum of --timeout. */
const TIMEOUT_S = 30;
const MAX_TIMEOUT_S = 86_400;
/** Seconds that `mooring login` waits for its user. */
const LOGIN_TIMEOUT_S = 300;

/**
 * Runs a command line, and writes errors to stderr.
 *
 * @param args The arguments, without the names of the runtime and the program
 */
export async function run(
  args: readonly string[],
  io: Io,
  commands: CommandActions = COMMANDS,
): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.Ok;
  const finish = (code: ExitCode): void => void (exitCode = code);
  const program = defineProgram(io);
  defineServe(program).action(async (options: ServeCommandOptions) => {
    finish(await commands.serve(await withFile(options), io));
  });
  defineStdio(program).action(async (options: ServeCommandOptions) => {
    finish(await commands.stdio(await withFile(options), io));
  });
  defineCheck(program).action(async (given: string | undefined, options: CheckOptions) => {
    const file = await fileOr(given, "check", "FILE");
    finish(await commands.check(file, options, io));
  });
  defineInspect(program).action(async (given: string | undefined, options: InspectOptions) => {
    const url = await fileOr(given, "inspect", "URL");
    finish(await commands.inspect(url, options, io));
  });
  defineCall(program).action(async (server: string, tool: string, options: CallOptions) => {
    finish(await commands.call?.(server, tool, options, io) ?? ExitCode.Failed);
  });
  defineLogin(program).action(async (url: string, options: LoginOptions) => {
    finish(await commands.login?.(url, options, io) ?? ExitCode.Failed);
  });
  defineLogout(program).action(async (url: string) => {
    finish(await commands.logout?.(url, io) ?? ExitCode.Failed);
  });
  defineDoctor(program).action(async (url: string, options: DoctorOptions) => {
    finish(await commands.doctor?.(url, options, io) ?? ExitCode.Failed);
  });
  defineBundle(program).action(async (given: string | undefined, options: BundleOptions) => {
    const file = await fileOr(given, "bundle", "FILE");
    finish(await commands.bundle(file, options, io));
  });
  defineServerJson(program).action(async (url: string, options: ServerJsonCommandOptions) => {
    finish(await commands.serverJson(url, options, io));
  });
  defineTop(program).action(async (url: string, options: TopOptions) => {
    finish(await commands.top?.(url, options, io) ?? ExitCode.Failed);
  });
  defineImport(program).action(async (options: ImportOptions) => {
    finish(await commands.importServers(options, io));
  });
  definePin(program).action(async (given: string | undefined, options: PinOptions) => {
    const file = await fileOr(given, "pin", "FILE");
    finish(await commands.pin?.(file, options, io) ?? ExitCode.Failed);
  });
  defineNew(program).action(async (folder: string, options: NewOptions) => {
    finish(await commands.newProject?.(folder, options, io) ?? ExitCode.Failed);
  });
  defineCompletion(program).action((shell: string) => {
    io.out.write(completionOf(program, shell));
  });
  defineDev(program).action(
    async (what: string, args: readonly string[], options: DevOptions) => {
      finish(await commands.dev?.(what, args, options, io) ?? ExitCode.Failed);
    },
  );
  for (const command of [program, ...program.commands]) refuseMisuse(command, args);
  try {
    await program.parseAsync(args.length === 0 ? ["help"] : args, { from: "user" });
    return exitCode;
  } catch (error) {
    // Only --help and --version end so: refuseMisuse() replaces the parser's other errors
    if (error instanceof CommanderError) return ExitCode.Ok;
    // It may show names from a file, or from a server
    io.err.write(`${escapeInvisible(messageOf(error))}\n`);
    // An unexpected error is easier to find with its stack
    if (!(error instanceof CliError) && io.env["MOORING_DEBUG"]) {
      io.err.write(`${error instanceof Error ? escapeInvisible(error.stack ?? "") : ""}\n`);
    }
    return error instanceof CliError ? error.exitCode : ExitCode.Failed;
  }
}

/** Returns the options, with the configuration file of this folder where nothing says what to serve. */
async function withFile(options: ServeCommandOptions): Promise<ServeCommandOptions> {
  const { config, stdio, http } = options;
  if (config !== undefined || stdio !== undefined || http !== undefined) return options;
  const file = await defaultFile();
  return file === undefined ? options : { ...options, config: file };
}

/** Returns what was given, or the configuration file of this folder. */
async function fileOr(given: string | undefined, name: string, what: string): Promise<string> {
  const file = given ?? await defaultFile();
  if (file === undefined) throw missingArgument(name, what);
  return file;
}

function defineProgram(io: Io): Command {
  const version = `mooring ${VERSION}`;
  const program = new Command("mooring")
    .description("Puts MCP servers behind one safe endpoint")
    .version(version, "-v, --version", "Show the version")
    .helpOption("-h, --help", "Show this help")
    .helpCommand(false)
    // An option of a command is never taken for one of the program
    .enablePositionalOptions()
    // refuseMisuse() suggests by our own rule
    .showSuggestionAfterError(false)
    .configureHelp({ optionTerm: plainFlags })
    .configureOutput({
      writeOut: (text) => io.out.write(text),
      writeErr: () => {},
      getOutHelpWidth: () => HELP_WIDTH,
      getOutHasColors: () => false,
    })
    .addHelpText("after", examples([`mooring serve --config mooring.json`, `mooring help serve`]));
  program.command("help [command]", { hidden: true }).action((name?: string) => {
    const command = name === undefined
      ? program
      : program.commands.find((it) => it.name() === name);
    if (command === undefined) throw unknownCommand(program, name ?? "");
    command.outputHelp();
  });
  program.command("version", { hidden: true }).action(() => io.out.write(`${version}\n`));
  return program;
}

/** Adds the options of a command that serves, in the order of their table. */
function addServeOptions(command: Command): Command {
  const rows: readonly ServeOption<unknown>[] = Object.values(SERVE_OPTIONS);
  for (const { flags, description, command: only, repeatable = false, parse } of rows) {
    if (only !== undefined && only !== command.name()) continue;
    const option = repeatable
      ? new RepeatableOption(flags, description)
      : new Option(flags, description);
    // The parser passes no earlier value but one that this has returned
    if (parse !== undefined) {
      option.argParser(parse as (text: string, earlier?: unknown) => unknown);
    }
    command.addOption(option);
  }
  return command;
}

function inputOption(): Option {
  const { flags, description } = SERVE_OPTIONS.input;
  return new RepeatableOption(flags, description).argParser(addInput);
}

function defineServe(program: Command): Command {
  const command = program.command("serve")
    .description("Serve MCP servers behind one endpoint")
    .usage("[--config FILE | --stdio COMMAND | --http URL] [options]")
    .addHelpText(
      "after",
      examples([
        'mooring serve --stdio "npx -y @modelcontextprotocol/server-everything"',
        "mooring serve --config mooring.json --port 9000",
        "mooring serve --http https://mcp.example/mcp --header 'Authorization: Bearer ${TOKEN}'",
      ]),
    );
  return addServeOptions(command);
}

function defineStdio(program: Command): Command {
  const command = program.command("stdio")
    .description("Serve MCP servers as one, on stdin and stdout, to the client that starts this")
    .usage("[--config FILE | --stdio COMMAND | --http URL] [options]")
    .addHelpText(
      "after",
      examples([
        "mooring stdio --config mooring.json",
        "mooring stdio --config mooring.json --only github",
        "mooring stdio --http https://mcp.example/mcp --header 'Authorization: Bearer ${TOKEN}'",
      ]),
    );
  return addServeOptions(command);
}

function defineCheck(program: Command): Command {
  return program.command("check")
    .description("Report everything that is wrong with a configuration file")
    .argument("[FILE]", "The configuration file (default: mooring.json)")
    .option("--connect", "Connect to each server, too")
    .option("--for <ID>", "Connect, and say what a user may use, and why")
    .addOption(inputOption())
    .addHelpText(
      "after",
      examples(["mooring check mooring.json --connect", "mooring check mooring.json --for ada"]),
    );
}

function definePin(program: Command): Command {
  return program.command("pin")
    .description("Pin the definitions of servers: one that changes later is withheld")
    .argument("[FILE]", "The configuration file (default: mooring.json)")
    .option("--server <NAME>", "Pin one of the file's servers (default: all)")
    .addOption(inputOption())
    .addHelpText("after", examples(["mooring pin mooring.json --server files"]));
}

function defineInspect(program: Command): Command {
  return program.command("inspect")
    .description("Show what a server offers, or call one of its tools")
    .argument("[URL]", "The URL of the endpoint, or a configuration file (default: mooring.json)")
    .option("--server <NAME>", "Choose one of the file's servers")
    .addOption(inputOption())
    .option("--call <TOOL>", "Call a tool instead of listing everything")
    .option("--args <JSON>", "Pass arguments to the tool (default: {})")
    .addOption(headerOption())
    .option("--token-env <NAME>", "Send the bearer token that is in a variable")
    .addOption(timeoutOption())
    .option("--json", "Write JSON")
    .addHelpText(
      "after",
      examples([
        "mooring inspect http://127.0.0.1:8000/mcp",
        `mooring inspect http://127.0.0.1:8000/mcp --call add --args '{"a":2,"b":3}'`,
      ]),
    );
}

function defineCall(program: Command): Command {
  return program.command("call")
    .description("Call a tool of a server, and show its result")
    .argument("<SERVER>", "The name of a server in the configuration file, or a URL")
    .argument("<TOOL>", "The tool's name")
    .option("--args <JSON>", "Pass arguments to the tool (default: {})")
    .option("--config <FILE>", "Take the server from a configuration file (default: mooring.json)")
    .addOption(inputOption())
    .addOption(headerOption())
    .option("--token-env <NAME>", "Send the bearer token that is in a variable")
    .addOption(timeoutOption())
    .option("--json", "Write JSON")
    .addHelpText(
      "after",
      examples([
        `mooring call files read_file --args '{"path":"notes.txt"}'`,
        `mooring call https://mcp.example/mcp add --args '{"a":2,"b":3}' --token-env TOKEN`,
      ]),
    );
}

function defineLogin(program: Command): Command {
  return program.command("login")
    .description("Sign in at a server, for call, inspect and doctor")
    .argument("<URL>", "The URL of the server's endpoint")
    .option("--client-id <ID>", "Be a client that the authorization server knows")
    .option("--client-secret-env <NAME>", "Use the client's secret that is in a variable")
    .option("--scope <SCOPE>", "Ask for scopes (default: what the server asks for)")
    .option("--no-browser", "Show the link, and open no browser")
    .addOption(
      new Option("--timeout <SECONDS>", "Wait this long for the browser to come back")
        .argParser(integerParser("--timeout", 1, MAX_TIMEOUT_S)).default(LOGIN_TIMEOUT_S),
    )
    .addHelpText("after", examples(["mooring login https://mcp.example/mcp"]));
}

function defineLogout(program: Command): Command {
  return program.command("logout")
    .description("Forget the login at a server")
    .argument("<URL>", "The URL of the server's endpoint")
    .addHelpText("after", examples(["mooring logout https://mcp.example/mcp"]));
}

function defineCompletion(program: Command): Command {
  return program.command("completion")
    .description("Write what makes a shell complete command lines of mooring")
    .argument("<SHELL>", SHELLS.join(", "))
    .addHelpText(
      "after",
      examples([
        "source <(mooring completion bash)      # in ~/.bashrc",
        "source <(mooring completion zsh)       # in ~/.zshrc, after compinit",
        "mooring completion fish | source       # in ~/.config/fish/config.fish",
      ]),
    );
}

function defineDoctor(program: Command): Command {
  return program.command("doctor")
    .description("Say why clients can't connect to a server, and whose fault it is")
    .argument("<URL>", "The URL of the server's endpoint, as clients have it")
    .addOption(headerOption())
    .option("--token-env <NAME>", "Send the bearer token that is in a variable")
    .option("--direct <URL>", "Compare with the server's own address, without proxies")
    .option("--origin <ORIGIN>", "Try a page of an origin", "https://claude.ai")
    .option("--call <TOOL>", "Call a tool that takes a second, to see whether proxies buffer")
    .option("--args <JSON>", "Pass arguments to the tool (default: {})")
    .addOption(timeoutOption())
    .option("--json", "Write JSON")
    .addHelpText(
      "after",
      examples([
        "mooring doctor https://mcp.example/mcp",
        "mooring doctor https://mcp.example/mcp --token-env TOKEN --call report",
      ]),
    );
}

function defineBundle(program: Command): Command {
  return program.command("bundle")
    .description("Pack a server as an .mcpb, which desktop clients install")
    .argument("[FILE]", "The configuration file that has the server (default: mooring.json)")
    .option("--server <NAME>", "Choose one of the file's servers")
    .option("--dir <DIR>", "Pack a folder (default: the server's cwd, or the file's folder)")
    .option("--output <FILE>", "Write a file (default: NAME-VERSION.mcpb)")
    .option("--release <VERSION>", "Name the version (default: that of package.json)")
    .option("--description <TEXT>", "Say what the server does (default: that of package.json)")
    .option("--author <NAME>", "Name the author (default: that of package.json)")
    .option("--print", "Write the manifest to stdout, and pack nothing")
    .addHelpText("after", examples(["mooring bundle mooring.json --server notes"]));
}

function defineServerJson(program: Command): Command {
  return program.command("server-json")
    .description("Write server.json of a running server, for the MCP registry")
    .argument("<URL>", "The URL of the server's endpoint")
    .requiredOption("--name <NAME>", "Name it in reverse-DNS form, such as com.example/library")
    .option("--description <TEXT>", "Say what it does, in 100 characters or fewer")
    .option("--release <VERSION>", "Name the version (default: what the server says)")
    .option("--public-url <URL>", "Name the endpoint's URL that clients use")
    .option("--npm <PACKAGE>", "Name the npm package that has the server")
    .addOption(headerOption())
    .option("--token-env <NAME>", "Send the bearer token that is in a variable")
    .addOption(timeoutOption())
    .addHelpText(
      "after",
      examples(["mooring server-json https://mcp.example/mcp --name com.example/library"]),
    );
}

function defineTop(program: Command): Command {
  return program.command("top")
    .description("Show what runs at a server with a dashboard, and act on it")
    .argument("<URL>", "A link to the dashboard, which works once, or its URL")
    .option("--token-env <NAME>", "Sign in with the dashboard's token, which is in a variable")
    .option("--once", "Write everything once, as plain text, and end")
    .option("--json", "Write JSON, one line for each update")
    .addHelpText(
      "after",
      examples([
        "mooring top 'http://127.0.0.1:8001/#…'",
        "mooring top http://127.0.0.1:8001/ --token-env OPERATOR_TOKEN --once --json",
      ]),
    );
}

function defineImport(program: Command): Command {
  return program.command("import")
    .description("Copy the servers of the MCP clients on this machine into a file")
    .option("--from <PROGRAM>", `Read ${IMPORT_FROM.join(", ")} or a file (default: all)`)
    .option("--output <FILE>", "Write a file, or add to it (default: mooring.json)")
    .option("--print", "Write the configuration to stdout, and no file")
    .option("--force", "Replace servers of the file that have the same name")
    .addHelpText("after", examples(["mooring import --from cursor --print"]));
}

function defineNew(program: Command): Command {
  return program.command("new")
    .description("Write a small project that serves tools")
    .argument("<DIR>", "The folder, which is empty or isn't there")
    .option("--runtime <RUNTIME>", "Run it with deno, bun or node")
    .option("--transport <TRANSPORT>", "Serve it over http, or stdio")
    .option("--auth <AUTH>", "Let in everybody (none), a token (bearer), or users who sign-in")
    .option("--yes", "Ask nothing: take the defaults for what isn't given")
    .option("--package <SPEC>", "Install this as @mooring/mcp: a version, or a tarball")
    .addHelpText(
      "after",
      examples([
        "mooring new my-server",
        "mooring new my-server --runtime node --transport http --auth bearer",
      ]),
    );
}

function defineDev(program: Command): Command {
  return program.command("dev")
    .description("Run a server, start it again when files change, and show every message")
    .argument("<FILE>", "The server's program, a configuration file, or the URL of a server")
    .argument("[ARGS...]", "Arguments of the program, after --")
    .option("--runtime <RUNTIME>", "Run it with deno, bun or node (default: the project's)")
    .addOption(portOption("--port", "Serve clients at this port", 8_000))
    .addOption(portOption("--page-port", "Serve the page at this port", 8_001))
    .option("--inspector", "Open the official inspector, connected to the server")
    .addHelpText(
      "after",
      examples(["mooring dev server.ts", "mooring dev mooring.json --port 9000"]),
    );
}

function portOption(flag: string, description: string, otherwise: number): Option {
  return new Option(`${flag} <PORT>`, `${description} (default: ${otherwise})`)
    .argParser(integerParser(flag, 0, 65_535));
}

function timeoutOption(): Option {
  return new Option("--timeout <SECONDS>", "Wait this long for each answer")
    .argParser(integerParser("--timeout", 1, MAX_TIMEOUT_S)).default(TIMEOUT_S);
}

function headerOption(): Option {
  const { flags, description } = SERVE_OPTIONS.header;
  return new RepeatableOption(flags, description).argParser(addHeader);
}

function integerParser(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= min && value <= max) return value;
    throw usageError(`Give a whole number from ${min} to ${max} to ${flag}: ${quote(text)}`);
  };
}

function examples(lines: readonly string[]): string {
  return ["", "Examples:", ...lines.map((line) => `  ${line}`)].join("\n");
}
