/**
 * Seals the records of sign-in before they are stored.
 *
 * @module
 */
import { TextSealer } from "../kit.ts";
import type { RecordKeys, RecordStore, RecordWrite, StoredRecord } from "../cluster/mod.ts";

const PURPOSE = "mooring sign-in records 1";

/**
 * A {@linkcode RecordStore} whose values are encrypted, each for its key: one can't be put in the place of
 * another. What can't be opened counts as absent.
 */
export class SealedRecords implements RecordStore {
  readonly #store: RecordStore;
  readonly #sealer: TextSealer;
  readonly #prefix: string;

  /**
   * @param store The store
   * @param keys Secrets: the first seals, all open
   * @param prefix The beginning of all keys in the store
   * @param purpose The purpose of the keys, so that nothing that is sealed elsewhere can be opened here
   */
  constructor(
    store: RecordStore,
    keys: readonly (string | Uint8Array)[],
    prefix: string,
    purpose: string = PURPOSE,
  ) {
    this.#store = store;
    this.#sealer = new TextSealer(keys, purpose);
    this.#prefix = prefix;
  }

  async get(key: string): Promise<StoredRecord | undefined> {
    const name = this.#prefix + key;
    const found = await this.#store.get(name);
    if (found === undefined) return undefined;
    const value = await this.#sealer.open(name, found.value);
    return value === undefined ? undefined : { value, version: found.version };
  }

  async put(key: string, value: string, write: RecordWrite): Promise<string | undefined> {
    const name = this.#prefix + key;
    return await this.#store.put(name, await this.#sealer.seal(name, value), write);
  }

  async delete(key: string, expected?: string): Promise<boolean> {
    return await this.#store.delete(this.#prefix + key, expected);
  }

  async list(prefix: string, cursor?: string): Promise<RecordKeys> {
    const page = await this.#store.list(this.#prefix + prefix, cursor);
    return { ...page, keys: page.keys.map((key) => key.slice(this.#prefix.length)) };
  }
}

/** Returns all keys with a prefix, up to a number. */
export async function keysOf(store: RecordStore, prefix: string, most: number): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list(prefix, cursor);
    found.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== undefined && found.length < most);
  return found.slice(0, most);
}

/** Reads a record of JSON that sign-in has written itself, so that its shape is known. */
export async function readJson<T>(
  store: RecordStore,
  key: string,
): Promise<{ readonly value: T; readonly version: string } | undefined> {
  const found = await store.get(key);
  // Sealed: nobody else can have written it
  return found && { value: JSON.parse(found.value) as T, version: found.version };
}
