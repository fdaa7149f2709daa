/**
 * Asks an authorization server, within bounds: of time, of bytes, and of where the question goes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { Unavailable } from "./errors.ts";

/** Sends a request: `fetch`, or something that adds to it, such as a client certificate. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** How an authorization server is asked. */
export interface Asking {
  readonly url: string;
  readonly fetch: Fetch;
  readonly clock: Clock;
  /** How long it may take, in milliseconds. */
  readonly timeoutMs: number;
}

/** How many bytes an answer may have. */
const MOST_BYTES = 256 * 1024;

/**
 * The JSON that is answered with status 200. Redirects are not followed: they could carry credentials
 * elsewhere.
 *
 * @throws {Unavailable} If there is no such answer in time
 */
export async function fetchJson(asking: Asking, init: RequestInit = {}): Promise<unknown> {
  const { url, fetch, clock, timeoutMs } = asking;
  const controller = new AbortController();
  const { signal } = controller;
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  const stop = clock.timer(timeoutMs, () => {
    controller.abort(new Error(`No answer within ${timeoutMs} ms`));
  });
  try {
    // Whatever `fetch` is, it may ignore the signal.
    return await Promise.race([late, ask(fetch, url, { redirect: "manual", ...init, signal })]);
  } catch (cause) {
    const { origin, pathname } = new URL(url);
    const error = new Error(`Could not get JSON from ${origin}${pathname}`, { cause });
    throw new Unavailable(undefined, { cause: error });
  } finally {
    stop();
  }
}

async function ask(fetch: Fetch, url: string, init: RequestInit): Promise<unknown> {
  const response = await fetch(url, init);
  if (response.status === 200) return parse(await readText(response));
  await response.body?.cancel();
  throw new Error(`The answer has status ${response.status} instead of 200`);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own error quotes the text, which nobody but the server has vouched for.
    throw new Error("The answer is no JSON");
  }
}

async function readText({ body }: Response): Promise<string> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > MOST_BYTES) throw new Error(`The answer has more than ${MOST_BYTES} bytes`);
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/**
 * The URL of an authorization server, as an option gives it.
 *
 * @throws {TypeError} If it is none, or not one of HTTPS: plain HTTP is good for loopback alone
 */
export function serverUrl(name: string, given: unknown, allowHttp: boolean): string {
  const url = given instanceof URL || typeof given === "string" ? URL.parse(String(given)) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new TypeError(`Give a URL as "${name}": ${String(given)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError(`Leave user and password out of "${name}": ${url.host}`);
  }
  if (url.protocol === "http:" && !allowHttp && !isLoopbackName(url.hostname)) {
    throw new TypeError(`Use https, or set "allowHttp", for "${name}": ${url.host}`);
  }
  return url.href;
}

function isLoopbackName(hostname: string): boolean {
  return hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" ||
    /^127(\.\d+){3}$/.test(hostname);
}
