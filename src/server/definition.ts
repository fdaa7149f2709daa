/**
 * What registering a tool, a resource and a prompt have in common.
 *
 * @module
 */
import type { Entry, Listable, Registry } from "./registry.ts";
import type { Handle } from "./types.ts";

/** An object without the keys that hold `undefined`. */
export function compact<T extends object>(value: T): { [Key in keyof T]: T[Key] } {
  const kept: Partial<T> = {};
  for (const key in value) if (value[key] !== undefined) kept[key] = value[key];
  // What a type allows to be undefined it allows to be absent, here
  return kept as T;
}

/** @throws {TypeError} If it is not a text of one character or more */
export function checkName(noun: string, name: unknown): void {
  if (typeof name === "string" && name !== "") return;
  throw new TypeError(`Give each ${noun} a name: ${JSON.stringify(name)}`);
}

/** The handle of a registry's entry. */
export function makeHandle<
  Definition extends Listable,
  Changes extends { readonly enabled?: boolean },
>(
  registry: Registry<Definition>,
  entry: Entry<Definition>,
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
