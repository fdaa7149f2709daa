/**
 * A handler's options, checked and with their defaults.
 *
 * @module
 */
import { functionOption, integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import { memoryStore } from "../cluster/memory_store.ts";
import type { StoreSettings } from "../cluster/types.ts";
import { type GateSettings, gateSettings, rateLimiterOption } from "../http/gates/options.ts";
import type { McpEvent } from "../protocol/events.ts";
import { isVersion, type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import type { ClusterOptions } from "./cluster_options.ts";
import type { McpHandlerOptions, StreamOptions } from "./types.ts";

/** What a handler works with: every option checked, every default filled in. */
export interface Settings {
  readonly gates: GateSettings;
  readonly authenticate: McpHandlerOptions["authenticate"];
  readonly authorize: McpHandlerOptions["authorize"];
  readonly principalRateLimit: McpHandlerOptions["principalRateLimit"];
  readonly resource: McpHandlerOptions["resource"];
  /** Served versions, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** Served versions of the 2025 era, newest first. */
  readonly versions2025: readonly ProtocolVersion[];
  /** Whether the 2026 era is served. */
  readonly modern: boolean;
  /** `false` serves 2025 clients without sessions. */
  readonly sessions: boolean;
  readonly streams: Required<StreamOptions>;
  readonly requests: {
    readonly timeoutMs: number;
    readonly maxTimeoutMs: number;
    readonly askTimeoutMs: number;
    readonly stateKeys: readonly (string | Uint8Array)[];
  };
  readonly limits: {
    readonly bodyMs: number;
    readonly streams: number;
    readonly streamsPerPrincipal: number;
    readonly requests: number;
    readonly resultBytes: number;
    readonly page: number;
    readonly subscriptions: number;
    readonly listens: number;
    readonly listensPerPrincipal: number;
  };
  readonly store: NonNullable<McpHandlerOptions["store"]>;
  /** Whether nobody else can have the store, so that its sessions end with the handler. */
  readonly ownStore: boolean;
  readonly storeSettings: StoreSettings;
  /** Where other nodes reach this one over HTTP. */
  readonly url: string | undefined;
  /** Reaches other nodes over HTTP. */
  readonly nodeFetch: NonNullable<ClusterOptions["fetch"]>;
  /** What nodes know each other by, where other processes can have the store. */
  readonly nodeKeys: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  readonly onEvent: ((event: McpEvent) => void) | undefined;
}

const MINUTE = 60_000;

/**
 * Checks the options.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function settingsOf(options: McpHandlerOptions): Settings {
  const { limits = {}, requests = {}, clock = systemClock } = options;
  const streams = streamSettings(options.streams ?? {});
  const versions = versionsOf(options.versions);
  return {
    gates: gateSettings(options),
    authenticate: functionOption("authenticate", options.authenticate),
    authorize: functionOption("authorize", options.authorize),
    principalRateLimit: rateLimiterOption("principalRateLimit", options.principalRateLimit),
    resource: resourceOption(options.resource),
    versions,
    versions2025: versions.filter((version) => VERSIONS[version].era === "2025"),
    modern: versions.some((version) => VERSIONS[version].era === "2026"),
    sessions: options.sessions !== false,
    streams,
    requests: {
      timeoutMs: integerOption("requests.timeoutMs", requests.timeoutMs, 0, 0),
      maxTimeoutMs: integerOption("requests.maxTimeoutMs", requests.maxTimeoutMs, 0, 0),
      askTimeoutMs: integerOption("requests.askTimeoutMs", requests.askTimeoutMs, 5 * MINUTE),
      stateKeys: keysOption("requests.stateKeys", requests.stateKeys ?? []),
    },
    limits: {
      bodyMs: integerOption("limits.bodyMs", limits.bodyMs, 30_000),
      streams: integerOption("limits.streams", limits.streams, 1_000, 0),
      streamsPerPrincipal: integerOption(
        "limits.streamsPerPrincipal",
        limits.streamsPerPrincipal,
        100,
        0,
      ),
      requests: integerOption("limits.requests", limits.requests, 1_000),
      resultBytes: integerOption("limits.resultBytes", limits.resultBytes, 4 * 1024 * 1024),
      page: integerOption("limits.page", limits.page, 100),
      subscriptions: integerOption("limits.subscriptions", limits.subscriptions, 100, 0),
      listens: integerOption("limits.listens", limits.listens, 1_000, 0),
      listensPerPrincipal: integerOption(
        "limits.listensPerPrincipal",
        limits.listensPerPrincipal,
        50,
        0,
      ),
    },
    store: options.store ?? memoryStore(),
    ownStore: options.store === undefined,
    storeSettings: storeSettings(options, streams.retainMs, clock),
    url: urlOption(options.cluster?.url),
    nodeFetch: functionOption("cluster.fetch", options.cluster?.fetch) ??
      ((url, init) => fetch(url, init)),
    nodeKeys: nodeKeysOf(options),
    clock,
    onEvent: functionOption("onEvent", options.onEvent),
  };
}

function resourceOption(given: McpHandlerOptions["resource"]): McpHandlerOptions["resource"] {
  if (given === undefined || typeof given?.respond === "function") return given;
  throw new TypeError('Give what protectedResource() returns as "resource"');
}

function streamSettings(options: StreamOptions): Required<StreamOptions> {
  const { secondGet = "replace" } = options;
  if (secondGet !== "replace" && secondGet !== "reject") {
    throw new TypeError(`Give "replace" or "reject" as "streams.secondGet": ${String(secondGet)}`);
  }
  return {
    sseAfterMs: integerOption("streams.sseAfterMs", options.sseAfterMs, 1_000, 0),
    keepAliveMs: integerOption("streams.keepAliveMs", options.keepAliveMs, 15_000),
    retainMs: integerOption("streams.retainMs", options.retainMs, MINUTE, 0),
    progressHeartbeatMs: integerOption(
      "streams.progressHeartbeatMs",
      options.progressHeartbeatMs,
      2_000,
      0,
    ),
    retryMs: integerOption("streams.retryMs", options.retryMs, 1_000, 0),
    listen: options.listen !== false,
    secondGet,
  };
}

function storeSettings(options: McpHandlerOptions, retainMs: number, clock: Clock): StoreSettings {
  const { limits = {} } = options;
  const sessions = options.sessions || {};
  return {
    clock,
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
      eventBytes: integerOption("limits.eventBytes", limits.eventBytes, 1024 * 1024),
      retainMs,
    },
  };
}

/** The served versions, newest first. */
function versionsOf(given: readonly ProtocolVersion[] | undefined): readonly ProtocolVersion[] {
  const known = Object.keys(VERSIONS).filter(isVersion);
  for (const version of given ?? []) {
    if (isVersion(version)) continue;
    throw new RangeError(`Give versions out of ${known.join(", ")} as "versions": ${version}`);
  }
  const served = known.filter((version) => given?.includes(version) ?? true);
  if (served.length === 0) throw new RangeError('Give at least one version as "versions"');
  return served;
}

/** Keys so long that nobody guesses them. */
function keysOption(
  name: string,
  keys: readonly (string | Uint8Array)[],
): readonly (string | Uint8Array)[] {
  if (!Array.isArray(keys)) throw new TypeError(`Give a list of keys as "${name}": ${typeof keys}`);
  for (const key of keys) {
    if (typeof key !== "string" && !(key instanceof Uint8Array)) {
      throw new TypeError(`Give texts or bytes as "${name}"`);
    }
    if (key.length < 32) {
      throw new RangeError(`Give keys of 32 bytes or more as "${name}": ${key.length}`);
    }
  }
  return keys;
}

/** What nodes know each other by. Random keys are no good where other processes have the store. */
function nodeKeysOf({ store, cluster, requests }: McpHandlerOptions): Settings["nodeKeys"] {
  const keys = keysOption("cluster.keys", cluster?.keys ?? []);
  if (store?.shared !== true) return undefined;
  const { stateKeys = [] } = requests ?? {};
  if (stateKeys.length > 0) return keys.length > 0 ? keys : stateKeys;
  throw new TypeError('Give "requests.stateKeys", the same for all handlers that share the store');
}

function urlOption(url: string | undefined): string | undefined {
  if (url === undefined) return undefined;
  const { protocol } = URL.parse(url) ?? {};
  if (protocol === "http:" || protocol === "https:") return url;
  throw new TypeError(`Give an http: or https: URL as "cluster.url": ${url}`);
}
