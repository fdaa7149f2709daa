/**
 * `toNodeHandler` with handlers made for the purpose, on a server of `node:http`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { describe, test } from "node:test";
import { type FetchHandler, fromNode, toNodeHandler } from "../../src/adapters/node.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { chunk, RawConnection, requestText } from "./raw.ts";

// As they were before any handler was made.
const { Request: OwnRequest, Response: OwnResponse } = globalThis;

type Mount = (
  handler: FetchHandler,
) => (incoming: IncomingMessage, outgoing: ServerResponse) => void;

/** Runs a test's body with a server around a handler. Whatever is written to the console fails it. */
async function withServer(
  handler: FetchHandler,
  body: (connect: () => Promise<RawConnection>) => Promise<void>,
  mount: Mount = toNodeHandler,
): Promise<void> {
  const written: unknown[] = [];
  const { error, info, warn, log } = console;
  const write = (...values: unknown[]) => void written.push(...values);
  Object.assign(console, { error: write, info: write, warn: write, log: write });
  const server = createServer(mount(handler));
  const connections: RawConnection[] = [];
  try {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    await body(async () => {
      const connection = await RawConnection.open(address.port);
      connections.push(connection);
      return connection;
    });
  } finally {
    for (const connection of connections) connection.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    Object.assign(console, { error, info, warn, log });
  }
  assert.deepEqual(written, []);
}

/** A promise that must resolve soon. */
async function soon<T>(promise: Promise<T>, ms = 1_000): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`Nothing happened in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

const ok: FetchHandler = async (request) => Response.json({ path: new URL(request.url).pathname });
const sse = { headers: { "content-type": "text/event-stream" } };
const encoder = new TextEncoder();

/** The forms that a handler answers in: a response, or data as the handlers of `createMcpHandler`. */
const FORMS: Readonly<Record<string, (handler: FetchHandler) => FetchHandler>> = {
  "a response": (handler) => handler,
  "a reply": (handler) => {
    const fetch: FetchHandler = (request, context) => handler(request, context);
    const reply: FetchHandler["reply"] = async (request, context) => {
      const { status, headers, body } = await handler(request as Request, context); // they read what both have
      const text = body && await new OwnResponse(body).text();
      return { kind: "reply", status, headers: Object.fromEntries(headers), body: text };
    };
    return Object.assign(fetch, { fetch, reply });
  },
};

describe("toNodeHandler: connections", () => {
  test("a client that goes away cancels the stream and aborts the request, at once", () => {
    const cancelled = Promise.withResolvers<unknown>();
    const aborted = Promise.withResolvers<void>();
    const handler: FetchHandler = async ({ signal }) => {
      signal.addEventListener("abort", () => aborted.resolve());
      const start = (controller: ReadableStreamDefaultController<Uint8Array>) =>
        controller.enqueue(encoder.encode("data: first\n\n"));
      return new Response(new ReadableStream({ start, cancel: cancelled.resolve }), sse);
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      await connection.until("first");
      connection.destroy();
      assert.ok(await soon(cancelled.promise) instanceof Error);
      await soon(aborted.promise);
    });
  });

  test("a client that goes away before the answer aborts the request and cancels the late stream", () => {
    const cancelled = Promise.withResolvers<unknown>();
    const called = Promise.withResolvers<void>();
    const handler: FetchHandler = async ({ signal }) => {
      called.resolve();
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return new Response(new ReadableStream({ cancel: cancelled.resolve }), sse);
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", {}, "{}"));
      await called.promise;
      connection.destroy();
      await soon(cancelled.promise);
    });
  });

  test("a whole answer aborts nothing", () => {
    let aborted = false;
    const handler: FetchHandler = async (request) => {
      request.signal.addEventListener("abort", () => aborted = true);
      return ok(request);
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      for (let i = 0; i < 2; i++) {
        await connection.write(requestText("POST", {}, "{}"));
        await connection.until('"path":"/mcp"');
        connection.forget();
      }
      assert.equal(aborted, false);
    });
  });

  test("a stream that nobody reads is pulled no further than the buffers reach, then on", () => {
    const frame = encoder.encode(`data: ${"x".repeat(100_000)}\n\n`);
    const frames = 500;
    let pulled = 0;
    const ended = Promise.withResolvers<void>();
    const handler: FetchHandler = async () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (pulled++ < frames) return controller.enqueue(frame);
            controller.close();
            ended.resolve();
          },
        }, { highWaterMark: 0 }),
        sse,
      );
    return withServer(handler, async (connect) => {
      const connection = await connect();
      connection.pause();
      await connection.write(requestText("GET"));
      let before = -1;
      while (before !== pulled) {
        before = pulled;
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      // 50 MB are there to be had; what was taken lies in the system's socket buffers.
      assert.ok(pulled > 0 && pulled < 150, `${pulled} frames were pulled`);
      connection.resume();
      await soon(ended.promise, 5_000);
    });
  });

  test("requests that are sent without waiting are answered in their order", () => {
    const handler: FetchHandler = async (request) => {
      const text = await request.text();
      if (text === "1") await new Promise((resolve) => setTimeout(resolve, 50));
      return Response.json({ text });
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", {}, "1") + requestText("POST", {}, "2"));
      assert.match(await connection.until('"text":"2"'), /"text":"1"[^]*"text":"2"/);
    });
  });
});

describe("toNodeHandler: bodies", () => {
  const readers: Record<string, (request: Request) => Promise<string>> = {
    "text()": (request) => request.text(),
    "arrayBuffer()": async (request) => new TextDecoder().decode(await request.arrayBuffer()),
    "a reader": (request) => new Response(request.body).text(),
    "a clone's text()": (request) => request.clone().text(),
  };
  for (const [name, read] of Object.entries(readers)) {
    test(`a chunked body has no declared length and comes whole through ${name}`, () => {
      const handler: FetchHandler = async (request) => {
        const declared = request.headers.get("content-length");
        return Response.json({ declared, text: await read(request) });
      };
      return withServer(handler, async (connect) => {
        const connection = await connect();
        await connection.write(requestText("POST", CHUNKED, chunk("in ")));
        await new Promise((resolve) => setTimeout(resolve, 20));
        await connection.write(chunk("pieces") + "0\r\n\r\n");
        await connection.until('{"declared":null,"text":"in pieces"}');
      });
    });
  }

  for (const [form, answering] of Object.entries(FORMS)) {
    test(`[GATE-8] ${form} while the body is still being sent arrives, and ends the connection`, () => {
      const handler: FetchHandler = async (request) => {
        const reader = request.body?.getReader();
        await reader?.read();
        await reader?.cancel();
        return Response.json({ refused: true }, { status: 413 });
      };
      return withServer(answering(handler), async (connect) => {
        const connection = await connect();
        await connection.write(requestText("POST", CHUNKED));
        const piece = chunk("x".repeat(60_000));
        for (let i = 0; i < 40 && !connection.closed; i++) await connection.write(piece);
        const answer = await connection.until('{"refused":true}');
        assert.match(answer, /^HTTP\/1\.1 413 /);
        assert.match(answer, /connection: close/i);
        await connection.untilClosed();
        assert.equal(connection.text.split("HTTP/1.1").length, 2);
      });
    });

    for (const half of [false, true]) {
      const read = half ? "half read" : "unread";
      test(`[GATE-8] ${form} to an ${read} body reaches a client that sends it all before it reads`, () => {
        const handler: FetchHandler = async (request) => {
          if (half) {
            const reader = request.body?.getReader();
            await reader?.read();
            await reader?.cancel();
          }
          return Response.json({ refused: true }, { status: 413 });
        };
        return withServer(answering(handler), async (connect) => {
          const connection = await connect();
          connection.pause();
          await connection.write(requestText("POST", { "content-length": "3000000" }, ""));
          for (let i = 0; i < 20 && !connection.closed; i++) {
            await connection.write("x".repeat(150_000));
            await new Promise((resolve) => setTimeout(resolve, 5));
          }
          connection.resume();
          await connection.until('{"refused":true}');
          // All of it was swallowed, so nothing had to be waited for.
          await connection.untilClosed(300);
        });
      });
    }
  }

  test("an answer to a body that was not read leaves the connection to the next request", () => {
    const handler: FetchHandler = async (request) =>
      request.headers.has("x-refuse") ? new Response(null, { status: 403 }) : ok(request);
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", { "x-refuse": "1" }, "x".repeat(5_000)));
      await connection.until(/^HTTP\/1\.1 403 /);
      connection.forget();
      await connection.write(requestText("POST", {}, "{}"));
      await connection.until(/^HTTP\/1\.1 200 [^]*"path":"\/mcp"/);
      // Past the time that a swallowed rest would be given.
      await new Promise((resolve) => setTimeout(resolve, 700));
      assert.equal(connection.closed, false);
    });
  });

  test("a client that goes away while it sends its body makes reading it fail", () => {
    const failed = Promise.withResolvers<unknown>();
    const handler: FetchHandler = async (request) => {
      await request.text().catch(failed.resolve);
      return ok(request);
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", { "content-length": "100" }, "{"));
      await new Promise((resolve) => setTimeout(resolve, 50));
      connection.destroy();
      assert.ok(await soon(failed.promise) instanceof Error);
    });
  });
});

const CHUNKED = { "transfer-encoding": "chunked" };

describe("toNodeHandler: what is around a handler", () => {
  const handler = createMcpHandler(new McpServer({ name: "guarded", version: "1.0.0" }));
  const refuse: FetchHandler = async () => new Response("guarded", { status: 403 });
  const guards: Readonly<Record<string, FetchHandler>> = {
    "a function with the handler's members": Object.assign(refuse, handler),
    "a proxy of the handler": new Proxy(handler, { apply: () => refuse(new Request("http://x")) }),
  };
  for (const [what, guarded] of Object.entries(guards)) {
    test(`[AUTH-1] ${what} is asked about every request`, () =>
      withServer(guarded, async (connect) => {
        const connection = await connect();
        await connection.write(requestText("DELETE"));
        await connection.until("guarded");
        assert.match(connection.text, /^HTTP\/1\.1 403 /);
      }));
  }
});

describe("toNodeHandler: requests and responses", () => {
  test("[GATE-3] the Host header is there as it was sent, whatever the request line says", () => {
    const handler: FetchHandler = async (request) =>
      Response.json({ host: request.headers.get("host") });
    const absolute = "GET http://localhost/mcp HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    const twice = "GET /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n";
    return withServer(handler, async (connect) => {
      for (
        const [text, host] of [
          [requestText("GET", { host: "evil.example" }), "evil.example"],
          [absolute, "evil.example"],
          [twice, "localhost, evil.example"],
        ] as const
      ) {
        const connection = await connect();
        await connection.write(text);
        await connection.until(`{"host":"${host}"}`);
      }
    });
  });

  test("what is no proper request gets a 400 and never reaches the handler", () => {
    let called = 0;
    const handler: FetchHandler = async (request) => {
      called++;
      return ok(request);
    };
    const post = "POST /mcp HTTP/1.1\r\nHost: localhost\r\n";
    return withServer(handler, async (connect) => {
      for (
        const text of [
          "nonsense\r\n\r\n",
          "GET /mcp HTTP/1.1\r\n\r\n",
          "GET /mcp HTTP/1.0\r\n\r\n",
          "GET /mcp HTTP/1.1\r\nHost: a/b@c\r\n\r\n",
          `${post}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`,
          `${post}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
          `${post}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
          `${post}Content-Length : 5\r\n\r\nhello`,
          `${post}X-A: b\nX-Forged: c\r\n\r\n`,
        ]
      ) {
        const connection = await connect();
        await connection.write(text);
        await connection.until(/^HTTP\/1\.1 400 /);
      }
      assert.equal(called, 0);
    });
  });

  test("a handler that throws or rejects gets a 500 that tells nothing", () => {
    const handler: FetchHandler = (request) => {
      if (request.method === "GET") throw new Error("secret");
      return Promise.reject(new Error("secret"));
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      for (const text of [requestText("GET"), requestText("POST", {}, "{}")]) {
        await connection.write(text);
        const answer = await connection.until('"message":"Internal error"');
        assert.match(answer, /^HTTP\/1\.1 500 /);
        assert.doesNotMatch(answer, /secret/);
        connection.forget();
      }
    });
  });

  test("a stream that fails ends the connection, so that a part is not taken for the whole", () => {
    let pulls = 0;
    const handler: FetchHandler = async () =>
      new Response(
        new ReadableStream({
          pull(controller) {
            if (pulls++ === 0) controller.enqueue(encoder.encode("data: first\n\n"));
            else controller.error(new Error("secret"));
          },
        }),
        sse,
      );
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      const answer = await connection.untilClosed();
      assert.doesNotMatch(answer, /secret/);
      assert.doesNotMatch(answer, /\r\n0\r\n/);
    });
  });

  test("a header that Node can't send gets a 500 or a closed connection", () => {
    const handler: FetchHandler = async () =>
      new Response("{}", { headers: { "x-odd": "a\u0001b" } });
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      await connection.until(/^HTTP\/1\.1 500 /).catch(() => connection.untilClosed(1));
    });
  });

  test("a stream's headers are sent before its first byte", () => {
    const handler: FetchHandler = async () => new Response(new ReadableStream(), sse);
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      await connection.until(/content-type: text\/event-stream[^]*\r\n\r\n/i);
    });
  });

  test("JSON is sent with its length, and an empty answer without a body", () => {
    const handler: FetchHandler = async ({ method }) =>
      method === "GET" ? Response.json("ä") : new Response(null, { status: 202 });
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      assert.match(await connection.until('"ä"'), /content-length: 4\r\n/i);
      connection.forget();
      await connection.write(requestText("POST", {}, "{}") + requestText("GET"));
      assert.match(await connection.until('"ä"'), /^HTTP\/1\.1 202 [^]*HTTP\/1\.1 200 /);
    });
  });

  test("several cookies stay several headers, beside what the framework has set", () => {
    const handler: FetchHandler = async () => {
      const headers = new Headers({ "x-mine": "1" });
      headers.append("set-cookie", "a=1");
      headers.append("set-cookie", "b=2");
      return new Response(null, { headers });
    };
    const mount: Mount = (inner) => {
      const listener = toNodeHandler(inner);
      return (incoming, outgoing) => {
        outgoing.setHeader("x-framework", "1");
        listener(incoming, outgoing);
      };
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      const answer = await connection.until("\r\n\r\n");
      for (const line of ["set-cookie: a=1", "set-cookie: b=2", "x-mine: 1", "x-framework: 1"]) {
        assert.ok(answer.toLowerCase().includes(`${line}\r\n`), answer);
      }
    }, mount);
  });

  test("[HOST-1] middleware that wraps writeHead finds no array, which some take for pairs", () => {
    const given: unknown[] = [];
    const mount: Mount = (inner) => {
      const listener = toNodeHandler(inner);
      return (incoming, outgoing) => {
        const writeHead = outgoing.writeHead.bind(outgoing) as (...args: unknown[]) => never;
        outgoing.writeHead = (...args: unknown[]) => {
          given.push(...args);
          return writeHead(...args);
        };
        listener(incoming, outgoing);
      };
    };
    return withServer(ok, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", {}, "{}"));
      await connection.until('"path":"/mcp"');
      assert.ok(given.length > 1 && !given.some(Array.isArray));
    }, mount);
  });

  test("the globals stay the runtime's own, and the context is Node's request and response", () => {
    let context: unknown;
    const handler: FetchHandler = async (request, given) => {
      context = given;
      return ok(request);
    };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("GET"));
      await connection.until('"path":"/mcp"');
      assert.equal(globalThis.Request, OwnRequest);
      assert.equal(globalThis.Response, OwnResponse);
      assert.ok(typeof context === "object" && context !== null);
      assert.deepEqual(Object.keys(context), ["incoming", "outgoing"]);
    });
  });
});

/** What frameworks put on Node's request. */
interface FrameworkRequest extends IncomingMessage {
  body?: unknown;
  rawBody?: unknown;
  baseUrl?: string;
  originalUrl?: string;
  auth?: { readonly userId: string };
}

/** Reads the whole body as a body parser does, keeps what `parse` makes of it, and then runs the handler. */
function parsedBy(parse: (incoming: FrameworkRequest, bytes: Buffer) => void): Mount {
  return (inner) => {
    const listener = toNodeHandler(inner);
    return (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        parse(incoming, Buffer.concat(chunks));
        listener(incoming, outgoing);
      });
    };
  };
}

const ping = (id: string): string =>
  JSON.stringify({ jsonrpc: "2.0", id, method: "ping" }, undefined, 1);

describe("toNodeHandler: behind a framework's body parser", () => {
  const echo: FetchHandler = async (request) => Response.json({ text: await request.text() });
  const PARSERS: Readonly<Record<string, (incoming: FrameworkRequest, bytes: Buffer) => void>> = {
    "an object": (incoming, bytes) => incoming.body = JSON.parse(bytes.toString()),
    "a text": (incoming, bytes) => incoming.body = bytes.toString(),
    "bytes": (incoming, bytes) => incoming.body = bytes,
    "bytes of no buffer": (incoming, bytes) => incoming.body = new Uint8Array(bytes),
    "bytes beside an object": (incoming, bytes) => {
      incoming.body = { reviver: "has changed it" };
      incoming.rawBody = bytes;
    },
  };
  for (const [kept, parse] of Object.entries(PARSERS)) {
    test(`[HOST-1] a body that was read before and kept as ${kept} is used`, () =>
      withServer(echo, async (connect) => {
        const connection = await connect();
        await connection.write(requestText("POST", {}, '{"a": 1}'));
        await connection.until(/"text":"{\\"a\\": ?1}"/);
      }, parsedBy(parse)));

    test(`[HOST-1, GATE-8] a body that was read before and kept as ${kept} has the same limit`, () => {
      const server = new McpServer({ name: "limited", version: "1.0.0" });
      const handler = createMcpHandler(server, { sessions: false, limits: { bodyBytes: 100 } });
      return withServer(handler, async (connect) => {
        for (
          const [padding, status] of [["", 200], ["x".repeat(100), 413]] as const
        ) {
          const connection = await connect();
          // A replacement character, in a text whose length is not that of what was sent
          const body = ping(`\ufffd${padding}`);
          const type = { "content-type": "application/json", "host": "localhost" };
          await connection.write(requestText("POST", type, body));
          await connection.until(new RegExp(`^HTTP/1.1 ${status} `));
        }
      }, parsedBy(parse));
    });
  }

  test("[HOST-1] a body that was read before and not kept is refused with what to do", () => {
    const handler = createMcpHandler(new McpServer({ name: "late", version: "1.0.0" }));
    const circular: { self?: unknown } = {};
    circular.self = circular;
    return withServer(
      handler,
      async (connect) => {
        const connection = await connect();
        const type = { "content-type": "application/json", "host": "localhost" };
        await connection.write(requestText("POST", type, ping("1")));
        const answer = await connection.until('"error"');
        assert.match(answer, /^HTTP\/1\.1 400 /);
        assert.match(answer, /Mount the endpoint before/);
        connection.forget();
        await connection.write(requestText("POST", { ...type, "x-circular": "1" }, ping("1")));
        assert.match(await connection.until('"error"'), /^HTTP\/1\.1 400 /);
      },
      parsedBy((incoming) => {
        if ("x-circular" in incoming.headers) incoming.body = circular;
      }),
    );
  });

  test("[HOST-1] a body that nothing has read is read, whatever a parser has put there", () =>
    withServer(echo, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", {}, '{"a": 1}'));
      await connection.until('{"text":"{\\"a\\": 1}"}');
    }, (inner) => {
      const listener = toNodeHandler(inner);
      return (incoming, outgoing) => listener(Object.assign(incoming, { body: {} }), outgoing);
    }));

  test("[HOST-1] a request without a body is not affected by what a parser made of it", () => {
    const method: FetchHandler = async ({ method }) => Response.json({ method });
    return withServer(method, async (connect) => {
      const connection = await connect();
      for (const name of ["GET", "DELETE"]) {
        await connection.write(requestText(name));
        await connection.until(`{"method":"${name}"}`);
      }
    }, parsedBy((incoming) => incoming.body = {}));
  });
});

describe("toNodeHandler: below a path that a framework takes off", () => {
  type Rewritten = Pick<FrameworkRequest, "url" | "baseUrl" | "originalUrl">;
  const CASES: Readonly<Record<string, readonly [Rewritten, string]>> = {
    "app.use of Express": [
      { url: "/?a=1", baseUrl: "/api/mcp", originalUrl: "/api/mcp?a=1" },
      "/api/mcp/?a=1",
    ],
    "app.use of Connect": [{ url: "/", originalUrl: "/api/mcp" }, "/api/mcp"],
    "a URL that the app has replaced": [
      { url: "/mcp", baseUrl: "", originalUrl: "/v1/mcp" },
      "/mcp",
    ],
    "a URL with a host": [
      { url: "http://a.example/", baseUrl: "/mcp", originalUrl: "http://a.example/mcp" },
      "/mcp",
    ],
  };
  for (const [name, [rewritten, path]] of Object.entries(CASES)) {
    test(`[HOST-2] the request has the whole path: ${name}`, () => {
      const where: FetchHandler = async ({ url }, context) => {
        const { incoming } = context as { incoming: IncomingMessage };
        await Promise.resolve();
        const { pathname, search } = new URL(url);
        return Response.json({ path: pathname + search, given: incoming.url });
      };
      const mount: Mount = (inner) => {
        const listener = toNodeHandler(inner);
        return (incoming, outgoing) => listener(Object.assign(incoming, rewritten), outgoing);
      };
      return withServer(where, async (connect) => {
        const connection = await connect();
        await connection.write(requestText("GET"));
        // The framework gets its own URL back.
        await connection.until(JSON.stringify({ path, given: rewritten.url }));
      }, mount);
    });
  }
});

describe("fromNode", () => {
  const signedIn = fromNode((incoming: FrameworkRequest) =>
    incoming.auth && { id: incoming.auth.userId }
  );

  test("[HOST-4] the principal is the one that the app has authenticated; without one: 401", () => {
    const server = new McpServer({ name: "app", version: "1.0.0" });
    server.registerTool("whoami", {}, (_args, ctx) => `You are ${ctx.principal.id}`);
    const handler = createMcpHandler(server, { authenticate: signedIn, sessions: false });
    const mount: Mount = (inner) => {
      const listener = toNodeHandler(inner);
      return (incoming: FrameworkRequest, outgoing) => {
        const { "x-user": userId } = incoming.headers;
        if (typeof userId === "string") incoming.auth = { userId };
        listener(incoming, outgoing);
      };
    };
    const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}';
    const type = { "content-type": "application/json", "host": "localhost" };
    return withServer(handler, async (connect) => {
      const connection = await connect();
      await connection.write(requestText("POST", { ...type, "x-user": "ada" }, call));
      await connection.until("You are ada");
      connection.forget();
      await connection.write(requestText("POST", type, call));
      await connection.until(/^HTTP\/1\.1 401 /);
    }, mount);
  });

  test("[HOST-4] says how to mount the handler, and what to give", () => {
    const request = new OwnRequest("http://localhost/mcp");
    for (const context of [undefined, null, {}, { incoming: 1 }]) {
      assert.throws(() => signedIn(request, context), /toNodeHandler\(\)/);
    }
    // @ts-expect-error A function is required
    assert.throws(() => fromNode(), TypeError);
  });
});
