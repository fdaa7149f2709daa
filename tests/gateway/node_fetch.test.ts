import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createRawServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import process from "node:process";
import { describe, test } from "node:test";
import tls from "node:tls";
import { gzipSync } from "node:zlib";
import type { Fetch } from "../../src/gateway/http_auth.ts";
import { checkHttpOptions } from "../../src/gateway/http_options.ts";
import { type ConnectionLimits, makeNodeFetch } from "../../src/gateway/node_fetch.ts";
import { fetchError, UpstreamError } from "../../src/gateway/upstream_error.ts";

const isNode = !("Deno" in globalThis || "Bun" in globalThis);

const MIB = 1024 * 1024;

/** Runs with a server on a port of its own, of which nothing is left afterwards. */
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
    await work(`127.0.0.1:${address.port}`, sockets);
  } finally {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** Runs with a server that answers requests. */
function serving(
  answer: RequestListener,
  work: (origin: string, sockets: readonly Socket[]) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  // Who is asked lets go of nothing by itself.
  server.keepAliveTimeout = 0;
  return listening(server, (origin, sockets) => work(`http://${origin}`, sockets));
}

/** Runs with a server that is given each connection once a request begins on it. */
function answering(
  answer: (socket: Socket, count: number) => void,
  work: (origin: string) => Promise<void>,
): Promise<void> {
  let count = 0;
  const server = createRawServer((socket) =>
    // A body may come by itself.
    socket.on("data", (data) => String(data).includes(" HTTP/1.1\r\n") && answer(socket, ++count))
  );
  return listening(server, (origin) => work(`http://${origin}`));
}

/** Waits until the last connection is closed. */
async function gone(sockets: readonly Socket[]): Promise<Socket> {
  const socket = sockets.at(-1);
  assert.ok(socket);
  if (!socket.destroyed) await new Promise((resolve) => socket.once("close", resolve));
  return socket;
}

/** Sends requests, and nothing by `fetch`. */
function alone(limits?: Partial<ConnectionLimits>): Fetch {
  return makeNodeFetch(limits, () => assert.fail("It was left to `fetch`"));
}

function post(body: string, own: RequestInit = {}): RequestInit {
  const headers = { accept: "application/json", "content-type": "application/json" };
  return { method: "POST", headers, redirect: "manual", body, ...own };
}

const GET: RequestInit = { method: "GET", headers: {}, redirect: "manual" };

async function text(incoming: IncomingMessage): Promise<string> {
  let all = "";
  for await (const chunk of incoming.setEncoding("utf8")) all += chunk;
  return all;
}

/** Reads one chunk as text, or to the end. */
async function chunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<string | undefined> {
  const { done, value } = await reader.read();
  return done ? undefined : new TextDecoder().decode(value);
}

function readerOf({ body }: Response): ReadableStreamDefaultReader<Uint8Array> {
  assert.ok(body !== null);
  return body.getReader();
}

/** How a request's failure is sorted. */
async function failure(work: Promise<unknown>): Promise<UpstreamError> {
  try {
    await work;
  } catch (error) {
    return fetchError(error, "http://upstream.example");
  }
  throw new Error("It did not fail");
}

describe("requests and answers", () => {
  test("[GTW-4] a request arrives as it was given, and its answer as it was sent", () =>
    serving(async (incoming, outgoing) => {
      const { method, url, rawHeaders } = incoming;
      outgoing.writeHead(201, "Quite fine", {
        "x-twice": ["a", "b"],
        "set-cookie": ["c=1", "d=2"],
      });
      outgoing.end(JSON.stringify({ method, url, rawHeaders, body: await text(incoming) }));
    }, async (origin) => {
      const fetch = alone();
      const headers = new Headers({ "x-b": "2", "content-type": "text/x" });
      for (const own of [{}, { headers }]) {
        const response = await fetch(`${origin}/a%20b?c=d#e`, post('{"é":"\u{1f600}"}', own));
        assert.deepEqual([response.status, response.statusText], [201, "Quite fine"]);
        assert.equal(response.headers.get("x-twice"), "a, b");
        assert.deepEqual(response.headers.getSetCookie(), ["c=1", "d=2"]);
        const { rawHeaders, ...got } = await response.json();
        assert.deepEqual(got, { method: "POST", url: "/a%20b?c=d", body: '{"é":"\u{1f600}"}' });
        const sent = Object.fromEntries(
          rawHeaders.flatMap((each: string, at: number) =>
            at % 2 === 0 ? [[each.toLowerCase(), rawHeaders[at + 1]]] : []
          ),
        );
        assert.equal(rawHeaders.length, 2 * Object.keys(sent).length);
        assert.deepEqual(sent, {
          host: new URL(origin).host,
          connection: "keep-alive",
          "content-length": "13",
          "user-agent": "node",
          ...own.headers === undefined
            ? { accept: "application/json", "content-type": "application/json" }
            : { accept: "*/*", "content-type": "text/x", "x-b": "2" },
        });
      }
    }));

  test("[GTW-4] a body is what was sent: none, declared, in chunks, short or long", () =>
    serving((incoming, outgoing) => {
      const [, status = "", bytes = "", how] = incoming.url?.split("/") ?? [];
      const body = "x".repeat(Number(bytes));
      if (how === "declared") outgoing.setHeader("content-length", bytes);
      outgoing.writeHead(Number(status), { "content-type": "application/json" });
      if (how === "chunks") outgoing.write("");
      outgoing.write(body.slice(0, 10));
      outgoing.end(body.slice(10));
    }, async (origin) => {
      const fetch = alone();
      for (const status of [202, 204, 205, 304]) {
        const response = await fetch(`${origin}/${status}/0`, GET);
        assert.deepEqual([response.status, response.body], [status, null]);
        assert.equal(await response.text(), "");
      }
      for (const how of ["declared", "chunks"]) {
        for (const bytes of [0, 1, 11, 65_536, 65_537, 3 * MIB]) {
          const response = await fetch(`${origin}/200/${bytes}/${how}`, GET);
          assert.equal((await response.text()).length, bytes);
          assert.equal(response.bodyUsed, bytes > 0);
        }
      }
    }));

  const parts: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    events: { "content-type": "Text/Event-Stream; charset=utf-8" },
    "a long answer": { "content-length": "100000" },
  };
  for (const [what, headers] of Object.entries(parts)) {
    test(`[GTW-4] ${what} comes as it is sent, whatever has not been sent yet`, async () => {
      const { promise: got, resolve: next } = Promise.withResolvers<void>();
      await serving(async (_, outgoing) => {
        outgoing.writeHead(200, headers);
        outgoing.write("x".repeat(50_000));
        await got;
        outgoing.end("y".repeat(50_000));
      }, async (origin) => {
        const reader = readerOf(await alone()(origin, post("{}")));
        let all = "";
        for (let part = await chunk(reader); part !== undefined; part = await chunk(reader)) {
          all += part;
          next();
        }
        assert.equal(all, "x".repeat(50_000) + "y".repeat(50_000));
      });
    });
  }

  const loopback = Object.values(networkInterfaces()).flat();
  test("[GTW-4] an address of version 6 is one", {
    skip: loopback.some((each) => each?.address === "::1") ? false : "this machine has none",
  }, async () => {
    const server = createServer((incoming, outgoing) => void outgoing.end(incoming.headers.host));
    await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const host = `[::1]:${address.port}`;
    const response = await alone()(`http://${host}/`, { ...GET, headers: { accept: "a/b" } });
    assert.equal(await response.text(), host);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });

  test("[GTW-4] redirects are answers", () =>
    serving(
      (_, outgoing) => void outgoing.writeHead(307, { location: "/b" }).end(),
      async (origin) => {
        const { status, headers } = await alone()(origin, post("{}"));
        assert.deepEqual([status, headers.get("location")], [307, "/b"]);
      },
    ));

  test("[GTW-4] what isn't handled exactly is left to `fetch`", async () => {
    const left: RequestInit[] = [];
    const url = "http://upstream.example/mcp";
    const fetch = makeNodeFetch({}, async (_, init) => {
      left.push(init);
      return new Response(null);
    });
    const headers = { "content-type": "a/b" };
    const inits: RequestInit[] = [
      {},
      post("{}", { redirect: "follow" }),
      post("{}", { redirect: undefined }),
      post("{}", { method: "PUT" }),
      post("{}", { method: "post" }),
      post("{}", { method: "DELETE" }),
      post("{}", { body: new URLSearchParams({ a: "b" }) }),
      post("{}", { body: new Uint8Array(1) }),
      post("{}", { keepalive: true }),
      post("{}", { headers: undefined }),
      post("{}", { headers: [["content-type", "a/b"]] }),
      post("{}", { headers: { accept: "a/b" } }),
      post("{}", { headers: { ...headers, "X-A": "1" } }),
      post("{}", { headers: { ...headers, "x-a": "é" } }),
      post("{}", { headers: { ...headers, "x-a": " 1" } }),
      post("{}", { headers: { ...headers, "x-a": "1\r\nx-b: 2" } }),
      post("{}", { headers: { ...headers, "accept-encoding": "gzip" } }),
      post("{}", { headers: { ...headers, "transfer-encoding": "chunked" } }),
      post("{}", { headers: new Headers({ ...headers, expect: "100-continue" }) }),
    ];
    for (const init of inits) await fetch(url, init);
    const mapped: RequestInit = { ...GET, headers: new Map([["x-a", "1"]]) };
    inits.push(mapped);
    await fetch(url, mapped);
    for (const other of ["/mcp", "data:,a", "http://a:b@upstream.example", "http://"]) {
      inits.push(GET);
      await fetch(other, GET);
    }
    assert.equal(left.length, inits.length);
    left.forEach((init, at) => assert.equal(init, inits[at]));
  });
});

describe("connections", () => {
  test("[GTW-4] a connection serves one request after the other, and is let go of when idle", () =>
    serving(async (incoming, outgoing) => {
      await text(incoming);
      if (incoming.url === "/events") outgoing.setHeader("content-type", "text/event-stream");
      outgoing.end("data: 1\n\n");
    }, async (origin, sockets) => {
      const fetch = alone({ idleMs: 50 });
      for (const path of ["/", "/events", "/", "/events"]) {
        assert.equal(await (await fetch(origin + path, post("{}"))).text(), "data: 1\n\n");
      }
      assert.equal(sockets.length, 1);
      await gone(sockets);
    }));

  test("[GTW-4] no more connections are kept than are allowed", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    let all = 0;
    await serving(({ socket }, outgoing) => {
      socket.once("close", () => ++all === 2 && resolve());
      outgoing.end("fine");
    }, async (origin, sockets) => {
      const fetch = alone({ idleMs: 60_000, idleSockets: 1 });
      const ask = async () => await (await fetch(origin, GET)).text();
      await Promise.all([ask(), ask(), ask()]);
      await closed;
      await ask();
      assert.equal(sockets.length, 3);
    });
  });

  test("[GTW-4] a connection isn't kept that the upstream won't keep", () =>
    serving((_, outgoing) => {
      outgoing.writeHead(200, { "keep-alive": "timeout=1" }).end("fine");
    }, async (origin, sockets) => {
      const fetch = alone({ idleMs: 60_000 });
      for (let count = 1; count <= 2; count++) {
        assert.equal(await (await fetch(origin, GET)).text(), "fine");
        assert.equal(sockets.length, count);
        await gone(sockets);
      }
    }));

  test("[GTW-4] idle connections don't keep a process", () =>
    serving((_, outgoing) => void outgoing.end("fine"), async (origin) => {
      const module = new URL("../../src/gateway/node_fetch.ts", import.meta.url).href;
      const program = `import { makeNodeFetch } from ${JSON.stringify(module)};
        const init = { method: "GET", headers: {}, redirect: "manual" };
        const fetch = makeNodeFetch({ idleMs: 3_600_000 });
        console.log(await (await fetch(${JSON.stringify(origin)}, init)).text());`;
      const flags = "Deno" in globalThis ? ["eval", "--quiet"] : ["--input-type=module", "-e"];
      const child = spawn(process.execPath, [...flags, program]);
      let said = "";
      child.stdout.on("data", (data) => said += data);
      const [code] = await once(child, "close");
      assert.deepEqual([code, said.trim()], [0, "fine"]);
    }));

  test("[GTW-4] who reads slowly has the upstream wait", async () => {
    const part = new Uint8Array(64 * 1024).fill(120);
    const parts = 64 * MIB / part.byteLength;
    let written = 0;
    await serving((incoming, outgoing) => {
      if (incoming.url === "/other") return void outgoing.end("fine");
      outgoing.writeHead(200, { "content-type": "text/event-stream" });
      const write = () => {
        if (written === parts) return void outgoing.end();
        written++;
        outgoing.write(part, write);
      };
      write();
    }, async (origin) => {
      const fetch = alone();
      const reader = readerOf(await fetch(origin, GET));
      let bytes = (await reader.read()).value?.byteLength ?? 0;
      for (let before = -1; before !== written;) {
        before = written;
        for (let n = 0; n < 20; n++) await (await fetch(`${origin}/other`, GET)).text();
      }
      assert.ok(written < parts / 2, `${written} of ${parts} parts were sent on`);
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        bytes += value.byteLength;
      }
      assert.equal(bytes, 64 * MIB);
    });
  });

  test("[GTW-4] what was sent before a connection ended is not lost to a slow reader", async () => {
    const { promise: sent, resolve } = Promise.withResolvers<void>();
    await serving((_, outgoing) => {
      outgoing.writeHead(200, { "content-type": "text/event-stream", connection: "close" });
      outgoing.end("x".repeat(200_000), resolve);
    }, async (origin) => {
      const response = await alone()(origin, GET);
      await sent;
      assert.equal((await response.text()).length, 200_000);
    });
  });

  test("[GTW-4] what has come as a whole is not lost when its connection breaks", async () => {
    const body = "x".repeat(70_000);
    const waiting: Socket[] = [];
    await answering((socket, count) => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${count === 1 ? body.length : 0}\r\n\r\n`);
      if (count > 1) return;
      socket.write(body);
      waiting.push(socket);
    }, async (origin) => {
      const response = await alone()(origin, GET);
      const others = alone();
      for (let n = 0; n < 10; n++) await others(origin, GET);
      waiting[0]?.resetAndDestroy();
      for (let n = 0; n < 10; n++) await others(origin, GET);
      assert.equal(await response.text(), body);
    });
  });

  test("[GTW-4] a body that nobody reads on ends its connection", () =>
    serving((_, outgoing) => {
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    }, async (origin, sockets) => {
      const { body } = await alone()(origin, post("{}"));
      await body?.cancel();
      await gone(sockets);
    }));

  test("[GTW-4] an upstream that answers before it has read the request holds nothing up", () => {
    const server = createRawServer((socket) => {
      socket.once("data", () => {
        socket.pause();
        socket.write("HTTP/1.1 413 Too Long\r\ncontent-length: 2\r\n\r\nno");
      });
    });
    return listening(server, async (origin, sockets) => {
      const response = await alone()(`http://${origin}`, post("x".repeat(32 * MIB)));
      assert.deepEqual([response.status, await response.text()], [413, "no"]);
      sockets.at(-1)?.resume();
      assert.ok((await gone(sockets)).bytesRead < 32 * MIB);
    });
  });
});

describe("aborting", () => {
  const reason = new UpstreamError("timeout");

  test("[GTW-4] who aborts before the request has nothing sent", () =>
    serving(() => assert.fail("It was sent"), async (origin, sockets) => {
      const sending = alone()(origin, post("{}", { signal: AbortSignal.abort(reason) }));
      await assert.rejects(sending, (error) => error === reason);
      assert.equal(sockets.length, 0);
    }));

  test("[GTW-4] who aborts gets the reason: before the answer, or in the middle of one", async () => {
    const asked: (() => void)[] = [];
    await serving((incoming, outgoing) => {
      if (incoming.url === "/short") outgoing.writeHead(200, { "content-length": "10" }).write("1");
      incoming.resume().once("end", () => asked.shift()?.());
    }, async (origin, sockets) => {
      const fetch = alone();
      for (const path of ["/none", "/short"]) {
        const controller = new AbortController();
        asked.push(() => controller.abort(reason));
        const sending = fetch(origin + path, post("{}", { signal: controller.signal }));
        await assert.rejects(sending, (error) => error === reason);
        await gone(sockets);
      }
      assert.equal(sockets.length, 2);
    });
  });

  test("[GTW-4] who aborts while connecting gets the reason", () =>
    serving(() => assert.fail("It was sent"), async (origin) => {
      const controller = new AbortController();
      const sending = alone()(origin, post("{}", { signal: controller.signal }));
      controller.abort(reason);
      await assert.rejects(sending, (error) => error === reason);
    }));

  test("[GTW-4] nothing is held by a signal once there is nothing to abort", () =>
    serving((incoming, outgoing) => {
      if (incoming.url === "/events") outgoing.setHeader("content-type", "text/event-stream");
      outgoing.end("data: 1\n\n");
    }, async (origin) => {
      const { signal } = new AbortController();
      const held = new Set<unknown>();
      const add = signal.addEventListener.bind(signal);
      signal.addEventListener = (type: string, listener: EventListener) => {
        held.add(listener);
        add(type, listener);
      };
      const remove = signal.removeEventListener.bind(signal);
      signal.removeEventListener = (type: string, listener: EventListener) => {
        held.delete(listener);
        remove(type, listener);
      };
      for (const path of ["/", "/events"]) {
        const response = await alone()(origin + path, post("{}", { signal }));
        assert.equal(await response.text(), "data: 1\n\n");
        assert.equal(held.size, 0);
      }
      await assert.rejects(alone()("http://127.0.0.1:1", post("{}", { signal })));
      assert.equal(held.size, 0);
    }));

  test("[GTW-4] a stream that is aborted ends with the reason, and what has come is left alone", () =>
    serving((incoming, outgoing) => {
      if (incoming.url === "/whole") return void outgoing.end("fine");
      outgoing.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    }, async (origin, sockets) => {
      const fetch = alone();
      const controller = new AbortController();
      const { signal } = controller;
      const whole = await fetch(`${origin}/whole`, post("{}", { signal }));
      const response = await fetch(origin, post("{}", { signal }));
      const reader = readerOf(response);
      assert.equal(await chunk(reader), "data: 1\n\n");
      const next = assert.rejects(reader.read(), (error) => error === reason);
      controller.abort(reason);
      await next;
      assert.equal(await whole.text(), "fine");
      await gone(sockets);
    }));
});

describe("failures", () => {
  test("[GTW-4] what can't be connected to is refused, has no address or takes too long", async () => {
    let free = "";
    await serving(() => {}, async (origin) => void (free = origin));
    const refused = await failure(alone()(free, post("{}")));
    assert.equal(refused.kind, "refused");
    if (isNode) assert.equal(refused.code, "ECONNREFUSED");
    assert.equal((await failure(alone()("http://no-such-host.invalid", GET))).kind, "dns");
    await listening(createRawServer(), async (origin) => {
      const silent = await failure(alone({ connectMs: 10 })(`https://${origin}`, GET));
      assert.deepEqual([silent.kind, silent.code], ["timeout", "ETIMEDOUT"]);
    });
  });

  const path = (name: string) => new URL(`./fixtures/${name}`, import.meta.url);
  const key = readFileSync(path("self_signed_key.pem"));
  const cert = readFileSync(path("self_signed_cert.pem"), "utf8");
  const secured = () => createTlsServer({ key, cert }, (_, outgoing) => void outgoing.end("fine"));

  test("[GTW-4] a certificate is checked", () =>
    listening(secured(), async (origin) => {
      const { kind } = await failure(alone()(`https://${origin}`, post("{}")));
      assert.equal(kind, "tls");
    }));

  /** Has certificates trusted, where the runtime can be told so. */
  const trust: unknown = isNode ? Reflect.get(tls, "setDefaultCACertificates") : undefined;
  test("[GTW-4] an upstream whose certificate is trusted is asked over TLS", {
    skip: typeof trust === "function" ? false : "no setDefaultCACertificates() here",
  }, () =>
    listening(secured(), async (origin, sockets) => {
      assert.ok(typeof trust === "function");
      const before = tls.getCACertificates("default");
      trust([...before, cert]);
      try {
        const fetch = alone();
        for (let count = 0; count < 2; count++) {
          assert.equal(await (await fetch(`https://${origin}/`, post("{}"))).text(), "fine");
        }
        assert.equal(sockets.length, 1);
      } finally {
        trust(before);
      }
    }));

  const head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
  const stream = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
  const cuts: readonly (readonly [string, string])[] = [
    ["before the answer", ""],
    ["in the middle of the headers", head],
    ["in the middle of a declared body", `${head}content-length: 10\r\n\r\n{`],
    ["in the middle of chunks", `${head}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n`],
    ["in the middle of events", `${stream}transfer-encoding: chunked\r\n\r\n5\r\n12345\r\n`],
    ["in the middle of long answers", `${head}content-length: 100000\r\n\r\n{`],
  ];
  for (const [when, said] of cuts) {
    test(`[GTW-4] a connection that is cut is closed: ${when}`, () =>
      answering((socket) => socket.end(said), async (origin) => {
        const reading = async () => await (await alone()(origin, post("{}"))).text();
        const { kind, code } = await failure(reading());
        assert.equal(kind, "closed");
        if (isNode) assert.equal(code, "ECONNRESET");
      }));
  }

  test("[GTW-4] a body that is to end with its connection does, and not when that breaks", () => {
    const { promise: got, resolve: next } = Promise.withResolvers<void>();
    return answering(async (socket, count) => {
      socket.write(`${stream}connection: close\r\n\r\ndata: 1\n\n`);
      if (count === 1) return socket.end();
      await got;
      socket.resetAndDestroy();
    }, async (origin) => {
      const fetch = alone();
      assert.equal(await (await fetch(origin, post("{}"))).text(), "data: 1\n\n");
      const reader = readerOf(await fetch(origin, post("{}")));
      assert.equal(await chunk(reader), "data: 1\n\n");
      const broken = failure(reader.read());
      next();
      assert.equal((await broken).kind, "closed");
    });
  });

  test("[GTW-1, GTW-4] what follows an answer that is none is nobody else's", () => {
    const answer = (socket: Socket, body: string) =>
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    return answering((socket, count) => {
      if (count > 1) return void answer(socket, "yours");
      socket.write("HTTP/1.1 101 Switching\r\nupgrade: a\r\n\r\n");
      setTimeout(() => answer(socket, "another's"), 30);
    }, async (origin) => {
      const fetch = alone();
      await assert.rejects(async () => await (await fetch(origin, post("{}"))).text());
      for (let n = 0; n < 3; n++) {
        assert.equal(await (await fetch(origin, post("{}"))).text(), "yours");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
  });

  const lenient = "Bun" in globalThis ? "its node:http drops the body" : undefined;
  const strange: readonly (readonly [string, string, string?])[] = [
    ["no HTTP", "hush hush\r\n\r\n"],
    ["another protocol", "HTTP/1.1 101 Switching\r\nupgrade: a\r\nconnection: upgrade\r\n\r\n"],
    ["a status that is none", "HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nno"],
    ["endless headers", `HTTP/1.1 200 OK\r\nx-a: ${"a".repeat(100_000)}\r\n\r\n`],
    ["a chunk without a length", `${stream}transfer-encoding: chunked\r\n\r\nxyz\r\n`],
    ["a body where none can be", "HTTP/1.1 205 Reset\r\ncontent-length: 2\r\n\r\nno", lenient],
  ];
  for (const [what, said, skip] of strange) {
    test(`[GTW-4] an answer that can't be used fails: ${what}`, {
      skip: skip ?? false,
    }, () =>
      answering((socket) => socket.end(said), async (origin) => {
        const reading = async () => await (await alone()(origin, post("{}"))).text();
        assert.match((await failure(reading())).kind, /^(?:closed|protocol)$/);
      }));
  }

  test("[GTW-4] a request is never sent twice, whatever becomes of its connection", {
    skip: "Deno" in globalThis ? "its node:http sends requests again by itself" : false,
  }, async () => {
    let got = 0;
    await answering((socket) => {
      got++;
      if (got % 2 === 0) return void socket.destroy();
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine");
    }, async (origin) => {
      const fetch = alone({ idleMs: 60_000 });
      for (const init of [post("{}"), GET]) {
        assert.equal(await (await fetch(origin, init)).text(), "fine");
        assert.equal((await failure(fetch(origin, init))).kind, "closed");
      }
      assert.equal(got, 4);
    });
  });

  test("[GTW-4] a compressed answer fails, and one that refuses has no body", () =>
    serving((incoming, outgoing) => {
      const status = Number(incoming.url?.slice(1));
      outgoing.writeHead(status, { "content-encoding": "gzip", "x-a": "1" });
      outgoing.end(status === 202 ? "" : gzipSync("fine"));
    }, async (origin) => {
      const fetch = alone();
      const error = await failure(fetch(`${origin}/200`, post("{}")));
      assert.equal(error.kind, "protocol");
      assert.match(error.message, /compressed/);
      for (const status of [202, 401]) {
        const response = await fetch(`${origin}/${status}`, post("{}"));
        assert.deepEqual([response.status, response.body], [status, null]);
        assert.equal(response.headers.get("x-a"), "1");
      }
    }));

  test("[GTW-4] a refusal's body is read to a bound, and its connection is not kept", () =>
    serving((_, outgoing) => {
      outgoing.writeHead(401, { "content-type": "text/event-stream" });
      outgoing.write("x".repeat(100_000));
    }, async (origin, sockets) => {
      const response = await alone()(origin, post("{}"));
      assert.equal(response.status, 401);
      await gone(sockets);
      assert.equal((await failure(response.text())).kind, "protocol");
    }));
});

describe("which client is used", () => {
  const DISPATCHER = Symbol.for("undici.globalDispatcher.1");

  /** Whether a request is sent as `fetch` sends it. */
  async function byFetch(origin: string): Promise<boolean> {
    const { fetch } = checkHttpOptions({ url: origin });
    const response = await fetch(origin, post("{}"));
    return (await response.json())["accept-encoding"] !== undefined;
  }

  test("[GTW-4] Node's own takes the place of its `fetch`, until that is replaced", () =>
    serving((incoming, outgoing) => {
      outgoing.setHeader("connection", "close");
      outgoing.end(JSON.stringify(incoming.headers));
    }, async (origin) => {
      assert.equal(await byFetch(origin), !isNode);
      const real = globalThis.fetch;
      let replaced = 0;
      globalThis.fetch = (...args) => (replaced++, real(...args));
      try {
        assert.equal(await byFetch(origin), true);
        assert.equal(replaced, 1);
      } finally {
        globalThis.fetch = real;
      }
      assert.equal(await byFetch(origin), !isNode);
    }));

  test("[GTW-4] a dispatcher that `fetch` was given is used", {
    skip: isNode ? false : "it has no dispatchers",
  }, () =>
    serving((incoming, outgoing) => {
      outgoing.setHeader("connection", "close");
      outgoing.end(JSON.stringify(incoming.headers));
    }, async (origin) => {
      await (await fetch(origin)).text();
      const real: object | undefined = Reflect.get(globalThis, DISPATCHER);
      assert.ok(real !== undefined);
      const Agent = real.constructor;
      if (typeof Agent !== "function") throw new Error("It has no class");
      const proxyAgent = Object.create(Agent.prototype, {
        constructor: { value: class ProxyAgent {} },
      });
      const send = Reflect.get(real, "dispatch").bind(real);
      const dispatchers: object[] = [
        { dispatch: send },
        new Proxy(real, {
          get: (target, name) => name === "dispatch" ? send : Reflect.get(target, name),
        }),
        Reflect.construct(Agent, [{ connections: 1 }]),
        Object.setPrototypeOf(Reflect.construct(Agent, []), proxyAgent),
      ];
      try {
        assert.equal(await byFetch(origin), false);
        for (const other of dispatchers) {
          Reflect.set(globalThis, DISPATCHER, other);
          assert.equal(await byFetch(origin), true);
          Reflect.set(globalThis, DISPATCHER, real);
          assert.equal(await byFetch(origin), false);
        }
      } finally {
        Reflect.set(globalThis, DISPATCHER, real);
      }
    }));
});
