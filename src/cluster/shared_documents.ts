/**
 * Applies documents that all nodes of a cluster share: replaced at one node, applied at all.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isWithinBytes } from "../internal/utf8.ts";
import type { MaybePromise } from "../internal/types.ts";

import type { SharedDocumentHandle } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Reporter } from "../protocol/reporter.ts";
import { type Documents, MOST_DOCUMENT_BYTES, type SharedDocument } from "./types.ts";

/** The time between two polls of the documents, in milliseconds. */
const POLL_MS = 1_000;

/** Applies a document. Throws if this node can't apply it. */
type Apply = (value: JsonObject, version: number) => MaybePromise<void>;

/** Options for {@linkcode SharedDocuments}. */
export interface SharedDocumentsInit {
  readonly documents: Documents;
  readonly clock: Clock;
  readonly reporter: Reporter;
  /** Whether other processes may use the store: their messages may be lost, so documents are polled. */
  readonly shared: boolean;
  /** Notifies all other nodes that a document was replaced. */
  readonly announce: (name: string) => void;
}

/** The documents that a node applies. */
export class SharedDocuments {
  readonly #init: SharedDocumentsInit;
  readonly #applied = new Map<string, AppliedDocument>();
  #stop: (() => void) | undefined;

  /** Creates an empty set; nothing is read until a document is added. */
  constructor(init: SharedDocumentsInit) {
    this.#init = init;
  }

  /** The number of documents whose current version this node can't apply, or has not applied yet. */
  get unapplied(): number {
    let count = 0;
    for (const { applied } of this.#applied.values()) if (!applied) count++;
    return count;
  }

  /**
   * Begins to apply a document.
   *
   * @throws {TypeError} If this node applies a document of that name already
   */
  share(name: string, apply: Apply): SharedDocumentHandle {
    if (this.#applied.has(name)) throw new TypeError(`Share each document only once: "${name}"`);
    const document = new AppliedDocument(this.#init, name, apply);
    this.#applied.set(name, document);
    this.refresh(name);
    this.#arm();
    return {
      put: (value, expected) => document.put(value, expected),
      close: () => void this.#applied.delete(name),
    };
  }

  /** Reads a document, and applies it if it has changed. */
  refresh(name: string): void {
    const document = this.#applied.get(name);
    if (document === undefined) return;
    this.#init.reporter.background("reading a shared document", () => document.refresh());
  }

  /** Stops reading. */
  close(): void {
    this.#stop?.();
    this.#applied.clear();
  }

  #arm(): void {
    const { clock, shared } = this.#init;
    if (!shared) return;
    this.#stop ??= clock.timer(POLL_MS, () => {
      this.#stop = undefined;
      for (const name of this.#applied.keys()) this.refresh(name);
      if (this.#applied.size > 0) this.#arm();
    });
  }
}

/** A document that a node applies. */
class AppliedDocument {
  /** Whether the current version is applied. */
  applied = true;
  readonly #init: SharedDocumentsInit;
  readonly #name: string;
  readonly #apply: Apply;
  #version = 0;
  #reading = false;
  #again = false;
  #read: Promise<void> = Promise.resolve();

  constructor(init: SharedDocumentsInit, name: string, apply: Apply) {
    this.#init = init;
    this.#name = name;
    this.#apply = apply;
  }

  async put(value: JsonObject, expected?: number): Promise<number | undefined> {
    const text = JSON.stringify(value);
    if (!isWithinBytes(text, MOST_DOCUMENT_BYTES)) {
      throw new RangeError(`Share a smaller document: at most ${MOST_DOCUMENT_BYTES} bytes`);
    }
    const version = await this.#init.documents.put(this.#name, text, expected);
    if (version === undefined) return undefined;
    this.#init.announce(this.#name);
    await this.refresh();
    return version;
  }

  /** Applies the newest version of the document if it has changed, one version at a time. */
  refresh(): Promise<void> {
    this.#again = true;
    if (!this.#reading) this.#read = this.#readAll();
    return this.#read;
  }

  async #readAll(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#again) {
        this.#again = false;
        const document = await this.#init.documents.get(this.#name);
        if (document !== undefined) await this.#applyVersion(document);
      }
    } finally {
      this.#reading = false;
    }
  }

  async #applyVersion({ version, text }: SharedDocument): Promise<void> {
    if (version === this.#version) return;
    this.#version = version;
    this.applied = false;
    try {
      await this.#apply(JSON.parse(text), version);
      this.applied = true;
    } catch (error) {
      this.#init.reporter.failed(`applying ${this.#name}`, error);
    }
  }
}
