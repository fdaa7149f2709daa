/**
 * Apps in a real browser, whose host is the official bridge: two upstreams with the same page.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { registerAppResource, registerAppTool } from "@modelcontextprotocol/ext-apps/server";
import type { Browser, Frame } from "playwright-core";
import { listen } from "../../src/adapters/node_server.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { pinned } from "../../tools/runtimes.ts";
import { bundle } from "../../tools/workerd.ts";
import { noBrowser, PATIENCE_MS, startBrowser } from "../dashboard/browser.ts";

const skip = noBrowser !== false || existsSync(pinned("esbuild/bin/esbuild"))
  ? noBrowser
  : "No bundler: run `deno task test` once";

const PAGE = "ui://board/page.html";

/** A server with an app. Every server of a test has the same page's address and the same tools but one. */
function createBoard(name: string, script: string, calls: string[]): McpServer {
  const server = new McpServer({ name, version: "1.0.0" });
  // The helpers' types are those of the official server.
  const official = server as unknown as
    & Parameters<typeof registerAppTool>[0]
    & Parameters<typeof registerAppResource>[0];
  const register = (
    tool: string,
    ui: { visibility: ("model" | "app")[]; resourceUri?: string },
  ) => {
    registerAppTool(official, tool, { _meta: { ui } }, () => {
      calls.push(`${name} ${tool}`);
      return { content: [{ type: "text", text: `${tool} of ${name}` }] };
    });
  };
  register("board", { resourceUri: PAGE, visibility: ["model"] });
  register("refresh", { visibility: ["app"] });
  register(`${name}_only`, { visibility: ["app"] });
  const text = `<!doctype html>
<title>${name}</title>
<body data-server="${name}">
<h1>The page of ${name}</h1>
<script type="module">${script.replaceAll("</script", "<\\/script")}</script>`;
  const csp = { connectDomains: [`https://${name}.example`] };
  registerAppResource(official, "Board", PAGE, {}, (uri) => ({
    contents: [{
      uri: uri.href,
      mimeType: "text/html;profile=mcp-app",
      text,
      _meta: { ui: { csp, domain: `${name}.example` } },
    }],
  }));
  server.registerResource("Data", `ui://${name}/data`, {}, () => `data of ${name}`);
  return server;
}

describe("apps in a browser", { skip }, () => {
  let browser: Browser;
  let host: string;
  let script: string;
  before(async () => {
    [browser, host, script] = await Promise.all([
      startBrowser(),
      bundle("tests/gateway/fixtures/app_host.js"),
      bundle("tests/gateway/fixtures/app_page.js"),
    ]);
  });
  after(async () => {
    await browser?.close();
  });

  for (const [mode, version] of [["legacy", "2025-11-25"], ["auto", "2026-07-28"]]) {
    test(`[APP-7, APP-1, APP-4] the official bridge shows two apps of one address, which call their own servers (${version})`, async () => {
      const calls: string[] = [];
      const names = ["north", "south"];
      const gw = gateway({
        upstreams: Object.fromEntries(
          names.map((name) => [name, local(createBoard(name, script, calls))]),
        ),
      });
      const handler = createMcpHandler(gw);
      const page =
        `<!doctype html><title>Host</title><script type="module" src="/host.js"></script>`;
      const listener = await listen({
        hostname: "127.0.0.1",
        port: 0,
        fetch: async (request, context) => {
          const { pathname } = new URL(request.url);
          if (pathname === "/mcp") return await handler(request, context);
          const [type, body] = pathname === "/host.js"
            ? ["text/javascript", host]
            : ["text/html", page];
          return new Response(body, { headers: { "content-type": `${type}; charset=utf-8` } });
        },
        failed() {},
      });
      const context = await browser.newContext();
      try {
        const tab = await context.newPage();
        tab.setDefaultTimeout(PATIENCE_MS);
        const errors: string[] = [];
        tab.on("pageerror", (error) => errors.push(String(error)));
        await tab.goto(`http://127.0.0.1:${listener.port}/?mode=${mode}`);
        assert.equal(await tab.evaluate("started"), version);
        for (const name of names) {
          const tool = `${name}__board`;
          const frame: Frame | null = tab.frame(tool);
          assert.ok(frame !== null, tool);
          await frame.waitForSelector("#done");
          const shown = async (id: string) => await frame.textContent(id);
          assert.equal(await shown("h1"), `The page of ${name}`);
          assert.equal(await shown("#result"), `board of ${name}`);
          assert.equal(await shown("#own"), `${name}_only of ${name}`);
          assert.equal(await shown("#prefixed"), `refresh of ${name}`);
          assert.equal(await shown("#data"), `data of ${name}`);
          assert.match(await shown("#unclear") ?? "", /Call "north__refresh" or "south__refresh"/);
          const element = tab.locator(`iframe[name=${tool}]`);
          assert.equal(await element.getAttribute("data-uri"), `ui://${name}__board/page.html`);
          assert.deepEqual(JSON.parse(await element.getAttribute("data-meta") ?? ""), {
            ui: { csp: { connectDomains: [`https://${name}.example`] }, domain: `${name}.example` },
          });
        }
        assert.deepEqual(errors, []);
        const tools = (name: string) => ["board", "refresh", `${name}_only`];
        const expected = names.flatMap((name) => tools(name).map((tool) => `${name} ${tool}`));
        assert.deepEqual(calls.toSorted(), expected.toSorted());
      } finally {
        await context.close();
        await handler.close({ graceMs: 0 });
        await gw.close();
        listener.kill();
        await listener.stop();
      }
    });
  }
});
