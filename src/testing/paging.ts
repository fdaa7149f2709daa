/**
 * Lists that come in pages.
 *
 * @module
 */
import type { Wire } from "./wire.ts";

/** How many pages a list may have. */
const MOST = 1_000;

/**
 * All entries of a list.
 *
 * @throws {TypeError} If a page holds no list
 * @throws {RangeError} If the pages don't come to an end
 */
export async function listAll<T>(wire: Wire, method: string, key: string): Promise<readonly T[]> {
  const entries: T[] = [];
  let cursor: unknown;
  for (let page = 0; page < MOST; page++) {
    const params = cursor === undefined ? {} : { cursor };
    const result = await wire.request(method, params, {});
    const list = result[key];
    if (!Array.isArray(list)) throw new TypeError(`The server lists no ${key} in ${method}`);
    entries.push(...list);
    cursor = result.nextCursor;
    if (cursor === undefined) return entries;
  }
  throw new RangeError(`The server's list has more than ${MOST} pages: ${method}`);
}
