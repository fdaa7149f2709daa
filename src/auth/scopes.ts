/**
 * Scopes: what they look like, what a principal has of them, and what it is told to ask for.
 *
 * @module
 */
import type { Principal } from "../protocol/exchange.ts";

/** A scope token: no spaces, no quotes, no backslash (RFC 6749 §3.3). */
const SCOPE = /^[!#-[\]-~]+$/;
/** How many scopes that a principal has already are named beside those that it lacks. */
const MOST_GRANTED = 50;

/** Which scopes each scope stands for besides itself. */
export type ImpliedScopes = Readonly<Record<string, readonly string[]>>;

/**
 * Checks scopes that an application names.
 *
 * @throws {TypeError} If it is no array of scope tokens
 */
export function checkScopes(name: string, scopes: unknown): asserts scopes is readonly string[] {
  if (!Array.isArray(scopes)) throw new TypeError(`Give an array as "${name}": ${typeof scopes}`);
  for (const scope of scopes) {
    if (typeof scope === "string" && SCOPE.test(scope)) continue;
    throw new TypeError(`Give scopes without spaces and quotes as "${name}": ${String(scope)}`);
  }
}

/** Checks what scopes stand for, and returns it in a form that is quick to look up. */
export function impliedScopes(given: ImpliedScopes = {}): ReadonlyMap<string, readonly string[]> {
  for (const [scope, implied] of Object.entries(given)) checkScopes(`implies.${scope}`, implied);
  return new Map(Object.entries(given));
}

/** Whether a principal has all of the scopes. */
export function hasScopes({ scopes: granted }: Principal, needed: readonly string[]): boolean {
  // Callers may break the type: a text has `includes` too, and would find half a scope in it.
  return needed.every((scope) => Array.isArray(granted) && granted.includes(scope));
}

/**
 * The scopes that a client is told to ask for: those that are needed and, since some clients ask for
 * exactly what they are told, those that it would otherwise lose (2025-11-25, Runtime Insufficient
 * Scope Errors). `offline_access` is no business of a resource (2026-07-28, Refresh Tokens).
 */
export function scopesToAskFor(
  needed: readonly string[],
  granted: readonly string[] = [],
): readonly string[] {
  const kept = granted.filter((scope) => SCOPE.test(scope) && scope !== "offline_access");
  return [...new Set([...needed, ...kept.slice(0, MOST_GRANTED)])];
}

/** The scopes that a claim lists, as a text with spaces or as an array, with what they stand for. */
export function readScopes(
  implied: ReadonlyMap<string, readonly string[]>,
  ...claims: readonly unknown[]
): readonly string[] {
  const scopes = new Set<string>();
  for (const claim of claims) {
    const listed = typeof claim === "string" ? claim.split(" ") : Array.isArray(claim) ? claim : [];
    for (const scope of listed) if (typeof scope === "string" && scope !== "") scopes.add(scope);
  }
  // What is added here is visited here as well, each scope once.
  for (const scope of scopes) for (const other of implied.get(scope) ?? []) scopes.add(other);
  return [...scopes];
}
