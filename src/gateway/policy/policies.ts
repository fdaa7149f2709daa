/**
 * Holds the policy of a gateway, and finds the rules for a principal and an upstream.
 *
 * @module
 */
import { definitionDigest } from "./definition.ts";
import type { Principal } from "../../../mod.ts";
import { checkPolicy } from "./check.ts";
import { CompiledRules, type RuleLayer, type RuleSource } from "./entry_rules.ts";
import type {
  GatewayPolicy,
  PrincipalFilter,
  UpstreamPins,
  UpstreamPolicies,
  UpstreamPolicy,
} from "./types.ts";
import type { UnmatchedRule } from "./unmatched.ts";

/** The rules for everything that an upstream offers, as they are for one principal. */
export interface UpstreamRules {
  readonly tools: CompiledRules;
  readonly prompts: CompiledRules;
  readonly resources: CompiledRules;
  readonly templates: CompiledRules;
  /** Whether nothing of the upstream may be used. */
  readonly isClosed: boolean;
}

/** Limits the compiled rules that are remembered, and the withheld definitions. */
const MAX_REMEMBERED = 1000;
/** The most characters of what is remembered about a withheld definition. */
const MAX_NAME = 200;

/** Represents rules with those to whom they apply. */
interface RuleSet {
  readonly applies: (principal: Principal) => boolean;
  readonly upstreams: UpstreamPolicies;
  readonly principals: number | undefined;
}

/** The policy of a gateway. */
export class Policies {
  #sets: readonly RuleSet[] = [];
  #pins: NonNullable<GatewayPolicy["pins"]> = {};
  /** Holds compiled rules by upstream and the rule sets that apply. */
  readonly #compiled = new Map<string, UpstreamRules | undefined>();
  readonly #reported = new Set<string>();
  /** The rules that have matched something at some time. */
  readonly #matched = new Set<string>();
  /** The upstreams that are withheld, because a rule about them has never matched anything. */
  readonly #withheld = new Set<string>();
  #isStrict = false;
  #isSet = false;

  /**
   * Takes a policy.
   *
   * @throws {TypeError} If a rule has the wrong form
   */
  constructor(policy?: GatewayPolicy) {
    this.set(policy);
  }

  /** Whether there is a policy. */
  get isSet(): boolean {
    return this.#isSet;
  }

  /**
   * Replaces the policy.
   *
   * @throws {TypeError} If a rule has the wrong form; nothing has changed then
   * @throws {Error} If there are pins, and the package `@noble/hashes` is not installed; nothing has
   * changed then
   */
  set(policy: GatewayPolicy | undefined): void {
    if (policy !== undefined) checkPolicy(policy);
    // What is changed later changes nothing here.
    const { upstreams, principals = [], pins = {} } = policy === undefined ? {} : copy(policy);
    // Where the package for digests is missing, this says so before a list is asked for.
    if (Object.keys(pins).length > 0) definitionDigest({});
    const sets = principals.map((given, index): RuleSet => ({
      applies: (principal) =>
        fits(principal, given.for ?? {}) &&
        (given.except === undefined || !fits(principal, given.except)),
      upstreams: given.upstreams,
      principals: index,
    }));
    const all: RuleSet = {
      applies: () => true,
      upstreams: upstreams ?? {},
      principals: undefined,
    };
    this.#sets = upstreams === undefined ? sets : [all, ...sets];
    this.#pins = pins;
    this.#compiled.clear();
    this.#reported.clear();
    this.#matched.clear();
    this.#withheld.clear();
    this.#isStrict = policy?.strict === true;
    this.#isSet = policy !== undefined;
  }

  /** Returns the rules for a principal and an upstream; `undefined` if there are none. */
  rulesOf(principal: Principal, upstream: string): UpstreamRules | undefined {
    if (!this.#isSet) return undefined;
    if (this.#withheld.has(upstream)) return CLOSED;
    const sets = this.#sets.filter(({ applies }) => applies(principal));
    const key = JSON.stringify([upstream, ...sets.map(({ principals }) => principals ?? -1)]);
    if (this.#compiled.has(key)) return this.#compiled.get(key);
    const rules = compile(sets, upstream, own(this.#pins, upstream), this.#isStrict);
    if (this.#compiled.size >= MAX_REMEMBERED) this.#compiled.clear();
    this.#compiled.set(key, rules);
    return rules;
  }

  /** Tells whether there are rules for an upstream that withhold something from somebody. */
  mayWithhold(upstream: string): boolean {
    return this.#isSet && (own(this.#pins, upstream) !== undefined ||
      this.#sets.some(({ upstreams }) => rulesIn(upstreams, upstream) !== undefined));
  }

  /**
   * Compares the rules for a principal with what an upstream has listed.
   *
   * @returns The rules that match nothing, each once until the policy is replaced, and whether the upstream
   * is withheld because of one
   */
  check(
    principal: Principal,
    upstream: string,
    kind: "tools" | "prompts" | "resources" | "templates",
    names: readonly string[],
  ): readonly (UnmatchedRule & { readonly withholds: boolean })[] {
    const rules = this.rulesOf(principal, upstream);
    if (rules === undefined || rules.isClosed) return [];
    const unmatched = rules[kind].unmatched(names)
      // What is for all upstreams need not match something of each. Resources may exist without a list.
      .filter(({ source }) => source.upstream !== "*" && kind !== "resources");
    const keyOf = ({ rule, pattern }: UnmatchedRule) =>
      JSON.stringify([upstream, kind, rule, pattern]);
    const missed = new Set(unmatched.map(keyOf));
    const before = this.#matched;
    const found = unmatched.flatMap((each) => {
      const isLate = before.has(keyOf(each));
      const withholds = this.#isStrict && !isLate &&
        (each.rule === "deny" || each.rule === "approve");
      if (withholds) this.#withheld.add(upstream);
      const isFirst = this.isFirstReport(upstream, kind, `${each.rule} ${each.pattern}`, "");
      return isFirst ? [{ ...each, withholds }] : [];
    });
    for (const each of rules[kind].unmatched([])) {
      if (!missed.has(keyOf(each)) && before.size < MAX_REMEMBERED) before.add(keyOf(each));
    }
    return found;
  }

  /** Tells whether an upstream is withheld because a rule about it has never matched anything. */
  isWithheld(upstream: string): boolean {
    return this.#withheld.has(upstream);
  }

  /** Lets an upstream be looked at again that is withheld: its lists have changed. */
  release(upstream: string): void {
    this.#withheld.delete(upstream);
  }

  /** Returns `true` at the first call for a withheld definition, so that it is reported once. */
  isFirstReport(upstream: string, list: string, name: string, digest: string): boolean {
    const key = JSON.stringify([upstream, list, name.slice(0, MAX_NAME), digest]);
    if (this.#reported.has(key)) return false;
    // An upstream may change all the time: then it is reported again now and then.
    if (this.#reported.size >= MAX_REMEMBERED) this.#reported.clear();
    this.#reported.add(key);
    return true;
  }
}

/** The rules for an upstream that is withheld. */
const CLOSED: UpstreamRules = (() => {
  const source = { principals: undefined, upstream: "*" };
  const closed = new CompiledRules([{ source, rules: false }], undefined);
  return { tools: closed, prompts: closed, resources: closed, templates: closed, isClosed: true };
})();

function compile(
  sets: readonly RuleSet[],
  upstream: string,
  pins: UpstreamPins | undefined,
  strict: boolean,
): UpstreamRules | undefined {
  const layers = sets.flatMap(({ upstreams, principals }) => {
    const found = rulesIn(upstreams, upstream);
    return found === undefined ? [] : [{ source: { principals, ...found }, rules: found.rules }];
  });
  if (layers.length === 0 && pins === undefined) return undefined;
  const of = (kind: "tools" | "prompts" | "resources" | "templates") =>
    layers.flatMap(({ source: { principals, upstream }, rules }): RuleLayer[] => {
      const source: RuleSource = { principals, upstream };
      if (rules === false) return [{ source, rules }];
      const own = rules[kind];
      return own === undefined ? [] : [{ source, rules: own }];
    });
  const rules = {
    tools: new CompiledRules(of("tools"), pins?.tools, { strict }),
    prompts: new CompiledRules(of("prompts"), pins?.prompts, { strict }),
    resources: new CompiledRules(of("resources"), undefined, { strict, areUris: true }),
    templates: new CompiledRules(of("templates"), pins?.templates, { strict }),
  };
  return { ...rules, isClosed: Object.values(rules).every(({ isClosed }) => isClosed) };
}

/** Returns the rules for an upstream, and the name that they stand under. */
function rulesIn(
  upstreams: UpstreamPolicies,
  name: string,
): { readonly upstream: string; readonly rules: UpstreamPolicy } | undefined {
  for (const upstream of [name, "*"]) {
    const rules = own(upstreams, upstream);
    if (rules !== undefined) return { upstream, rules };
  }
  return undefined;
}

function own<T>(from: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(from, key) ? from[key] : undefined;
}

function fits(
  { id, issuer, clientId, scopes: granted = [] }: Principal,
  { ids, issuers, clientIds, scopes = [] }: PrincipalFilter,
): boolean {
  return (ids === undefined || ids.includes(id)) &&
    (issuers === undefined || (issuer !== undefined && issuers.includes(issuer))) &&
    (clientIds === undefined || (clientId !== undefined && clientIds.includes(clientId))) &&
    scopes.every((scope) => granted.includes(scope));
}

/** Copies a policy, but not its limiters, which have a state. */
function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (typeof value !== "object" || value === null || isLimiter(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copy(each)])) as T;
}

function isLimiter(value: object): boolean {
  return typeof (value as { readonly check?: unknown }).check === "function";
}
