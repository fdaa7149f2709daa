/**
 * Reads the files that the dashboard's page loads, from `src/dashboard/assets/`, when this module is
 * imported. In the npm package, `tools/pack.ts` writes a module that contains them instead.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { shortHash } from "../../kit.ts";

/** A file of the page. */
export interface Asset {
  /** The media type. */
  readonly type: string;
  /** Changes with the text. */
  readonly tag: string;
  readonly text: string;
}

async function read(name: string, type: string): Promise<Asset> {
  const url = new URL(`../assets/${name}`, import.meta.url);
  // On Deno, a module may have been loaded from a registry.
  const written = url.protocol === "file:" ? await readFile(url, "utf8") : await download(url);
  const text = written.replaceAll("\r\n", "\n").trimEnd();
  return { type, tag: shortHash(text), text };
}

async function download(url: URL): Promise<string> {
  const response = await fetch(url);
  if (response.ok) return await response.text();
  throw new Error(`Can't load a file of the dashboard: ${url} answers with ${response.status}`);
}

/** The files by name. */
export const ASSETS = {
  "icon.svg": await read("icon.svg", "image/svg+xml"),
  "page.js": await read("page.js", "text/javascript; charset=utf-8"),
  "rows.js": await read("rows.js", "text/javascript; charset=utf-8"),
  "sign_in.js": await read("sign_in.js", "text/javascript; charset=utf-8"),
  "style.css": await read("style.css", "text/css; charset=utf-8"),
};
