/**
 * Requests of `node:http` as an endpoint reads them, without a `Request`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage } from "node:http";
import { describe, test } from "node:test";
import { type FetchHandler, toNodeHandler } from "../../src/adapters/node.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { HostRequest } from "../../src/http/inbound.ts";
import { jsonReply, type Reply } from "../../src/http/reply.ts";
import { McpServer } from "../../src/server/server.ts";
import { chunk, RawConnection, requestText } from "./raw.ts";

const CHUNKED = { "transfer-encoding": "chunked" };

/** Makes what `toNodeHandler` takes for a handler of `createMcpHandler`. */
function answering(reply: (request: HostRequest) => Promise<Reply>): FetchHandler {
  const fetch: FetchHandler = () => assert.fail("A Response was asked for");
  return Object.assign(fetch, {
    fetch,
    reply: (request: Request | HostRequest) => {
      assert.ok("toRequest" in request);
      return reply(request);
    },
  });
}

/** Answers with what a request's text is when read. */
const echo = answering(async (request) => {
  const text = await request.text().catch((error: Error) => `Failed: ${error.name}`);
  return jsonReply(JSON.stringify({ text }));
});

/** Runs a test's body with a connection to a server. */
async function connected(
  handler: FetchHandler,
  body: (connection: RawConnection) => Promise<void>,
  before: (incoming: IncomingMessage) => void = () => {},
): Promise<void> {
  const listener = toNodeHandler(handler);
  const server = createServer((incoming, outgoing) => {
    before(incoming);
    listener(incoming, outgoing);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  const connection = await RawConnection.open(address.port);
  try {
    await body(connection);
  } finally {
    connection.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("requests of node:http: headers", () => {
  const shown = answering(async ({ url, headers }) => {
    const [host, type] = [headers.get("Host"), headers.get("Content-Type")];
    const odd = [headers.get("constructor"), headers.has("toString"), headers.get("x-twice")];
    return jsonReply(JSON.stringify({ url, host, type, odd }));
  });

  test("[GATE-3] a header that was sent twice has both values, also where Node keeps the first", () =>
    connected(shown, async (connection) => {
      await connection.write(
        "GET /mcp?a=1 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nX-Twice: 1\r\n" +
          "Content-Type: text/plain\r\nX-Twice: 2\r\nContent-Type: application/json\r\n\r\n",
      );
      await connection.until("}");
      const answer = JSON.parse(connection.text.split("\r\n\r\n")[1] ?? "");
      assert.deepEqual(answer, {
        url: "http://localhost/mcp?a=1",
        host: "localhost, evil.example",
        type: "text/plain, application/json",
        odd: [null, false, "1, 2"],
      });
    }));

  test("[GATE-3] a handler refuses a request with two Host headers", () => {
    const handler = createMcpHandler(new McpServer({ name: "a", version: "1" }), {
      allowedHosts: ["localhost"],
    });
    return connected(handler, async (connection) => {
      await connection.write("GET /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n");
      await connection.until(/^HTTP\/1\.1 403 /);
    });
  });

  test("what is no proper request gets a 400 and never reaches the handler", async () => {
    let called = 0;
    const counting = answering(async () => {
      called++;
      return jsonReply("{}");
    });
    for (
      const text of [
        "GET /mcp HTTP/1.0\r\n\r\n",
        "GET /mcp HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
        "GET /mcp HTTP/1.1\r\nHost: a b\r\n\r\n",
        "GET /mcp HTTP/1.1\r\nHost: good.example@evil.example\r\n\r\n",
        "GET /\\mcp HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET http://localhost\\mcp HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
      ]
    ) {
      await connected(counting, async (connection) => {
        await connection.write(text);
        await connection.until(/^HTTP\/1\.1 400 /);
      });
    }
    assert.equal(called, 0);
  });

  test("dot segments and other characters are put right as a URL has them", async () => {
    const target = answering(async ({ url }) => jsonReply(JSON.stringify({ url })));
    for (
      const [sent, url] of [
        ["/a/../mcp", "http://localhost/mcp"],
        ["/a/%2e%2e/mcp", "http://localhost/mcp"],
        ["/mcp?q=\"'", "http://localhost/mcp?q=%22%27"],
        ["http://other.example/mcp", "http://other.example/mcp"],
      ] as const
    ) {
      await connected(target, async (connection) => {
        await connection.write(`GET ${sent} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
        await connection.until(`"url":"${url}"`);
      });
    }
  });
});

describe("requests of node:http: what an application gets", () => {
  test("[AUTH-1] [GATE-11] a Request with all headers but those with an underscore, made once", async () => {
    const seen: Request[] = [];
    const handler = createMcpHandler(new McpServer({ name: "a", version: "1" }), {
      rateLimit: {
        check(request) {
          seen.push(request);
          return { allowed: true };
        },
      },
      authenticate(request) {
        seen.push(request);
        return { id: "ada" };
      },
    });
    await connected(handler, async (connection) => {
      const headers = {
        authorization: "Bearer one",
        "x_user": "root",
        "x-user": "ada",
        "mcp-param-a_b": "1",
        "x-dropped": "1",
      };
      await connection.write(
        requestText("DELETE", headers).replace("\r\n\r\n", "\r\nauthorization: Bearer 3\r\n\r\n"),
      );
      await connection.until(/^HTTP\/1\.1 400 /);
    }, (incoming) => {
      delete incoming.headers["x-dropped"];
    });
    const [first, second] = seen;
    assert.ok(first instanceof Request && first === second);
    assert.equal(first.method, "DELETE");
    assert.equal(new URL(first.url).pathname, "/mcp");
    const names = [...first.headers.keys()];
    assert.ok(!names.includes("x_user") && !names.includes("x-dropped"));
    assert.equal(first.headers.get("x-user"), "ada");
    assert.equal(first.headers.get("mcp-param-a_b"), "1");
    assert.match(first.headers.get("authorization") ?? "", /Bearer one.*, .*Bearer 3$/);
    assert.equal(new Request(first).headers.get("x-user"), "ada");
  });

  test("[CAN-6] a signal that aborts when the client goes away, and not after a whole answer", async () => {
    const signals: AbortSignal[] = [];
    const gone = Promise.withResolvers<void>();
    const reached = Promise.withResolvers<void>();
    const handler = answering(async (request) => {
      const { signal } = request.toRequest();
      assert.equal(signal, request.signal);
      signals.push(signal);
      if (signals.length === 1) return jsonReply("{}");
      signal.addEventListener("abort", () => gone.resolve());
      reached.resolve();
      await gone.promise;
      return jsonReply("{}");
    });
    await connected(handler, async (connection) => {
      await connection.write(requestText("GET"));
      await connection.until("{}");
      await connection.write(requestText("GET"));
      await reached.promise;
      connection.destroy();
      await gone.promise;
    });
    assert.deepEqual(signals.map(({ aborted }) => aborted), [false, true]);
  });
});

describe("requests of node:http: bodies", () => {
  test("[GATE-9] text is decoded as `Request.text()` decodes it", async () => {
    const bytes: Record<string, readonly number[]> = {
      mark: [0xef, 0xbb, 0xbf, 0x61],
      invalid: [0x61, 0xff, 0xe2, 0x82, 0x62],
      surrogate: [0xed, 0xa0, 0x80],
      none: [],
    };
    for (const [name, body] of Object.entries(bytes)) {
      const text = await new Response(new Uint8Array(body)).text();
      await connected(echo, async (connection) => {
        const head = requestText("POST", { "content-length": String(body.length) }, "");
        await connection.write(head.slice(0, head.indexOf("\r\n\r\n") + 4));
        await connection.write(Buffer.from(body));
        await connection.until(JSON.stringify({ text }));
      }).catch((error) => assert.fail(`${name}: ${error}`));
    }
  });

  test("a body in pieces comes whole, as text and as a stream", async () => {
    const streamed = answering(async ({ body }) =>
      jsonReply(JSON.stringify({ text: await new Response(body).text() }))
    );
    for (const handler of [echo, streamed]) {
      await connected(handler, async (connection) => {
        await connection.write(requestText("POST", CHUNKED, chunk("in ")));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await connection.write(chunk("pieces") + "0\r\n\r\n");
        await connection.until('{"text":"in pieces"}');
      });
    }
  });

  test("[GATE-8] a stream is read as fast as it is pulled", async () => {
    const paused = Promise.withResolvers<boolean>();
    const handler = answering(async (request) => {
      const reader = request.body?.getReader();
      let bytes = (await reader?.read())?.value?.byteLength ?? 0;
      // Nobody reads: what has arrived stays in the socket.
      await new Promise((resolve) => setTimeout(resolve, 100));
      paused.resolve(incomingOf?.isPaused() ?? false);
      for (;;) {
        const { done, value } = await reader?.read() ?? { done: true };
        if (done) return jsonReply(JSON.stringify({ bytes }));
        bytes += value?.byteLength ?? 0;
      }
    });
    let incomingOf: IncomingMessage | undefined;
    await connected(handler, async (connection) => {
      await connection.write(requestText("POST", CHUNKED));
      for (let i = 0; i < 20; i++) await connection.write(chunk("x".repeat(50_000)));
      await connection.write("0\r\n\r\n");
      await connection.until('{"bytes":1000000}');
    }, (incoming) => {
      incomingOf = incoming;
    });
    assert.equal(await paused.promise, true);
  });

  for (const event of ["data", "end"]) {
    test(`[GATE-8] a body of which something has read a part or all is refused (${event})`, async () => {
      const listener = toNodeHandler(createMcpHandler(new McpServer({ name: "a", version: "1" })));
      const server = createServer((incoming, outgoing) => {
        incoming.once(event, () => listener(incoming, outgoing));
        incoming.resume();
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const connection = await RawConnection.open(address.port);
      try {
        const headers = { "content-type": "application/json", "content-length": "4" };
        await connection.write(
          requestText("POST", headers, "").replace(/\r\n\r\n[^]*/, "\r\n\r\n{}"),
        );
        await new Promise((resolve) => setTimeout(resolve, 50));
        await connection.write("{}");
        await connection.until(/^HTTP\/1\.1 400 [^]*Mount the endpoint before/);
      } finally {
        connection.destroy();
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
    });
  }

  test("a body that breaks off can't be read", async () => {
    const failed = Promise.withResolvers<unknown>();
    const breaking = answering(async (request) => {
      await request.text().catch(failed.resolve);
      return jsonReply("{}");
    });
    await connected(breaking, async (connection) => {
      await connection.write(requestText("POST", { "content-length": "100" }, "{"));
      await new Promise((resolve) => setTimeout(resolve, 50));
      connection.destroy();
      assert.ok(await failed.promise instanceof Error);
    });
  });

  test("a body that a platform has read into rawBody is taken from there", () =>
    connected(
      echo,
      async (connection) => {
        await connection.write(requestText("POST", {}, "lost"));
        await connection.until('{"text":"kept"}');
      },
      (incoming) => Object.assign(incoming, { rawBody: Buffer.from("kept") }),
    ));
});
