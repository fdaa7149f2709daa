/**
 * What must hold for every server on every runtime, told by a client of bare sockets.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import type { RunningServer } from "../../src/adapters/running_server.ts";
import type { ServeOptions } from "../../src/adapters/serve_options.ts";
import { callBody, callText, chunk, RawConnection, requestText } from "./raw.ts";
import { type TestTools, testTools } from "./tools.ts";

/** Starts a server: an adapter's `serve`, or something that works like it. */
export type Serve = (
  source: Dispatcher,
  options?: ServeOptions & McpHandlerOptions,
) => Promise<RunningServer>;

/** One thing that must hold. */
export interface Case {
  readonly name: string;
  /** How long it may take, in milliseconds. */
  readonly timeout?: number;
  run(serve: Serve): Promise<void>;
}

/** Whether the cases that take a minute are run too. */
const LONG = process.env["MOORING_LONG"] === "1";

interface Started extends AsyncDisposable {
  readonly server: RunningServer;
  readonly tools: TestTools;
  /** The names of the tools that were called. */
  readonly called: string[];
  connect(): Promise<RawConnection>;
}

/** A server without sessions on a free port, for one test. */
async function start(serve: Serve, options: McpHandlerOptions = {}): Promise<Started> {
  const called: string[] = [];
  const tools = testTools((name) => called.push(name));
  const server = await serve(tools, { port: 0, sessions: false, ...options });
  const connections: RawConnection[] = [];
  return {
    server,
    tools,
    called,
    async connect() {
      const connection = await RawConnection.open(server.port);
      connections.push(connection);
      return connection;
    },
    async [Symbol.asyncDispose]() {
      for (const connection of connections) connection.destroy();
      await server.close({ graceMs: 0 });
    },
  };
}

/** Runs a test's body with a server, and closes that whatever happens. */
async function withServer(
  serve: Serve,
  body: (started: Started) => Promise<void>,
  options?: McpHandlerOptions,
): Promise<void> {
  const started = await start(serve, options);
  try {
    await body(started);
  } finally {
    await started[Symbol.asyncDispose]();
  }
}

/** Waits until something is so. */
async function eventually(so: () => boolean, complaint: string, ms = 2_000): Promise<number> {
  const before = Date.now();
  while (!so()) {
    if (Date.now() - before > ms) assert.fail(complaint);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return Date.now() - before;
}

/** A stream and a call that say nothing for a while, side by side. */
async function livesQuietly(
  serve: Serve,
  ms: number,
  check: (stream: string) => void,
  options?: McpHandlerOptions,
): Promise<void> {
  await withServer(serve, async ({ connect }) => {
    const [streaming, waiting] = [await connect(), await connect()];
    await streaming.write(callText("quiet", { ms }));
    await waiting.write(callText("wait", { ms }, { accept: "application/json" }));
    await streaming.until("first");
    check(await streaming.until("done", ms + 5_000));
    assert.match(await waiting.until("done"), /content-type: application\/json/i);
  }, options);
}

const WITHOUT_COMMENTS: McpHandlerOptions = { streams: { keepAliveMs: 3_600_000 } };
const COMMENT = /^:/m;
const noComments = (stream: string): void => assert.doesNotMatch(stream, COMMENT);
const comments = (stream: string): void => assert.match(stream, COMMENT);

const calls: readonly Case[] = [
  {
    name: "[STR-1] a call is answered with JSON, on a connection that serves the next one too",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        for (const text of ["one", "two"]) {
          await connection.write(callText("echo", { text }));
          const answer = await connection.until(`"text":"${text}"`);
          assert.match(answer, /^HTTP\/1\.1 200 /);
          assert.match(answer, /content-type: application\/json/i);
          connection.forget();
        }
      }),
  },
  {
    name: "[GATE-8] a chunked body within the limit is answered",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        const body = callBody("echo", { text: "in pieces" });
        await connection.write(requestText("POST", CHUNKED, chunk(body.slice(0, 20))));
        await connection.write(chunk(body.slice(20)));
        await connection.write("0\r\n\r\n");
        await connection.until('"text":"in pieces"');
      }),
  },
  {
    name: "[GATE-8] a chunked body over the limit is refused while it is still being sent",
    run: (serve) =>
      withServer(serve, async ({ connect, called }) => {
        const connection = await connect();
        await connection.write(requestText("POST", CHUNKED, chunk("x".repeat(1_500))));
        await connection.until(/^HTTP\/1\.1 413 /);
        await connection.until("limits.bodyBytes");
        assert.deepEqual(called, []);
      }, { limits: { bodyBytes: 1_000 } }),
  },
  {
    name: "[GATE-8] a declared body over the limit is refused unread",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        const headers = { "content-length": "5000000" };
        await connection.write(requestText("POST", headers, "{"));
        await connection.until(/^HTTP\/1\.1 413 /);
      }),
  },
  {
    name: "what is no HTTP request gets a 400 or a closed connection, and the server lives",
    run: (serve) =>
      withServer(serve, async ({ connect, called }) => {
        for (const text of MALFORMED) {
          const broken = await connect();
          await broken.write(text);
          // Some runtimes answer, some hang up; none may take it for a call.
          await broken.until(/^HTTP\/1\.1 400 /).catch(() => broken.untilClosed(1));
        }
        assert.deepEqual(called, []);
        const connection = await connect();
        await connection.write(callText("echo", { text: "alive" }));
        await connection.until('"text":"alive"');
      }),
  },
];

const CHUNKED = { "transfer-encoding": "chunked" };

const MALFORMED = [
  "nonsense\r\n\r\n",
  // Two lengths, and a length beside chunks: where proxies and servers disagree, requests are smuggled.
  `POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
  `POST /mcp HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n`,
];

const streams: readonly Case[] = [
  {
    name: "[STR-1] [STR-2] a stream arrives bit by bit",
    run: (serve) =>
      withServer(serve, async ({ connect, tools }) => {
        const connection = await connect();
        await connection.write(callText("steps"));
        const begun = await connection.until("first");
        assert.match(begun, /content-type: text\/event-stream/i);
        assert.doesNotMatch(begun, /second/);
        tools.release();
        await connection.until("second");
        await connection.until("done");
      }),
  },
  {
    name: "[STR-6] a client of a stream that goes away is noticed, and its call runs on",
    run: (serve) =>
      withServer(serve, async ({ connect, server, tools }) => {
        const connection = await connect();
        await connection.write(callText("steps"));
        await connection.until("first");
        assert.deepEqual(server.handler.stats().streams, 1);
        connection.destroy();
        await eventually(() => server.handler.stats().streams === 0, "The stream stayed open");
        assert.equal(server.handler.stats().requests, 1);
        tools.release();
        await eventually(() => server.handler.stats().requests === 0, "The call never ended");
      }),
  },
];

const quiet: readonly Case[] = [
  {
    name: "a stream and a call without a word for 12 seconds live",
    timeout: 20_000,
    run: (serve) => livesQuietly(serve, 12_000, noComments, WITHOUT_COMMENTS),
  },
];

const long: readonly Case[] = [
  {
    name: "a stream and a call without a word for 60 seconds live",
    timeout: 70_000,
    run: (serve) => livesQuietly(serve, 60_000, noComments, WITHOUT_COMMENTS),
  },
  {
    name: "[STR-2] a stream with nothing but comments for 60 seconds lives",
    timeout: 70_000,
    run: (serve) => livesQuietly(serve, 60_000, comments),
  },
];

const gates: readonly Case[] = [
  {
    name: "[GATE-3] bound to loopback, a foreign Host is refused",
    run: (serve) =>
      withServer(serve, async ({ connect, server, called }) => {
        for (
          const host of ["evil.example", `evil.example:${server.port}`, "localhost.evil.example"]
        ) {
          const connection = await connect();
          await connection.write(callText("echo", {}, { host }));
          await connection.until(/^HTTP\/1\.1 403 /);
        }
        assert.deepEqual(called, []);
      }),
  },
  {
    name: "[GATE-3] bound to loopback, the loopback names are served on any port",
    run: (serve) =>
      withServer(serve, async ({ connect, server }) => {
        for (const host of ["localhost", "127.0.0.1", "[::1]", `localhost:${server.port}`]) {
          const connection = await connect();
          await connection.write(callText("echo", {}, { host }));
          await connection.until(/^HTTP\/1\.1 200 /);
        }
      }),
  },
  {
    name: "[GATE-3] an X-Forwarded-Host or a second Host makes no foreign host welcome",
    run: (serve) =>
      withServer(serve, async ({ connect, called }) => {
        const forwarded = await connect();
        const headers = { host: "evil.example", "x-forwarded-host": "localhost" };
        await forwarded.write(callText("echo", {}, headers));
        await forwarded.until(/^HTTP\/1\.1 403 /);
        const twice = await connect();
        await twice.write(callText("echo", {}, { host: "evil.example\r\nhost: localhost" }));
        await twice.until(/^HTTP\/1\.1 40[03] /);
        assert.deepEqual(called, []);
      }),
  },
  {
    name: "[GATE-2] a foreign Origin is refused",
    run: (serve) =>
      withServer(serve, async ({ connect, called }) => {
        for (const origin of ["https://evil.example", "null", "http://localhost.evil.example"]) {
          const connection = await connect();
          await connection.write(callText("echo", {}, { origin }));
          await connection.until(/^HTTP\/1\.1 403 /);
        }
        assert.deepEqual(called, []);
      }),
  },
  {
    name: "a refused request leaves its connection usable or closes it, never in between",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        const padding = "x".repeat(200_000);
        await connection.write(callText("echo", { text: padding }, { host: "evil.example" }));
        await connection.until(/^HTTP\/1\.1 403 /);
        connection.forget();
        await connection.write(callText("echo", { text: "after" }));
        await connection.until('"text":"after"').catch(() => connection.untilClosed(1));
        assert.doesNotMatch(connection.text, /HTTP\/1\.1 (?!200 )/);
      }),
  },
];

const addresses: readonly Case[] = [
  {
    name: "[GATE-3] binds to 127.0.0.1 alone by default",
    run: (serve) =>
      withServer(serve, async ({ server }) => {
        assert.equal(server.hostname, "127.0.0.1");
        assert.equal(server.url, `http://127.0.0.1:${server.port}/mcp`);
        // Another address of the same machine: a server bound to all addresses would answer there.
        await assert.rejects(RawConnection.open(server.port, "127.0.0.2"));
      }),
  },
  {
    name: "[GATE-3] bound to every address, allowedHosts is the application's affair",
    async run(serve) {
      const server = await serve(testTools(), { port: 0, hostname: "0.0.0.0", sessions: false });
      try {
        assert.equal(server.url, `http://127.0.0.1:${server.port}/mcp`);
        const connection = await RawConnection.open(server.port);
        await connection.write(callText("echo", {}, { host: "mcp.example" }));
        await connection.until(/^HTTP\/1\.1 200 /);
        connection.destroy();
      } finally {
        await server.close({ graceMs: 0 });
      }
    },
  },
  {
    name: "[GATE-3] bound to loopback, allowedHosts that are given are kept",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        await connection.write(callText("echo", {}, { host: "mcp.example" }));
        await connection.until(/^HTTP\/1\.1 200 /);
        const other = await connect();
        await other.write(callText("echo"));
        await other.until(/^HTTP\/1\.1 403 /);
      }, { allowedHosts: ["mcp.example"] }),
  },
  {
    name: "serves /mcp alone by default",
    run: (serve) =>
      withServer(serve, async ({ connect }) => {
        const connection = await connect();
        await connection.write(callText("echo").replace("/mcp", "/other"));
        await connection.until(/^HTTP\/1\.1 404 /);
      }),
  },
  {
    name: "[CMD-4] a port that is taken rejects, with what to do",
    run: (serve) =>
      withServer(serve, async ({ server: { port } }) => {
        await assert.rejects(serve(testTools(), { port }), {
          message: `Port ${port} is in use: choose another with "port", or 0 for any free one`,
          code: "EADDRINUSE",
        });
      }),
  },
];

const endings: readonly Case[] = [
  {
    name: "[END-1] close() lets a running call finish while it refuses new ones",
    run: (serve) =>
      withServer(serve, async ({ connect, server, tools }) => {
        const [running, late] = [await connect(), await connect()];
        await running.write(callText("steps"));
        await running.until("first");
        const closed = server.close({ graceMs: 5_000 });
        await late.write(callText("echo"));
        assert.match(await late.until(/^HTTP\/1\.1 503 /), /retry-after: /i);
        tools.release();
        await running.until("done");
        await closed;
        await server.finished;
        await assert.rejects(RawConnection.open(server.port));
      }),
  },
  {
    name: "[END-1] close() ends what doesn't finish in time, streams and idle connections alike",
    run: (serve) =>
      withServer(serve, async ({ connect, server }) => {
        const [hanging, streaming, idle] = [await connect(), await connect(), await connect()];
        await hanging.write(callText("hang", {}, { accept: "application/json" }));
        await streaming.write(callText("steps"));
        await streaming.until("first");
        await idle.write(callText("echo"));
        await idle.until(/^HTTP\/1\.1 200 /);
        const before = Date.now();
        await server.close({ graceMs: 200 });
        const took = Date.now() - before;
        assert.ok(took >= 150 && took < 5_000, `close() took ${took} ms`);
        for (const connection of [hanging, streaming, idle]) await connection.untilClosed(5_000);
      }),
  },
  {
    name: "[END-1] close() lets a large answer leave whole",
    run: (serve) =>
      withServer(serve, async ({ connect, server, tools, called }) => {
        const connection = await connect();
        await connection.write(callText("large", {}, { accept: "application/json" }));
        await eventually(() => called.length === 1, "The call never began");
        const closed = server.close({ graceMs: 5_000 });
        tools.release();
        await connection.until(" whole");
        await closed;
      }),
  },
  {
    name: "[END-1] close() waits for no half request",
    run: (serve) =>
      withServer(serve, async ({ connect, server }) => {
        const [headless, bodiless] = [await connect(), await connect()];
        await headless.write("POST /mcp HTTP/1.1\r\nHost: local");
        await bodiless.write(requestText("POST", { "content-length": "100" }, "{"));
        await new Promise((resolve) => setTimeout(resolve, 50));
        const before = Date.now();
        await server.close({ graceMs: 60_000 });
        const took = Date.now() - before;
        assert.ok(took < 5_000, `close() took ${took} ms`);
        for (const connection of [headless, bodiless]) await connection.untilClosed(5_000);
      }),
  },
  {
    name: "[END-1] close() can be called twice, and at the same time",
    run: (serve) =>
      withServer(serve, async ({ server }) => {
        await Promise.all([server.close(), server.close({ graceMs: 60_000 }), server.finished]);
        await server.close();
        await server[Symbol.asyncDispose]();
      }),
  },
];

/** The cases, by what they are about. */
export const cases: Readonly<Record<string, readonly Case[]>> = {
  calls,
  streams,
  quiet: LONG ? [...quiet, ...long] : quiet,
  gates,
  addresses,
  endings,
};

/** Groups that hold for a handler wherever it is mounted, not for `serve` alone. */
export const handlerGroups = ["calls", "streams", "quiet"] as const;
