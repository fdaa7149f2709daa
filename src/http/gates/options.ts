/**
 * The gates' options, checked and made ready once for each endpoint.
 *
 * @module
 */
import { integerOption } from "../../internal/check.ts";
import { type HostRule, parseHostRule } from "./authority.ts";
import { allowedMethods, allowedRequestHeaders } from "../cors.ts";
import { FamiliarBodies } from "./familiar.ts";
import { exactOrigins, type OriginRule, parseOriginRule } from "./origin.ts";
import type { GateOptions, RateLimiter, RequiredHeader } from "./types.ts";

/** What the gates work with. */
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
  /** The methods that are served: the value of the Allow header. */
  readonly allow: string;
  /** What a page may send: the value of the Access-Control-Allow-Headers header. */
  readonly requestHeaders: string;
  /** The header that every request must carry, its name in lower case. */
  readonly requiredHeader: RequiredHeader | undefined;
  /** What decides how many requests may pass. */
  readonly rateLimit: RateLimiter | undefined;
  /** Bodies that come again and again. */
  readonly familiar: FamiliarBodies;
  /** The most bytes in a body. */
  readonly bodyBytes: number;
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
    allow: allowedMethods(readable),
    requestHeaders: allowedRequestHeaders(requiredHeader?.name),
    requiredHeader,
    rateLimit: rateLimiterOption("rateLimit", options.rateLimit),
    familiar: new FamiliarBodies(),
    bodyBytes: integerOption("limits.bodyBytes", limits.bodyBytes, 1024 * 1024),
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
