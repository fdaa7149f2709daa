/**
 * Checks of what Redis answers: other programs may write under the same prefix, and nothing of theirs may
 * pass for ours.
 *
 * @module
 */

/** The error for something that can't be ours. */
export function foreignData(what: string): Error {
  return new Error(`Keep other programs out of the prefix in Redis: strange ${what}`);
}

/** A list of strings, where numbers may stand for texts. */
export function strings(reply: unknown, what: string): string[] {
  if (!Array.isArray(reply)) throw foreignData(what);
  return reply.map((each: unknown) => {
    if (typeof each === "number") return String(each);
    if (typeof each !== "string") throw foreignData(what);
    return each;
  });
}

/** A whole number that is not negative. */
export function integer(reply: unknown, what: string): number {
  const number = typeof reply === "string" && reply !== "" ? Number(reply) : reply;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw foreignData(what);
  }
  return number;
}

/** JSON. */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw foreignData(what);
  }
}

/** A text, or nothing. */
export function optionalString(reply: unknown, what: string): string | undefined {
  if (reply === null) return undefined;
  if (typeof reply !== "string") throw foreignData(what);
  return reply;
}
