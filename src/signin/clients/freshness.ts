/**
 * How long an answer may be kept: RFC 9111 sections 4.2 and 5.2, for a cache that many share.
 *
 * @module
 */

/** The time for which an answer is kept that says nothing about it, in milliseconds. */
const BY_DEFAULT_MS = 5 * 60_000;

/**
 * Returns the time for which an answer may be used without asking again, in milliseconds from now on.
 *
 * @param headers The headers of the answer
 * @param now The time, in milliseconds since the epoch
 * @param mostMs The longest time, in milliseconds
 */
export function freshForMs(headers: Headers, now: number, mostMs: number): number {
  const directives = directivesOf(headers.get("cache-control") ?? "");
  if (["no-store", "no-cache", "private"].some((name) => directives.has(name))) return 0;
  const ageMs = (secondsOf(headers.get("age")) ?? 0) * 1000;
  const lifetimeMs = lifetimeOf(directives, headers, now);
  return Math.min(mostMs, Math.max(0, lifetimeMs - ageMs));
}

function lifetimeOf(
  directives: ReadonlyMap<string, string>,
  headers: Headers,
  now: number,
): number {
  for (const name of ["s-maxage", "max-age"]) {
    // One that can't be read is taken for stale.
    if (directives.has(name)) return (secondsOf(directives.get(name)) ?? 0) * 1000;
  }
  const expires = headers.get("expires");
  if (expires === null) return BY_DEFAULT_MS;
  const at = Date.parse(expires);
  const date = Date.parse(headers.get("date") ?? "");
  return Number.isNaN(at) ? 0 : at - (Number.isNaN(date) ? now : date);
}

function directivesOf(value: string): Map<string, string> {
  return new Map(
    value.split(",").map((part) => {
      const [name = "", argument = ""] = part.split("=");
      return [name.trim().toLowerCase(), argument.trim().replace(/^"(.*)"$/, "$1")];
    }),
  );
}

function secondsOf(text: string | null | undefined): number | undefined {
  return text != null && /^[0-9]{1,10}$/.test(text) ? Number(text) : undefined;
}
