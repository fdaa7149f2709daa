/**
 * Loads packages that only some entry points need, and that applications install themselves.
 *
 * @module
 */

/**
 * Waits for a package to load.
 *
 * @param name The name to install it by
 * @param loading What `import()` of it returned
 * @throws {Error} If it isn't installed, with what to do
 */
export async function installed<T>(name: string, loading: Promise<T>): Promise<T> {
  try {
    return await loading;
  } catch (cause) {
    throw new Error(`Install the package "${name}" to use this: npm install ${name}`, { cause });
  }
}
