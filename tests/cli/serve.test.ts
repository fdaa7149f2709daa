/**
 * `mooring serve` as a process, with programs behind it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { RawConnection } from "../runtimes/raw.ts";
import { runHere } from "./fake_io.ts";
import {
  counter,
  COUNTER_LINE,
  type Program,
  reach,
  run,
  serving,
  textOf,
  withConfig,
} from "./program.ts";

const TOKEN = "ada-token-0123456789";
const HELLO = {
  method: "POST",
  headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1.0.0" },
    },
  }),
};

/** Where one server alone is served. */
const alone = (url: string, name: string): string => new URL(`/servers/${name}`, url).href;

/** Whether a process is there. */
function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pid: number): Promise<void> {
  for (let waited = 0; lives(pid); waited += 50) {
    assert.ok(waited < 5_000, "The child is still there");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("[GTW-8] servers of a file are served together with prefixes, and each one alone without", () =>
  withConfig(
    {
      mcpServers: {
        one: counter("one"),
        two: counter("two"),
        off: { command: "x", disabled: true },
      },
      listWaitMs: 30_000,
    },
    (file) =>
      serving(["--config", file], async (_program, url) => {
        await using all = await reach(url);
        const names = (await all.listTools()).map(({ name }) => name);
        assert.ok(names.includes("one__count") && names.includes("two__count"));
        assert.equal(await textOf(all, "one__count"), "1");
        assert.equal(await textOf(all, "one__count"), "2");
        assert.equal(await textOf(all, "two__count"), "1");

        await using one = await reach(alone(url, "one"));
        assert.deepEqual(
          (await one.listTools()).map(({ name }) => name),
          ["count", "env", "pid", "slow", "say", "fail"],
        );
        assert.equal(await textOf(one, "count"), "1");

        for (const name of ["three", "off", "one/x", "", "..", "constructor"]) {
          const response = await fetch(alone(url, name), HELLO);
          assert.equal(response.status, 404, name);
          assert.equal(response.headers.get("mcp-session-id"), null);
          await response.body?.cancel();
        }
        assert.equal(await (await fetch(new URL("/health", url))).text(), '{"status":"ok"}');
      }),
  ));

test("[GTW-8] the log has what a server that is used alone writes, each line once", () =>
  withConfig(
    { mcpServers: { one: counter("one"), two: counter("two") } },
    (file) =>
      serving(["--config", file], async (program, url) => {
        const one = await reach(alone(url, "one"));
        await textOf(one, "say", { text: "said alone" });
        await one.close();
        await program.until(/"event":"upstream-closed"/);
        for (const event of ["opened", "output", "closed"]) {
          const lines = program.err.match(new RegExp(`.*"event":"upstream-${event}".*`, "g")) ?? [];
          assert.equal(lines.length, 1, event);
          const { endpoint, upstream } = JSON.parse(lines[0] ?? "");
          assert.deepEqual([endpoint, upstream], ["one", "one"]);
        }
      }),
  ));

test("[GTW-8] the log has each line once where the only server has two paths", () =>
  serving(["--stdio", COUNTER_LINE], async (program, url) => {
    for (const [index, endpoint] of [url, alone(url, "server")].entries()) {
      const client = await reach(endpoint);
      await textOf(client, "count");
      await client.close();
      await program.until(new RegExp(`(?:"event":"upstream-closed"[^]*){${index + 1}}`));
      assert.equal(program.err.match(/"event":"upstream-opened"/g)?.length, index + 1);
    }
  }));

test("[GTW-14] the limits of the gateway are those of the file", () =>
  withConfig(
    { mcpServers: { one: counter("one") }, limits: { programs: 1, upstreamSessions: 5 } },
    (file) =>
      serving(["--config", file], async (program, url) => {
        await using first = await reach(alone(url, "one"));
        assert.equal(await textOf(first, "count"), "1");
        await assert.rejects(reach(alone(url, "one")), /too busy/);
        await program.until(/"event":"upstream-busy".*"limit":"programs"/);
        assert.equal(await textOf(first, "count"), "2");
      }),
  ));

test("[GTW-1] two sessions count apart, and a child ends with its session", () =>
  serving(["--stdio", COUNTER_LINE], async (_program, url) => {
    const first = await reach(url);
    await using second = await reach(url);
    for (let call = 1; call <= 5; call++) assert.equal(await textOf(first, "count"), `${call}`);
    for (let call = 1; call <= 3; call++) assert.equal(await textOf(second, "count"), `${call}`);
    const pid = Number(await textOf(first, "pid"));
    await first.close();
    await gone(pid);
    assert.equal(await textOf(second, "count"), "4");
  }));

test("[GTW-7] a program gets the variables it is given and no others", () =>
  serving(
    ["--stdio", COUNTER_LINE, "--env", "GIVEN", "--env", "PLAIN=a b"],
    async (_program, url) => {
      await using client = await reach(url);
      assert.equal(await textOf(client, "env", { name: "GIVEN" }), "given-value");
      assert.equal(await textOf(client, "env", { name: "PLAIN" }), "a b");
      assert.equal(await textOf(client, "env", { name: "SECRET" }), "unset");
    },
    { GIVEN: "given-value", SECRET: "hidden" },
  ));

test("[GTW-8] progress of a call behind the gateway reaches the client", () =>
  serving(["--stdio", COUNTER_LINE], async (_program, url) => {
    await using client = await reach(url);
    const seen: number[] = [];
    await client.callTool("slow", { ms: 50 }, {
      onProgress: ({ progress }) => seen.push(progress),
    });
    assert.deepEqual(seen, [1]);
  }));

test("what is secret isn't in the log, whoever writes it", () =>
  withConfig({
    mcpServers: {
      one: counter("one", { env: { API_KEY: "${API_KEY}", LITERAL: "literal-secret" } }),
    },
    auth: { tokens: [{ id: "ada", token: "${ADA_TOKEN}" }] },
    logLevel: "debug",
  }, (file) =>
    serving(["--config", file], async (program, url) => {
      const wrong = await fetch(url, {
        ...HELLO,
        headers: { ...HELLO.headers, authorization: "x" },
      });
      assert.equal(wrong.status, 401);
      await wrong.body?.cancel();
      await using client = await reach(url, { headers: { authorization: `Bearer ${TOKEN}` } });
      assert.equal(await textOf(client, "one__env", { name: "API_KEY" }), "key-from-outside");
      await textOf(client, "one__say", {
        text: `\u001b[2J key-from-outside literal-secret ${TOKEN}`,
      });
      await program.until(/upstream-output/);
      assert.match(program.err, /\[secret\] \[secret\] \[secret\]/);
      assert.doesNotMatch(program.out + program.err, /key-from-outside|literal-secret|ada-token/);
      for (const line of program.err.trim().split("\n")) {
        assert.equal(typeof JSON.parse(line).event, "string");
      }
    }, { API_KEY: "key-from-outside", ADA_TOKEN: TOKEN })));

test("[AUTH-1] every endpoint asks for the token", () =>
  serving(["--stdio", COUNTER_LINE, "--token-env", "MY_TOKEN"], async (_program, url) => {
    for (const endpoint of [url, alone(url, "server")]) {
      for (const method of ["POST", "GET", "DELETE"]) {
        const init = method === "POST" ? HELLO : { method, headers: HELLO.headers };
        const response = await fetch(endpoint, init);
        assert.equal(response.status, 401);
        await response.body?.cancel();
      }
      await using client = await reach(endpoint, { headers: { authorization: `Bearer ${TOKEN}` } });
      assert.equal(await textOf(client, "count"), "1");
    }
  }, { MY_TOKEN: TOKEN }));

test("[GATE-3] bound to this machine, a foreign Host is refused on every endpoint", () =>
  serving(["--stdio", COUNTER_LINE], async (_program, url) => {
    const { port } = new URL(url);
    for (const path of ["/mcp", "/servers/server"]) {
      const connection = await RawConnection.open(Number(port));
      await connection.write(
        `POST ${path} HTTP/1.1\r\nHost: evil.example\r\nContent-Type: application/json\r\n` +
          "Content-Length: 2\r\n\r\n{}",
      );
      await connection.until("HTTP/1.1 403");
      connection.destroy();
    }
  }));

/** Begins a call that takes its time, and resolves when it is under way. */
async function underWay(url: string, ms: number) {
  const client = await reach(url, { maxRetryMs: 0 });
  const pid = Number(await textOf(client, "pid"));
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const answer = client.callTool("slow", { ms }, { onProgress: () => resolve() });
  answer.catch(() => {});
  await begun;
  return { client, pid, answer };
}

test("[END-1] a signal lets a running call finish, ends the children, and exits with 0", () =>
  serving(["--stdio", COUNTER_LINE], async (program, url) => {
    const { pid, answer } = await underWay(url, 500);
    program.signal("SIGTERM");
    const { content } = await answer;
    assert.deepEqual(content, [{ type: "text", text: "slept" }]);
    assert.equal(await program.ended, 0, program.err);
    await gone(pid);
    assert.match(program.err, /"event":"stopped"/);
  }));

test("[CMD-5] draining says that it drains, and when it is done", () =>
  serving(["--stdio", COUNTER_LINE], async (program, url) => {
    const { answer } = await underWay(url, 500);
    program.signal("SIGINT");
    const drains = "Draining: waiting up to 10 s for 1 call. Press Ctrl-C again to stop at once";
    await program.until(new RegExp(`"event":"stopping","message":"${drains}"`));
    await answer;
    assert.equal(await program.ended, 0, program.err);
    assert.match(program.err, /"event":"stopped","message":"Stopped: everything has ended"/);
  }));

test("[CMD-3] programs that can't be started are named at the start, with what to do", () =>
  withConfig({
    mcpServers: {
      good: counter("good"),
      absent: { command: "no-such-program-anywhere" },
      folder: { command: tmpdir() },
      gone: { command: "sh", cwd: "/no/such/folder" },
      quits: { command: "sh", args: ["-c", "echo 'Set API_KEY' >&2; exit 3"] },
      off: { command: "no-such-program-either", disabled: true },
      away: { url: "http://127.0.0.1:9999/mcp" },
    },
    logLevel: "debug",
  }, (file) =>
    serving(["--config", file], async (program, url) => {
      const failed = (server: string): Promise<RegExpExecArray> =>
        program.until(
          new RegExp(`"event":"server-failed","message":"([^\n]*)","server":"${server}"`),
        );
      const messageOf = async (server: string): Promise<string> =>
        JSON.parse(`"${(await failed(server))[1]}"`);
      assert.equal(
        await messageOf("absent"),
        'Install this program or correct its name: it isn\'t in PATH: "no-such-program-anywhere"',
      );
      assert.match(await messageOf("folder"), /^Give a program, not a folder: "/);
      assert.match(await messageOf("gone"), /^Create this folder, or correct its name: "/);
      assert.equal(
        await messageOf("quits"),
        "Run this program by hand to see why it ends at once: it exited with 3 | Set API_KEY",
      );
      await program.until(/"event":"server-works","server":"good"/);
      assert.match(await messageOf("away"), /connection was refused/);
      assert.doesNotMatch(program.err, /"server":"off"/);
      // The others are served all the same
      await using client = await reach(url);
      assert.equal(await textOf(client, "good__count"), "1");
    })));

test("[CMD-3] a server that is down at a reload, and one at --http, is an error in the log", async () => {
  await withConfig(
    { mcpServers: { one: counter("one") } },
    (file, write) =>
      serving(["--config", file], async (program) => {
        const absent = { command: "no-such-program-anywhere" };
        await write({ mcpServers: { one: counter("one"), absent } });
        await program.until(/"level":"error","event":"server-failed".*"server":"absent"/);
      }),
  );
  await serving(["--http", "http://127.0.0.1:9999/mcp"], async (program) => {
    await program.until(/"level":"error","event":"server-failed".*refused/);
  });
});

test("[END-1] [END-3] a second signal ends it at once", () =>
  serving(
    ["--stdio", COUNTER_LINE],
    async (program, url) => {
      const { pid, answer } = await underWay(url, 60_000);
      program.signal("SIGINT");
      await program.until(/"event":"stopping"/);
      // One within half a second is the same one
      program.signal("SIGINT");
      const again = setInterval(() => program.signal("SIGINT"), 800);
      assert.equal(await program.ended, 1);
      clearInterval(again);
      await assert.rejects(answer);
      await gone(pid);
    },
    {},
    1,
  ));

test("[CMD-4] a port that is taken, and an address that isn't here, are said so", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const taken = await run(["serve", "--stdio", COUNTER_LINE, "--port", `${port}`]);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(taken.code, 1);
  assert.equal(
    taken.err,
    `Port ${port} is in use: choose another with --port, or 0 for any free one\n`,
  );
  const elsewhere = ["--host", "192.0.2.1", "--port", "0", "--no-auth"];
  const absent = await run(["serve", "--stdio", COUNTER_LINE, ...elsewhere]);
  assert.deepEqual([absent.code, absent.err], [
    1,
    "Address 192.0.2.1 isn't one of this machine: choose another with --host\n",
  ]);
});

test("an address that others reach is refused unless somebody is asked who they are", async () => {
  const { code, err } = await runHere(["serve", "--stdio", COUNTER_LINE, "--host", "0.0.0.0"]);
  assert.equal(code, 1);
  assert.match(err, /^Say who may call, with --token-env NAME .* with --no-auth: 0\.0\.0\.0\n$/);
  await serving(
    ["--stdio", COUNTER_LINE, "--host", "0.0.0.0", "--no-auth"],
    async (program: Program, url) => {
      await program.until(/"level":"warn","event":"anonymous"/);
      await using client = await reach(url);
      assert.equal(await textOf(client, "count"), "1");
    },
  );
});

test("a configuration without servers is served, with a hint", () =>
  withConfig({ mcpServers: {} }, (file) =>
    serving(["--config", file], async (program) => {
      await program.until(/"event":"no-servers","message":"Add a server to mcpServers: /);
    })));

test("what is wrong is said without a stack, and the exit code tells how", async () => {
  const version = await run(["--version"]);
  assert.deepEqual([version.code, version.err], [0, ""]);
  assert.match(version.out, /^mooring \d+\.\d+\.\d+\n$/);
  const missing = await run(["serve", "--config", "/nowhere/mooring.json"]);
  assert.deepEqual([missing.code, missing.out, missing.err], [
    1,
    "",
    "Name a file that exists: /nowhere/mooring.json\n",
  ]);
  const folder = await runHere(["serve", "--config", tmpdir()]);
  assert.deepEqual([folder.code, folder.err], [1, `Name a file, not a folder: ${tmpdir()}\n`]);
  const inside = await runHere(["check", `${fileURLToPath(import.meta.url)}/mooring.json`]);
  assert.match(inside.err, /^Name a file that exists: /);
  const bare = await runHere(["serve", "mooring.json"]);
  assert.deepEqual([bare.code, bare.err], [
    2,
    'Give a configuration file with --config: "mooring.json"\n',
  ]);
  const flag = await runHere(["serve", "--sdtio", "x"]);
  assert.deepEqual([flag.code, flag.err], [
    2,
    'Unknown option "--sdtio". Did you mean --stdio?\n',
  ]);
  const value = await runHere(["serve", "--stdio", "x", "--port", "many"]);
  assert.deepEqual([value.code, value.err], [2, "--port: Give a whole number, 0 to 65535\n"]);
  const redis = await runHere(["serve", "--stdio", "x", "--redis", "redis://:s3cret@127.0.0.1:1"]);
  assert.deepEqual([redis.code, redis.err], [
    2,
    "--secret-env: Give a secret of 32 characters or more, the same on all nodes: they sign with it\n",
  ]);
  const away = await runHere(
    ["serve", "--stdio", "x", "--redis", "redis://:s3cret-word@127.0.0.1:1", "--secret-env", "KEY"],
    { KEY: "0123456789abcdef0123456789abcdef" },
  );
  assert.equal(away.code, 1);
  assert.match(away.err, /^Start Redis, or correct its URL: 127\.0\.0\.1:1: /);
  assert.doesNotMatch(away.err, /s3cret/);
  const { code, out } = await runHere(["serve", "--help"]);
  assert.equal(code, 0);
  assert.match(out, /--config FILE/);
});

test("[LONG-18] a call that runs long is answered with a handle, at each of the command's paths", () =>
  withConfig(
    {
      mcpServers: {
        one: counter("one"),
        two: { ...counter("two"), longCalls: false },
      },
      longCalls: { afterMs: 100 },
      listWaitMs: 30_000,
    },
    (file) =>
      serving(["--config", file], async (_program, url) => {
        await using all = await reach(url);
        assert.equal(await textOf(all, "two__slow", { ms: 500 }), "slept");
        await using one = await reach(alone(url, "one"));
        for (const [client, tool] of [[all, "one__slow"], [one, "slow"]] as const) {
          const answer = await textOf(client, tool, { ms: 500 });
          assert.match(answer, /So far: 1 of 2/);
          const [, handle = ""] = /"handle": "([^"]+)"/.exec(answer) ?? [];
          let text: string;
          do text = await textOf(client, "wait_for_result", { handle }); while (
            text.includes("still running")
          );
          assert.equal(text, "slept");
        }
      }),
  ));
