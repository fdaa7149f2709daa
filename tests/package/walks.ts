/**
 * The ways into the documentation, walked as they are written: `tools/consumer.ts` runs them with the packed
 * tarball.
 *
 * @module
 */
import type { PackageCheck } from "./start.ts";

/** The pages with which the five ways begin. */
export const WALKS: readonly string[] = [
  "getting-started",
  "moving",
  "gateway",
  "signin",
  "operator",
];

/**
 * Returns the checks.
 *
 * @param walk Walks a page; rejects if a command fails, or prints something else than the page says
 */
export function walkChecks(walk: (page: string) => Promise<unknown>): PackageCheck[] {
  return WALKS.map((page) => ({
    name: `[NEW-9] from an empty folder, as docs/${page}.md says`,
    run: async () => void await walk(page),
  }));
}
