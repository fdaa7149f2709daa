/**
 * The pages of accounts in a browser: those of users and the operator's table, at two widths, in both themes,
 * by keyboard. `MOORING_SCREENSHOTS=docs/images` writes the pictures of the docs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { listen } from "../../src/adapters/node_server.ts";
import type { AccountSource, ListedAccount } from "../../src/dashboard/mod.ts";
import {
  actOnRow,
  noBrowser,
  openDashboard,
  PATIENCE_MS,
  selectTab,
  startBrowser,
} from "../dashboard/browser.ts";
import { startNode } from "../dashboard/endpoint.ts";
import { freePort } from "../support/redis.ts";
import { callConnected, linkOf, World } from "./world.ts";

/** Where to write the pictures of the docs, if they are to be written. */
const SCREENSHOTS = process.env.MOORING_SCREENSHOTS;
const SIZES = [{ width: 1200, height: 800 }, { width: 390, height: 844 }];
const THEMES = ["light", "dark"] as const;

/** The script of axe, which is evaluated in the page. */
const AXE = await readFile(
  new URL("../../node_modules/axe-core/axe.min.js", import.meta.url),
  "utf8",
);

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

/** Fails if axe finds something, or the page is wider than the window, in either theme. */
async function checkLook(page: Page, label: string): Promise<void> {
  await page.evaluate(AXE);
  for (const colorScheme of THEMES) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const found = await page.evaluate(
      `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
        violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))]))`,
    );
    assert.deepEqual(found, [], `${label} ${colorScheme}`);
    const [wide, window] = await page.evaluate<[number, number]>(
      "[document.documentElement.scrollWidth, innerWidth]",
    );
    assert.ok(wide <= window, `${label} ${colorScheme}: ${wide} of ${window}`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Writes a picture of the docs, if they are to be written. */
async function keep(page: Page, name: string, top = 0): Promise<void> {
  if (SCREENSHOTS === undefined) return;
  const { width, height } = page.viewportSize() ?? assert.fail();
  const clip = { x: 0, y: top, width, height: height - top };
  const image = await page.screenshot({ animations: "disabled", clip });
  await writeFile(join(SCREENSHOTS, name), image);
}

/** Presses Tab until something with a text has the focus. */
async function tabTo(page: Page, text: string): Promise<void> {
  for (let presses = 0; presses < 10; presses++) {
    await page.keyboard.press("Tab");
    if ((await page.locator(":focus").allInnerTexts()).includes(text)) return;
  }
  assert.fail(`No Tab leads to ${text}`);
}

describe("pages of accounts in a browser", { skip: noBrowser }, () => {
  test("[UPA-62] a user connects and disconnects an account by the keyboard; axe finds nothing at two widths, in both themes", async () => {
    const port = await freePort();
    const origin = `http://127.0.0.1:${port}`;
    const world = new World({
      services: ["notes", "mail"],
      accounts: { url: origin, name: "Harbour tools", allowInsecure: true },
    });
    const own = world.node().accounts;
    const listener = await listen({
      hostname: "127.0.0.1",
      port,
      fetch: async (request) => await own.routes(request) ?? new Response(null, { status: 404 }),
      failed: (error) => assert.fail(String(error)),
    });
    // axe is evaluated in the page, whose policy would keep it out
    const context = await browser.newContext({
      bypassCSP: true,
      extraHTTPHeaders: { "x-user": "ada" },
    });
    try {
      const page = await context.newPage();
      page.setDefaultTimeout(PATIENCE_MS);
      // The logins of the servers: a page with one link, back
      await page.route("https://login-*.example/**", async (route) => {
        const at = new URL(route.request().url());
        const service = world.services.find(({ issuer }) => issuer === at.origin) ?? assert.fail();
        const back = service.authorize(at, "ada").href.replaceAll("&", "&amp;");
        await route.fulfill({
          contentType: "text/html",
          body: `<!doctype html><title>Login</title><a href="${back}">Sign in</a>`,
        });
      });
      const peer = await world.peer("ada");
      for (const name of ["notes", "mail"]) {
        const { url } = await linkOf(peer, await peer.call(1, `${name}__who`));
        for (const size of SIZES) {
          await page.setViewportSize(size);
          await page.goto(url);
          await checkLook(page, `question ${size.width}`);
        }
        if (name === "notes") {
          await page.setViewportSize({ width: 720, height: 460 });
          await keep(page, "accounts-question.png");
        }
        await tabTo(page, "Continue");
        await page.keyboard.press("Enter");
        await page.getByRole("link", { name: "Sign in" }).click();
        await page.getByRole("heading", { name: "Your account is connected" }).waitFor();
        await checkLook(page, "end");
        assert.match(await (await peer.call(2, `${name}__who`)).text(), /ada@/);
      }
      for (const size of SIZES) {
        await page.setViewportSize(size);
        await page.goto(`${origin}/accounts`);
        await checkLook(page, `accounts ${size.width}`);
      }
      await page.setViewportSize({ width: 720, height: 420 });
      await keep(page, "accounts-list.png");
      await tabTo(page, "Disconnect notes");
      await page.keyboard.press("Enter");
      await page.getByRole("button", { name: "Disconnect notes" }).waitFor({ state: "detached" });
      assert.equal(await page.getByRole("button", { name: "Disconnect mail" }).count(), 1);
      await linkOf(peer, await peer.call(3, "notes__who"));
      // A link of somebody else, as this user sees it
      const bob = await world.peer("bob");
      const { url } = await linkOf(bob, await bob.call(1, "notes__who"));
      await page.goto(url);
      await checkLook(page, "foreign link");
      assert.doesNotMatch(await page.locator("body").innerText(), /bob|notes/);
      assert.equal((await callConnected(world, peer, "ada", "mail__who")).isError ?? false, false);
    } finally {
      await context.close();
      await listener.stop();
      await world.close();
    }
  });

  test("[UPA-63] the operator's table is filtered, and disconnects after a question, by the keyboard; axe finds nothing", async () => {
    const now = Date.now();
    const account = (user: string, upstream: string, days: number, isEnded = false) => ({
      id: `${user}-${upstream}`,
      user: { id: user, issuer: "https://login.example" },
      ...{ upstream, issuer: `https://login.${upstream}.example`, scopes: ["read", "write"] },
      ...{ since: now - days * 86_400_000, renewed: now - days * 60_000, isEnded },
    });
    let held: readonly ListedAccount[] = [
      account("ada", "notes", 12),
      account("ada", "mail", 3),
      account("grace", "notes", 40, true),
      account("edsger", "tickets", 1),
    ];
    const accounts: AccountSource = {
      list: () => Promise.resolve({ accounts: held }),
      disconnect(id) {
        const left = held.filter((each) => each.id !== id);
        const isDone = left.length < held.length;
        held = left;
        return Promise.resolve(isDone);
      },
    };
    const node = await startNode("north", undefined, { accounts, updateMs: 50 });
    const context = await browser.newContext({ bypassCSP: true });
    try {
      const look = await context.newPage();
      await look.goto(`${node.page}#${node.links.issue()}`);
      await look.waitForSelector("#status:not([data-state=waiting])");
      for (const size of SIZES) {
        await look.setViewportSize(size);
        await selectTab(look, "accounts");
        await look.locator("main tbody tr").nth(3).waitFor();
        await checkLook(look, `operator ${size.width}`);
      }
      await look.setViewportSize({ width: 1200, height: 640 });
      const tabs = await look.locator("nav").boundingBox();
      await keep(look, "accounts-operator.png", tabs?.y);
      const { page, errors } = await openDashboard(browser, node);
      await selectTab(page, "accounts");
      const row = page.locator("main tbody tr");
      await row.nth(3).waitFor();
      assert.match(await row.filter({ hasText: "grace" }).innerText(), /notes.*asks again/s);
      await page.fill("#filters [name=upstream]", "notes");
      await row.filter({ hasText: "mail" }).waitFor({ state: "detached" });
      assert.equal(await row.count(), 2);
      // By the keyboard: the safe answer has the focus, and Tab leads to the other one
      const ada = row.filter({ hasText: "ada" });
      await ada.getByRole("button", { name: "Disconnect", exact: true }).focus();
      await page.keyboard.press("Enter");
      await page.waitForSelector("#confirm[open]");
      assert.match(await page.locator("#confirm").innerText(), /Disconnect ada from notes\?/);
      await page.keyboard.press("Escape");
      await page.waitForSelector("#confirm:not([open])", { state: "attached" });
      assert.equal(held.length, 4);
      await ada.getByRole("button", { name: "Disconnect", exact: true }).focus();
      await page.keyboard.press("Enter");
      await tabTo(page, "Disconnect the account");
      await page.keyboard.press("Enter");
      await ada.waitFor({ state: "detached" });
      await actOnRow(page, "grace", "Disconnect");
      await row.filter({ hasText: "grace" }).waitFor({ state: "detached" });
      assert.deepEqual(held.map(({ id }) => id), ["ada-mail", "edsger-tickets"]);
      assert.deepEqual(node.acts.map(({ act, target, outcome }) => [act, target, outcome]), [
        ["disconnect-account", "ada-notes", "done"],
        ["disconnect-account", "grace-notes", "done"],
      ]);
      assert.deepEqual(errors, []);
      await page.context().close();
    } finally {
      await context.close();
      await node.close();
    }
  });

  test("[UPA-63] without the option there is no such table", async () => {
    const node = await startNode("north");
    const { page } = await openDashboard(browser, node);
    assert.equal(await page.locator("#tab-accounts").count(), 0);
    await page.context().close();
    await node.close();
  });
});
