/**
 * Defines which sessions may use one program, or one connection, of an upstream.
 *
 * @module
 */
import { checkNames, delayOption, integerOption, quote } from "../../kit.ts";
import type { UpstreamShare } from "../types.ts";

/** Bounds on a program that several sessions use. */
export interface ShareLimits {
  /**
   * Limits the sessions that use it at a time; more are refused.
   *
   * @default {1000}
   */
  readonly sessions?: number;
  /**
   * Limits the calls that run in it at a time, up to 1000; more wait.
   *
   * @default {256}
   */
  readonly calls?: number;
  /**
   * Limits the calls of one session that run in it at a time; more wait.
   *
   * @default {32}
   */
  readonly callsPerSession?: number;
  /**
   * Limits the calls of one user that run in it at a time, in all sessions; more wait.
   *
   * @default {64}
   */
  readonly callsPerUser?: number;
  /**
   * Limits the calls of one session that wait; more are refused.
   *
   * @default {256}
   */
  readonly waitingPerSession?: number;
  /**
   * Limits how long a call waits for its turn, in milliseconds. It is refused then.
   *
   * @default {60000}
   */
  readonly waitMs?: number;
  /**
   * Sets how long it runs on after the last session that used it, in milliseconds.
   *
   * @default {30000}
   */
  readonly idleMs?: number;
}

/** Options of upstreams that several sessions may use together. */
export interface ShareOptions {
  /**
   * Chooses which sessions use one program: each its own (`"session"`), all of one user (`"user"`), or all
   * (`"all"`). With `"user"` or `"all"` only for programs whose answers don't depend on who called before.
   *
   * @default {"session"}
   */
  readonly share?: "session" | UpstreamShare;
  /** Bounds on each program that several sessions use. */
  readonly shareLimits?: ShareLimits;
}

/** {@linkcode ShareOptions}, checked. */
export interface ShareSettings {
  readonly share: UpstreamShare;
  readonly limits: Required<ShareLimits>;
}

/** The most calls that a connection has at a time. */
const MOST_CALLS = 1000;

/** The values of the option. */
const KNOWN: readonly unknown[] = ["session", "user", "all"];

/**
 * Checks the options.
 *
 * @returns `undefined` if each session has a program of its own
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function checkShare(
  where: string,
  { share = "session", shareLimits }: ShareOptions,
): ShareSettings | undefined {
  if (!KNOWN.includes(share)) {
    throw new TypeError(`Give "session", "user" or "all" as "share": ${quote(share)}`);
  }
  checkNames(where, shareLimits, {
    sessions: true,
    calls: true,
    callsPerSession: true,
    callsPerUser: true,
    waitingPerSession: true,
    waitMs: true,
    idleMs: true,
  }, "shareLimits.");
  if (share === "session") {
    if (shareLimits === undefined) return undefined;
    throw new TypeError('Give "share": "user" or "all" with "shareLimits", or leave it out');
  }
  if (shareLimits?.calls !== undefined && shareLimits.calls > MOST_CALLS) {
    throw new RangeError(`Give at most ${MOST_CALLS} as "shareLimits.calls": ${shareLimits.calls}`);
  }
  const { sessions, calls, callsPerSession, callsPerUser, waitingPerSession, waitMs, idleMs } =
    shareLimits ?? {};
  return {
    share,
    limits: {
      sessions: integerOption("shareLimits.sessions", sessions, 1000),
      calls: integerOption("shareLimits.calls", calls, 256),
      callsPerSession: integerOption("shareLimits.callsPerSession", callsPerSession, 32),
      callsPerUser: integerOption("shareLimits.callsPerUser", callsPerUser, 64),
      waitingPerSession: integerOption("shareLimits.waitingPerSession", waitingPerSession, 256),
      waitMs: delayOption("shareLimits.waitMs", waitMs, 60_000),
      idleMs: delayOption("shareLimits.idleMs", idleMs, 30_000),
    },
  };
}
