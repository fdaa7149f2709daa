/**
 * Documents that all handlers of an endpoint go by: put at one of them, applied at each.
 *
 * @module
 */
import { isWithinBytes } from "../internal/utf8.ts";
import type { MaybePromise } from "../internal/types.ts";
import { MOST_DOCUMENT_BYTES, type SharedDocument } from "../cluster/types.ts";
import type { Shared } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Endpoint } from "./endpoint.ts";

/** How often documents are looked at although nobody said that they changed, in milliseconds. */
const LOOK_MS = 1_000;

/** Applies a document. What it throws says that this handler can't. */
type Apply = (value: JsonObject, version: number) => MaybePromise<void>;

/** The documents that one handler goes by. */
export class Shares {
  readonly #endpoint: Endpoint;
  readonly #shares = new Map<string, Share>();
  #stop: (() => void) | undefined;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
  }

  /** How many documents this handler doesn't go by as they are now: it can't, or not yet. */
  get unapplied(): number {
    let count = 0;
    for (const { applied } of this.#shares.values()) if (!applied) count++;
    return count;
  }

  /**
   * Goes by a document from now on.
   *
   * @throws {TypeError} If this handler goes by it already
   */
  share(name: string, apply: Apply): Shared {
    if (this.#shares.has(name)) throw new TypeError(`Share a document once: "${name}"`);
    const share = new Share(this.#endpoint, name, apply);
    this.#shares.set(name, share);
    this.look(name);
    this.#arm();
    return {
      put: (value, expected) => share.put(value, expected),
      close: () => void this.#shares.delete(name),
    };
  }

  /** Looks whether a document has changed. */
  look(name: string): void {
    const share = this.#shares.get(name);
    if (share === undefined) return;
    this.#endpoint.background("reading what all nodes go by", () => share.look());
  }

  /** Looks no more. */
  close(): void {
    this.#stop?.();
    this.#shares.clear();
  }

  /** Where other processes have the store, a word that a document changed may get lost. */
  #arm(): void {
    const { clock, store } = this.#endpoint.settings;
    if (store.shared !== true) return;
    this.#stop ??= clock.timer(LOOK_MS, () => {
      this.#stop = undefined;
      for (const name of this.#shares.keys()) this.look(name);
      if (this.#shares.size > 0) this.#arm();
    });
  }
}

/** One document that a handler goes by. */
class Share {
  /** Whether the handler goes by the document as it is now. */
  applied = true;
  readonly #endpoint: Endpoint;
  readonly #name: string;
  readonly #apply: Apply;
  #version = 0;
  #looking = false;
  #again = false;
  #looked: Promise<void> = Promise.resolve();

  constructor(endpoint: Endpoint, name: string, apply: Apply) {
    this.#endpoint = endpoint;
    this.#name = name;
    this.#apply = apply;
  }

  async put(value: JsonObject, expected?: number): Promise<number | undefined> {
    const text = JSON.stringify(value);
    if (!isWithinBytes(text, MOST_DOCUMENT_BYTES)) {
      throw new RangeError(`Share a document of at most ${MOST_DOCUMENT_BYTES} bytes`);
    }
    const version = await this.#endpoint.backplane.documents.put(this.#name, text, expected);
    if (version === undefined) return undefined;
    this.#endpoint.publish({ kind: "document", name: this.#name });
    await this.look();
    return version;
  }

  /** Applies the document, if it has changed; one version at a time, and always the newest. */
  look(): Promise<void> {
    this.#again = true;
    if (!this.#looking) this.#looked = this.#look();
    return this.#looked;
  }

  async #look(): Promise<void> {
    this.#looking = true;
    try {
      while (this.#again) {
        this.#again = false;
        const document = await this.#endpoint.backplane.documents.get(this.#name);
        if (document !== undefined) await this.#take(document);
      }
    } finally {
      this.#looking = false;
    }
  }

  async #take({ version, text }: SharedDocument): Promise<void> {
    if (version === this.#version) return;
    this.#version = version;
    this.applied = false;
    try {
      await this.#apply(JSON.parse(text), version);
      this.applied = true;
    } catch (error) {
      this.#endpoint.failed(`applying ${this.#name}`, error);
    }
  }
}
