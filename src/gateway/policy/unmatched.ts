/**
 * Finds the rules that match nothing: a misspelled `deny` protects nobody.
 *
 * @module
 */
import { matcherOf, uriMatcherOf } from "./patterns.ts";
import { canonicalUri } from "../../kit.ts";
import type { RuleLayer, RuleSource } from "./entry_rules.ts";

/** A rule of which one name or pattern matches nothing that an upstream lists. */
export interface UnmatchedRule {
  readonly source: RuleSource;
  /** The name of the rule, such as `"deny"`. */
  readonly rule: string;
  readonly pattern: string;
}

/** The rules that are lists of patterns, and those that are objects by pattern. */
const LISTS = ["allow", "deny", "approve"] as const;
const RECORDS = ["override", "rateLimit", "rename", "fix", "hide"] as const;

/** Returns the names and patterns of rules that match none of the names. */
export function unmatchedRules(
  layers: readonly RuleLayer[],
  names: readonly string[],
  areUris: boolean,
): readonly UnmatchedRule[] {
  const matcher = areUris ? uriMatcherOf : matcherOf;
  const texts = names.flatMap((name) => areUris ? canonicalUri(name)?.forms ?? [name] : [name]);
  return layers.flatMap(({ source, rules }) => {
    if (rules === false) return [];
    const given = [
      ...LISTS.flatMap((rule) => (rules[rule] ?? []).map((pattern) => ({ rule, pattern }))),
      ...RECORDS.flatMap((rule) =>
        Object.keys(rules[rule] ?? {}).map((pattern) => ({ rule, pattern }))
      ),
    ];
    return given.flatMap(({ rule, pattern }) => {
      // New names are for exactly one name each.
      const matches = rule === "rename" ? (text: string) => text === pattern : matcher(pattern);
      return texts.some(matches) ? [] : [{ source, rule, pattern }];
    });
  });
}
