import { describe, test } from "node:test";
import assert from "node:assert/strict";
import process from "node:process";
import {
  freePort,
  groupMember,
  groupObstacle,
  ProcessGroup,
  type ProcessListener,
} from "../../../src/adapters/process_group.ts";
import { FakeClock, flush } from "../../support/clock.ts";

/** A group whose processes do what a test says. */
function fakeGroup(count: number) {
  const clock = new FakeClock();
  const starts: { readonly index: number; readonly listener: ProcessListener }[] = [];
  const signals: string[] = [];
  const died: string[] = [];
  const group = new ProcessGroup({
    count,
    clock,
    start(index, listener) {
      starts.push({ index, listener });
      return { pid: index, signal: (name) => void signals.push(`${index} ${name}`) };
    },
    died: (index, how, delayMs) => void died.push(`${index} ${how} ${delayMs}`),
  });
  const last = (index: number) =>
    starts.findLast((start) => start.index === index)?.listener ?? assert.fail();
  const begin = async () => {
    const started = group.start();
    for (let index = 1; index <= count; index++) {
      last(index).ready();
      await flush();
    }
    await started;
  };
  return { clock, starts, signals, died, group, last, begin };
}

describe("ProcessGroup", () => {
  test("[CORE-2] starts the first process alone, then the others together", async () => {
    const { group, starts, last } = fakeGroup(3);
    const started = group.start();
    assert.deepEqual(starts.map(({ index }) => index), [1]);
    last(1).ready();
    await flush();
    assert.deepEqual(starts.map(({ index }) => index), [1, 2, 3]);
    last(3).ready();
    last(2).ready();
    await started;
  });

  test("[CORE-2] a process that can't start ends the group, with how it ended", async () => {
    for (const failing of [1, 2]) {
      const { group, last, signals, died } = fakeGroup(2);
      const started = group.start();
      const rejected = assert.rejects(started, { message: `Process ${failing}: code 1` });
      if (failing === 2) {
        last(1).ready();
        await flush();
      }
      last(failing).ended("code 1");
      await flush();
      if (failing === 2) {
        assert.deepEqual(signals, ["1 SIGTERM"]);
        last(1).ended("code 0");
      }
      await rejected;
      assert.deepEqual(died, []);
      await group.finished;
    }
  });

  test("[CORE-3] a process that dies is started again, later each time, but for one that was steady", async () => {
    const { starts, died, last, begin, clock } = fakeGroup(2);
    await begin();
    for (let times = 0; times < 9; times++) {
      last(2).ended("SIGKILL");
      const before = starts.length;
      const delay = Number(died.at(-1)?.split(" ").at(-1));
      await clock.advance(delay - 1);
      assert.equal(starts.length, before);
      await clock.advance(1);
      assert.equal(starts.length, before + 1);
      last(2).ready();
    }
    const delays = died.map((line) => Number(line.split(" ").at(-1)));
    assert.deepEqual(delays, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
    await clock.advance(60_000);
    last(2).ended("SIGKILL");
    assert.equal(died.at(-1), "2 SIGKILL 500");
    assert.equal(starts.filter(({ index }) => index === 1).length, 1);
  });

  test("[CORE-3] one that can't start any more ends the group, after a bounded number of starts", async () => {
    const { group, starts, last, begin, clock, signals } = fakeGroup(2);
    await begin();
    last(2).ended("code 1");
    for (let times = 0; times < 20 && signals.length === 0; times++) {
      await clock.advance(30_000);
      if (signals.length === 0) last(2).ended("code 1");
    }
    assert.deepEqual(signals, ["1 SIGTERM"]);
    assert.equal(starts.filter(({ index }) => index === 2).length, 6);
    last(1).ended("code 0");
    assert.deepEqual(await group.finished, ["Process 2: code 1"]);
  });

  test("[CORE-4] all are told to end, what is left is killed, and how they ended is known", async () => {
    const { group, last, begin, clock, signals } = fakeGroup(3);
    await begin();
    last(3).ended("SIGKILL"); // It waits to be started again, and is not.
    const stopped = group.stop(1_000);
    assert.deepEqual(signals, ["1 SIGTERM", "2 SIGTERM"]);
    last(1).ended("code 0");
    await clock.advance(1_000);
    assert.deepEqual(signals.slice(2), ["2 SIGKILL"]);
    last(2).ended("SIGKILL");
    await stopped;
    assert.deepEqual(await group.finished, ["Process 2: SIGKILL"]);
    await group.stop(0);
  });

  test("[CORE-4] one that is stopped while it starts fails its start", async () => {
    const { group, last } = fakeGroup(2);
    const rejected = assert.rejects(group.start(), /Process 1: SIGTERM/);
    const stopped = group.stop(1_000);
    last(1).ended("SIGTERM");
    await rejected;
    await stopped;
  });
});

describe("groupMember()", () => {
  test("[CORE-1] is known only to those that the group itself has started", () => {
    const told = { index: 2, count: 3, port: 80, data: { a: 1 } };
    const env = (parent: number) => ({ MOORING_PROCESS: JSON.stringify({ ...told, parent }) });
    assert.deepEqual(groupMember(env(process.ppid)), told);
    assert.equal(groupMember(env(process.ppid + 1)), undefined);
    assert.equal(groupMember({}), undefined);
  });
});

describe("groupObstacle()", () => {
  test("[CORE-8] says why a program can't be run again", () => {
    assert.equal(groupObstacle(), undefined);
    const { argv } = process;
    try {
      process.argv = argv.slice(0, 1);
      assert.equal(groupObstacle(), "there is no main module to run again");
    } finally {
      process.argv = argv;
    }
  });
});

describe("freePort()", () => {
  test("[CORE-2] finds a port for 0, and fails for one that another program has", async () => {
    const port = await freePort("127.0.0.1", 0);
    assert.ok(port > 0);
    const { createServer } = await import("node:net");
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
    await assert.rejects(freePort("127.0.0.1", port), { code: "EADDRINUSE" });
    await new Promise((resolve) => server.close(resolve));
  });
});
