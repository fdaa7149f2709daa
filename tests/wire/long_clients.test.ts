/**
 * A call of ten minutes by a client with each limit that is known: the client always has an answer in time,
 * although the node that it asks is lost in between. tests/clients/ten_minutes.ts does it with real clients.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { memoryStore } from "../../src/cluster/memory/store.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { settle } from "../support/settle.ts";
import { Gate, initialize, isPending, textOf } from "../support/wire.ts";

const MINUTE_MS = 60_000;
const TEN_MINUTES_MS = 10 * MINUTE_MS;
const USUAL_MS = 45_000;

interface Limit {
  /** The rows of docs/long-calls.md with this limit begin with these names. */
  readonly clients: readonly string[];
  readonly ms: number;
  readonly afterMs?: number;
}

const LIMITS: readonly Limit[] = [
  { clients: ["OpenAI Agents SDK for Python"], ms: 5_000, afterMs: 4_000 },
  {
    clients: [
      "Official TypeScript SDK, v1 and v2",
      "LangChain adapters, OpenAI Agents, Mastra",
      "`mcp-remote`",
      "Inspector, `--cli`",
      "Claude Desktop",
    ],
    ms: MINUTE_MS,
  },
  { clients: ["Codex"], ms: 2 * MINUTE_MS },
  { clients: ["Claude Code, command line"], ms: 6 * MINUTE_MS },
  { clients: ["Gemini CLI"], ms: TEN_MINUTES_MS },
  { clients: ["AI SDK"], ms: Infinity },
];

type Call = (name: string, args?: JsonObject) => Promise<JsonObject>;

const ERAS: Readonly<Record<string, (handler: McpHandler) => Promise<Call>>> = {
  async "2025"(handler) {
    const peer = await initialize(handler, { accept: "application/json" });
    let id = 100;
    return async (name, args = {}) => await peer.result(await peer.call(++id, name, args));
  },
  "2026": (handler) => {
    const peer = new ModernPeer(handler, { accept: "application/json" });
    return Promise.resolve((name, args) => peer.say(name, args));
  },
};

for (const [era, connect] of Object.entries(ERAS)) {
  describe(`LONG: ten minutes, ${era}`, () => {
    for (const { clients: [client], ms, afterMs } of LIMITS) {
      test(`[LONG-21] ${client} gets the result, and each answer in time`, async () => {
        const clock = new FakeClock();
        const store = memoryStore();
        const finish = new Gate<string>();
        const server = new McpServer({ name: "test", version: "1.0.0" });
        server.registerTool("work", {}, () => finish.promise);
        const longCalls = afterMs === undefined ? {} : { afterMs };
        const [runs, dies, stays] = Array.from(
          { length: 3 },
          () => createMcpHandler(server, { clock, store, longCalls }),
        );
        assert.ok(runs && dies && stays);
        const stepMs = afterMs ?? USUAL_MS;
        /** Waits for an answer as long as the client does. */
        const inTime = async (answer: Promise<JsonObject>): Promise<string> => {
          const began = clock.now();
          while (await isPending(answer)) {
            assert.ok(clock.now() + stepMs - began < ms, "The client gave up");
            await clock.advance(stepMs);
            await settle();
          }
          return String(textOf(await answer));
        };
        const began = clock.now();
        const text = await inTime((await connect(runs))("work"));
        const [handle] = /call_[\w-]+/.exec(text) ?? assert.fail(text);
        let wait = await connect(dies);
        while (clock.now() - began < TEN_MINUTES_MS / 2) {
          assert.match(await inTime(wait("wait_for_result", { handle })), /still running/);
        }
        // What the node says to this request comes too late: the client has another connection then.
        const lost = wait("wait_for_result", { handle }).catch(() => {});
        const closed = dies.close({ graceMs: 0 });
        wait = await connect(stays);
        while (clock.now() - began < TEN_MINUTES_MS) {
          assert.match(await inTime(wait("wait_for_result", { handle })), /still running/);
        }
        finish.open("Done");
        assert.equal(await inTime(wait("wait_for_result", { handle })), "Done");
        await Promise.all([lost, closed, runs.close(), stays.close()]);
      });
    }
  });
}

test("[LONG-21] the limits are those of docs/long-calls.md", () => {
  const page = readFileSync(new URL("../../docs/long-calls.md", import.meta.url), "utf8");
  const [, table = ""] = /^\| Client .*\n\| -.*\n((?:\|.*\n)+)/m.exec(page) ?? [];
  const rows = [...table.matchAll(/^\| (.*?) +\|/gm)].map(([, name]) => name);
  assert.deepEqual(rows.toSorted(), LIMITS.flatMap(({ clients }) => clients).toSorted());
});
