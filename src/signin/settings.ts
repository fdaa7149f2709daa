/**
 * Checks the options of sign-in, and fills in what is left out.
 *
 * @module
 */
import type { Clock } from "../../mod.ts";
import { memoryStore, type RecordStore } from "../cluster/mod.ts";
import {
  booleanOption,
  checkNames,
  DpopProofs,
  functionOption,
  integerOption,
  isLoopback,
  type NamesOf,
  systemClock,
} from "../kit.ts";
import { keysOption } from "./fetch/options.ts";
import { SealedRecords } from "./sealed_records.ts";
import type { SignInEvent, SignInLifetimes, SignInOptions } from "./types.ts";

const DAY_MS = 24 * 3600_000;

/** The default lifetimes. */
const LIFETIMES: Readonly<Required<SignInLifetimes>> = {
  accessMs: 300_000,
  refreshMs: 30 * DAY_MS,
  grantMs: 90 * DAY_MS,
  graceMs: 30_000,
  loginMs: 600_000,
  consentMs: 365 * DAY_MS,
  keyMs: 30 * DAY_MS,
  grantCacheMs: 5_000,
};

const LIFETIME_NAMES: NamesOf<SignInLifetimes> = {
  accessMs: true,
  refreshMs: true,
  grantMs: true,
  graceMs: true,
  loginMs: true,
  consentMs: true,
  keyMs: true,
  grantCacheMs: true,
};

const NAMES: NamesOf<SignInOptions> = {
  issuer: true,
  resource: true,
  otherResources: true,
  provider: true,
  scopes: true,
  extraScopes: true,
  allow: true,
  principal: true,
  store: true,
  keys: true,
  clients: true,
  idJag: true,
  idTokens: true,
  registration: true,
  documents: true,
  fetch: true,
  dpop: true,
  lifetimes: true,
  allowInsecure: true,
  sender: true,
  onEvent: true,
  onGrantEnded: true,
  clock: true,
};

const DPOP_NAMES: NamesOf<Exclude<SignInOptions["dpop"], string | undefined>> = {
  use: true,
  maxAgeS: true,
  nonceKeys: true,
  maxProofs: true,
};

/** The checked options. */
export interface SignInSettings extends SignInOptions {
  readonly resources: readonly string[];
  /** Returns the resource that a client names, as tokens have it; `undefined` for any other text. */
  readonly resourceNamed: (named: string) => string | undefined;
  /** The scopes that clients ask for first. */
  readonly firstScopes: readonly string[];
  /** All scopes, with their descriptions. */
  readonly descriptions: ReadonlyMap<string, string>;
  readonly records: RecordStore;
  readonly keys: readonly (string | Uint8Array)[];
  readonly lifetimes: Readonly<Required<SignInLifetimes>>;
  /** Checks proofs of keys, if tokens can be bound to one. */
  readonly proofs: DpopProofs | undefined;
  readonly allowInsecure: boolean;
  readonly clock: Clock;
  /** The path of the issuer, without a slash at its end. */
  readonly basePath: string;
  readonly report: (event: Omit<SignInEvent, "type">) => void;
}

/** Checks options. */
export function settingsOf(options: SignInOptions): SignInSettings {
  checkNames("signIn()", options, NAMES);
  const allowInsecure = booleanOption("allowInsecure", options.allowInsecure, false);
  const issuer = urlOption("issuer", options.issuer, allowInsecure);
  if (issuer.search !== "" || issuer.pathname.endsWith("/") && issuer.pathname !== "/") {
    throw new TypeError(`Leave the query and the last slash out of "issuer": ${issuer.href}`);
  }
  const given = typeof options.resource === "string" ? [options.resource] : options.resource;
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError('Give one URL or more as "resource"');
  }
  for (const resource of given) urlOption("resource", resource, allowInsecure);
  const { provider } = options;
  if (typeof provider?.authorizationUrl !== "function" || typeof provider.finish !== "function") {
    throw new TypeError('Give what oidc() or a preset returns as "provider"');
  }
  for (
    const name of [
      ...["allow", "principal", "fetch", "sender"] as const,
      ...["otherResources", "onEvent", "onGrantEnded"] as const,
    ]
  ) {
    functionOption(name, options[name]);
  }
  const first = scopesOption("scopes", options.scopes);
  if (first.size === 0) throw new TypeError('Give one scope or more as "scopes"');
  const extra = scopesOption("extraScopes", options.extraScopes ?? []);
  const clock = options.clock ?? systemClock;
  const records = (options.store ?? memoryStore()).records?.(clock);
  if (records === undefined) {
    throw new TypeError(
      'Give a store with records as "store": memoryStore(), sqliteStore() or redisStore()',
    );
  }
  booleanOption("idTokens", options.idTokens, false);
  const report = options.onEvent ?? (() => {});
  const keys = keysOption(options.keys, options.store);
  return {
    ...options,
    issuer: issuer.pathname === "/" ? issuer.origin : issuer.href,
    resources: [...given],
    resourceNamed: resourceFinder([...given], options.otherResources),
    firstScopes: [...first.keys()],
    descriptions: new Map([...first, ...extra]),
    records: new SealedRecords(records, keys, `signin:${issuer.href}:`),
    keys,
    lifetimes: lifetimesOption(options.lifetimes),
    proofs: proofsOption(options, clock),
    allowInsecure,
    clock,
    basePath: issuer.pathname === "/" ? "" : issuer.pathname,
    report(event) {
      try {
        report({ type: "sign-in", ...event });
      } catch {
        // The application's own function failed: it can't be reported anywhere else.
      }
    },
  };
}

/** Returns the function that finds the resource that a client names. */
function resourceFinder(
  resources: readonly string[],
  others: SignInOptions["otherResources"],
): SignInSettings["resourceNamed"] {
  return (named) => {
    const known = resources.find((resource) => isSameResource(resource, named));
    if (known !== undefined || others === undefined) return known;
    const href = URL.parse(named)?.href;
    return href !== undefined && others(href) ? href : undefined;
  };
}

/** Tells whether a resource that a client names, if it does, is the one of its grant. */
export function isSameResource(resource: string, named: string | undefined): boolean {
  return named === undefined || named === resource ||
    URL.parse(named)?.href === new URL(resource).href;
}

function urlOption(name: string, given: unknown, allowInsecure: boolean): URL {
  const url = typeof given === "string" ? URL.parse(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.hash !== "") {
    throw new TypeError(`Give a URL without user and fragment as "${name}": ${String(given)}`);
  }
  if (url.protocol === "http:" && !(allowInsecure && isLoopback(url.hostname))) {
    throw new TypeError(
      `Use https for "${name}", or set "allowInsecure" for one on loopback: ${url.host}`,
    );
  }
  return url;
}

function proofsOption({ dpop, store }: SignInOptions, clock: Clock): DpopProofs | undefined {
  if (dpop === undefined) return undefined;
  if (typeof dpop === "object") checkNames("signIn()", dpop, DPOP_NAMES, "dpop.");
  const own = typeof dpop === "object" ? dpop : { use: dpop };
  return new DpopProofs("signIn()", { ...own, ...store !== undefined && { store } }, clock);
}

/** Reads scopes and their descriptions. */
function scopesOption(name: string, given: unknown): Map<string, string> {
  const entries: [unknown, unknown][] | undefined = Array.isArray(given)
    ? given.map((scope) => [scope, scope])
    : typeof given === "object" && given !== null
    ? Object.entries(given)
    : undefined;
  if (entries === undefined) throw new TypeError(`Give an array of scopes as "${name}"`);
  const scopes = new Map<string, string>();
  for (const [scope, description] of entries) {
    if (typeof scope !== "string" || !/^[!#-[\]-~]{1,200}$/.test(scope)) {
      throw new TypeError(`Give scopes without spaces and quotes as "${name}": ${String(scope)}`);
    }
    if (typeof description !== "string" || description === "") {
      throw new TypeError(`Give descriptions as "${name}": ${scope}`);
    }
    scopes.set(scope, description);
  }
  return scopes;
}

function lifetimesOption(given: SignInLifetimes = {}): Readonly<Required<SignInLifetimes>> {
  checkNames<SignInLifetimes>("signIn()", given, LIFETIME_NAMES, "lifetimes.");
  const entries = Object.entries(LIFETIMES).map(([name, byDefault]) => {
    const value = given[name as keyof SignInLifetimes];
    const least = name.startsWith("gra") && name !== "grantMs" ? 0 : 1_000;
    const ms = integerOption(`lifetimes.${name}`, value, byDefault, least);
    if (ms > 10 * 365 * DAY_MS) {
      throw new RangeError(`Give ten years at most as "lifetimes.${name}"`);
    }
    return [name, ms];
  });
  return Object.fromEntries(entries);
}
