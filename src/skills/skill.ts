/**
 * Builds a skill from its files: its entry, and every file with its digest (Skills extension, Skill
 * Entries).
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { toBase64 } from "../internal/base64.ts";
import type { FileSet } from "./files.ts";
import { readFrontmatter, type SkillFrontmatter } from "./frontmatter.ts";
import { mediaType } from "./media_type.ts";

/** A file of a skill. */
export interface SkillFile {
  readonly uri: string;
  /** Names the file in its directory; for `SKILL.md`, holds the skill's name. */
  readonly name: string;
  readonly description: string | undefined;
  readonly mimeType: string;
  /** The size in bytes. */
  readonly size: number;
  /** Holds `sha256:` and 64 hexadecimal digits, computed over the file's bytes. */
  readonly digest: string;
  readonly contents: { readonly text: string } | { readonly blob: string };
}

/** A skill. */
export interface Skill {
  /** The URI of its `SKILL.md`. */
  readonly uri: string;
  readonly name: string;
  /** The files, `SKILL.md` first. */
  readonly files: readonly SkillFile[];
  /** The size of all files, in bytes. */
  readonly bytes: number;
  /** The entry that lists show. */
  readonly entry: JsonObject;
}

const MANIFEST = "SKILL.md";
const PREFIX = /^[A-Za-z0-9][\w.~-]*(?:\/[A-Za-z0-9][\w.~-]*)*$/;
// Encoding the text must yield the same bytes, including a byte order mark
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Builds a skill from its files.
 *
 * @param prefix The part of its URIs before the skill's name
 * @throws {TypeError} If `SKILL.md` is missing or invalid, or the prefix is not a path
 */
export async function makeSkill(files: FileSet, prefix: string | undefined): Promise<Skill> {
  const { sorted } = files;
  const manifest = sorted.find(([path]) => path === MANIFEST)?.[1];
  const text = manifest && decode(manifest);
  if (text === undefined) throw new TypeError(`Give the skill a UTF-8 file "${MANIFEST}"`);
  const frontmatter = readFrontmatter(text);
  const root = rootOf(prefix, frontmatter.name);
  const made = await Promise.all(
    sorted.map(([path, bytes]) => makeFile(root, path, bytes, frontmatter)),
  );
  const uri = `${root}/${MANIFEST}`;
  const all = [...made.filter((file) => file.uri === uri), ...made.filter((f) => f.uri !== uri)];
  const resources = all.map(({ uri, digest, size }) => ({ uri, digest, size }));
  return {
    uri,
    name: frontmatter.name,
    files: all,
    bytes: all.reduce((sum, { size }) => sum + size, 0),
    entry: { uri, frontmatter, resources },
  };
}

function rootOf(prefix: string | undefined, name: string): string {
  if (prefix === undefined) return `skill://${name}`;
  if (PREFIX.test(prefix)) return `skill://${prefix}/${name}`;
  throw new TypeError(`Give a path like "acme/billing" as "prefix": ${JSON.stringify(prefix)}`);
}

async function makeFile(
  root: string,
  path: string,
  bytes: Uint8Array<ArrayBuffer>,
  frontmatter: SkillFrontmatter,
): Promise<SkillFile> {
  const text = decode(bytes);
  const isManifest = path === MANIFEST;
  return {
    uri: `${root}/${path.split("/").map(encodeURIComponent).join("/")}`,
    name: isManifest ? frontmatter.name : path.slice(path.lastIndexOf("/") + 1),
    description: isManifest ? frontmatter.description : undefined,
    mimeType: mediaType(path, text !== undefined),
    size: bytes.length,
    digest: `sha256:${await sha256(bytes)}`,
    contents: text === undefined ? { blob: toBase64(bytes) } : { text },
  };
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes);
  } catch {
    return undefined;
  }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
