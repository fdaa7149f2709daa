/**
 * Matches names and URIs against patterns, in linear time.
 *
 * @module
 */

/** Tells whether a text matches. */
export type Matcher = (text: string) => boolean;

/** Compiles a pattern, in which `*` stands for any number of any characters. */
export function matcherOf(pattern: string): Matcher {
  const [first = "", ...rest] = pattern.split("*");
  const last = rest.pop();
  if (last === undefined) return (text) => text === pattern;
  const middle = rest.filter((part) => part !== "");
  return (text) => {
    if (!text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let at = first.length;
    for (const part of middle) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return at <= end;
  };
}

/** Rounds of decoding: a server may decode a URI more than once. */
const MOST_DECODED = 3;

/**
 * Returns a URI in the spellings that servers take for the same one: as it is, normalized, and with
 * percent-encoded characters decoded.
 */
export function spellingsOf(uri: string): readonly string[] {
  const spellings = new Set<string>();
  let current = uri;
  for (let round = 0; round <= MOST_DECODED; round++) {
    spellings.add(current);
    const { href } = URL.parse(current) ?? {};
    if (href !== undefined) spellings.add(href);
    const decoded = decode(current);
    if (decoded === current) break;
    current = decoded;
  }
  return [...spellings];
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
