/**
 * `mooring dev` as a process, with servers that are edited while clients are connected.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import process from "node:process";
import { describe, test } from "node:test";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { at, developing, serverText } from "./developing.ts";
import { runHere } from "./fake_io.ts";
import { Program, reach, runtime, textOf } from "./program.ts";
import { freePort } from "../../src/adapters/process_group.ts";
import { serve } from "../../src/adapters/node.ts";
import { McpServer } from "../../src/server/server.ts";

const contentText = (result: unknown) =>
  (result as { content: { text: string }[] }).content[0]?.text ?? "";

describe("mooring dev", () => {
  test("[DEV-1, DEV-2] of twenty edits, each is what the next call of a connected client runs, in the same session; a syntax error leaves the version before", () =>
    developing(serverText("0"), async ({ url, write, program }) => {
      const first = new ClientV1({ name: "v1", version: "1.0.0" });
      const firstTransport = new TransportV1(new URL(url));
      await first.connect(firstTransport);
      const second = new Client({ name: "v2", version: "1.0.0" });
      const secondTransport = new StreamableHTTPClientTransport(new URL(url));
      await second.connect(secondTransport);
      const ids = [firstTransport.sessionId, secondTransport.sessionId];
      assert.ok(ids[0] !== undefined && ids[1] !== undefined && ids[0] !== ids[1]);
      const times: number[] = [];
      let expected = "0";
      for (let edit = 1; edit <= 20; edit++) {
        const isWrong = edit === 10;
        await write(isWrong ? `${serverText("10")}\nconst x = = 1;\n` : serverText(String(edit)));
        if (!isWrong) expected = String(edit);
        const began = performance.now();
        const call = { name: "edit", arguments: {} };
        assert.equal(contentText(await first.callTool(call)), expected);
        times.push(performance.now() - began);
        assert.equal(contentText(await second.callTool(call)), expected);
      }
      assert.deepEqual([firstTransport.sessionId, secondTransport.sessionId], ids);
      const sorted = times.toSorted((a, b) => a - b);
      console.log(
        `  from the edit to the answer of the next call: ${
          Math.round(sorted[10] ?? 0)
        } ms in the ` +
          `middle, ${Math.round(sorted.at(-1) ?? 0)} ms at most`,
      );
      // Where one looks: the place, the line, and what goes on
      const line = serverText("10").split("\n").length + 1;
      assert.match(program.out, new RegExp(`server\\.ts:${line}(:\\d+)?: `));
      assert.match(program.out, new RegExp(`> *${line} \\| const x = = 1;`));
      assert.match(program.out, /The version before goes on answering/);
      await first.close();
      await second.close();
    }));

  test("[DEV-3] clients of both eras are told that lists have changed, on the streams that they have", () =>
    developing(serverText("0"), async ({ url, write }) => {
      await using old = await reach(url);
      await using modern = await reach(url, { protocolVersion: "2026-07-28" });
      assert.equal(await textOf(old, "edit"), "0");
      assert.equal(await textOf(modern, "edit"), "0");
      const told = [old, modern].map((client) =>
        client.nextNotification("notifications/tools/list_changed")
      );
      await write(serverText("1").replace('"edit"', '"edited"'));
      // Nobody calls: the change is noticed by itself
      await Promise.all(told);
      assert.ok((await old.listTools()).some(({ name }) => name === "edited"));
      assert.equal(await textOf(modern, "edited"), "1");
    }));

  test("[DEV-4] a call that runs is finished by the version which began it, with its question", () =>
    developing(serverText("0"), async ({ url, write }) => {
      const asked = Promise.withResolvers<void>();
      const go = Promise.withResolvers<void>();
      await using client = await reach(url, {
        onElicit: async () => {
          asked.resolve();
          await go.promise;
          return { action: "accept", content: { ok: true } };
        },
      });
      const call = client.callTool("slow");
      await asked.promise;
      await write(serverText("1"));
      assert.equal(await textOf(client, "edit"), "1");
      go.resolve();
      assert.equal(contentText(await call), '0{"ok":true}');
    }));

  test("[DEV-5] what never started answers where its error is, and is started again after a change", () => {
    const wrong = serverText("0", 'throw new TypeError("On purpose");');
    return developing(wrong, async ({ url, write }) => {
      const line = wrong.split("\n").length - 1;
      await assert.rejects(
        reach(url),
        new RegExp(`server\\.ts:${line}(:\\d+)?: TypeError: On purpose`),
      );
      await write(serverText("1"));
      await using client = await reach(url);
      assert.equal(await textOf(client, "edit"), "1");
    });
  });

  test("[DEV-6] a program on pipes is served and replaced like one that listens", () =>
    developing(serverText("0", "serveStdio(server);"), async ({ url, write }) => {
      await using client = await reach(url);
      const { sessionId } = client;
      assert.equal(await textOf(client, "edit"), "0");
      await write(serverText("1", "serveStdio(server);"));
      assert.equal(await textOf(client, "edit"), "1");
      assert.equal(client.sessionId, sessionId);
    }));

  test("[DEV-7] only this machine's names are answered; the page only by a link, once", () =>
    developing(serverText("0"), async ({ url, page }) => {
      const status = (url: string, headers: Record<string, string>) =>
        new Promise<number>((resolve, reject) => {
          import("node:http").then(({ request }) =>
            request(url, { headers }, (response) => {
              response.resume();
              resolve(response.statusCode ?? 0);
            }).once("error", reject).end()
          );
        });
      const origin = new URL(page).origin;
      assert.equal(await status(url, { host: "evil.example" }), 403);
      assert.equal(await status(`${origin}/`, { host: "evil.example" }), 403);
      assert.equal(await status(`${origin}/events`, {}), 401);
      const opened = await fetch(page, { redirect: "manual" });
      await opened.body?.cancel();
      assert.equal(opened.status, 303);
      assert.match(opened.headers.get("set-cookie") ?? "", /HttpOnly; SameSite=Strict/);
      const [cookie = ""] = (opened.headers.get("set-cookie") ?? "").split(";");
      assert.equal(await status(`${origin}/`, { cookie }), 200);
      assert.equal(await status(`${origin}/`, { cookie, origin: "https://evil.example" }), 403);
      assert.equal(await status(page, {}), 401);
    }));

  test("[DEV-8] a program that ends is started again by the next call; its client learns what happened", () =>
    developing(serverText("0"), async ({ url, program }) => {
      await using client = await reach(url);
      await client.callTool("crash").catch(() => {});
      await program.until(/server\.ts:\d+(:\d+)?: (Error: )?Crashed/);
      assert.equal(await textOf(client, "edit"), "0");
    }));

  test("[DEV-9] a program with a port of its own is replaced too: the next version starts after it", async () => {
    const holder = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => holder.once("listening", resolve));
    const address = holder.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await new Promise((resolve) => holder.close(resolve));
    const text = (edit: string) =>
      `import { createServer } from "node:http";
import { McpServer, createMcpHandler } from ${at("mod.ts")};
import { toNodeHandler } from ${at("src/adapters/node.ts")};
const server = new McpServer({ name: "fixed", version: "1.0.0" });
server.registerTool("edit", {}, () => ${JSON.stringify(edit)});
createServer(toNodeHandler(createMcpHandler(server)))
  .listen(${port}, "127.0.0.1", () => console.log("Ready at http://127.0.0.1:${port}/mcp"));
`;
    await developing(text("0"), async ({ url, write }) => {
      await using client = await reach(url);
      assert.equal(await textOf(client, "edit"), "0");
      await write(text("1"));
      assert.equal(await textOf(client, "edit"), "1");
    });
  });

  test("[DEV-9] a program that names the URL of clients is found where it was told to listen", async () => {
    const port = await freePort("127.0.0.1", 0);
    const text = (edit: string) =>
      serverText(
        edit,
        `console.log("Listening at http://localhost:${port}/mcp");\nawait serve(server);`,
      );
    await developing(text("0"), async ({ url, write }) => {
      assert.equal(url, `http://localhost:${port}/mcp`);
      await using client = await reach(`http://127.0.0.1:${port}/mcp`);
      assert.equal(await textOf(client, "edit"), "0");
      await write(text("1"));
      assert.equal(await textOf(client, "edit"), "1");
    }, { args: ["--port", String(port)] });
  });

  test("[DEV-10] a configuration file is served, and each change of it", () => {
    const text = (name: string) =>
      JSON.stringify({
        mcpServers: {
          [name]: {
            command: process.execPath,
            args: [
              ...runtime === "deno" ? ["run", "-A", "--no-check", "--quiet"] : [],
              new URL("./fixtures/counter.ts", import.meta.url).pathname,
              "counter",
            ],
          },
        },
        listWaitMs: 30_000,
      });
    return developing(text("one"), async ({ url, write }) => {
      await using client = await reach(url);
      assert.equal(await textOf(client, "one__count"), "1");
      await write(text("two"));
      assert.equal(await textOf(client, "two__count"), "1");
    }, { name: "mooring.json" });
  });

  test("[DEV-10] a server that has a URL is traced, and nothing is started", async () => {
    const server = new McpServer({ name: "elsewhere", version: "1.0.0" });
    server.registerTool("edit", {}, () => "elsewhere");
    await using running = await serve(server, { port: 0, signals: false });
    const program = new Program(["dev", running.url, "--port", "0", "--page-port", "0"]);
    try {
      const [, url = ""] = await program.until(/Serving .* at (http\S+)/);
      assert.notEqual(new URL(url).port, String(running.port));
      await using client = await reach(url);
      assert.equal(await textOf(client, "edit"), "elsewhere");
    } finally {
      program.signal("SIGTERM");
      assert.equal(await program.ended, 0);
    }
  });

  test("[DEV-19] what there is not, and options that don't fit, are refused before anything is started", async () => {
    const refusals = [
      [["dev", "/nowhere/server.ts"], 1, /Name a file or a URL: \/nowhere\/server\.ts/],
      [["dev", "http://127.0.0.1:1/mcp", "--runtime", "node"], 2, /Leave --runtime out/],
      [["dev", "x.ts", "--port", "70000"], 2, /whole number from 0 to 65535 to --port/],
      [["dev", "x.ts", "--prot", "1"], 2, /Did you mean --port/],
      [["dev"], 2, /Give what to dev: mooring dev/],
    ] as const;
    for (const [args, code, text] of refusals) {
      const outcome = await runHere(args);
      assert.equal(outcome.code, code, outcome.err);
      assert.match(outcome.err, text);
    }
  });
});
