/**
 * Responses that are made of one text, for hosts that can send a text but would have to read a stream.
 *
 * @module
 */
import { TextResponse } from "./text_response.ts";

const TEXT = Symbol("text");

/** A response of the runtime's own with the text that it was made of. */
interface Whole extends Response {
  [TEXT]?: string;
}

/** The class of responses as it was found. Hosts may put one of their own into its place at any time. */
const FOUND = Response;
/** Whether that was the runtime's own, and not one that extends it. */
const RUNTIMES_OWN = Object.getPrototypeOf(FOUND) === Function.prototype;
/**
 * Whether nobody but JavaScript ever sees a response, so that it may be of any class. Deno's class is
 * JavaScript, too, but its server looks inside.
 */
const ANY_CLASS = RUNTIMES_OWN && !("Deno" in globalThis) &&
  !Function.prototype.toString.call(FOUND).includes("[native code]");

/** Makes a response of a text. */
export function textResponse(text: string, init: ResponseInit): Response {
  if (ANY_CLASS && Response === FOUND) return new TextResponse(text, init);
  const response: Whole = newResponse(text, init);
  response[TEXT] = text;
  return response;
}

/**
 * Makes a response of the class that there is. Its headers are its own: the class that
 * `@hono/node-server` puts into the place of Node's would hand out those that it was given, and
 * whatever is done to the headers of one response would be done to all that were made alike.
 */
export function newResponse(body: BodyInit, init: ResponseInit): Response {
  if (RUNTIMES_OWN && Response === FOUND) return new Response(body, init);
  return new Response(body, { ...init, headers: new Headers(init.headers) });
}

/**
 * Whether something is a response, of whatever class. `instanceof Response` says so of the class alone
 * that is in its place at the moment, which is not one of those that were made before.
 */
export function isResponse(value: unknown): value is Response {
  return value instanceof TextResponse || value instanceof FOUND || value instanceof Response;
}

/** The text of a response's body, if it was made of one that nobody has read. */
export function unreadText(response: Response): string | undefined {
  if (response instanceof TextResponse) return response.unread;
  const { [TEXT]: text, bodyUsed }: Whole = response;
  return bodyUsed ? undefined : text;
}

/** A response's headers, for somebody who only reads them. */
export function sentHeaders(response: Response): Headers {
  return response instanceof TextResponse ? response.unchanged : response.headers;
}
