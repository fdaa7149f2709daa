/**
 * Tells how many processes serve.
 *
 * @module
 */
import { availableParallelism } from "node:os";
import type { Config } from "./schema.ts";

/** Returns how many processes a configuration asks for. */
export function processCount({ processes = 1 }: Pick<Config, "processes">): number {
  return processes === "auto" ? availableParallelism() : processes;
}
