/**
 * `mooring doctor` before servers and proxies with the faults that people have: each is named, with who can
 * mend it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Buffer } from "node:buffer";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { toNodeHandler } from "../../src/adapters/node.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { McpServer } from "../../src/server/server.ts";
import { runHere } from "./fake_io.ts";

/** Answers a request in place of the server; returns `true` if it has. */
type Fault = (request: IncomingMessage, response: ServerResponse, base: string) => boolean;

interface Step {
  readonly step: string;
  readonly outcome: string;
  readonly whose?: string;
  readonly says: string;
  readonly fix?: string;
}

interface Report {
  readonly code: number;
  readonly steps: readonly Step[];
  readonly clients: readonly { readonly name: string; readonly connects: boolean }[];
}

/** Runs the doctor before a server with a fault. */
async function examine(
  fault: Fault,
  { path = "/mcp", args = [], options = {}, env = {} }: {
    readonly path?: string;
    readonly args?: readonly string[];
    readonly options?: McpHandlerOptions;
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<Report> {
  const server = new McpServer({ name: "patient", version: "1.0.0" });
  server.registerTool("slow", {}, async (_, ctx) => {
    for (let step = 1; step <= 4; step++) {
      ctx.progress(step, 4);
      await sleep(200);
    }
    return "Slow";
  });
  const handler = createMcpHandler(server, { path: "/mcp", ...options });
  const answer = toNodeHandler(handler);
  const http = createServer((request, response) => {
    if (!fault(request, response, base)) void answer(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const base = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  try {
    const url = path.includes(":") ? path : `${base}${path}`;
    return await doctor(url.replace("PORT", new URL(base).port), args, env);
  } finally {
    http.closeAllConnections();
    http.close();
    await handler.close({ graceMs: 0 });
  }
}

async function doctor(
  url: string,
  args: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<Report> {
  const { code, out, err } = await runHere(["doctor", url, "--json", ...args], env);
  assert.equal(err, "");
  const { steps, clients } = JSON.parse(out);
  return { code, steps, clients };
}

/** Checks that a fault was found at a step, with whose it is. */
function named(
  { code, steps }: Report,
  step: string,
  whose: string,
  says: RegExp,
  outcome = "failed",
): void {
  const found = steps.filter((one) => one.step === step && one.outcome === outcome);
  assert.equal(found.length, 1, `No ${outcome} ${step} in ${JSON.stringify(steps, undefined, 2)}`);
  const [one] = found;
  assert.equal(one?.whose, whose);
  assert.match(one?.says ?? "", says);
  assert.ok(one?.fix, "Nothing to change");
  if (outcome === "failed") assert.equal(code, 1);
}

/** Returns a port at which nothing listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const json = (response: ServerResponse, status: number, body: unknown, headers = {}): true => {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
  return true;
};
const plain = (response: ServerResponse, status: number, headers = {}, body = ""): true => {
  response.writeHead(status, headers);
  response.end(body);
  return true;
};
const NGINX = { server: "nginx/1.22.1", "content-type": "text/html" };
const none: Fault = () => false;

/** A server that wants tokens, with what it says about them. */
function guarded(
  challenge: (base: string) => string | undefined,
  resource: (base: string) => unknown,
  issuer: (base: string) => unknown,
): Fault {
  return (request, response, base) => {
    const { url = "", method } = request;
    if (url.startsWith("/.well-known/oauth-protected-resource")) {
      return json(response, resource(base) === undefined ? 404 : 200, resource(base) ?? {});
    }
    if (url.startsWith("/.well-known/oauth-authorization-server")) {
      return json(response, issuer(base) === undefined ? 404 : 200, issuer(base) ?? {});
    }
    if (url.startsWith("/.well-known/")) return plain(response, 404);
    if (method === "OPTIONS") return false;
    const header = challenge(base);
    return json(response, 401, {}, header === undefined ? {} : { "www-authenticate": header });
  };
}

const CHALLENGE = (base: string) =>
  `Bearer resource_metadata="${base}/.well-known/oauth-protected-resource/mcp"`;
const RESOURCE = (base: string) => ({ resource: `${base}/mcp`, authorization_servers: [base] });
const ISSUER = (base: string) => ({
  issuer: base,
  authorization_endpoint: `${base}/authorize`,
  token_endpoint: `${base}/token`,
  registration_endpoint: `${base}/register`,
  code_challenge_methods_supported: ["S256"],
});

describe("mooring doctor", () => {
  test("[CMD-16] a server without a fault passes, and a call shows that nothing buffers", async () => {
    const report = await examine(none, {
      args: ["--call", "slow"],
      options: { allowedOrigins: ["https://claude.ai"] },
    });
    const bad = report.steps.filter(({ outcome }) => outcome === "failed" || outcome === "warning");
    assert.deepEqual([bad, report.code], [[], 0]);
    assert.deepEqual(
      report.clients.filter(({ connects }) => !connects).map(({ name }) => name),
      ["Claude", "ChatGPT"],
    );
    assert.ok(report.steps.some(({ step, outcome }) => step === "events" && outcome === "passed"));
  });

  test("[CMD-16] as text it says each step, and what to change", async () => {
    const { code, out } = await runHere(["doctor", `http://127.0.0.1:${await closedPort()}/mcp`]);
    assert.equal(code, 1);
    assert.match(out, /FAILED {2}connection {12}Nothing listens at 127\.0\.0\.1:\d+\n/);
    assert.match(out, /Whose: the server\n *Change: Start the server, or correct the port\n/);
    assert.match(out, /can't connect {2}.*Claude Code.*: connection\n/);
  });

  test("[CMD-16] a server that doesn't speak TLS where the URL has https:", async () => {
    named(
      await examine(none, { path: "https://127.0.0.1:PORT/mcp" }),
      "connection",
      "the URL",
      /doesn't speak TLS/,
    );
  });

  test("[CMD-16] a name without an address", async () => {
    named(await doctor("http://no-such-host.invalid/mcp"), "address", "the network", /no address/);
  });

  const FAULTS: Readonly<Record<string, readonly [Fault, string, string, RegExp, object?]>> = {
    "a redirect to another path": [
      ({ url }, response) => url === "/mcp" && plain(response, 308, { location: "/mcp/" }),
      "redirect",
      "the URL",
      /redirect to \/mcp\//,
    ],
    "a redirect to a login page": [
      (_, response) => plain(response, 302, { location: "/login?next=/mcp", ...NGINX }),
      "redirect",
      "a proxy",
      /login page/,
    ],
    "a web page for every path": [
      (_, response) => plain(response, 200, { "content-type": "text/html" }, "<!doctype html>"),
      "handshake",
      "the server",
      /web page/,
    ],
    "the wrong path": [
      ({ url }, response) => url === "/" && plain(response, 404),
      "handshake",
      "the URL",
      /there is one at \/mcp/,
      { path: "/" },
    ],
    "a path that a proxy removes": [
      (_, response) => plain(response, 404, NGINX),
      "handshake",
      "a proxy",
      /404 \(nginx\)/,
    ],
    "the transport of 2024": [
      ({ method }, response) => {
        if (method !== "GET") return plain(response, 405);
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write("event: endpoint\ndata: /messages?id=1\n\n");
        return true;
      },
      "handshake",
      "the server",
      /HTTP\+SSE of 2024-11-05/,
    ],
    "a server that is down behind its proxy": [
      (_, response) => plain(response, 502, NGINX),
      "handshake",
      "a proxy",
      /502 \(nginx\)/,
    ],
    "a host that isn't allowed": [
      (_, response) =>
        json(response, 403, { jsonrpc: "2.0", id: null, error: { code: -32000, message: "Host" } }),
      "handshake",
      "the server",
      /403/,
    ],
    "a server that hangs": [() => true, "connection", "the server or a proxy", /didn't answer/, {
      args: ["--timeout", "1"],
    }],
    "a connection that is closed": [
      (request) => {
        request.socket.destroy();
        return true;
      },
      "connection",
      "the server or a proxy",
      /closed the connection/,
    ],
    "a session that another process has": [
      ({ headers }, response) =>
        headers["mcp-session-id"] !== undefined && json(response, 404, {
          jsonrpc: "2.0",
          id: null,
          error: { code: -32001, message: "Session not found" },
        }),
      "initialized",
      "the server or a proxy",
      /clients end there/,
    ],
    "Accept compared as a text": [
      ({ method, headers: { accept } }, response) =>
        method === "POST" && accept !== "application/json, text/event-stream" &&
        plain(response, 406),
      "headers",
      "the server",
      /406 for Accept/,
    ],
    "a stream whose head waits": [
      ({ method }) => method === "GET",
      "stream",
      "the server or a proxy",
      /head of the stream/,
      { args: ["--timeout", "1"] },
    ],
    "an unknown session that isn't said": [
      ({ headers }, response) =>
        headers["mcp-session-id"]?.toString().startsWith("0000") === true && plain(response, 400),
      "lost session",
      "the server",
      /stay without tools/,
    ],
    "a server that breaks at newer clients": [
      ({ headers }, response) => headers["mcp-method"] !== undefined && plain(response, 500),
      "2026-07-28",
      "the server",
      /500 for server\/discover/,
    ],
    "401 without a challenge": [
      guarded(() => undefined, RESOURCE, ISSUER),
      "challenge",
      "the server or a proxy",
      /without WWW-Authenticate$/,
    ],
    "a challenge that isn't of Bearer": [
      guarded(() => 'Basic realm="mcp"', RESOURCE, ISSUER),
      "challenge",
      "the server",
      /isn't a Bearer challenge/,
    ],
    "no metadata of the resource": [
      guarded(() => "Bearer", () => undefined, ISSUER),
      "resource metadata",
      "the server",
      /No metadata/,
    ],
    "another resource": [
      guarded(CHALLENGE, () => ({ resource: "https://other.example/mcp" }), ISSUER),
      "resource metadata",
      "the server",
      /clients refuse it/,
    ],
    "no authorization server": [
      guarded(CHALLENGE, (base) => ({ resource: `${base}/mcp` }), ISSUER),
      "resource metadata",
      "the server",
      /no authorization server/,
    ],
    "an issuer with a slash more": [
      guarded(CHALLENGE, RESOURCE, (base) => ({ ...ISSUER(base), issuer: `${base}/` })),
      "authorization server",
      "the authorization server",
      /clients refuse that/,
    ],
    "an authorization server without metadata": [
      guarded(CHALLENGE, RESOURCE, () => undefined),
      "authorization server",
      "the authorization server",
      /isn't found/,
    ],
    "no PKCE": [
      guarded(CHALLENGE, RESOURCE, (base) => ({
        ...ISSUER(base),
        code_challenge_methods_supported: undefined,
      })),
      "authorization server",
      "the authorization server",
      /S256/,
    ],
    "a token that is refused": [
      guarded((base) => `${CHALLENGE(base)}, error="invalid_token"`, RESOURCE, ISSUER),
      "token",
      "the token",
      /invalid_token/,
      { args: ["--token-env", "TOKEN"], env: { TOKEN: "a-token-of-somebody" } },
    ],
  };

  for (const [name, [fault, step, whose, says, init]] of Object.entries(FAULTS)) {
    test(`[CMD-16] ${name}`, async () => {
      named(await examine(fault, init), step, whose, says);
    });
  }

  const WARNINGS: typeof FAULTS = {
    "no way to register": [
      guarded(CHALLENGE, RESOURCE, (base) => ({
        ...ISSUER(base),
        registration_endpoint: undefined,
      })),
      "registration",
      "the authorization server",
      /gets no id/,
    ],
    "no resource_metadata in the challenge": [
      guarded(() => "Bearer", RESOURCE, ISSUER),
      "challenge",
      "the server",
      /names no resource_metadata/,
    ],
    "a small limit of bodies": [
      ({ headers }, response) =>
        Number(headers["content-length"]) > 100_000 && plain(response, 413, NGINX),
      "bodies",
      "a proxy",
      /413/,
    ],
    "no CORS": [none, "pages", "the server", /can't connect/],
    "CORS of two": [
      ({ method }, response) =>
        method === "OPTIONS" &&
        plain(response, 204, { "access-control-allow-origin": ["https://claude.ai", "*"] }),
      "pages",
      "a proxy",
      /Two answers about origins/,
    ],
    "a clock that is wrong": [
      (_, response) => {
        response.setHeader("date", new Date(Date.now() - 600_000).toUTCString());
        return false;
      },
      "clock",
      "the server",
      /behind this machine's/,
    ],
    "a stream that is compressed": [
      ({ method }, response) => {
        if (method !== "GET") return false;
        response.writeHead(200, {
          "content-type": "text/event-stream",
          "content-encoding": "identity",
        });
        response.flushHeaders();
        return true;
      },
      "stream",
      "a proxy",
      /compressed/,
    ],
  };
  for (const [name, [fault, step, whose, says, init]] of Object.entries(WARNINGS)) {
    test(`[CMD-16] for some clients: ${name}`, async () => {
      named(await examine(fault, init), step, whose, says, "warning");
    });
  }

  test("[CMD-16] a proxy that buffers is found by a call", async () => {
    const buffering: Fault = (_, response) => {
      const { write, end } = response;
      const parts: Uint8Array[] = [];
      const keep = (part: unknown) => {
        if (typeof part === "string") parts.push(new TextEncoder().encode(part));
        else if (part instanceof Uint8Array) parts.push(part);
      };
      response.write = ((part: unknown) => {
        keep(part);
        return true;
      }) as typeof write;
      response.end = ((part: unknown) => {
        keep(part);
        return end.call(response, Buffer.concat(parts), "utf8");
      }) as typeof end;
      return false;
    };
    const report = await examine(buffering, { args: ["--call", "slow", "--timeout", "5"] });
    named(report, "events", "the server or a proxy", /something buffers them/);
  });

  test("[CMD-32] with a token that the server takes, the way to a token is tried, too", async () => {
    const known: Fault = (request, response, base) =>
      request.headers.authorization === "Bearer s3cret-token-0123456789"
        ? false
        : guarded(CHALLENGE, RESOURCE, (at) => ({
          ...ISSUER(at),
          code_challenge_methods_supported: ["plain"],
        }))(request, response, base);
    const report = await examine(known, {
      args: ["--token-env", "TOKEN"],
      env: { TOKEN: "s3cret-token-0123456789" },
    });
    named(report, "authorization server", "the authorization server", /S256/);
    for (const step of ["tools", "challenge", "resource metadata"]) {
      assert.equal(report.steps.find((one) => one.step === step)?.outcome, "passed", step);
    }
    assert.ok(!report.steps.some(({ step }) => step === "token"));
  });

  test("[CMD-16] no secret is shown", async () => {
    const secret = "very-secret-token-0123";
    const { out } = await runHere(
      [
        "doctor",
        `http://127.0.0.1:${await closedPort()}/mcp?key=${secret}`,
        "--token-env",
        "TOKEN",
      ],
      { TOKEN: secret },
    );
    assert.equal(out.includes(secret), false);
  });

  test("[CMD-16] what isn't a URL is refused", async () => {
    const { code, err } = await runHere(["doctor", "mooring.json"]);
    assert.equal(code, 2);
    assert.match(err, /Give a URL/);
    const direct = await runHere(["doctor", "http://127.0.0.1:1/mcp", "--direct", "mooring.json"]);
    assert.equal(direct.code, 2);
    assert.match(direct.err, /Give a URL .* to --direct/);
  });
});
