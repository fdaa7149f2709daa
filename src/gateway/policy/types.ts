/**
 * Defines the option `policy` of a gateway: who may use what of which upstream, and how it is shown.
 *
 * @module
 */
import type { JsonObject, MaybePromise, Principal } from "../../../mod.ts";

/**
 * Limits how often something is used: `tokenBucket` of `@mooring/mcp` creates one. Its `key` gets the
 * principal as the third argument.
 */
export interface UseLimiter {
  /** Takes the place of one use, if there is one. A limiter that throws refuses the use. */
  check(
    request: Request,
    context: unknown,
    principal?: Principal,
  ): MaybePromise<{ readonly allowed: boolean; readonly retryAfterMs?: number }>;
}

/** Replaces members of a definition. Those that are left out stay as the upstream gives them. */
export interface DefinitionOverride {
  /** Replaces the title. */
  readonly title?: string;
  /** Replaces the description. */
  readonly description?: string;
  /** Replaces single annotations, such as `readOnlyHint`. */
  readonly annotations?: JsonObject;
}

/**
 * Says which entries of one list of an upstream may be used, and how they are shown. Names are those that
 * the upstream gives. In a pattern, `*` stands for any number of any characters.
 */
export interface EntryRules {
  /** Patterns of what may be used; everything by default, and nothing if the list is empty. */
  readonly allow?: readonly string[];
  /** Patterns of what may not be used, whatever `allow` says. */
  readonly deny?: readonly string[];
  /** Maps patterns to what replaces members of the definitions. */
  readonly override?: Readonly<Record<string, DefinitionOverride>>;
}

/** Rules for resources. A URI is judged in every spelling that means the same. */
export interface ResourceRules extends EntryRules {
  /** Maps patterns of URIs to limits on reading. */
  readonly rateLimit?: Readonly<Record<string, UseLimiter>>;
}

/** Rules for prompts. */
export interface PromptRules extends ResourceRules {
  /** Maps names of the upstream to those that clients see. */
  readonly rename?: Readonly<Record<string, string>>;
}

/** Rules for tools. */
export interface ToolRules extends PromptRules {
  /**
   * Maps patterns to arguments with the values that every call gets. Clients don't see these arguments,
   * and calls that have one are refused.
   */
  readonly fix?: Readonly<Record<string, JsonObject>>;
  /** Maps patterns to arguments that clients don't see. Calls that have one are refused. */
  readonly hide?: Readonly<Record<string, readonly string[]>>;
  /** Patterns of tools that run only after the user has agreed to the call. */
  readonly approve?: readonly string[];
}

/** Rules for what one upstream offers; `false` where all of it is denied. */
export type UpstreamPolicy = false | {
  /** Rules for tools. */
  readonly tools?: ToolRules;
  /** Rules for prompts. */
  readonly prompts?: PromptRules;
  /** Rules for resources, also for those that belong to a template. */
  readonly resources?: ResourceRules;
  /** Rules for resource templates, as they are written. */
  readonly templates?: EntryRules;
};

/** Maps the names of upstreams to rules; `"*"` stands for all that aren't named. */
export type UpstreamPolicies = Readonly<Record<string, UpstreamPolicy>>;

/** Chooses principals: those that fit everything that is given. */
export interface PrincipalFilter {
  /** Lists ids of which the principal has one. */
  readonly ids?: readonly string[];
  /** Lists issuers of which the principal has one. */
  readonly issuers?: readonly string[];
  /** Lists OAuth clients of which the principal has one. */
  readonly clientIds?: readonly string[];
  /** Lists scopes of which the principal has all. */
  readonly scopes?: readonly string[];
}

/** Rules for some principals, which apply besides those for everybody. */
export interface PrincipalPolicy {
  /** Chooses the principals; all by default. */
  readonly for?: PrincipalFilter;
  /** Excepts principals from them. */
  readonly except?: PrincipalFilter;
  /** Maps the names of upstreams to rules. */
  readonly upstreams: UpstreamPolicies;
}

/** Maps names to digests of definitions, as {@linkcode definitionDigest} returns them. */
export type PinnedNames = Readonly<Record<string, string>>;

/**
 * Pins the definitions of one upstream. In a list that is given here, only entries that have their
 * digest are shown: one that has changed, or is new, is withheld.
 */
export interface UpstreamPins {
  /** Pins tools. */
  readonly tools?: PinnedNames;
  /** Pins prompts. */
  readonly prompts?: PinnedNames;
  /** Pins resource templates. */
  readonly templates?: PinnedNames;
}

/**
 * Says who may use what of which upstream, and how it is shown. Of several rules for the same, all apply:
 * what one of them denies is denied.
 */
export interface GatewayPolicy {
  /** Rules for everybody. */
  readonly upstreams?: UpstreamPolicies;
  /** Rules for some principals besides. */
  readonly principals?: readonly PrincipalPolicy[];
  /**
   * Whether an upstream is withheld whose list a `deny` or `approve` about it matches nothing of, and never
   * has: the name is misspelled, or the upstream has renamed what must not be used.
   *
   * @default {false}
   */
  readonly strict?: boolean;
  /** Maps the names of upstreams to pinned definitions. */
  readonly pins?: Readonly<Record<string, UpstreamPins>>;
}
