/**
 * Hides headers whose name has an underscore. Code that treats `-` and `_` as equal, as CGI does, would
 * take a forged `x_user` for the `x-user` that a trusted proxy sets. `Mcp-Param-…` headers stay visible:
 * they are compared with the body.
 *
 * @module
 */

import type { RequestHead } from "../http/inbound.ts";

/** A view of headers that are read one at a time, without those whose name has an underscore. */
class VisibleHeaders {
  readonly #headers: RequestHead["headers"];

  constructor(headers: RequestHead["headers"]) {
    this.#headers = headers;
  }

  get(name: string): string | null {
    return isHiddenHeader(name) ? null : this.#headers.get(name);
  }

  has(name: string): boolean {
    return !isHiddenHeader(name) && this.#headers.has(name);
  }
}

/** A view of all headers, without those whose name has an underscore. */
class HyphenHeaders extends VisibleHeaders implements Headers {
  readonly #headers: Headers;

  constructor(headers: Headers) {
    super(headers);
    this.#headers = headers;
  }

  getSetCookie(): string[] {
    return this.#headers.getSetCookie();
  }

  append(name: string, value: string): void {
    this.#headers.append(name, value);
  }

  set(name: string, value: string): void {
    this.#headers.set(name, value);
  }

  delete(name: string): void {
    this.#headers.delete(name);
  }

  forEach(
    callback: (value: string, key: string, parent: this) => void,
    thisArg?: unknown,
  ): void {
    for (const [name, value] of this.entries()) callback.call(thisArg, value, name, this);
  }

  *entries(): IterableIterator<[string, string]> {
    for (const entry of this.#headers) if (!isHiddenHeader(entry[0])) yield entry;
  }

  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }

  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): IterableIterator<[string, string]> {
    return this.entries();
  }
}

/** Returns the given object, so that a subclass defines its fields on that object. */
class ExistingObject {
  constructor(object: object) {
    return object;
  }
}

/**
 * Replaces the `headers` of a request with a view. Defining a class field is about ten times as fast as
 * `Object.defineProperty`.
 */
class RequestWithHeaderView extends ExistingObject {
  readonly headers: Headers;

  constructor(request: Request) {
    const { headers } = request;
    super(request);
    this.headers = new HyphenHeaders(headers);
  }
}

/**
 * Hides the headers of a request whose name has an underscore, when read, iterated or copied. Returns
 * the same object, since hosts identify requests by their object. Uses a view because iterating over all
 * headers of each request would be slow.
 *
 * A `clone()` of the request has all headers.
 */
export function dropUnderscoreHeaders(request: Request): Request {
  if (!(request.headers instanceof HyphenHeaders)) new RequestWithHeaderView(request);
  return request;
}

/** The head of a request, which reads the URL only if it is asked for. */
class VisibleHead implements RequestHead {
  readonly headers: RequestHead["headers"];
  readonly #head: RequestHead;

  constructor(head: RequestHead) {
    this.#head = head;
    this.headers = new VisibleHeaders(head.headers);
  }

  get method(): string {
    return this.#head.method;
  }

  get url(): string {
    return this.#head.url;
  }
}

/** Returns the head of a request with the same headers hidden. Leaves the request as it is. */
export function visibleHead(head: RequestHead): RequestHead {
  return new VisibleHead(head);
}

/** Matches headers that stay visible: a tool's arguments may have any name. */
const PARAM_HEADER = /^mcp-param-/i;

/** Tells whether a header is hidden from applications. */
export function isHiddenHeader(name: string): boolean {
  const text = typeof name === "string" ? name : String(name);
  return text.includes("_") && !PARAM_HEADER.test(text);
}
