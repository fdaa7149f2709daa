/**
 * Names of upstreams, and of what they offer once it is behind a gateway.
 *
 * @module
 */

const UPSTREAM_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** 2026-07-28, Server, Tools, Tool Names. Clients refuse whole lists because of one other name. */
const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/;
const MOST_TEXT = 2048;

/**
 * Checks the name of an upstream. It may not hold the separator, nor end so that it would seem to:
 * then the first separator in a name always ends the upstream's.
 *
 * @throws {TypeError} If it can't be one
 */
export function checkUpstreamName(name: string, separator: string): void {
  if (typeof name !== "string" || !UPSTREAM_NAME.test(name)) {
    throw new TypeError(`Name an upstream with 1 to 64 of A-Z a-z 0-9 _ - . : ${String(name)}`);
  }
  if ((name + separator).indexOf(separator) === name.length) return;
  throw new TypeError(`Name an upstream so that "${separator}" only comes after it: "${name}"`);
}

/** What a tool or prompt of an upstream is called behind the gateway. */
export function prefixed(upstream: string, separator: string, name: string): string {
  return `${upstream}${separator}${name}`;
}

/** The two parts of a name behind the gateway; `undefined` when it has no prefix. */
export function split(
  name: string,
  separator: string,
): { readonly upstream: string; readonly name: string } | undefined {
  const at = name.indexOf(separator);
  if (at <= 0 || at + separator.length >= name.length) return undefined;
  return { upstream: name.slice(0, at), name: name.slice(at + separator.length) };
}

/** Whether a tool can be called what it would be called behind the gateway. */
export function isToolName(name: string): boolean {
  return TOOL_NAME.test(name);
}

/** Whether a text can be a prompt's name or a URI: not empty, not endless, without control characters. */
export function isPlainText(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return text.length > 0 && text.length <= MOST_TEXT && !/[\u0000-\u001f\u007f]/.test(text);
}
