/**
 * What may happen to a login and what comes after it, in a real browser: each as a line of one table, with
 * script and without.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { memoryStore } from "../../src/cluster/mod.ts";
import { noBrowser, startBrowser } from "../dashboard/browser.ts";
import type { Kept, Official } from "./official_clients.ts";
import { type Visit, withPage } from "./page.ts";
import type { MakeFront, SiteInit } from "./site.ts";

const KEYS = ["the secret of all nodes in the tests"];
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

/** What happens, with a client that may be signed in already. */
interface Case {
  /** Whether the client is signed in before. */
  readonly signedIn: boolean;
  /** The client without script. @default v1 */
  readonly other?: string;
  readonly init?: SiteInit;
  readonly run: (visit: Visit, official: Official, kept: Kept) => Promise<void>;
}

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

async function signIn(visit: Visit, official: Official, kept: Kept): Promise<void> {
  await visit.ask(official, kept);
  await official.finishAuth(await visit.allow());
  await official.connect();
  await works(official);
}

async function works(official: Official): Promise<void> {
  assert.match(JSON.stringify(await official.call()), /"ada"/);
}

/** Counts the events of a reason. */
function count({ site }: Visit, reason: string): number {
  return site.events.filter((event) => event.reason === reason).length;
}

/** Opens a page, and returns its status and text. */
async function open({ page }: Visit, url: string): Promise<[number | undefined, string]> {
  const response = await page.goto(url);
  return [response?.status(), await page.locator("main").innerText()];
}

/** Nodes of one store and one key. */
function nodes(make: MakeFront) {
  const store = memoryStore();
  return () => make({ store, keys: KEYS });
}

const CASES: Readonly<Record<string, Case>> = {
  "an expired access token is refreshed, without a question": {
    signedIn: true,
    async run(visit, official) {
      for (let times = 1; times <= 3; times++) {
        visit.site.pass(6 * MINUTE_MS);
        await works(official);
        assert.equal(count(visit, "issued"), 1 + times);
      }
      assert.equal(count(visit, "asked"), 1);
    },
  },
  "a login that was unused for too long begins anew": {
    signedIn: true,
    async run(visit, official, kept) {
      visit.site.pass(31 * DAY_MS);
      await assert.rejects(official.call());
      await signIn(visit, official, kept);
      assert.equal(count(visit, "asked"), 2);
    },
  },
  "a scope is stepped up, with consent for it alone": {
    signedIn: true,
    // v1 uses its refresh token instead of asking for the scope
    other: "v2",
    async run(visit, official, kept) {
      await assert.rejects(official.call("write"));
      const asked = kept.asked ?? assert.fail();
      assert.match(asked.searchParams.get("scope") ?? "", /notes:write/);
      await visit.page.goto(asked.href);
      await visit.page.getByRole("button", { name: "Allow" }).waitFor();
      const text = await visit.page.locator("main").innerText();
      assert.match(
        text,
        /What it may do\s+Change your notes\s+What you have allowed before\s+Read your notes/,
      );
      await official.finishAuth(await visit.allow());
      assert.match(JSON.stringify(await official.call("write")), /"written"/);
      await works(official);
    },
  },
  "a client that has revoked its login asks for another": {
    signedIn: true,
    async run(visit, official, kept) {
      const { client_id } = kept.client as { readonly client_id: string };
      const { refresh_token: token } = kept.kept as { readonly refresh_token: string };
      const body = new URLSearchParams({ client_id, token });
      const revoked = await fetch(`${visit.site.origin}/revoke`, { method: "POST", body });
      assert.equal(revoked.status, 200);
      await revoked.body?.cancel();
      await assert.rejects(official.call());
      await signIn(visit, official, kept);
    },
  },
  "a user whose grants an operator has ended is asked again": {
    signedIn: true,
    async run(visit, official, kept) {
      const { grants } = await visit.site.front();
      const [grant] = (await grants.list()).grants;
      assert.equal(await grants.endUser(grant?.user ?? assert.fail()), 1);
      await assert.rejects(official.call());
      await signIn(visit, official, kept);
      assert.equal(count(visit, "asked"), 2);
    },
  },
  "the provider away at the start: the page says so, and works again when it is back": {
    signedIn: false,
    async run(visit, official, kept) {
      visit.site.away = true;
      await assert.rejects(official.connect());
      const asked = kept.asked?.href ?? assert.fail();
      const [status, text] = await open(visit, asked);
      assert.equal(status, 503);
      assert.match(text, /Try again in a moment/);
      visit.site.away = false;
      await visit.page.reload();
      await official.finishAuth(await visit.allow());
      await official.connect();
      await works(official);
    },
  },
  "the provider away at its own answer: the page leads back, and the next login works": {
    signedIn: false,
    async run(visit, official, kept) {
      await assert.rejects(official.connect());
      visit.site.watch = ({ reason }) => visit.site.away ||= reason === "sent-to-provider";
      const [status, text] = await open(visit, kept.asked?.href ?? assert.fail());
      assert.equal(status, 503);
      assert.match(text, /Go back to the application/);
      await visit.page.getByRole("link", { name: /Go back/ }).click();
      assert.equal((await visit.returned()).get("error"), "temporarily_unavailable");
      visit.site.watch = () => {};
      visit.site.away = false;
      await signIn(visit, official, kept);
    },
  },
  "the provider away at a refresh: nothing is lost": {
    signedIn: true,
    async run(visit, official) {
      visit.site.pass(6 * MINUTE_MS);
      visit.site.away = true;
      await assert.rejects(official.call());
      assert.ok(count(visit, "provider-unavailable") > 0);
      visit.site.away = false;
      await works(official);
      assert.equal(count(visit, "asked"), 1);
    },
  },
  "the question answered after it has expired": {
    signedIn: false,
    async run(visit, official, kept) {
      await visit.ask(official, kept);
      visit.site.pass(11 * MINUTE_MS);
      await visit.page.getByRole("button", { name: "Allow" }).click();
      await visit.page.getByText("connect again").waitFor();
      await signIn(visit, official, kept);
    },
  },
  "a restart before each request": {
    signedIn: true,
    init: {
      nodes: (make) => {
        const start = nodes(make);
        return () => Promise.resolve(start());
      },
    },
    run: (_, official) => works(official),
  },
  "the code, like every step, taken at another node": {
    signedIn: true,
    init: {
      nodes: (make) => {
        const start = nodes(make);
        const all = [start(), start(), start()];
        let requests = 0;
        return () => Promise.resolve(all[requests++ % all.length] ?? assert.fail());
      },
    },
    run: (_, official) => works(official),
  },
};

describe("what happens to logins in a browser", { skip: noBrowser }, () => {
  for (const [what, { signedIn, other = "v1", init, run }] of Object.entries(CASES)) {
    for (const [script, name] of [[true, "v2 in 2026-07-28"], [false, other]] as const) {
      test(`[FRONT-38] ${what}: ${name}, ${script ? "with" : "without"} script`, () =>
        withPage(
          browser,
          async (visit) => {
            const { official, kept } = visit.client(name);
            if (signedIn) await signIn(visit, official, kept);
            await run(visit, official, kept);
            await official.close();
          },
          { javaScriptEnabled: script },
          init,
        ));
    }
  }
});
