import assert from "node:assert/strict";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { McpError } from "../../src/protocol/errors.ts";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { FakeClock } from "../support/clock.ts";
import { badChild, childrenOf, isAlive } from "./children.ts";
import { Session, textOf } from "./session.ts";

const before = childrenOf(process.pid).length;

after(async () => {
  const end = Date.now() + 5000;
  // The reaper ends a moment after the last child.
  while (childrenOf(process.pid).length > before && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const left = childrenOf(process.pid);
  assert.equal(left.length, before, `Processes were left behind:\n${left.join("\n")}`);
});

function isUpstream(kind: string): (error: unknown) => boolean {
  return (error) => error instanceof UpstreamError && error.kind === kind;
}

test("[GTW-7] arguments are handed over as they are, and no shell sees them", async () => {
  const odd = ["$(touch /tmp/never)", "a b", "; exit 1", "`id`", "*", '"', "'"];
  await using session = await Session.open(badChild(odd));
  assert.equal(textOf(await session.call("echo", { a: 1 })), '{"a":1}');
});

test("[GTW-7] a child sees the allowed environment and what it was given, nothing else", async () => {
  process.env.MOORING_TEST_SECRET = "hush";
  try {
    await using session = await Session.open(badChild([], { env: { GIVEN: "yes" } }));
    const env = JSON.parse(textOf(await session.call("env")));
    assert.equal(env.GIVEN, "yes");
    assert.equal(env.PATH, process.env.PATH);
    assert.ok(!("MOORING_TEST_SECRET" in env));
  } finally {
    delete process.env.MOORING_TEST_SECRET;
  }
});

test("[GTW-7] a child runs in the folder that it is given", async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "mooring-")));
  try {
    await using session = await Session.open(badChild([], { cwd: folder }));
    assert.equal(JSON.parse(textOf(await session.call("cwd"))), folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("[GTW-7] two sessions have a child each", async () => {
  const upstream = badChild(["parent"]);
  await using first = await Session.open(upstream);
  await using second = await Session.open(upstream);
  const pids = [first, second].map(({ recorder }) => recorder);
  for (const each of pids) await each.until(() => each.output.length > 0, "the grandchild's id");
  assert.notEqual(pids[0]?.output[0], pids[1]?.output[0]);
});

test("[GTW-4] a program that isn't there, or exits at once, is told of by the kind", async () => {
  const missing = stdio({ command: "/nowhere/mooring-missing", args: ["--key=hush"] });
  await assert.rejects(Session.open(missing), (error) => {
    assert.ok(isUpstream("refused")(error));
    assert.doesNotMatch(String(error), /hush/);
    return true;
  });
  await assert.rejects(Session.open(badChild(["crash"])), isUpstream("closed"));
  await assert.rejects(Session.open(badChild([], { cwd: "/nowhere" })), isUpstream("refused"));
});

test("[GTW-4] a child of no version that is known is refused", async () => {
  await assert.rejects(Session.open(badChild(["odd-version"])), isUpstream("protocol"));
});

test("[GTW-10] a child that is silent about the newer era is greeted in the older", async () => {
  const upstream = badChild(["silent"], {
    versions: ["2026-07-28", "2025-11-25"],
    probeTimeoutMs: 50,
  });
  await using session = await Session.open(upstream);
  assert.equal(session.session.facts.protocolVersion, "2025-11-25");
});

test("[GTW-4] opening is given up when the signal aborts, and leaves nothing", async () => {
  const stop = new AbortController();
  const opening = Session.open(badChild(["hang"], { closeMs: 500 }), { signal: stop.signal });
  setTimeout(() => stop.abort(new Error("Not wanted any more")), 300);
  await assert.rejects(opening, /Not wanted any more/);
  await assert.rejects(
    Session.open(badChild(), { signal: AbortSignal.abort(new Error("Never wanted")) }),
    /Never wanted/,
  );
});

test("[GTW-8] what nobody here knows passes through unchanged", async () => {
  await using session = await Session.open(badChild());
  const { serverInfo, capabilities, instructions } = session.session.facts;
  assert.deepEqual(serverInfo, { name: "bad-child", version: "1.0.0", own: "kept" });
  assert.deepEqual(capabilities.experimental, { own: { kept: true } });
  assert.equal(instructions, "Behave");
  const result = await session.call("params", { deep: [1, { x: null }] }, { own: "kept" });
  assert.deepEqual(result.unknownField, { kept: true });
  assert.deepEqual(JSON.parse(textOf(result)), {
    name: "params",
    arguments: { deep: [1, { x: null }] },
    _meta: { own: "kept" },
  });
  await assert.rejects(session.call("fail"), (error) => {
    assert.ok(error instanceof McpError);
    const { code, message, data } = error;
    assert.deepEqual({ code, message, data }, {
      code: -32123,
      message: "Own error",
      data: { own: 1 },
    });
    return true;
  });
});

test("[GTW-8] two calls with one progress token get each their own progress, under that token", async () => {
  await using session = await Session.open(badChild());
  const seen: unknown[][] = [[], []];
  await Promise.all(seen.map((own) =>
    session.call("progress", {}, { progressToken: "same" }, {
      notify: ({ params }) => own.push([params?.progressToken, params?.progress, params?.own]),
    })
  ));
  const expected = [1, 2, 3].map((progress) => ["same", progress, "kept"]);
  assert.deepEqual(seen, [expected, expected]);
});

test("[GTW-8] an aborted call rejects at once, and the child is told", async () => {
  await using session = await Session.open(badChild());
  const stop = new AbortController();
  const call = session.call("hang", {}, undefined, { signal: stop.signal });
  stop.abort(new Error("Changed my mind"));
  await assert.rejects(call, /Changed my mind/);
  assert.equal(JSON.parse(textOf(await session.call("cancelled"))).length, 1);
});

test("[GTW-8] a question in the only call that runs belongs to it, and is answered", async () => {
  await using session = await Session.open(badChild(["answer-asks"]));
  session.recorder.answer = () => ({ roots: [{ uri: "file:///work" }] });
  const stop = new AbortController();
  const asked: string[] = [];
  const call = session.call("ask", { own: "kept" }, undefined, {
    signal: stop.signal,
    ask: (method, params) => {
      asked.push(`${method} ${JSON.stringify(params)}`);
      return Promise.reject(new McpError(-32042, "Not now", { why: "busy" }));
    },
  });
  await session.recorder.until(() => session.recorder.notifications.length > 0, "the answer");
  assert.deepEqual(asked, ['roots/list {"own":"kept"}']);
  const { data } = session.recorder.notifications[0]?.params as { data: { error: unknown } };
  assert.deepEqual(data.error, { code: -32042, message: "Not now", data: { why: "busy" } });
  stop.abort();
  await assert.rejects(call);
});

test("[GTW-8] a question that is taken back is let go of and not answered", async () => {
  await using session = await Session.open(badChild());
  let aborted = false;
  session.recorder.answer = ({ signal }) =>
    new Promise((_, reject) =>
      signal?.addEventListener("abort", () => {
        aborted = true;
        reject(signal.reason);
      })
    );
  const busy = session.call("hang").catch(() => {});
  await session.call("takeBack");
  assert.ok(aborted);
  assert.deepEqual(JSON.parse(textOf(await session.call("answers"))), []);
  await session.session.close();
  await busy;
});

test("[GTW-7] more questions at a time than allowed are answered with an error", async () => {
  await using session = await Session.open(badChild());
  const release = Promise.withResolvers<void>();
  session.recorder.answer = () => release.promise.then(() => ({ roots: [] }));
  await session.call("questions", { count: 150 });
  const answered = async () => JSON.parse(textOf(await session.call("answers"))) as unknown[];
  const early = await answered();
  assert.equal(early.length, 50);
  assert.match(JSON.stringify(early[0]), /Ask again when other questions are answered/);
  release.resolve();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal((await answered()).length, 150);
});

test("[GTW-7] garbage between the messages is reported and harms nothing", async () => {
  await using session = await Session.open(badChild());
  assert.equal(textOf(await session.call("garbage")), '"after the garbage"');
  assert.ok(session.recorder.output.includes("this is no JSON"));
  assert.equal(textOf(await session.call("echo", { still: "here" })), '{"still":"here"}');
});

test("[GTW-7] answers to what wasn't asked are ignored", async () => {
  await using session = await Session.open(badChild());
  assert.equal(textOf(await session.call("lies")), '"the truth"');
  assert.equal(textOf(await session.call("twice")), '"first"');
  assert.equal(textOf(await session.call("echo", { a: 1 })), '{"a":1}');
});

test("[GTW-7] a message just below 16 MiB arrives, a line beyond ends the session", async () => {
  const session = await Session.open(badChild());
  const bytes = 16 * 1024 * 1024 - 1000;
  assert.equal(textOf(await session.call("long", { bytes })).length, bytes + 2);
  const other = assert.rejects(session.call("hang"), isUpstream("protocol"));
  await assert.rejects(session.call("longLine"), isUpstream("protocol"));
  await other;
  assert.equal(session.recorder.ends.length, 1);
  await assert.rejects(session.call("echo"), isUpstream("protocol"));
  await session.session.close();
});

test("[GTW-7] a flood of notifications arrives in order, before the answer", async () => {
  await using session = await Session.open(badChild());
  const seen: unknown[] = [];
  await session.call("flood", { count: 20_000 }, undefined, {
    notify: ({ params }) => seen.push(params?.data),
  });
  assert.equal(seen.length, 20_000);
  assert.ok(seen.every((data, i) => data === i));
});

test("[GTW-7] stderr is reported, bounded in the length of its lines and in their number", async () => {
  const clock = new FakeClock();
  await using session = await Session.open(badChild(), { clock });
  await session.call("stderr", { count: 1, length: 100_000 });
  await session.recorder.until(() => session.recorder.output.length > 0, "the line");
  assert.equal(session.recorder.output[0]?.length, 4096);
  await session.call("stderr", { count: 5000 });
  await session.recorder.until(() => session.recorder.output.length >= 100, "the lines");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(session.recorder.output.length, 100);
  await clock.advance(1000);
  await session.call("stderr", { count: 1 });
  await session.recorder.until(() => session.recorder.output.length > 101, "the count");
  assert.equal(session.recorder.output[100], "… and 4901 lines more");
});

for (const [how, detail] of [["exit", /exited with 3/], ["abort", /SIGKILL/]] as const) {
  test(`[GTW-7] a child that is gone in the middle of a call (${how}) ends the session`, async () => {
    const session = await Session.open(badChild());
    const other = assert.rejects(session.call("hang"), isUpstream("closed"));
    await assert.rejects(session.call(how), (error) => {
      assert.ok(isUpstream("closed")(error));
      assert.match(String(error), detail);
      return true;
    });
    await other;
    assert.equal(session.recorder.ends.length, 1);
    await assert.rejects(session.call("echo"), isUpstream("closed"));
    await session.session.close();
    assert.equal(session.recorder.ends.length, 1);
  });
}

test("[GTW-7] calls fail when the child doesn't read, and memory stays bounded", async () => {
  await using session = await Session.open(badChild(["deaf"], {
    maxQueueBytes: 1_000_000,
    closeMs: 50,
  }));
  await session.call("stopReading");
  const blob = "z".repeat(100_000);
  const calls = Array.from({ length: 50 }, () => session.call("echo", { blob }));
  const settled = Promise.allSettled(calls);
  await assert.rejects(Promise.any([...calls.slice(20)]), (error) => {
    assert.ok(error instanceof AggregateError);
    assert.match(String(error.errors[0]), /the upstream doesn't read/);
    return true;
  });
  await session.session.close();
  await settled;
});

test("[GTW-7] closing settles every call, and `ended` isn't called", async () => {
  const session = await Session.open(badChild());
  const calls = [1, 2, 3].map(() => assert.rejects(session.call("hang"), isUpstream("closed")));
  await Promise.all([session.session.close(), session.session.close(), ...calls]);
  assert.deepEqual(session.recorder.ends, []);
});

/** The ids of a child and of its own child, which it has told. */
async function idsOf({ recorder }: Session): Promise<{ child: number; grandchild: number }> {
  const find = (what: string) => {
    const line = recorder.output.find((each) => each.startsWith(`${what} `));
    return line === undefined ? 0 : Number(line.split(" ")[1]);
  };
  await recorder.until(() => find("child") > 0 && find("grandchild") > 0, "the ids");
  return { child: find("child"), grandchild: find("grandchild") };
}

test("[GTW-7] a child that ignores everything is killed, after its whole group was told to end", async () => {
  const session = await Session.open(badChild(["deaf", "parent", "tell-pid"], { closeMs: 500 }));
  const { child, grandchild } = await idsOf(session);
  assert.ok(isAlive(child) && isAlive(grandchild));
  const closing = session.session.close();
  await session.recorder.until(() => !isAlive(grandchild), "the end of the grandchild");
  assert.ok(isAlive(child));
  await closing;
  await session.recorder.until(() => !isAlive(child), "the end of the child", 1000);
});

test("[GTW-7] what a child leaves behind when it ends by itself is killed", async () => {
  const session = await Session.open(badChild(["parent", "tell-pid"]));
  const { grandchild } = await idsOf(session);
  await assert.rejects(session.call("exit"), isUpstream("closed"));
  await session.recorder.until(() => !isAlive(grandchild), "the end of the grandchild", 2000);
  await session.session.close();
});

test("[GTW-4] options are checked when the upstream is made, and its identity is sealed", () => {
  const wrong: [unknown, RegExp][] = [
    [{}, /"command"/],
    [{ command: "" }, /"command"/],
    [{ command: "a\0b" }, /"command"/],
    [{ command: "a", args: [1] }, /"args"/],
    [{ command: "a", env: { "A=B": "c" } }, /"env"/],
    [{ command: "a", env: { A: 1 } }, /"env"/],
    [{ command: "a", cwd: "" }, /"cwd"/],
    [{ command: "a", timeoutMs: 0 }, /"timeoutMs"/],
    [{ command: "a", timeoutMs: 2 ** 31 }, /"timeoutMs"/],
    [{ command: "a", closeMs: -1 }, /"closeMs"/],
    [{ command: "a", maxQueueBytes: 0.5 }, /"maxQueueBytes"/],
    [{ command: "a", versions: [] }, /"versions"/],
    [{ command: "a", versions: ["2024-01-01"] }, /"versions"/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => stdio(options as Parameters<typeof stdio>[0]), message);
  }
  const env: Record<string, string> = { A: "1" };
  const upstream = stdio({ command: "a", env });
  const { identity } = upstream;
  env.A = "2";
  assert.equal(upstream.identity, identity);
  assert.equal(stdio({ command: "a", env: { A: "1" } }).identity, identity);
  assert.notEqual(stdio({ command: "a", env }).identity, identity);
  assert.notEqual(stdio({ command: "a", args: [""], env: { A: "1" } }).identity, identity);
});
