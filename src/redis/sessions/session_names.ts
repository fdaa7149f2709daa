/**
 * Names sessions in Redis without their ids, which are secrets.
 *
 * @module
 */
import { BoundedMap } from "../../internal/bounded_map.ts";
import { digest } from "../keys.ts";
import type { Sealer } from "../seal.ts";

/** Limits the remembered names. */
const MOST_NAMES = 16_384;

/**
 * Turns the ids of sessions into names and back. A name is the digest of an id; where ids are needed
 * again, they are stored sealed beside their names. The names that this process has met are
 * remembered, so that a list of all sessions need not be decrypted each time.
 */
export class SessionNames {
  readonly #sealer: Sealer;
  readonly #names: BoundedMap<string, string>;
  readonly #ids = new Map<string, string>();

  /** @param most The maximum number of remembered names */
  constructor(sealer: Sealer, most = MOST_NAMES) {
    this.#sealer = sealer;
    this.#names = new BoundedMap(most, (name) => this.#ids.delete(name));
  }

  /** Returns the number of remembered names. */
  get size(): number {
    return this.#names.size;
  }

  /** Returns the name of an id. */
  name(id: string): string {
    return this.#names.get(id) ?? this.#remember(id, digest(id));
  }

  /** Seals an id, to be stored beside its name. */
  seal(id: string): string {
    return this.#sealer.seal(id, "session id", this.name(id));
  }

  /** Returns the id of a name; `undefined` if no node has sealed it for this name. */
  id(name: string, sealed: string): string | undefined {
    const known = this.#ids.get(name);
    if (known !== undefined) return known;
    const id = this.#sealer.tryOpen(sealed, "session id", name);
    if (id === undefined) return undefined;
    this.#remember(id, name);
    return id;
  }

  /** Returns the ids of a list of names, each followed by its sealed id. */
  ids(flat: readonly string[]): string[] {
    const ids: string[] = [];
    for (let at = 0; at < flat.length; at += 2) {
      const id = this.id(flat[at] ?? "", flat[at + 1] ?? "");
      if (id !== undefined) ids.push(id);
    }
    return ids;
  }

  #remember(id: string, name: string): string {
    this.#names.set(id, name);
    this.#ids.set(name, id);
    return name;
  }
}
