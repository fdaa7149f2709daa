/**
 * What is wrong with a value, in words.
 *
 * @module
 */
import { clip, quote } from "../internal/quote.ts";
import type { StandardIssue } from "./standard_schema.ts";

export { clip, quote } from "../internal/quote.ts";

/** How many issues are told. */
const MOST = 3;
/** How many characters of a message or a path are told. */
const LONGEST = 200;

/**
 * Says what to fix, like `Fix "a.b[0]": Expected number`. Bounded, whatever the issues are.
 *
 * @param whole What to call the value itself, where an issue has no path
 */
export function describeIssues(issues: readonly StandardIssue[], whole: string): string {
  const told = issues.slice(0, MOST).map(({ message, path }) => {
    return `${readablePath(path) || whole}: ${clip(message, LONGEST)}`;
  });
  const more = issues.length > MOST ? ` (and ${issues.length - MOST} more)` : "";
  return `Fix ${told.join("; ")}${more}`;
}

function readablePath(path: StandardIssue["path"]): string {
  let text = "";
  for (const segment of path ?? []) {
    const key = typeof segment === "object" ? segment.key : segment;
    if (typeof key === "number") text += `[${key}]`;
    else text += text === "" ? String(key) : `.${String(key)}`;
  }
  return text === "" ? "" : quote(text, LONGEST);
}
