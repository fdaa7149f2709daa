/**
 * Sends requests to an authorization server, limited in time and in size.
 *
 * @module
 */
import { functionOption, integerOption } from "../internal/check.ts";
import type { Clock } from "../internal/clock.ts";
import type { Fetch } from "../internal/types.ts";
import { Unavailable } from "./errors.ts";

/** Options for {@linkcode boundedFetch}. */
export interface BoundedFetchOptions {
  /** Sends the requests; the global `fetch` when left out. */
  readonly fetch?: Fetch;
  /**
   * Time within which the whole response must arrive, in milliseconds.
   *
   * @default {5000}
   */
  readonly timeoutMs?: number;
}

const MAX_BYTES = 256 * 1024;
/** Replaces the server's content type, so that it can't make a library parse an unsigned JWT. */
const HEADERS = { "content-type": "application/json" };

/**
 * Wraps a `fetch` so that a broken or hostile authorization server can't exhaust time or memory. The
 * returned function resolves with a response that is already in memory, so that libraries may call its
 * `json()` and `text()`, which have no limit. Redirects are not followed: they could carry credentials
 * to another server.
 *
 * The returned function rejects with {@linkcode Unavailable} unless a response with status 200 and at
 * most 256 KiB arrives in time.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If the time is out of range
 */
export function boundedFetch(options: BoundedFetchOptions, clock: Clock): Fetch {
  const send = functionOption("fetch", options.fetch) ?? ((url, init) => fetch(url, init));
  const timeoutMs = integerOption("timeoutMs", options.timeoutMs, 5_000);
  return async (url, init) => {
    const controller = new AbortController();
    const { signal } = controller;
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    const stop = clock.timer(timeoutMs, () => {
      controller.abort(new Error(`No response within ${timeoutMs} ms`));
    });
    try {
      const response = readResponse(send(url, { ...init, redirect: "manual", signal }));
      // A custom `fetch` may ignore the signal.
      return await Promise.race([aborted, response]);
    } catch (cause) {
      throw requestFailure("The request to the authorization server failed", url, cause);
    } finally {
      stop();
    }
  };
}

/**
 * Creates the error for a request that failed. Its cause, which is only reported to `onEvent`, names the URL
 * without its query, which could hold a secret.
 */
export function requestFailure(problem: string, url: string, cause?: unknown): Unavailable {
  const { origin, pathname } = new URL(url);
  const error = new Error(`${problem}: ${origin}${pathname}`, { cause });
  return new Unavailable(undefined, { cause: error });
}

async function readResponse(pending: Promise<Response>): Promise<Response> {
  const { status, body } = await pending;
  if (status !== 200) {
    await body?.cancel();
    throw new Error(`Expected status 200: ${status}`);
  }
  return new Response(await readText(body), { headers: HEADERS });
}

async function readText(body: Response["body"]): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new Error(`Expected a body of at most ${MAX_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
