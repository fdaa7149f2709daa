/**
 * The page of `mooring dev` in a browser. `MOORING_SCREENSHOTS=docs/images` writes the pictures of the docs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { noBrowser, PATIENCE_MS, startBrowser, until } from "../dashboard/browser.ts";
import { developing, ROOT, serverText } from "./developing.ts";
import { reach, textOf } from "./program.ts";

/** Where to write the screenshots of the docs, if they are to be written. */
const SCREENSHOTS = process.env.MOORING_SCREENSHOTS;

/** Writes a picture of the docs, if they are to be written. */
async function keep(name: string, image: Uint8Array): Promise<void> {
  assert.ok(image.length > 10_000);
  if (SCREENSHOTS !== undefined) await writeFile(join(SCREENSHOTS, name), image);
}

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

describe("the page of mooring dev", { skip: noBrowser }, () => {
  test("[DEV-16] shows every message and each error of the server, filters, copies, by keyboard, in both themes; axe finds nothing", () =>
    developing(serverText("41"), async ({ url, page: link, write }) => {
      const context = await browser.newContext({
        viewport: { width: 1280, height: 800 },
        bypassCSP: true,
      });
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      const errors: string[] = [];
      page.on("pageerror", (error) => errors.push(String(error)));
      page.on("console", (message) => {
        if (message.type() === "error") errors.push(message.text());
      });
      await page.goto(link);
      assert.ok(!page.url().includes("open"));
      await using client = await reach(url, {
        headers: { authorization: "Bearer t0ken-5ecret" },
        onElicit: () => ({ action: "accept", content: { ok: true } }),
      });
      await client.listTools();
      assert.equal(await textOf(client, "edit"), "41");
      await client.callTool("slow");
      const rows = page.locator("#rows tr");
      await rows.filter({ hasText: "tools/call slow" }).first().waitFor();
      const count = (text: string) => rows.filter({ hasText: text }).count();
      await until(
        page,
        `document.querySelector("#rows").textContent.includes("elicitation/create")`,
      );
      // Both ways: the client's request, the server's question, its answer, and the result
      assert.ok(await count("initialize") >= 2);
      await until(page, `document.querySelectorAll("#rows tr[data-way=in]").length >= 6`);

      // Filters
      await page.keyboard.press("/");
      await page.keyboard.type('"name":"edit"');
      await until(page, `document.querySelectorAll("#rows tr").length <= 2`);
      await page.keyboard.press("Escape");
      await page.fill("#filter-text", "");
      await page.selectOption("#filter-way", "out");
      await until(page, `document.querySelectorAll("#rows tr[data-way=in]").length === 0`);
      await page.selectOption("#filter-way", "");

      // A message, and its copies
      await rows.filter({ hasText: /tools\/call edit$|tools\/call edit\d/ }).first().click();
      await page.waitForSelector("#detail:not([hidden])");
      await page.click("#copy-curl");
      await until(page, `document.querySelector("#detail-text").textContent.startsWith("curl")`);
      const shown = await page.locator("#detail-text").textContent();
      assert.ok(shown?.includes("$MCP_TOKEN") && !shown.includes("t0ken"));
      await page.click("#copy-test");
      await until(page, `document.querySelector("#detail-text").textContent.startsWith("import")`);
      await keep("dev-copy.png", await page.screenshot({ animations: "disabled" }));
      await page.check("#secrets");
      await page.click("#copy-test");
      await until(
        page,
        `document.querySelector("#detail-text").textContent.includes("t0ken-5ecret")`,
      );
      await page.click("#detail-close");
      await page.waitForSelector("#detail", { state: "hidden" });
      assert.ok(!(await page.locator("#rows").innerHTML()).includes("t0ken"));

      // An error, where one looks
      const wrong = `${serverText("42")}const x = = 1;\n`;
      await write(wrong);
      await page.waitForSelector("#failure:not([hidden])");
      const line = wrong.split("\n").length - 1;
      const title = await page.locator("#failure-title").textContent();
      assert.match(title ?? "", new RegExp(`^server\\.ts:${line}`));
      assert.match(
        await page.locator("#failure-source").textContent() ?? "",
        /> \d+ \| const x = = 1;/,
      );

      await page.evaluate(
        await readFile(new URL("node_modules/axe-core/axe.min.js", ROOT), "utf8"),
      );
      for (const theme of ["light", "dark"] as const) {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        for (const width of [1280, 390]) {
          await page.setViewportSize({ width, height: 800 });
          const found = await page.evaluate(
            `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
              violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))]))`,
          );
          assert.deepEqual(found, [], `${theme} ${width}`);
          assert.equal(await page.evaluate("document.documentElement.scrollWidth"), width);
        }
        await page.setViewportSize({ width: 1280, height: 800 });
        const image = await page.screenshot({ animations: "disabled" });
        if (theme === "light") await keep("dev.png", image);
      }

      await write(serverText("43"));
      await page.waitForSelector("#failure[hidden]", { state: "attached" });
      assert.equal(await textOf(client, "edit"), "43");
      assert.deepEqual(errors, []);
      await context.close();
    }));
});
