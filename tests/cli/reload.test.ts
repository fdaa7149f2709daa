/**
 * Changes of the configuration file while the server runs.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { changesBetween, Reloader, type ReloaderInit } from "../../src/cli/serve/reload.ts";
import { systemClock } from "../../src/internal/clock.ts";
import { counter, type Program, reach, serving, textOf, withConfig } from "./program.ts";

const alone = (url: string, name: string): string => new URL(`/servers/${name}`, url).href;

/** Waits until the log has an event for the nth time. */
function nth(program: Program, event: string, times: number): Promise<RegExpExecArray> {
  return program.until(new RegExp(`(?:"event":"${event}"[^]*?){${times}}`));
}

test("[GTW-11] a changed file changes what is served, and other sessions don't notice", () => {
  const first = { keep: counter("keep"), change: counter("old"), drop: counter("drop") };
  return withConfig(
    { mcpServers: first },
    (file, write) =>
      serving(["--config", file], async (program, url) => {
        await using all = await reach(url);
        await using keep = await reach(alone(url, "keep"));
        await using drop = await reach(alone(url, "drop"));
        assert.equal(await textOf(all, "keep__count"), "1");
        assert.equal(await textOf(all, "change__count"), "1");
        assert.equal(await textOf(all, "drop__count"), "1");
        assert.equal(await textOf(keep, "count"), "1");
        assert.equal(await textOf(drop, "count"), "1");
        const session = drop.sessionId ?? "";

        const { keep: kept } = first;
        const changed = counter("new");
        await write({ mcpServers: { keep: kept, change: changed, add: counter("add") } });
        const [line] = await program.until(/.*"event":"reloaded".*/);
        const { set, removed } = JSON.parse(line);
        assert.deepEqual([set, removed], [["change", "add"], ["drop"]]);

        assert.equal(await textOf(all, "keep__count"), "2");
        assert.equal(await textOf(keep, "count"), "2");
        assert.equal(await textOf(all, "change__count"), "1");
        assert.equal(await textOf(all, "add__count"), "1");
        const names = (await all.listTools()).map(({ name }) => name);
        assert.ok(!names.some((name) => name.startsWith("drop")));
        await assert.rejects(textOf(drop, "count"));
        await using add = await reach(alone(url, "add"));
        assert.equal(await textOf(add, "count"), "1");

        // Coming back, it is another one: nothing of its earlier sessions is left.
        await write({ mcpServers: { keep: kept, change: changed, drop: counter("drop") } });
        await program.until(/"event":"reloaded","set":\["drop"\]/);
        const response = await fetch(alone(url, "drop"), {
          method: "POST",
          headers: { "content-type": "application/json", "mcp-session-id": session },
          body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
        });
        assert.equal(response.status, 404);
        await response.body?.cancel();
        await using again = await reach(alone(url, "drop"));
        assert.equal(await textOf(again, "count"), "1");
      }),
  );
});

test("[GTW-11] a file that is wrong is reported, and what was in force stays so", () =>
  withConfig(
    { mcpServers: { one: counter("one") } },
    (file, write) =>
      serving(["--config", file], async (program, url) => {
        await using client = await reach(url);
        assert.equal(await textOf(client, "one__count"), "1");
        await write('{"mcpServers": {} "port": 1}');
        await program.until(/"reload-failed".*mooring\.json:1:19: Put a /);
        await write({ mcpServers: { one: { command: "x", evn: { A: "s3cret-value" } } } });
        await program.until(/"reload-failed".*one\.evn: Unknown key/);
        assert.doesNotMatch(program.err, /s3cret/);
        assert.equal(await textOf(client, "one__count"), "2");
        await write({ mcpServers: { one: counter("one"), two: counter("two") } });
        await program.until(/"event":"reloaded","set":\["two"\]/);
        assert.equal(await textOf(client, "one__count"), "3");
        assert.equal(await textOf(client, "two__count"), "1");
      }),
  ));

test("what shows only after a restart is named, and SIGHUP reads the file again", () =>
  withConfig(
    { mcpServers: { one: counter("one") } },
    (file, write) =>
      serving(["--config", file], async (program, url) => {
        await write({ mcpServers: { one: counter("one") }, limits: { sessions: 5 }, path: "/x" });
        await program.until(/"restart-needed".*"keys":\["path","limits"\]/);
        await nth(program, "reloaded", 1);
        program.signal("SIGHUP");
        await nth(program, "reloaded", 2);
        await nth(program, "restart-needed", 2);
        await using client = await reach(url);
        assert.equal(await textOf(client, "one__count"), "1");
      }),
  ));

test("changesBetween() finds servers that are new, different, gone or switched off", () => {
  const before = {
    mcpServers: {
      same: { command: "a", args: ["1"] },
      other: { command: "a" },
      gone: { command: "a" },
      off: { command: "a" },
      on: { command: "a", disabled: true },
    },
    port: 1,
    logLevel: "info" as const,
  };
  const after = {
    mcpServers: {
      same: { command: "a", args: ["1"] },
      other: { command: "b" },
      off: { command: "a", disabled: true },
      on: { command: "a" },
      fresh: { url: "http://x" },
    },
    port: 1,
    host: "127.0.0.1",
  };
  const { set, removed, restart } = changesBetween(before, after);
  assert.deepEqual([...set.keys()], ["other", "on", "fresh"]);
  assert.deepEqual(removed, ["gone", "off"]);
  assert.deepEqual(restart, ["logLevel", "host"]);
});

/** A reloader of a text in memory. */
function reloader(text: string, apply: ReloaderInit["apply"]) {
  const now = { text };
  const logged: string[] = [];
  const made = new Reloader({
    file: "/nowhere/mooring.json",
    read: () => Promise.resolve(now.text),
    apply,
    log: (_level, event, fields) => logged.push(`${event}: ${fields?.["message"]}`),
    clock: systemClock,
  }, text);
  return { made, now, logged };
}

test("a reload that is asked for while one is under way comes after it, once", async () => {
  const applied: string[] = [];
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  const { made, now } = reloader("0", async (text) => {
    applied.push(text);
    if (text === "1") await gate;
  });
  now.text = "1";
  const first = made.now();
  await Promise.resolve();
  now.text = "2";
  const others = [made.now(), made.now(), made.now()];
  open();
  await Promise.all([first, ...others]);
  assert.deepEqual(applied, ["1", "2"]);
});

test("what can't be applied is reported line by line, and nothing follows a close", async () => {
  const { made, now, logged } = reloader("0", () => {
    throw new Error("One\nTwo");
  });
  now.text = "1";
  await made.now();
  assert.deepEqual(logged, [
    "reload-failed: One",
    "reload-failed: Two",
    "reload-failed: The configuration stays as it was",
  ]);
  await made.close();
  await made.now();
  assert.equal(logged.length, 3);
});

test("a folder that can't be watched is said so", async () => {
  const { promise: warned, resolve } = Promise.withResolvers<unknown>();
  const made = new Reloader({
    file: "/nowhere/mooring.json",
    read: () => Promise.resolve(""),
    apply: () => Promise.resolve(),
    log: (level, event, fields) => {
      if (level === "warn") resolve(`${event}: ${fields?.["message"]}`);
    },
    clock: systemClock,
  }, "");
  made.watch();
  assert.equal(
    await warned,
    "not-watching: The file isn't watched: send SIGHUP after a change",
  );
  await made.close();
});

test("[SRCH-7] the file says where tools are searched, and which servers wait", () => {
  const one = { ...counter("one"), toolSearch: true };
  const two = { ...counter("two"), lists: "lazy" };
  return withConfig(
    { mcpServers: { one, two } },
    (file, write) =>
      serving(["--config", file], async (program, url) => {
        const namesAt = async (at: string): Promise<readonly string[]> => {
          await using client = await reach(at);
          return (await client.listTools()).slice(0, 3).map(({ name }) => name);
        };
        const search = ["search_tools", "call_tool"];
        assert.deepEqual(await namesAt(url), [...search, "one__count"]);
        assert.deepEqual(await namesAt(alone(url, "one")), search);
        assert.deepEqual((await namesAt(alone(url, "two")))[0], "count");
        await using client = await reach(url);
        const called = await client.callTool("call_tool", { name: "two__count" });
        assert.match(JSON.stringify(called.content), /"1"/);

        await write({ mcpServers: { one: counter("one"), two: counter("two") } });
        await program.until(/"event":"reloaded","set":\["one","two"\]/);
        for (const each of [url, alone(url, "one")]) {
          const names = await namesAt(each);
          assert.ok(names.length > 2 && !names.includes("search_tools"), names.join());
        }
        await write({ mcpServers: { one }, toolSearch: true });
        await program.until(/"event":"restart-needed".*"keys":\["toolSearch"\]/);
        await write({ mcpServers: { one: { ...one, lists: "late" } } });
        await program.until(/one\.lists: Leave the key out, or give/);
      }),
  );
});

test("[SRCH-7] the endpoint of all servers, and one over pipes", () =>
  withConfig(
    { mcpServers: { one: counter("one") }, toolSearch: true },
    (file) =>
      serving(["--config", file], async (_program, url) => {
        await using client = await reach(url);
        const names = (await client.listTools()).map(({ name }) => name);
        assert.deepEqual(names, ["search_tools", "call_tool"]);
        const { content } = await client.callTool("search_tools", { query: "count" });
        assert.match(JSON.stringify(content), /one__count/);
      }),
  ));
