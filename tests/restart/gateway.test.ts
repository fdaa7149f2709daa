/**
 * A gateway is killed and started again: the sessions of its clients go on, with new upstream sessions.
 */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { McpServer } from "../../mod.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { counter, COUNTER_LINE, withConfig } from "../cli/program.ts";
import type { Connected } from "../clients/client.ts";
import { sdkV1 } from "../clients/sdk_v1.ts";
import { KINDS, until } from "../gateway/e2e_support.ts";
import { serve } from "../runtimes/runtime.ts";
import { as, byToken } from "../support/wire.ts";
import { RestartedCommand } from "./command.ts";

/** A folder for as long as `use` takes. */
async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "restart-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** An HTTP server that counts the calls of each session. */
async function countingServer() {
  const server = new McpServer({ name: "far", version: "1.0.0" });
  server.registerTool("count", {}, async (_args, ctx) => {
    const count = Number(await ctx.session?.state.get("count") ?? 0) + 1;
    await ctx.session?.state.set("count", count);
    return String(count);
  });
  return await serve(server, { port: 0, signals: false, graceMs: 0 });
}

const said = async (client: Connected, tool: string) => (await client.call(tool)).text;

describe("mooring serve", () => {
  for (const kind of KINDS) {
    test(`[DUR-7] is killed twice, and ${kind.name} goes on, at both kinds of path`, () =>
      inFolder(async (data) => {
        const far = await countingServer();
        const mcpServers = { one: counter("one"), far: { url: far.url } };
        await withConfig({ mcpServers, listWaitMs: 30_000 }, async (file) => {
          const server = new RestartedCommand(["--config", file, "--data", data]);
          await server.start();
          try {
            const whole = await kind.connect({ url: server.url });
            const alone = await kind.connect({ url: new URL("/servers/one", server.url).href });
            const hasSession = whole.protocolVersion !== "2026-07-28";
            for (let kills = 0; kills < 3; kills++) {
              assert.equal(await said(whole, "one__count"), "1");
              assert.equal(await said(whole, "one__count"), "2");
              if (hasSession) assert.equal(await said(whole, "far__count"), "1");
              assert.equal(await said(alone, "count"), "1");
              if (kills < 2) await server.restart();
            }
            const restored = server.events("session-restored");
            assert.equal(restored.length, hasSession ? 4 : 0);
            const reopened = server.events("upstream-opened").filter((event) => event.restored);
            assert.equal(reopened.length, hasSession ? 6 : 0);
            assert.deepEqual(server.events("session-ended"), []);
            await whole.close();
            await alone.close();
          } finally {
            await server.kill();
          }
        });
        await far.close();
      }));
  }

  test("[DUR-7] that is stopped by a signal keeps them too", () =>
    inFolder(async (data) => {
      const server = new RestartedCommand(["--stdio", COUNTER_LINE, "--data", data]);
      await server.start();
      try {
        const client = await sdkV1.connect({ url: server.url });
        assert.equal(await said(client, "count"), "1");
        await server.restart("SIGTERM");
        assert.equal(await said(client, "count"), "1");
        assert.equal(server.events("session-restored").length, 1);
        await client.close();
      } finally {
        await server.kill();
      }
    }));

  test('[DUR-7] with "onRestart": "end" ends them with a 404', () =>
    inFolder((data) =>
      withConfig({ mcpServers: { one: counter("one") }, onRestart: "end" }, async (file) => {
        const server = new RestartedCommand(["--config", file, "--data", data]);
        await server.start();
        try {
          const client = await sdkV1.connect({ url: server.url });
          assert.equal(await said(client, "one__count"), "1");
          await server.restart();
          await assert.rejects(client.call("one__count"), /404|not found/i);
          await until(
            () => server.events("session-ended").some(({ reason }) => reason === "lost"),
            "the session's end",
          );
        } finally {
          await server.kill();
        }
      })
    ));
});

describe("a gateway with a file", () => {
  test("[DUR-28] tells a session that goes on of lists that may have changed meanwhile", () =>
    inFolder(async (folder) => {
      const begin = async (port: number, tools: readonly string[]) => {
        const server = new McpServer({ name: "one", version: "1.0.0" });
        for (const tool of tools) server.registerTool(tool, {}, () => tool);
        const store = sqliteStore({ path: join(folder, "data.sqlite") });
        const gw = gateway({ upstreams: { one: local(server) } });
        const running = await serve(gw, { port, store, signals: false, graceMs: 0 });
        const end = async () => {
          await running.close();
          await gw.close();
          store.close();
        };
        return { running, end };
      };
      let server = await begin(0, ["first"]);
      const { url, port } = server.running;
      const client = await sdkV1.connect({ url });
      const changes = () =>
        client.told.filter(({ method }) => method === "notifications/tools/list_changed").length;
      assert.equal(await said(client, "one__first"), "first");
      assert.equal(changes(), 0);
      await server.end();
      server = await begin(port, ["first", "second"]);
      try {
        const first = () => said(client, "one__first");
        // A connection of the server before may seem open at first.
        assert.equal(await first().catch(first), "first");
        await until(() => changes() > 0, "the notification");
        assert.deepEqual((await client.tools()).toSorted(), ["one__first", "one__second"]);
        await client.close();
      } finally {
        await server.end();
      }
    }));

  test("[DUR-7] repeats the subscriptions of a session that goes on, and keeps out foreign ones", () =>
    inFolder(async (folder) => {
      const notes = new McpServer({ name: "notes", version: "1.0.0" });
      notes.registerResource("note", "note://a", {}, () => "text");
      notes.registerTool("change", {}, () => {
        notes.resourceUpdated("note://a");
        return "changed";
      });
      const other = new McpServer({ name: "other", version: "1.0.0" });
      other.registerTool("hello", {}, () => "hello");
      const begin = async (port: number) => {
        const store = sqliteStore({ path: join(folder, "data.sqlite") });
        const gw = gateway({ upstreams: { notes: local(notes), other: local(other) } });
        const running = await serve(gw, {
          port,
          store,
          signals: false,
          graceMs: 0,
          authenticate: byToken,
        });
        const end = async () => {
          await running.close();
          await gw.close();
          store.close();
        };
        return { gw, running, end };
      };
      let server = await begin(0);
      const { url, port } = server.running;
      const client = await sdkV1.connect({ url, headers: as("alice") });
      const [address = ""] = await client.resources();
      await client.subscribe(address);
      const updates = () =>
        client.told.filter(({ method }) => method === "notifications/resources/updated").length;
      assert.equal(await said(client, "notes__change"), "changed");
      await until(() => updates() === 1, "the first update");

      await server.end();
      server = await begin(port);
      try {
        const foreign = await fetch(url, {
          method: "DELETE",
          headers: { ...as("bob"), "mcp-session-id": client.sessionId ?? "" },
        });
        assert.equal(foreign.status, 404);
        await foreign.body?.cancel();
        // Of another upstream: the subscription needs no call of its own.
        assert.equal(await said(client, "other__hello"), "hello");
        await until(() => server.gw.stats().sessions === 2, "the session with the other upstream");
        const changer = await sdkV1.connect({ url, headers: as("bob") });
        assert.equal(await said(changer, "notes__change"), "changed");
        await until(() => updates() === 2, "the update after the restart");
        await changer.close();
        await client.close();
      } finally {
        await server.end();
      }
    }));
});
