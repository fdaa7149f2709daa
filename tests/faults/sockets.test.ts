/**
 * Bodies that come slowly, connections of which half is open, and clients that vanish, over real
 * sockets: whatever they do, others are served meanwhile, and nothing of them is left.
 */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import * as fc from "fast-check";
import type { RunningServer } from "../../src/adapters/running_server.ts";
import type { HandlerLimits } from "../../src/handler/types.ts";
import { McpServer } from "../../src/server/server.ts";
import { callText, RawConnection, requestText } from "../runtimes/raw.ts";
import { runtime, serve } from "../runtimes/runtime.ts";
import { ModernPeer } from "../support/modern.ts";
import { BOTH, Peer } from "../support/wire.ts";
import { NOTHING } from "./invariants.ts";
import { property } from "./runs.ts";

const silent = (): Promise<Response> => Promise.reject(new Error("Nothing is sent"));

/** A server with a tool that answers and one that waits, and everything that was opened to it. */
class Shore implements AsyncDisposable {
  readonly server: RunningServer;
  readonly called: string[];
  readonly #gates: (() => void)[];
  readonly #connections: RawConnection[] = [];

  private constructor(server: RunningServer, called: string[], gates: (() => void)[]) {
    this.server = server;
    this.called = called;
    this.#gates = gates;
  }

  static async open(limits?: HandlerLimits): Promise<Shore> {
    const called: string[] = [];
    const gates: (() => void)[] = [];
    const tools = new McpServer({ name: "sockets", version: "1.0.0" });
    tools.registerTool("echo", {}, () => {
      called.push("echo");
      return "done";
    });
    tools.registerTool("speak", {}, async (_args, ctx) => {
      called.push("speak");
      ctx.log("error", "first");
      await new Promise<void>((resolve) => gates.push(resolve));
      return "done";
    });
    tools.registerTool("large", {}, () => "x".repeat(3_000_000));
    const server = await serve(tools, { port: 0, signals: false, sessions: false, limits });
    return new Shore(server, called, gates);
  }

  async connect(): Promise<RawConnection> {
    const connection = await RawConnection.open(this.server.port);
    this.#connections.push(connection);
    return connection;
  }

  /** Lets every call that waits go on. */
  go(): void {
    for (const gate of this.#gates.splice(0)) gate();
  }

  /** Checks that somebody else is served. */
  async assertServes(): Promise<void> {
    const other = await this.connect();
    await other.write(callText("echo"));
    await other.until("done");
    other.destroy();
  }

  async assertNothingLeft(): Promise<void> {
    const before = Date.now();
    const { handler } = this.server;
    while (JSON.stringify(handler.stats()) !== JSON.stringify(NOTHING)) {
      this.go();
      if (Date.now() - before > 3_000) assert.deepEqual(handler.stats(), NOTHING);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await this.server.close({ graceMs: 0 });
  }
}

async function ashore(
  act: (shore: Shore) => Promise<void>,
  limits?: HandlerLimits,
): Promise<void> {
  const shore = await Shore.open(limits);
  try {
    await act(shore);
  } finally {
    await shore[Symbol.asyncDispose]();
  }
}

/** The text of a request of 2026 that calls a tool. */
function modernText(name: string): string {
  const message = new ModernPeer(silent, { logLevel: "debug" }).message("tools/call", {
    name,
    arguments: {},
  }, 1);
  const headers = {
    "mcp-protocol-version": "2026-07-28",
    "mcp-method": "tools/call",
    "mcp-name": name,
  };
  return requestText("POST", headers, JSON.stringify(message));
}

/** The beginning of a request whose body comes in chunks. */
const CHUNKED = requestText("POST", {
  "content-type": "application/json",
  "accept": BOTH,
  "transfer-encoding": "chunked",
}) + '5\r\n{"jso';

describe("GATE: bodies that come slowly, over a socket", () => {
  test("[GATE-8, STR-11] fifty that stall take nobody's place, and leave nothing when they are cut", async () => {
    await ashore(async (shore) => {
      const half = callText("echo").slice(0, -10);
      const stalled = await Promise.all(Array.from({ length: 50 }, () => shore.connect()));
      for (const [n, connection] of stalled.entries()) {
        await connection.write(n % 2 === 0 ? half : CHUNKED);
      }
      await shore.assertServes();
      assert.deepEqual(shore.server.handler.stats(), NOTHING);
      assert.deepEqual(shore.called, ["echo"]);
      for (const connection of stalled) connection.destroy();
      await shore.assertNothingLeft();
      await shore.assertServes();
    });
  });

  for (const [way, begun] of [["declared", callText("echo").slice(0, -40)], ["chunked", CHUNKED]]) {
    test(`[GATE-8] a ${way} one that stalls, or drips, gets 408 in time`, async () => {
      await ashore(async (shore) => {
        const [stalled, dripping] = [await shore.connect(), await shore.connect()];
        for (const connection of [stalled, dripping]) await connection.write(String(begun));
        const drip = setInterval(() => {
          dripping.write(way === "declared" ? " " : "\r\n1\r\n ").catch(() => {});
        }, 100);
        try {
          for (const connection of [stalled, dripping]) {
            await connection.until(/^HTTP\/1\.1 408 [^]*"Send the whole body in less time"/);
            const ends = connection.text.match(/^connection: close\r$/gim) ?? [];
            // Deno may add its own.
            assert.ok(ends.length === 1 || (runtime === "deno" && ends.length === 2));
          }
          // Deno ends no connection before the whole body has come.
          for (const connection of runtime === "deno" ? [] : [stalled, dripping]) {
            await connection.untilClosed();
          }
        } finally {
          clearInterval(drip);
        }
        await shore.assertServes();
        await shore.assertNothingLeft();
        assert.deepEqual(shore.called, ["echo"]);
      }, { bodyMs: 300 });
    });
  }

  for (const declared of [true, false]) {
    const way = declared ? "declared" : "chunked";
    test(`[STR-16] of 40 large ${way} ones that stall, no more than the budget wait, and others are served`, async () => {
      await ashore(async (shore) => {
        const half = "x".repeat(100_000);
        const head = requestText("POST", {
          "content-type": "application/json",
          "accept": BOTH,
          ...declared ? { "content-length": "130000" } : { "transfer-encoding": "chunked" },
        });
        const stalled = await Promise.all(Array.from({ length: 40 }, () => shore.connect()));
        const refusals = () => stalled.filter(({ text }) => text.startsWith("HTTP/1.1 503")).length;
        for (const connection of stalled) {
          await connection.write(
            `${head}${declared ? "" : `${(130_000).toString(16)}\r\n`}${half}`,
          );
          await shore.assertServes();
        }
        // Those that were first: each of the others takes 100 kB of 1 MB.
        await Promise.all(
          stalled.slice(0, 30).map((each) => each.until(/^HTTP\/1\.1 503 [^]*"Server busy"/)),
        );
        assert.match(stalled[0]?.text ?? "", /^retry-after: 1\r$/im);
        assert.equal(refusals(), 30);
        for (const connection of stalled) connection.destroy();
        // All of it was given back: as many are served as it holds.
        const whole = callText("echo", { half });
        for (let n = 0; n < 12; n++) {
          const connection = await shore.connect();
          await connection.write(whole.slice(0, -10));
          await connection.write(whole.slice(-10));
          await connection.until("done");
        }
        await shore.assertNothingLeft();
      }, { bodyBytes: 150_000, totalBodyBytes: 1_000_000 + 10_000 });
    });
  }

  test("[GATE-8] one that comes byte by byte is answered once, when it is whole", async () => {
    await ashore(async (shore) => {
      const connection = await shore.connect();
      for (const byte of callText("echo")) {
        assert.equal(connection.text, "");
        await connection.write(byte);
      }
      await connection.until("done");
      assert.deepEqual(shore.called, ["echo"]);
      await shore.assertNothingLeft();
    });
  });
});

describe("STR: connections of which half is open", () => {
  for (const [era, text] of [["2025", callText("speak")], ["2026", modernText("speak")]] as const) {
    test(`[STR-4, STR-11] ${era}: a client that will send no more is answered or gone, and nothing is left`, async () => {
      await ashore(async (shore) => {
        const connection = await shore.connect();
        await connection.write(text);
        await connection.until("first");
        connection.end();
        await shore.assertServes();
        shore.go();
        await shore.assertNothingLeft();
        const answers = (connection.text.match(/"result"/g) ?? []).length;
        // Some servers take half a goodbye for a whole one
        assert.ok(answers <= 1, connection.text);
        assert.equal(shore.called.filter((name) => name === "speak").length, 1);
      });
    });
  }

  test("[STR-10, STR-11] clients that never read what they asked for hold up nobody, and leave nothing", async () => {
    await ashore(async (shore) => {
      for (let n = 0; n < 5; n++) {
        const deaf = await shore.connect();
        deaf.pause();
        await deaf.write(callText("large"));
      }
      await shore.assertServes();
      await shore.assertNothingLeft();
    });
  });
});

describe("STR: clients that vanish in the middle of a word", () => {
  const asked = {
    "a call": callText("echo"),
    "a call that streams": callText("speak"),
    "a call of 2026": modernText("echo"),
    "a call of 2026 that streams": modernText("speak"),
    "a handshake": requestText("POST", {}, JSON.stringify(new Peer(silent).initializeRequest())),
    "a GET": requestText("GET", { accept: "text/event-stream" }),
    "a DELETE": requestText("DELETE"),
  };
  let shared: Promise<Shore> | undefined;
  after(async () => await (await shared)?.[Symbol.asyncDispose]());
  property(
    "[STR-11, CAN-6, GATE-8] wherever the connection breaks, nothing is left, and nothing runs twice",
    fc.record({
      what: fc.constantFrom(...Object.keys(asked) as (keyof typeof asked)[]),
      /** Where in the request it breaks; past its end, in the answer. */
      at: fc.double({ min: 0, max: 1.2, noNaN: true }),
      ends: fc.boolean(),
    }),
    { everyday: 60, long: 3_000 },
    async ({ what, at, ends }) => {
      const shore = await (shared ??= Shore.open());
      shore.called.length = 0;
      const text = asked[what];
      const connection = await shore.connect();
      await connection.write(text.slice(0, Math.floor(text.length * at)));
      if (at >= 1) await connection.until(/^HTTP/);
      if (ends) connection.end();
      else connection.destroy();
      await shore.assertServes();
      await shore.assertNothingLeft();
      assert.ok(shore.called.filter((name) => name === "speak").length <= 1);
      assert.ok(shore.called.filter((name) => name === "echo").length <= 2);
      connection.destroy();
    },
  );
});
