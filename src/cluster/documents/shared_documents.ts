/**
 * Applies documents that all nodes of a cluster share: replaced at one node, applied at all.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { isWithinBytes } from "../../internal/utf8.ts";
import type { MaybePromise } from "../../internal/types.ts";
import type { SharedDocumentHandle } from "../../protocol/exchange.ts";
import type { JsonObject } from "../../protocol/jsonrpc.ts";
import type { Reporter } from "../../protocol/reporter.ts";
import { SealedDocuments } from "./sealed_documents.ts";
import type { Documents, SharedDocument } from "../types.ts";

/** The time between two polls of the documents, in milliseconds. */
const POLL_MS = 1_000;

/** The maximum number of bytes of a document as JSON, as UTF-8, before it is encrypted. */
const MOST_BYTES = 1024 * 1024;

/** The maximum number of attempts to replace a document that other nodes replace meanwhile. */
const TRIES = 10;

/** Applies a document. Throws if this node can't apply it. */
type Apply = (value: JsonObject, version: number) => MaybePromise<void>;

/** Options for {@linkcode SharedDocuments}. */
export interface SharedDocumentsInit {
  readonly documents: Documents;
  /** Secrets that seal documents; `undefined` if no other process can use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
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
  readonly #sealed: SealedDocuments | undefined;
  readonly #applied = new Map<string, AppliedDocument>();
  #stop: (() => void) | undefined;

  /** Creates an empty set; nothing is read until a document is added. */
  constructor(init: SharedDocumentsInit) {
    this.#init = init;
    this.#sealed = init.keys && new SealedDocuments(init.keys);
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
  open(name: string, apply: Apply): SharedDocumentHandle {
    if (this.#applied.has(name)) throw new TypeError(`Share each document only once: "${name}"`);
    const document = new AppliedDocument(this.#init, this.#sealed, name, apply);
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
  readonly #sealed: SealedDocuments | undefined;
  readonly #name: string;
  readonly #apply: Apply;
  /** The document that was read last. */
  #last: SharedDocument | undefined;
  /** The version of the newest document that was opened. */
  #version = 0;
  /** The number of the newest document that was opened: an older one is a replay. */
  #newest = 0;
  #reading = false;
  #again = false;
  #read: Promise<void> = Promise.resolve();

  constructor(
    init: SharedDocumentsInit,
    sealed: SealedDocuments | undefined,
    name: string,
    apply: Apply,
  ) {
    this.#init = init;
    this.#sealed = sealed;
    this.#name = name;
    this.#apply = apply;
  }

  async put(value: JsonObject, expected?: number): Promise<number | undefined> {
    const text = JSON.stringify(value);
    if (!isWithinBytes(text, MOST_BYTES)) {
      throw new RangeError(`Share a smaller document: at most ${MOST_BYTES} bytes`);
    }
    const { documents } = this.#init;
    const version = this.#sealed === undefined
      ? await documents.put(this.#name, text, expected)
      : await this.#replace(this.#sealed, value, expected);
    if (version === undefined) return undefined;
    this.#init.announce(this.#name);
    await this.refresh();
    return version;
  }

  /**
   * Replaces the document by one with a higher number than that of any before. One that this node doesn't
   * apply, since no node wrote it or it is older, counts as the version that it has taken the place of.
   */
  async #replace(
    sealed: SealedDocuments,
    value: JsonObject,
    expected?: number,
  ): Promise<number | undefined> {
    const { documents, clock } = this.#init;
    for (let left = TRIES; left > 0; left--) {
      const current = await documents.get(this.#name);
      const replaced = current?.version ?? 0;
      const opened = current && await sealed.open(this.#name, current.text);
      const genuine = opened !== undefined && opened.number >= this.#newest;
      const version = genuine ? replaced : this.#version;
      if (expected !== undefined && expected !== version) return undefined;
      const number = Math.max(clock.now(), this.#newest + 1, (opened?.number ?? 0) + 1);
      const text = await sealed.seal(this.#name, { number, value });
      const next = await documents.put(this.#name, text, replaced);
      // Another node, or a program without the key, was first: only the former makes a new version.
      if (next !== undefined) return next;
    }
    throw new Error(`Try again: other nodes keep replacing "${this.#name}"`);
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

  async #applyVersion(document: SharedDocument): Promise<void> {
    const { version, text } = document;
    // Programs without the key may write any text with any version.
    if (version === this.#last?.version && text === this.#last.text) return;
    this.#last = document;
    this.applied = false;
    try {
      const value = await this.#open(document);
      if (value === undefined) return;
      await this.#apply(value, version);
      this.applied = true;
    } catch (error) {
      this.#init.reporter.failed(`applying ${this.#name}`, error);
    }
  }

  /** Opens a document, or reports why it is ignored. */
  async #open({ version, text }: SharedDocument): Promise<JsonObject | undefined> {
    if (this.#sealed === undefined) return JSON.parse(text);
    const opened = await this.#sealed.open(this.#name, text);
    if (opened !== undefined && opened.number >= this.#newest) {
      this.#newest = opened.number;
      this.#version = version;
      return opened.value;
    }
    const reason = opened === undefined ? "foreign" : "replayed";
    this.#init.reporter.report({ type: "message-ignored", reason });
    return undefined;
  }
}
