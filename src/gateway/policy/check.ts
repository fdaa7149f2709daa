/**
 * Checks the option `policy` of a gateway.
 *
 * @module
 */
import { isObject } from "../../kit.ts";
import type { GatewayPolicy } from "./types.ts";

/** The most characters of a pattern, and the patterns of one list. */
const MAX_PATTERN = 2048;
const MAX_PATTERNS = 1000;
/** The most rules for single principals. */
const MAX_PRINCIPALS = 1000;

/** Checks one member; throws a `TypeError` that names it. */
type RuleCheck = (name: string, value: unknown) => void;

/**
 * Checks a policy.
 *
 * @throws {TypeError} If a rule has the wrong form, or two names of one upstream would become the same
 */
export function checkPolicy(policy: GatewayPolicy): void {
  members("policy", policy, {
    upstreams: upstreamsCheck,
    principals: list("rules for principals", MAX_PRINCIPALS, (name, value) => {
      members(name, value, {
        for: filterCheck,
        except: filterCheck,
        upstreams: upstreamsCheck,
      });
      if (isObject(value) && value.upstreams === undefined) fail(`${name}.upstreams`, "an object");
    }),
    strict: (name, value) => {
      if (typeof value !== "boolean") fail(name, "a boolean");
    },
    pins: record((name, value) => {
      members(name, value, { tools: digests, prompts: digests, templates: digests });
    }),
  });
}

const filterCheck: RuleCheck = (name, value) => {
  members(name, value, { ids: texts, issuers: texts, clientIds: texts, scopes: texts });
};

const upstreamsCheck: RuleCheck = (name, value) => {
  record((name, value) => {
    if (value === false) return;
    members(name, value, {
      tools: (name, value) => members(name, value, TOOL_RULES),
      prompts: (name, value) => members(name, value, PROMPT_RULES),
      resources: (name, value) => members(name, value, RESOURCE_RULES),
      templates: (name, value) => members(name, value, ENTRY_RULES),
    });
  })(name, value);
};

const text: RuleCheck = (name, value) => {
  if (typeof value !== "string" || value.length > MAX_PATTERN) {
    fail(name, `a string of at most ${MAX_PATTERN} characters`);
  }
};
const texts: RuleCheck = list("strings", MAX_PATTERNS, text);
const object: RuleCheck = (name, value) => {
  if (!isObject(value)) fail(name, "an object");
};
const digests: RuleCheck = record((name, value) => {
  if (typeof value !== "string" || !/^sha256:[0-9a-f]{64}$/.test(value)) {
    fail(name, 'a digest, "sha256:" and 64 hexadecimal digits');
  }
});
const limits: RuleCheck = record((name, value) => {
  const check = (value as { readonly check?: unknown } | undefined)?.check;
  if (typeof check !== "function") fail(name, "a limiter, such as tokenBucket(…)");
});
const names: RuleCheck = (name, value) => {
  record((name, value) => {
    if (typeof value !== "string" || value === "") fail(name, "a name");
  })(name, value);
  const seen = new Set<unknown>();
  for (const [own, given] of Object.entries(isObject(value) ? value : {})) {
    if (seen.has(given)) {
      throw new TypeError(
        `Give each a name of its own in "${name}": "${own}" has one that is taken`,
      );
    }
    seen.add(given);
  }
};

type Checks = Readonly<Record<string, RuleCheck>>;

const ENTRY_RULES: Checks = {
  allow: texts,
  deny: texts,
  override: record((name, value) => {
    members(name, value, { title: text, description: text, annotations: object });
  }),
};
const RESOURCE_RULES: Checks = { ...ENTRY_RULES, rateLimit: limits };
const PROMPT_RULES: Checks = { ...RESOURCE_RULES, rename: names };
const TOOL_RULES: Checks = {
  ...PROMPT_RULES,
  fix: record(object),
  hide: record(texts),
  approve: texts,
};

function fail(name: string, what: string): never {
  throw new TypeError(`Give ${what} as "${name}"`);
}

/** Checks the members of an object, which has no others. */
function members(name: string, value: unknown, checks: Checks): void {
  if (!isObject(value)) fail(name, "an object");
  for (const [key, member] of Object.entries(value)) {
    const check = Object.hasOwn(checks, key) ? checks[key] : undefined;
    if (check === undefined) {
      const known = Object.keys(checks).join(", ");
      throw new TypeError(`Leave out "${name}.${key}", or use one of ${known}`);
    }
    if (member !== undefined) check(`${name}.${key}`, member);
  }
}

/** Returns a check of an object with any names. */
function record(check: RuleCheck): RuleCheck {
  return (name, value) => {
    if (!isObject(value)) fail(name, "an object");
    const entries = Object.entries(value);
    if (entries.length > MAX_PATTERNS) fail(name, `at most ${MAX_PATTERNS} members`);
    for (const [key, member] of entries) {
      text(`${name}: a key`, key);
      check(`${name}["${key}"]`, member);
    }
  };
}

function list(what: string, most: number, check: RuleCheck): RuleCheck {
  return (name, value) => {
    if (!Array.isArray(value)) fail(name, `a list of ${what}`);
    if (value.length > most) fail(name, `at most ${most} ${what}`);
    for (const [at, each] of value.entries()) check(`${name}[${at}]`, each);
  };
}
