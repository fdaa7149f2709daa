/**
 * Counts tests by how they ended.
 *
 * @module
 */

/** How many tests ended in which way. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** No tests. */
export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

/** Adds two tallies. */
export function sum(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/** Formats a tally as the line that a run ends with. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed` + (skipped === 0 ? "" : `, ${skipped} skipped`);
}

/** Reads the last line of {@linkcode tallyLine} out of a program's output. */
export function parseTallyLine(output: string): Tally {
  const found = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  const [, passed = 0, failed = 0, skipped = 0] = found ?? [];
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/**
 * Adds a failure to a tally without one when the program failed or ran no test.
 *
 * @param tally What the program counted
 * @param code Its exit code
 */
export function judged(tally: Tally, code: number): Tally {
  const bad = code !== 0 || tally.passed === 0;
  return bad && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/**
 * Counts the tests in a JUnit report of Deno, Bun or Node. Deno reports a group `a` as a test of its own
 * beside its members `a > b`: only members count. Node reports a file without tests as a test that passed:
 * it doesn't count.
 */
export function junitTally(xml: string): Tally {
  const cases = [
    ...xml.matchAll(/<testcase((?:\s+[\w:-]+="[^"]*")*)\s*(?:\/>|>(.*?)<\/testcase>)/gs),
  ]
    .map(([, attributes = "", body = ""]) => ({
      name: attributes.match(/\sname="([^"]*)"/)?.[1] ?? "",
      end: /<(failure|error)\b/.test(body)
        ? "failed" as const
        : /<skipped\b/.test(body)
        ? "skipped" as const
        : "passed" as const,
    }));
  const groups = new Set(cases.flatMap(({ name }) => {
    const parts = name.split(" &gt; ");
    return parts.slice(1).map((_, at) => parts.slice(0, at + 1).join(" &gt; "));
  }));
  const counted = { ...NOTHING };
  for (const { name, end } of cases) {
    if (groups.has(name) || (end === "passed" && name.endsWith(".test.ts"))) continue;
    counted[end]++;
  }
  return counted;
}
