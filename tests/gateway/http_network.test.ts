/**
 * HTTP upstreams over real sockets, by the `fetch` of each runtime.
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createRawServer, type Server, type Socket } from "node:net";
import { describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { http, type HttpOptions } from "../../src/gateway/upstreams/http.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { Session, textOf } from "./session.ts";

const MIB = 1024 * 1024;
const VERSION = "2025-11-25";

/** Runs with a server on a port of its own, and closes it with all its connections. */
async function listening(
  server: Server,
  work: (origin: string, sockets: readonly Socket[]) => Promise<void>,
): Promise<void> {
  const sockets: Socket[] = [];
  server.on("connection", (socket: Socket) => {
    sockets.push(socket);
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port");
  try {
    await work(`http://127.0.0.1:${address.port}`, sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** One HTTP request as the upstream gets it. */
interface Got {
  readonly message: JsonObject;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let all = "";
  for await (const chunk of incoming.setEncoding("utf8")) all += chunk;
  return all;
}

function isCall({ message }: Got): boolean {
  return message.method === "tools/call";
}

/** An upstream of 2025 that answers what `answer` leaves to it. */
function upstream(answer: (got: Got) => boolean | void): Server {
  return createServer(async (incoming, outgoing) => {
    const body = await bodyOf(incoming);
    const message: JsonObject = body === "" ? {} : JSON.parse(body);
    if (answer({ message, incoming, outgoing }) === true) return;
    const { id, method } = message;
    if (incoming.method !== "POST") return void outgoing.writeHead(405).end();
    if (id === undefined) return void outgoing.writeHead(202).end();
    const result = method === "initialize"
      ? {
        protocolVersion: VERSION,
        serverInfo: { name: "raw", version: "1.0.0" },
        capabilities: { tools: {} },
      }
      : { content: [{ type: "text", text: "fine" }] };
    outgoing.setHeader("content-type", "application/json");
    outgoing.end(JSON.stringify({ jsonrpc: "2.0", id, result }));
  });
}

function open(url: string, options: Partial<HttpOptions> = {}): Promise<Session> {
  return Session.open(http({ url, versions: [VERSION], ...options }));
}

/** The failure of a session, or of a call in it. */
async function failure(work: Promise<unknown>): Promise<UpstreamError> {
  try {
    await work;
  } catch (error) {
    assert.ok(error instanceof UpstreamError, String(error));
    return error;
  }
  throw new Error("It did not fail");
}

async function closed(socket: Socket | undefined): Promise<void> {
  assert.ok(socket);
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
}

describe("which fetch is used", () => {
  test("[GTW-4] the global one, looked up for each request, unless one was given", () =>
    listening(upstream(() => {}), async (origin) => {
      const session = await open(origin);
      const real = globalThis.fetch;
      let replaced = 0;
      globalThis.fetch = (...args) => (replaced++, real(...args));
      try {
        assert.equal(textOf(await session.call("a")), "fine");
        assert.equal(replaced, 1);
        const own = await open(origin, { fetch: (url, init) => real(url, init) });
        assert.equal(textOf(await own.call("a")), "fine");
        assert.equal(replaced, 1);
        await own.session.close();
      } finally {
        globalThis.fetch = real;
      }
      await session.session.close();
    }));
});

describe("redirects", () => {
  test("[GTW-4] none leads to another origin, with or without credentials", async () => {
    const strangers: string[] = [];
    const stranger = createServer((incoming, outgoing) => {
      strangers.push(`${incoming.method} ${incoming.headers.authorization}`);
      outgoing.end();
    });
    await listening(stranger, (elsewhere) =>
      listening(
        upstream(({ outgoing }) => {
          outgoing.writeHead(307, { location: `${elsewhere}/mcp` }).end();
          return true;
        }),
        async (origin) => {
          for (const auth of [undefined, "hush", () => "hush"]) {
            assert.equal((await failure(open(origin, { auth }))).kind, "rejected");
          }
        },
      ));
    assert.deepEqual(strangers, []);
  });

  test("[GTW-4] one within the origin keeps the method, the body and the credentials", () => {
    const got: string[] = [];
    const server = upstream(({ incoming, outgoing, message }) => {
      got.push(`${incoming.method} ${incoming.url} ${incoming.headers.authorization}`);
      if (message.method !== "tools/call" || incoming.url === "/b") return false;
      outgoing.writeHead(308, { location: "/b" }).end();
      return true;
    });
    return listening(server, async (origin) => {
      const session = await open(`${origin}/a`, { auth: "t" });
      got.length = 0;
      assert.equal(textOf(await session.call("a")), "fine");
      assert.deepEqual(got, ["POST /a Bearer t", "POST /b Bearer t"]);
      await session.session.close();
    });
  });
});

describe("time and size", () => {
  test("[GTW-4] a call that is never answered times out, and its connection is closed", async () => {
    const hung: Socket[] = [];
    const server = upstream((got) => {
      if (!isCall(got)) return false;
      hung.push(got.incoming.socket);
      return true;
    });
    await listening(server, async (origin) => {
      const session = await open(origin, { timeoutMs: 100 });
      await assert.rejects(session.call("a"), /timed out/);
      await closed(hung[0]);
      assert.deepEqual(session.recorder.ends, []);
      await session.session.close();
    });
  });

  test("[GTW-4] a session that is never answered is given up with its signal", async () => {
    const server = createRawServer((socket) => void socket.resume());
    await listening(server, async (origin, sockets) => {
      const stop = new AbortController();
      const opening = Session.open(http({ url: origin, versions: [VERSION] }), {
        signal: stop.signal,
      });
      setTimeout(() => stop.abort(new UpstreamError("timeout")), 100);
      assert.equal((await failure(opening)).kind, "timeout");
      await closed(sockets[0]);
    });
  });

  test("[GTW-2] a body that is small only while it is compressed is cut off", async () => {
    const bomb = gzipSync(new Uint8Array(64 * MIB).fill(0x20));
    const server = upstream((got) => {
      if (!isCall(got)) return false;
      const headers = {
        "content-type": "application/json",
        "content-encoding": "gzip",
        "content-length": bomb.length,
      };
      got.outgoing.writeHead(200, headers).end(bomb);
      return true;
    });
    await listening(server, async (origin) => {
      const session = await open(origin);
      const { kind, message } = await failure(session.call("a"));
      assert.equal(kind, "protocol");
      assert.match(message, /16 MiB/);
    });
  });

  test("[GTW-4] the body of an error is read to a bound, and its connection is closed", async () => {
    const server = upstream(({ outgoing }) => {
      outgoing.writeHead(401, { "content-type": "application/json" });
      outgoing.write("x".repeat(100_000));
      return true;
    });
    await listening(server, async (origin, sockets) => {
      assert.equal((await failure(open(origin))).kind, "unauthorized");
      await closed(sockets[0]);
    });
  });

  test("[GTW-3] closing a session closes the connections of its streams", async () => {
    const streams: Socket[] = [];
    const server = upstream((got) => {
      const { incoming, outgoing } = got;
      if (incoming.method !== "GET" && !isCall(got)) return false;
      streams.push(incoming.socket);
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).write(": open\n\n");
      return true;
    });
    await listening(server, async (origin) => {
      const session = await open(origin);
      const failed = failure(session.call("a"));
      await session.recorder.until(() => streams.length === 2, "both streams");
      await session.session.close();
      assert.equal((await failed).kind, "closed");
      await Promise.all(streams.map(closed));
    });
  });

  test("[GTW-8] a stream that goes on after its answer is closed", async () => {
    const streams: Socket[] = [];
    const server = upstream((got) => {
      if (!isCall(got)) return false;
      const { message: { id }, incoming, outgoing } = got;
      streams.push(incoming.socket);
      const answer = { jsonrpc: "2.0", id, result: { content: [{ type: "text", text: "1" }] } };
      outgoing.writeHead(200, { "content-type": "text/event-stream" });
      outgoing.write(`data: ${JSON.stringify(answer)}\n\n`);
      return true;
    });
    await listening(server, async (origin) => {
      const session = await open(origin);
      assert.equal(textOf(await session.call("a")), "1");
      await closed(streams[0]);
      assert.equal(streams.length, 1);
      await session.session.close();
    });
  });
});

describe("answers that can't be used", () => {
  /** Runs with a server that gets each connection once a request begins on it. */
  function answering(
    answer: (socket: Socket, count: number) => void,
    work: (origin: string) => Promise<void>,
  ): Promise<void> {
    let count = 0;
    const server = createRawServer((socket) =>
      // A body may come by itself.
      socket.on("data", (data) => String(data).includes(" HTTP/1.1\r\n") && answer(socket, ++count))
    );
    return listening(server, work);
  }

  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  const stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
  const answers: readonly (readonly [string, string])[] = [
    ["no HTTP", "hush hush\r\n\r\n"],
    ["another protocol", "HTTP/1.1 101 Switching\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n"],
    ["endless headers", `HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(2 * MIB)}\r\n\r\n`],
    ["a chunk without a length", `${stream}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
    ["nothing", ""],
    ["half of its headers", head],
    ["half of a declared body", `${head}content-length: 10\r\n\r\n{`],
    ["half of its chunks", `${head}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n`],
    ["half of its events", `${stream}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n`],
  ];
  for (const [what, said] of answers) {
    test(`[GTW-4] ${what}`, () =>
      answering((socket) => socket.end(said), async (origin) => {
        const { kind, message } = await failure(open(origin));
        assert.match(kind, /^(?:closed|protocol)$/);
        assert.doesNotMatch(message, /hush/);
      }));
  }

  test("[GTW-4] a status that doesn't exist", () =>
    answering(
      (socket) => socket.end("HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nno"),
      async (origin) => {
        assert.match((await failure(open(origin))).kind, /^(?:closed|protocol|upstream)$/);
      },
    ));

  test("[GTW-1, GTW-4] what follows a 101 is no answer to the next request", () => {
    const answer = (socket: Socket, body: object) => {
      const text = JSON.stringify({ jsonrpc: "2.0", ...body });
      socket.write(`${head}content-length: ${text.length}\r\n\r\n${text}`);
    };
    const info = { protocolVersion: VERSION, capabilities: {} };
    return answering((socket, count) => {
      if (count > 1) {
        const result = { ...info, serverInfo: { name: "yours", version: "1" } };
        return answer(socket, { id: 1, result });
      }
      socket.write("HTTP/1.1 101 Switching\r\nupgrade: a\r\n\r\n");
      const result = { ...info, serverInfo: { name: "another's", version: "1" } };
      setTimeout(() => answer(socket, { id: 1, result }), 30);
    }, async (origin) => {
      await failure(open(origin));
      for (let n = 0; n < 3; n++) {
        const { session } = await open(origin);
        assert.equal(session.facts.serverInfo.name, "yours");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
  });

  test("[GTW-4] a call is not sent again when its connection breaks", {
    skip: "Deno" in globalThis ? "its fetch sends a request again on a new connection" : false,
  }, async () => {
    let calls = 0;
    const server = upstream((got) => {
      if (!isCall(got)) return false;
      calls++;
      got.incoming.socket.destroy();
      return true;
    });
    await listening(server, async (origin) => {
      const session = await open(origin);
      assert.equal((await failure(session.call("a"))).kind, "closed");
      assert.equal(calls, 1);
    });
  });
});
