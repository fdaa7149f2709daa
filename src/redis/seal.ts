/**
 * Seals what is stored in Redis.
 *
 * @module
 */
import { type SealedAs, SyncSealer } from "../internal/sync_sealer.ts";
import { foreignData } from "./replies.ts";

export type { SealedAs } from "../internal/sync_sealer.ts";

/** Seals texts, and refuses what others have stored in their place. */
export class Sealer extends SyncSealer {
  /**
   * Decrypts a text.
   *
   * @throws {Error} If it was sealed as something else or without one of the secrets, or was changed
   * since
   */
  open(sealed: string, ...about: SealedAs): string {
    const text = this.tryOpen(sealed, ...about);
    if (text === undefined) {
      throw foreignData(`${about[0]}, which was changed or sealed with another key`);
    }
    return text;
  }
}
