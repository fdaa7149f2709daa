/**
 * Runs what the command line asks for.
 *
 * @module
 */
import { type Given, readArgs } from "./args.ts";
import type { CommandName } from "./commands.ts";
import { CliError, ExitCode, messageOf } from "./errors.ts";
import { helpText } from "./help.ts";
import type { Io } from "./io.ts";
import { VERSION } from "./version.ts";

/** Runs one subcommand. */
type Run = (given: Given, io: Io) => Promise<ExitCode>;

/** Only what is run is loaded: the server needs far more than its help. */
const RUN: Readonly<Record<CommandName, () => Promise<Run>>> = {
  async serve() {
    const [{ serve }, { backend }] = await Promise.all([
      import("./serve.ts"),
      import("./upstreams.ts"),
    ]);
    return (given, io) => serve(given, io, backend);
  },
  async check() {
    const [{ check }, { backend }] = await Promise.all([
      import("./check.ts"),
      import("./upstreams.ts"),
    ]);
    return (given, io) => check(given, io, backend);
  },
  inspect: async () => (await import("./inspect.ts")).inspect,
};

/** Runs the command. What goes wrong is written to stderr. */
export async function run(args: readonly string[], io: Io): Promise<ExitCode> {
  try {
    const asked = readArgs(args);
    if (asked.kind === "help") io.out.write(helpText(asked.command));
    if (asked.kind === "version") io.out.write(`mooring ${VERSION}\n`);
    if (asked.kind === "run") return await (await RUN[asked.command]())(asked.given, io);
    return ExitCode.Ok;
  } catch (error) {
    io.err.write(`${messageOf(error)}\n`);
    // What nobody thought of is easier to find with its stack.
    if (!(error instanceof CliError) && io.env["MOORING_DEBUG"]) {
      io.err.write(`${error instanceof Error ? error.stack : ""}\n`);
    }
    return error instanceof CliError ? error.exitCode : ExitCode.Failed;
  }
}
