/**
 * Collects the files of a skill within their limits.
 *
 * @module
 */
import { kindOf } from "../server/schemas/kind_of.ts";

/**
 * Holds a skill's files: strings or bytes, by their paths in the skill, such as
 * `"references/forms.md"`.
 */
export type SkillFiles = Readonly<Record<string, string | Uint8Array>>;

/** The most files of a skill: what every host accepts (Skills extension, Limits). */
export const MOST_FILES = 512;
/** The most bytes of a skill: what every host accepts (Skills extension, Limits). */
export const MOST_BYTES = 16 * 1024 * 1024;

const LONGEST_PATH = 512;
// deno-lint-ignore no-control-regex -- paths must not contain control characters
const FORBIDDEN = /[\u0000-\u001f\u007f\\]/;

/** Collects the files of one skill, up to the limits. */
export class FileSet {
  readonly #fileBytes: number;
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  #bytes = 0;

  /** @param fileBytes The limit of one file, in bytes */
  constructor(fileBytes: number) {
    this.#fileBytes = fileBytes;
  }

  /**
   * Checks that a file may be added.
   *
   * @throws {TypeError} If its path leads out of the skill, or is not a plain path
   * @throws {RangeError} If there are too many files, or the file is too large
   */
  admit(path: string, size: number): void {
    checkPath(path);
    if (this.#files.size >= MOST_FILES) {
      throw new RangeError(`Keep at most ${MOST_FILES} files in a skill: "${path}" is one more`);
    }
    if (size > this.#fileBytes) {
      throw new RangeError(
        `Keep files within "limits.fileBytes", ${this.#fileBytes}: "${path}" has ${size} bytes`,
      );
    }
    if (this.#bytes + size > MOST_BYTES) {
      throw new RangeError(`Keep a skill within ${MOST_BYTES} bytes: "${path}" exceeds them`);
    }
  }

  /** Adds a file, under the conditions of {@linkcode FileSet.admit}. */
  add(path: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.admit(path, bytes.length);
    this.#files.set(path, bytes);
    this.#bytes += bytes.length;
  }

  /** Returns the files by their paths, sorted, so that the order doesn't depend on the source. */
  get sorted(): readonly (readonly [string, Uint8Array<ArrayBuffer>])[] {
    return [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/**
 * Copies the files of a skill that is given in memory.
 *
 * @param fileBytes The limit of one file, in bytes
 * @throws {TypeError} If a path is invalid, or a file is neither a string nor bytes
 * @throws {RangeError} If there are too many files, or they are too large
 */
export function filesInMemory(source: SkillFiles, fileBytes: number): FileSet {
  const files = new FileSet(fileBytes);
  for (const [path, held] of Object.entries(source)) {
    if (typeof held !== "string" && !(held instanceof Uint8Array)) {
      throw new TypeError(`Give a string or bytes for "${path}": ${kindOf(held)}`);
    }
    files.add(path, typeof held === "string" ? new TextEncoder().encode(held) : held.slice());
  }
  return files;
}

function checkPath(path: string): void {
  const plain = path.length <= LONGEST_PATH && !FORBIDDEN.test(path) && path.isWellFormed();
  const inside = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (plain && inside) return;
  throw new TypeError(`Give paths inside the skill, like "a/b.md": ${JSON.stringify(path)}`);
}
