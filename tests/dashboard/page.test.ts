/**
 * The dashboard's page in a real browser, on one node and on three.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { createClient } from "redis";
import { listen } from "../../src/adapters/node_server.ts";
import { endpointOf } from "../../src/handler/endpoint_of.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { noRedis, uniquePrefix, useServer } from "../support/redis.ts";
import { soon } from "../support/wire.ts";
import { actOnRow, noBrowser, openDashboard, selectTab, startBrowser, until } from "./browser.ts";
import { BODY, callTool, connectClient, type Node, startNode, TOKEN } from "./endpoint.ts";

/** Where to write the screenshots of the docs, if they are to be written. */
const SCREENSHOTS = process.env.MOORING_SCREENSHOTS;

let browser: Browser;
before(async () => {
  if (noBrowser === false) browser = await startBrowser();
});
after(async () => {
  await browser?.close();
});

/** The texts of the first cells of the rows on the screen. */
function firstCells(page: Page): Promise<string[]> {
  return page.locator("main tbody tr td:first-child").allTextContents();
}

/** Counts the updates that the page gets, from now on, and notes which sessions each brings. */
async function countUpdates(page: Page): Promise<void> {
  await page.evaluate(`new Promise((resolve) => {
    globalThis.updates = [];
    const events = new EventSource("events");
    events.addEventListener("changes", ({ data }) => {
      updates.push((JSON.parse(data).set.sessions ?? []).map(({ client }) => client));
      resolve();
    });
  })`);
}

/** The ids of all sessions: secrets. */
async function sessionIds({ handler }: Node): Promise<string[]> {
  return [...await endpointOf(handler).components.sessions.store.ids()];
}

describe("dashboard in a browser: one node", { skip: noBrowser }, () => {
  test("[OPR-9, OPR-5, OPR-7] a session appears, a call is cancelled, a session and a user are ended, rows are filtered and exported", async () => {
    const folder = await mkdtemp(join(tmpdir(), "dashboard-"));
    const audit = join(folder, "audit.jsonl");
    const written: Promise<void>[] = [];
    const node = await startNode("north", undefined, {
      onAct: (act) =>
        void written.push(writeFile(audit, `${JSON.stringify(act)}\n`, { flag: "a" })),
    });
    const { page, requests, errors } = await openDashboard(browser, node);
    const secrets: string[] = [TOKEN, BODY];
    let shown = "";
    /** Keeps what is in the page, to be searched for secrets. */
    const look = async () => {
      shown += await page.content();
      secrets.push(...await sessionIds(node));
    };
    await countUpdates(page);

    const ada = await connectClient(node, "ada", "first-client");
    const known = Number(await page.evaluate("updates.length"));
    await selectTab(page, "sessions");
    await until(page, `updates.some((clients) => clients.includes("first-client 1.4.0"))`);
    const at = await page.evaluate(
      `updates.findIndex((clients) => clients.includes("first-client 1.4.0"))`,
    );
    // An update may have been on its way.
    assert.ok(Number(at) - known <= 1, `${at} ${known}`);
    await page.waitForSelector("main tbody tr:has-text('first-client 1.4.0')");

    const alice = await connectClient(node, "alice");
    // What a client calls itself is text, whatever it looks like.
    const eve = await connectClient(node, "eve", "<img src=x onerror=alert(1)>");
    await callTool(alice, "files__read_file");
    const call = callTool(ada, "github__export").then(() => "a result", String);
    await selectTab(page, "calls");
    await page.waitForSelector("main tbody tr:has-text('github__export'):has-text('Page')");
    await look();
    await actOnRow(page, "github__export", "Cancel");
    assert.match(await soon(call, "the call", 20_000), /An operator cancelled the request/);
    await page.waitForSelector(".toast:has-text('The call is cancelled')");
    await page.waitForSelector("main .empty:has-text('No call is running')");

    await selectTab(page, "sessions");
    await page.fill("[name=principal]", "ada");
    await until(page, `document.querySelectorAll("main tbody tr").length === 1`);
    assert.equal(await page.textContent("#count-sessions"), "1");
    const download = page.waitForEvent("download");
    await page.click("#export");
    const saved = await download;
    assert.match(saved.suggestedFilename(), /^mooring-sessions-.*\.jsonl$/);
    const exported = await readFile(await saved.path(), "utf8");
    const lines = exported.trimEnd().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ table, principal, client }) => [table, principal, client]), [
      ["sessions", "ada", "first-client 1.4.0"],
    ]);
    await look();
    // Escape leaves the field, and the button clears it.
    await page.click("#clear");
    await until(page, `document.querySelectorAll("main tbody tr").length === 3`);
    await look();

    await actOnRow(page, "first-client", "End");
    await until(page, `document.querySelectorAll("main tbody tr").length === 2`);
    await assert.rejects(callTool(ada, "files__read_file"));
    await selectTab(page, "principals");
    await actOnRow(page, "alice", "End all");
    await until(page, `document.querySelectorAll("main tbody tr").length === 1`);
    await assert.rejects(callTool(alice, "files__read_file"));
    await callTool(eve, "files__read_file");

    await selectTab(page, "upstreams");
    await actOnRow(page, "files", "Restart");
    await page.waitForSelector(".toast:has-text('Ended 1 sessions')");
    await callTool(eve, "files__read_file");
    await selectTab(page, "nodes");
    await page.click("main .drain");
    await page.click("#confirm-yes");
    await page.waitForSelector("#status[data-state=warn]:has-text('Draining')");
    await assert.rejects(connectClient(node, "late"));
    await page.waitForSelector("main tbody tr:has-text('draining'):has-text('left')");
    await page.click("main .drain");
    await page.click("#confirm-no");
    assert.equal(node.handler.stats().draining, 1);
    await page.click("main .drain");
    await page.click("#confirm-yes");
    await page.waitForSelector("#status[data-state=ok]");

    await selectTab(page, "acts");
    await until(page, `document.querySelectorAll("main tbody tr").length === 6`);
    for (const tab of ["streams", "tools", "refusals", "limits", "overview"]) {
      await selectTab(page, tab);
      await look();
    }
    await Promise.all(written);
    const acts = (await readFile(audit, "utf8")).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.deepEqual(acts.map(({ act, outcome }) => `${act} ${outcome}`), [
      "cancel-call done",
      "end-session done",
      "end-principal done",
      "restart-upstream done",
      "drain-cluster done",
      "undrain-cluster done",
    ]);
    assert.ok(acts.every(({ operator }) => /^operator-/.test(operator)));
    assert.deepEqual(errors, []);
    assert.match(shown, /&lt;img src=x onerror/);
    assert.equal(await page.evaluate("document.images.length"), 0);
    const everything = [
      shown,
      exported,
      requests.join(""),
      await readFile(audit, "utf8"),
      JSON.stringify(node.events, (_key, value) => value instanceof Error ? String(value) : value),
    ].join("\n");
    assert.ok(secrets.length > 5 && shown.includes("first-client"));
    for (const secret of secrets) assert.ok(!everything.includes(secret), secret);
    // All that it loads comes from the dashboard itself.
    const hosts = new Set(requests.map((request) => new URL(JSON.parse(request)[1]).origin));
    assert.deepEqual([...hosts], [new URL(node.page).origin]);
    await page.context().close();
    await Promise.all([ada, alice, eve].map((client) => client.close().catch(() => {})));
    await node.close();
    await rm(folder, { recursive: true });
  });

  test("[OPR-9, OPR-6] a page of another origin can neither act nor see", async () => {
    const node = await startNode("north");
    const client = await connectClient(node, "ada");
    const { page } = await openDashboard(browser, node);
    const before = node.acts.length;
    // Another port of the same address is the same site: the browser sends the cookie along.
    const html = (target: string) =>
      `<!doctype html><title>waiting</title>
<iframe id="frame" src="${target}"></iframe>
<form id="form" method="post" action="${target}act" enctype="text/plain" target="sink">
  <input name='{"act":"drain-cluster","on":true,"x":"' value='"}'></form>
<iframe name="sink"></iframe>
<script>
const body = JSON.stringify({ act: "drain-cluster", on: true });
const tries = [
  () => fetch("${target}act", { method: "POST", credentials: "include", mode: "no-cors", body }),
  () => fetch("${target}act", { method: "POST", credentials: "include", body,
    headers: { "content-type": "application/json", "x-mooring-operator": "guess" } }),
  () => fetch("${target}snapshot", { credentials: "include" }).then((r) => r.text()),
  () => fetch("${target}session", { credentials: "include" }).then((r) => r.text()),
  () => new Promise((seen, blocked) => {
    const events = new EventSource("${target}events", { withCredentials: true });
    events.onmessage = events.onopen = seen; events.onerror = blocked;
  }),
  () => new Promise((done) => { form.submit(); setTimeout(done, 300); }),
];
(async () => {
  const outcomes = [];
  for (const attempt of tries) {
    outcomes.push(await attempt().then((value) => String(value?.type ?? value), () => "blocked"));
  }
  document.title = JSON.stringify(outcomes);
})();
</script>`;
    let sent = 0;
    const attacker = await listen({
      hostname: "127.0.0.1",
      port: 0,
      failed: () => {},
      fetch: async (request) => {
        sent++;
        const headers = { "content-type": "text/html" };
        return new Response(request.url.endsWith("/") ? html(node.page) : "", { headers });
      },
    });
    for (const host of ["127.0.0.1", "localhost"]) {
      const evil = await page.context().newPage();
      await evil.goto(`http://${host}:${attacker.port}/`);
      await evil.waitForFunction("document.title !== 'waiting'");
      const outcomes = JSON.parse(await evil.title());
      assert.deepEqual(outcomes, [...Array(5).fill("blocked"), "undefined"]);
      const frames = evil.frames().filter((frame) => frame !== evil.mainFrame());
      for (const frame of frames) {
        const text = await frame.evaluate("document.body?.innerText ?? ''").catch(() => "");
        assert.ok(!/Sessions|Running calls/.test(String(text)), String(text));
      }
      await evil.close();
    }
    assert.ok(sent >= 2);
    assert.equal(node.acts.length, before);
    assert.equal(node.handler.stats().draining, undefined);
    await callTool(client, "files__read_file");
    attacker.kill();
    await attacker.stop();
    await page.context().close();
    await client.close();
    await node.close();
  });

  test("[OPR-9, OPR-8] a thousand sessions and 50 calls a second: a page of rows, and few changes", async () => {
    const node = await startNode("north", undefined, {
      handler: { limits: { sessionsPerPrincipal: 2_000 } },
    });
    const request = (user: string) =>
      node.handler(
        new Request(node.url, {
          method: "POST",
          headers: {
            "authorization": `Bearer ${TOKEN}${user}`,
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
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
    for (let i = 0; i < 1_000; i++) await (await request(`user-${i % 40}`)).body?.cancel();
    const clients = await Promise.all(
      Array.from({ length: 5 }, (_, index) => connectClient(node, `user-${index}`)),
    );
    const { page, errors } = await openDashboard(browser, node);
    await until(page, `document.getElementById("count-sessions").textContent === "1,005"`);
    await countUpdates(page);
    await page.evaluate(`globalThis.mutations = 0;
      new MutationObserver((list) => { mutations += list.length; }).observe(
        document.body, { subtree: true, childList: true, attributes: true, characterData: true });`);
    let running = true;
    let calls = 0;
    const load = (async () => {
      for (; running; calls++) {
        const client = clients[calls % clients.length];
        if (client === undefined) break;
        const tool = calls % 2 === 0 ? "files__write_file" : "github__search_issues";
        callTool(client, tool).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    for (const tab of ["sessions", "calls", "overview", "principals", "tools"]) {
      await selectTab(page, tab);
      const from = Number(await page.evaluate("(mutations = 0, updates.length)"));
      await until(page, `updates.length >= ${from + 2}`);
      const [mutations, updates, rows, elements] = await page.evaluate<number[]>(`[
        mutations,
        updates.length - ${from},
        document.querySelectorAll("main tbody tr").length,
        document.querySelectorAll("*").length,
      ]`);
      assert.ok((rows ?? 0) <= 50, `${tab}: ${rows} rows`);
      assert.ok((elements ?? 0) < 2_500, `${tab}: ${elements} elements`);
      // One change for each age on the screen, and a few for each row that moves
      assert.ok(
        (mutations ?? 0) / Math.max(1, updates ?? 1) < 700,
        `${tab}: ${mutations} in ${updates}`,
      );
    }
    // An input is answered within its own event, however many rows there are.
    await selectTab(page, "sessions");
    const turned = await page.evaluate<string[][]>(`(() => {
      const cells = () => [...document.querySelectorAll("main tbody td:first-child")]
        .map(({ textContent }) => textContent);
      const first = cells();
      document.querySelector(".pager button:last-child").click();
      const second = cells();
      document.querySelector("[data-column=principal]").click();
      return [first, second, cells()];
    })()`);
    const [first = [], second = [], third = []] = turned;
    assert.deepEqual([first.length, second.length, third.length], [50, 50, 50]);
    assert.equal(first.filter((id) => second.includes(id)).length, 0);
    running = false;
    await load;
    assert.ok(calls > 50);
    const gauge = await page.textContent("#gauge-rate .value");
    assert.match(gauge ?? "", /^\d+(\.\d)?$/);
    assert.deepEqual(errors, []);
    await page.context().close();
    await Promise.all(clients.map((client) => client.close()));
    await node.close();
  });

  test("[OPR-9] the keyboard is enough, and the theme is kept", async () => {
    const node = await startNode("north");
    const client = await connectClient(node, "ada");
    const { page, errors } = await openDashboard(browser, node);
    const focus = () => page.evaluate("document.activeElement.id || document.activeElement.name");
    await page.keyboard.press("3");
    assert.equal(await focus(), "tab-sessions");
    await page.keyboard.press("ArrowRight");
    assert.equal(await focus(), "tab-principals");
    await page.keyboard.press("Home");
    assert.equal(await focus(), "tab-overview");
    await page.keyboard.press("End");
    assert.equal(await focus(), "tab-acts");
    await page.keyboard.press("/");
    assert.equal(await focus(), "principal");
    await page.keyboard.type("nobody");
    await selectTab(page, "sessions");
    await page.waitForSelector("main .empty:has-text('Nothing passes the filters')");
    // The first Escape takes the filter away, the second leaves the field.
    await page.keyboard.press("/");
    await page.keyboard.press("Escape");
    await page.waitForSelector("main tbody tr");
    assert.equal(await page.inputValue("[name=principal]"), "");
    assert.equal(await focus(), "principal");
    await page.keyboard.press("Escape");
    assert.notEqual(await focus(), "principal");
    // To the row's button, and out of the dialog again
    const button = page.locator("main tbody tr button.act").first();
    await button.focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#confirm[open]");
    await page.keyboard.press("Escape");
    await page.waitForSelector("#confirm:not([open])", { state: "attached" });
    assert.equal(node.acts.length, 0);
    const background = () => page.evaluate("getComputedStyle(document.body).backgroundColor");
    const light = await background();
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    const dark = await background();
    assert.notEqual(light, dark);
    assert.equal(
      await page.evaluate("getComputedStyle(document.querySelector('button')).transitionDuration"),
      "0s",
    );
    await page.click("#theme");
    assert.equal(await background(), light);
    await page.reload();
    await page.waitForSelector("#status:not([data-state=waiting])");
    assert.equal(await background(), light);
    assert.deepEqual(errors, []);
    await page.context().close();
    await client.close();
    await node.close();
  });
});

describe("dashboard in a browser: three nodes", { skip: noBrowser || noRedis }, () => {
  test("[OPR-9, OPR-4] a call at another node is cancelled, a node is drained, a dead node is lost", async () => {
    const redis = await useServer();
    const prefix = uniquePrefix();
    const clients = await Promise.all([1, 2, 3].map(async () => {
      const client = createClient({ url: redis.url });
      client.on("error", () => {});
      await client.connect();
      return client;
    }));
    const nodes = await Promise.all(
      ["north", "south", "west"].map((name, index) =>
        startNode(name, redisStore({ client: clients[index] ?? assert.fail(), prefix }))
      ),
    );
    const [north, south, west] = nodes as [Node, Node, Node];
    const { page, errors } = await openDashboard(browser, north, { width: 1440, height: 1080 });
    await page.waitForSelector("#status:has-text('All 3 nodes are healthy')");
    await countUpdates(page);
    const names = ["example-ide", "example-chat", "example-agent"];
    const users = ["ada", "alice", "build-bot", "ci", "support", "analytics"];
    const peers = await Promise.all(Array.from({ length: 18 }, (_, index) =>
      connectClient(
        nodes[index % 3] ?? north,
        users[index % users.length] ?? "ada",
        names[index % 3],
      )));
    await until(page, `document.getElementById("count-sessions").textContent === "18"`);
    const long = [0, 5, 10, 7].map((index) =>
      callTool(peers[index] ?? assert.fail(), "github__export").then(() => "a result", String)
    );
    await fetch(north.url, { method: "POST", body: "{}" }).then((response) => response.text());
    await fetch(west.url, { headers: { origin: "https://other.example" } })
      .then((response) => response.text());
    const tools = ["github__search_issues", "files__read_file", "files__write_file"];
    let running = true;
    const load = (async () => {
      for (let round = 0; running; round++) {
        const tool = round % 8 === 7 ? "github__create_comment" : tools[round % 3] ?? "";
        callTool(peers[round % peers.length] ?? assert.fail(), tool).catch(() => {});
        await new Promise((resolve) => setTimeout(resolve, 30 + 25 * Math.sin(round / 60)));
      }
    })();
    await screenshots(page);
    running = false;
    await load;

    // The session belongs to a node, and the call to another one than the page's.
    await selectTab(page, "sessions");
    await page.fill("[name=node]", "west");
    await until(page, `document.querySelectorAll("main tbody tr").length === 6`);
    await page.click("#clear");
    await selectTab(page, "calls");
    await page.fill("[name=node]", "south");
    await until(page, `document.querySelectorAll("main tbody tr").length === 2`);
    await actOnRow(page, "github__export", "Cancel");
    await page.waitForSelector(".toast:has-text('The call is cancelled')");
    const outcome = await soon(Promise.race([long[2] ?? "", long[3] ?? ""]), "the call", 20_000);
    assert.match(outcome, /An operator cancelled the request/);
    await page.click("#clear");

    await selectTab(page, "nodes");
    await actOnRow(page, "south", "Drain");
    await page.waitForSelector("#status[data-state=warn]:has-text('Draining 1 of 3 nodes')");
    await assert.rejects(connectClient(south, "late"));
    await (await connectClient(north, "early")).close();
    await actOnRow(page, "south", "Stop draining");
    await page.waitForSelector("#status[data-state=ok]");

    // It no longer answers, and says no word of farewell.
    endpointOf(west.handler).components.cluster.onOperator(() => {});
    await page.waitForSelector("#status[data-state=bad]:has-text('Lost: west')");
    assert.deepEqual((await firstCells(page)).map((text) => text.split("this")[0]), [
      "north",
      "south",
      "west",
    ]);
    assert.deepEqual(errors, []);
    await page.context().close();
    await Promise.all(peers.map((peer) => peer.close().catch(() => {})));
    await Promise.all(nodes.map((node) => node.close()));
    for (const client of clients) client.destroy();
    await redis.stop();
  });
});

/** Takes the screenshots of the docs, in both themes; writes them if they are asked for. */
async function screenshots(page: Page): Promise<void> {
  await selectTab(page, "overview");
  // Enough updates for the lines of the gauges
  const least = SCREENSHOTS === undefined ? 4 : 28;
  await until(page, `updates.length >= ${least}`);
  for (const theme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    const image = await page.screenshot({ animations: "disabled" });
    assert.ok(image.length > 20_000 && image.subarray(1, 4).toString() === "PNG");
    if (SCREENSHOTS !== undefined) {
      await writeFile(join(SCREENSHOTS, `dashboard-${theme}.png`), image);
    }
  }
}
