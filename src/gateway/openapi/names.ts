/**
 * Names the tools of an OpenAPI document, and their arguments.
 *
 * @module
 */
import { shortHash } from "../../kit.ts";

/** The most characters of a name: some clients allow 64, with their own prefix. */
const MOST = 56;
/** The characters of a hash with its separator. */
const HASH = 9;

/** What a tool is named by. */
export interface NamedOperation {
  readonly method: string;
  readonly path: string;
  readonly operationId: string | undefined;
}

/**
 * Returns a name for each operation: its `operationId`, or its method and path, in the characters that
 * every client accepts. Operations that would have the same name all get a hash of their method and path,
 * so a name doesn't depend on the order of the operations.
 */
export function toolNames(operations: readonly NamedOperation[]): string[] {
  const plain = operations.map(({ method, path, operationId }) =>
    plainName(operationId ?? "") || plainName(`${method.toLowerCase()} ${path}`)
  );
  const counts = new Map<string, number>();
  for (const name of plain) counts.set(name, (counts.get(name) ?? 0) + 1);
  const taken = new Set(plain.filter((name) => counts.get(name) === 1));
  return operations.map(({ method, path }, at) => {
    const name = plain[at] ?? "";
    if (counts.get(name) === 1) return name;
    const hashed = withHash(name, `${method} ${path}`);
    let unique = hashed;
    for (let count = 2; taken.has(unique); count++) unique = `${hashed}_${count}`;
    taken.add(unique);
    return unique;
  });
}

function plainName(text: string): string {
  const plain = text.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "");
  return plain.length <= MOST ? plain : withHash(plain, text);
}

function withHash(name: string, source: string): string {
  return `${name.slice(0, MOST - HASH)}_${shortHash(source)}`;
}

/**
 * Returns names for arguments, in the characters that every client accepts, each once.
 *
 * @param given The names in the document, each with what to put before a name that is taken
 */
export function argumentNames(
  given: readonly { readonly name: string; readonly prefix: string }[],
): string[] {
  const taken = new Set<string>();
  return given.map(({ name, prefix }) => {
    const plain = name.replace(/[^A-Za-z0-9_.-]+/g, "_").slice(0, 60);
    const safe = /^[A-Za-z]/.test(plain) && !/^_*$/.test(plain) && !(plain in {})
      ? plain
      : `${prefix}_${plain.replace(/^_+/, "")}`;
    let unique = taken.has(safe) ? `${prefix}_${plain}`.slice(0, 62) : safe;
    for (let count = 2; taken.has(unique); count++) {
      unique = `${prefix}_${plain.slice(0, 50)}_${count}`;
    }
    taken.add(unique);
    return unique;
  });
}
