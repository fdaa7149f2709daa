/**
 * Checks a handler's options and fills in the defaults, in the form that each component needs.
 *
 * @module
 */
import type { Authorize } from "../auth/authorize.ts";
import type { CallSettings } from "../calls/calls.ts";
import { chainOf, middlewareOption } from "../calls/middleware/middleware.ts";
import type { StoreSettings } from "../cluster/types.ts";
import { type GateSettings, gateSettings, rateLimiterOption } from "../http/gates/options.ts";
import { booleanOption, functionOption, integerOption, keysOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { McpEvent } from "../protocol/events.ts";
import { fullAddress, shortAddress } from "../http/sender_address.ts";
import type { NameAddress, NamePrincipal } from "../protocol/reporter.ts";
import { type Era, isVersion, type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { STATE_BYTES } from "../sessions/state_values.ts";
import type { OwnedRecords } from "../sessions/owned_values.ts";
import type { StreamSettings } from "../streams/streams.ts";
import { type LongCallSettings, longCallSettings } from "../long_calls/options.ts";
import { checkOptionNames } from "./option_names.ts";
import type { McpHandlerOptions } from "./types.ts";

/** The checked options of a handler. */
export interface HandlerSettings {
  readonly gates: GateSettings;
  readonly authenticate: McpHandlerOptions["authenticate"];
  readonly authorize: Authorize | undefined;
  readonly principalRateLimit: McpHandlerOptions["principalRateLimit"];
  readonly resource: McpHandlerOptions["resource"];
  readonly serverCard: McpHandlerOptions["serverCard"];
  /** The served versions, newest first. */
  readonly versions: readonly ProtocolVersion[];
  readonly calls: CallSettings;
  /** Options for calls that run long; `undefined` if they are answered like others. */
  readonly longCalls: LongCallSettings | undefined;
  readonly streams: StreamSettings;
  /** The options of 2026 subscriptions. */
  readonly listen: {
    readonly enabled: boolean;
    readonly most: number;
    readonly mostPerPrincipal: number;
    readonly mostResources: number;
  };
  /** Whether 2025 clients get sessions. */
  readonly sessionful: boolean;
  /** The effect of a second GET stream of a session on the first. */
  readonly secondGet: "replace" | "reject";
  /** The maximum number of resources that one session may be subscribed to. */
  readonly mostSubscriptions: number;
  /** The maximum number of bytes of the state of one session. */
  readonly stateBytes: number;
  /** The limits of users' state. */
  readonly users: {
    /** The maximum number of bytes of each user. */
    readonly bytes: number;
    /** The maximum number of users. */
    readonly most: number;
    /** The time without use after which it is deleted, in milliseconds. */
    readonly idleMs: number;
  };
  /** Keeps the state of users, and answers; the store does, or this process, when left out. */
  readonly ownedRecords?: OwnedRecords | undefined;
  /** Secrets that encrypt the state of 2026 requests; empty for a random one. */
  readonly stateKeys: readonly (string | Uint8Array)[];
  /** The store, if other handlers may use it. */
  readonly store: McpHandlerOptions["store"];
  readonly storeSettings: StoreSettings;
  /** Whether other handlers may use the store: its sessions then outlive the handler. */
  readonly shared: boolean;
  /** Secrets that sign messages between nodes, if other processes may use the store. */
  readonly nodeKeys: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  readonly onEvent: ((event: McpEvent) => void) | undefined;
  /** Called with errors alone, by the adapter's log. */
  readonly onError?: ((event: McpEvent) => void) | undefined;
  /** Returns the name of a principal in events; its id when left out. */
  readonly principalName: NamePrincipal | undefined;
  /** Returns the sender's address in refusals; none when left out. */
  readonly address: NameAddress | undefined;
  /** The node's name in events. */
  readonly nodeName: string | undefined;
}

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const MIB = 1024 * 1024;
/** The least share of `limits.requests` that a principal has by default. */
const LEAST_REQUESTS = 10;

/** Lists the served versions of an era, newest first. */
export function versionsOfEra(
  versions: readonly ProtocolVersion[],
  era: Era,
): readonly ProtocolVersion[] {
  return versions.filter((version) => VERSIONS[version].era === era);
}

/**
 * Checks the options.
 *
 * @param eras The eras that can be served
 * @throws {TypeError} If an option is unknown or has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function settingsOf(
  options: McpHandlerOptions,
  eras: Readonly<Partial<Record<Era, unknown>>>,
): HandlerSettings {
  checkOptionNames(options);
  const { limits = {}, requests = {}, streams = {}, clock = systemClock } = options;
  const versions = versionsOf(options.versions, eras);
  const authorize = functionOption("authorize", options.authorize);
  const resource = resourceOption(options.resource);
  const nodeKeys = nodeKeysOf(options);
  const stored = storeSettings(options, clock, nodeKeys);
  const mostSubscriptions = integerOption("limits.subscriptions", limits.subscriptions, 100, 0);
  return {
    gates: gateSettings(options),
    authenticate: functionOption("authenticate", options.authenticate),
    authorize,
    principalRateLimit: rateLimiterOption("principalRateLimit", options.principalRateLimit),
    resource,
    serverCard: serverCardOption(options.serverCard),
    versions,
    longCalls: longCallSettings(
      options.longCalls,
      longCallLimits(options),
      integerOption("limits.resultBytes", limits.resultBytes, 4 * MIB),
    ),
    calls: {
      ...callSettings(options),
      handOver: undefined,
      versions,
      authorize,
      challenge: resource?.challenge,
      middleware: chainOf(middlewareOption("middleware", options.middleware)),
    },
    streams: {
      most: integerOption("limits.streams", limits.streams, 1_000, 0),
      mostPerPrincipal: integerOption(
        "limits.streamsPerPrincipal",
        limits.streamsPerPrincipal,
        100,
        0,
      ),
      keepAliveMs: integerOption("streams.keepAliveMs", streams.keepAliveMs, 15_000),
      retryMs: retryOption(options),
      bufferBytes: stored.log.eventBytes,
    },
    listen: {
      enabled: booleanOption("streams.listen", streams.listen, true),
      most: integerOption("limits.listens", limits.listens, 1_000, 0),
      mostPerPrincipal: integerOption(
        "limits.listensPerPrincipal",
        limits.listensPerPrincipal,
        50,
        0,
      ),
      mostResources: mostSubscriptions,
    },
    sessionful: options.sessions !== false,
    secondGet: secondGetOption(streams.secondGet),
    mostSubscriptions,
    stateBytes: integerOption("limits.stateBytes", limits.stateBytes, STATE_BYTES, 0),
    users: {
      bytes: integerOption("limits.userStateBytes", limits.userStateBytes, STATE_BYTES, 0),
      most: integerOption(
        "limits.userStates",
        limits.userStates,
        options.store?.shared === true ? 1_000_000 : 10_000,
      ),
      idleMs: integerOption("userState.idleMs", options.userState?.idleMs, 30 * DAY),
    },
    stateKeys: keysOption("requests.stateKeys", requests.stateKeys ?? []),
    store: storeOption(options.store),
    storeSettings: stored,
    shared: options.store !== undefined,
    nodeKeys,
    clock: clockOption(clock),
    onEvent: functionOption("onEvent", options.onEvent),
    principalName: functionOption("events.principalName", options.events?.principalName),
    address: addressOption(options.events?.address),
    nodeName: nodeNameOption(options.events?.nodeName),
  };
}

function callSettings(
  { limits = {}, requests = {}, streams = {}, ...options }: McpHandlerOptions,
): Omit<CallSettings, "versions" | "authorize" | "challenge" | "middleware" | "handOver"> {
  const most = integerOption("limits.requests", limits.requests, 1_000);
  // Without authentication everybody is one principal, whose share is all.
  const share = options.authenticate === undefined
    ? Infinity
    : Math.min(most, Math.max(LEAST_REQUESTS, Math.ceil(most / 10)));
  return {
    most,
    mostPerPrincipal: integerOption(
      "limits.requestsPerPrincipal",
      limits.requestsPerPrincipal,
      share,
    ),
    sseAfterMs: integerOption("streams.sseAfterMs", streams.sseAfterMs, 1_000, 0),
    progressHeartbeatMs: integerOption(
      "streams.progressHeartbeatMs",
      streams.progressHeartbeatMs,
      2_000,
      0,
    ),
    retryMs: retryOption({ streams, ...options }),
    timeoutMs: integerOption("requests.timeoutMs", requests.timeoutMs, 0, 0),
    maxTimeoutMs: integerOption("requests.maxTimeoutMs", requests.maxTimeoutMs, 0, 0),
    askTimeoutMs: integerOption("requests.askTimeoutMs", requests.askTimeoutMs, 5 * MINUTE),
    resultBytes: integerOption("limits.resultBytes", limits.resultBytes, 4 * MIB),
    page: integerOption("limits.page", limits.page, 100),
  };
}

function longCallLimits({ limits = {}, authenticate }: McpHandlerOptions) {
  const all = integerOption("limits.longCalls", limits.longCalls, 1_000, 0);
  const share = authenticate === undefined
    ? all
    : Math.min(all, Math.max(LEAST_REQUESTS, Math.ceil(all / 10)));
  const { longCallsPerPrincipal: given } = limits;
  return { all, each: integerOption("limits.longCallsPerPrincipal", given, share, 0) };
}

function retryOption({ streams }: McpHandlerOptions): number {
  return integerOption("streams.retryMs", streams?.retryMs, 1_000, 0);
}

function storeOption(given: McpHandlerOptions["store"]): McpHandlerOptions["store"] {
  if (given === undefined || typeof given?.open === "function") return given;
  throw new TypeError('Give what memoryStore() or redisStore() returns as "store"');
}

function clockOption(clock: Clock): Clock {
  if (typeof clock?.now === "function" && typeof clock.timer === "function") return clock;
  throw new TypeError('Give an object with functions "now" and "timer" as "clock"');
}

function secondGetOption(value: "replace" | "reject" = "replace"): "replace" | "reject" {
  if (value === "replace" || value === "reject") return value;
  throw new TypeError(`Give "replace" or "reject" as "streams.secondGet": ${String(value)}`);
}

function resourceOption(given: McpHandlerOptions["resource"]): McpHandlerOptions["resource"] {
  if (given === undefined || typeof given?.reply === "function") return given;
  throw new TypeError('Give what protectedResource() returns as "resource"');
}

function serverCardOption(given: McpHandlerOptions["serverCard"]): McpHandlerOptions["serverCard"] {
  if (given === undefined || typeof given?.reply === "function") return given;
  throw new TypeError('Give what serverCard() returns as "serverCard"');
}

function storeSettings(
  options: McpHandlerOptions,
  clock: Clock,
  keys: HandlerSettings["nodeKeys"],
): StoreSettings {
  const { limits = {}, streams = {} } = options;
  const totalBytes = integerOption("limits.totalEventBytes", limits.totalEventBytes, 64 * MIB);
  const sessions = options.sessions || {};
  return {
    clock,
    keys,
    caps: {
      sessions: integerOption("limits.sessions", limits.sessions, 10_000),
      sessionsPerPrincipal: integerOption(
        "limits.sessionsPerPrincipal",
        limits.sessionsPerPrincipal,
        1_000,
      ),
    },
    lifetimes: {
      idleMs: integerOption("sessions.idleMs", sessions.idleMs, 30 * MINUTE),
      absoluteMs: integerOption("sessions.absoluteMs", sessions.absoluteMs, 240 * MINUTE),
    },
    log: {
      events: 256,
      eventBytes: integerOption("limits.eventBytes", limits.eventBytes, MIB),
      retainMs: integerOption("streams.retainMs", streams.retainMs, MINUTE, 0),
    },
    eventBudget: {
      totalBytes,
      bytesPerPrincipal: integerOption(
        "limits.eventBytesPerPrincipal",
        limits.eventBytesPerPrincipal,
        // Without authentication everybody is one principal, whose share is all.
        options.authenticate === undefined ? totalBytes : Math.ceil(totalBytes / 4),
      ),
    },
  };
}

/** Returns the served versions, newest first. */
function versionsOf(
  given: readonly ProtocolVersion[] | undefined,
  eras: Readonly<Partial<Record<Era, unknown>>>,
): readonly ProtocolVersion[] {
  const known = Object.keys(VERSIONS).filter(isVersion)
    .filter((version) => eras[VERSIONS[version].era] !== undefined);
  for (const version of given ?? []) {
    if (known.includes(version)) continue;
    throw new RangeError(`Give versions out of ${known.join(", ")} as "versions": ${version}`);
  }
  const served = known.filter((version) => given?.includes(version) ?? true);
  if (served.length === 0) throw new RangeError('Give at least one version as "versions"');
  return served;
}

/** Returns the keys that nodes sign with; required if other processes may use the store. */
function nodeKeysOf({ store, cluster, requests }: McpHandlerOptions): HandlerSettings["nodeKeys"] {
  const keys = keysOption("cluster.keys", cluster?.keys ?? []);
  if (store?.shared !== true) return undefined;
  const { stateKeys = [] } = requests ?? {};
  if (stateKeys.length > 0) return keys.length > 0 ? keys : stateKeys;
  throw new TypeError('Give "requests.stateKeys", the same for all handlers that share the store');
}

/** The characters of a node's name. */
const MOST_NODE_NAME = 100;

/** Checks the option `events.nodeName`. */
function nodeNameOption(name: unknown): string | undefined {
  if (name === undefined) return undefined;
  if (typeof name !== "string" || name === "" || name.length > MOST_NODE_NAME) {
    throw new TypeError(`Give 1 to ${MOST_NODE_NAME} characters as "events.nodeName"`);
  }
  return name;
}

/** Returns the function of the option `events.address`. */
function addressOption(
  address: NonNullable<McpHandlerOptions["events"]>["address"] = "full",
): NameAddress | undefined {
  switch (address) {
    case "full":
      return fullAddress;
    case "short":
      return shortAddress;
    case "none":
      return undefined;
  }
  if (typeof address === "function") return (found, request) => address(found, request());
  throw new TypeError(
    `Give "full", "short", "none" or a function as "events.address": ${String(address)}`,
  );
}
