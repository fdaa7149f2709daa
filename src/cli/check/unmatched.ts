/**
 * Finds the rules of a configuration that match nothing of the servers that they are for.
 *
 * @module
 */
import { LIST_KINDS, type ListKind, LISTS } from "../../gateway/shared/list_kinds.ts";
import { unmatchedRules } from "../../gateway/policy/unmatched.ts";
import { quote } from "../../kit.ts";
import { listRulesOf } from "../config/policy.ts";
import type { Config } from "../config/schema.ts";
import { suggest } from "../../kit.ts";
import { enabledServers } from "../config/settings.ts";
import { type Definitions, definitionsOf } from "../inspect/definitions.ts";
import type { Backend } from "../serve/backend.ts";

/** A rule that matches nothing. */
export interface Unmatched {
  /** Whether it never can, as it is written; else it may match something later. */
  readonly isWrong: boolean;
  readonly text: string;
}

/** Finds the rules that match nothing, of all servers that have rules and can be reached. */
export async function findUnmatched(
  config: Config,
  backend: Pick<Backend, "upstream">,
): Promise<readonly Unmatched[]> {
  const servers = new Map<string, Definitions>();
  for (const [name, entry] of enabledServers(config)) {
    if (!LIST_KINDS.some((kind) => listRulesOf(config, name, kind).length > 0)) continue;
    // One that can't be reached is reported elsewhere
    const found = await definitionsOf(name, entry, backend).catch(() => undefined);
    if (found !== undefined) servers.set(name, found);
  }
  return unmatchedIn(config, servers);
}

/** Returns a text for each rule that matches nothing. Rules for all servers may match in any of them. */
export function unmatchedIn(
  config: Config,
  servers: ReadonlyMap<string, Definitions>,
): readonly Unmatched[] {
  const found = new Map<string, Unmatched>();
  const matched = new Set<string>();
  for (const [server, definitions] of servers) {
    for (const kind of LIST_KINDS) {
      const names = definitions[kind].map((entry) => String(entry[LISTS[kind].id]));
      const source = { principals: undefined, upstream: server };
      for (const { place, isForAll, rules } of listRulesOf(config, server, kind)) {
        const patternsOf = (known: readonly string[]) =>
          unmatchedRules([{ source, rules }], known, kind === "resources");
        const missed = new Set<string>();
        for (const { rule, pattern } of patternsOf(names)) {
          const key = `${place}.${rule} ${pattern}`;
          missed.add(key);
          const problem = problemOf({ config, server, kind, names, rule, pattern, rules });
          const text = `${place}.${rule}: ${problem.text}`;
          if (!matched.has(key)) found.set(key, { ...problem, text });
        }
        if (!isForAll) continue;
        for (const { rule, pattern } of patternsOf([])) {
          const key = `${place}.${rule} ${pattern}`;
          if (missed.has(key)) continue;
          matched.add(key);
          found.delete(key);
        }
      }
    }
  }
  return [...found.values()];
}

interface UnmatchedProblem {
  readonly config: Config;
  readonly server: string;
  readonly kind: ListKind;
  readonly names: readonly string[];
  readonly rule: string;
  readonly pattern: string;
  readonly rules: { readonly rename?: Readonly<Record<string, string>> | undefined };
}

function problemOf(
  { config, server, kind, names, rule, pattern, rules }: UnmatchedProblem,
): Unmatched {
  const shown = quote(pattern);
  const prefix = `${server}${config.separator ?? "__"}`;
  if (LISTS[kind].prefixed && pattern.startsWith(prefix)) {
    const own = pattern.slice(prefix.length);
    return {
      isWrong: true,
      text: `Leave out the prefix, write ${quote(own)}: ${shown} matches nothing`,
    };
  }
  const [own] = Object.entries(rules.rename ?? {}).find(([, name]) => name === pattern) ?? [];
  if (own !== undefined) {
    return {
      isWrong: true,
      text: `Give the server's own name, which is ${quote(own)}: ${shown} matches nothing`,
    };
  }
  // A pattern may match later, and a resource may exist without being listed.
  const isExact = rule === "rename" || !pattern.includes("*");
  if (!isExact || kind === "resources") {
    return { isWrong: false, text: `${shown} matches nothing that the server lists now` };
  }
  const nearest = suggest(pattern, names);
  const hint = nearest === undefined ? "" : `. Did you mean ${quote(nearest)}?`;
  return { isWrong: true, text: `${shown} matches nothing that the server lists${hint}` };
}
