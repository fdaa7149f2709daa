/**
 * Reads an OpenAPI document: a file, a URL or an object, in JSON or YAML.
 *
 * JSON in one file needs no package. YAML is parsed by `yaml`, and a document of several files is put
 * together by `@apidevtools/json-schema-ref-parser`: both are loaded only then. The parsers that do more
 * were weighed. `@apidevtools/swagger-parser` and `@readme/openapi-parser` validate with Ajv, which
 * compiles with `eval` (not on Workers), and refuse a document as a whole, as those of large APIs often
 * are in some detail; here an operation is left out alone. They and `@scalar/openapi-parser` (which also
 * brings an HTTP client) dereference or upgrade all of it first: seconds for GitHub's 13 MB, while the
 * schemas of tools must keep their references, which recursion needs. `@scalar/openapi-upgrader` leaves
 * `nullable` beside `$ref`, `allOf` and `enum` unconverted.
 *
 * No reference is ever fetched: those to other files are read if they are below the document's folder.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import type { Fetch } from "../../auth/mod.ts";
import { clip, installed, isObject, isSimple, nestsDeeper, quote } from "../../kit.ts";
import { fetchError, statusError, UpstreamError } from "../shared/upstream_error.ts";

/** A document: a file's path, the URL of a file or of a server, or the document itself. */
export type DocumentSource = string | URL | JsonObject;

/** Options for {@linkcode readDocument}. */
export interface ReadOptions {
  /** The most bytes of the document, and of all its files together. */
  readonly mostBytes: number;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
}

/** A document, and the URL that it was fetched from. */
export interface ReadDocument {
  readonly document: JsonObject;
  readonly url: string | undefined;
}

/** The most levels of a document. */
const MOST_DEPTH = 200;
/** The most values of a document. */
const MOST_VALUES = 8_000_000;
/** The most files of a document. */
const MOST_FILES = 1000;

/** Tells whether a document is at a URL that must be fetched. */
export function isRemote(source: DocumentSource): boolean {
  return source instanceof URL
    ? source.protocol !== "file:"
    : typeof source === "string" && /^https?:\/\//i.test(source);
}

/**
 * Reads a document.
 *
 * @throws {UpstreamError} If it can't be read, is too large, or is no OpenAPI document of 3.0 or 3.1
 * @throws {AbortSignal["reason"]} If the signal aborts
 */
export async function readDocument(
  source: DocumentSource,
  options: ReadOptions,
): Promise<ReadDocument> {
  if (isObject(source) && !(source instanceof URL)) {
    return { document: checked(copied(source)), url: undefined };
  }
  if (isRemote(source)) {
    const url = new URL(String(source)).href;
    const text = await download(url, options);
    return { document: checked(await parsed(text, new URL(url).pathname)), url };
  }
  const { fileURLToPath } = await import("node:url");
  const { resolve } = await import("node:path");
  const file = source instanceof URL || source.startsWith("file:")
    ? fileURLToPath(source)
    : resolve(source);
  const reader = new FileReader(options.mostBytes);
  const value = await parsed(await reader.read(file), file);
  if (!hasFiles(value)) return { document: checked(value), url: undefined };
  return { document: checked(await bundled(checked(value), file, reader)), url: undefined };
}

function wrong(advice: string): UpstreamError {
  return new UpstreamError("protocol", { advice });
}

function copied(value: JsonObject): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    throw wrong("Give a document that can be written as JSON");
  }
}

function checked(value: unknown): JsonObject {
  if (!isObject(value)) throw wrong("Give an OpenAPI document: an object is expected");
  const { openapi, swagger } = value;
  if (swagger !== undefined) {
    throw wrong(
      `Convert the document to OpenAPI 3.0 or 3.1: it is of version ${clip(String(swagger), 20)}`,
    );
  }
  if (typeof openapi !== "string" || !/^3\.[01](?:\.|$)/.test(openapi)) {
    throw wrong(
      `Give an OpenAPI document of 3.0 or 3.1: its "openapi" is ${quote(String(openapi), 20)}`,
    );
  }
  if (!isSimple(value, MOST_VALUES, MOST_DEPTH)) {
    throw wrong(`Give a document of at most ${MOST_VALUES} values and ${MOST_DEPTH} levels`);
  }
  return value;
}

/** Parses a text: JSON if it begins so, else YAML. */
async function parsed(text: string, name: string): Promise<unknown> {
  const plain = text.replace(/^\uFEFF/, "");
  const file = quote(name.slice(name.lastIndexOf("/") + 1));
  try {
    if (/^\s*[{[]/.test(plain)) {
      if (nestsDeeper(plain, MOST_DEPTH)) {
        throw wrong(`Give a document of at most ${MOST_DEPTH} levels`);
      }
      return JSON.parse(plain);
    }
  } catch (error) {
    if (error instanceof UpstreamError) throw error;
    // YAML in the style of JSON.
  }
  const { parse } = await installed("yaml", import("yaml"));
  try {
    // Aliases are expanded by the copy: those of a small text can stand for gigabytes.
    const value: unknown = parse(plain, { maxAliasCount: 1000, merge: true, logLevel: "error" });
    if (!isSimple(value, MOST_VALUES, MOST_DEPTH)) throw new RangeError("Too many values");
    return JSON.parse(JSON.stringify(value));
  } catch {
    throw wrong(`Correct ${file}: it is neither JSON nor YAML that can be read`);
  }
}

async function download(url: string, { fetch, signal, mostBytes }: ReadOptions): Promise<string> {
  const { origin } = new URL(url);
  try {
    const headers = { accept: "application/json, application/yaml, text/yaml, */*;q=0.5" };
    const response = await fetch(url, { headers, signal });
    if (!response.ok) {
      await response.body?.cancel();
      throw statusError(response.status, origin);
    }
    const bytes = await readBytes(response, mostBytes);
    if (bytes === undefined) throw wrong(`Give a document of at most ${mostBytes} bytes`);
    return new TextDecoder().decode(bytes);
  } catch (error) {
    signal.throwIfAborted();
    throw fetchError(error, origin);
  }
}

/** Reads a body; `undefined` if it has more than `most` bytes. */
export async function readBytes(response: Response, most: number): Promise<Uint8Array | undefined> {
  const { body } = response;
  if (body === null) return new Uint8Array();
  if (Number(response.headers.get("content-length") ?? 0) > most) {
    await body.cancel();
    return undefined;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop cancels the body.
  for await (const chunk of body) {
    length += chunk.byteLength;
    if (length > most) return undefined;
    chunks.push(chunk);
  }
  const [first] = chunks;
  if (first !== undefined && chunks.length === 1) return first;
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.byteLength;
  }
  return bytes;
}

/** Reads files, up to a number of bytes in all. */
class FileReader {
  #left: number;
  #files = 0;

  constructor(most: number) {
    this.#left = most;
  }

  async read(file: string): Promise<string> {
    const { readFile, stat } = await import("node:fs/promises");
    const name = quote(file.slice(file.lastIndexOf("/") + 1));
    let size: number;
    try {
      size = (await stat(file)).size;
    } catch {
      throw new UpstreamError("not-found", { advice: `Name a document that can be read: ${name}` });
    }
    this.#left -= size;
    if (this.#left < 0 || ++this.#files > MOST_FILES) {
      throw wrong(`Give a document of fewer bytes and files: too much with ${name}`);
    }
    try {
      return await readFile(file, "utf8");
    } catch {
      throw new UpstreamError("not-found", { advice: `Name a document that can be read: ${name}` });
    }
  }
}

/** Tells whether a document refers to other files. */
function hasFiles(value: unknown): boolean {
  const open: unknown[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (typeof next !== "object" || next === null) continue;
    const { $ref }: { $ref?: unknown } = next;
    if (typeof $ref === "string" && isFile($ref)) return true;
    for (const part of Object.values(next)) open.push(part ?? false);
  }
  return false;
}

/** Tells whether a reference is to another file: relative, without a scheme or a host. */
function isFile(reference: string): boolean {
  return !reference.startsWith("#") && !/^(?:[A-Za-z][A-Za-z0-9+.-]*:|\/)/.test(reference);
}

/** Puts a document and the files beside it together. */
async function bundled(document: JsonObject, file: string, reader: FileReader): Promise<unknown> {
  const { $RefParser } = await installed(
    "@apidevtools/json-schema-ref-parser",
    import("@apidevtools/json-schema-ref-parser"),
  );
  const { dirname, relative, isAbsolute } = await import("node:path");
  const { realpath } = await import("node:fs/promises");
  const { fileURLToPath } = await import("node:url");
  const folder = await realpath(dirname(file));
  const read = async ({ url }: { readonly url: string }): Promise<unknown> => {
    const name = quote(clip(url.slice(url.lastIndexOf("/") + 1), 80));
    if (/^[A-Za-z][A-Za-z0-9+.-]+:/.test(url) && !url.startsWith("file:")) {
      throw wrong(`Put the file beside the document: ${name} is at a URL, which isn't fetched`);
    }
    const path = url.startsWith("file:") ? fileURLToPath(url) : url;
    const real = await realpath(path).catch(() => path);
    const inside = relative(folder, real);
    if (inside.startsWith("..") || isAbsolute(inside)) {
      throw wrong(`Put the file beside the document: ${name} is outside its folder`);
    }
    return await parsed(await reader.read(path), path);
  };
  try {
    return await new $RefParser().bundle(file, document, {
      resolve: { http: false, file: { order: 1, canRead: true, read } },
      parse: { json: false, yaml: false, text: false, binary: false, own: PARSED },
    });
  } catch (error) {
    throw ownError(error) ?? wrong("Correct the references to other files: they can't be followed");
  }
}

/** Files come parsed. */
const PARSED = { order: 1, canParse: true, parse: ({ data }: { readonly data: unknown }) => data };

/** Finds an error of this module among those that a parser has wrapped. */
function ownError(error: unknown, depth = 0): UpstreamError | undefined {
  if (error instanceof UpstreamError || depth > 4) {
    return error instanceof UpstreamError ? error : undefined;
  }
  if (typeof error !== "object" || error === null) return undefined;
  const { cause, originalError, errors } = error as Record<string, unknown>;
  const inner = [cause, originalError, ...Array.isArray(errors) ? errors : []];
  for (const each of inner) {
    const found = ownError(each, depth + 1);
    if (found !== undefined) return found;
  }
  return undefined;
}
