/**
 * What `mooring dev` keeps of messages, how it copies them, where it finds errors, and how long requests wait.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { curlOf, testOf } from "../../src/cli/dev/copy.ts";
import { failureOf, failureText } from "../../src/cli/dev/failure.ts";
import { FileStamps, MOST_FILES } from "../../src/cli/dev/file_stamps.ts";
import { inspectorStart } from "../../src/cli/dev/inspector.ts";
import { type DevVersion, LaunchError } from "../../src/cli/dev/launch.ts";
import { MAX_TEXT, Trace } from "../../src/cli/dev/trace.ts";
import { MOST_WAITING, NoVersionError, Versions } from "../../src/cli/dev/versions.ts";
import { freePort } from "../../src/adapters/process_group.ts";
import { McpServer } from "../../src/server/server.ts";
import { systemClock } from "../../src/internal/clock.ts";
import { at, developing, ROOT, serverText } from "./developing.ts";
import { reach, runtime, textOf } from "./program.ts";

const request = (id: number, method = "tools/call", params: object = { name: "edit" }) =>
  JSON.stringify({ jsonrpc: "2.0", id, method, params });

describe("the trace", () => {
  test("[DEV-11] an answer has its request's method and time, by session; both sides may use the same ids", () => {
    let now = 1_000;
    const trace = new Trace(() => now);
    const of = (session: string) => ({ session });
    trace.add({ way: "in", text: request(1), ...of("a") });
    trace.add({ way: "in", text: request(1, "ping"), ...of("b") });
    trace.add({ way: "out", text: request(1, "roots/list"), ...of("a") });
    now += 25;
    trace.add({ way: "out", text: '{"jsonrpc":"2.0","id":1,"result":{}}', ...of("a") });
    trace.add({ way: "in", text: '{"jsonrpc":"2.0","id":1,"result":{}}', ...of("a") });
    trace.add({ way: "out", text: '{"jsonrpc":"2.0","id":"1","error":{}}', ...of("b") });
    trace.add({ way: "out", text: "no JSON" });
    assert.deepEqual(
      trace.after(0, 100).map(({ kind, method, name, ms }) => [kind, method, name, ms]),
      [
        ["request", "tools/call", "edit", undefined],
        ["request", "ping", "edit", undefined],
        ["request", "roots/list", "edit", undefined],
        ["response", "tools/call", undefined, 25],
        ["response", "roots/list", undefined, 25],
        ["error", undefined, undefined, undefined],
        ["other", undefined, undefined, undefined],
      ],
    );
    const first = trace.get(1) ?? assert.fail();
    assert.equal(trace.answerTo(first)?.seq, 4);
  });

  test("[DEV-12] a thousand messages are kept, 64 Ki characters of each, 8 Mi of all; no token in a row", () => {
    const trace = new Trace(() => 0);
    for (let id = 1; id <= 1_500; id++) trace.add({ way: "in", text: request(id) });
    assert.equal(trace.after(0, 9_999).length, 1_000);
    assert.equal(trace.after(0, 1)[0]?.seq, 501);
    assert.equal(trace.after(1_499, 10).length, 1);
    const long = "x".repeat(MAX_TEXT + 5);
    for (let count = 0; count < 300; count++) trace.add({ way: "out", text: long });
    const kept = trace.after(0, 9_999);
    assert.equal(kept.length, 128);
    assert.deepEqual([kept[0]?.text.length, kept[0]?.size], [MAX_TEXT, MAX_TEXT + 5]);
    const headers = new Headers({ authorization: "Bearer 5ecret", cookie: "c00kie" });
    trace.add({ way: "in", text: request(1), session: "s-5ecret", url: "http://a/mcp", headers });
    const [row] = trace.after(trace.last - 1, 1);
    assert.ok(row !== undefined && !JSON.stringify(row).includes("5ecret"));
    assert.ok(!JSON.stringify(trace.get(trace.last)).includes("c00kie"));
    trace.clear();
    assert.deepEqual(trace.after(0, 10), []);
  });

  test("[DEV-13] a copy has no token and no session unless asked, and quotes what a shell would read", () => {
    const trace = new Trace(() => 0);
    const headers = new Headers({
      authorization: "Bearer 5ecret",
      "mcp-session-id": "s-5ecret",
      "mcp-protocol-version": "2025-11-25",
    });
    const text = request(1, "tools/call", { name: "it's", arguments: { a: "$(rm -rf /)" } });
    trace.add({ way: "in", text, session: "s-5ecret", url: "http://127.0.0.1:1/mcp", headers });
    const entry = trace.get(1) ?? assert.fail();
    for (const copy of [curlOf(entry, false), testOf(entry, undefined, false) ?? ""]) {
      assert.ok(!copy.includes("5ecret"), copy);
      assert.ok(copy.includes("MCP_TOKEN"), copy);
    }
    assert.ok(curlOf(entry, true).includes("-H 'authorization: Bearer 5ecret'"));
    assert.ok(curlOf(entry, true).includes("-H 'mcp-session-id: s-5ecret'"));
    assert.ok(testOf(entry, undefined, true)?.includes('"Bearer 5ecret"'));
    assert.ok(curlOf(entry, false).includes(`it'\\''s`));
    trace.add({ way: "in", text: '{"jsonrpc":"2.0","method":"notifications/initialized"}' });
    assert.equal(testOf(trace.get(2) ?? assert.fail(), undefined, false), undefined);
  });

  test("[DEV-13] a copied test passes, and a copied command line gets the answer, both as they are", () =>
    developing(serverText("41"), async ({ url, page, file }) => {
      await using client = await reach(url);
      assert.equal(await textOf(client, "edit"), "41");
      const opened = await fetch(page, { redirect: "manual" });
      await opened.body?.cancel();
      const [cookie = ""] = (opened.headers.get("set-cookie") ?? "").split(";");
      const get = async (path: string) =>
        await (await fetch(new URL(path, page), { headers: { cookie } })).text();
      const events = await fetch(new URL("/events", page), { headers: { cookie } });
      await using modern = await reach(url, { protocolVersion: "2026-07-28" });
      assert.equal(await textOf(modern, "edit"), "41");
      const seqs: string[] = [];
      let text = "";
      for await (const chunk of events.body ?? assert.fail()) {
        text += new TextDecoder().decode(chunk);
        const found = text.matchAll(/"seq":(\d+),[^{}]*"way":"in"[^{}]*"method":"tools\/call"/g);
        seqs.splice(0, seqs.length, ...[...found].map(([, seq = ""]) => seq));
        if (seqs.length === 2) break;
      }
      for (const [at, seq] of seqs.entries()) {
        const copied = join(dirname(file), `copied${at}.test.ts`);
        await writeFile(copied, await get(`/copy?seq=${seq}&as=test`));
        const args = {
          deno: ["test", "-A", "--no-check", "--quiet", copied],
          bun: ["test", copied],
          node: ["--test", copied],
        }[runtime];
        const tested = await ended(process.execPath, args);
        assert.equal(tested.code, 0, tested.output);
        const curl = await get(`/copy?seq=${seq}&as=curl`);
        const sent = await ended("sh", ["-c", curl], { MCP_SESSION_ID: client.sessionId ?? "" });
        // Not every machine has it
        if (sent.code !== 127) assert.match(sent.output, /"text":"41"/, sent.output);
      }
      assert.match(await get(`/copy?seq=999999&as=curl`), /isn't kept/);
    }));
});

/** Runs a program to its end. */
function ended(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly code: number | null; readonly output: string }> {
  const child = spawn(program, args, { env: { ...process.env, NO_COLOR: "1", ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  return new Promise((resolve) => child.once("close", (code) => resolve({ code, output })));
}

describe("the place of an error", () => {
  test("[DEV-14] is found in what each runtime writes, in the project's own files, with the lines around it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "failure-"));
    const file = join(folder, "server.ts");
    await writeFile(file, "one\ntwo\nthree = = 3\nfour\nfive\nsix\n");
    const library = join(folder, "node_modules/a/index.js");
    try {
      const outputs = [
        `file://${file}:3\nthree = = 3\n        ^\n\nSyntaxError [ERR_X]: Unexpected\n    at ${library}:1:1\n`,
        `\x1b[31merror\x1b[0m: The module's source code could not be parsed: Unexpected at file://${file}:3:9\n`,
        `error: Unexpected\n    at ${library}:9:9\n    at ${file}:3:9\n`,
        `error: Uncaught (in promise) TypeError: Unexpected\n    at file://${file}:3:9\n`,
      ];
      for (const output of outputs) {
        const failure = await failureOf(output, folder, "Ended");
        assert.deepEqual([failure.file, failure.line, failure.column], ["server.ts", 3, 9], output);
        assert.match(failure.message, /Unexpected$/);
        assert.deepEqual(failure.source?.map(({ line }) => line), [1, 2, 3, 4, 5]);
        assert.match(
          failureText(failure),
          /^server\.ts:3:9: .*\n.*\n.*\n> 3 \| three = = 3\n {4}\| {9}\^/,
        );
      }
      const none = await failureOf("", folder, "The program ended with 3");
      assert.deepEqual([none.message, none.file], ["The program ended with 3", undefined]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("files", () => {
  test("[DEV-15] new, changed, replaced and removed ones are each seen once, by a look that begins later; those of others are not", async () => {
    const folder = await mkdtemp(join(tmpdir(), "stamps-"));
    const path = (name: string) => join(folder, name);
    try {
      await mkdir(path("lib"));
      await mkdir(path("node_modules/a"), { recursive: true });
      await writeFile(path("a.ts"), "1");
      await writeFile(path("lib/b.ts"), "1");
      const stamps = new FileStamps(folder);
      assert.deepEqual(await stamps.look(), []);
      assert.deepEqual(await stamps.look(), []);
      await writeFile(path("a.ts"), "2");
      await writeFile(path("c.ts"), "new");
      await writeFile(path("node_modules/a/index.js"), "new");
      await writeFile(path("picture.png"), "new");
      assert.deepEqual((await stamps.look()).toSorted(), [path("a.ts"), path("c.ts")]);
      await writeFile(path("lib/b.new"), "2");
      await rename(path("lib/b.new"), path("lib/b.ts"));
      await rm(path("c.ts"));
      // Of looks at a time each change is one's
      const looks = await Promise.all([stamps.look(), stamps.look(), stamps.look()]);
      assert.deepEqual(looks.flat().toSorted(), [path("c.ts"), path("lib/b.ts")]);
      assert.equal(stamps.isPartial, false);
      await mkdir(path("many"));
      await Promise.all(
        Array.from({ length: MOST_FILES }, (_, at) => writeFile(path(`many/${at}.ts`), "")),
      );
      await stamps.look();
      assert.equal(stamps.isPartial, true);
      const only = new FileStamps(folder, path("a.ts"));
      await only.look();
      await writeFile(path("lib/b.ts"), "3");
      assert.deepEqual(await only.look(), []);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("what mooring dev starts", () => {
  test("[DEV-17] the inspector has a secret of its own, a list of its own, and a link that connects it", () => {
    const url = "http://127.0.0.1:8000/mcp";
    const { command, catalog, env, link } = inspectorStart(url, 6_300, "t0ken", "/tmp/empty");
    assert.match(command.join(" "), /^npx -y @modelcontextprotocol\/inspector@\d+\.\d+\.\d+$/);
    assert.deepEqual(
      [env["CLIENT_PORT"], env["MCP_INSPECTOR_API_TOKEN"], env["MCP_CATALOG_PATH"]],
      ["6300", "t0ken", join("/tmp/empty", "servers.json")],
    );
    assert.equal(catalog.path, join("/tmp/empty", "servers.json"));
    const { mcpServers } = JSON.parse(catalog.text);
    assert.deepEqual(
      Object.entries<{ url: string; protocolEra: string }>(mcpServers)
        .map(([name, server]) => [name, server.url, server.protocolEra]),
      [
        ["This server, 2025-11-25", url, "legacy"],
        ["This server, 2026-07-28", url, "modern"],
      ],
    );
    const { searchParams, host } = new URL(link);
    assert.equal(host, "127.0.0.1:6300");
    assert.deepEqual(Object.fromEntries(searchParams), {
      MCP_INSPECTOR_API_TOKEN: "t0ken",
      serverUrl: url,
      transport: "http",
      autoConnect: "t0ken",
    });
  });

  test("[DEV-18] serve() listens where mooring dev says, on this machine alone, and elsewhere as it is told", async () => {
    const { serve } = await import(`../../src/adapters/${runtime}.ts`);
    const server = new McpServer({ name: "a", version: "1.0.0" });
    const port = await freePort("127.0.0.1", 0);
    process.env.MOORING_DEV_PORT = String(port);
    try {
      const running = await serve(server, { port: 1, hostname: "0.0.0.0", signals: false });
      assert.deepEqual([running.port, running.hostname], [port, "127.0.0.1"]);
      await running.close();
      process.env.MOORING_DEV_PORT = "nonsense";
      const other = await serve(server, { port: 0, signals: false });
      assert.notEqual(other.port, port);
      await other.close();
    } finally {
      delete process.env.MOORING_DEV_PORT;
    }
  });
});

describe("a server on Deno", { skip: runtime !== "deno" && "It has no permissions" }, () => {
  test("[DEV-18] serve() needs no right to read variables", async () => {
    const folder = await mkdtemp(join(tmpdir(), "rights-"));
    try {
      const file = join(folder, "server.ts");
      await writeFile(
        file,
        `import { McpServer } from ${at("mod.ts")};
import { serve } from ${at("src/adapters/deno.ts")};
const server = await serve(new McpServer({ name: "a", version: "1.0.0" }), { port: 0 });
console.log(server.port > 0);
await server.close();
`,
      );
      const config = ["--config", fileURLToPath(new URL("deno.json", ROOT))];
      const rights = ["--no-prompt", "--no-check", "--quiet", "--allow-net", "--allow-read"];
      const { output } = await ended(process.execPath, ["run", ...config, ...rights, file]);
      assert.equal(output, "true\n");
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe("versions", () => {
  /** Versions that start when the test says so. */
  function made(timers: (() => void)[]) {
    const starts: { ready: () => void; fail: () => void; signal: AbortSignal }[] = [];
    const closed: number[] = [];
    const versions = new Versions({
      launch: ({ number, signal }) => {
        const { promise, resolve, reject } = Promise.withResolvers<DevVersion>();
        const version: DevVersion = {
          number,
          fetch: () => Promise.resolve(new Response(String(number))),
          path: undefined,
          isFixed: false,
          ended: new Promise(() => {}),
          hasEnded: () => false,
          close: () => Promise.resolve(void closed.push(number)),
        };
        const fail = () => reject(new LaunchError({ message: "Wrong", output: "" }));
        signal.addEventListener("abort", () => reject(signal.reason));
        starts.push({ ready: () => resolve(version), fail, signal });
        return promise;
      },
      stamps: undefined,
      clock: { ...systemClock, timer: (_ms, done) => (timers.push(done), () => {}) },
      waitMs: 1_000,
      graceMs: 1_000,
      report: () => {},
    });
    return { versions, starts, closed };
  }

  test("[DEV-1] a request waits for the version that starts, no longer than it may, and a thousand at most", async () => {
    const timers: (() => void)[] = [];
    const { versions, starts } = made(timers);
    const started = versions.start();
    const patient = versions.current();
    const late = versions.current();
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve));
    timers[1]?.();
    await assert.rejects(late, /Call again: the server still starts/);
    const waiting = Array.from({ length: MOST_WAITING }, () => versions.current());
    const outcomes = Promise.allSettled(waiting);
    await new Promise((resolve) => setTimeout(resolve));
    starts[0]?.ready();
    await started;
    assert.equal((await patient).number, 1);
    const refused = (await outcomes).filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 1);
    await versions.close();
  });

  test("[DEV-4] a version that was replaced ends after its last call, or when the time for that is over", async () => {
    const timers: (() => void)[] = [];
    const { versions, starts, closed } = made(timers);
    const first = versions.start();
    await new Promise((resolve) => setTimeout(resolve));
    starts[0]?.ready();
    await first;
    const one = await versions.current();
    const release = versions.hold(one);
    const second = versions.start();
    await new Promise((resolve) => setTimeout(resolve));
    starts[1]?.ready();
    await second;
    const two = await versions.current();
    assert.equal(two.number, 2);
    assert.deepEqual(closed, []);
    release();
    release();
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(closed, [1]);
    versions.hold(two);
    const third = versions.start();
    await new Promise((resolve) => setTimeout(resolve));
    starts[2]?.ready();
    await third;
    timers.at(-1)?.();
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(closed, [1, 2]);
    await versions.close();
    assert.deepEqual(closed, [1, 2, 3]);
  });

  test("[DEV-5] what doesn't start is tried again after a change alone", async () => {
    const { versions, starts } = made([]);
    const first = versions.start();
    await new Promise((resolve) => setTimeout(resolve));
    starts[0]?.fail();
    await first;
    for (let count = 0; count < 3; count++) {
      await assert.rejects(
        versions.current(),
        (error) => error instanceof NoVersionError && error.message === "Wrong",
      );
    }
    assert.equal(starts.length, 1);
    await versions.close();
  });
});
