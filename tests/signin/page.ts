/**
 * A page of a real browser, in front of a server that users sign in to, and the clients that send them there.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { PATIENCE_MS } from "../dashboard/browser.ts";
import { CLIENTS, Kept, type Official } from "./official_clients.ts";
import { serveAny } from "./serve_any.ts";
import { type Site, type SiteInit, withSite } from "./site.ts";

/** What a user has in front of them. */
export interface Visit {
  readonly site: Site;
  readonly page: Page;
  /** The client's page at which users come back. */
  readonly back: string;
  /** Makes an official client. */
  client(name: string): { readonly official: Official; readonly kept: Kept };
  /** Begins a login of a client, and opens the question. */
  ask(official: Official, kept: Kept): Promise<void>;
  /** Allows what is asked, and returns what the client is answered. */
  allow(): Promise<URLSearchParams>;
  /** Waits until the browser is back at the client, and returns what the client is answered. */
  returned(): Promise<URLSearchParams>;
}

/** Opens a page for as long as `use` takes. */
export async function withPage(
  browser: Browser,
  use: (visit: Visit) => Promise<void>,
  context: BrowserContextOptions = {},
  init: SiteInit = {},
): Promise<void> {
  await using clientHost = await serveAny();
  clientHost.fetch = () => Promise.resolve(new Response("You may close this window"));
  const back = `${clientHost.origin}/callback`;
  await withSite(async (site) => {
    const opened = await browser.newContext(context);
    const page = await opened.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const returned = async () => {
      await page.waitForURL(`${back}?*`);
      return new URL(page.url()).searchParams;
    };
    try {
      await use({
        ...{ site, page, back, returned },
        client(name) {
          const kept = new Kept(back);
          const make = CLIENTS[name] ?? assert.fail(name);
          return { official: make(site.url, kept), kept };
        },
        async ask(official, kept) {
          await assert.rejects(official.connect());
          await page.goto(kept.asked?.href ?? assert.fail("the client was sent nowhere"));
          await page.getByRole("button", { name: "Allow" }).waitFor();
        },
        async allow() {
          await page.getByRole("button", { name: "Allow" }).click();
          return await returned();
        },
      });
    } finally {
      await opened.close();
    }
  }, init);
}
