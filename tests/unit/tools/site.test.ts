/**
 * What makes the site: its sidebar, its links, and the check of these.
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { mapLinks, sidebarOf } from "../../../tools/site.ts";
import { brokenLinks } from "../../../tools/site_links.ts";

describe("the site", () => {
  test("[SITE-2] its sidebar begins with five ways in, and has the pages of docs/README.md", async () => {
    const index = await readFile(new URL("../../../docs/README.md", import.meta.url), "utf8");
    const groups = sidebarOf(index);
    assert.deepEqual(groups.slice(0, 5).map(({ text, items: [first] }) => [text, first?.link]), [
      ["Write a server", "/docs/getting-started"],
      ["Move a server here", "/docs/moving"],
      ["Put servers behind a gateway", "/docs/gateway"],
      ["Let users sign in", "/docs/signin"],
      ["Operate it", "/docs/operator"],
    ]);
    const links = groups.flatMap(({ items }) => items.map(({ link }) => link));
    assert.equal(links.length, [...index.matchAll(/^\| .*\]\(.*\.md\)/gm)].length);
    assert.ok(links.includes("/CONTRIBUTING"));
  });

  test("changes links of prose alone", () => {
    const text = "[a](a.md#x) `[b](b.md)` ![c](c.png) [d](https://d.example/) [e](#e)\n" +
      "```md\n[f](f.md)\n```\n[g](g.md)\n";
    assert.equal(
      mapLinks(text, (target) => `<${target}>`),
      "[a](<a.md#x>) `[b](b.md)` ![c](<c.png>) [d](https://d.example/) [e](#e)\n" +
        "```md\n[f](f.md)\n```\n[g](<g.md>)\n",
    );
  });

  test("[SITE-5] a link to a missing file or anchor is named, with its page", async () => {
    const folder = await mkdtemp(join(tmpdir(), "site-"));
    try {
      await mkdir(join(folder, "docs"));
      await writeFile(
        join(folder, "index.html"),
        `<h1 id="a-b">A</h1><a href="docs/one.html#two">1</a><a href="#a-b">2</a>
        <a href="/docs/">3</a><a href="https://x.example/y">4</a><a href="docs&#x2F;one">5</a>
        <a href="docs/gone.html">6</a><a href="docs/one.html#three">7</a><img src="/gone.png">
        <script>const text = '<a href="not-a-link.html">';</script><a href="#c">8</a>`,
      );
      await writeFile(
        join(folder, "docs/one.html"),
        `<h2 id="two">Two</h2><a href="../index.html">`,
      );
      await writeFile(join(folder, "docs/index.html"), `<a href="one.html?x#two">`);
      assert.deepEqual(await brokenLinks(folder), [
        "index.html: #c (no such anchor)",
        "index.html: /gone.png",
        "index.html: docs/gone.html",
        "index.html: docs/one.html#three (no such anchor)",
      ]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
