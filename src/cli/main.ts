/**
 * The `mooring` command: MCP servers behind one safe endpoint, without writing code.
 *
 * ```sh
 * mooring serve --stdio "npx -y @modelcontextprotocol/server-everything"
 * mooring serve --config mooring.json
 * mooring check mooring.json --connect
 * mooring inspect http://127.0.0.1:8000/mcp
 * ```
 *
 * Run as a program it does what the command line says. Imported it does nothing by itself.
 *
 * @module
 */
import { realpathSync } from "node:fs";
import process from "node:process";
import { pathToFileURL } from "node:url";
import { flush, processIo } from "./io.ts";
import { run } from "./run.ts";

/**
 * Runs the command.
 *
 * @param args The command line, without the names of the runtime and the program
 * @returns What the process should exit with: 0, 1 when what was asked failed, 2 when it could not be
 * understood
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

/** Whether this module is the program. Node knows that by itself from 24.2 on. */
function isProgram(): boolean {
  // Older runtimes leave it out, whatever the types say
  const { main } = import.meta as { readonly main?: boolean };
  if (main !== undefined) return main;
  const [, script] = process.argv;
  try {
    return script !== undefined && pathToFileURL(realpathSync(script)).href === import.meta.url;
  } catch {
    return false;
  }
}

// Connections that are kept for a next request must not keep the process.
if (isProgram()) process.exit(await main(process.argv.slice(2)));
