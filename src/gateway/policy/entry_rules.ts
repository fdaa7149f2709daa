/**
 * Applies the rules for one list of an upstream, as they are for one principal.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { canonicalUri } from "../../kit.ts";
import { definitionDigest, overridden, withoutArguments } from "./definition.ts";
import { matcherOf, type NameMatcher, uriMatcherOf } from "./patterns.ts";
import type {
  DefinitionOverride,
  EntryRules as GivenRules,
  PinnedNames,
  ToolRules,
  UseLimiter,
} from "./types.ts";
import { type UnmatchedRule, unmatchedRules } from "./unmatched.ts";

/** Where a rule stands in a policy. */
export interface RuleSource {
  /** The index in `principals`; `undefined` for rules for everybody. */
  readonly principals: number | undefined;
  /** The name of the upstream, or `"*"`. */
  readonly upstream: string;
}

/** The rules of one source for one list; `false` where all of it is denied. */
export interface RuleLayer {
  readonly source: RuleSource;
  readonly rules: GivenRules & Partial<ToolRules> | false;
}

/** Why something may be used or not. */
export interface Reason {
  readonly source: RuleSource;
  /** The rule; `undefined` if all of the upstream is denied. */
  readonly rule: string | undefined;
  /** The pattern that matched; `undefined` if none did. */
  readonly pattern: string | undefined;
}

/** Whether something may be used, and why. */
export interface Verdict {
  readonly allowed: boolean;
  /** The rules that decided it; empty if there is none. */
  readonly reasons: readonly Reason[];
}

/** What happens when a tool is called, or something else is used. */
export interface UseRules {
  /** The arguments that every call gets. */
  readonly fixed: JsonObject;
  /** The names of the arguments that clients may not send. */
  readonly withheld: ReadonlySet<string>;
  /** Whether the user is asked before. */
  readonly needsApproval: boolean;
  readonly limiters: readonly UseLimiter[];
}

interface Pattern<T = undefined> {
  readonly pattern: string;
  readonly matches: NameMatcher;
  readonly value: T;
}

/** A layer with its patterns compiled. */
interface Layer {
  readonly source: RuleSource;
  /** Whether all of the upstream is denied. */
  readonly isDenied: boolean;
  readonly isClosed: boolean;
  readonly allow: readonly Pattern[] | undefined;
  readonly deny: readonly Pattern[];
  readonly approve: readonly Pattern[];
  readonly override: readonly Pattern<DefinitionOverride>[];
  readonly fix: readonly Pattern<JsonObject>[];
  readonly hide: readonly Pattern<readonly string[]>[];
  readonly rateLimit: readonly Pattern<UseLimiter>[];
}

/** The texts that patterns are compared with. */
interface RuleTexts {
  /** Those of which one must be matched by a rule that applies to it. */
  readonly any: readonly string[];
  /** Those of which each must be allowed. */
  readonly each: readonly string[];
}

/** The rules that don't decide whether something may be used. */
const EFFECTS = ["approve", "rateLimit", "fix", "hide", "override"] as const;

const OPEN: Verdict = { allowed: true, reasons: [] };

/** Applies the rules for one list of an upstream, as they are for one principal. */
export class CompiledRules {
  /** Whether nothing of the list may be used, whatever the upstream has. */
  readonly isClosed: boolean;
  /** Whether something of the list may be withheld or have another name. */
  readonly restricts: boolean;
  /** Whether entries are shown in another way. */
  readonly changes: boolean;
  readonly #layers: readonly Layer[];
  readonly #pins: PinnedNames | undefined;
  readonly #areUris: boolean;
  readonly #given: readonly RuleLayer[];
  /** Maps names of the upstream to those that clients see, and back. */
  readonly #shownNames = new Map<string, string>();
  readonly #ownNames = new Map<string, string>();

  /**
   * @param areUris Whether the list is one of resources, whose URIs may be written in several ways
   * @param strict Whether nothing may be used while rules that withhold match nothing
   */
  constructor(
    layers: readonly RuleLayer[],
    pins: PinnedNames | undefined,
    { areUris = false, strict = false } = {},
  ) {
    this.#layers = layers.map((layer) => compiled(layer, areUris ? uriMatcherOf : matcherOf));
    this.#pins = pins;
    this.#areUris = areUris;
    this.#given = layers;
    // Rules for some principals come after those for everybody, and replace their names.
    for (const { rules } of layers) {
      for (const [own, shown] of Object.entries(rules === false ? {} : rules.rename ?? {})) {
        this.#shownNames.set(own, shown);
      }
    }
    for (const [own, shown] of this.#shownNames) this.#ownNames.set(shown, own);
    this.isClosed = this.#layers.some(({ isClosed }) => isClosed);
    this.restricts = this.isClosed || pins !== undefined || this.#shownNames.size > 0 ||
      this.#layers.some(({ allow, deny, approve }) =>
        allow !== undefined || deny.length > 0 || (strict && approve.length > 0)
      );
    this.changes = this.#layers.some(({ override, fix, hide }) =>
      override.length + fix.length + hide.length > 0
    );
  }

  /**
   * Tells whether a name or URI of the upstream may be used, however it is written. A URI that servers may
   * read in different ways may not.
   */
  allows(own: string): boolean {
    if (!this.restricts) return true;
    const texts = this.#textsOf(own);
    return texts !== undefined && this.#layers.every((layer) => isAllowed(layer, texts));
  }

  #textsOf(own: string): RuleTexts | undefined {
    if (!this.#areUris) return { any: [own], each: [own] };
    const canonical = canonicalUri(own);
    return canonical && { any: canonical.forms, each: [canonical.lower, canonical.uri] };
  }

  /** Returns the upstream's name for the one that a client uses; `undefined` if it stands for nothing. */
  ownName(shown: string): string | undefined {
    return this.#ownNames.get(shown) ?? (this.#shownNames.has(shown) ? undefined : shown);
  }

  /**
   * Returns an entry as clients get it; `undefined` if it is withheld.
   *
   * @param id The member that identifies it
   * @param changed Called if it is withheld because it isn't as it was pinned
   */
  present(
    entry: JsonObject,
    id: string,
    changed: (name: string, digest: string, isNew: boolean) => void,
  ): JsonObject | undefined {
    const own = entry[id];
    if (typeof own !== "string") return entry;
    const shown = this.#shownNames.get(own) ?? own;
    // Another entry may have taken the name.
    if (this.ownName(shown) !== own || !this.allows(own)) return undefined;
    if (this.#pins !== undefined) {
      const pinned = Object.hasOwn(this.#pins, own) ? this.#pins[own] : undefined;
      const digest = definitionDigest(entry);
      if (pinned !== digest) return void changed(own, digest, pinned === undefined);
    }
    const changedEntry = this.changes ? this.#changed(entry, own) : entry;
    return shown === own ? changedEntry : { ...changedEntry, [id]: shown };
  }

  /** Returns what happens when something is used; `undefined` if nothing but the use itself. */
  useOf(own: string): UseRules | undefined {
    const layers = this.#layers;
    const { any } = this.#textsOf(own) ?? { any: [own] };
    const fixed = layers.flatMap(({ fix }) => matching(fix, any)).map(({ value }) => value);
    const hidden = layers.flatMap(({ hide }) => matching(hide, any)).flatMap(({ value }) => value);
    const limiters = layers.flatMap(({ rateLimit }) => matching(rateLimit, any))
      .map(({ value }) => value);
    const needsApproval = layers.some(({ approve }) => matching(approve, any).length > 0);
    if (fixed.length + hidden.length + limiters.length === 0 && !needsApproval) return undefined;
    const all: JsonObject = Object.fromEntries(fixed.flatMap((each) => Object.entries(each)));
    const withheld = new Set([...Object.keys(all), ...hidden]);
    return { fixed: all, withheld, needsApproval, limiters };
  }

  /** Says whether a name of the upstream may be used, and why. */
  verdict(own: string): Verdict {
    const reasons: Reason[] = [];
    const { any } = this.#textsOf(own) ?? { any: [own] };
    for (const layer of this.#layers) {
      const { source, allow, deny } = layer;
      if (layer.isDenied) return denied(source, undefined, undefined);
      const [refused] = matching(deny, any);
      if (refused !== undefined) return denied(source, "deny", refused.pattern);
      if (allow === undefined) continue;
      const [allowed] = matching(allow, any);
      if (allowed === undefined) return denied(source, "allow", undefined);
      reasons.push({ source, rule: "allow", pattern: allowed.pattern });
    }
    return reasons.length === 0 ? OPEN : { allowed: true, reasons };
  }

  /** Returns the rules that say how something is shown and used, besides those that allow it. */
  effects(own: string): readonly Reason[] {
    const { any } = this.#textsOf(own) ?? { any: [own] };
    return this.#layers.flatMap((layer) =>
      EFFECTS.flatMap((rule) =>
        matching<unknown>(layer[rule], any).map(({ pattern }) => ({
          source: layer.source,
          rule,
          pattern,
        }))
      )
    );
  }

  /** Returns the names and patterns of rules that match none of the names that the upstream has. */
  unmatched(names: readonly string[]): readonly UnmatchedRule[] {
    return unmatchedRules(this.#given, names, this.#areUris);
  }

  #changed(entry: JsonObject, own: string): JsonObject {
    let result = entry;
    for (const { override } of this.#layers) {
      for (const { value } of matching(override, [own])) result = overridden(result, value);
    }
    const withheld = this.useOf(own)?.withheld;
    return withheld === undefined ? result : withoutArguments(result, withheld);
  }
}

function denied(
  source: RuleSource,
  rule: string | undefined,
  pattern: string | undefined,
): Verdict {
  return { allowed: false, reasons: [{ source, rule, pattern }] };
}

function isAllowed({ isClosed, allow, deny }: Layer, { any, each }: RuleTexts): boolean {
  if (isClosed || matching(deny, any).length > 0) return false;
  return allow === undefined || each.every((text) => matching(allow, [text]).length > 0);
}

function compiled({ source, rules }: RuleLayer, matcher: (pattern: string) => NameMatcher): Layer {
  const { allow, deny = [], approve = [], override, fix, hide, rateLimit } = rules === false
    ? {} as Partial<ToolRules>
    : rules;
  const isEmpty = allow?.length === 0;
  const patternOf = (pattern: string) => ({ pattern, matches: matcher(pattern), value: undefined });
  const patternsOf = <T>(given: Readonly<Record<string, T>> = {}): Pattern<T>[] =>
    Object.entries(given).map(([pattern, value]) => ({
      pattern,
      matches: matcher(pattern),
      value,
    }));
  return {
    source,
    isDenied: rules === false,
    isClosed: rules === false || isEmpty || deny.includes("*"),
    allow: allow?.map(patternOf),
    deny: deny.map(patternOf),
    approve: approve.map(patternOf),
    override: patternsOf(override),
    fix: patternsOf(fix),
    hide: patternsOf(hide),
    rateLimit: patternsOf(rateLimit),
  };
}

function matching<T>(
  patterns: readonly Pattern<T>[],
  texts: readonly string[],
): readonly Pattern<T>[] {
  return patterns.length === 0 ? [] : patterns.filter(({ matches }) => texts.some(matches));
}
