/**
 * The files of all skills as resources of their server.
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { CacheHint } from "../server/cache_hint.ts";
import { compact } from "../server/definition.ts";
import type { ResourceHandle } from "../server/resources.ts";
import type { McpServer } from "../server/server.ts";
import type { Skill, SkillFile } from "./skill.ts";

/** The media type of directories (Skills extension, Directory Resources). */
const DIRECTORY = "inode/directory";

interface Registered {
  file: SkillFile;
  /** How many skills have it: a nested skill's files are also those of the skill around it. */
  uses: number;
  readonly handle: ResourceHandle;
}

/** Keeps a server's resources and the files of its skills the same. */
export class SkillResources {
  readonly #server: McpServer;
  readonly #cache: CacheHint;
  readonly #registered = new Map<string, Registered>();
  #tree: ReadonlyMap<string, readonly JsonObject[]> | undefined;

  constructor(server: McpServer, cache: CacheHint) {
    this.#server = server;
    this.#cache = cache;
  }

  /**
   * Puts a skill's files on the shelf, in place of those of an earlier form of it.
   *
   * @throws {TypeError} If a URI is taken by something else; then nothing has changed
   */
  put(skill: Skill, earlier?: Skill): void {
    const own = new Set(earlier?.files.map(({ uri }) => uri));
    for (const { uri, digest } of skill.files) {
      const there = this.#registered.get(uri);
      const shared = there !== undefined && there.uses > (own.has(uri) ? 1 : 0);
      if (!shared || there.file.digest === digest) continue;
      throw new TypeError(`Remove the other skill with this file before changing it: ${uri}`);
    }
    const added: SkillFile[] = [];
    try {
      for (const file of skill.files) {
        this.#add(file);
        added.push(file);
      }
    } catch (error) {
      for (const file of added) this.#take(file);
      throw error;
    }
    if (earlier !== undefined) this.remove(earlier);
    this.#tree = undefined;
  }

  /** Takes a skill's files off the shelf, except those that other skills have too. */
  remove(skill: Skill): void {
    for (const file of skill.files) this.#take(file);
    this.#tree = undefined;
  }

  /** What lies in a directory, or `undefined` when the URI is none of a directory. */
  directory(uri: string): readonly JsonObject[] | undefined {
    this.#tree ??= treeOf([...this.#registered.values()].map(({ file }) => file));
    return this.#tree.get(uri);
  }

  #add(file: SkillFile): void {
    const { uri, name, description, mimeType, size } = file;
    const there = this.#registered.get(uri);
    if (there === undefined) {
      const config = { description, mimeType, size, cache: this.#cache };
      const handle = this.#server.registerResource(
        name,
        uri,
        config,
        () => registered.file.contents,
      );
      const registered: Registered = { file, uses: 1, handle };
      this.#registered.set(uri, registered);
      return;
    }
    there.uses += 1;
    if (there.file.digest === file.digest) return;
    there.file = file;
    there.handle.update({ description, mimeType, size });
    this.#server.resourceUpdated(uri);
  }

  #take({ uri }: SkillFile): void {
    const there = this.#registered.get(uri);
    if (there === undefined) return;
    there.uses -= 1;
    if (there.uses > 0) return;
    this.#registered.delete(uri);
    there.handle.remove();
  }
}

/** What lies in each directory, by the directory's URI: files and directories, in the order of URIs. */
function treeOf(files: Iterable<SkillFile>): ReadonlyMap<string, readonly JsonObject[]> {
  const tree = new Map<string, Map<string, JsonObject>>();
  for (const { uri, name, description, mimeType, size } of files) {
    put(tree, uri, compact({ uri, name, description, mimeType, size }));
  }
  return new Map([...tree].map(([uri, children]) => [uri, sorted(children)]));
}

/** Puts a resource into its directory, and that into its own where it is new. */
function put(tree: Map<string, Map<string, JsonObject>>, uri: string, resource: JsonObject): void {
  const parent = uri.slice(0, uri.lastIndexOf("/"));
  const known = tree.get(parent);
  if (known !== undefined) {
    known.set(uri, resource);
    return;
  }
  tree.set(parent, new Map([[uri, resource]]));
  const name = parent.slice(parent.lastIndexOf("/") + 1);
  // The first part of the path, where a host would be, lies in nothing
  if (parent.endsWith(`//${name}`)) return;
  put(tree, parent, { uri: parent, name: decodeURIComponent(name), mimeType: DIRECTORY });
}

function sorted(children: ReadonlyMap<string, JsonObject>): JsonObject[] {
  return [...children].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, resource]) => resource);
}
