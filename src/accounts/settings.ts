/**
 * Checks the options of accounts, and fills in what is left out.
 *
 * @module
 */
import type { Clock } from "../../mod.ts";
import { memoryStore, type RecordStore } from "../cluster/mod.ts";
import {
  booleanOption,
  checkNames,
  functionOption,
  integerOption,
  isLoopback,
  type NamesOf,
  systemClock,
} from "../kit.ts";
import { keysOption, stringOption, stringsOption } from "../signin/fetch/options.ts";
import { SealedRecords } from "../signin/sealed_records.ts";
import type {
  AccountAuthOptions,
  AccountEvent,
  AccountsLifetimes,
  AccountsOptions,
  BrowserUserSource,
} from "./types.ts";

const DAY_MS = 24 * 3600_000;
const MOST_MS = 3650 * DAY_MS;

const LIFETIMES: Readonly<Required<AccountsLifetimes>> = {
  linkMs: 600_000,
  accountMs: 90 * DAY_MS,
  cacheMs: 5_000,
};

const LIFETIME_NAMES: NamesOf<AccountsLifetimes> = { linkMs: true, accountMs: true, cacheMs: true };

const NAMES: NamesOf<AccountsOptions> = {
  url: true,
  browser: true,
  name: true,
  store: true,
  keys: true,
  lifetimes: true,
  allowInsecure: true,
  innerHosts: true,
  fetch: true,
  onEvent: true,
  clock: true,
};

const AUTH_NAMES: NamesOf<AccountAuthOptions> = {
  clientId: true,
  clientSecret: true,
  issuer: true,
  scopes: true,
  audience: true,
  dpop: true,
};

/** The checked options. */
export interface AccountsSettings {
  /** The URL of the pages, without a slash at its end. */
  readonly url: string;
  /** The path of that URL, without a slash at its end. */
  readonly basePath: string;
  readonly browser: BrowserUserSource;
  readonly name: string;
  readonly records: RecordStore;
  readonly keys: readonly (string | Uint8Array)[];
  readonly lifetimes: Readonly<Required<AccountsLifetimes>>;
  readonly allowInsecure: boolean;
  readonly innerHosts: ReadonlySet<string>;
  readonly fetch: AccountsOptions["fetch"];
  readonly clock: Clock;
  readonly report: (event: Omit<AccountEvent, "type">) => void;
}

/** Checks options. */
export function settingsOf(options: AccountsOptions): AccountsSettings {
  checkNames("accounts()", options, NAMES);
  const access = accessSettings(options);
  const { clock, allowInsecure } = access;
  const url = urlOption(options.url, allowInsecure);
  const href = url.href.replace(/\/$/, "");
  const records = (options.store ?? memoryStore()).records?.(clock);
  if (records === undefined) {
    throw new TypeError(
      'Give a store with records as "store": memoryStore(), sqliteStore() or redisStore()',
    );
  }
  const keys = keysOption(options.keys, options.store);
  const report = functionOption("onEvent", options.onEvent);
  return {
    ...access,
    url: href,
    basePath: url.pathname.replace(/\/$/, ""),
    browser: browserOption(options.browser),
    name: options.name === undefined ? url.host : stringOption("name", options.name),
    records: new SealedRecords(records, keys, `accounts:${href}:`, "mooring accounts records 1"),
    keys,
    lifetimes: lifetimesOption(options.lifetimes),
    report(event) {
      try {
        report?.({ type: "account", ...event });
      } catch {
        // The application's own function failed: it can't be reported anywhere else.
      }
    },
  };
}

/** How authorization servers are asked. */
export type ServerAccess = Pick<
  AccountsOptions,
  "allowInsecure" | "innerHosts" | "fetch" | "clock"
>;

/** The checked options of {@linkcode ServerAccess}. */
export type AccessSettings = Pick<
  AccountsSettings,
  "allowInsecure" | "innerHosts" | "fetch" | "clock"
>;

/** Checks how authorization servers are asked. */
export function accessSettings(
  { allowInsecure, innerHosts, fetch, clock }: ServerAccess,
): AccessSettings {
  return {
    allowInsecure: booleanOption("allowInsecure", allowInsecure, false),
    innerHosts: new Set(stringsOption("innerHosts", innerHosts, [])),
    fetch: functionOption("fetch", fetch),
    clock: clock ?? systemClock,
  };
}

/** Checks how the gateway is a client of an upstream's authorization server. */
export function authOptions(options: AccountAuthOptions): AccountAuthOptions {
  checkNames("auth()", options, AUTH_NAMES);
  const { scopes } = options;
  for (const name of ["clientId", "clientSecret", "issuer", "audience"] as const) {
    if (options[name] !== undefined) stringOption(name, options[name]);
  }
  if (options.clientSecret !== undefined && options.clientId === undefined) {
    throw new TypeError('Give the "clientId" that the "clientSecret" belongs to');
  }
  if (options.clientSecret !== undefined && options.issuer === undefined) {
    // An upstream names its server: the secret must not go to whichever it names
    throw new TypeError('Give the "issuer" that the "clientSecret" is for');
  }
  if (options.issuer !== undefined && !URL.canParse(options.issuer)) {
    throw new TypeError('Give a URL as "issuer"');
  }
  if (options.dpop !== undefined) booleanOption("dpop", options.dpop, false);
  const own = scopes === undefined ? undefined : stringsOption("scopes", scopes, []);
  if (own?.some((scope) => !/^[!#-[\]-~]{1,200}$/.test(scope)) === true) {
    throw new TypeError('Give scopes without spaces and quotes as "scopes"');
  }
  return { ...options, ...own !== undefined && { scopes: own } };
}

function urlOption(given: unknown, allowInsecure: boolean): URL {
  const url = typeof given === "string" ? URL.parse(given) : null;
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "") {
    throw new TypeError('Give the URL of the pages as "url"');
  }
  if (url.hash !== "" || url.search !== "") {
    throw new TypeError('Leave the query and the fragment out of "url"');
  }
  if (url.protocol === "http:" && !(allowInsecure && isLoopback(url.hostname))) {
    throw new TypeError(
      `Use https for "url", or set "allowInsecure" for one on loopback: ${url.host}`,
    );
  }
  return url;
}

function browserOption(given: AccountsOptions["browser"]): BrowserUserSource {
  if (typeof given === "function") return { principal: given };
  if (typeof given?.principal === "function") return given;
  throw new TypeError('Give a function that returns the user of a browser as "browser"');
}

function lifetimesOption(given: AccountsLifetimes = {}): Readonly<Required<AccountsLifetimes>> {
  checkNames<AccountsLifetimes>("accounts()", given, LIFETIME_NAMES, "lifetimes.");
  const read = (name: keyof AccountsLifetimes, least: number) => {
    const ms = integerOption(`lifetimes.${name}`, given[name], LIFETIMES[name], least);
    if (ms > MOST_MS) throw new RangeError(`Give ten years at most as "lifetimes.${name}"`);
    return ms;
  };
  return {
    linkMs: read("linkMs", 1_000),
    accountMs: read("accountMs", 1_000),
    cacheMs: read("cacheMs", 0),
  };
}
