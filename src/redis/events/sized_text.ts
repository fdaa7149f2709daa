/**
 * Writes the size of a text before its sealed form, so that scripts count what was sealed.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Returns a sealed text behind the bytes that its text has as UTF-8. */
export function sizedText(text: string, sealed: string): string {
  return `${Buffer.byteLength(text)}:${sealed}`;
}

/** Returns the sealed text that {@linkcode sizedText} was given. */
export function textOf(sized: string): string {
  return sized.slice(sized.indexOf(":") + 1);
}
