/**
 * `mooring call`, and `mooring.json` where a command is given no file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { z } from "zod";
import { toNodeHandler } from "../../src/adapters/node.ts";
import type { CommandActions } from "../../src/cli/program.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import { runHere as run } from "./fake_io.ts";
import { counter } from "./program.ts";

const TOKEN = "s3cret-token-0123";
/** What programs need to start. */
const ENV = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "" };

function adder(): McpServer {
  const server = new McpServer({ name: "adder", version: "1.0.0" });
  server.registerTool("add", { inputSchema: z.object({ a: z.number(), b: z.number() }) }, (
    { a, b },
  ) => `${a + b}`);
  server.registerTool("fail", {}, () => ({
    isError: true as const,
    content: [{ type: "text" as const, text: "No\u001b[2J luck" }],
  }));
  return server;
}

async function withUrl(use: (url: string) => Promise<void>): Promise<void> {
  const handler = createMcpHandler(adder(), {
    path: "/mcp",
    authenticate(request) {
      if (request.headers.get("authorization") === `Bearer ${TOKEN}`) return { id: "ada" };
      throw new Unauthorized();
    },
  });
  const http = createServer(toNodeHandler(handler));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  try {
    await use(`http://127.0.0.1:${port}/mcp`);
  } finally {
    await handler.close({ graceMs: 0 });
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
}

/** Works in a folder of its own that has a configuration, or none. */
async function inFolder(config: unknown, use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "here-"));
  const before = process.cwd();
  try {
    if (config !== undefined) {
      await writeFile(join(folder, "mooring.json"), JSON.stringify(config));
    }
    process.chdir(folder);
    await use(folder);
  } finally {
    process.chdir(before);
    await rm(folder, { recursive: true });
  }
}

describe("mooring call", () => {
  test("[CMD-20] calls a tool of a URL and shows its result", () =>
    withUrl(async (url) => {
      const env = { TOKEN };
      const call = (...args: string[]) => run(["call", url, ...args, "--token-env", "TOKEN"], env);
      const added = await call("add", "--args", '{"a":2,"b":3}');
      assert.deepEqual([added.code, added.out], [0, "5\n"]);
      assert.match(added.err, /^Answered in [\d.]+ ms\n$/);
      const json = await call("add", "--args", '{"a":2,"b":3}', "--json");
      assert.equal(JSON.parse(json.out).result.content[0].text, "5");
      const failed = await call("fail");
      assert.deepEqual([failed.code, failed.out], [1, "No\\u001b[2J luck\n"]);
      assert.equal((await call("gone")).code, 1);
      const refused = await run(["call", url, "add"]);
      assert.equal(refused.code, 1);
      assert.match(refused.err, /^Send a token with --token-env NAME/);
      const header = "Authorization: Bearer ${TOKEN}";
      const sent = await run(
        ["call", url, "add", "--args", '{"a":1,"b":1}', "--header", header],
        env,
      );
      assert.deepEqual([sent.code, sent.out], [0, "2\n"]);
    }));

  test("[CMD-20] calls a tool of a server that mooring.json has", () =>
    inFolder({ mcpServers: { one: counter("one"), two: counter("two") } }, async (folder) => {
      const here = await run(
        ["call", "two", "count"],
        ENV,
      );
      assert.equal(here.code, 0, here.err);
      assert.equal(here.out, "1\n");
      const named = await run(
        ["call", "one", "count", "--config", join(folder, "mooring.json")],
        ENV,
      );
      assert.equal(named.code, 0, named.err);
      const unknown = await run(["call", "three", "count"]);
      assert.equal(unknown.code, 2);
      assert.match(unknown.err, /which are "one", "two": "three"\n$/);
    }));

  test("[CMD-20] a command line that can't be understood is refused with what to change", () =>
    inFolder(undefined, async () => {
      const cases: readonly (readonly [readonly string[], RegExp])[] = [
        [[], /^Give what to call: mooring call SERVER TOOL\n$/],
        [["one"], /^Give what to call: mooring call SERVER TOOL\n$/],
        [["one", "count"], /^Give --config FILE for the server "one", or begin in a folder with/],
        [["one", "count", "--args", "[]"], /^Give an object to --args/],
        [["one", "count", "--args", "{"], /^Give JSON to --args: line 1/],
        [["one", "count", "--token-env", "A"], /^Give --token-env only with a URL\n$/],
        [
          ["http://x", "count", "--config", "a.json"],
          /^Give --config only with a server's name\n$/,
        ],
        [["http://x", "count", "--token", "s3cret"], /Did you mean --token-env\?/],
      ];
      for (const [args, message] of cases) {
        const { code, out, err } = await run(["call", ...args]);
        assert.deepEqual([code, out], [2, ""], args.join(" "));
        assert.match(err, message);
        assert.doesNotMatch(err, /s3cret/);
      }
    }));
});

describe("mooring.json", () => {
  /** Runs a command line whose commands do nothing, and returns what they were called with. */
  async function called(...args: string[]) {
    const calls: unknown[] = [];
    const record = (name: string) => (...given: unknown[]) => {
      calls.push([name, ...given.slice(0, -1)]);
      return Promise.resolve(0 as const);
    };
    const commands: CommandActions = {
      serve: record("serve"),
      stdio: record("stdio"),
      check: record("check"),
      inspect: record("inspect"),
      bundle: record("bundle"),
      pin: record("pin"),
      serverJson: record("server-json"),
      importServers: record("import"),
    };
    return { calls, ...await run(args, {}, commands) };
  }

  test("[CMD-21] is what a command reads that is given no file", () =>
    inFolder({ mcpServers: {} }, async () => {
      const cases: readonly (readonly [readonly string[], unknown[]])[] = [
        [["serve"], ["serve", { auth: true, config: "mooring.json" }]],
        [["stdio", "--only", "a"], ["stdio", { config: "mooring.json", only: "a" }]],
        [["check"], ["check", "mooring.json", {}]],
        [["check", "other.json"], ["check", "other.json", {}]],
        [["pin"], ["pin", "mooring.json", {}]],
        [["bundle"], ["bundle", "mooring.json", {}]],
        [["inspect"], ["inspect", "mooring.json", { timeout: 30 }]],
        [["serve", "--http", "http://x"], ["serve", { auth: true, http: "http://x" }]],
      ];
      for (const [args, expected] of cases) {
        const { calls, err } = await called(...args);
        assert.deepEqual([calls, err], [[expected], ""], args.join(" "));
      }
    }));

  test("[CMD-21] a folder without it has the commands ask for a file", () =>
    inFolder(undefined, async () => {
      for (const name of ["check", "pin", "bundle"]) {
        const { calls, code, err } = await called(name);
        assert.deepEqual([calls, code], [[], 2]);
        assert.equal(err, `Give what to ${name}: mooring ${name} FILE\n`);
      }
      const { code, err } = await run(["serve"]);
      assert.equal(code, 2);
      assert.match(err, /^Give what to serve: --config FILE, .*folder with mooring\.json\n$/);
    }));
});

test("[CMD-22] exit codes say whether a command did it, failed, or wasn't understood", () =>
  inFolder({ mcpServers: {} }, async () => {
    const cases: readonly (readonly [readonly string[], number])[] = [
      [["--help"], 0],
      [["--version"], 0],
      [["check"], 0],
      [["check", "gone.json"], 1],
      [["call", "http://127.0.0.1:1/mcp", "add"], 1],
      [["inspect", "http://127.0.0.1:1/mcp"], 1],
      [["chekc"], 2],
      [["check", "--conect"], 2],
      [["serve", "--prot", "1"], 2],
      [["serve", "--port", "x"], 2],
    ];
    for (const [args, expected] of cases) {
      const { code, out, err } = await run(args);
      assert.equal(code, expected, `${args.join(" ")}: ${out}${err}`);
    }
  }));
