/**
 * Published servers behind a gateway on a real port, as the official clients see them.
 */
import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { local, sdk, stdio } from "../../src/gateway/mod.ts";
import type { Connected } from "../clients/client.ts";
import { sdkV2 } from "../clients/sdk_v2.ts";
import { contractServer, sdkContractServer } from "../contracts/upstream_servers.ts";
import { binary, childrenOf, publishedServer } from "./children.ts";
import { KINDS, served, until } from "./e2e_support.ts";

/** The servers behind the gateway, and a folder of theirs. */
async function withServers(
  work: Parameters<typeof served>[1],
  folderUse?: (folder: string) => void,
) {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "mooring-")));
  writeFileSync(join(folder, "note.txt"), "A note");
  folderUse?.(folder);
  try {
    await served(
      {
        every: publishedServer("mcp-server-everything", "stdio"),
        sdk: sdk(sdkContractServer),
        files: publishedServer("mcp-server-filesystem", folder),
        memory: stdio({
          command: binary("mcp-server-memory"),
          env: { MEMORY_FILE_PATH: join(folder, "memory.jsonl") },
        }),
        // However slowly they start here, their lists are to be whole.
      },
      work,
      { gateway: { listWaitMs: 30_000 } },
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The servers take their time to start. */
const LONG = { timeout: 30_000 };

const has = (client: Connected, method: string) => client.told.some((one) => one.method === method);

for (const kind of KINDS) {
  const modern = kind.name.includes("auto");

  test(`[GTW-8, GTW-10] ${kind.name} uses three published servers at once`, LONG, async () => {
    let folder = "";
    await withServers(async ({ connect, gw }) => {
      const client = await connect(kind);
      assert.equal(client.protocolVersion, modern ? "2026-07-28" : "2025-11-25");
      const tools = await client.tools();
      for (const tool of ["every__echo", "files__read_text_file", "memory__read_graph"]) {
        assert.ok(tools.includes(tool), tool);
      }
      assert.equal((await client.call("every__echo", { message: "hi" })).text, "Echo: hi");
      // A client that answers roots is asked for them, and the server serves those folders instead.
      const path = join(folder, "note.txt");
      const read = await client.call("files__read_text_file", { path });
      assert.ok(read.text.includes("A note") || read.isError, read.text);
      const entities = [{ name: "Ada", entityType: "person", observations: ["counts"] }];
      await client.call("memory__create_entities", { entities });
      assert.match((await client.call("memory__read_graph")).text, /Ada/);

      const steps: number[] = [];
      const args = { duration: 0.3, steps: 3 };
      await client.call("every__trigger-long-running-operation", args, {
        onProgress: (progress) => steps.push(progress),
      });
      // In 2026 the client counts the rounds of questions as progress too, such as one for its roots.
      assert.deepEqual([...new Set(steps)], [1, 2, 3]);

      const sampled = await client.call("every__trigger-sampling-request", { prompt: "Hi" });
      assert.match(sampled.text, /Forty-two/);

      const [prompt = ""] = (await client.prompts()).filter((name) => name.includes("simple"));
      assert.notEqual(await client.prompt(prompt), "");
      const values = await client.complete("every__completable-prompt", "department", "E");
      assert.ok(values.includes("Engineering"), values.join());
      const [uri = ""] = await client.resources();
      assert.notEqual(await client.read(uri), "");
      assert.ok((await client.templates()).length > 0);
      await client.close();
      if (modern) assert.equal(gw.stats().sessions, 4);
    }, (made) => folder = made);
  });

  test(
    `[GTW-8] ${kind.name}: elicitation reaches the user, cancellation the tool`,
    LONG,
    async () => {
      const upstreams = { sdk: sdk(sdkContractServer), up: local(contractServer()) };
      await served(upstreams, async ({ connect }) => {
        const client = await connect(kind);
        assert.match((await client.call("sdk__ask")).text, /"action":"accept"/);
        const stop = new AbortController();
        const long = client.call("up__wait", {}, { signal: stop.signal });
        setTimeout(() => stop.abort(new Error("Enough")), 100);
        await assert.rejects(long);
        await until(
          async () => Number((await client.call("up__stopped")).text) > 0,
          "the tool's end",
        );
        await client.close();
      });
    },
  );
}

test(
  "[GTW-8] log messages, updates of resources and changes of lists reach an official client",
  LONG,
  async () => {
    await withServers(async ({ connect }) => {
      const client = await connect(sdkV2);
      await client.call("sdk__change");
      await until(() => has(client, "notifications/tools/list_changed"), "changed tools");
      await client.logFrom("debug");
      const [uri = ""] = await client.resources();
      await client.subscribe(uri);
      await client.call("every__toggle-simulated-logging");
      await client.call("every__toggle-subscriber-updates");
      await until(() => has(client, "notifications/message"), "a log message");
      await until(() => has(client, "notifications/resources/updated"), "an update");
      await client.terminate();
      await client.close();
    });
  },
);

test(
  "[GTW-1] the counters of two users, and of two sessions of one, stay 5 and 3",
  LONG,
  async () => {
    await served({
      up: publishedServer("mcp-server-everything", "stdio"),
      sdk: sdk(sdkContractServer),
    }, async ({ connect, gw, events }) => {
      for (const [first, second] of [["alice", "bob"], ["alice", "alice"]] as const) {
        for (const kind of KINDS.slice(0, 2)) {
          const [a, b] = await Promise.all([connect(kind, first), connect(kind, second)]);
          // A program may start later than a client waits for it when it connects.
          await Promise.all([a, b].map((client) => client.call("up__echo", { message: "there" })));
          const opened = () => events.filter(({ type }) => type === "upstream-opened").length;
          const before = opened();
          const all = async (client: Connected, times: number) =>
            (await Promise.all(
              Array.from({ length: times }, () => client.call("sdk__count")),
            )).map(({ text }) => Number(text));
          const [fives, threes] = await Promise.all([all(a, 5), all(b, 3)]);
          assert.equal(Math.max(...fives), 5);
          assert.equal(Math.max(...threes), 3);
          assert.equal(opened(), before, "a session was begun twice");
          await Promise.all([a, b].map((client) => client.terminate()));
          await Promise.all([a, b].map((client) => client.close()));
          await until(() => gw.stats().sessions === 0, "the end of their upstream sessions");
        }
      }
    });
  },
);

test("[GTW-7] of all this no process is left", () =>
  until(() => childrenOf(process.pid).length === 0, "the end of all children"));
