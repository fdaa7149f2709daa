/**
 * What is wrong with a value, in words.
 *
 * @module
 */
import type { StandardIssue } from "./standard_schema.ts";

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

/** A text in quotes, cut where it is longer than `most` characters. */
export function quote(text: string, most = 100): string {
  return `"${clip(text, most)}"`;
}

/** A text, cut where it is longer than `most` characters. */
export function clip(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most).toWellFormed()}…`;
}
