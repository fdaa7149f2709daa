/**
 * Registers the files of all skills as resources of their server.
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { CacheHint } from "../server/cache_hint.ts";
import { compact } from "../server/features/definition.ts";
import type { ResourceHandle } from "../server/features/resources.ts";
import type { McpServer } from "../server/server.ts";
import type { Skill, SkillFile } from "./skill.ts";

/** The media type of directories (Skills extension, Directory Resources). */
const DIRECTORY = "inode/directory";

interface RegisteredFile {
  file: SkillFile;
  /**
   * Counts the skills that contain the file: a nested skill's files also belong to the skill around
   * it.
   */
  uses: number;
  readonly handle: ResourceHandle;
}

/** Keeps the resources of a server in step with the files of its skills. */
export class SkillResources {
  readonly #server: McpServer;
  readonly #cache: CacheHint;
  readonly #registered = new Map<string, RegisteredFile>();
  #tree: ReadonlyMap<string, readonly JsonObject[]> | undefined;

  constructor(server: McpServer, cache: CacheHint) {
    this.#server = server;
    this.#cache = cache;
  }

  /**
   * Registers a skill's files, in place of those of an earlier version of it.
   *
   * @throws {TypeError} If something else has the URI of a file; then nothing has changed
   */
  put(skill: Skill, earlier?: Skill): void {
    const own = new Set(earlier?.files.map(({ uri }) => uri));
    for (const { uri, digest } of skill.files) {
      const known = this.#registered.get(uri);
      const shared = known !== undefined && known.uses > (own.has(uri) ? 1 : 0);
      if (!shared || known.file.digest === digest) continue;
      throw new TypeError(
        `Remove the other skill that contains this file before changing it: ${uri}`,
      );
    }
    const added: SkillFile[] = [];
    try {
      for (const file of skill.files) {
        this.#addFile(file);
        added.push(file);
      }
    } catch (error) {
      for (const file of added) this.#removeFile(file);
      throw error;
    }
    if (earlier !== undefined) this.remove(earlier);
    this.#tree = undefined;
  }

  /** Removes a skill's files, except those that other skills also contain. */
  remove(skill: Skill): void {
    for (const file of skill.files) this.#removeFile(file);
    this.#tree = undefined;
  }

  /**
   * Returns the entries of a directory as resources, or `undefined` when the URI is not that of a
   * directory.
   */
  directory(uri: string): readonly JsonObject[] | undefined {
    this.#tree ??= treeOf([...this.#registered.values()].map(({ file }) => file));
    return this.#tree.get(uri);
  }

  #addFile(file: SkillFile): void {
    const { uri, name, description, mimeType, size } = file;
    const known = this.#registered.get(uri);
    if (known === undefined) {
      const config = { description, mimeType, size, cache: this.#cache };
      const handle = this.#server.registerResource(
        name,
        uri,
        config,
        () => registered.file.contents,
      );
      const registered: RegisteredFile = { file, uses: 1, handle };
      this.#registered.set(uri, registered);
      return;
    }
    known.uses += 1;
    if (known.file.digest === file.digest) return;
    known.file = file;
    known.handle.update({ description, mimeType, size });
    this.#server.resourceUpdated(uri);
  }

  #removeFile({ uri }: SkillFile): void {
    const known = this.#registered.get(uri);
    if (known === undefined) return;
    known.uses -= 1;
    if (known.uses > 0) return;
    this.#registered.delete(uri);
    known.handle.remove();
  }
}

/**
 * Returns the entries of each directory, by the directory's URI: files and directories, sorted by
 * URI.
 */
function treeOf(files: Iterable<SkillFile>): ReadonlyMap<string, readonly JsonObject[]> {
  const tree = new Map<string, Map<string, JsonObject>>();
  for (const { uri, name, description, mimeType, size } of files) {
    put(tree, uri, compact({ uri, name, description, mimeType, size }));
  }
  return new Map([...tree].map(([uri, children]) => [uri, sorted(children)]));
}

/** Adds a resource to its directory, and a new directory to its own. */
function put(tree: Map<string, Map<string, JsonObject>>, uri: string, resource: JsonObject): void {
  const parent = uri.slice(0, uri.lastIndexOf("/"));
  const known = tree.get(parent);
  if (known !== undefined) {
    known.set(uri, resource);
    return;
  }
  tree.set(parent, new Map([[uri, resource]]));
  const name = parent.slice(parent.lastIndexOf("/") + 1);
  // The root of a skill or prefix, where a host would be, has no parent
  if (parent.endsWith(`//${name}`)) return;
  put(tree, parent, { uri: parent, name: decodeURIComponent(name), mimeType: DIRECTORY });
}

function sorted(children: ReadonlyMap<string, JsonObject>): JsonObject[] {
  return [...children].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, resource]) => resource);
}
