import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import type { RedisConnection } from "../../src/redis/clients/connection.ts";
import { RedisCommands } from "../../src/redis/clients/commands.ts";
import { script } from "../../src/redis/scripts/script.ts";
import { WriteQueue } from "../../src/redis/events/write_queue.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { flush } from "../support/clock.ts";

/** A connection whose answers the test gives. */
class FakeConnection implements RedisConnection {
  ready = true;
  readonly sent: string[] = [];
  readonly answers: ((reply: unknown) => void)[] = [];
  readonly failures: ((error: Error) => void)[] = [];
  #becameReady = () => {};

  send(args: readonly string[]): Promise<unknown> {
    this.sent.push(args.join(" "));
    return new Promise((resolve, reject) => {
      this.answers.push(resolve);
      this.failures.push(reject);
    });
  }

  onReady(listener: () => void): void {
    this.#becameReady = listener;
  }

  subscriber(): never {
    throw new Error("not here");
  }

  /** The connection is there. */
  connect(): void {
    this.ready = true;
    this.#becameReady();
  }
}

/** A test with real waits: the library's own timers don't keep a process alive. */
function awake(run: () => Promise<void>): () => Promise<void> {
  return async () => {
    const timer = setInterval(() => {}, 1_000);
    try {
      await run();
    } finally {
      clearInterval(timer);
    }
  };
}

describe("Commands", () => {
  test(
    "[CLU-8] what can't go out waits, goes out in order, and never once its time is over",
    awake(async () => {
      const connection = new FakeConnection();
      const commands = new RedisCommands(connection, 50);
      connection.ready = false;
      await assert.rejects(commands.send("LATE"), /not answered within 50 ms/);
      const waiting = [commands.send("A"), commands.send("B")];
      assert.deepEqual(connection.sent, []);
      connection.connect();
      const last = commands.send("C");
      assert.deepEqual(connection.sent, ["A", "B", "C"]);
      for (const answer of connection.answers) answer("OK");
      assert.deepEqual(await Promise.all([...waiting, last]), ["OK", "OK", "OK"]);
    }),
  );

  test(
    "[CLU-8] a script is sent whole when Redis doesn't have it, but not when it is too late",
    awake(async () => {
      const connection = new FakeConnection();
      const commands = new RedisCommands(connection, 50);
      const { sha, text } = script("return 1");
      const reply = commands.run(script("return 1"), ["k"], ["a"]);
      connection.failures[0]?.(new Error("NOSCRIPT No matching script"));
      await flush();
      assert.deepEqual(connection.sent, [`EVALSHA ${sha} 1 k a`, `EVAL ${text} 1 k a`]);
      connection.answers[1]?.(1);
      assert.equal(await reply, 1);
      await assert.rejects(commands.run(script("return 1"), [], []), /not answered/);
      connection.failures[2]?.(new Error("NOSCRIPT No matching script"));
      await flush();
      assert.equal(connection.sent.length, 3);
    }),
  );

  test(
    "[CLU-8] a bounded number of commands is under way, those included that nobody waits for",
    awake(async () => {
      const connection = new FakeConnection();
      const commands = new RedisCommands(connection, 50);
      const calls = Array.from({ length: 20_000 }, () => commands.send("PING"));
      await assert.rejects(commands.send("PING"), /too slow/);
      await Promise.allSettled(calls);
      await assert.rejects(commands.send("PING"), /too slow/);
      for (const answer of connection.answers) answer("PONG");
      await flush();
      const next = commands.send("PING");
      connection.answers.at(-1)?.("PONG");
      assert.equal(await next, "PONG");
    }),
  );
});

describe("WriteQueue", () => {
  function line(timeoutMs = 1_000) {
    const batches: (readonly string[])[] = [];
    const answers: ((numbers: number[]) => void)[] = [];
    let idle = 0;
    const commands = new RedisCommands(new FakeConnection(), timeoutMs);
    const write = (args: readonly string[]) => {
      batches.push(args);
      return new Promise<number[]>((resolve) => answers.push(resolve));
    };
    return {
      batches,
      answers,
      idle: () => idle,
      line: new WriteQueue(commands, write, () => idle++),
    };
  }

  test(
    "[CLU-8] one batch is on its way at a time; what comes meanwhile goes together",
    awake(async () => {
      const { batches, answers, idle, line: writes } = line();
      const numbers = ["x", "y", "z"].map((data) => writes.add("a", "s", data));
      assert.deepEqual(batches, [["a", "s", "x"]]);
      answers[0]?.([1]);
      await flush();
      assert.deepEqual(batches[1], ["a", "s", "y", "a", "s", "z"]);
      assert.equal(idle(), 0);
      answers[1]?.([2, 3]);
      assert.deepEqual(await Promise.all(numbers), [1, 2, 3]);
      await flush();
      assert.equal(idle(), 1);
    }),
  );

  test(
    "[END-1, ROL-2] written() waits for what is on its way and for what waits behind it",
    awake(async () => {
      const { answers, line: writes } = line();
      await writes.written();
      const numbers = ["x", "y"].map((data) => writes.add("r", "s", data));
      let done = false;
      const written = writes.written().then(() => void (done = true));
      answers[0]?.([1]);
      await flush();
      assert.equal(done, false);
      answers[1]?.([2]);
      await written;
      assert.deepEqual(await Promise.all(numbers), [1, 2]);
    }),
  );

  test(
    "[CLU-8] what waits too long fails and is not written",
    awake(async () => {
      const { batches, answers, line: writes } = line(50);
      const first = writes.add("a", "s", "x");
      const late = writes.add("a", "s", "late");
      await Promise.all([first, late].map((write) => assert.rejects(write, /not answered/)));
      answers[0]?.([1]);
      await sleep(0);
      assert.equal(batches.length, 1);
    }),
  );

  test(
    "[CLU-8] a bounded number of events waits",
    awake(async () => {
      const { answers, line: writes } = line(50);
      const calls = Array.from({ length: 4_097 }, () => writes.add("a", "s", "x"));
      await assert.rejects(writes.add("a", "s", "x"), /too slow/);
      await Promise.allSettled(calls);
      answers[0]?.([1]);
    }),
  );
});

describe("redisStore()", () => {
  const client = { isReady: false, sendCommand: () => Promise.resolve(), on() {} };
  const duplicate = () => {
    throw new Error("not here");
  };

  test("refuses what can't be right", () => {
    const options = { client: { ...client, duplicate } };
    assert.throws(() => redisStore({ ...options, prefix: "" }), RangeError);
    assert.throws(() => redisStore({ ...options, prefix: "{a}" }), RangeError);
    assert.throws(() => redisStore({ ...options, timeoutMs: 0 }), RangeError);
    // @ts-expect-error: not a client
    assert.throws(() => redisStore({ client: {} }), TypeError);
    const { isReady: _, ...rest } = { ...client, duplicate, status: "ready" };
    const call = () => Promise.resolve();
    const renaming = { ...rest, call, connect: call, options: { keyPrefix: "x:" } };
    assert.throws(() => redisStore({ client: renaming }), /keyPrefix/);
  });
});
