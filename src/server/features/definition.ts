/**
 * Provides what the registration of tools, resources and prompts has in common.
 *
 * @module
 */
import { quote } from "../../internal/quote.ts";
import type { Listable, Registry, RegistryEntry } from "./registry.ts";
import type { Handle } from "../types.ts";

/** Returns a copy of an object without the keys whose value is `undefined`. */
export function compact<T extends object>(value: T): { [Key in keyof T]: T[Key] } {
  const kept: Partial<T> = {};
  for (const key in value) if (value[key] !== undefined) kept[key] = value[key];
  // Every optional key of the types used here allows `undefined`
  return kept as T;
}

/**
 * Checks the name of something that is registered.
 *
 * @param noun What is named, for the error
 * @throws {TypeError} If the name is not a string of one character or more
 */
export function checkName(noun: string, name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw new TypeError(`Give each ${noun} a name: ${JSON.stringify(name)}`);
}

/** The longest name of a tool, in characters (2025-11-25, Tools, Tool Names). */
const LONGEST_TOOL_NAME = 128;

/**
 * Checks the name of a tool: clients refuse one with other characters, or a longer one.
 *
 * @throws {TypeError} If it isn't 1 to 128 letters, digits, `_`, `-`, `.` and `/`
 */
export function checkToolName(name: unknown): void {
  checkName("tool", name);
  if (typeof name !== "string" || /^[A-Za-z0-9_./-]+$/.test(name) === false) {
    throw new TypeError(
      `Name tools with letters, digits, "_", "-", "." and "/" only, as clients refuse others: ` +
        quote(String(name)),
    );
  }
  if (name.length <= LONGEST_TOOL_NAME) return;
  throw new TypeError(
    `Name tools with ${LONGEST_TOOL_NAME} characters or fewer: ${
      quote(name, 40)
    } has ${name.length}`,
  );
}

/**
 * Creates the handle of an entry in a registry.
 *
 * @param redefine Builds the new definition from changes
 */
export function makeHandle<
  Definition extends Listable,
  Changes extends { readonly enabled?: boolean },
>(
  registry: Registry<Definition>,
  entry: RegistryEntry<Definition>,
  redefine: (changes: Changes) => Definition,
): Handle & { update(changes: Changes): void } {
  return {
    get enabled() {
      return registry.has(entry) && entry.enabled;
    },
    enable: () => registry.change(entry, { enabled: true }),
    disable: () => registry.change(entry, { enabled: false }),
    remove: () => registry.remove(entry),
    update(changes) {
      if (!registry.has(entry)) return;
      registry.change(entry, { definition: redefine(changes), enabled: changes.enabled });
    },
  };
}
