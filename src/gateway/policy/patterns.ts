/**
 * Matches names and URIs against patterns, in linear time.
 *
 * @module
 */
import { canonicalUri } from "../../kit.ts";

/** Tells whether a text matches. */
export type NameMatcher = (text: string) => boolean;

/** Compiles a pattern, in which `*` stands for any number of any characters. */
export function matcherOf(pattern: string): NameMatcher {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  const middle = rest.filter((part) => part !== "");
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= end;
  };
}

/**
 * Compiles a pattern for URIs. It matches the texts of {@linkcode CanonicalUri.forms}, whichever way it is
 * written itself.
 */
export function uriMatcherOf(pattern: string): NameMatcher {
  const asWritten = matcherOf(pattern);
  const { lower: canonical = pattern } = canonicalUri(pattern) ?? {};
  if (canonical === pattern) return asWritten;
  const asCanonical = matcherOf(canonical);
  return (text) => asWritten(text) || asCanonical(text);
}
