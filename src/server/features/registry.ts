/**
 * Keeps what is registered, in the order of registration, and lists it in pages.
 *
 * @module
 */
import type { MaybePromise } from "../../internal/types.ts";
import { entryFor } from "../../protocol/downgrade.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import type { ItemMethod } from "../../protocol/items.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import { prepare } from "../../protocol/prepared.ts";
import type { ProtocolVersion } from "../../protocol/versions.ts";
import { decodeCursor, encodeCursor, invalidCursor } from "./pagination.ts";

/** Limits the cached pages. */
const MOST_PAGES = 100;

/** Represents something that can be registered and listed. */
export interface Listable {
  /** The entry that lists show. */
  readonly listed: JsonObject;
}

/** What is registered under a key. */
export interface RegistryEntry<Definition extends Listable> {
  readonly key: string;
  /** Orders the entries: rises with every registration, and is never reused. */
  readonly serial: number;
  definition: Definition;
  enabled: boolean;
}

/** Configures a {@linkcode Registry}. */
export interface RegistryInit {
  /** Names the field of a result that holds the list, such as `"tools"`. */
  readonly field: string;
  /** Names one entry in errors. */
  readonly noun: string;
  /** The name of the list in cursors by a single letter. */
  readonly letter: string;
  /** Reports every change that clients can see. */
  readonly changed: () => void;
}

/** Keeps definitions by key, and lists them in the order of their registration. */
export class Registry<Definition extends Listable> {
  readonly #init: RegistryInit;
  readonly #entries = new Map<string, RegistryEntry<Definition>>();
  readonly #pages = new Map<string, JsonObject>();
  #serial = 0;
  #enabled: readonly RegistryEntry<Definition>[] | undefined;

  constructor(init: RegistryInit) {
    this.#init = init;
  }

  /**
   * Registers a definition.
   *
   * @throws {TypeError} If the key is taken
   */
  add(key: string, definition: Definition): RegistryEntry<Definition> {
    if (this.#entries.has(key)) {
      throw new TypeError(`Register each ${this.#init.noun} once: "${key}"`);
    }
    const entry = { key, serial: ++this.#serial, definition, enabled: true };
    this.#entries.set(key, entry);
    this.#change();
    return entry;
  }

  /** Returns the enabled definition under a key, or `undefined`. */
  get(key: string): Definition | undefined {
    const entry = this.#entries.get(key);
    return entry?.enabled ? entry.definition : undefined;
  }

  /** Tells whether an entry is still registered. */
  has(entry: RegistryEntry<Definition>): boolean {
    return this.#entries.get(entry.key) === entry;
  }

  /** Changes an entry. Does nothing for a removed one. */
  change(
    entry: RegistryEntry<Definition>,
    patch: { definition?: Definition; enabled?: boolean },
  ): void {
    if (!this.has(entry)) return;
    const { definition = entry.definition, enabled = entry.enabled } = patch;
    if (definition === entry.definition && enabled === entry.enabled) return;
    entry.definition = definition;
    entry.enabled = enabled;
    this.#change();
  }

  /** Removes an entry. Safe to call twice. */
  remove(entry: RegistryEntry<Definition>): void {
    if (!this.has(entry)) return;
    this.#entries.delete(entry.key);
    this.#change();
  }

  /** Returns all definitions, in order. */
  get all(): readonly Definition[] {
    return Array.from(this.#entries.values(), ({ definition }) => definition);
  }

  /** Returns the enabled entries, in order. */
  get enabled(): readonly RegistryEntry<Definition>[] {
    return this.#enabled ??= [...this.#entries.values()].filter(({ enabled }) => enabled);
  }

  /** Returns the last serial number. */
  get lastSerial(): number {
    return this.#serial;
  }

  /**
   * Returns the page of the list that a request asks for: the same frozen object until something changes.
   *
   * @throws {McpError} With -32602, if the cursor is invalid
   */
  page({ params, pageSize: size, protocolVersion: version }: Exchange): JsonObject {
    const after = this.#after(params);
    const key = `${after}/${size}/${version}`;
    const ready = this.#pages.get(key);
    if (ready !== undefined) return ready;
    const { entries, last } = this.slice(after, size);
    const page = prepare(this.#list(version, entries, last));
    if (this.#pages.size >= MOST_PAGES) this.#pages.clear();
    this.#pages.set(key, page);
    return page;
  }

  /**
   * Returns one page of the entries that are visible to the sender of a request, as though the others had
   * never been registered. A page is full while enough entries follow.
   *
   * @param method The request that uses an entry
   * @throws {McpError} With -32602, if the cursor is invalid
   */
  pageFor(exchange: Exchange, method: ItemMethod): MaybePromise<JsonObject> {
    const { mayUse } = exchange;
    if (mayUse === undefined) return this.page(exchange);
    return this.#visiblePage(exchange, (key) => mayUse(method, key));
  }

  async #visiblePage(
    { params, pageSize: size, protocolVersion: version }: Exchange,
    shows: (key: string) => MaybePromise<boolean>,
  ): Promise<JsonObject> {
    const after = this.#after(params);
    const all = this.enabled.filter(({ serial }) => serial > after);
    const shown: RegistryEntry<Definition>[] = [];
    // One more entry tells whether another page follows
    for (let at = 0; at < all.length && shown.length <= size; at += size) {
      const some = all.slice(at, at + size);
      const verdicts = await Promise.all(some.map(({ key }) => shows(key)));
      shown.push(...some.filter((_, index) => verdicts[index]));
    }
    const entries = shown.slice(0, size);
    const last = shown.length > size ? entries.at(-1)?.serial : undefined;
    return this.#list(version, entries, last);
  }

  #after(params: JsonObject): number {
    const position = decodeCursor(params, this.#init.letter);
    if (position === undefined) return 0;
    if (position.serial <= this.#serial && position.offset === 0) return position.serial;
    throw invalidCursor();
  }

  #list(
    version: ProtocolVersion,
    entries: readonly RegistryEntry<Definition>[],
    last: number | undefined,
  ): JsonObject {
    const { field, letter } = this.#init;
    const listed = Object.freeze(
      entries.map(({ definition }) => entryFor(version, field, definition.listed)),
    );
    if (last === undefined) return Object.freeze({ [field]: listed });
    const nextCursor = encodeCursor({ list: letter, serial: last, offset: 0 });
    return Object.freeze({ [field]: listed, nextCursor });
  }

  /**
   * Returns up to `size` enabled entries after a serial number.
   *
   * @returns The entries, and in `last` the serial number after which the next page begins, if any
   */
  slice(
    after: number,
    size: number,
  ): { readonly entries: readonly RegistryEntry<Definition>[]; readonly last: number | undefined } {
    const all = this.enabled;
    const start = all.findIndex(({ serial }) => serial > after);
    const entries = start === -1 ? [] : all.slice(start, start + size);
    const more = start !== -1 && start + size < all.length;
    return { entries, last: more ? entries.at(-1)?.serial : undefined };
  }

  #change(): void {
    this.#enabled = undefined;
    this.#pages.clear();
    this.#init.changed();
  }
}
