/**
 * What Mooring reached before: a figure that falls far behind is a regression.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import type { Runtime } from "../tools/runtimes.ts";
import { type KindName, kindOf, type Unit } from "./kinds.ts";
import type { Figure } from "./measure.ts";
import { inUnit } from "./words.ts";

/** Mooring's figures by runtime and kind. */
export type Expected = Readonly<
  Partial<Record<Runtime, Readonly<Partial<Record<KindName, number>>>>>
>;

/** What is still taken for noise, as a multiple of what is expected: shares may fall, costs may rise. */
const TOLERANCE: Readonly<Record<Unit, number>> = {
  floor: 0.8,
  own: 0.8,
  http: 0.7,
  bytes: 1.3,
  pause: 3,
};

/** Where they are kept. */
export const EXPECTED_FILE: URL = new URL("./expected.json", import.meta.url);

/** Reads the figures that the project keeps. */
export async function readExpected(): Promise<Expected> {
  return JSON.parse(await readFile(EXPECTED_FILE, "utf8"));
}

/** Mooring's figures out of all that were measured, three digits each. */
export function expectedOf(figures: readonly Figure[]): Expected {
  const expected: Partial<Record<Runtime, Partial<Record<KindName, number>>>> = {};
  for (const { runtime, stack, kind, value } of figures) {
    if (stack === "mooring") (expected[runtime] ??= {})[kind] = Number(value.toPrecision(3));
  }
  return expected;
}

/** What is worse than expected, one message each. */
export function regressions(figures: readonly Figure[], expected: Expected): string[] {
  return figures.flatMap(({ runtime, stack, kind, value }) => {
    const before = expected[runtime]?.[kind];
    if (stack !== "mooring" || before === undefined) return [];
    const { unit, title } = kindOf(kind);
    const limit = before * TOLERANCE[unit];
    const fine = TOLERANCE[unit] < 1 ? value >= limit : value <= limit;
    if (fine) return [];
    const [is, was] = [inUnit(value, unit), inUnit(before, unit)];
    return [`${runtime}: ${title}: ${is} instead of ${was}`];
  });
}
