/**
 * What the command line of the network benchmark asks for.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { namesIn } from "./options.ts";
import { isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";

/** Every kind of work that goes over the network. */
export const NETWORK_KINDS = [
  "redis-1",
  "redis-2",
  "redis-3",
  "redis-events",
  "gateway-http",
  "gateway-stdio",
] as const;

/** The name of a kind of work that goes over the network. */
export type NetworkKind = (typeof NETWORK_KINDS)[number];

/** What to measure, and where to write it. */
export interface NetworkOptions {
  readonly runtimes: readonly Runtime[];
  readonly kinds: readonly NetworkKind[];
  /** Where to write the figures. */
  readonly json: string | undefined;
}

/** How the command is used. */
export const NETWORK_USAGE = `Usage: deno task bench:network [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: Deno when left out
  --kind NAME,…     ${NETWORK_KINDS.join(", ")}
  --json FILE       writes the figures there, too

Redis is looked for at REDIS_URL, or at 127.0.0.1:6379.`;

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it can't be understood
 */
export function readNetworkOptions(args: readonly string[]): NetworkOptions {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    args: [...args],
    options: { runtime: text, kind: text, json: text },
  });
  return {
    runtimes: namesIn(values.runtime, isRuntime, "runtime") ?? ["deno"],
    kinds: namesIn(values.kind, isNetworkKind, "kind") ?? NETWORK_KINDS,
    json: values.json,
  };
}

function isNetworkKind(text: string): text is NetworkKind {
  return (NETWORK_KINDS as readonly string[]).includes(text);
}
