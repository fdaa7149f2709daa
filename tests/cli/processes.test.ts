/**
 * `mooring serve --processes`: several processes of the command behind one port.
 *
 * @module
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import process from "node:process";
import { createClient } from "redis";
import { describe, test } from "node:test";
import { configOf } from "../../src/cli/serve/node_process.ts";
import { hasBinary } from "../support/redis.ts";
import { RestartedCommand } from "../restart/command.ts";
import { counter, type Program, reach, run, serving, textOf, withConfig } from "./program.ts";

const skip = hasBinary ? false : "There is no redis-server to start";
const MOST_TRIES = 200;

interface Line {
  readonly event: string;
  readonly node?: string;
  readonly process?: number;
  readonly pid?: number;
  readonly message?: string;
  readonly tool?: string;
}

/** Returns the lines of the log. */
function linesOf({ err }: Program): Line[] {
  return err.split("\n").filter((line) => line.startsWith("{")).map((line) => JSON.parse(line));
}

/** Waits until the log has so many lines of an event. */
async function logged(program: Program, event: string, count = 1): Promise<Line[]> {
  await program.until(new RegExp(`(?:"event":"${event}"[^]*){${count}}`));
  return linesOf(program).filter((line) => line.event === event);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pids: readonly number[]): Promise<void> {
  for (let tries = 0; tries < MOST_TRIES && pids.some(isAlive); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(pids.filter(isAlive), []);
}

/** Calls a tool of a session on a connection of its own, so that any process may get it. */
async function callOnce(
  url: string,
  session: string,
  tool: string,
  args: object = {},
): Promise<string> {
  const response = await askOnce(url, session, tool, args);
  const text = await response.text();
  assert.equal(response.status, 200, text);
  return /"text":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? assert.fail(text);
}

function askOnce(url: string, session: string, tool: string, args: object): Promise<Response> {
  return fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "connection": "close",
      "mcp-protocol-version": "2025-11-25",
      "mcp-session-id": session,
    },
    body: JSON.stringify({
      ...{ jsonrpc: "2.0", id: 1, method: "tools/call" },
      params: { name: tool, arguments: args },
    }),
  });
}

/** Begins a session on a connection of its own. */
async function openOnce(url: string): Promise<string> {
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "accept": "application/json, text/event-stream",
      "connection": "close",
    },
    body: JSON.stringify({
      ...{ jsonrpc: "2.0", id: 1, method: "initialize" },
      params: {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "test", version: "1.0.0" },
      },
    }),
  });
  await response.text();
  return response.headers.get("mcp-session-id") ?? assert.fail("There is no session");
}

/** The processes and the Redis of a command, by their pids. */
async function pidsOf(
  program: Program,
  count: number,
): Promise<{ nodes: number[]; redis: number }> {
  const started = await logged(program, "process-started", count);
  const [{ pid: redis = 0 } = {}] = await logged(program, "redis-started");
  return { nodes: started.map(({ pid }) => pid ?? assert.fail()), redis };
}

describe("mooring serve --processes", { skip }, () => {
  test("[CORE-1] a session in one program is the same one through every process", () =>
    withConfig(
      { mcpServers: { one: counter("one") }, processes: 2, logLevel: "debug" },
      (file) =>
        serving(["--config", file], async (program, url) => {
          await logged(program, "processes");
          const served = (await logged(program, "listening", 2)).map(({ node }) => node ?? "");
          assert.equal(new Set(served).size, 2);
          for (const node of served) assert.match(node, /:\d+\/[12]$/);
          // Each process gets connections: the system or the first process spreads them.
          const opened = () =>
            linesOf(program).filter(({ event }) => event === "session-opened")
              .map(({ node }) => node);
          for (let tries = 0; new Set(opened()).size < 2; tries++) {
            assert.ok(tries < 64, program.err);
            const session = await openOnce(url);
            // Not always as many: who takes turns would give each first connection to the same process.
            for (let calls = 1; calls <= 10 + tries % 2; calls++) {
              const text = await callOnce(url, session, "one__count");
              assert.equal(text, String(calls));
            }
          }
        }),
    ));

  test("[CORE-3] a process that dies is started again, and what the others have goes on", () =>
    withConfig(
      { mcpServers: { one: counter("one") }, processes: "2" },
      (file) =>
        serving(["--config", file], async (program, url) => {
          await logged(program, "processes");
          const { nodes } = await pidsOf(program, 2);
          await using client = await reach(url);
          const session = client.sessionId ?? "";
          assert.equal(await textOf(client, "one__count"), "1");
          const opened = linesOf(program).find(({ event }) => event === "session-opened")?.node ??
            "";
          const other = opened.endsWith("/1") ? 2 : 1;
          process.kill(nodes[other - 1] ?? assert.fail(), "SIGKILL");
          const [{ message = "" } = {}] = await logged(program, "process-died");
          assert.equal(message, `Process ${other} died (SIGKILL): starting it again`);
          await logged(program, "listening", 3);
          let text = "";
          for (let calls = 2; calls <= 10; calls++) {
            text = await callOnce(url, session, "one__count");
          }
          assert.equal(text, "10");
        }),
    ));

  test("[CORE-4] a signal lets calls finish in every process, and nothing stays behind", () =>
    withConfig({ mcpServers: { one: counter("one") } }, async (file) => {
      let pids: number[] = [];
      await serving(["--config", file, "--processes", "2"], async (program, url) => {
        await logged(program, "processes");
        const { nodes, redis } = await pidsOf(program, 2);
        pids = [...nodes, redis];
        const clients = await Promise.all(Array.from({ length: 4 }, () => reach(url)));
        const running: Promise<void>[] = [];
        const slow = clients.map((client) => {
          const { promise, resolve } = Promise.withResolvers<void>();
          running.push(promise);
          return client.callTool("one__slow", { ms: 1_000 }, { onProgress: () => resolve() });
        });
        await Promise.all(running);
        program.signal("SIGTERM");
        for (const { content } of await Promise.all(slow)) {
          assert.deepEqual(content, [{ type: "text", text: "slept" }]);
        }
        assert.equal(await program.ended, 0, program.err);
        await Promise.all(clients.map((client) => client.close().catch(() => {})));
      });
      await gone(pids);
    }));

  test("[CORE-4] when the command itself is killed, nothing stays behind either", () =>
    withConfig(
      { mcpServers: { one: counter("one") }, processes: 2 },
      (file) =>
        serving(
          ["--config", file],
          async (program) => {
            await logged(program, "processes");
            const { nodes, redis } = await pidsOf(program, 2);
            const [{ folder = "" } = {}] = await logged(program, "redis-started") as {
              readonly folder?: string;
            }[];
            assert.ok(existsSync(folder));
            program.signal("SIGKILL");
            await gone([...nodes, redis]);
            assert.equal(existsSync(folder), false);
          },
          {},
          "SIGKILL",
        ),
    ));

  test("[CORE-5] a Redis that dies is started again, and new sessions begin there", () =>
    withConfig(
      { mcpServers: { one: counter("one") }, processes: 2 },
      (file) =>
        serving(["--config", file], async (program, url) => {
          await logged(program, "processes");
          const { redis } = await pidsOf(program, 2);
          process.kill(redis, "SIGKILL");
          await logged(program, "redis-died");
          await logged(program, "redis-started", 2);
          for (let tries = 0;; tries++) {
            try {
              await using client = await reach(url);
              assert.equal(await textOf(client, "one__count"), "1");
              return;
            } catch (error) {
              if (tries === MOST_TRIES) throw error;
              await new Promise((resolve) => setTimeout(resolve, 50));
            }
          }
        }),
    ));

  test("[CORE-5] with --data, what Redis has is there again after a restart, under the same secret", () =>
    withConfig({ mcpServers: { one: counter("one") }, processes: 2 }, async (file) => {
      const folder = join(dirname(file), "data");
      let first = "";
      for (const restarted of [false, true]) {
        await serving(["--config", file, "--data", folder], async (program) => {
          await logged(program, "processes");
          const path = join(folder, "redis", "redis.sock");
          const secret = await readFile(join(folder, "redis", "secret"), "utf8");
          const client = await createClient({ socket: { path, tls: false } }).connect();
          if (!restarted) {
            first = secret;
            await client.set("kept", "yes");
          }
          assert.equal(await client.get("kept"), "yes");
          assert.equal(secret, first);
          client.destroy();
          // Another command doesn't take the folder over.
          if (restarted) return;
          const line = ["serve", "--config", file, "--data", folder, "--port", "0"];
          const other = await run(line);
          assert.equal(other.code, 1);
          assert.match(other.err, /End the other process that uses this folder/);
          assert.equal((await logged(program, "listening", 2)).length, 2);
        });
      }
    }));

  test("[CORE-9] a call of a program that was handed over in one process is fetched in every other", () =>
    withConfig(
      {
        mcpServers: { one: counter("one", { longCalls: { afterMs: 500 } }) },
        longCalls: true,
        processes: 2,
        logLevel: "debug",
      },
      (file) =>
        serving(["--config", file], async (program, url) => {
          await logged(program, "processes");
          const session = await openOnce(url);
          const answer = await callOnce(url, session, "one__slow", { ms: 2_000 });
          const [, handle = assert.fail(answer)] = /(call_[\w-]+)/.exec(answer) ?? [];
          // Other sessions of its owner, until one is in the other process
          const nodes = () =>
            new Set(
              linesOf(program).filter(({ event, tool }) =>
                event === "request-finished" && tool === "wait_for_result"
              ).map(({ node }) => node),
            );
          for (let tries = 0; nodes().size < 2; tries++) {
            assert.ok(tries < 64, program.err);
            const other = await openOnce(url);
            let text = "";
            for (let waits = 0; text !== "slept"; waits++) {
              assert.ok(waits < 64 && !/unknown/i.test(text), text);
              text = await callOnce(url, other, "wait_for_result", { handle });
            }
            if (tries % 2 === 0) await callOnce(url, other, "one__count");
          }
        }),
    ));

  test("[SHP-30] each process has one program of its own for the sessions that share it, with its limits", () =>
    withConfig(
      {
        mcpServers: {
          all: counter("all", { share: "all" }),
          user: counter("user", { share: "user" }),
          one: counter("one", { share: "all", shareLimits: { sessions: 1 } }),
        },
        processes: 2,
        logLevel: "debug",
      },
      (file) =>
        serving(["--config", file], async (program, url) => {
          await logged(program, "processes");
          /** The programs that the sessions of a node got, by server. */
          const programs = new Map<string, Map<string, string[]>>();
          const isEnough = () =>
            programs.size === 2 &&
            [...programs.values()].every((node) => (node.get("all")?.length ?? 0) >= 2);
          for (let sessions = 1; !isEnough(); sessions++) {
            assert.ok(sessions < 64, program.err);
            const session = await openOnce(url);
            const opened = await logged(program, "session-opened", sessions);
            const node = opened.at(-1)?.node ?? assert.fail();
            const servers = programs.get(node) ?? new Map<string, string[]>();
            programs.set(node, servers);
            for (const server of ["all", "user", "one"]) {
              const response = await askOnce(url, session, `${server}__pid`, {});
              const [, pid = "refused"] = /"text":"(\d+)"/.exec(await response.text()) ?? [];
              servers.set(server, [...servers.get(server) ?? [], pid]);
            }
            // Who takes turns would give each session to the same process.
            if (sessions % 2 === 0) await callOnce(url, session, "all__count");
          }
          const [first, second] = [...programs.values()];
          for (const server of ["all", "user"]) {
            const pids = [first, second].map((node) => new Set(node?.get(server)));
            assert.deepEqual(pids.map(({ size }) => size), [1, 1], server);
            assert.equal(new Set(pids.flatMap((each) => [...each])).size, 2, server);
          }
          for (const node of [first, second]) {
            const [pid, ...others] = node?.get("one") ?? [];
            assert.notEqual(pid, "refused");
            assert.deepEqual([...new Set(others)], ["refused"]);
          }
        }),
    ));

  test("[CORE-10] with --data, sessions with programs end at a restart: 404, never another's program", () =>
    withConfig({ mcpServers: { one: counter("one") }, processes: 2 }, async (file) => {
      const server = new RestartedCommand([
        "--config",
        file,
        "--data",
        join(dirname(file), "data"),
      ]);
      try {
        await server.start();
        await logged(server.program, "processes");
        for (const signal of ["SIGTERM", "SIGKILL"] as const) {
          const session = await openOnce(server.url);
          assert.equal(await callOnce(server.url, session, "one__count"), "1");
          await server.restart(signal);
          await logged(server.program, "processes");
          const response = await askOnce(server.url, session, "one__count", {});
          const text = await response.text();
          const { status } = response;
          // Who was killed could not say that its sessions have ended: that shows after a while.
          const isDown = signal === "SIGKILL" && status === 503 &&
            response.headers.has("retry-after");
          assert.ok(status === 404 || isDown, `${signal}: ${status} ${text}`);
        }
        assert.equal(await callOnce(server.url, await openOnce(server.url), "one__count"), "1");
      } finally {
        await server.kill("SIGTERM");
      }
    }));

  test("[CORE-6] the operators' page shows every process", () =>
    withConfig({
      mcpServers: { one: counter("one") },
      processes: 2,
      dashboard: { port: 0, token: "a token that scripts have" },
    }, (file) =>
      serving(["--config", file], async (program) => {
        await logged(program, "processes");
        const [, page = ""] = await program.until(/"event":"dashboard"[^\n]*"url":"([^"]+)"/);
        for (let tries = 0;; tries++) {
          const response = await fetch(`${page}snapshot`, {
            headers: { authorization: "Bearer a token that scripts have" },
          });
          const text = await response.text();
          const found = new Set([...text.matchAll(/"node":"([^"]+)"/g)].map(([, node]) => node));
          if (found.size === 2) return;
          if (tries === MOST_TRIES) assert.fail(`${response.status} ${text}`);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      })));
});

describe("the configuration of a process", () => {
  test("[CORE-6] has files and addresses of its own, but for the first", () => {
    const config = {
      mcpServers: {},
      audit: { file: "/var/log/audit.log", files: 3 },
      metrics: { hostname: "127.0.0.1", port: 9_464 },
    };
    const of = (index: number) =>
      configOf(config, { index, count: 3, port: 8_000, data: { secret: "of the command" } });
    const own = { mcpServers: {}, port: 8_000, secret: "of the command" };
    assert.deepEqual(of(1), { ...config, ...own });
    assert.deepEqual(of(3), {
      ...own,
      audit: { file: "/var/log/audit-3.log", files: 3 },
      metrics: { hostname: "127.0.0.1", port: 9_466 },
    });
  });
});

describe("mooring serve --processes that can't start", () => {
  test("[CORE-2] without a Redis to start, it says what to install", async () => {
    const line = ["serve", "--http", "http://127.0.0.1:9/mcp", "--processes", "2", "--port", "0"];
    const { code, err } = await run(line, { PATH: "/nowhere" });
    assert.equal(code, 1);
    assert.match(
      err,
      /^Install redis-server or valkey-server, .*or name a Redis with --redis URL/m,
    );
  });

  test("[CORE-2] a port in use, and what every process would refuse, end it with the reason", {
    skip,
  }, async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? String(address.port) : "";
    const line = ["serve", "--http", "http://127.0.0.1:9/mcp", "--processes", "2"];
    const used = await run([...line, "--port", port]);
    assert.equal(used.code, 1);
    assert.match(used.err, new RegExp(`Port ${port} is in use`));
    server.close();

    const failed = await run([...line, "--port", "0", "--audit", "/nowhere/audit.log"]);
    assert.equal(failed.code, 1);
    assert.match(failed.err, /Give a file that can be written as --audit/);
    assert.match(failed.err, /not every process could start: Process 1: code 1/);
  });

  test("[CORE-2] a number that is none is refused by its option", async () => {
    for (const given of ["0", "257", "many"]) {
      const line = ["serve", "--http", "http://127.0.0.1:9/mcp", "--processes", given];
      const { code, err } = await run(line);
      assert.notEqual(code, 0);
      assert.match(err, /--processes.*Give a whole number, 1 to 256, or "auto"/);
    }
  });
});
