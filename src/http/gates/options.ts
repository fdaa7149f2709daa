/**
 * Defines the options of the gates, and checks them once for each endpoint.
 *
 * @module
 */
import { checkNames } from "../../internal/known_names.ts";
import { booleanOption, integerOption } from "../../internal/check.ts";
import { type HostRule, parseHostRule } from "./authority.ts";
import { exactOrigins, type OriginRule, parseOriginRule } from "./origin_rule.ts";
import type { RateLimiter } from "./rate_limit.ts";

/** A header that every request must carry. */
export interface RequiredHeader {
  /** The header's name, case-insensitive. */
  readonly name: string;
  /** The value that it must have; any when left out. */
  readonly value?: string;
}

/** The limits that the gates enforce. */
export interface GateLimits {
  /**
   * Bytes of a request's body. A larger body gets a 413.
   *
   * @default {1048576}
   */
  readonly bodyBytes?: number;
  /**
   * Bytes of all bodies whose sender is not known yet: those that are being received, and those that wait
   * for `authenticate`. Above it, the body that has been arriving for longest gets a 503. A body of at
   * most 64 KiB counts by its declared length, any other by what has arrived. At least `bodyBytes`; the
   * default is at least four times that.
   *
   * @default {67108864}
   */
  readonly totalBodyBytes?: number;
  /**
   * Time within which the whole request body must arrive, in milliseconds; later it gets a 408.
   * `Infinity` leaves the limit to the host.
   *
   * @default {30000}
   */
  readonly bodyMs?: number;
  /**
   * Levels of nesting in a request's JSON. Deeper JSON gets a 400.
   *
   * @default {64}
   */
  readonly jsonDepth?: number;
  /**
   * Messages in one batch (2025-03-26 only). A larger batch gets a 400.
   *
   * @default {100}
   */
  readonly batch?: number;
}

/** The options of the gates. */
export interface GateOptions {
  /**
   * The path to serve, with or without a slash at its end; other paths get a 404 that names it. Any path
   * when left out.
   */
  readonly path?: string;
  /**
   * A path whose GET gets a 200 with `{"status":"ok"}`, and from `close()` on a 503. Off when left out.
   */
  readonly healthPath?: string;
  /**
   * Web origins whose pages may send requests, such as `"https://app.example"`; other origins get a 403.
   * Case-insensitive. Without a port its scheme's port matches (443 for `https`); a leading dot
   * (`"https://.example.com"`) matches the domain and its subdomains; without a scheme (`"app.example"`)
   * both `http` and `https` match, at any port unless one is given.
   */
  readonly allowedOrigins?: readonly string[];
  /**
   * Host names of the endpoint, written like origins without their scheme; other hosts get a 403.
   * Without a port any port matches. Any host when left out.
   */
  readonly allowedHosts?: readonly string[];
  /**
   * Whether pages of `allowedOrigins` may read responses (CORS).
   *
   * @default {true}
   */
  readonly cors?: boolean;
  /** A header that every request must carry, by name or by name and value; others get a 403. */
  readonly requiredHeader?: string | RequiredHeader;
  /** Limits requests, after the checks of path, origin and host; a refused request gets a 429. */
  readonly rateLimit?: RateLimiter;
  /** The limits that the gates enforce. */
  readonly limits?: GateLimits;
}

/** The checked options of the gates. See {@linkcode GateOptions}. */
export interface GateSettings {
  /** The path to serve. */
  readonly path: string | undefined;
  /** The path of health checks. */
  readonly healthPath: string | undefined;
  /** Allowed origins that match without parsing. */
  readonly exactOrigins: ReadonlySet<string>;
  /** The allowed origins. */
  readonly origins: readonly OriginRule[];
  /** The allowed hosts; any if `undefined`. */
  readonly hosts: readonly HostRule[] | undefined;
  /** Whether pages of allowed origins may read responses. */
  readonly cors: boolean;
  /** The header that every request must carry, its name in lower case. */
  readonly requiredHeader: RequiredHeader | undefined;
  /** The rate limiter. */
  readonly rateLimit: RateLimiter | undefined;
  /** The most bytes in a body. */
  readonly bodyBytes: number;
  /** The most bytes in all bodies whose sender is not known yet. */
  readonly totalBodyBytes: number;
  /** The time within which a body must arrive, in milliseconds. */
  readonly bodyMs: number;
  /** The most levels in a body's JSON. */
  readonly jsonDepth: number;
  /** The most messages in a batch. */
  readonly batch: number;
}

/**
 * Returns the given rate limiter, or `undefined`.
 *
 * @throws {TypeError} If it is anything else
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
 * @throws {TypeError} If an option has the wrong type or can't be parsed
 * @throws {RangeError} If a limit is not a positive integer
 */
export function gateSettings(options: GateOptions): GateSettings {
  const { allowedOrigins, allowedHosts, limits = {} } = options;
  const path = pathOption("path", options.path);
  const healthPath = pathOption("healthPath", options.healthPath);
  if (healthPath !== undefined && healthPath === path) {
    throw new TypeError(`Give "healthPath" another path than "path": ${healthPath}`);
  }
  const cors = booleanOption("cors", options.cors, true);
  if (allowedHosts?.length === 0) {
    throw new TypeError('Name at least one host in "allowedHosts", or leave it out');
  }
  const origins = entries("allowedOrigins", allowedOrigins, parseOriginRule) ?? [];
  const requiredHeader = requiredHeaderOption(options.requiredHeader);
  const bodyBytes = integerOption("limits.bodyBytes", limits.bodyBytes, 1024 * 1024);
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
    bodyBytes,
    totalBodyBytes: integerOption(
      "limits.totalBodyBytes",
      limits.totalBodyBytes,
      Math.max(64 * 1024 * 1024, 4 * bodyBytes),
      bodyBytes,
    ),
    bodyMs: integerOption("limits.bodyMs", limits.bodyMs, 30_000),
    jsonDepth: integerOption("limits.jsonDepth", limits.jsonDepth, 64),
    batch: integerOption("limits.batch", limits.batch, 100),
  };
}

/** Normalizes a path as in URLs: in ASCII, without dot segments. */
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
  if (typeof given === "object") {
    checkNames("createMcpHandler()", given, { name: true, value: true }, "requiredHeader.");
  }
  const { name, value } = typeof given === "string" ? { name: given, value: undefined } : given;
  if (typeof name !== "string" || !TOKEN.test(name)) {
    throw new TypeError(`Give a header name as "requiredHeader": ${String(name)}`);
  }
  if (value !== undefined && typeof value !== "string") {
    throw new TypeError(`Give a string as the value of "requiredHeader": ${typeof value}`);
  }
  return { name: name.toLowerCase(), value };
}
