/**
 * Tells what a configuration says and isn't honoured.
 *
 * @module
 */
import { escapeInvisible } from "../../kit.ts";
import type { Io } from "../io.ts";
import type { Log } from "../log.ts";

/** Writes what a configuration says and isn't honoured, to stderr. */
export function writeWarnings(warnings: readonly string[], io: Io): void {
  for (const line of warnings) io.err.write(`${escapeInvisible(`warning: ${line}`)}\n`);
}

/** Logs what a configuration says and isn't honoured. */
export function logWarnings(warnings: readonly string[], log: Log): void {
  for (const message of warnings) log("warn", "not-honoured", { message });
}
