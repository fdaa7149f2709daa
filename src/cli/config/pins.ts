/**
 * Reads and writes the file of pinned definitions.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { isObject, quote } from "../../kit.ts";
import { Policies } from "../../gateway/policy/policies.ts";
import type { GatewayPolicy } from "../../gateway/mod.ts";
import { CliError, ExitCode } from "../errors.ts";

/** Pinned definitions by server. */
export type Pins = NonNullable<GatewayPolicy["pins"]>;

const ABOUT = "Digests of definitions that were reviewed. Write it with: mooring pin";

/**
 * Reads pinned definitions.
 *
 * @throws {CliError} If the file can't be read, or isn't one that `mooring pin` wrote
 */
export function readPins(file: string): Pins {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const message = `Run "mooring pin", or leave "pins" out: the file can't be read: ${
      quote(file)
    }`;
    throw new CliError(message, ExitCode.Failed, { cause });
  }
  try {
    const value: unknown = JSON.parse(text);
    const pins = isObject(value) ? value["servers"] : undefined;
    if (!isObject(pins)) throw new TypeError("There are no servers in it");
    // The library's own check; what it lets pass are pins
    new Policies({ pins: pins as Pins });
    return pins as Pins;
  } catch (cause) {
    const message = `Write the file again with "mooring pin": it has something else: ${
      quote(file)
    }`;
    throw new CliError(message, ExitCode.Failed, { cause });
  }
}

/** Writes pinned definitions, in an order that makes changes easy to see. */
export async function writePins(file: string, pins: Pins): Promise<void> {
  const sorted = sort({ servers: pins });
  await writeFile(file, `${JSON.stringify({ about: ABOUT, ...sorted }, undefined, 2)}\n`);
}

function sort(value: object): object {
  return Object.fromEntries(
    Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([key, each]) => [key, typeof each === "object" && each !== null ? sort(each) : each]),
  );
}
