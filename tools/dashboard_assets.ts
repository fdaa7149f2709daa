/**
 * Writes the files that the dashboard's page loads into a module, which every runtime and bundler can
 * import: `src/dashboard/page/assets.ts`. Without `--write`, fails if that module is out of date.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { ROOT } from "./runtimes.ts";

const FOLDER = join(ROOT, "src/dashboard/assets");
const MODULE = join(ROOT, "src/dashboard/page/assets.ts");

/** The files, and their media types. */
const FILES: Readonly<Record<string, string>> = {
  "icon.svg": "image/svg+xml",
  "page.js": "text/javascript; charset=utf-8",
  "sign_in.js": "text/javascript; charset=utf-8",
  "style.css": "text/css; charset=utf-8",
};

/** Returns the text of the module. */
async function moduleText(): Promise<string> {
  const entries = await Promise.all(
    Object.entries(FILES).map(async ([name, type]) => {
      const text = (await readFile(join(FOLDER, name), "utf8")).replaceAll("\r\n", "\n");
      const tag = createHash("sha256").update(text).digest("hex").slice(0, 12);
      const lines = text.trimEnd().split("\n").map((line) => `      ${JSON.stringify(line)},`);
      return [
        `  ${JSON.stringify(name)}: {`,
        `    type: ${JSON.stringify(type)},`,
        `    tag: ${JSON.stringify(tag)},`,
        "    text: [",
        ...lines,
        '    ].join("\\n"),',
        "  },",
      ].join("\n");
    }),
  );
  return [
    "/**",
    " * Holds the files that the dashboard's page loads. Written by `tools/dashboard_assets.ts` from the files",
    " * in `src/dashboard/assets/`: change those.",
    " *",
    " * @module",
    " */",
    "// deno-fmt-ignore-file",
    "",
    "/** The files by name, each with its media type and a tag that changes with its text. */",
    "export const ASSETS = {",
    ...entries,
    "} as const;",
    "",
  ].join("\n");
}

const text = await moduleText();
if (process.argv.includes("--write")) {
  await writeFile(MODULE, text);
} else if (await readFile(MODULE, "utf8").catch(() => "") !== text) {
  console.error(
    "Run `deno run -A tools/dashboard_assets.ts --write`: src/dashboard/page/assets.ts",
  );
  process.exitCode = 1;
}
