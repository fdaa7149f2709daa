/**
 * Says what a user may use of each server, and why.
 *
 * @module
 */
import type { Reason } from "../../gateway/policy/entry_rules.ts";
import { Policies } from "../../gateway/policy/policies.ts";
import { LIST_KINDS, type ListKind, LISTS } from "../../gateway/shared/list_kinds.ts";
import type { Principal } from "../../../mod.ts";
import { quote } from "../../kit.ts";
import type { Config } from "../config/schema.ts";
import type { Definitions } from "../inspect/definitions.ts";
import { usageError } from "../errors.ts";
import { printable } from "../log.ts";
import { placeOf, policyOf } from "../config/policy.ts";

/** What the rules do that don't decide whether something may be used. */
const EFFECTS: readonly (readonly [rule: string, text: string])[] = [
  ["approve", "after approval"],
  ["rateLimit", "at a limited rate"],
  ["fix", "with fixed arguments"],
  ["hide", "without some arguments"],
  ["override", "shown in other words"],
];

/** What is done with the entries of each list. */
const VERBS: Readonly<Record<ListKind, string>> = {
  tools: "call",
  prompts: "get",
  resources: "read",
  templates: "read",
};
/** Columns of the names, unless one is longer. */
const MAX_WIDTH = 40;
/** Characters of a name that are shown. */
const MAX_NAME = 200;

/**
 * Returns the user with an id.
 *
 * @throws {CliError} If the configuration has tokens, and none with that id
 */
export function principalOf(id: string, { auth, signIn }: Config): Principal {
  if (auth?.tokens !== undefined) {
    const found = auth.tokens.find((token) => token.id === id);
    if (found === undefined) {
      const known = auth.tokens.map((token) => quote(token.id)).join(", ");
      throw usageError(`Give --for the id of a token, which are ${known}: ${quote(id)}`);
    }
    return { id, ...found.scopes && { scopes: found.scopes } };
  }
  // Presets have their issuers from the provider
  const named = signIn?.provider["issuer"];
  const issuer = auth?.jwt?.issuer ?? auth?.introspection?.issuer ??
    (typeof named === "string" ? named : undefined);
  return { id, ...issuer !== undefined && { issuer } };
}

/** Says what a user may use of one server, and why: one line for each thing. */
export function explain(
  server: string,
  definitions: Definitions,
  principal: Principal,
  config: Config,
): string[] {
  const rules = new Policies(policyOf(config)).rulesOf(principal, server);
  const lines = LIST_KINDS.flatMap((kind) => {
    const why = (reasons: readonly Reason[]) =>
      reasons.map((each) => reasonText(each, kind, config));
    return definitions[kind].map((entry) => {
      const own = String(entry[LISTS[kind].id]);
      const verb = VERBS[kind];
      if (rules === undefined) return { says: `may ${verb}`, own, why: NO_RULE };
      const { allowed, reasons } = rules[kind].verdict(own);
      if (!allowed) return { says: `may not ${verb}`, own, why: since(why(reasons)) };
      let problem: string | undefined;
      const shown = rules[kind].present(entry, LISTS[kind].id, (_name, _digest, isNew) => {
        problem = isNew
          ? "since it was not there when definitions were pinned"
          : "since its definition has changed since it was pinned";
      });
      if (shown === undefined) {
        return { says: `may not ${verb}`, own, why: problem ?? "since another has got its name" };
      }
      const name = String(shown[LISTS[kind].id]);
      const renamed = name === own ? "" : `as ${name}, `;
      const effects = rules[kind].effects(own);
      const ways = EFFECTS.flatMap(([rule, text]) => {
        const found = effects.filter((each) => each.rule === rule);
        return found.length === 0 ? [] : [`${text} (${why(found).join(" and ")}), `];
      });
      const reason = reasons.length === 0 ? NO_RULE : since(why(reasons));
      return { says: `may ${verb}`, own, why: `${renamed}${ways.join("")}${reason}` };
    });
  });
  const width = Math.min(MAX_WIDTH, Math.max(0, ...lines.map(({ own }) => own.length)));
  return lines.map(({ says, own, why }) => {
    const name = printable(own).slice(0, MAX_NAME).padEnd(width);
    return `${principal.id} ${says.padEnd(12)} ${name}  ${why}`;
  });
}

const NO_RULE = "since no rule denies it";

function since(reasons: readonly string[]): string {
  return `since ${reasons.join(" and ")}`;
}

function reasonText(
  { source, rule, pattern }: Reason,
  kind: ListKind,
  config: Config,
): string {
  const place = placeOf(source, config);
  if (rule === undefined) return `${place} is false`;
  const has = pattern === undefined ? "does not have it" : `has ${quote(pattern)}`;
  return `${place}.${kind}.${rule} ${has}`;
}
