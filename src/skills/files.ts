/**
 * The files of a skill before anything is known of them but their paths and bytes.
 *
 * @module
 */
import { kindOf } from "../server/validation.ts";

/** A skill's files: texts or bytes by their paths in the skill, such as `"references/forms.md"`. */
export type SkillFiles = Readonly<Record<string, string | Uint8Array>>;

/** The most files that every host takes of a skill (Skills extension, Limits). */
export const MOST_FILES = 512;
/** The most bytes that every host takes of a skill (Skills extension, Limits). */
export const MOST_BYTES = 16 * 1024 * 1024;

const LONGEST_PATH = 512;
// deno-lint-ignore no-control-regex -- what no path may have
const ODD = /[\u0000-\u001f\u007f\\]/;

/** Takes the files of one skill up to the bounds that there are. */
export class FileSet {
  readonly #fileBytes: number;
  readonly #files = new Map<string, Uint8Array<ArrayBuffer>>();
  #bytes = 0;

  /** @param fileBytes How many bytes one file may have */
  constructor(fileBytes: number) {
    this.#fileBytes = fileBytes;
  }

  /**
   * Makes sure that a file may come in.
   *
   * @throws {TypeError} If its path leads anywhere else, or has what doesn't belong into one
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
      throw new RangeError(`Keep a skill within ${MOST_BYTES} bytes: "${path}" is too much`);
    }
  }

  /** Takes a file in, under the conditions of {@linkcode FileSet.admit}. */
  add(path: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.admit(path, bytes.length);
    this.#files.set(path, bytes);
    this.#bytes += bytes.length;
  }

  /** The files by their paths, in an order that doesn't depend on where they come from. */
  get sorted(): readonly (readonly [string, Uint8Array<ArrayBuffer>])[] {
    return [...this.#files].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}

/**
 * Copies files that are in memory.
 *
 * @throws {TypeError} If a path or a file is none
 * @throws {RangeError} If there are too many files, or they are too large
 */
export function filesInMemory(source: SkillFiles, fileBytes: number): FileSet {
  const files = new FileSet(fileBytes);
  for (const [path, held] of Object.entries(source)) {
    if (typeof held !== "string" && !(held instanceof Uint8Array)) {
      throw new TypeError(`Give a text or bytes for "${path}": ${kindOf(held)}`);
    }
    files.add(path, typeof held === "string" ? new TextEncoder().encode(held) : held.slice());
  }
  return files;
}

function checkPath(path: string): void {
  const plain = path.length <= LONGEST_PATH && !ODD.test(path) && path.isWellFormed();
  const inside = path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (plain && inside) return;
  throw new TypeError(`Give paths inside the skill, like "a/b.md": ${JSON.stringify(path)}`);
}
