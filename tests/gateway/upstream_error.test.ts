import assert from "node:assert/strict";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { http } from "../../src/gateway/upstreams/http.ts";
import { fetchError, statusError, UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { Session } from "./session.ts";

const SECRET = "hush-hush";

/** Runs with a server on a port, which it closes with all its connections. */
async function withServer(
  server: Server,
  run: (port: number, cut: () => void) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
  };
  server.on("connection", keep);
  server.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("No port");
  const cut = () => sockets.forEach((socket) => socket.destroy());
  try {
    await run(address.port, cut);
  } finally {
    cut();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
}

/** Opens a session that can't come about, and looks at the error. */
async function failure(url: string): Promise<UpstreamError> {
  const opening = Session.open(http({ url: `${url}/${SECRET}?key=${SECRET}`, auth: SECRET }));
  try {
    await opening;
  } catch (error) {
    assert.ok(error instanceof UpstreamError, String(error));
    const { message, stack, kind, code, cause } = error;
    assert.doesNotMatch(JSON.stringify([message, stack, kind, code, cause]), /hush/);
    return error;
  }
  throw new Error("It came about");
}

test('[GTW-4] a port that nothing listens on is "refused"', async () => {
  let free = 0;
  await withServer(createServer(), async (port) => void (free = port));
  const { kind, message } = await failure(`http://127.0.0.1:${free}`);
  assert.equal(kind, "refused");
  assert.match(message, /\(http:\/\/127\.0\.0\.1:\d+\)$/);
});

test('[GTW-4] a name without an address is "dns"', async () => {
  assert.equal((await failure("http://no-such-host.invalid")).kind, "dns");
});

test('[GTW-4] a connection that is cut is "closed"', async () => {
  await withServer(
    createServer((socket) => socket.once("data", () => socket.destroy())),
    async (port) => {
      assert.equal((await failure(`http://127.0.0.1:${port}`)).kind, "closed");
    },
  );
});

test('[GTW-4] a certificate that isn\'t trusted is "tls"', async () => {
  const path = (name: string) => new URL(`./fixtures/${name}`, import.meta.url);
  const key = readFileSync(path("self_signed_key.pem"));
  const cert = readFileSync(path("self_signed_cert.pem"));
  await withServer(createTlsServer({ key, cert }), async (port) => {
    assert.equal((await failure(`https://127.0.0.1:${port}`)).kind, "tls");
  });
});

test('[GTW-4] something that speaks no HTTP is "closed" or "protocol", and no secret is told', async () => {
  const server = createServer((socket) => socket.end(`${SECRET} ${SECRET}\r\n\r\n`));
  await withServer(server, async (port) => {
    assert.match((await failure(`http://127.0.0.1:${port}`)).kind, /^(closed|protocol)$/);
  });
});

test("[GTW-4] what the runtimes say of a failure is sorted, and only a code is kept", () => {
  const cases: [unknown, string, string | undefined][] = [
    [
      new TypeError("fetch failed", { cause: { code: "ECONNREFUSED", message: SECRET } }),
      "refused",
      "ECONNREFUSED",
    ],
    [
      new TypeError("fetch failed", {
        cause: new AggregateError([{ code: "ENETUNREACH" }, { code: "ECONNREFUSED" }], SECRET),
      }),
      "refused",
      "ENETUNREACH",
    ],
    [new TypeError("fetch failed", { cause: { code: "ENOTFOUND" } }), "dns", "ENOTFOUND"],
    [new TypeError("fetch failed", { cause: { code: "EAI_AGAIN" } }), "dns", "EAI_AGAIN"],
    [
      new TypeError("fetch failed", { cause: { code: "UND_ERR_CONNECT_TIMEOUT" } }),
      "timeout",
      "UND_ERR_CONNECT_TIMEOUT",
    ],
    [
      new TypeError("fetch failed", { cause: { code: "UND_ERR_SOCKET" } }),
      "closed",
      "UND_ERR_SOCKET",
    ],
    [new TypeError("fetch failed", { cause: { code: "ECONNRESET" } }), "closed", "ECONNRESET"],
    [
      new TypeError("fetch failed", { cause: { code: "DEPTH_ZERO_SELF_SIGNED_CERT" } }),
      "tls",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
    ],
    [
      new TypeError(
        `error sending request for url (https://a/?${SECRET}): client error (Connect): ` +
          "invalid peer certificate: UnknownIssuer",
      ),
      "tls",
      undefined,
    ],
    [
      new TypeError(`error sending request for url (https://a/?${SECRET}): dns error: no record`),
      "dns",
      undefined,
    ],
    [
      new TypeError(
        `error sending request for url (https://a/?${SECRET}): tcp connect error: ` +
          "Connection refused (os error 111)",
      ),
      "refused",
      undefined,
    ],
    [
      Object.assign(new Error("Unable to connect"), { code: "ConnectionRefused" }),
      "refused",
      "ConnectionRefused",
    ],
    [
      Object.assign(new Error("closed"), { code: "ConnectionClosed" }),
      "closed",
      "ConnectionClosed",
    ],
    [new DOMException("The operation timed out", "TimeoutError"), "timeout", "TimeoutError"],
    [SECRET, "closed", undefined],
    [undefined, "closed", undefined],
  ];
  for (const [error, kind, code] of cases) {
    const sorted = fetchError(error, "https://a");
    assert.equal(sorted.kind, kind, String(error));
    if (code !== undefined) assert.equal(sorted.code, code);
    assert.doesNotMatch(`${sorted} ${sorted.stack} ${sorted.code} ${sorted.cause}`, /hush/);
  }
  const circle: Record<string, unknown> = { code: "A_CIRCLE" };
  circle.cause = circle;
  assert.equal(fetchError(circle, "https://a").kind, "closed");
  assert.equal(statusError(410, "https://a").kind, "not-found");
  assert.equal(statusError(599, "https://a").kind, "upstream");
  const same = new UpstreamError("dns");
  assert.equal(fetchError(same, "https://a"), same);
});
