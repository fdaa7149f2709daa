/**
 * Reads a skill from a directory. Only this module of the extension accesses a file system.
 *
 * @module
 */
import { constants } from "node:fs";
import { open, opendir, realpath } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { FileSet, MOST_FILES } from "./files.ts";

/**
 * Opens files so that a symbolic link that was just created is not followed, and a FIFO does not
 * block.
 */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** The contents of a directory. */
export interface DirectoryFiles {
  /** The name of the directory. */
  readonly name: string;
  readonly files: FileSet;
}

/**
 * Reads the files of a directory and its subdirectories. Names that begin with a dot are skipped.
 *
 * @param source A path or `file:` URL
 * @param fileBytes The limit of one file, in bytes
 * @throws {TypeError} If it contains anything but files and directories, such as a symbolic link
 * @throws {RangeError} If there are too many files or directories, or the files are too large
 * @throws {Error} The system's own error, if it can't be read
 */
export async function readDirectory(
  source: string | URL,
  fileBytes: number,
): Promise<DirectoryFiles> {
  const given = resolve(typeof source === "string" ? source : fileURLToPath(source));
  const root = await realpath(given);
  const files = new FileSet(fileBytes);
  const folders = [""];
  for (const folder of folders) {
    for await (const entry of await opendir(join(root, folder))) {
      if (entry.name.startsWith(".")) continue;
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isFile()) {
        files.add(path, await readFile(root, path, files));
      } else if (entry.isDirectory()) {
        if (folders.push(path) <= MOST_FILES) continue;
        throw new RangeError(`Keep at most ${MOST_FILES} directories in a skill: "${path}"`);
      } else {
        throw new TypeError(`Keep only files and directories in a skill: "${path}"`);
      }
    }
  }
  return { name: basename(given), files };
}

async function readFile(
  root: string,
  path: string,
  files: FileSet,
): Promise<Uint8Array<ArrayBuffer>> {
  const place = join(root, path);
  // A parent directory may have become a link since it was listed
  if (await realpath(place) !== place) throw notPlain(path);
  const file = await open(place, FLAGS);
  try {
    const stat = await file.stat();
    if (!stat.isFile()) throw notPlain(path);
    files.admit(path, stat.size);
    // Reading one byte beyond the size shows whether the file grows
    const bytes = new Uint8Array(stat.size + 1);
    let length = 0;
    while (length < bytes.length) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length === stat.size) return bytes.slice(0, length);
    throw new TypeError(`Don't change a file while it is being read: "${path}"`);
  } finally {
    await file.close();
  }
}

function notPlain(path: string): TypeError {
  return new TypeError(`Keep only files and directories in a skill: "${path}"`);
}
