/**
 * Checks the names of upstreams, and prefixes the names of their tools and prompts.
 *
 * @module
 */

const UPSTREAM_NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/**
 * Checks the name of an upstream. The name must not contain the separator, nor end with a part of
 * it: the first separator in a prefixed name always ends the name of the upstream.
 *
 * @throws {TypeError} If the name isn't valid
 */
export function checkUpstreamName(name: string, separator: string): void {
  if (typeof name !== "string" || !UPSTREAM_NAME.test(name)) {
    throw new TypeError(`Name an upstream with 1 to 64 of A-Z a-z 0-9 _ - . : ${String(name)}`);
  }
  if ((name + separator).indexOf(separator) === name.length) return;
  throw new TypeError(`Keep the separator "${separator}" out of an upstream's name: "${name}"`);
}

/** Returns the name of an upstream's tool or prompt behind the gateway. */
export function prefixed(upstream: string, separator: string, name: string): string {
  return `${upstream}${separator}${name}`;
}

/** Splits a prefixed name into its two parts; `undefined` if it has no prefix. */
export function split(
  name: string,
  separator: string,
): { readonly upstream: string; readonly name: string } | undefined {
  const at = name.indexOf(separator);
  if (at <= 0 || at + separator.length >= name.length) return undefined;
  return { upstream: name.slice(0, at), name: name.slice(at + separator.length) };
}
