/**
 * Checks of options at construction.
 *
 * @module
 */
import { isLoopback } from "../internal/loopback.ts";
import type { RequestHead } from "../http/inbound.ts";

/**
 * Returns the given string.
 *
 * @throws {TypeError} If it is not a string, or is empty
 */
export function stringOption(name: string, given: unknown): string {
  if (typeof given === "string" && given !== "") return given;
  throw new TypeError(`Give a string as "${name}": ${String(given)}`);
}

/**
 * Returns the given string or array of strings as an array.
 *
 * @throws {TypeError} If the array is empty, or an entry is not a string or is empty
 */
export function stringsOption(name: string, given: unknown): string[] {
  const list = Array.isArray(given) ? given : [given];
  if (list.length === 0) throw new TypeError(`Give at least one string as "${name}"`);
  return list.map((one) => stringOption(name, one));
}

/**
 * Returns the given URL of an authorization server, normalized.
 *
 * @throws {TypeError} If it is not an HTTP URL, has credentials, or uses plain HTTP to another machine
 * without `allowHttp`
 */
export function serverUrlOption(name: string, given: unknown, allowHttp: boolean): string {
  const url = given instanceof URL || typeof given === "string" ? URL.parse(String(given)) : null;
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) {
    throw new TypeError(`Give a URL as "${name}": ${String(given)}`);
  }
  if (url.username !== "" || url.password !== "") {
    throw new TypeError(`Leave user and password out of "${name}": ${url.host}`);
  }
  if (url.protocol === "http:" && !allowHttp && !isLoopback(url.hostname)) {
    throw new TypeError(`Use https, or set "allowHttp", for "${name}": ${url.host}`);
  }
  return url.href;
}

/**
 * Returns a function from a request to the audiences of its token.
 *
 * @throws {TypeError} If the audience is neither a string, an array of strings nor a function
 */
export function audienceOption(given: unknown): (request: RequestHead) => string[] {
  // Its type says what it returns; a wrong value is no token's audience
  if (typeof given === "function") return (request) => [given(request)];
  const audiences = stringsOption("audience", given);
  return () => audiences;
}
