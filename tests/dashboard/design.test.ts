/**
 * What the dashboard's page looks like and how it is used: at the widths of a desk, a small laptop and a phone, in
 * both themes, by keyboard, and with a thousand sessions.
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
import type { Listener } from "../../src/adapters/running_server.ts";
import type { NodeRow } from "../../src/dashboard/mod.ts";
import { BOUNDS_MS, operatorTokens } from "../../src/dashboard/mod.ts";
import { noBrowser, openDashboard, selectTab, startBrowser, until } from "./browser.ts";
import { callTool, connectClient, type Node, startNode, TOKEN } from "./endpoint.ts";

/** Where to write the pictures of the docs, if they are to be written. */
const SCREENSHOTS = process.env.MOORING_SCREENSHOTS;

const DESK = { width: 1440, height: 900 };
const LAPTOP = { width: 1200, height: 800 };
const PHONE = { width: 390, height: 844 };
const SIZES = [DESK, LAPTOP, PHONE];
const THEMES = ["light", "dark"] as const;
const TABS = [
  ...["overview", "calls", "sessions", "principals", "streams", "tools", "methods", "upstreams"],
  ...["refusals", "limits", "nodes", "acts"],
];

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

/** A node on which something of every kind has happened, and its clients. */
async function busyNode(): Promise<{ readonly node: Node; close(): Promise<void> }> {
  const node = await startNode("north-of-the-old-harbour.example:8000");
  const ada = await connectClient(node, "ada");
  const grace = await connectClient(node, "grace");
  const long = callTool(ada, "github__export").catch(() => {});
  for (let count = 0; count < 20; count++) {
    await callTool(grace, count % 2 === 0 ? "files__read_file" : "github__create_comment");
  }
  await (await fetch(node.url, { method: "POST", body: "{}" })).text();
  await (await fetch(node.url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      authorization: "Bearer wrong",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  })).text();
  return {
    node,
    async close() {
      await Promise.all([ada, grace].map((client) => client.close().catch(() => {})));
      await node.close();
      await long;
    },
  };
}

/** Finds what lies outside the window, and what is cut off in its own box. */
const CLIPPED = `[...document.querySelectorAll("body *")].filter((element) => {
  if (element.closest("[hidden], .hidden-text, thead, datalist, .skip, svg")) return false;
  const { width, right, left } = element.getBoundingClientRect();
  if (width > 1 && (right > innerWidth + 1 || left < -1)) return true;
  const { overflowX, display } = getComputedStyle(element);
  return display !== "inline" && overflowX !== "visible" &&
    element.scrollWidth > element.clientWidth + 1 && !element.matches("input, .meter");
}).map(({ tagName, className, textContent }) => [tagName, className, textContent.slice(0, 40)])`;

/** Runs axe, and returns what it found. */
async function axed(page: Page): Promise<unknown> {
  return await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html.slice(0, 160))]))`,
  );
}

/** Opens the page for axe: the page's policy would keep it out. */
async function openForAxe(node: Node, size: { width: number; height: number }): Promise<Page> {
  const context = await browser.newContext({ viewport: size, bypassCSP: true });
  const page = await context.newPage();
  await page.goto(`${node.page}#${node.links.issue()}`);
  await page.waitForSelector("#status:not([data-state=waiting])");
  await page.evaluate(AXE);
  return page;
}

/** The colour of an element's text, and that of danger in the theme. */
async function colours(page: Page, selector: string): Promise<readonly [string, string]> {
  return await page.evaluate<[string, string]>(`(() => {
    const probe = document.createElement("span");
    document.body.append(probe);
    probe.style.setProperty("color", "var(--bad)");
    const danger = getComputedStyle(probe).color;
    probe.remove();
    return [getComputedStyle(document.querySelector(${JSON.stringify(selector)})).color, danger];
  })()`);
}

describe("the page's look", { skip: noBrowser }, () => {
  test("[OPR-17] nothing is clipped and nothing scrolls sideways, at three widths, in both themes; axe finds nothing", async () => {
    const { node, close } = await busyNode();
    for (const size of SIZES) {
      const page = await openForAxe(node, size);
      await page.waitForSelector("main tbody tr:has-text('github__export')");
      for (const theme of THEMES) {
        await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
        for (const tab of TABS) {
          await selectTab(page, tab);
          const label = `${size.width} ${theme} ${tab}`;
          assert.deepEqual(await page.evaluate(CLIPPED), [], label);
          assert.equal(
            await page.evaluate("document.documentElement.scrollWidth"),
            size.width,
            label,
          );
          // What differs between widths and themes is seen on a few tabs.
          const isSample = ["overview", "nodes", "upstreams"].includes(tab);
          if (isSample || (size === DESK && theme === "light")) {
            assert.deepEqual(await axed(page), [], label);
          }
        }
        // The side panel, and the question before an act
        await selectTab(page, "sessions");
        await page.locator("main tbody button.link").first().click();
        await page.waitForSelector("#panel-body .recent li");
        assert.deepEqual(await page.evaluate(CLIPPED), [], `${size.width} panel`);
        assert.deepEqual(await axed(page), [], `${size.width} ${theme} panel`);
        await page.click("#panel-close");
        await page.locator("main tbody button.act").first().click();
        await page.waitForSelector("#confirm[open]");
        assert.deepEqual(await axed(page), [], `${size.width} ${theme} dialog`);
        await page.click("#confirm-no");
      }
      await page.context().close();
    }
    await close();
  });

  test("[OPR-17] gauges have lines over their whole width, with a scale, and are coloured at thresholds", async () => {
    const node = await startNode("north");
    const { page } = await openDashboard(browser, node);
    const at = Date.now();
    /** A node whose last minute had 1,000 calls of a duration, and some errors. */
    const rows = (ms: number, errors: number) => {
      const buckets = BOUNDS_MS.map(() => 0);
      buckets[BOUNDS_MS.findIndex((bound) => bound >= ms)] = 1_000;
      const minute = { count: 1_000, errors, buckets, requests: 3 };
      const row: NodeRow = {
        key: "/north",
        endpoint: "",
        node: "north",
        state: "healthy",
        self: true,
        drainingAll: false,
        sessions: 1,
        calls: 0,
        streams: 0,
        minute,
        watchedSince: at - 600_000,
        seenAt: 0,
      };
      const history = [4, 3, 2, 1, 0].map((ago) => ({
        key: `/north/${ago}`,
        endpoint: "",
        node: "north",
        at: Math.floor(at / 15_000) * 15_000 - ago * 15_000,
        ...{ count: 100 * (ago + 1), errors, requests: 0, buckets },
        ...{ sessions: ago, calls: 1, streams: 2 },
      }));
      return { nodes: [row], history };
    };
    const cases: readonly (readonly [ms: number, errors: number, p95: string, share: string])[] = [
      [100, 0, "", ""],
      [1_500, 20, "warn", "warn"],
      [20_000, 200, "bad", "bad"],
    ];
    for (const [ms, errors, p95, share] of cases) {
      const changes = { at, omitted: 0, reset: true, del: {}, set: rows(ms, errors) };
      const hello = { operator: "ada", token: "x", bounds: BOUNDS_MS, links: false, node: "north" };
      await page.route("**/events", (route) =>
        route.fulfill({
          contentType: "text/event-stream",
          body: `event: hello\ndata: ${JSON.stringify(hello)}\n\n` +
            `event: changes\ndata: ${JSON.stringify(changes)}\n\n`,
        }));
      await page.reload();
      await page.waitForSelector(`#gauge-p95[data-level="${p95}"]`);
      const seen = await page.evaluate(`["p95", "errors", "rate", "sessions"].map((name) => {
        const gauge = document.getElementById("gauge-" + name);
        const line = gauge.querySelector(".line").getAttribute("d");
        const spark = gauge.querySelector(".spark").getBoundingClientRect();
        return {
          level: gauge.dataset.level,
          line: [line.startsWith("M0.0 "), /L120\\.0 [\\d.]+$/.test(line)],
          whole: Math.abs(spark.width - gauge.clientWidth) <= 2,
          scale: gauge.querySelector(".scale").textContent,
        };
      })`) as readonly { level: string; line: boolean[]; whole: boolean; scale: string }[];
      assert.deepEqual(seen.map(({ level }) => level), [p95, share, "", ""]);
      for (const { line, whole, scale } of seen) {
        assert.deepEqual([line, whole], [[true, true], true]);
        assert.match(scale, /^\d+ m \d\d s · up to \S/);
      }
      // The number itself has the colour, and so has the card.
      if (p95 === "bad") {
        const [colour, danger] = await colours(page, "#gauge-p95 .value");
        assert.equal(colour, danger);
      }
      assert.match(
        await page.textContent("#gauge-rate .note") ?? "",
        /^3 other requests in the last/,
      );
      await page.unroute("**/events");
    }
    await page.context().close();
    await node.close();
  });

  test("[OPR-17] what is a danger is red, and what is harmless never", async () => {
    const { node, close } = await busyNode();
    const { page } = await openDashboard(browser, node);
    for (const theme of THEMES) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      const isRed = async (selector: string) => {
        const [colour, danger] = await colours(page, selector);
        return colour === danger;
      };
      await selectTab(page, "overview");
      // Among the nodes, and nowhere else
      assert.equal(await page.locator("[data-panel=nodes] .drain").count(), 1);
      assert.equal(await page.locator("header.bar .drain").count(), 0);
      assert.ok(await isRed("[data-panel=nodes] .drain"));
      for (const id of ["#export", "#link", "#theme", "[data-panel=calls] .more"]) {
        assert.equal(await isRed(id), false, id);
      }
      await selectTab(page, "nodes");
      assert.ok(await isRed("main tbody button.act"));
      await page.click("main tbody button.act");
      await page.waitForSelector("#confirm[open]");
      const yes = await page.getAttribute("#confirm-yes", "class");
      assert.equal(yes, "danger");
      await page.click("#confirm-yes");
      await page.waitForSelector("main tbody button.act:has-text('Stop draining')");
      assert.equal(await isRed("main tbody button.act"), false);
      await page.click("main tbody button.act");
      await page.waitForSelector("#confirm[open]");
      assert.equal(await page.getAttribute("#confirm-yes", "class"), "");
      await page.click("#confirm-yes");
      await page.waitForSelector("main tbody button.act:text-is('Drain')");
      await selectTab(page, "calls");
      assert.ok(await isRed("main tbody button.act"));
    }
    await page.context().close();
    await close();
  });

  test("[OPR-17] a phone gets cards, one button for the filters, and acts that are in reach", async () => {
    const { node, close } = await busyNode();
    const { page } = await openDashboard(browser, node, PHONE);
    assert.equal(await page.locator(".filters label:visible").count(), 0);
    await page.click("#filter-toggle");
    assert.equal(await page.getAttribute("#filter-toggle", "aria-expanded"), "true");
    assert.equal(await page.locator(".filters label:visible").count(), 4);
    assert.equal(await page.evaluate("document.activeElement.name"), "principal");
    await page.keyboard.type("grace");
    assert.equal(await page.textContent("#filter-toggle"), "Filter (1)");
    await selectTab(page, "sessions");
    await until(page, `document.querySelectorAll("main tbody tr").length === 1`);
    await page.click("#clear");
    await page.click("#filter-toggle");
    assert.equal(await page.locator(".filters label:visible").count(), 0);
    const acts = { calls: "Cancel", sessions: "End", principals: "End all", upstreams: "Restart" };
    for (const [tab, name] of Object.entries({ ...acts, nodes: "Drain" })) {
      await selectTab(page, tab);
      const card = page.locator("main tbody tr").first();
      // Each value stands below the one before, with what it is.
      const [lefts, titles] = await card.evaluate((row) => {
        const cells = [...(row as unknown as { children: Iterable<never> }).children] as {
          getBoundingClientRect(): { left: number };
          dataset: { title?: string };
        }[];
        return [
          new Set(cells.map((cell) => Math.round(cell.getBoundingClientRect().left))).size,
          cells.filter(({ dataset }) => dataset.title !== undefined).length,
        ] as const;
      });
      assert.equal(lefts, 1, tab);
      assert.ok(titles >= 4, tab);
      const button = card.getByRole("button", { name, exact: true });
      await button.scrollIntoViewIfNeeded();
      const box = await button.boundingBox() ?? assert.fail(tab);
      assert.ok(box.x >= 0 && box.x + box.width <= PHONE.width, tab);
      assert.ok(box.height >= 36, tab);
      await button.click();
      await page.waitForSelector("#confirm[open]");
      await page.click("#confirm-no");
    }
    if (SCREENSHOTS !== undefined) {
      await selectTab(page, "overview");
      await page.evaluate("scrollTo(0, 0)");
      const image = await page.screenshot({ animations: "disabled" });
      await writeFile(join(SCREENSHOTS, "dashboard-phone.png"), image);
    }
    await page.context().close();
    await close();
  });
});

/** A door before a dashboard that can be shut. */
async function door(
  node: Node,
): Promise<{ node: Node; shut(): Promise<void>; open(): Promise<void>; close(): Promise<void> }> {
  let port = 0;
  let listener: Listener | undefined;
  const open = async () => {
    listener = await listen({
      hostname: "127.0.0.1",
      port,
      failed: () => {},
      fetch: (request, context) => node.dashboard(request, context),
    });
    port = listener.port;
  };
  const shut = async () => {
    listener?.kill();
    await listener?.stop();
    listener = undefined;
  };
  await open();
  return { node: { ...node, page: `http://127.0.0.1:${port}/` }, open, shut, close: shut };
}

describe("the page's use", { skip: noBrowser }, () => {
  test("[OPR-17] while it reconnects the page is dimmed and acts are off, and the focus stays", async () => {
    const { node, close } = await busyNode();
    const behind = await door(node);
    const { page } = await openDashboard(browser, behind.node);
    const opacity = () => page.evaluate("getComputedStyle(document.querySelector('main')).opacity");
    assert.equal(await opacity(), "1");
    await selectTab(page, "calls");
    const act = page.locator("main tbody button.act").first();
    await act.focus();
    await behind.shut();
    await page.waitForSelector("#status:has-text('Reconnecting')");
    assert.ok(Number(await opacity()) < 0.7);
    const off = (selector: string) =>
      page.evaluate(`[...document.querySelectorAll(${JSON.stringify(selector)})]
        .every((button) => button.getAttribute("aria-disabled") === "true")`);
    assert.ok(await off("main button.act, #link, .drain"));
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Cancel");
    // Neither a key nor a click does anything.
    await page.keyboard.press("Enter");
    await act.click({ force: true });
    assert.equal(await page.locator("#confirm[open]").count(), 0);
    assert.equal(node.acts.length, 0);
    await behind.open();
    await page.waitForSelector("#status:not([data-state=waiting])");
    assert.equal(await opacity(), "1");
    await until(
      page,
      `document.querySelector("main button.act").getAttribute("aria-disabled") === "false"`,
    );
    assert.equal(await page.evaluate("document.activeElement.textContent"), "Cancel");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#confirm[open]");
    await page.keyboard.press("Escape");
    await page.context().close();
    await close();
    await behind.close();
  });

  test("[OPR-17] the focus stays in the table when its row ends, and everything works by keyboard", async () => {
    const node = await startNode("north");
    const clients = await Promise.all(
      ["ada", "bob", "eve"].map((user) => connectClient(node, user)),
    );
    const calls = clients.map((client) => callTool(client, "github__export").catch(() => {}));
    const { page } = await openDashboard(browser, node);
    // To the tab with a key, to the first row's act with Tab alone
    await page.keyboard.press("2");
    await until(page, `document.querySelectorAll("main tbody tr").length === 3`);
    for (let presses = 0; presses < 80; presses++) {
      if (await page.evaluate("document.activeElement.matches('main button.act')")) break;
      await page.keyboard.press("Tab");
    }
    for (let left = 3; left > 0; left--) {
      assert.equal(await page.evaluate("document.activeElement.textContent"), "Cancel");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#confirm[open]");
      // The safe answer has the focus; the other one is one Tab away.
      await page.keyboard.press("Tab");
      assert.equal(await page.evaluate("document.activeElement.id"), "confirm-yes");
      await page.keyboard.press("Enter");
      await until(page, `document.querySelectorAll("main tbody tr").length === ${left - 1}`);
      assert.notEqual(await page.evaluate("document.activeElement.tagName"), "BODY");
    }
    assert.equal(await page.evaluate("document.activeElement.id"), "main");
    assert.equal(node.acts.length, 3);
    await Promise.all(calls);
    await page.context().close();
    await Promise.all(clients.map((client) => client.close().catch(() => {})));
    await node.close();
  });

  test("[OPR-15, OPR-17] an operator signs in with a token, by keyboard, and the page says who it is", async () => {
    const token = "the token of ada the operator";
    const node = await startNode("north", undefined, {
      authenticate: operatorTokens({ operators: { ada: token } }),
    });
    const context = await browser.newContext({ viewport: PHONE });
    const page = await context.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error)));
    await page.goto(node.page);
    assert.equal(await page.evaluate("document.activeElement.name"), "token");
    await page.keyboard.type("some other token");
    await page.keyboard.press("Enter");
    await page.waitForSelector('#message:has-text("This is no operator\'s token. Try again.")');
    await page.fill("[name=token]", token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#operator:text-is('ada')");
    assert.equal(await page.isVisible("#link"), false);
    // The token is nowhere: not in the address, the page, or what scripts can read.
    const left = await page.evaluate<string>(
      "location.href + document.documentElement.outerHTML + document.cookie",
    );
    assert.ok(!left.includes(token) && !left.includes("mooring_operator"));
    await selectTab(page, "nodes");
    await page.locator("main tbody button.act").first().click();
    await page.click("#confirm-yes");
    await page.waitForSelector("#status[data-state=warn]");
    assert.deepEqual(node.acts.map(({ operator, act }) => [operator, act]), [
      ["ada", "drain-node"],
    ]);
    await selectTab(page, "acts");
    await page.waitForSelector("main tbody tr:has-text('ada')");
    assert.deepEqual(errors, []);
    await context.close();
    const signIn = await (await browser.newContext({ viewport: DESK, bypassCSP: true })).newPage();
    await signIn.goto(node.page);
    await signIn.evaluate(AXE);
    for (const theme of THEMES) {
      await signIn.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      assert.deepEqual(await axed(signIn), [], theme);
    }
    await signIn.context().close();
    await node.close();
  });

  test("[OPR-18] a click on a user, session, tool, upstream or reason shows why things failed, and a click on a value filters", async () => {
    const { node, close } = await busyNode();
    const { page, errors } = await openDashboard(browser, node);
    const title = () => page.textContent("#panel-title");
    const facts = (item = 0) =>
      page.locator("#panel-body .recent li").nth(item).locator("dt").allTextContents();
    const openFrom = async (tab: string, row: string, text: string) => {
      await selectTab(page, tab);
      const line = page.locator("main tbody tr", { hasText: row }).first();
      await line.getByRole("button", { name: text, exact: true }).click();
      await page.waitForSelector("#panel-body .recent");
    };
    // A user
    await openFrom("principals", "grace", "grace");
    assert.equal(await title(), "grace");
    assert.equal(await page.evaluate("document.activeElement.id"), "panel-close");
    await page.waitForSelector("#panel-body .recent li");
    for (const fact of ["Principal", "Session", "Upstream", "Node", "Client", "Request"]) {
      assert.ok((await facts()).includes(fact), fact);
    }
    // Its call leads to the session, and from there to the user again.
    const session = page.locator("#panel-body dd button.link").filter({ hasText: /^[0-9a-f]{8}$/ });
    const hash = await session.first().textContent();
    await session.first().click();
    await page.waitForSelector(`#panel-title:has-text("Session ${hash}")`);
    await page.waitForSelector("#panel-body .recent li");
    await page.locator("#panel-body dd").getByRole("button", { name: "grace" }).first().click();
    await page.waitForSelector("#panel-title:text-is('grace')");
    // One call alone
    await page.waitForSelector("#panel-body .recent li");
    await page.locator("#panel-body .recent li > button.link").first().click();
    await page.waitForSelector("#panel-title:has-text(', request ')");
    await until(page, `document.querySelectorAll("#panel-body .recent li").length === 1`);
    await page.keyboard.press("Escape");
    assert.equal(await page.isVisible("#panel"), false);
    // The focus is where it was.
    assert.equal(await page.evaluate("document.activeElement.textContent"), "grace");
    // A tool, with its last hour; an upstream; a reason with the sender's address
    await openFrom("tools", "github__create_comment", "github__create_comment");
    await page.waitForSelector("#panel-body figcaption:has-text('p95 of each minute')");
    if (SCREENSHOTS !== undefined) {
      const image = await page.screenshot({ animations: "disabled" });
      await writeFile(join(SCREENSHOTS, "dashboard-panel.png"), image);
    }
    await page.click("#panel-close");
    await openFrom("upstreams", "files", "files");
    await page.waitForSelector("#panel-body .recent li:has-text('files__read_file')");
    await page.click("#panel-close");
    await openFrom("refusals", "unauthorized", "unauthorized");
    assert.equal(await title(), "Refused: unauthorized");
    await page.waitForSelector("#panel-body dd:text-is('127.0.0.1')");
    await page.click("#panel-close");
    // A session from its own table; a node with its endpoints
    await selectTab(page, "sessions");
    await page.locator("main tbody tr").first().locator("td button.link").first().click();
    await page.waitForSelector("#panel-title:has-text('Session ')");
    await page.keyboard.press("Escape");
    await selectTab(page, "nodes");
    await page.locator("main tbody button.link").first().click();
    await page.waitForSelector("#panel-body .recent li:has-text('healthy')");
    // A click on a value filters.
    await page.locator("#panel-body p button.link").first().click();
    assert.equal(await page.inputValue("[name=node]"), node.name);
    await page.keyboard.press("Escape");
    await page.click("#clear");
    await openFrom("principals", "ada", "ada");
    await page.locator("#panel-body > p button.link").first().click();
    assert.equal(await page.inputValue("[name=principal]"), "ada");
    await selectTab(page, "sessions");
    await until(page, `document.querySelectorAll("main tbody tr").length === 1`);
    assert.deepEqual(errors, []);
    await page.context().close();
    await close();
  });

  test("[OPR-17] a thousand sessions cost a page less than 100 ms of work for an update", async () => {
    const node = await startNode("north", undefined, {
      updateMs: 250,
      handler: { limits: { sessionsPerPrincipal: 2_000 } },
    });
    const open = (user: string) =>
      node.handler(
        new Request(node.url, {
          method: "POST",
          headers: {
            authorization: `Bearer ${TOKEN}${user}`,
            "content-type": "application/json",
            accept: "application/json, text/event-stream",
          },
          body: JSON.stringify({
            jsonrpc: "2.0",
            id: 1,
            method: "initialize",
            params: {
              protocolVersion: "2025-11-25",
              capabilities: {},
              clientInfo: { name: "many", version: "1" },
            },
          }),
        }),
      );
    for (let i = 0; i < 1_000; i++) await (await open(`user-${i % 40}`)).body?.cancel();
    const { page } = await openDashboard(browser, node);
    await until(page, `document.getElementById("count-sessions").textContent === "1,000"`);
    // The time of the thread, and not of the clock: what else the machine does doesn't count.
    const devtools = await page.context().newCDPSession(page);
    await devtools.send("Performance.enable", { timeDomain: "threadTicks" });
    const workMs = async () => {
      const { metrics } = await devtools.send("Performance.getMetrics");
      return (metrics.find(({ name }) => name === "TaskDuration")?.value ?? assert.fail()) * 1_000;
    };
    await page.evaluate(`(() => {
      globalThis.long = [];
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) long.push(duration);
      }).observe({ type: "longtask" });
      globalThis.updates = 0;
      new MutationObserver(() => updates++).observe(
        document.getElementById("live"), { childList: true, characterData: true, subtree: true });
    })()`);
    for (const tab of ["sessions", "overview", "principals"]) {
      await selectTab(page, tab);
      await page.evaluate("(long.length = 0, updates = 0)");
      const from = await workMs();
      // New sessions come and go meanwhile.
      for (let round = 0; Number(await page.evaluate("updates")) < 8; round++) {
        assert.ok(round < 2_000, "The page doesn't change");
        await (await open(`user-${round % 40}`)).body?.cancel();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      const updates = Number(await page.evaluate("updates"));
      const each = (await workMs() - from) / updates;
      assert.ok(each < 100, `${tab}: ${each} ms of work for an update`);
      const long = await page.evaluate<number[]>("long");
      const over = long.filter((duration) => duration > 100).length;
      // A machine that does other things may stop a task in its middle, but not most of them.
      assert.ok(over <= updates / 2, `${tab}: ${over} long tasks in ${updates} updates: ${long}`);
    }
    await page.context().close();
    await node.close();
  });
});
