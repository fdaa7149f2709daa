/**
 * The documentation as a site, in a browser: its search, its width and its contrast. The last line is a
 * tally.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";
import process from "node:process";
import type { Browser, Page } from "playwright-core";
import { makeSite } from "../../tools/site.ts";
import { ROOT } from "../../tools/runtimes.ts";
import { tallyLine } from "../../tools/tally.ts";
import { noBrowser, PATIENCE_MS, startBrowser } from "../dashboard/browser.ts";

/** Where pictures of the pages are kept, if they are asked for. */
const PICTURES = process.env["SITE_PICTURES"];
const WIDTHS = [390, 900, 1440];
const THEMES = ["light", "dark"] as const;
/** A page of each kind: the home page, an index, prose with tables and code, a picture, a shown file. */
const PAGES = [
  "index.html",
  "docs/index.html",
  "reference.html",
  "docs/cli.html",
  "docs/operator.html",
  "examples/demo.ts.html",
];
/** What somebody searches for, and the page that answers. */
const SEARCHES: Readonly<Record<string, string>> = {
  "introspection": "/docs/authorization.html",
  "completion fish": "/docs/cli.html",
  "Durable Object": "/docs/workers.html",
  "last-event-id": "/docs/streams.html",
};
const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Serves the files of a folder, and nothing else, for as long as `use` takes. */
async function served(folder: string, use: (origin: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = normalize(decodeURIComponent(pathname)).replace(/\/$/, "/index.html");
    readFile(join(folder, path)).then((body) => {
      response.writeHead(200, {
        "content-type": TYPES[extname(path)] ?? "application/octet-stream",
      });
      response.end(body);
    }, () => response.writeHead(404).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  try {
    await use(
      `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`,
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** Opens a page, for as long as `use` takes. */
async function opened(
  browser: Browser,
  options: { readonly width: number; readonly theme: "light" | "dark" },
  use: (page: Page, requests: string[]) => Promise<void>,
): Promise<void> {
  const context = await browser.newContext({
    viewport: { width: options.width, height: 900 },
    colorScheme: options.theme,
    reducedMotion: "reduce",
  });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const requests: string[] = [];
    page.on("request", (request) => requests.push(request.url()));
    await use(page, requests);
  } finally {
    await context.close();
  }
}

/** Runs axe, and returns what it found: the rule, and where. */
async function axed(page: Page, script: string): Promise<unknown[]> {
  await page.evaluate(script);
  return await page.evaluate(`axe.run(document, { resultTypes: ["violations"] })
    .then(({ violations }) => violations.map(({ id, nodes }) =>
      [id, nodes.slice(0, 3).map(({ target }) => target.join(" "))]))`);
}

/** Searches as a reader does, and returns the addresses of what was found, the best first. */
async function search(page: Page, text: string): Promise<string[]> {
  await page.keyboard.press("Control+k");
  await page.fill(".VPLocalSearchBox input", text);
  await page.waitForSelector(".VPLocalSearchBox .result");
  const found: string[] = await page.evaluate(`[...document.querySelectorAll(
    ".VPLocalSearchBox .result")].map((link) => new URL(link.href).pathname)`);
  await page.keyboard.press("Escape");
  return found;
}

type Test = (origin: string, browser: Browser, folder: string) => Promise<void>;

const TESTS: Readonly<Record<string, Test>> = {
  "[SITE-1] every page of docs/ is there, and every entry point has a reference": async (
    _origin,
    _browser,
    folder,
  ) => {
    const docs = (await readdir(join(ROOT, "docs"))).filter((name) => name.endsWith(".md"));
    const made = new Set(await readdir(join(folder, "docs")));
    for (const name of docs) {
      assert.ok(made.has(name.replace("README.md", "index.md").replace(/\.md$/, ".html")), name);
    }
    const index = await readFile(join(folder, "reference.html"), "utf8");
    const { exports } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
    for (const path of Object.keys(exports)) {
      const entry = path === "." ? "" : `${path.slice(2)}/`;
      assert.ok(index.includes(`href="/api/${entry}index.html"`), path);
    }
  },
  "[SITE-3] a search finds its page, and asks no server but the site's files": async (
    origin,
    browser,
  ) => {
    await opened(browser, { width: 1440, theme: "light" }, async (page, requests) => {
      await page.goto(`${origin}/index.html`, { waitUntil: "networkidle" });
      for (const [text, expected] of Object.entries(SEARCHES)) {
        const found = await search(page, text);
        assert.ok(found.slice(0, 5).includes(expected), `${text}: ${found.join(" ")}`);
      }
      assert.deepEqual(requests.filter((url) => !url.startsWith(`${origin}/`)), []);
    });
  },
  "[SITE-4] nothing scrolls sideways and axe finds nothing, at three widths, in both themes":
    async (
      origin,
      browser,
    ) => {
      const script = await readFile(join(ROOT, "node_modules/axe-core/axe.min.js"), "utf8");
      if (PICTURES !== undefined) await mkdir(PICTURES, { recursive: true });
      for (const width of WIDTHS) {
        for (const theme of THEMES) {
          await opened(browser, { width, theme }, async (page) => {
            for (const path of PAGES) {
              await page.goto(`${origin}/${path}`, { waitUntil: "networkidle" });
              const label = `${path} ${width} ${theme}`;
              if (PICTURES !== undefined) {
                const name = label.replaceAll(/[^\w.]+/g, "-");
                await page.screenshot({ path: join(PICTURES, `${name}.png`) });
              }
              const wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
              assert.ok(Number(wide) <= 0, `${label}: ${wide} pixels too wide`);
              assert.deepEqual(await axed(page, script), [], label);
            }
          });
        }
      }
    },
};

async function main(): Promise<number> {
  const folder = await makeSite((line) => console.log(`# ${line}`));
  const tally = { passed: 0, failed: 0, skipped: 0 };
  if (noBrowser !== false) {
    tally.skipped = Object.keys(TESTS).length;
    console.log(tallyLine(tally));
    return 0;
  }
  const browser = await startBrowser();
  try {
    await served(folder, async (origin) => {
      for (const [title, test] of Object.entries(TESTS)) {
        try {
          await test(origin, browser, folder);
          console.log(`ok ${++tally.passed} - ${title}`);
        } catch (error) {
          console.log(`not ok ${++tally.failed} - ${title}`);
          console.log(String(error instanceof Error ? error.stack : error).replace(/^/gm, "  # "));
        }
      }
    });
  } finally {
    await browser.close();
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 ? 0 : 1;
}

process.exit(await main());
