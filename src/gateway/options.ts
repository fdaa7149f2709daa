/**
 * Defines and checks the options of a gateway.
 *
 * @module
 */
import { checkNames } from "../kit.ts";
import type { Clock, Implementation } from "../../mod.ts";
import { integerOption, middlewareOption, systemClock } from "../kit.ts";
import { Policies } from "./policy/policies.ts";
import type { GatewayPolicy } from "./policy/types.ts";
import type { Upstream, UpstreamMiddleware } from "./types.ts";

/** Bounds what a gateway keeps. */
export interface GatewayLimits {
  /**
   * Limits the upstreams.
   *
   * @default {100}
   */
  readonly upstreams?: number;
  /**
   * Limits the entries of one list of one upstream; the rest is omitted, with an event. Also limits the
   * addresses of one upstream that one client is remembered to know.
   *
   * @default {5000}
   */
  readonly listEntries?: number;
  /**
   * Limits the bytes of one list of one upstream, as JSON; the rest is omitted, with an event.
   *
   * @default {4194304}
   */
  readonly listBytes?: number;
  /**
   * Limits the pages of one list of one upstream; the rest is omitted, with an event.
   *
   * @default {100}
   */
  readonly listPages?: number;
  /**
   * Limits the calls of 2026 clients that are held until their client answers a question.
   *
   * @default {1000}
   */
  readonly held?: number;
  /**
   * Limits the held calls of one principal.
   *
   * @default {20}
   */
  readonly heldPerPrincipal?: number;
  /**
   * Limits the tasks, running or ended, that are kept for calls which upstreams answer with tasks.
   *
   * @default {1000}
   */
  readonly tasks?: number;
  /**
   * Limits the tasks of one principal.
   *
   * @default {100}
   */
  readonly tasksPerPrincipal?: number;
  /**
   * Limits the principals of the 2026 era that state is kept for: their upstream sessions, unless
   * `stateless` is `"request"`, and their cached lists.
   *
   * @default {1000}
   */
  readonly principals?: number;
  /**
   * Limits the resources that one session is subscribed to.
   *
   * @default {100}
   */
  readonly subscriptions?: number;
  /**
   * Limits the upstream sessions, with those that are opening and closing.
   *
   * @default {10000}
   */
  readonly upstreamSessions?: number;
  /**
   * Limits the upstream sessions of one user: of the principals with one issuer and id. Without
   * authentication everybody shares `upstreamSessions`.
   *
   * @default {1000}
   */
  readonly upstreamSessionsPerPrincipal?: number;
  /**
   * Limits the programs that run as upstreams, with those that are starting and ending.
   *
   * @default {256}
   */
  readonly programs?: number;
  /**
   * Limits the programs of one user: of the principals with one issuer and id. Without authentication
   * everybody shares `programs`.
   *
   * @default {64}
   */
  readonly programsPerPrincipal?: number;
}

/** Options for {@linkcode gateway}. */
export interface GatewayOptions {
  /** Maps names to upstreams. A name has 1 to 64 of the characters `A-Z a-z 0-9 _ - .`. */
  readonly upstreams?: Readonly<Record<string, Upstream>>;
  /**
   * Separates an upstream's name from the name of its tool or prompt. No upstream's name may
   * contain it.
   *
   * @default {"__"}
   */
  readonly separator?: string;
  /**
   * Sets the gateway's own name and version.
   *
   * @default {{ name: "mooring-gateway", version: "1.0.0" }}
   */
  readonly info?: Implementation;
  /** Tells the model how to use the gateway; by default the upstreams' instructions, combined. */
  readonly instructions?: string;
  /**
   * Chooses what 2026 clients, which have no session, share: `"principal"` keeps one upstream session for
   * each principal and upstream, whose state all clients of the principal share; `"request"` opens
   * upstream sessions for every request, and ends them with it. Without authentication, requests from this
   * machine share by the client's name, and others share nothing.
   *
   * @default {"principal"}
   */
  readonly stateless?: "request" | "principal";
  /**
   * Chooses what a client's session does after a restart, with a store that keeps it, such as
   * `sqliteStore`: `"restore"` goes on, and the next call opens upstream sessions anew, which know nothing
   * of what was done in those before; `"end"` ends it, with a 404 that makes its client begin another one.
   *
   * @default {"restore"}
   */
  readonly onRestart?: "restore" | "end";
  /**
   * Limits the time to open an upstream session, in milliseconds.
   *
   * @default {30000}
   */
  readonly openTimeoutMs?: number;
  /**
   * Limits how long a new upstream session or program waits, at one of their limits, for another one
   * to end, in milliseconds.
   *
   * @default {2000}
   */
  readonly startWaitMs?: number;
  /**
   * Limits the time to end an upstream session, in milliseconds. After twice as long it is abandoned.
   *
   * @default {5000}
   */
  readonly closeTimeoutMs?: number;
  /**
   * Sets how long an upstream session may be idle, in milliseconds, before it is probed on reuse.
   *
   * @default {60000}
   */
  readonly probeAfterMs?: number;
  /**
   * Limits the time for each request of a probe, in milliseconds.
   *
   * @default {5000}
   */
  readonly probeTimeoutMs?: number;
  /**
   * Limits how long a request for a list, `initialize` or `server/discover` waits for an upstream, in
   * milliseconds. What isn't there by then is left out; the next request gets it, and sessions are
   * sent `list_changed`. An upstream that is served alone is waited for as long as `listTimeoutMs`, and
   * a program besides for its start.
   *
   * @default {2000}
   */
  readonly listWaitMs?: number;
  /**
   * Limits the time to fetch one list of one upstream with all its pages, in milliseconds.
   *
   * @default {10000}
   */
  readonly listTimeoutMs?: number;
  /**
   * Sets how long an upstream that failed isn't asked for its list again, in milliseconds. Lists omit
   * it meanwhile.
   *
   * @default {10000}
   */
  readonly listRetryMs?: number;
  /**
   * Limits how long a call of a 2026 client is held until the client answers a question, in
   * milliseconds. Use the value of the handler's `requests.askTimeoutMs`.
   *
   * @default {300000}
   */
  readonly askTimeoutMs?: number;
  /**
   * Keeps a task and its result, in milliseconds from its creation. What still runs then is cancelled.
   *
   * @default {900000}
   */
  readonly taskTtlMs?: number;
  /**
   * Sets how long a 2026 principal's unused upstream sessions are kept, in milliseconds.
   *
   * @default {300000}
   */
  readonly principalIdleMs?: number;
  /**
   * Limits the age of a 2026 principal's upstream sessions, in milliseconds. They end then, whatever runs in them, and the next request opens new ones.
   *
   * @default {14400000}
   */
  readonly principalAbsoluteMs?: number;
  /**
   * Sets how long lists are cached for which no `list_changed` will come, in milliseconds: those of
   * 2026 clients, and of upstreams that don't send it. 0 turns the cache off. A list that comes too
   * late for its request is kept for a minute.
   *
   * @default {5000}
   */
  readonly listCacheMs?: number;
  /**
   * Functions that wrap every request to an upstream, the first outermost: see
   * {@linkcode UpstreamMiddleware}.
   */
  readonly middleware?: readonly UpstreamMiddleware[];
  /** Who may use what of which upstream, and how it is shown; everybody everything by default. */
  readonly policy?: GatewayPolicy;
  /** Bounds what the gateway keeps. */
  readonly limits?: GatewayLimits;
  /** Provides the time; the system clock by default. */
  readonly clock?: Clock;
}

/** {@linkcode GatewayOptions} with the defaults filled in. */
export type GatewaySettings =
  & Required<
    Omit<GatewayOptions, "upstreams" | "limits" | "instructions" | "middleware" | "policy">
  >
  & {
    /** The policy, which may be replaced. */
    readonly policies: Policies;
    readonly limits: Required<GatewayLimits>;
    readonly instructions: string | undefined;
    readonly middleware: readonly UpstreamMiddleware[] | undefined;
  };

const TIMES = {
  openTimeoutMs: 30_000,
  startWaitMs: 2000,
  closeTimeoutMs: 5000,
  probeAfterMs: 60_000,
  probeTimeoutMs: 5000,
  listWaitMs: 2000,
  listTimeoutMs: 10_000,
  listRetryMs: 10_000,
  askTimeoutMs: 300_000,
  taskTtlMs: 900_000,
  principalIdleMs: 300_000,
  principalAbsoluteMs: 14_400_000,
  listCacheMs: 5000,
} as const;

const LIMITS: Required<GatewayLimits> = {
  upstreams: 100,
  listEntries: 5000,
  listBytes: 4_194_304,
  listPages: 100,
  held: 1000,
  heldPerPrincipal: 20,
  tasks: 1000,
  tasksPerPrincipal: 100,
  principals: 1000,
  subscriptions: 100,
  upstreamSessions: 10_000,
  upstreamSessionsPerPrincipal: 1000,
  programs: 256,
  programsPerPrincipal: 64,
};

/**
 * Checks options and fills in the defaults.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function checkOptions(options: GatewayOptions): GatewaySettings {
  checkNames("gateway()", options, {
    upstreams: true,
    separator: true,
    info: true,
    instructions: true,
    stateless: true,
    onRestart: true,
    openTimeoutMs: true,
    startWaitMs: true,
    closeTimeoutMs: true,
    probeAfterMs: true,
    probeTimeoutMs: true,
    listWaitMs: true,
    listTimeoutMs: true,
    listRetryMs: true,
    askTimeoutMs: true,
    taskTtlMs: true,
    principalIdleMs: true,
    principalAbsoluteMs: true,
    listCacheMs: true,
    middleware: true,
    policy: true,
    limits: true,
    clock: true,
  });
  checkNames("gateway()", options.limits, {
    upstreams: true,
    listEntries: true,
    listBytes: true,
    listPages: true,
    held: true,
    heldPerPrincipal: true,
    tasks: true,
    tasksPerPrincipal: true,
    principals: true,
    subscriptions: true,
    upstreamSessions: true,
    upstreamSessionsPerPrincipal: true,
    programs: true,
    programsPerPrincipal: true,
  }, "limits.");
  const {
    separator = "__",
    info = { name: "mooring-gateway", version: "1.0.0" },
    instructions,
    stateless = "principal",
    onRestart = "restore",
    clock = systemClock,
  } = options;
  if (typeof separator !== "string" || !/^[A-Za-z0-9_.-]{1,8}$/.test(separator)) {
    throw new TypeError(`Give 1 to 8 of A-Z a-z 0-9 _ - . as "separator": ${String(separator)}`);
  }
  if (typeof info?.name !== "string" || typeof info.version !== "string") {
    throw new TypeError(`Give a name and a version as "info": ${JSON.stringify(info)}`);
  }
  if (instructions !== undefined && typeof instructions !== "string") {
    throw new TypeError(`Give a string as "instructions": ${typeof instructions}`);
  }
  if (stateless !== "request" && stateless !== "principal") {
    throw new TypeError(`Give "request" or "principal" as "stateless": ${String(stateless)}`);
  }
  if (onRestart !== "restore" && onRestart !== "end") {
    throw new TypeError(`Give "restore" or "end" as "onRestart": ${String(onRestart)}`);
  }
  const times = numbers(options, TIMES, "");
  const limits = numbers(options.limits ?? {}, LIMITS, "limits.");
  const middleware = middlewareOption("middleware", options.middleware);
  const policies = new Policies(options.policy);
  const own = {
    separator,
    info: { ...info },
    instructions,
    stateless,
    onRestart,
    middleware,
    policies,
    clock,
  };
  return { ...own, ...times, limits };
}

/** Checks numbers and fills in the defaults. Only the list cache may be 0, which turns it off. */
function numbers<Key extends string>(
  given: { readonly [name in NoInfer<Key>]?: number },
  defaults: Readonly<Record<Key, number>>,
  prefix: string,
): Record<Key, number> {
  const checked: Record<Key, number> = { ...defaults };
  for (const key in defaults) {
    const min = key === "listCacheMs" ? 0 : 1;
    checked[key] = integerOption(`${prefix}${key}`, given[key], defaults[key], min);
  }
  return checked;
}
