/**
 * Writes the audit trail to a file that only its owner may read, and that never gets larger than allowed.
 *
 * @module
 */
import { type FileHandle, open, rename, rm } from "node:fs/promises";

/** Options for {@linkcode AuditFile}. */
export interface AuditFileInit {
  /** The file. Older ones lie beside it, with a number at the end: the higher, the older. */
  readonly path: string;
  /** The maximum number of bytes of a file. */
  readonly maxBytes: number;
  /** The maximum number of files, with the current one. */
  readonly maxFiles: number;
  /** Opens a file; for tests. */
  readonly openFile?: typeof open;
}

const MODE = 0o600;

/** A file that begins anew when it is full. One write or other call at a time. */
export class AuditFile {
  readonly #init: AuditFileInit;
  #handle: FileHandle | undefined;
  #size = 0;
  /** What runs at the moment: each call waits for the one before it. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(init: AuditFileInit) {
    this.#init = init;
  }

  /**
   * Opens the file, which shows at the start whether it can be written.
   *
   * @throws The error of the file system
   */
  open(): Promise<void> {
    return this.#after(async () => void await this.#opened());
  }

  /**
   * Appends lines. If they don't fit in whole, nothing of them stays in the file.
   *
   * @throws The error of the file system
   */
  write(lines: string): Promise<void> {
    return this.#after(async () => {
      const bytes = new TextEncoder().encode(lines);
      let handle = await this.#opened();
      if (this.#size > 0 && this.#size + bytes.length > this.#init.maxBytes) {
        await this.#rotate();
        handle = await this.#opened();
      }
      try {
        await handle.appendFile(bytes);
        this.#size += bytes.length;
      } catch (error) {
        // The disk may be full after a part of it.
        await handle.truncate(this.#size).catch(() => {});
        throw error;
      }
    });
  }

  /** Closes the file, which is opened again at the next write: another program may have moved it. */
  reopen(): Promise<void> {
    return this.#after(() => this.#close());
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle !== undefined) return this.#handle;
    const { path, openFile = open } = this.#init;
    const handle = await openFile(path, "a", MODE);
    try {
      const stats = await handle.stat();
      if (!stats.isFile()) throw new TypeError(`Give a regular file: ${path}`);
      // A file that was there may be readable for others.
      await handle.chmod(MODE);
      this.#size = stats.size;
    } catch (error) {
      await handle.close();
      throw error;
    }
    return this.#handle = handle;
  }

  async #rotate(): Promise<void> {
    const { path, maxFiles } = this.#init;
    await this.#close();
    const older = (n: number) => n === 0 ? path : `${path}.${n}`;
    await rm(older(maxFiles - 1), { force: true });
    for (let n = maxFiles - 2; n >= 0; n--) {
      await rename(older(n), older(n + 1)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== "ENOENT") throw error;
      });
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  #after<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }
}
