/**
 * Makes texts from outside short and safe to show.
 *
 * @module
 */
import { clip, escapeInvisible } from "../../kit.ts";

/** The characters of a text from a client, or from a tool. */
const MOST_CHARS = 200;
/** The characters of a principal's id, and of an issuer. */
export const MOST_ID = 500;

/** Makes a text from outside short, and shows what hides in it. */
export function shown(text: unknown, most: number = MOST_CHARS): string {
  return typeof text === "string" ? escapeInvisible(clip(text, most).replace(/\s+/g, " ")) : "";
}

/** Writes a client program's name and version. */
export function clientName(
  info: { readonly name: string; readonly version: string } | undefined,
): string {
  return info === undefined ? "" : `${shown(info.name, 60)} ${shown(info.version, 20)}`.trim();
}
