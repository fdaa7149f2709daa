/**
 * Makes a site of the documentation: the pages of this repository as they are, a search that needs no server,
 * and the reference of every entry point from the doc comments. Fails for a broken link.
 *
 * @module
 */
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, relative, resolve } from "node:path";
import process from "node:process";
import { run } from "./process.ts";
import { installSite, ROOT, SITE } from "./runtimes.ts";
import { brokenLinks } from "./site_links.ts";

const LIMIT_MS = 300_000;
/** The folder in which the pages are put together. */
const WORK = join(SITE, "work");
/** The folder of the site. */
const OUTPUT = join(SITE, "dist");
/** The pages besides those of `docs/`. */
const PAGES = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "tests/README.md"];
/** Languages whose names are not those of their extensions. */
const LANGUAGES: Readonly<Record<string, string>> = { conf: "nginx", Caddyfile: "txt" };
/** What a link to a file of another kind leads to: an image, or a page that shows the file. */
const IMAGES = [".png", ".svg"];

/** A group of the sidebar, as VitePress takes it. */
export interface SidebarGroup {
  readonly text: string;
  readonly items: readonly { readonly text: string; readonly link: string }[];
}

/** A link of a page, outside of code: the text before its target, and the target. */
const LINK = /(\]\()([^)\s]+)(?=\))/g;

/** Changes the links of a page. Code stays as it is. */
export function mapLinks(markdown: string, change: (target: string) => string): string {
  return markdown.split(/(^```[^]*?^```$|`[^`\n]*`)/m).map((part, at) =>
    at % 2 === 1 ? part : part.replace(LINK, (_, before: string, target: string) => {
      return before + (/^[a-z]+:|^#/i.test(target) ? target : change(target));
    })
  ).join("");
}

/**
 * Makes the sidebar from the tables of `docs/README.md`: a group for each heading, an item for each page.
 *
 * @param index The text of the page
 */
export function sidebarOf(index: string): SidebarGroup[] {
  return index.split(/^## /m).slice(1).map((section) => {
    const [text = ""] = section.split("\n");
    const links = [...section.matchAll(/\[([^\]]+)\]\(([^)#]+)\.md\)/g)];
    return {
      text: text.trim(),
      items: links.map(([, title = "", path = ""]) => ({
        text: title,
        link: `/${relative(".", join("docs", path))}`,
      })),
    };
  });
}

async function isFile(path: string): Promise<boolean> {
  return await stat(path).then((it) => it.isFile(), () => false);
}

/** Copies the pages and what they link to, and shows other files on pages of their own. */
async function assemble(): Promise<void> {
  await rm(WORK, { recursive: true, force: true });
  await mkdir(join(WORK, ".vitepress"), { recursive: true });
  const docs = (await readdir(join(ROOT, "docs"))).filter((name) => name.endsWith(".md"));
  const pages = new Set([...PAGES, ...docs.map((name) => `docs/${name}`)]);
  const shown = new Set<string>();
  for (const page of pages) {
    const folder = dirname(page);
    const text = await readFile(join(ROOT, page), "utf8");
    const files: Promise<void>[] = [];
    const changed = mapLinks(text, (target) => {
      const [path = "", anchor] = target.split("#");
      const file = relative(ROOT, resolve(ROOT, folder, path));
      if (pages.has(file)) return withAnchor(path.replace(/README\.md$/, "index.md"), anchor);
      if (IMAGES.includes(extname(file))) {
        // A page shows the one, and links to the other
        files.push(copy(file, join(WORK, file)), copy(file, join(WORK, "public", file)));
        return target;
      }
      shown.add(file);
      return withAnchor(`${path}.md`, anchor);
    });
    await write(join(WORK, page.replace(/README\.md$/, "index.md")), changed);
    await Promise.all(files);
  }
  for (const file of shown) await showFile(file);
  await writeFile(
    join(WORK, ".vitepress", "pages.json"),
    JSON.stringify({
      sidebar: sidebarOf(await readFile(join(ROOT, "docs/README.md"), "utf8")),
      version: JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8")).version,
    }),
  );
  await cp(join(SITE, "config.mjs"), join(WORK, ".vitepress", "config.mjs"));
  await cp(join(SITE, "theme"), join(WORK, ".vitepress", "theme"), { recursive: true });
  await copy("src/dashboard/assets/icon.svg", join(WORK, "public", "icon.svg"));
}

/** Shows a file of the repository on a page. */
async function showFile(file: string): Promise<void> {
  if (!await isFile(join(ROOT, file))) return;
  const code = await readFile(join(ROOT, file), "utf8");
  const extension = extname(file).slice(1) || basename(file);
  const language = LANGUAGES[extension] ?? extension;
  const page = `---\nsearch: false\n---\n\n# ${file}\n\n~~~~${language}\n${code.trimEnd()}\n~~~~\n`;
  await write(join(WORK, `${file}.md`), page);
}

function withAnchor(path: string, anchor: string | undefined): string {
  return anchor === undefined ? path : `${path}#${anchor}`;
}

async function write(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true });
  await cp(join(ROOT, from), to);
}

async function succeed(args: readonly string[], cwd: string): Promise<void> {
  const { code, output } = await run(process.execPath, args, { cwd, limitMs: LIMIT_MS });
  if (code !== 0) throw new Error(`Look why deno ${args.join(" ")} failed:\n${output}`);
}

/** Returns the entry points, by the paths with which they are imported. */
async function entryPoints(): Promise<Map<string, string>> {
  const { exports } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
  return new Map(Object.entries<string>(exports));
}

/** Returns the first paragraph of a module's comment, without the marks of its links. */
export function purposeOf(source: string): string {
  const [, paragraph = ""] = /^\/\*\*\n([^]*?)\n \*(?:\n|\/)/.exec(source) ?? [];
  return paragraph.replace(/^ \* ?/gm, "").replaceAll("\n", " ")
    .replace(/\{@link(?:code)? ([^}]+)\}/g, "`$1`").replaceAll("|", "\\|").trim();
}

/** Writes the reference of every entry point, from the doc comments. */
async function reference(entries: ReadonlyMap<string, string>): Promise<void> {
  const flags = ["--html", "--name=Mooring", `--output=${join(OUTPUT, "api")}`];
  await succeed(["doc", ...flags, ...entries.values()], ROOT);
}

/** Lists the entry points on a page. */
async function listEntries(entries: ReadonlyMap<string, string>): Promise<void> {
  const rows = [...entries].map(async ([path, file]) => {
    const folder = path === "." ? "" : `${path.slice(2)}/`;
    const purpose = purposeOf(await readFile(join(ROOT, file), "utf8"));
    const name = `@mooring/mcp${path.slice(1)}`;
    return `| <a href="/api/${folder}index.html" target="_self"><code>${name}</code></a> | ${purpose} |`;
  });
  const head =
    "# Reference\n\nEvery entry point, with all that it exports.\n\n| Import | What it has |\n| --- | --- |\n";
  await write(join(WORK, "reference.md"), `${head}${(await Promise.all(rows)).join("\n")}\n`);
}

/**
 * Makes the site.
 *
 * @param report Takes a line for each step that begins
 * @returns The folder of the site
 * @throws {Error} If a link leads nowhere, with all of them
 */
export async function makeSite(report: (line: string) => void = () => {}): Promise<string> {
  report("1/4 Installing what makes the site");
  await installSite();
  report("2/4 Putting the pages together");
  await assemble();
  const entries = await entryPoints();
  await listEntries(entries);
  report("3/4 Making the site");
  await rm(OUTPUT, { recursive: true, force: true });
  const vitepress = join(SITE, "node_modules/vitepress/bin/vitepress.js");
  await succeed(["run", "-A", vitepress, "build", WORK, "--outDir", OUTPUT], SITE);
  await reference(entries);
  report("4/4 Checking the links");
  const broken = await brokenLinks(OUTPUT);
  if (broken.length > 0) throw new Error(`Correct these links:\n  ${broken.join("\n  ")}`);
  return OUTPUT;
}

if (import.meta.main) {
  try {
    console.log(await makeSite((line) => console.error(line)));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}
