/**
 * The place for tables in a page of the documentation.
 *
 * @module
 */
const BEGIN = "<!-- tables -->";
const END = "<!-- end of tables -->";

/**
 * A page with other tables between its markers.
 *
 * @throws {TypeError} If the page has no such markers
 */
export function withTables(page: string, tables: string): string {
  const begin = page.indexOf(BEGIN);
  const end = page.indexOf(END, begin);
  if (begin === -1 || end === -1) throw new TypeError(`Put ${BEGIN} and ${END} into the page`);
  return `${page.slice(0, begin + BEGIN.length)}\n\n${tables}\n\n${page.slice(end)}`;
}
