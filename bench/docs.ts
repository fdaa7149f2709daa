/**
 * The place for tables in a page of the documentation.
 *
 * @module
 */

/**
 * A page with other tables between its markers.
 *
 * @param what What the markers call the tables
 * @throws {TypeError} If the page has no such markers
 */
export function withTables(page: string, what: string, tables: string): string {
  const [before, after] = [`<!-- ${what} -->`, `<!-- end of ${what} -->`];
  const begin = page.indexOf(before);
  const end = page.indexOf(after, begin);
  if (begin === -1 || end === -1) throw new TypeError(`Put ${before} and ${after} into the page`);
  return `${page.slice(0, begin + before.length)}\n\n${tables}\n\n${page.slice(end)}`;
}
