/**
 * Turns the rules of a configuration into the policy of the gateway.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { GatewayPolicy, UpstreamPolicies, UpstreamPolicy } from "../../gateway/mod.ts";
import type { RuleLayer, RuleSource } from "../../gateway/policy/entry_rules.ts";
import type { ListKind } from "../../gateway/shared/list_kinds.ts";
import { tokenBucket } from "../../../mod.ts";
import { ANONYMOUS, ownerKey } from "../../kit.ts";
import type { Config, ServerPolicy } from "./schema.ts";
import { readPins } from "./pins.ts";

type ServerPolicies = Readonly<Record<string, ServerPolicy>>;

/** Returns the policy of a configuration; `undefined` if it has none. */
export function policyOf(config: Config): GatewayPolicy | undefined {
  const upstreams = Object.fromEntries(
    Object.entries(config.mcpServers).flatMap(([name, { policy }]) =>
      policy === undefined ? [] : [[name, policy]]
    ),
  );
  const principals = rulesFor(config).map(({ servers, filters }) => ({
    ...filters,
    upstreams: withLimiters(servers),
  }));
  const pins = config.pins === undefined ? undefined : readPins(config.pins);
  if (Object.keys(upstreams).length + principals.length === 0 && pins === undefined) {
    return undefined;
  }
  return {
    upstreams: withLimiters(upstreams),
    principals,
    strict: config.strict === true,
    ...pins !== undefined && { pins },
  };
}

/**
 * Returns a text that changes with the policy of a configuration.
 *
 * @throws {CliError} If the file of pins can't be read
 */
export function policyText(config: Config): string {
  const servers = Object.entries(config.mcpServers).flatMap(([name, { policy }]) =>
    policy === undefined ? [] : [[name, policy]]
  );
  const pins = config.pins === undefined ? undefined : readPins(config.pins);
  return JSON.stringify([servers, rulesFor(config), pins, config.strict]);
}

/** Returns where a rule stands in the configuration. */
export function placeOf({ principals, upstream }: RuleSource, config: Config): string {
  const name = keyText(upstream);
  if (principals === undefined) return `mcpServers${name}.policy`;
  return `${rulesFor(config)[principals]?.place ?? ""}${name}`;
}

function keyText(name: string): string {
  return /^[\w$-]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** Rules for some users. */
interface UserRules {
  readonly place: string;
  readonly servers: ServerPolicies;
  readonly filters: Pick<NonNullable<Config["policy"]>[number], "for" | "except">;
}

/** Returns the rules for some users: those of tokens, then those of the whole file. */
function rulesFor({ auth, policy = [] }: Config): UserRules[] {
  return [
    ...(auth?.tokens ?? []).flatMap(({ id, policy: servers }, at) =>
      servers === undefined
        ? []
        : [{ place: `auth.tokens[${at}].policy`, servers, filters: { for: { ids: [id] } } }]
    ),
    ...policy.map(({ servers, ...filters }, at) => ({
      place: `policy[${at}].servers`,
      servers,
      filters,
    })),
  ];
}

/** Rules for one list of a server, with where they stand. */
export interface ListRules {
  readonly place: string;
  readonly isForAll: boolean;
  readonly rules: Exclude<RuleLayer["rules"], false>;
}

/** Returns all rules for one list of a server, for all users and for some. */
export function listRulesOf(config: Config, server: string, kind: ListKind): ListRules[] {
  const all: { readonly at: string; readonly name: string; readonly rules: ServerPolicy }[] = [];
  const own = config.mcpServers[server]?.policy;
  if (own !== undefined) {
    const source = { principals: undefined, upstream: server };
    all.push({ at: placeOf(source, config), name: server, rules: own });
  }
  for (const { place, servers } of rulesFor(config)) {
    for (const name of [server, "*"]) {
      const rules = Object.hasOwn(servers, name) ? servers[name] : undefined;
      if (rules !== undefined) all.push({ at: place + keyText(name), name, rules });
    }
  }
  return all.flatMap(({ at, name, rules }) => {
    const own = rules === false ? undefined : rules[kind];
    if (own === undefined) return [];
    // Rates are limits here, and limiters there: only their patterns count
    const list = own as ListRules["rules"];
    return [{ place: `${at}.${kind}`, isForAll: name === "*", rules: list }];
  });
}

function withLimiters(servers: ServerPolicies): UpstreamPolicies {
  return Object.fromEntries(
    Object.entries(servers).map(([name, rules]) => [name, limited(rules)]),
  );
}

function limited(rules: ServerPolicy): UpstreamPolicy {
  if (rules === false) return false;
  return Object.fromEntries(
    Object.entries(rules).map(([kind, own]) => {
      if (own === undefined || !("rateLimit" in own)) return [kind, own];
      const rateLimit = Object.fromEntries(
        Object.entries(own.rateLimit ?? {}).map(([pattern, rate]) => [
          pattern,
          tokenBucket({
            ...rate,
            key: (_request, _context, principal = ANONYMOUS) => digest(ownerKey(principal)),
          }),
        ]),
      );
      return [kind, { ...own, rateLimit }];
    }),
  );
}

/** Shortens the key of a principal, which may be of any length. */
function digest(text: string): string {
  return createHash("sha256").update(text).digest("base64");
}
