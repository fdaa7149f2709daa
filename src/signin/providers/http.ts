/**
 * Requests to an identity provider, limited in time and in size.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import {
  booleanOption,
  functionOption,
  integerOption,
  isLoopback,
  type NamesOf,
  systemClock,
} from "../../kit.ts";
import { boundedText, within } from "../fetch/bounded.ts";
import { FetchError } from "../fetch/errors.ts";
import { ProviderError } from "./types.ts";

/** How the requests to a provider are sent. */
export interface ProviderHttpOptions {
  /** The time for each answer, in milliseconds. @default 10,000 */
  readonly timeoutMs?: number;
  /** Whether `http:` is let through on loopback, for development. @default false */
  readonly allowInsecure?: boolean;
  /** Sends the requests. @default the global `fetch` */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** The source of time. @default the system's */
  readonly clock?: Clock;
}

/** The names of {@linkcode ProviderHttpOptions}. */
export const HTTP_NAMES = {
  timeoutMs: true,
  allowInsecure: true,
  fetch: true,
  clock: true,
} satisfies NamesOf<ProviderHttpOptions>;

/** Sends requests to a provider. */
export interface ProviderHttp {
  /** The source of time. */
  readonly clock: Clock;
  /** Whether `http:` is let through on loopback. */
  readonly allowInsecure: boolean;
  /**
   * Sends a request. Returns a response that is in memory, of any status but a redirect.
   *
   * @throws {ProviderError} `"unavailable"` if the provider can't be reached, or has an error of its own
   */
  send(url: string, init: RequestInit, signal?: AbortSignal): Promise<Response>;
}

const MAX_BYTES = 256 * 1024;

/** Makes what sends requests to a provider. */
export function providerHttp(options: ProviderHttpOptions): ProviderHttp {
  const allowInsecure = booleanOption("allowInsecure", options.allowInsecure, false);
  const timeoutMs = integerOption("timeoutMs", options.timeoutMs, 10_000);
  const send = functionOption("fetch", options.fetch) ?? ((url, init) => fetch(url, init));
  const clock = options.clock ?? systemClock;
  return {
    clock,
    allowInsecure,
    send: async (url, init, caller) => {
      checkUrl("A URL of the provider", url, allowInsecure);
      try {
        return await within({ timeoutMs, clock, signal: caller }, async (signal) => {
          const response = await send(url, { ...init, redirect: "manual", signal });
          return await inMemory(url, response);
        });
      } catch (error) {
        if (caller?.aborted) throw caller.reason;
        if (error instanceof ProviderError) throw error;
        const invalid = error instanceof FetchError && error.reason === "invalid";
        throw failure(invalid ? "invalid" : "unavailable", "A request failed", url, error);
      }
    },
  };
}

async function inMemory(url: string, response: Response): Promise<Response> {
  const { status, headers, body } = response;
  if (status >= 500 || status === 429) {
    await body?.cancel();
    throw failure("unavailable", `An answer has status ${status}`, url);
  }
  if (status < 200 || status >= 300 && status < 400) {
    await body?.cancel();
    throw failure("invalid", `An answer redirects, with status ${status}`, url);
  }
  const text = await boundedText(body, MAX_BYTES);
  return new Response(status === 204 || status === 205 ? null : text, { status, headers });
}

/** Makes an error that names a URL without its query, which could hold a secret. */
function failure(
  reason: "unavailable" | "invalid",
  problem: string,
  url: string,
  cause?: unknown,
): ProviderError {
  const { origin, pathname } = new URL(url);
  const why = cause instanceof FetchError ? `: ${cause.message}` : "";
  return new ProviderError(reason, `${problem}: ${origin}${pathname}${why}`, { cause });
}

/**
 * Checks a URL to which secrets are sent.
 *
 * @throws {ProviderError} `"invalid"` if it isn't one of `https:`, nor an allowed one of `http:`
 */
export function checkUrl(what: string, text: string, allowInsecure: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:") return url;
  const loopback = url?.protocol === "http:" && isLoopback(url.hostname.replace(/^\[|\]$/g, ""));
  if (url !== undefined && loopback && allowInsecure) return url;
  throw new ProviderError(
    "invalid",
    `${what} must be one of https:, or on loopback with allowInsecure`,
  );
}

/**
 * Checks a URL of the options.
 *
 * @throws {TypeError} If it isn't one of `https:`, nor an allowed one of `http:`
 */
export function urlOption(name: string, value: unknown, allowInsecure = false): URL {
  if (typeof value !== "string" || !URL.canParse(value) || /[?#]/.test(value)) {
    throw new TypeError(`Give a URL without query and fragment as "${name}"`);
  }
  try {
    return checkUrl(`"${name}"`, value, allowInsecure);
  } catch (error) {
    throw new TypeError(error instanceof Error ? error.message : String(error));
  }
}
