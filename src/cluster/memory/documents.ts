/**
 * Implements shared documents in memory.
 *
 * @module
 */
import type { Documents, SharedDocument } from "../types.ts";

/** {@linkcode Documents} in memory. */
export class MemoryDocuments implements Documents {
  readonly #documents: Map<string, SharedDocument>;

  /** @param documents What it keeps; nothing at first when left out */
  constructor(documents = new Map<string, SharedDocument>()) {
    this.#documents = documents;
  }

  get(name: string): SharedDocument | undefined {
    return this.#documents.get(name);
  }

  put(name: string, text: string, expected?: number): number | undefined {
    const version = this.#documents.get(name)?.version ?? 0;
    if (expected !== undefined && expected !== version) return undefined;
    this.#documents.set(name, { version: version + 1, text });
    return version + 1;
  }
}
