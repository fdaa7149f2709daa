import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { z } from "zod";
import { createMcpHandler, McpServer, ToolError } from "../../../mod.ts";
import { ErrorLog } from "../../../src/adapters/error_log.ts";
import { type Listener, type ListenInit, run } from "../../../src/adapters/running_server.ts";
import { serveStdio } from "../../../src/adapters/stdio.ts";
import { mcpWorker } from "../../../src/adapters/workers.ts";
import { connect } from "../../../src/testing/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { Objects } from "../../support/worker_objects.ts";

/** Keeps what is written to stderr while a function runs. */
async function stderrDuring(work: () => Promise<void>): Promise<string> {
  const original = console.error;
  const lines: string[] = [];
  console.error = (...parts: unknown[]) => void lines.push(parts.map(String).join(" "));
  try {
    await work();
  } finally {
    console.error = original;
  }
  return lines.join("\n");
}

function brokenServer(): McpServer {
  const server = new McpServer({ name: "test", version: "1.0.0" });
  server.registerTool("throws", {}, () => {
    throw new Error("The database is away", { cause: new TypeError("No route") });
  });
  server.registerTool("returns", {}, () => 7 as never);
  server.registerTool(
    "differs",
    { outputSchema: z.object({ sum: z.number() }) },
    () => ({ structuredContent: { sum: "two" as never } }),
  );
  server.registerTool("tells", {}, () => {
    throw new ToolError("Give a city");
  });
  server.registerResource("page", "demo://page", {}, () => {
    throw new Error("No such file");
  });
  return server;
}

async function listen(_init: ListenInit): Promise<Listener> {
  return { port: 1, stop: async () => {}, kill() {} };
}

async function callAll(handler: (request: Request) => Promise<Response>, ...versions: string[]) {
  for (const protocolVersion of versions) {
    await using client = await connect(handler, { protocolVersion });
    for (const name of ["throws", "returns", "differs", "tells"]) {
      await client.callTool(name).catch(() => {});
    }
    await client.readResource("demo://page").catch(() => {});
  }
}

/** What must be seen of the failures of {@linkcode brokenServer}. */
function assertSeen(text: string): void {
  assert.match(text, /^\[mooring\] tools\/call throws: Error: The database is away\n {4}at /m);
  assert.match(text, /\n {2}Caused by TypeError: No route\n {4}at /);
  assert.match(text, /error_log\.test/, "the stack names the author's file");
  assert.match(text, /tools\/call returns: TypeError: Return a result, a string, or content/);
  assert.match(text, /tools\/call differs: TypeError: Fix "sum"/);
  assert.match(text, /resources\/read page: Error: No such file/);
  assert.doesNotMatch(text, /Give a city/, "the model is told of it, so nobody else needs to be");
}

describe("errors that clients aren't told", () => {
  test("[AUT-1] serve() writes them to stderr", async () => {
    const text = await stderrDuring(async () => {
      await using running = await run(listen, brokenServer(), { signals: false });
      await callAll((request) => running.handler(request), "2025-11-25");
    });
    assertSeen(text);
  });

  test("[AUT-1] onEvent or log: false turns it off, and log: true on again", async () => {
    for (
      const [options, written] of [
        [{ onEvent() {} }, false],
        [{ log: false }, false],
        [{ log: true, onEvent() {} }, true],
      ] as const
    ) {
      const text = await stderrDuring(async () => {
        await using running = await run(listen, brokenServer(), { signals: false, ...options });
        await callAll((request) => running.handler(request), "2025-11-25");
      });
      assert.equal(text !== "", written);
    }
    await assert.rejects(run(listen, brokenServer(), { log: "no" as never }), /boolean as "log"/);
  });

  test("[AUT-1] the bare handler stays silent", async () => {
    const text = await stderrDuring(async () => {
      await using handler = createMcpHandler(brokenServer());
      await callAll(handler, "2025-11-25", "2026-07-28");
    });
    assert.equal(text, "");
  });

  test("[AUT-1] serveStdio() writes them to stderr", async () => {
    const text = await stderrDuring(async () => {
      const toServer = new TransformStream<Uint8Array, Uint8Array>();
      const toClient = new TransformStream<Uint8Array, Uint8Array>();
      await using _server = serveStdio(brokenServer(), {
        input: toServer.readable,
        output: toClient.writable,
      });
      const writer = toServer.writable.getWriter();
      const reader = toClient.readable.getReader();
      const send = async (message: object) => {
        const line = `${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`;
        await writer.write(new TextEncoder().encode(line));
      };
      const params = {
        protocolVersion: "2025-11-25",
        capabilities: {},
        clientInfo: { name: "test", version: "1.0.0" },
      };
      await send({ id: 1, method: "initialize", params });
      await reader.read();
      await send({ method: "notifications/initialized" });
      await send({ id: 2, method: "tools/call", params: { name: "throws" } });
      await reader.read();
      reader.releaseLock();
      void toClient.readable.cancel();
    });
    assert.match(text, /tools\/call throws: Error: The database is away\n {4}at /);
  });

  test("[AUT-1] a Worker writes them to stderr", async () => {
    const text = await stderrDuring(async () => {
      const worker = mcpWorker(brokenServer(), { sessions: false });
      await callAll((request) => worker.fetch(request, {}), "2026-07-28");
    });
    assertSeen(text);
    const silent = await stderrDuring(async () => {
      const worker = mcpWorker(brokenServer(), { sessions: false, log: false });
      await callAll((request) => worker.fetch(request, {}), "2026-07-28");
    });
    assert.equal(silent, "");
  });

  test("[AUT-1] the object of a Worker's 2025 session writes them too, unless it may not", async () => {
    const requests = { stateKeys: ["a key of at least 32 bytes for tests"] };
    for (const log of [undefined, false]) {
      const text = await stderrDuring(async () => {
        const worker = mcpWorker(brokenServer(), { requests, log });
        const objects = new Objects(worker);
        await callAll((request) => worker.fetch(request, objects.env), "2025-11-25");
        objects.close();
      });
      if (log === false) assert.equal(text, "");
      else assertSeen(text);
    }
  });

  test("[AUT-1] an authenticate that throws is written", async () => {
    const text = await stderrDuring(async () => {
      await using running = await run(listen, brokenServer(), {
        signals: false,
        authenticate: () => {
          throw new Error("No keys");
        },
      });
      await connect((request) => running.handler(request)).catch(() => {});
    });
    assert.match(text, /authenticat.*: Error: No keys/);
  });
});

describe("ErrorLog", () => {
  const failure = (message: string) => {
    return { type: "error", during: "tools/call t", error: new Error(message) } as const;
  };

  test("[AUT-2] a failure that repeats is written once a minute, with its count", async () => {
    const clock = new FakeClock();
    const entries: string[] = [];
    const log = new ErrorLog({ clock, write: (entry) => entries.push(entry) });
    for (let at = 0; at < 1_000; at++) log.report(failure("boom"));
    assert.equal(entries.length, 2);
    assert.match(entries[0] ?? "", /^\[mooring\] tools\/call t: Error: boom\n {4}at /);
    assert.match(entries[1] ?? "", /^\[mooring\] tools\/call t: Error: boom \(again/);
    await clock.advance(60_000);
    log.report(failure("boom"));
    assert.match(
      entries[2] ?? "",
      /^\[mooring\] tools\/call t: Error: boom \(1001 times so far\)\n/,
    );
    log.report(failure("boom"));
    log.end();
    assert.match(entries[3] ?? "", /boom \(1002 times in all\)$/);
    assert.equal(entries.length, 4);
  });

  test("[AUT-2] different failures have a bound too", async () => {
    const clock = new FakeClock();
    const entries: string[] = [];
    const log = new ErrorLog({ clock, write: (entry) => entries.push(entry) });
    for (let at = 0; at < 1_000; at++) log.report(failure(`boom ${at}`));
    assert.equal(entries.length, 50);
    await clock.advance(60_000);
    log.report(failure("another"));
    assert.match(
      entries[50] ?? "",
      /^\[mooring\] 950 other failures in a minute were not written$/,
    );
    assert.match(entries[51] ?? "", /another/);
  });

  test("[AUT-2] an entry has a bound, and no characters that control a terminal", () => {
    const entries: string[] = [];
    const log = new ErrorLog({ write: (entry) => entries.push(entry) });
    log.report(failure(`\u001b[2J${"x".repeat(100_000)}`));
    assert.ok((entries[0] ?? "").length < 8_100);
    assert.ok(!entries[0]?.includes("\u001b"));
    const hostile = {
      get message(): string {
        throw new Error("no");
      },
      toString: () => {
        throw 1;
      },
    };
    log.report({ type: "error", during: "t", error: hostile });
    assert.equal(entries.length, 2);
    const closed = new ErrorLog({
      write: () => {
        throw new Error("EPIPE");
      },
    });
    closed.report(failure("boom"));
  });
});
