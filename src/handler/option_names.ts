/**
 * The names of all options of a handler. One that is misspelled, or that a host can't honour, fails the
 * start: nobody may believe in a protection that isn't there.
 *
 * @module
 */
import { didYouMean } from "../internal/known_names.ts";
import { quote } from "../internal/quote.ts";
import type { EventOptions, HandlerLimits, McpHandlerOptions } from "./types.ts";
import type { LongCallOptions } from "../long_calls/options.ts";
import type { ClusterOptions, RequestOptions, SessionOptions, StreamOptions } from "./types.ts";
import type { UserStateOptions } from "./types.ts";

type EachOf<T> = { readonly [K in keyof Required<T>]: true };

/** The options that are objects, each with the names in it. */
interface Groups {
  readonly limits: EachOf<HandlerLimits>;
  readonly sessions: EachOf<SessionOptions>;
  readonly userState: EachOf<UserStateOptions>;
  readonly streams: EachOf<StreamOptions>;
  readonly requests: EachOf<RequestOptions>;
  readonly cluster: EachOf<ClusterOptions>;
  readonly events: EachOf<EventOptions>;
  readonly longCalls: EachOf<LongCallOptions>;
}

/** Options by their names, and by the names in them where they are objects. */
export type OptionNames = Readonly<Record<string, true | Readonly<Record<string, true>>>>;

/** All options. */
export const OPTION_NAMES: {
  readonly [K in keyof Required<McpHandlerOptions>]: K extends keyof Groups ? Groups[K] : true;
} = {
  path: true,
  healthPath: true,
  allowedOrigins: true,
  allowedHosts: true,
  cors: true,
  requiredHeader: true,
  rateLimit: true,
  authenticate: true,
  authorize: true,
  principalRateLimit: true,
  resource: true,
  serverCard: true,
  versions: true,
  limits: {
    bodyBytes: true,
    totalBodyBytes: true,
    bodyMs: true,
    jsonDepth: true,
    batch: true,
    sessions: true,
    sessionsPerPrincipal: true,
    eventBytes: true,
    totalEventBytes: true,
    eventBytesPerPrincipal: true,
    streams: true,
    streamsPerPrincipal: true,
    requests: true,
    requestsPerPrincipal: true,
    listens: true,
    listensPerPrincipal: true,
    resultBytes: true,
    page: true,
    subscriptions: true,
    stateBytes: true,
    longCalls: true,
    longCallsPerPrincipal: true,
    userStateBytes: true,
    userStates: true,
  },
  sessions: { idleMs: true, absoluteMs: true },
  userState: { idleMs: true },
  streams: {
    sseAfterMs: true,
    keepAliveMs: true,
    retainMs: true,
    progressHeartbeatMs: true,
    retryMs: true,
    listen: true,
    secondGet: true,
  },
  requests: { timeoutMs: true, maxTimeoutMs: true, askTimeoutMs: true, stateKeys: true },
  longCalls: { afterMs: true, ttlMs: true },
  store: true,
  cluster: { keys: true },
  middleware: true,
  events: { principalName: true, nodeName: true, address: true },
  onEvent: true,
  clock: true,
};

/**
 * Checks that options have no other names than a host honours.
 *
 * @param where What the host is, for errors: "a Worker"
 * @param honoured What it honours; all options by default
 * @param own The options of the host itself, for the proposal in an error
 * @throws {TypeError} If an option is unknown, or the host doesn't honour it
 */
export function checkOptionNames(
  options: object,
  where?: string,
  honoured: OptionNames = OPTION_NAMES,
  own: readonly string[] = [],
): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    checkName(name, honoured, OPTION_NAMES, where, "", own);
    const group = honoured[name];
    if (typeof group !== "object" || typeof value !== "object" || value === null) continue;
    const all = (OPTION_NAMES as OptionNames)[name];
    for (const [member, own] of Object.entries(value)) {
      if (own === undefined) continue;
      checkName(member, group, typeof all === "object" ? all : {}, where, `${name}.`);
    }
  }
}

function checkName(
  name: string,
  honoured: object,
  all: object,
  where: string | undefined,
  prefix = "",
  own: readonly string[] = [],
): void {
  if (Object.hasOwn(honoured, name)) return;
  if (!Object.hasOwn(all, name)) {
    const hint = didYouMean(name, [...Object.keys(honoured), ...own], prefix);
    throw new TypeError(`Unknown option ${quote(`${prefix}${name}`)}${hint}`);
  }
  throw new TypeError(`Leave out "${prefix}${name}": ${where ?? "the host"} doesn't honour it`);
}
