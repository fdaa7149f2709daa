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

/**
 * Whether nobody but JavaScript ever sees a response, so that it may be of any class. Deno's class is
 * JavaScript, too, but its server looks inside.
 */
const ANY_CLASS = !("Deno" in globalThis) &&
  !Function.prototype.toString.call(Response).includes("[native code]");

/** Makes a response of a text. */
export function textResponse(text: string, init: ResponseInit): Response {
  if (ANY_CLASS) return new TextResponse(text, init);
  const response: Whole = new Response(text, init);
  response[TEXT] = text;
  return response;
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
