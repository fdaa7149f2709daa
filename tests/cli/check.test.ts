/**
 * `mooring check`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { runHere as run } from "./fake_io.ts";
import { counter, withConfig } from "./program.ts";

const ABSENT = "Install this program or correct its name: it isn't in PATH";
const ENV = { KEY: "key-from-outside", TOKEN: "token-from-outside" };

test("[SHP-25] says how many processes a user costs, with and without sharing", () =>
  withConfig({
    mcpServers: {
      files: { command: "npx", share: "all", shareLimits: { sessions: 50 } },
      notes: { command: "npx", share: "user" },
      shell: { command: "npx", args: ["-y"] },
      off: { command: "x", disabled: true },
      remote: { url: "https://mcp.example/mcp", share: "user" },
    },
  }, async (file) => {
    const { code, out } = await run(["check", file], ENV);
    assert.equal(code, 0);
    const lines = out.split("\n");
    for (
      const line of [
        "    files   npx, one for all",
        "    notes   npx, one for each user",
        "    shell   npx, 1 argument",
        "  Programs 1 for each session, 1 for each user, 1 for all: " +
        "9 processes for a user with 7 sessions, 21 if nothing were shared",
      ]
    ) assert.ok(lines.includes(line), out);
  }));

test("[SHP-25] what can't be shared, and limits of nothing, are refused where they stand", async () => {
  const cases: [object, RegExp][] = [
    [{ command: "npx", share: "everybody" }, /mcpServers\.x\.share.*"session", "user" or "all"/],
    [{ command: "npx", shareLimits: { sessions: 5 } }, /"share": "user" or "all"/],
    [{ command: "npx", share: "all", shareLimits: { sesions: 5 } }, /sesions/],
    [{ url: "https://a.example", share: "all", forwardHeaders: ["x-user"] }, /"forwardHeaders"/],
    [{ openapi: "https://a.example/openapi.json", share: "all" }, /share/],
  ];
  for (const [entry, message] of cases) {
    await withConfig({ mcpServers: { x: entry } }, async (file) => {
      const { code, err } = await run(["check", file], ENV);
      assert.notEqual(code, 0);
      assert.match(err, message);
    });
  }
});

test("[CACHE-12] a server's kept results are shown, and what can't be kept is refused where it stands", async () => {
  const url = "https://a.example/mcp";
  const kept = { resources: true, scope: "all" };
  const cases: [object, RegExp | undefined][] = [
    [{ command: "npx", cache: { tools: ["look"], ttlMs: 1_000 } }, undefined],
    [{ url, cache: kept, lists: "lazy" }, undefined],
    [{ openapi: "https://a.example/openapi.json", cache: kept }, undefined],
    [{ command: "npx", cache: { tool: ["look"] } }, /mcpServers\.x\.cache.*tool/],
    [{ command: "npx", cache: { tools: ["look"] } }, /"ttlMs" with "tools"/],
    [{ command: "npx", cache: { resources: true, scope: "session" } }, /"user" or "all"/],
    [{ command: "npx", cache: { resources: true, maxBytes: 0 } }, /mcpServers\.x\.cache\.maxBytes/],
    [{ url, cache: kept, forwardHeaders: ["x-tenant"] }, /by "forwardHeaders"/],
    [{ url, cache: kept, oauth: true }, /accounts/],
  ];
  for (const [entry, message] of cases) {
    await withConfig({ mcpServers: { x: entry } }, async (file) => {
      const { code, out, err } = await run(["check", file], ENV);
      if (message === undefined) {
        assert.equal(code, 0, err);
        assert.match(out, /^ {4}x .*, results kept/m);
      } else {
        assert.notEqual(code, 0);
        assert.match(err, message);
      }
    });
  }
});

test("a good configuration is summed up without its secrets", () =>
  withConfig({
    mcpServers: {
      files: { command: "npx", args: ["-y", "--key=literal-arg"], env: { KEY: "literal-env" } },
      remote: {
        url: "https://mcp.example/mcp?key=query-key",
        headers: { authorization: "Bearer ${KEY}" },
      },
      off: { command: "x", disabled: true },
    },
    auth: {
      tokens: [{ id: "ada", token: "${TOKEN}" }, { id: "bob", token: "literal-token-0123" }],
    },
    host: "0.0.0.0",
    port: 9000,
  }, async (file) => {
    const { code, out, err } = await run(["check", file], ENV);
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(
      out,
      [
        "OK",
        "",
        "  Servers  3",
        "    files   npx, 2 arguments",
        "    remote  https://mcp.example/mcp",
        "    off     x (disabled)",
        "  Programs 1 for each session: 7 processes for a user with 7 sessions",
        "  Endpoint http://127.0.0.1:9000/mcp",
        "  Auth     tokens of ada, bob",
        "",
      ].join("\n"),
    );
  }));

test("what is wrong is said with its path, and the exit code is 1", () =>
  withConfig({
    mcpServers: { a: { url: "https://x.example", headers: { host: "s3cret-value" } } },
  }, async (file, write) => {
    const unfit = await run(["check", file]);
    assert.equal(unfit.code, 1);
    assert.match(
      unfit.err,
      /mooring\.json:1:16: mcpServers\.a: Leave a header .* out of "headers": host/,
    );
    await write('{\n  "mcpServers": {},\n  "port": 1 // "yes"\n  "host": "::"\n}\n');
    const broken = await run(["check", file]);
    assert.deepEqual([broken.code, broken.out, broken.err], [
      1,
      "",
      `${file}:4:3: Put a "," or "}" here\n`,
    ]);
    const a = { command: "no-such-program-anywhere", env: { K: "${NOT_SET_ANYWHERE}" } };
    await write({ mcpServers: { a } });
    const missing = await run(["check", file]);
    assert.deepEqual([missing.code, missing.err], [
      1,
      `${file}:1:21: mcpServers.a.command: ${ABSENT}: "no-such-program-anywhere"\n` +
      `${file}:1:65: mcpServers.a.env.K: Set the environment variable NOT_SET_ANYWHERE\n`,
    ]);
    assert.doesNotMatch(unfit.err + broken.err + missing.err, /s3cret/);
  }));

test("[CMD-3] a program that can't be started is named with what to do", () =>
  withConfig({}, async (file, write) => {
    const folder = dirname(file);
    await writeFile(join(folder, "plain.txt"), "x", { mode: 0o644 });
    await mkdir(join(folder, "bin"));
    await writeFile(join(folder, "bin", "tool"), "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(join(folder, "bin", "locked"), "#!/bin/sh\n", { mode: 0o644 });
    const env = { PATH: join(folder, "bin") };
    const PROGRAMS: readonly (readonly [object, string | undefined])[] = [
      [{ command: "no-such-program" }, `command: ${ABSENT}: "no-such-program"`],
      [
        { command: "./none", cwd: folder },
        'command: Correct the path .*: there is no .*: "./none"',
      ],
      [{ command: folder }, `command: Give a program, not a folder: "${folder}"`],
      [
        { command: "./plain.txt", cwd: folder },
        'command: Make this file executable, as with chmod \\+x: "./plain.txt"',
      ],
      [{ command: "locked", env }, 'command: Make this file executable, .*: "locked"'],
      [{ command: "npx", env }, `command: ${ABSENT}: "npx"`],
      [{ command: "tool", env }, undefined],
      [{ command: "./tool", cwd: join(folder, "bin") }, undefined],
      [{ command: "no-such-program", disabled: true }, undefined],
      [{ command: "sh", cwd: join(folder, "gone") }, 'cwd: Create this folder, .*: ".*gone"'],
      [{ command: "sh", cwd: file }, 'cwd: Give a folder: ".*json"'],
    ];
    const mcpServers = Object.fromEntries(PROGRAMS.map(([entry], at) => [`s${at}`, entry]));
    await write({ mcpServers });
    const { code, err } = await run(["check", file]);
    assert.equal(code, 1);
    const lines = err.trimEnd().split("\n");
    const expected = PROGRAMS.flatMap(([, text], at) => text === undefined ? [] : [[at, text]]);
    assert.equal(lines.length, expected.length, err);
    for (const [index, [at, text]] of expected.entries()) {
      assert.match(lines[index] ?? "", new RegExp(`:1:\\d+: mcpServers\\.s${at}\\.${text}$`));
    }
  }));

test("--connect tries each server, and tells which fail and why, without secrets", () =>
  withConfig({
    mcpServers: {
      good: counter("good"),
      absent: { command: "no-such-program-anywhere" },
      closed: { url: "http://127.0.0.1:9999/mcp?key=query-key" },
      loud: {
        command: "sh",
        args: ["-c", 'printf "%0900d" 0 >&2; echo "$KEY" >&2; exit 3'],
        env: { KEY: "${KEY}".repeat(20) },
      },
      off: { command: "no-such-program-either", disabled: true },
    },
  }, async (file) => {
    const { code, out } = await run(["check", file, "--connect"], ENV);
    assert.equal(code, 1, out);
    assert.match(out, /^ok {5}good: good 1\.0\.0, 2025-11-25, 6 tools, \d+ ms$/m);
    assert.match(out, new RegExp(`^FAILED absent: ${ABSENT}: "no-such-program-anywhere"$`, "m"));
    assert.match(out, /^FAILED closed: .*refused/m);
    assert.match(out, /^FAILED loud: Run this program by hand to see why .*: it exited with 3 \|/m);
    assert.doesNotMatch(out, /query-key|key-from|off:/);
  }));

test("[APP-10] check --connect says which extensions clients of all servers don't get, and why", () => {
  const offering = (name: string, extensions: object) =>
    counter(name, { env: { EXTENSIONS: JSON.stringify(extensions) } });
  const ui = (type: string) => ({ "io.modelcontextprotocol/ui": { mimeTypes: [type] } });
  return withConfig({
    mcpServers: {
      one: offering("one", { ...ui("text/a"), "com.example/x": { a: 1 }, "com.example/y": {} }),
      two: offering("two", { ...ui("text/b"), "com.example/x": { a: 2 } }),
    },
  }, async (file) => {
    const { code, out } = await run(["check", file, "--connect"]);
    assert.equal(code, 0, out);
    const warnings = out.split("\n").filter((line) => line.startsWith("warn"));
    assert.deepEqual(warnings, [
      "warn   com.example/x: offered by one, two, with different settings; " +
      "clients get it at /servers/NAME alone",
      "warn   com.example/y: offered by one, but not by all servers; " +
      "clients get it at /servers/NAME alone",
    ]);
  });
});
