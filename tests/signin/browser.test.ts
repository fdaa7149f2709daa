/**
 * Whole logins in a real browser: the pages as users see them, with a certified OpenID provider behind.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { createClient } from "redis";
import { redisStore } from "../../src/redis/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { noBrowser, startBrowser } from "../dashboard/browser.ts";
import { noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { CLIENTS, Kept } from "./official_clients.ts";
import { withPage } from "./page.ts";
import { serveAny } from "./serve_any.ts";

const KEYS = ["the secret of all nodes in the tests"];

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

describe("logins in a browser", { skip: noBrowser }, () => {
  for (const name of Object.keys(CLIENTS)) {
    for (const javaScriptEnabled of [true, false]) {
      const script = javaScriptEnabled ? "with" : "without";
      test(`[FRONT-28] ${name} signs in ${script} script, by the keyboard alone`, () =>
        withPage(browser, async (visit) => {
          const { official, kept } = visit.client(name);
          const { page } = visit;
          await visit.ask(official, kept);
          const text = await page.locator("main").innerText();
          assert.match(text, /Not verified\. It calls itself “Official”/);
          assert.match(text, /A program on this computer \(127\.0\.0\.1\)/);
          assert.match(text, /Read your notes/);
          assert.doesNotMatch(text, /Change your notes/);
          // The link to use another account is first, then Allow.
          await page.keyboard.press("Tab");
          await page.keyboard.press("Tab");
          assert.equal(await page.locator(":focus").innerText(), "Allow");
          await page.keyboard.press("Enter");
          await official.finishAuth(await visit.returned());
          await official.connect();
          assert.match(JSON.stringify(await official.call()), /"ada"/);
          await official.close();
        }, { javaScriptEnabled }));
    }
  }

  for (const colorScheme of ["light", "dark"] as const) {
    test(`[FRONT-28] every text of the question can be read in ${colorScheme} colours`, () =>
      withPage(browser, async (visit) => {
        const { official, kept } = visit.client("v2");
        await visit.ask(official, kept);
        const ratios = await visit.page.evaluate<[string, number][]>(`(() => {
          const parts = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (color) => {
            const [r, g, b] = parts(color).map((each) => {
              const part = each / 255;
              return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            });
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const behind = (element) => {
            for (let at = element; at; at = at.parentElement) {
              const { backgroundColor } = getComputedStyle(at);
              if (parts(backgroundColor)[3] !== 0) return backgroundColor;
            }
            return "rgb(255, 255, 255)";
          };
          const own = (element) =>
            [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== "");
          return [...document.querySelectorAll("main *")].filter(own).map((element) => {
            const [a, b] = [light(getComputedStyle(element).color), light(behind(element))];
            return [element.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
          });
        })()`);
        assert.ok(ratios.length > 8);
        for (const [text, ratio] of ratios) assert.ok(ratio >= 4.5, `${text}: ${ratio}`);
        const dark = await visit.page.evaluate("getComputedStyle(document.body).backgroundColor");
        assert.equal(dark === "rgb(255, 255, 255)", colorScheme === "light");
      }, { colorScheme }));
  }

  test("[FRONT-28] a no goes to the client, and the next login asks again", () =>
    withPage(browser, async (visit) => {
      const { official, kept } = visit.client("v2");
      await visit.ask(official, kept);
      await visit.page.getByRole("button", { name: "Deny" }).click();
      const answer = await visit.returned();
      assert.equal(answer.get("error"), "access_denied");
      assert.equal(answer.get("iss"), visit.site.origin);
      assert.ok(
        visit.site.events.some(({ step, reason }) => step === "consent" && reason === "denied"),
      );
      await visit.ask(official, kept);
    }));

  test("[FRONT-28] a registered twin of a client that is known is asked for, and shown as unverified", () =>
    withPage(browser, async (visit) => {
      const first = visit.client("v2");
      await visit.ask(first.official, first.kept);
      await visit.page.getByRole("button", { name: "Allow" }).click();
      await visit.returned();
      // The same name, the same provider's session, another registration.
      const twin = visit.client("v2");
      await visit.ask(twin.official, twin.kept);
      assert.match(await visit.page.locator("main").innerText(), /Not verified/);
      assert.equal(new URL(visit.page.url()).pathname, "/signin/consent");
    }));

  test("[FRONT-28] a restart before each request, with SQLite, loses no login", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signin-"));
    let restarts = 0;
    let store: ReturnType<typeof sqliteStore> | undefined;
    try {
      await withPage(
        browser,
        async (visit) => {
          const { official, kept } = visit.client("v2");
          await visit.ask(official, kept);
          await visit.page.getByRole("button", { name: "Allow" }).click();
          await official.finishAuth(await visit.returned());
          await official.connect();
          assert.match(JSON.stringify(await official.call()), /"ada"/);
          await official.close();
          assert.ok(restarts > 8, String(restarts));
        },
        {},
        {
          nodes: (make) => async () => {
            restarts++;
            store?.close();
            store = sqliteStore({ path: join(folder, "front.db") });
            return make({ store, keys: KEYS });
          },
        },
      );
    } finally {
      store?.close();
      await rm(folder, { recursive: true });
    }
  });

  test(
    "[FRONT-28] each request of a login at another node, with Redis",
    { skip: noRedis },
    async () => {
      const redis = await useServer();
      const prefix = uniquePrefix();
      const clients = await Promise.all(
        [1, 2].map(() => createClient({ url: redis.url }).connect()),
      );
      try {
        await withPage(
          browser,
          async (visit) => {
            const { official, kept } = visit.client("v1");
            await visit.ask(official, kept);
            await visit.page.getByRole("button", { name: "Allow" }).click();
            await official.finishAuth(await visit.returned());
            await official.connect();
            assert.match(JSON.stringify(await official.call()), /"ada"/);
            await official.close();
          },
          {},
          {
            nodes: (make) => {
              const fronts = clients.map((client) =>
                make({ store: redisStore({ client, prefix }), keys: KEYS })
              );
              let requests = 0;
              return () => Promise.resolve(fronts[requests++ % fronts.length] ?? assert.fail());
            },
          },
        );
      } finally {
        for (const client of clients) await client.close();
        await redis.stop();
      }
    },
  );

  const PLACES = {
    "an IPv6 address of this computer": { hostname: "::1", hop: false },
    "a page that sends the user on": { hostname: "127.0.0.1", hop: true },
  };
  for (const [what, { hostname, hop }] of Object.entries(PLACES)) {
    test(`[FRONT-31] the answer reaches a client at ${what}`, () =>
      withPage(browser, async (visit) => {
        await using elsewhere = await serveAny();
        elsewhere.fetch = () => Promise.resolve(new Response("Connected"));
        await using program = await serveAny(hostname);
        const asked: URL[] = [];
        program.fetch = (request) => {
          const url = new URL(request.url);
          if (url.pathname === "/callback") asked.push(url);
          const location = elsewhere.origin.replace("127.0.0.1", "localhost");
          return Promise.resolve(hop ? Response.redirect(location) : new Response("Connected"));
        };
        const kept = new Kept(`${program.origin}/callback`);
        const official = CLIENTS["v2"]?.(visit.site.url, kept) ?? assert.fail();
        await visit.ask(official, kept);
        await visit.page.getByRole("button", { name: "Allow" }).click();
        await visit.page.getByText("Connected").waitFor();
        await official.finishAuth(asked.at(-1)?.searchParams ?? assert.fail());
        await official.connect();
        assert.match(JSON.stringify(await official.call()), /"ada"/);
        await official.close();
      }));
  }
});
