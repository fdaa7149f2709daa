/**
 * A headless Chromium for tests of the dashboard's page.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import process from "node:process";
import { type Browser, chromium, type Page } from "playwright-core";
import type { Node } from "./endpoint.ts";

const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

const program = process.env.CHROMIUM ?? PROGRAMS.find((path) => existsSync(path));

/** Why tests that need a browser are skipped, if they are. */
export const noBrowser: string | false = program !== undefined
  ? false
  : "BROWSER TESTS SKIPPED: install chromium, or set CHROMIUM to its path";

if (noBrowser !== false) console.error(noBrowser);

/** How long a test waits for the page, in milliseconds. */
export const PATIENCE_MS = 30_000;

/** Starts a browser. */
export async function startBrowser(): Promise<Browser> {
  return await chromium.launch({
    executablePath: program ?? assert.fail(),
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
    timeout: PATIENCE_MS,
    // Its own handlers would end the process of the tests, which emit signals.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

/** A page of the dashboard, and everything that it has sent. */
export interface Opened {
  readonly page: Page;
  /** The requests: method, URL, headers and body. */
  readonly requests: string[];
  /** Errors of its script, and what its policy has blocked. */
  readonly errors: string[];
}

/** Signs in with a link, and waits for the first update. */
export async function openDashboard(
  browser: Browser,
  node: Node,
  size = { width: 1440, height: 900 },
): Promise<Opened> {
  const context = await browser.newContext({ viewport: size, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const requests: string[] = [];
  const errors: string[] = [];
  page.on("request", (request) => {
    const { cookie: _, "x-mooring-operator": _token, ...headers } = request.headers();
    requests.push(JSON.stringify([request.method(), request.url(), headers, request.postData()]));
  });
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => {
    const text = message.text();
    // Before it signs in, the page is a 401.
    if (message.type() === "error" && !text.includes("401")) errors.push(text);
  });
  await page.goto(`${node.page}#${node.links.issue()}`);
  await page.waitForSelector("#status:not([data-state=waiting])");
  return { page, requests, errors };
}

/** Selects a tab. */
export async function selectTab(page: Page, tab: string): Promise<void> {
  await page.click(`#tab-${tab}`);
  await page.waitForSelector(`#tab-${tab}[aria-selected=true]`);
}

/** Presses the button of the row that contains a text, and confirms. */
export async function actOnRow(page: Page, text: string, button: string): Promise<void> {
  const row = page.locator("main tbody tr", { hasText: text }).first();
  await row.getByRole("button", { name: button, exact: true }).click();
  await page.waitForSelector("#confirm[open]");
  // The safe answer has the focus.
  assert.equal(await page.evaluate("document.activeElement.id"), "confirm-no");
  await page.click("#confirm-yes");
}

/**
 * Waits until an expression is true in the page. The page's policy forbids what Playwright itself does
 * for that.
 */
export async function until(page: Page, expression: string): Promise<void> {
  for (let tries = 0; await page.evaluate(expression) !== true; tries++) {
    assert.ok(tries < PATIENCE_MS / 50, `It never became true: ${expression}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
