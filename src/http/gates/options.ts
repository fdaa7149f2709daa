/**
 * The options of the gates, and their checked form, made once for each endpoint.
 *
 * @module
 */
import { integerOption } from "../../internal/check.ts";
import { type HostRule, parseHostRule } from "./authority.ts";
import { exactOrigins, type OriginRule, parseOriginRule } from "./origin_rule.ts";
import type { RateLimiter } from "./rate_limit.ts";

/** A header that every request must carry. */
export interface RequiredHeader {
  /** Its name; case doesn't matter. */
  readonly name: string;
  /** The value it must have; any when left out. */
  readonly value?: string;
}

/** The limits that the gates keep. */
export interface GateLimits {
  /**
   * Bytes of a request's body.
   *
   * @default {1048576}
   */
  readonly bodyBytes?: number;
  /**
   * How long a whole request body may take to arrive, in milliseconds. `Infinity` leaves that to the
   * host.
   *
   * @default {30000}
   */
  readonly bodyMs?: number;
  /**
   * Levels of nesting in a request's JSON.
   *
   * @default {64}
   */
  readonly jsonDepth?: number;
  /**
   * Messages in one batch (2025-03-26 only).
   *
   * @default {100}
   */
  readonly batch?: number;
}

/** The options of the gates. */
export interface GateOptions {
  /** The one path that is served; others get a 404. Any path when left out. */
  readonly path?: string;
  /** A path whose GET always answers 200 with `{"status":"ok"}`. Off when left out. */
  readonly healthPath?: string;
  /**
   * Web origins whose pages may call, such as `"https://app.example"`. Case doesn't matter; without
   * a port any port matches; a leading dot (`"https://.example.com"`) means the domain and everything
   * below it; without a scheme (`"app.example"`) both `http` and `https` match.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Host names that the endpoint is reached under, written like origins without their scheme; without a
   * port any port matches. Any host when left out.
   */
  readonly allowedHosts?: readonly string[];
  /**
   * Whether pages of `allowedOrigins` may read the answers (CORS).
   *
   * @default {true}
   */
  readonly cors?: boolean;
  /** A header that every request must carry: its name, or its name and value. */
  readonly requiredHeader?: string | RequiredHeader;
  /** Limits requests before anything else of them is looked at; a refusal is a 429. */
  readonly rateLimit?: RateLimiter;
  /** The limits that the gates keep. */
  readonly limits?: GateLimits;
}

/** The checked options of the gates. */
export interface GateSettings {
  /** The one path that is served. */
  readonly path: string | undefined;
  /** The path whose GET always answers. */
  readonly healthPath: string | undefined;
  /** Allowed origins that need no parsing. */
  readonly exactOrigins: ReadonlySet<string>;
  /** The allowed origins. */
  readonly origins: readonly OriginRule[];
  /** The allowed hosts; any when `undefined`. */
  readonly hosts: readonly HostRule[] | undefined;
  /** Whether pages of other origins may read the answers. */
  readonly cors: boolean;
  /** The header that every request must carry, its name in lower case. */
  readonly requiredHeader: RequiredHeader | undefined;
  /** What decides how many requests may pass. */
  readonly rateLimit: RateLimiter | undefined;
  /** The most bytes in a body. */
  readonly bodyBytes: number;
  /** How long a body may take to arrive, in milliseconds. */
  readonly bodyMs: number;
  /** The most levels in a body's JSON. */
  readonly jsonDepth: number;
  /** The most messages in a batch. */
  readonly batch: number;
}

/**
 * A limiter, if one is given.
 *
 * @throws {TypeError} If it is none
 */
export function rateLimiterOption(
  name: string,
  given: RateLimiter | undefined,
): RateLimiter | undefined {
  if (given === undefined || typeof given?.check === "function") return given;
  throw new TypeError(`Give an object with a function "check" as "${name}"`);
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/**
 * Checks the options.
 *
 * @throws {TypeError} If an option has the wrong type or cannot be read
 * @throws {RangeError} If a limit is no positive integer
 */
export function gateSettings(options: GateOptions): GateSettings {
  const { allowedOrigins, allowedHosts, cors = true, limits = {} } = options;
  const path = pathOption("path", options.path);
  const healthPath = pathOption("healthPath", options.healthPath);
  if (healthPath !== undefined && healthPath === path) {
    throw new TypeError(`Give "healthPath" another path than "path": ${healthPath}`);
  }
  if (typeof cors !== "boolean") throw new TypeError(`Give a boolean as "cors": ${typeof cors}`);
  if (allowedHosts?.length === 0) {
    throw new TypeError('Name at least one host in "allowedHosts", or leave it out');
  }
  const origins = entries("allowedOrigins", allowedOrigins, parseOriginRule) ?? [];
  const requiredHeader = requiredHeaderOption(options.requiredHeader);
  const readable = cors && allowedOrigins !== undefined;
  return {
    path,
    healthPath,
    exactOrigins: exactOrigins(origins),
    origins,
    hosts: entries("allowedHosts", allowedHosts, parseHostRule),
    cors: readable,
    requiredHeader,
    rateLimit: rateLimiterOption("rateLimit", options.rateLimit),
    bodyBytes: integerOption("limits.bodyBytes", limits.bodyBytes, 1024 * 1024),
    bodyMs: integerOption("limits.bodyMs", limits.bodyMs, 30_000),
    jsonDepth: integerOption("limits.jsonDepth", limits.jsonDepth, 64),
    batch: integerOption("limits.batch", limits.batch, 100),
  };
}

/** A path as it stands in URLs: in ASCII, without dot segments. */
function pathOption(name: string, path: string | undefined): string | undefined {
  if (path === undefined) return undefined;
  if (typeof path !== "string" || !path.startsWith("/") || /[?#]/.test(path)) {
    throw new TypeError(`Give a path that begins with "/" as "${name}": ${path}`);
  }
  return new URL(`http://localhost${path}`).pathname;
}

function entries<T>(
  name: string,
  given: readonly string[] | undefined,
  parse: (entry: string) => T | undefined,
): readonly T[] | undefined {
  if (given === undefined) return undefined;
  if (!Array.isArray(given)) throw new TypeError(`Give an array as "${name}": ${typeof given}`);
  return given.map((entry: unknown) => {
    const parsed = typeof entry === "string" ? parse(entry) : undefined;
    if (parsed !== undefined) return parsed;
    const form = name === "allowedOrigins" ? "https://app.example" : "app.example";
    throw new TypeError(`Write each entry of "${name}" like "${form}": ${String(entry)}`);
  });
}

function requiredHeaderOption(given: GateOptions["requiredHeader"]): RequiredHeader | undefined {
  if (given === undefined) return undefined;
  const { name, value } = typeof given === "string" ? { name: given, value: undefined } : given;
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw new TypeError(`Give a header's name as "requiredHeader": ${String(name)}`);
  }
  if (value !== undefined && typeof value !== "string") {
    throw new TypeError(`Give a text as the value of "requiredHeader": ${typeof value}`);
  }
  return { name: name.toLowerCase(), value };
}
