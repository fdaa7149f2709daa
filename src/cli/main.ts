/**
 * The `mooring` command, which puts MCP servers behind one safe endpoint without code.
 *
 * ```sh
 * mooring serve --stdio "npx -y @modelcontextprotocol/server-everything"
 * mooring serve --config mooring.json
 * mooring check mooring.json --connect
 * mooring inspect http://127.0.0.1:8000/mcp
 * ```
 *
 * As a program this module runs the command line. Importing it has no effect.
 *
 * @module
 */
import { realpathSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { flush, processIo } from "./io.ts";
import { run } from "./program.ts";

/**
 * Runs the command.
 *
 * @param args The arguments, without the names of the runtime and the program
 * @returns The exit code: 0, 1 if the command failed, 2 if the command line can't be understood
 *
 * @example
 * ```ts
 * import { main } from "@mooring/mcp/cli";
 *
 * console.assert(await main(["--version"]) === 0);
 * ```
 */
export async function main(args: readonly string[]): Promise<number> {
  const code = await run(args, processIo());
  await flush();
  return code;
}

/** Whether this module is the program. Node before 24.2 doesn't say so itself. */
function isProgram(): boolean {
  // Older runtimes leave it out, though the types don't say so
  const { main } = import.meta as { readonly main?: boolean };
  if (main !== undefined) return main;
  const [, script] = process.argv;
  try {
    return script !== undefined && pathToFileURL(realpathSync(script)).href === import.meta.url;
  } catch {
    return false;
  }
}

// Exits explicitly: idle connections would keep the process alive
if (isProgram()) process.exit(await main(process.argv.slice(2)));
