/**
 * Finds the links of a site that lead nowhere: to a file that isn't there, or an anchor that the page doesn't
 * have.
 *
 * @module
 */
import { readdir, readFile } from "node:fs/promises";
import { join, posix } from "node:path";

/** A folder that other tools write, whose anchors aren't checked. */
const GENERATED = "api/";
/** Broken links that are named. */
const MAX_SHOWN = 50;

const ATTRIBUTE = /\b(?:href|src)="([^"]*)"/g;
const ID = /\bid="([^"]*)"/g;
const ENTITIES: Readonly<Record<string, string>> = { amp: "&", quot: '"', lt: "<", gt: ">" };

function unescaped(text: string): string {
  return text.replace(
    /&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi,
    (all, hex: string | undefined, decimal: string | undefined, name: string | undefined) =>
      name !== undefined
        ? ENTITIES[name] ?? all
        : String.fromCodePoint(hex !== undefined ? parseInt(hex, 16) : Number(decimal)),
  );
}

/** Leaves out the programs of a page: what looks like a link there is none. */
function withoutScripts(html: string): string {
  return html.replace(
    /<script\b[^>]*>[^]*?<\/script>/g,
    (all) => all.slice(0, all.indexOf(">") + 1),
  );
}

/**
 * Returns a line for each link of the pages that leads nowhere.
 *
 * @param folder The folder of the site, which is served at `/`
 */
export async function brokenLinks(folder: string): Promise<string[]> {
  const files = new Set(
    (await readdir(folder, { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => posix.relative(folder, posix.join(entry.parentPath, entry.name))),
  );
  const pages = [...files].filter((path) => path.endsWith(".html"));
  const anchors = new Map<string, Set<string>>();
  const links: (readonly [page: string, target: string])[] = [];
  for (const page of pages) {
    const html = withoutScripts(await readFile(join(folder, page), "utf8"));
    if (!page.startsWith(GENERATED)) {
      anchors.set(page, new Set([...html.matchAll(ID)].map(([, id = ""]) => unescaped(id))));
    }
    for (const [, target = ""] of html.matchAll(ATTRIBUTE)) links.push([page, unescaped(target)]);
  }
  const broken = new Set<string>();
  for (const [page, target] of links) {
    if (/^[a-z][a-z+.-]*:|^\/\//i.test(target) || target === "") continue;
    const [path = "", anchor = ""] = target.split("#");
    const full = path === "" ? page : decodeURIComponent(
      posix.normalize(
        path.startsWith("/") ? path.slice(1) : posix.join(posix.dirname(page), path),
      ).replace(/\?.*$/, ""),
    );
    const found = [full, `${full}.html`, posix.join(full, "index.html")].find((it) =>
      files.has(it)
    );
    if (found === undefined) broken.add(`${page}: ${target}`);
    else if (anchor !== "" && anchors.get(found)?.has(decodeURIComponent(anchor)) === false) {
      broken.add(`${page}: ${target} (no such anchor)`);
    }
  }
  const lines = [...broken].sort();
  const more = lines.length - MAX_SHOWN;
  return more > 0 ? [...lines.slice(0, MAX_SHOWN), `and ${more} more`] : lines;
}
