/**
 * Follows the references inside an OpenAPI document.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";

/** The most references in a row: `a` refers to `b`, which refers to `c`. */
const MOST_HOPS = 32;

/** Follows JSON pointers (RFC 6901 §6) in one document. */
export class References {
  readonly #root: JsonObject;
  readonly #targets = new Map<string, unknown>();

  constructor(root: JsonObject) {
    this.#root = root;
  }

  /** Returns what a reference such as `#/components/schemas/Pet` points to; `undefined` if nothing. */
  target(reference: string): unknown {
    const known = this.#targets.get(reference);
    if (known !== undefined) return known;
    const found = this.#find(reference);
    if (found !== undefined) this.#targets.set(reference, found);
    return found;
  }

  /**
   * Returns a part of the document that may be a reference, such as a parameter or a response;
   * `undefined` if it isn't an object, points to nothing, or to itself.
   */
  object(part: unknown): JsonObject | undefined {
    let found = part;
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      if (!isObject(found)) return undefined;
      if (typeof found.$ref !== "string") return found;
      found = this.target(found.$ref);
    }
    return undefined;
  }

  /**
   * Returns the last of several references in a row, none of which has anything beside it; `undefined`
   * if they lead to nothing, or in a circle.
   */
  last(reference: string): string | undefined {
    let last = reference;
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      const found = this.target(last);
      if (typeof found === "boolean") return last;
      if (!isObject(found)) return undefined;
      if (typeof found.$ref !== "string" || Object.keys(found).length > 1) return last;
      last = found.$ref;
    }
    return undefined;
  }

  #find(reference: string): unknown {
    if (reference === "#") return this.#root;
    if (!reference.startsWith("#/")) return undefined;
    let part: unknown = this.#root;
    for (const text of reference.slice(2).split("/")) {
      if (typeof part !== "object" || part === null) return undefined;
      const key = decoded(text).replaceAll("~1", "/").replaceAll("~0", "~");
      if (!Object.hasOwn(part, key)) return undefined;
      part = Reflect.get(part, key);
    }
    return part;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
