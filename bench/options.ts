/**
 * What the command line asks for.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { isRuntime, type Runtime, RUNTIMES } from "../tools/runtimes.ts";
import { isKind, KIND_NAMES, type KindName, kindOf } from "./kinds.ts";
import { isStack, STACK_NAMES, type StackName } from "./stacks/mod.ts";

/** What to measure, and what to do with the figures. */
export interface BenchOptions {
  readonly runtimes: readonly Runtime[];
  readonly stacks: readonly StackName[];
  readonly kinds: readonly KindName[];
  /** Whether to be done within a minute. */
  readonly quick: boolean;
  /** Whether to fail where the figures are far worse than the expected ones. */
  readonly check: boolean;
  /** Where to write the figures. */
  readonly json: string | undefined;
}

/** How the command is used. */
export const USAGE = `Usage: deno task bench [options], deno task bench:quick [options]

  --runtime NAME,…  ${RUNTIMES.join(", ")}: these instead of all
  --stack NAME,…    ${STACK_NAMES.join(", ")}
  --kind NAME,…     ${KIND_NAMES.join(", ")}
  --json FILE       writes the figures there, too
  --quick           Mooring alone on Deno, the most important kinds, in less than a minute
  --check           fails where Mooring is far behind bench/expected.json

deno run -A bench/write_docs.ts FILE makes the tables of docs/performance.md and
bench/expected.json from what --json has written.`;

/**
 * Reads the command line.
 *
 * @throws {TypeError} If it can't be understood
 */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      runtime: { type: "string" },
      stack: { type: "string" },
      kind: { type: "string" },
      json: { type: "string" },
      quick: { type: "boolean", default: false },
      check: { type: "boolean", default: false },
    },
  });
  const { quick, check, json } = values;
  const stacks = quick ? ["mooring"] as const : STACK_NAMES.filter(isMeasured);
  const kinds = quick ? KIND_NAMES.filter((name) => kindOf(name).quick) : KIND_NAMES;
  return {
    runtimes: namesIn(values.runtime, isRuntime, "runtime") ?? (quick ? ["deno"] : RUNTIMES),
    stacks: namesIn(values.stack, isStack, "stack") ?? stacks,
    kinds: namesIn(values.kind, isKind, "kind") ?? kinds,
    quick,
    check,
    json,
  };
}

/** The floor is only measured when it is asked for: compared with itself it says how exact the rest is. */
function isMeasured(name: StackName): boolean {
  return name !== "floor";
}

/** The names that a text lists; `undefined` without a text. */
export function namesIn<Name extends string>(
  text: string | undefined,
  isName: (text: string) => text is Name,
  what: string,
): readonly Name[] | undefined {
  return text?.split(",").map((name) => {
    if (isName(name)) return name;
    throw new TypeError(`Give the name of a ${what} that there is: ${name}`);
  });
}
