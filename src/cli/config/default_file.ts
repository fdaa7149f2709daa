/**
 * Finds the configuration file of a command that is given none.
 *
 * @module
 */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** The name of the file. */
const NAME = "mooring.json";

/**
 * Returns `mooring.json`, if the folder has it.
 *
 * @param folder The folder, by default the one in which the command runs
 */
export async function defaultFile(folder: string = process.cwd()): Promise<string | undefined> {
  const found = await stat(join(folder, NAME)).then((it) => it.isFile(), () => false);
  return found ? NAME : undefined;
}
