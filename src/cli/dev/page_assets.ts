/**
 * Reads the files that the page of `mooring dev` loads, from `src/cli/dev/assets/`, when this module is
 * imported. In the npm package, `tools/pack.ts` writes a module that contains them instead.
 *
 * @module
 */
import { readFile } from "node:fs/promises";

async function read(name: string): Promise<string> {
  const url = new URL(`./assets/${name}`, import.meta.url);
  if (url.protocol === "file:") return (await readFile(url, "utf8")).replaceAll("\r\n", "\n");
  // On Deno, a module may have been loaded from a registry
  const response = await fetch(url);
  if (response.ok) return await response.text();
  throw new Error(`Can't load a file of the page: ${url} answers with ${response.status}`);
}

/** The files by name. */
export const PAGE_ASSETS = {
  "trace.html": await read("trace.html"),
  "trace.js": await read("trace.js"),
  "trace.css": await read("trace.css"),
};
