/**
 * Responses that are made of one text, for hosts that can send a text but would have to read a stream.
 *
 * @module
 */

const TEXT = Symbol("text");

/** A response with the text that it was made of. */
interface Whole extends Response {
  [TEXT]?: string;
}

/** Makes a response of a text. */
export function textResponse(text: string, init: ResponseInit): Response {
  const response: Whole = new Response(text, init);
  response[TEXT] = text;
  return response;
}

/** The text of a response's body, if it was made of one that nobody has read. */
export function unreadText(response: Response): string | undefined {
  const { [TEXT]: text, bodyUsed }: Whole = response;
  return bodyUsed ? undefined : text;
}
