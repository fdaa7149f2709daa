import assert from "node:assert/strict";
import process from "node:process";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type Listener, type ListenInit, run } from "../../../src/adapters/running_server.ts";
import type { McpEvent } from "../../../src/protocol/events.ts";
import type { Dispatcher } from "../../../src/protocol/exchange.ts";
import { FakeClock } from "../../support/clock.ts";
import { routing } from "../../support/routes.ts";

/** A dispatcher that knows how many endpoints it is attached to. */
function dispatcher(): Dispatcher & { attached: number } {
  return {
    attached: 0,
    route: routing(() => ({})),
    attach() {
      this.attached++;
      return () => this.attached--;
    },
  };
}

/** A runtime that only notes what is asked of it. */
function runtime(over: Partial<Listener> = {}) {
  const log: string[] = [];
  return {
    log,
    async listen(init: ListenInit): Promise<Listener> {
      log.push(`listen ${init.hostname}:${init.port}`);
      return {
        port: 4_711,
        stop: async () => void log.push("stop"),
        kill: () => void log.push("kill"),
        ...over,
      };
    },
  };
}

const quiet = { signals: false } as const;

describe("run()", () => {
  test("tells where it listens", async () => {
    const { listen, log } = runtime();
    const server = await run(listen, dispatcher(), { ...quiet, port: 0, hostname: "localhost" });
    assert.equal(server.url, "http://localhost:4711/mcp");
    assert.equal(server.port, 4_711);
    assert.equal(server.hostname, "localhost");
    assert.deepEqual(log, ["listen localhost:0"]);
    await server.close();
  });

  test("[END-1] closes the handler before the server, once", async () => {
    const { listen, log } = runtime();
    const source = dispatcher();
    const server = await run(listen, source, quiet);
    assert.equal(source.attached, 1);
    await Promise.all([server.close(), server.close(), server[Symbol.asyncDispose]()]);
    await server.finished;
    await server.close();
    assert.equal(source.attached, 0);
    assert.deepEqual(log.slice(1), ["stop"]);
  });

  test("[END-1] ends connections that don't end by themselves", async () => {
    const { listen, log } = runtime({ stop: () => new Promise(() => {}) });
    const server = await run(listen, dispatcher(), quiet);
    await server.close({ graceMs: 0 });
    assert.deepEqual(log.slice(1), ["kill"]);
  });

  test("reports a runtime that fails while it ends, and finishes all the same", async () => {
    const events: McpEvent[] = [];
    const error = new Error("no");
    const { listen } = runtime({ stop: () => Promise.reject(error) });
    const server = await run(listen, dispatcher(), {
      ...quiet,
      onEvent: (event) => events.push(event),
    });
    await server.close();
    assert.deepEqual(events.at(-1), { type: "error", during: "serving", error });
  });

  test("a runtime that can't listen rejects, and nothing is left behind", async () => {
    const source = dispatcher();
    const error = new Error("taken");
    const before = process.listenerCount("SIGTERM");
    await assert.rejects(run(() => Promise.reject(error), source, {}), { cause: error });
    assert.equal(source.attached, 0);
    assert.equal(process.listenerCount("SIGTERM"), before);
  });

  test("[CMD-4] an address that can't be listened at is explained, with the runtime's code", async () => {
    const address = { hostname: "192.0.2.1", port: 80 };
    const EXPLAINED: readonly (readonly [string | undefined, string])[] = [
      ["EADDRINUSE", 'Port 80 is in use: choose another with "port", or 0 for any free one'],
      ["EACCES", 'Port 80 needs more rights: choose one above 1023 with "port"'],
      [
        "EADDRNOTAVAIL",
        'Address 192.0.2.1 isn\'t one of this machine: choose another with "hostname"',
      ],
      [
        "EOTHER",
        'Choose another address with "hostname" or "port": 192.0.2.1:80: system words',
      ],
      [
        undefined,
        'Choose another address with "hostname" or "port": 192.0.2.1:80: system words',
      ],
    ];
    for (const [code, message] of EXPLAINED) {
      const cause = Object.assign(new Error("system words"), code !== undefined && { code });
      const listen = () => Promise.reject(cause);
      const error = await run(listen, dispatcher(), address).catch((error) => error);
      assert.equal(error.message, message);
      // What the sentence says needs neither a stack nor a cause.
      const explained = code !== undefined && code !== "EOTHER";
      assert.equal(error.cause, explained ? undefined : cause);
      assert.equal(error.stack === `Error: ${message}`, explained);
      if (code !== undefined) await assert.rejects(run(listen, dispatcher(), address), { code });
    }
  });

  test("rejects what is out of range without listening", async () => {
    const { listen, log } = runtime();
    await assert.rejects(run(listen, dispatcher(), { port: -1 }), RangeError);
    assert.deepEqual(log, []);
  });

  test("a grace that is out of range closes nothing", async () => {
    const { listen, log } = runtime();
    const server = await run(listen, dispatcher(), quiet);
    await assert.rejects(server.close({ graceMs: -1 }), RangeError);
    assert.deepEqual(log.length, 1);
    await server.close();
  });
});

describe("run(): signals", () => {
  const SIGNALS = ["SIGINT", "SIGTERM"] as const;
  let others: { name: (typeof SIGNALS)[number]; listeners: NodeJS.SignalsListener[] }[] = [];

  // Where one process runs all tests, other modules may listen too, and end it.
  beforeEach(() => {
    others = SIGNALS.map((name) => ({ name, listeners: process.listeners(name) }));
    for (const { name } of others) process.removeAllListeners(name);
  });
  afterEach(() => {
    for (const { name, listeners } of others) {
      for (const listener of listeners) process.on(name, listener);
    }
  });

  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`[END-1] ${signal} closes the server, and signals mean again what they did`, async () => {
      const before = [process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")];
      const { listen, log } = runtime();
      const clock = new FakeClock();
      const server = await run(listen, dispatcher(), { clock });
      const count = () => [process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")];
      assert.deepEqual(count(), before.map((each) => each + 1));
      process.emit(signal, signal);
      await server.finished;
      // The same signal, forwarded by a parent
      process.emit(signal, signal);
      await clock.advance(499);
      assert.deepEqual(count(), before.map((each) => each + 1));
      await clock.advance(1);
      assert.deepEqual(count(), before);
      assert.deepEqual(log.slice(1), ["stop"]);
    });
  }

  test("close() takes the listeners away; signals: false sets none", async () => {
    const before = process.listenerCount("SIGTERM");
    const { listen } = runtime();
    const silent = await run(listen, dispatcher(), quiet);
    assert.equal(process.listenerCount("SIGTERM"), before);
    const server = await run(listen, dispatcher(), {});
    assert.equal(process.listenerCount("SIGTERM"), before + 1);
    await server.close();
    assert.equal(process.listenerCount("SIGTERM"), before);
    await silent.close();
  });
});
