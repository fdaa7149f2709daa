/**
 * Checks scopes: their syntax, which ones a principal has, and which ones a client should request.
 *
 * @module
 */
/** Matches a scope token: no spaces, quotes or backslashes (RFC 6749 §3.3). */
const SCOPE = /^[!#-[\]-~]+$/;
/** The maximum number of scopes that a challenge names because the principal already has them. */
const MAX_GRANTED = 50;

/** The scopes that each scope includes besides itself. */
export type ImpliedScopes = Readonly<Record<string, readonly string[]>>;

/**
 * Checks scopes that an application names.
 *
 * @throws {TypeError} If they are not an array of scope tokens
 */
export function checkScopes(name: string, scopes: unknown): asserts scopes is readonly string[] {
  if (!Array.isArray(scopes)) throw new TypeError(`Give an array as "${name}": ${typeof scopes}`);
  for (const scope of scopes) {
    if (typeof scope === "string" && SCOPE.test(scope)) continue;
    throw new TypeError(`Give scopes without spaces and quotes as "${name}": ${String(scope)}`);
  }
}

/** Checks which scopes include others, and returns them as a map. */
export function impliedScopes(given: ImpliedScopes = {}): ReadonlyMap<string, readonly string[]> {
  for (const [scope, implied] of Object.entries(given)) checkScopes(`implies.${scope}`, implied);
  return new Map(Object.entries(given));
}

/**
 * Returns the scopes that a client should request: the needed ones and those that it has. Some clients
 * request exactly the scopes of the challenge and would lose the others (2025-11-25,
 * Runtime Insufficient Scope Errors). A resource never names `offline_access` (2026-07-28, Refresh
 * Tokens).
 */
export function scopesToAskFor(
  needed: readonly string[],
  granted: readonly string[] = [],
): readonly string[] {
  const kept = granted.filter((scope) => SCOPE.test(scope) && scope !== "offline_access");
  return [...new Set([...needed, ...kept.slice(0, MAX_GRANTED)])];
}

/** Reads scopes from claims, each a space-separated string or an array, and adds the implied scopes. */
export function readScopes(
  implied: ReadonlyMap<string, readonly string[]>,
  ...claims: readonly unknown[]
): readonly string[] {
  const scopes = new Set<string>();
  for (const claim of claims) {
    const listed = typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
    for (const scope of listed) if (typeof scope === "string" && scope !== "") scopes.add(scope);
  }
  // The loop also visits the scopes that it adds, each once.
  for (const scope of scopes) for (const other of implied.get(scope) ?? []) scopes.add(other);
  return [...scopes];
}
