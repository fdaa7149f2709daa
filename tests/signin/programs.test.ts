/**
 * Published programs sign in: `mcp-remote` and the official inspector, each as its users start it, with their
 * own callback and a real browser.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
// @ts-types="@modelcontextprotocol/sdk/client/stdio"
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import type { Browser } from "playwright-core";
import { CLIENTS, commandOf } from "../../tools/runtimes.ts";
import { noBrowser, startBrowser } from "../dashboard/browser.ts";
import { freePort } from "../support/redis.ts";
import { withPage } from "./page.ts";

const MCP_REMOTE = `${CLIENTS}node_modules/mcp-remote/dist/proxy.js`;
const INSPECTOR =
  `${CLIENTS}node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js`;
const skip = noBrowser ||
  (existsSync(MCP_REMOTE) && existsSync(INSPECTOR)
    ? false
    : "PROGRAMS SKIPPED: run deno task test --all once, or deno install in tools/clients");

let browser: Browser;
let home: string;
before(async () => {
  if (skip !== false) return;
  browser = await startBrowser();
  home = await mkdtemp(join(tmpdir(), "signin-programs-"));
});
after(async () => {
  await browser?.close();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

/** Waits until a function returns something. */
async function found<T>(look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let tries = 0; tries < 600; tries++) {
    const value = await look();
    if (value !== undefined) return value;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("It didn't come");
}

describe("published programs", { skip }, () => {
  for (const [protocol, version] of [["legacy", "2025-11-25"], ["auto", "2026-07-28"]] as const) {
    test(`[FRONT-36] mcp-remote signs in through its loopback callback, in ${version}, and keeps its login`, () =>
      withPage(browser, async ({ site, page }) => {
        const own = await mkdtemp(join(home, "remote-"));
        const opened = join(own, "opened");
        // The program opens its user's browser by this.
        const opener = join(own, "open.sh");
        await writeFile(opener, `#!/bin/sh\nprintf '%s' "$1" > '${opened}'\n`, { mode: 0o755 });
        const { program, args } = commandOf("node");
        const port = String(await freePort());
        const start = () => {
          const client = new Client({ name: "desktop", version: "1" });
          const transport = new StdioClientTransport({
            command: program,
            args: [
              ...[...args, MCP_REMOTE, site.url.href, port],
              ...["--allow-http", "--host", "127.0.0.1", "--transport", "http-only"],
              ...["--protocol", protocol],
            ],
            env: { PATH: process.env.PATH ?? "", HOME: own, BROWSER: opener },
            stderr: "ignore",
          });
          return { client, connecting: client.connect(transport) };
        };
        const first = start();
        first.connecting.catch(() => {});
        await page.goto(
          await found(async () => {
            const url = await readFile(opened, "utf8").catch(() => "");
            return url === "" ? undefined : url;
          }),
        );
        assert.match(await page.locator("main").innerText(), /A program on this computer/);
        await page.getByRole("button", { name: "Allow" }).click();
        await page.waitForURL("http://127.0.0.1:*/oauth/callback?*");
        await first.connecting;
        const called = await first.client.callTool({ name: "who", arguments: {} });
        assert.match(JSON.stringify(called), /"ada"/);
        await first.client.close();
        // As after a night: what it has kept is refreshed, and nobody is asked.
        site.pass(12 * 3600_000);
        const second = start();
        await second.connecting;
        const again = await second.client.callTool({ name: "who", arguments: {} });
        assert.match(JSON.stringify(again), /"ada"/);
        await second.client.close();
        assert.equal(site.events.filter(({ reason }) => reason === "asked").length, 1);
        assert.deepEqual([...site.versions], [version]);
      }));
  }

  for (const [era, version] of [["legacy", "2025-11-25"], ["modern", "2026-07-28"]] as const) {
    test(`[FRONT-37] the inspector signs in and calls, in ${version}`, () =>
      withPage(browser, async ({ site, page }) => {
        const own = await mkdtemp(join(home, "inspector-"));
        const port = await freePort();
        const { program, args } = commandOf("node");
        const inspector: ChildProcess = spawn(program, [
          ...[...args, INSPECTOR, "--web", "--transport", "http"],
          ...["--server-url", site.url.href, "--protocol-era", era],
        ], {
          env: {
            PATH: process.env.PATH,
            HOME: own,
            MCP_STORAGE_DIR: own,
            MCP_INSPECTOR_SECRET_STORE: "memory",
            MCP_AUTO_OPEN_ENABLED: "false",
            MCP_SANDBOX_PORT: "0",
            CLIENT_PORT: String(port),
          },
          stdio: ["ignore", "pipe", "ignore"],
        });
        try {
          let output = "";
          inspector.stdout?.setEncoding("utf8").on("data", (text) => output += text);
          const address = new RegExp(`http://127\\.0\\.0\\.1:${port}\\S*`);
          await page.goto(await found(() => address.exec(output)?.[0]));
          await page.getByLabel(/^Connect or disconnect/).click({ force: true });
          await page.getByRole("button", { name: "Allow" }).waitFor();
          assert.match(await page.locator("main").innerText(), /calls itself “MCP Inspector”/);
          await page.getByRole("button", { name: "Allow" }).click();
          await page.waitForURL(`http://127.0.0.1:${port}/**`);
          await page.getByText("Tools", { exact: true }).first().click();
          await page.getByText("who", { exact: true }).first().click();
          await page.getByRole("button", { name: "Execute Tool" }).click();
          await page.getByText("ada", { exact: true }).first().waitFor();
          assert.deepEqual([...site.versions], [version]);
        } finally {
          const ended = new Promise((resolve) => inspector.once("close", resolve));
          inspector.kill();
          await ended;
        }
      }));
  }
});
