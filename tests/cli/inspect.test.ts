/**
 * `mooring inspect`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { test } from "node:test";
import { toNodeHandler } from "../../src/adapters/node.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import { McpServer } from "../../src/server/server.ts";
import { z } from "zod";
import { runHere as run } from "./fake_io.ts";
import { serving } from "./program.ts";

const TOKEN = "Token-0123456789";

/** A server in this process, for as long as `use` takes. */
async function withServer(
  options: McpHandlerOptions,
  use: (url: string) => Promise<void>,
  server: McpServer = shownServer(),
): Promise<void> {
  const handler = createMcpHandler(server, { path: "/mcp", ...options });
  const http = createServer(toNodeHandler(handler));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  try {
    const port = typeof address === "object" && address !== null ? address.port : 0;
    await use(`http://127.0.0.1:${port}/mcp`);
  } finally {
    await handler.close({ graceMs: 0 });
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
}

function shownServer(): McpServer {
  const server = new McpServer({ name: "shown", version: "2.0.0" }, {
    instructions: "Use it\nwell",
  });
  server.registerTool("add", {
    description: "Adds \u001b[31mtwo numbers.",
    inputSchema: z.object({
      a: z.number().describe("The first\u001b[2J one"),
      b: z.number(),
      round: z.enum(["up", "down"]).default("up").describe("Where to"),
    }),
  }, ({ a, b }) => `${a + b}`);
  server.registerTool("fail", {}, () => ({
    isError: true as const,
    content: [{ type: "text" as const, text: "It\u001b[2J failed" }],
  }));
  server.registerTool("slow", {}, () => new Promise<string>(() => {}));
  server.registerTool("steps", {}, async (_args, { progress }) => {
    await progress(1, 2, "First\u001b[2J step");
    return "done";
  });
  server.registerResource("note", "note://one", { description: "A note" }, () => "Note");
  server.registerPrompt("hello", {
    description: "Greets",
    argsSchema: z.object({ who: z.string().describe("A name"), how: z.string().optional() }),
  }, ({ who }) => `Hello, ${who}`);
  return server;
}

for (const [era, version] of [["2025", "2025-11-25"], ["2026", "2026-07-28"]] as const) {
  test(`[CMD-2] a server of the ${era} era is shown with all that it has`, () =>
    withServer({ versions: [version] }, async (url) => {
      const { code, out, err } = await run(["inspect", url]);
      assert.deepEqual([code, err], [0, ""]);
      assert.match(out, new RegExp(`^shown 2\\.0\\.0 at ${url}$`, "m"));
      assert.match(out, new RegExp(`Protocol      ${version}, ${era} era`));
      assert.match(out, /Latency {7}connect [\d.]+ ms, (?:ping|discover) [\d.]+ ms, tools/);
      assert.match(out, /Instructions {2}Use it well$/m);
      assert.ok(
        out.includes([
          "Tools (4)",
          "  add    Adds \\u001b[31mtwo numbers.",
          "      a      number, required  The first\\u001b[2J one",
          "      b      number, required",
          '      round  "up" | "down"     Where to (default "up")',
          "  fail",
          "  slow",
          "  steps",
          "",
        ].join("\n")),
        out,
      );
      assert.match(out, /^Resources \(1\)\n {2}note:\/\/one {2}A note$/m);
      assert.match(
        out,
        /^Prompts \(1\)\n {2}hello {2}Greets\n {6}who {2}required {2}A name\n {6}how$/m,
      );

      const json = JSON.parse((await run(["inspect", url, "--json"])).out);
      assert.deepEqual([json.era, json.protocolVersion], [era, version]);
      assert.deepEqual(json.server.name, "shown");
      assert.deepEqual(json.prompts, [{
        name: "hello",
        description: "Greets",
        arguments: [
          { name: "who", description: "A name", required: true },
          { name: "how", required: false },
        ],
      }]);
      assert.deepEqual(json.tools[0].inputSchema.required, ["a", "b"]);
      assert.deepEqual(json.tools[0].inputSchema.properties.b, { type: "number" });
      assert.equal(json.resources[0].uri, "note://one");
      assert.equal(typeof json.latencyMs.tools, "number");
    }));
}

test("--call calls a tool, and its failure is the exit code", () =>
  withServer({}, async (url) => {
    const added = await run(["inspect", url, "--call", "add", "--args", '{"a":2,"b":3}']);
    assert.deepEqual([added.code, added.out], [0, "5\n"]);
    const json = await run(["inspect", url, "--call", "add", "--args", '{"a":2,"b":3}', "--json"]);
    assert.deepEqual(JSON.parse(json.out).result.content, [{ type: "text", text: "5" }]);
    const failed = await run(["inspect", url, "--call", "fail"]);
    assert.deepEqual([failed.code, failed.out], [1, "It\\u001b[2J failed\n"]);
    const steps = await run(["inspect", url, "--call", "steps"]);
    assert.deepEqual([steps.code, steps.out], [0, "done\n"]);
    assert.match(steps.err, /^1 of 2: First\\u001b\[2J step\nAnswered in [\d.]+ ms\n$/);
    const unknown = await run(["inspect", url, "--call", "nothing"]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /nothing/);
  }));

test("[GTW-8] what a server sends can't hide anything in a terminal", async () => {
  const hidden = "a\u{e0041}\u3164\u180e\ufe0f\x9b\u202e\u200bb";
  const shown = "a\\u{e0041}\\u3164\\u180e\\ufe0f\\u009b\\u202e\\u200bb";
  const server = new McpServer({ name: hidden, version: hidden }, { instructions: hidden });
  server.registerTool("tell", { title: hidden }, () => hidden);
  server.registerTool("data", {}, () => ({ structuredContent: { hidden }, content: [] }));
  server.registerTool("link", {}, () => ({ type: "resource_link", uri: "x:y", name: hidden }));
  server.registerPrompt(hidden, { description: hidden }, () => hidden);
  await withServer({}, async (url) => {
    const seen = async (...args: string[]) => {
      const { out, err } = await run(["inspect", url, ...args]);
      assert.doesNotMatch(out + err, /[\u{e0041}\u3164\u180e\ufe0f\x80-\x9f\u202e\u200b]/u);
      return out;
    };
    assert.equal((await seen()).split(shown).length, 7);
    assert.equal(await seen("--call", "tell"), `${shown}\n`);
    for (const args of [["--call", "data"], ["--call", "link"], ["--json"]]) await seen(...args);
    const told = JSON.parse(await seen("--call", "tell", "--json"));
    assert.deepEqual(told.result.content, [{ type: "text", text: hidden }]);
    await seen("--call", hidden);
  }, server);
});

test("tokens come from the environment and are never shown", () =>
  withServer({
    authenticate({ headers }) {
      if (headers.get("authorization") === `Bearer ${TOKEN}`) return { id: "ada" };
      throw new Unauthorized();
    },
  }, async (url) => {
    const env = { MY_TOKEN: TOKEN, WRONG: "wrong-token-0123" };
    assert.equal((await run(["inspect", url, "--token-env", "MY_TOKEN"], env)).code, 0);
    const header = ["--header", "Authorization: Bearer ${MY_TOKEN}"];
    assert.equal((await run(["inspect", url, ...header], env)).code, 0);
    const wrong = await run(["inspect", url, "--token-env", "WRONG"], env);
    assert.deepEqual([wrong.code, wrong.err], [
      1,
      "Send a token with --token-env NAME, or sign in with mooring login: the server requires one. " +
      `It says "Send valid credentials": ${url}\n`,
    ]);
    const unset = await run(["inspect", url, "--token-env", "NOT_SET_ANYWHERE"]);
    assert.deepEqual([unset.code, unset.err], [
      2,
      "--token-env: Set the environment variable NOT_SET_ANYWHERE\n",
    ]);
  }));

const REFUSED: readonly (readonly [readonly string[], number, RegExp])[] = [
  [["ftp://x"], 2, /Give a URL that begins with "https:/],
  [["http://127.0.0.1:9999/mcp?key=s3cret-key"], 1, /^Start the server.*: http:[^?]+\/mcp\n$/],
  [["http://x", "--args", "{}"], 2, /Give --args only with --call/],
  [["http://x", "--call", "a", "--args", "{a}"], 2, /Give JSON to --args: line 1, column 2/],
  [["http://x", "--call", "a", "--args", "[]"], 2, /Give an object to --args/],
  [["http://x", "--timeout", "soon"], 2, /Give a whole number from 1 to 86400 to --timeout/],
];

test("what can't be done is said with what to do", async () => {
  for (const [args, exit, message] of REFUSED) {
    const { code, out, err } = await run(["inspect", ...args]);
    assert.deepEqual([code, out], [exit, ""], err);
    assert.match(err, message);
  }
});

test("a server that says nothing is given up, and one that isn't MCP is named", () =>
  withServer({}, async (url) => {
    const late = await run(["inspect", url, "--call", "slow", "--timeout", "1"]);
    assert.equal(late.code, 1);
    assert.match(late.err, /^Give the server more time with --timeout/m);
    const path = await run(["inspect", new URL("/other", url).href]);
    assert.equal(path.code, 1);
    assert.match(path.err, /^Correct the path: nothing speaks MCP there/m);
  }));

test("[CMD-2] what isn't an MCP endpoint is told apart, with the server's own words", async () => {
  const answers: Readonly<Record<string, readonly [number, string]>> = {
    "/404": [404, '{"error":{"message":"Not found: the MCP endpoint is at /mcp\\u001b[2J"}}'],
    "/html": [200, "<!doctype html>"],
    "/json": [200, '{"jsonrpc":"2.0","id":null,"error":1}'],
    "/500": [500, "Oops"],
  };
  const http = createServer(({ url = "" }, response) => {
    const [status, body] = answers[url] ?? [405, ""];
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  const host = `127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  const ADVICE: readonly (readonly [string, RegExp])[] = [
    [
      "/404",
      /^Correct the path: .* It says "Not found: the MCP endpoint is at \/mcp\\u001b\[2J": http:/,
    ],
    ["/html", /^Correct the URL: what answers there doesn't speak MCP: http:/],
    ["/json", /^Correct the URL: what answers there doesn't speak MCP: http:/],
    ["/500", /^Find out why the server failed, as in its log: http:/],
  ];
  try {
    for (const [path, message] of ADVICE) {
      const { code, err } = await run(["inspect", `http://${host}${path}`]);
      assert.equal(code, 1);
      assert.match(err, message);
      assert.equal(err.trimEnd().split("\n").length, 1);
    }
    const { err } = await run(["inspect", `https://${host}/html`]);
    assert.match(
      err,
      /^Give the server a certificate .* begin the URL with http: if it has none: /,
    );
  } finally {
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  }
});

const EVERYTHING = fileURLToPath(
  new URL("../../node_modules/.bin/mcp-server-everything", import.meta.url),
);

test("[GTW-8] somebody else's program is served, seen and called, with nothing but the command", () =>
  serving(["--stdio", `'${EVERYTHING}'`], async (_program, url) => {
    const { code, out } = await run(["inspect", url]);
    assert.equal(code, 0);
    assert.match(out, /^Tools \(\d+\)\n {2}echo/m);
    const args = ["--args", '{"message":"Hi"}'];
    const called = await run(["inspect", url, "--call", "echo", ...args]);
    assert.deepEqual([called.code, called.out], [0, "Echo: Hi\n"]);
  }));

test("[GTW-8] a server elsewhere is served with the headers that it needs, not the client's", () =>
  withServer({
    authenticate({ headers }) {
      if (headers.get("authorization") === `Bearer ${TOKEN}`) return { id: "gateway" };
      throw new Unauthorized();
    },
  }, (upstream) =>
    serving(
      ["--http", upstream, "--header", "Authorization: Bearer ${UPSTREAM_TOKEN}"],
      async (program, url) => {
        const client = ["--header", "Authorization: Bearer of-the-client"];
        const args = ["--call", "add", "--args", '{"a":2,"b":3}', ...client];
        const { code, out, err } = await run(["inspect", url, ...args]);
        assert.deepEqual([code, out], [0, "5\n"], err);
        assert.doesNotMatch(program.err, new RegExp(TOKEN));
      },
      { UPSTREAM_TOKEN: TOKEN },
    )));
