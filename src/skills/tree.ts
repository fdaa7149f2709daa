/**
 * The directories that files lie in, as resources (Skills extension, Directory Resources).
 *
 * @module
 */
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { compact } from "../server/definition.ts";
import type { SkillFile } from "./skill.ts";

const DIRECTORY = "inode/directory";

/** What lies in each directory, by the directory's URI: files and directories, in the order of URIs. */
export function treeOf(files: Iterable<SkillFile>): ReadonlyMap<string, readonly JsonObject[]> {
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
