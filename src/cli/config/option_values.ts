/**
 * Reads the values of options that may be given more than once. Their errors don't show a value: it may
 * be a secret.
 *
 * @module
 */
import { usageError } from "../errors.ts";

/** Texts by their names. */
export type TextsByName = Readonly<Record<string, string>>;

/** Adds a text to those that were given before. */
export function addText(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** Adds a header, which is given as `NAME: VALUE`. */
export function addHeader(text: string, earlier: TextsByName = {}): TextsByName {
  const [, name, value] = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):\s*(.*)$/.exec(text) ?? [];
  if (name === undefined || value === undefined) throw usageError('Give --header a "NAME: VALUE"');
  return { ...earlier, [name]: value };
}

/** Adds an input, which is given as `ID=VALUE`. */
export function addInput(text: string, earlier: TextsByName = {}): TextsByName {
  const at = text.indexOf("=");
  if (at < 1) throw usageError("Give --input an ID=VALUE");
  return { ...earlier, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Adds a variable, given as `NAME=VALUE`, or as `NAME` for the value that it has in this process. */
export function addVariable(text: string, earlier: TextsByName = {}): TextsByName {
  const at = text.indexOf("=");
  const name = at === -1 ? text : text.slice(0, at);
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw usageError("Give --env a NAME, or NAME=VALUE");
  return { ...earlier, [name]: at === -1 ? `\${${name}}` : text.slice(at + 1) };
}
