/**
 * Counts of tests.
 *
 * @module
 */

/** How many tests came to which end. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The tally of nothing. */
export const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0 };

/** Both tallies together. */
export function sum(a: Tally, b: Tally): Tally {
  return {
    passed: a.passed + b.passed,
    failed: a.failed + b.failed,
    skipped: a.skipped + b.skipped,
  };
}

/** The tally as the line that a run ends with. */
export function tallyLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed` + (skipped === 0 ? "" : `, ${skipped} skipped`);
}

/** Reads the last such line out of a program's output. */
export function parseTallyLine(output: string): Tally {
  const found = [...output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm)].at(-1);
  const [, passed = 0, failed = 0, skipped = 0] = found ?? [];
  return { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
}

/**
 * Never less than one failure for a program that failed, or that passed without a single test: a run
 * that tested nothing proves nothing.
 */
export function judged(tally: Tally, code: number): Tally {
  const bad = code !== 0 || tally.passed === 0;
  return bad && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
}

/**
 * Counts the tests in a JUnit report of Deno, Bun or Node. Deno reports a group as a test of its own,
 * `a`, beside its members, `a > b`: only members count. Node reports a file without tests as one that
 * passed: it doesn't count.
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
