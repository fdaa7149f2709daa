/**
 * Whole logins in a real browser: the pages as users see them, with a certified OpenID provider behind.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { createClient } from "redis";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { oidc, type SignIn, signIn, type SignInEvent } from "../../src/signin/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { startAuthorizationServer } from "../auth/authorization_server.ts";
import { noBrowser, startBrowser } from "../dashboard/browser.ts";
import { noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { CLIENTS, Kept, type Official } from "./official_clients.ts";
import { serveAny } from "./serve_any.ts";

type Options = Partial<Parameters<typeof signIn>[0]>;

/** A server that users sign in to, a client's page, and a browser's page. */
interface Site {
  readonly origin: string;
  readonly back: string;
  readonly events: SignInEvent[];
  readonly page: Page;
  readonly client: (name: string) => { readonly official: Official; readonly kept: Kept };
}

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

/**
 * Serves for as long as `use` takes. `front` returns what answers the next request: another node, or the same
 * one after a restart.
 */
async function withSite(
  use: (site: Site) => Promise<void>,
  context: { readonly javaScriptEnabled?: boolean; readonly colorScheme?: "dark" | "light" } = {},
  frontOf: (make: (more: Options) => SignIn) => () => Promise<SignIn> = (make) => {
    const front = make({});
    return () => Promise.resolve(front);
  },
): Promise<void> {
  await using host = await serveAny();
  await using clientHost = await serveAny();
  clientHost.fetch = () => Promise.resolve(new Response("You may close this window"));
  const provider = await startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: [`${host.origin}/signin/callback`],
  });
  const events: SignInEvent[] = [];
  const next = frontOf((more) =>
    signIn({
      issuer: host.origin,
      resource: `${host.origin}/mcp`,
      provider: oidc({
        issuer: provider.issuer,
        clientId: "editor",
        scopes: [],
        allowInsecure: true,
      }),
      scopes: { "notes:read": "Read your notes" },
      extraScopes: { "notes:write": "Change your notes" },
      allowInsecure: true,
      onEvent: (event) => events.push(event),
      ...more,
    })
  );
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("who", {}, (_args, ctx) => ctx.principal.id);
  server.registerTool("write", { scopes: ["notes:write"] }, () => "written");
  const { resource } = await next();
  await using handler = createMcpHandler(server, {
    path: "/mcp",
    authenticate: async (request, context) => await (await next()).authenticate(request, context),
    resource,
  });
  host.fetch = async (request, context) =>
    (await (await next()).routes(request, context)) ?? await handler(request, context);
  const opened = await browser.newContext(context);
  const page = await opened.newPage();
  page.setDefaultTimeout(30_000);
  const back = `${clientHost.origin}/callback`;
  try {
    await use({
      ...{ origin: host.origin, back, events, page },
      client(name) {
        const kept = new Kept(back);
        const make = CLIENTS[name] ?? assert.fail(name);
        return { official: make(new URL(`${host.origin}/mcp`), kept), kept };
      },
    });
  } finally {
    await opened.close();
    await provider.close();
  }
}

/** Begins a login of a client, and opens the question in the browser. */
async function ask({ page }: Site, official: Official, kept: Kept): Promise<void> {
  await assert.rejects(official.connect());
  await page.goto(kept.asked?.href ?? assert.fail("the client was sent nowhere"));
  await page.getByRole("button", { name: "Allow" }).waitFor();
}

/** Waits until the browser is back at the client. */
async function returned({ page, back }: Site): Promise<URLSearchParams> {
  await page.waitForURL(`${back}?*`);
  return new URL(page.url()).searchParams;
}

describe("logins in a browser", { skip: noBrowser }, () => {
  for (const name of Object.keys(CLIENTS)) {
    for (const javaScriptEnabled of [true, false]) {
      const script = javaScriptEnabled ? "with" : "without";
      test(`[FRONT-28] ${name} signs in ${script} script, by the keyboard alone`, () =>
        withSite(async (site) => {
          const { official, kept } = site.client(name);
          const { page } = site;
          await ask(site, official, kept);
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
          await official.finishAuth(await returned(site));
          await official.connect();
          assert.match(JSON.stringify(await official.call()), /"ada"/);
          await official.close();
        }, { javaScriptEnabled }));
    }
  }

  for (const colorScheme of ["light", "dark"] as const) {
    test(`[FRONT-28] every text of the question can be read in ${colorScheme} colours`, () =>
      withSite(async (site) => {
        const { official, kept } = site.client("v2");
        await ask(site, official, kept);
        const ratios = await site.page.evaluate<[string, number][]>(`(() => {
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
        const dark = await site.page.evaluate("getComputedStyle(document.body).backgroundColor");
        assert.equal(dark === "rgb(255, 255, 255)", colorScheme === "light");
      }, { colorScheme }));
  }

  test("[FRONT-28] a no goes to the client, and the next login asks again", () =>
    withSite(async (site) => {
      const { official, kept } = site.client("v2");
      await ask(site, official, kept);
      await site.page.getByRole("button", { name: "Deny" }).click();
      const answer = await returned(site);
      assert.equal(answer.get("error"), "access_denied");
      assert.equal(answer.get("iss"), site.origin);
      assert.ok(site.events.some(({ step, reason }) => step === "consent" && reason === "denied"));
      await ask(site, official, kept);
    }));

  test("[FRONT-28] a registered twin of a client that is known is asked for, and shown as unverified", () =>
    withSite(async (site) => {
      const first = site.client("v2");
      await ask(site, first.official, first.kept);
      await site.page.getByRole("button", { name: "Allow" }).click();
      await returned(site);
      // The same name, the same provider's session, another registration.
      const twin = site.client("v2");
      await ask(site, twin.official, twin.kept);
      assert.match(await site.page.locator("main").innerText(), /Not verified/);
      assert.equal(new URL(site.page.url()).pathname, "/signin/consent");
    }));

  test("[FRONT-28] a restart before each request, with SQLite, loses no login", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signin-"));
    let restarts = 0;
    let store: ReturnType<typeof sqliteStore> | undefined;
    try {
      await withSite(
        async (site) => {
          const { official, kept } = site.client("v2");
          await ask(site, official, kept);
          await site.page.getByRole("button", { name: "Allow" }).click();
          await official.finishAuth(await returned(site));
          await official.connect();
          assert.match(JSON.stringify(await official.call()), /"ada"/);
          await official.close();
          assert.ok(restarts > 8, String(restarts));
        },
        {},
        (make) => async () => {
          restarts++;
          await store?.close();
          store = sqliteStore({ path: join(folder, "front.db") });
          return make({ store, keys: ["the secret of all nodes in the tests"] });
        },
      );
    } finally {
      await store?.close();
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
        await withSite(
          async (site) => {
            const { official, kept } = site.client("v1");
            await ask(site, official, kept);
            await site.page.getByRole("button", { name: "Allow" }).click();
            await official.finishAuth(await returned(site));
            await official.connect();
            assert.match(JSON.stringify(await official.call()), /"ada"/);
            await official.close();
          },
          {},
          (make) => {
            const fronts = clients.map((client) =>
              make({
                store: redisStore({ client, prefix }),
                keys: ["the secret of all nodes in the tests"],
              })
            );
            let requests = 0;
            return () => Promise.resolve(fronts[requests++ % fronts.length] ?? assert.fail());
          },
        );
      } finally {
        for (const client of clients) await client.close();
        await redis.stop();
      }
    },
  );
});
