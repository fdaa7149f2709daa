/**
 * Checks the replies of Redis: other programs may write under the same prefix, and their data must
 * not be taken for ours.
 *
 * @module
 */

/**
 * Creates the error for data that this store can't have written.
 *
 * @param what What was read, for the message
 */
export function foreignData(what: string): Error {
  return new Error(`Keep other programs out of the prefix in Redis: unexpected ${what}`);
}

/**
 * Checks a list of strings; numbers are converted.
 *
 * @throws {Error} If it is anything else
 */
export function strings(reply: unknown, what: string): string[] {
  if (!Array.isArray(reply)) throw foreignData(what);
  return reply.map((each: unknown) => {
    if (typeof each === "number") return String(each);
    if (typeof each !== "string") throw foreignData(what);
    return each;
  });
}

/**
 * Checks an integer of 0 or more, as a number or a string.
 *
 * @throws {Error} If it is anything else
 */
export function integer(reply: unknown, what: string): number {
  const number = typeof reply === "string" && reply !== "" ? Number(reply) : reply;
  if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0) {
    throw foreignData(what);
  }
  return number;
}

/**
 * Parses JSON.
 *
 * @throws {Error} If it is malformed
 */
export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw foreignData(what);
  }
}

/**
 * Checks a string or `null`, which becomes `undefined`.
 *
 * @throws {Error} If it is anything else
 */
export function optionalString(reply: unknown, what: string): string | undefined {
  if (reply === null) return undefined;
  if (typeof reply !== "string") throw foreignData(what);
  return reply;
}
