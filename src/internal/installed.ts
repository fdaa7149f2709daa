/**
 * Loads packages that only some entry points need, and that applications install themselves.
 *
 * @module
 */

/**
 * Waits for a package without which an entry point has no use.
 *
 * @param name The name to install it by
 * @param loading What `import()` of it returned
 * @throws {Error} If it isn't installed, with what to do
 */
export async function installed<T>(name: string, loading: Promise<T>): Promise<T> {
  return (await optional(name, loading))();
}

/**
 * Waits for a package that only a part of an entry point needs.
 *
 * @param name The name to install it by
 * @param loading What `import()` of it returned
 * @returns A function that returns the package, and throws if it isn't installed, with what to do
 */
export async function optional<T>(name: string, loading: Promise<T>): Promise<() => T> {
  try {
    const loaded = await loading;
    return () => loaded;
  } catch (cause) {
    return () => {
      throw new Error(`Install the package "${name}" to use this: npm install ${name}`, { cause });
    };
  }
}
