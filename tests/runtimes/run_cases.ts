/**
 * Runs groups of cases as tests.
 *
 * @module
 */
import { describe, test } from "node:test";
import { type Case, cases, type Serve } from "./cases.ts";

/** Declares a test for each case of the groups. */
export function runCases(title: string, serve: Serve, groups = Object.keys(cases)): void {
  for (const group of groups) {
    const some: readonly Case[] = cases[group] ?? [];
    describe(`${title}: ${group}`, () => {
      for (const { name, timeout = 10_000, run } of some) {
        test(name, { timeout }, () => run(serve));
      }
    });
  }
}
