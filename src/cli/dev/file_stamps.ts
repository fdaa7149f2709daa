/**
 * Notices that files of a project have changed, by looking: at intervals, and whenever somebody wants to know
 * for sure. What systems tell of changes differs between them, and comes late.
 *
 * @module
 */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** The files that are looked at. */
const CODE = /\.(?:[cm]?[jt]sx?|json|jsonc|toml|ya?ml|wasm|sql|html|css|md|txt|py|env)$/i;
/** Folders of others, and of tools. */
const LEFT_OUT: ReadonlySet<string> = new Set(["node_modules", "dist", "build", "coverage"]);
/** The most files that are looked at, and folders. */
export const MOST_FILES = 2_000;
const MOST_FOLDERS = 500;

/** Looks at the files of a folder. */
export class FileStamps {
  readonly #root: string;
  readonly #only: string | undefined;
  #known: ReadonlyMap<string, string> | undefined;
  #running: Promise<readonly string[]> | undefined;
  #next: Promise<readonly string[]> | undefined;
  /** Whether there are more files than are looked at. */
  isPartial = false;

  /**
   * @param root The folder
   * @param only The only file to look at
   */
  constructor(root: string, only?: string) {
    this.#root = root;
    this.#only = only;
  }

  /**
   * Returns the files that have changed since the last look, each to one caller. The look begins after this
   * is called: nothing that was written before is missed.
   */
  look(): Promise<readonly string[]> {
    if (this.#running === undefined) return this.#begin();
    // One that runs may have been past the file
    return this.#next ??= this.#running.catch(() => {}).then(() => {
      this.#next = undefined;
      return this.#begin();
    });
  }

  #begin(): Promise<readonly string[]> {
    return this.#running = this.#compare().finally(() => this.#running = undefined);
  }

  async #compare(): Promise<readonly string[]> {
    const before = this.#known;
    const now = new Map<string, string>();
    if (this.#only !== undefined) await this.#add(this.#only, now);
    else await this.#walk(now);
    this.#known = now;
    if (before === undefined) return [];
    const paths = new Set([...before.keys(), ...now.keys()]);
    return [...paths].filter((path) => before.get(path) !== now.get(path));
  }

  async #walk(stamps: Map<string, string>): Promise<void> {
    const folders = [this.#root];
    for (let at = 0; at < folders.length && at < MOST_FOLDERS; at++) {
      const folder = folders[at] ?? this.#root;
      const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
      const files: string[] = [];
      for (const entry of entries) {
        if (entry.isDirectory()) {
          if (!entry.name.startsWith(".") && !LEFT_OUT.has(entry.name)) {
            folders.push(join(folder, entry.name));
          }
        } else if (CODE.test(entry.name)) files.push(join(folder, entry.name));
      }
      const room = MOST_FILES - stamps.size;
      this.isPartial = files.length > room || folders.length > MOST_FOLDERS;
      await Promise.all(files.slice(0, room).map((path) => this.#add(path, stamps)));
      if (this.isPartial) return;
    }
  }

  async #add(path: string, stamps: Map<string, string>): Promise<void> {
    const found = await stat(path, { bigint: true }).catch(() => undefined);
    // An editor may replace a file: it is gone for a moment, and another one is there
    if (found === undefined || !found.isFile()) return;
    stamps.set(path, `${found.mtimeNs} ${found.size} ${found.ino}`);
  }
}
