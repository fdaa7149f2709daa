/**
 * The options of a gateway.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { type Clock, systemClock } from "../internal/clock.ts";
import type { Implementation } from "../protocol/shapes.ts";
import type { Upstream } from "./types.ts";

/** How much of everything there may be in a gateway. */
export interface GatewayLimits {
  /**
   * Upstreams.
   *
   * @default {100}
   */
  readonly upstreams?: number;
  /**
   * Entries of one list of one upstream; what is beyond them is left out, with an event.
   *
   * @default {5000}
   */
  readonly listEntries?: number;
  /**
   * Bytes of one list of one upstream, as JSON; what is beyond them is left out, with an event.
   *
   * @default {4194304}
   */
  readonly listBytes?: number;
  /**
   * Pages of one list of one upstream; what is beyond them is left out, with an event.
   *
   * @default {100}
   */
  readonly listPages?: number;
  /**
   * Calls of 2026 clients that are held while their client answers a question.
   *
   * @default {1000}
   */
  readonly held?: number;
  /**
   * Held calls of one principal.
   *
   * @default {20}
   */
  readonly heldPerPrincipal?: number;
  /**
   * Principals of the 2026 era for whom something is kept: their sessions with upstreams, with
   * `stateless: "principal"`, and what they were listed a moment ago.
   *
   * @default {1000}
   */
  readonly principals?: number;
  /**
   * Resources that one session may be subscribed to.
   *
   * @default {100}
   */
  readonly subscriptions?: number;
}

/** Options for {@linkcode gateway}. */
export interface GatewayOptions {
  /** The upstreams by their names: up to 64 of the characters `A-Z a-z 0-9 _ - .` each. */
  readonly upstreams?: Readonly<Record<string, Upstream>>;
  /**
   * What stands between an upstream's name and the name of its tool or prompt. No upstream's name may
   * hold it.
   *
   * @default {"__"}
   */
  readonly separator?: string;
  /**
   * What the gateway says of itself.
   *
   * @default {{ name: "mooring-gateway", version: "1.0.0" }}
   */
  readonly info?: Implementation;
  /** How the whole is to be used, for the model. What the upstreams say when left out. */
  readonly instructions?: string;
  /**
   * What 2026 clients, who have no session, share: `"request"` gives every request upstream sessions
   * of its own, which end with it; `"principal"` keeps one for each principal and upstream, so that
   * all programs of one principal share what is in it.
   *
   * @default {"request"}
   */
  readonly stateless?: "request" | "principal";
  /**
   * How long beginning a session with an upstream may take, in milliseconds.
   *
   * @default {30000}
   */
  readonly openTimeoutMs?: number;
  /**
   * How long ending one may take, in milliseconds; after twice as long it is left to itself.
   *
   * @default {5000}
   */
  readonly closeTimeoutMs?: number;
  /**
   * How long a session with an upstream may be idle before it is looked whether it is still there, in
   * milliseconds.
   *
   * @default {60000}
   */
  readonly probeAfterMs?: number;
  /**
   * How long each question of that look may take, in milliseconds.
   *
   * @default {5000}
   */
  readonly probeTimeoutMs?: number;
  /**
   * How long one list of one upstream may take, with all its pages, in milliseconds. Lists are given
   * without those that take longer.
   *
   * @default {10000}
   */
  readonly listTimeoutMs?: number;
  /**
   * How long a call of a 2026 client is held while the client answers a question, in milliseconds.
   * Best the same as the handler's `requests.askTimeoutMs`.
   *
   * @default {300000}
   */
  readonly askTimeoutMs?: number;
  /**
   * How long a principal's sessions are kept unused with `stateless: "principal"`, in milliseconds.
   *
   * @default {300000}
   */
  readonly principalIdleMs?: number;
  /**
   * How long lists are kept that nobody tells the changes of, in milliseconds: those of 2026 clients,
   * and of upstreams that don't say when they change.
   *
   * @default {5000}
   */
  readonly listCacheMs?: number;
  /** How much of everything there may be. */
  readonly limits?: GatewayLimits;
  /** Where the time comes from; the machine's clock when left out. */
  readonly clock?: Clock;
}

/** Options with nothing left out, except the instructions. */
export type GatewaySettings =
  & Required<Omit<GatewayOptions, "upstreams" | "limits" | "instructions">>
  & { readonly limits: Required<GatewayLimits>; readonly instructions: string | undefined };

const TIMES = {
  openTimeoutMs: 30_000,
  closeTimeoutMs: 5000,
  probeAfterMs: 60_000,
  probeTimeoutMs: 5000,
  listTimeoutMs: 10_000,
  askTimeoutMs: 300_000,
  principalIdleMs: 300_000,
  listCacheMs: 5000,
} as const;

const LIMITS: Required<GatewayLimits> = {
  upstreams: 100,
  listEntries: 5000,
  listBytes: 4_194_304,
  listPages: 100,
  held: 1000,
  heldPerPrincipal: 20,
  principals: 1000,
  subscriptions: 100,
};

/**
 * Checks options and fills in what was left out.
 *
 * @throws {TypeError} If one is of the wrong kind
 * @throws {RangeError} If a number is out of range
 */
export function checkOptions(options: GatewayOptions): GatewaySettings {
  const {
    separator = "__",
    info = { name: "mooring-gateway", version: "1.0.0" },
    instructions,
    stateless = "request",
    clock = systemClock,
  } = options;
  if (typeof separator !== "string" || !/^[A-Za-z0-9_.-]{1,8}$/.test(separator)) {
    throw new TypeError(`Give 1 to 8 of A-Z a-z 0-9 _ - . as "separator": ${String(separator)}`);
  }
  if (typeof info?.name !== "string" || typeof info.version !== "string") {
    throw new TypeError(`Give a name and a version as "info": ${JSON.stringify(info)}`);
  }
  if (instructions !== undefined && typeof instructions !== "string") {
    throw new TypeError(`Give a text as "instructions": ${typeof instructions}`);
  }
  if (stateless !== "request" && stateless !== "principal") {
    throw new TypeError(`Give "request" or "principal" as "stateless": ${String(stateless)}`);
  }
  const times = numbers(options, TIMES, "");
  const limits = numbers(options.limits ?? {}, LIMITS, "limits.");
  return { separator, info: { ...info }, instructions, stateless, clock, ...times, limits };
}

/** Numbers that were given, or the defaults. A cache of 0 ms is none; everything else needs some. */
function numbers<Key extends string>(
  given: { readonly [name in NoInfer<Key>]?: number },
  defaults: Readonly<Record<Key, number>>,
  prefix: string,
): Record<Key, number> {
  const checked: Record<Key, number> = { ...defaults };
  for (const key in defaults) {
    const least = key === "listCacheMs" ? 0 : 1;
    checked[key] = integerOption(`${prefix}${key}`, given[key], defaults[key], least);
  }
  return checked;
}
