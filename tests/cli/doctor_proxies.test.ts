/**
 * `mooring doctor` behind nginx and Caddy with the usual mistakes: each is named, with who can mend it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { toNodeHandler } from "../../src/adapters/node.ts";
import { Unauthorized } from "../../src/auth/errors.ts";
import { protectedResource } from "../../src/auth/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";
import { isInstalled, PROXIES, type Proxy, startProxy } from "../support/proxy.ts";
import { runHere } from "./fake_io.ts";

const TOKEN = "s3cret-token-0123456789";

/** The configuration of a proxy for an endpoint. */
interface Mistake {
  /** Lines of nginx's `location`, or of Caddy's `reverse_proxy`. */
  readonly proxied?: string;
  /** Lines of the server besides. */
  readonly server?: string;
  /** Where the endpoint wants tokens. */
  readonly guarded?: boolean;
  /** Whether pages may read its answers; `true` by default. */
  readonly pages?: boolean;
  /** A header that the endpoint itself never sends. */
  readonly forgets?: string;
  /** The paths that are passed on. */
  readonly path?: string;
  /** Options of the command; `--direct` gets the endpoint's own URL. */
  readonly args?: readonly string[];
  /** The step that finds it; with none, nothing fails. */
  readonly step?: string;
  readonly outcome?: "failed" | "warning";
  readonly whose?: string;
  readonly says?: RegExp;
  readonly fix?: RegExp;
}

const NGINX: Readonly<Record<string, Mistake>> = {
  "as it should be": { proxied: 'proxy_http_version 1.1; proxy_set_header Connection "";' },
  "HTTP/1.0 to the server": { proxied: "proxy_http_version 1.0;" },
  "events that wait in a buffer": {
    proxied: "proxy_buffering on; proxy_ignore_headers X-Accel-Buffering;",
    // The head of the server's own stream waits, too
    args: ["--call", "slow", "--timeout", "4"],
    step: "events",
    whose: "a proxy",
    says: /came at the end, after \d+ ms: something buffers them/,
    fix: /proxy_buffering off/,
  },
  "a time limit that is too short": {
    proxied: "proxy_read_timeout 1s;",
    args: ["--call", "silent"],
    step: "events",
    whose: "a proxy",
    says: /cut off|without a result/,
    fix: /proxy_read_timeout/,
  },
  "bodies of one kilobyte": {
    proxied: "client_max_body_size 1k;",
    step: "bodies",
    outcome: "warning",
    whose: "a proxy",
    says: /413 for a body of 512 KiB/,
    fix: /client_max_body_size/,
  },
  "a session's header that is removed from requests": {
    proxied: 'proxy_set_header Mcp-Session-Id "";',
    step: "initialized",
    whose: "a proxy",
    says: /clients end there, though the header was sent/,
    fix: /^remove proxy_set_header Mcp-Session-Id/,
  },
  "a session's header that is removed from responses": {
    proxied: "proxy_hide_header Mcp-Session-Id;",
    step: "initialized",
    whose: "a proxy",
    says: /clients end there, though the server tells pages to read Mcp-Session-Id/,
    fix: /^remove proxy_hide_header Mcp-Session-Id/,
  },
  "a challenge that is removed": {
    guarded: true,
    proxied: "proxy_hide_header WWW-Authenticate;",
    step: "challenge",
    whose: "a proxy",
    says: /though the server serves metadata, and tells pages/,
    fix: /^remove proxy_hide_header WWW-Authenticate/,
  },
  "an authorization that is removed": {
    guarded: true,
    proxied: 'proxy_set_header Authorization "";',
    args: ["--token-env", "TOKEN"],
    step: "token",
    whose: "the token",
    says: /token/i,
    fix: /Authorization/,
  },
  "an authorization that is removed, compared with the server": {
    guarded: true,
    proxied: 'proxy_set_header Authorization "";',
    args: ["--token-env", "TOKEN", "--direct"],
    step: "token",
    whose: "a proxy",
    says: /127\.0\.0\.1:\d+ takes it/,
    fix: /proxy_set_header Authorization/,
  },
  "metadata that is not passed on": {
    guarded: true,
    path: "/mcp",
    step: "resource metadata",
    whose: "a proxy",
    says: /404/,
    fix: /\.well-known/,
  },
  "a stream that is compressed": {
    proxied: "gzip on; gzip_types text/event-stream; gzip_proxied any; gzip_min_length 1;",
    step: "stream",
    outcome: "warning",
    whose: "a proxy",
    says: /compressed/,
    fix: /compression/,
  },
  "two answers about pages": {
    proxied: "add_header Access-Control-Allow-Origin * always;",
    step: "pages",
    outcome: "warning",
    whose: "a proxy",
    says: /Two answers about origins/,
    fix: /remove add_header/,
  },
};

/** Removed headers which nothing but the server itself tells apart from those that it never sent. */
function removals(
  { session, challenge }: { readonly session: string; readonly challenge: string },
): Record<string, Mistake> {
  const lost = { "mcp-session-id": session, "www-authenticate": challenge };
  return Object.fromEntries(
    Object.entries(lost).flatMap(([header, proxied]) => {
      const own = header === "www-authenticate"
        ? { guarded: true, step: "challenge", says: /401 without WWW-Authenticate/ }
        : { step: "initialized", says: /clients end there/ };
      return [
        [`${header}, removed by the proxy, of a server without pages`, {
          ...own,
          ...{ pages: false, proxied, whose: "the server or a proxy" },
          fix: /In the server: .* In a proxy: .*remove .*--direct/,
        }],
        [`${header}, removed by the proxy, compared with the server`, {
          ...own,
          ...{ pages: false, proxied, args: ["--direct"], whose: "a proxy" },
          fix: /^remove /,
        }],
        [`${header}, never sent by the server`, {
          ...own,
          ...{ pages: false, forgets: header, whose: "the server or a proxy" },
          fix: /In the server: /,
        }],
        [`${header}, never sent by the server, compared with it`, {
          ...own,
          ...{ forgets: header, args: ["--direct"], whose: "the server" },
          fix: /^(?:send|answer) /,
        }],
      ];
    }),
  );
}

const CADDY: Readonly<Record<string, Mistake>> = {
  "as it should be": {},
  "a stream that is compressed": {
    server:
      "encode {\n gzip\n minimum_length 1\n match {\n header Content-Type text/event-stream*\n }\n}",
    step: "stream",
    outcome: "warning",
    whose: "a proxy",
    says: /compressed/,
    fix: /compression/,
  },
  "a time limit that is too short": {
    proxied: "transport http {\n read_timeout 1s\n}",
    args: ["--call", "silent"],
    step: "events",
    whose: "a proxy",
    says: /cut off|without a result/,
    fix: /time limits?/,
  },
  "bodies of one kilobyte": {
    server: "request_body {\n max_size 1KB\n}",
    step: "bodies",
    outcome: "warning",
    whose: "a proxy",
    says: /512 KiB/,
    fix: /request_body/,
  },
  "a session's header that is removed from requests": {
    proxied: "header_up -Mcp-Session-Id",
    step: "initialized",
    whose: "a proxy",
    says: /though the header was sent/,
    fix: /header_up -Mcp-Session-Id/,
  },
  "a session's header that is removed from responses": {
    proxied: "header_down -Mcp-Session-Id",
    step: "initialized",
    whose: "a proxy",
    says: /though the server tells pages to read Mcp-Session-Id/,
    fix: /header_down -Mcp-Session-Id/,
  },
  "a challenge that is removed": {
    guarded: true,
    proxied: "header_down -WWW-Authenticate",
    step: "challenge",
    whose: "a proxy",
    says: /though the server serves metadata/,
    fix: /header_down -WWW-Authenticate/,
  },
  "metadata that is not passed on": {
    guarded: true,
    path: "/mcp",
    step: "resource metadata",
    whose: "a proxy",
    says: /404|no/,
    fix: /\.well-known/,
  },
};

/** Returns the configuration of a proxy with a mistake. */
function configured(
  { program }: Proxy,
  { proxied = "", server = "", path = "/" }: Mistake,
  host: string,
  port: number,
): string {
  return program === "nginx"
    ? `server { listen 127.0.0.1:${port}; ${server}
        location ${path} { proxy_pass http://${host}; proxy_set_header Host $http_host; ${proxied} } }`
    : `http://127.0.0.1:${port} {\n bind 127.0.0.1\n ${server}\n handle ${path}* {\n reverse_proxy ${host} {\n ${proxied}\n }\n }\n` +
      ` handle {\n respond 404\n }\n}`;
}

function slowServer(): McpServer {
  const server = new McpServer({ name: "patient", version: "1.0.0" });
  server.registerTool("slow", {}, async (_, ctx) => {
    for (let step = 1; step <= 4; step++) {
      ctx.progress(step, 4);
      await sleep(200);
    }
    return "Slow";
  });
  // Silent for longer than proxies are told to wait
  server.registerTool("silent", {}, async () => {
    await sleep(3_000);
    return "Late";
  });
  return server;
}

/** Returns headers, as an object or a list in turn, without one of them. */
function without(headers: unknown, name: string): Record<string, string> {
  const flat: unknown[] = Array.isArray(headers)
    ? headers.flat()
    : Object.entries(headers ?? {}).flat();
  const kept: Record<string, string> = {};
  for (let at = 0; at < flat.length; at += 2) {
    const key = String(flat[at]).toLowerCase();
    if (key !== name && key !== "access-control-expose-headers") kept[key] = String(flat[at + 1]);
  }
  return kept;
}

/** An endpoint, open or with tokens for a public URL. */
async function startEndpoint(
  publicUrl: string | undefined,
  { pages = true, forgets }: Mistake,
) {
  const handler = createMcpHandler(slowServer(), {
    path: "/mcp",
    // Pages are the server's own, so that no answer tells them what to read
    ...pages ? { allowedOrigins: ["https://claude.ai"] } : {},
    ...publicUrl !== undefined && {
      authenticate(request: Request) {
        if (request.headers.get("authorization") === `Bearer ${TOKEN}`) return { id: "ada" };
        throw new Unauthorized();
      },
      resource: protectedResource({
        resource: publicUrl,
        authorizationServers: ["http://127.0.0.1:1"],
      }),
    },
  });
  const answer = toNodeHandler(handler);
  const http = createServer((request, response) => {
    if (forgets !== undefined) {
      const { writeHead } = response;
      response.writeHead = ((status: number, ...rest: unknown[]) => {
        const headers = rest.at(-1);
        return writeHead.call(response, status, without(headers, forgets));
      }) as typeof writeHead;
    }
    void answer(request, response);
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    host: `127.0.0.1:${port}`,
    async close() {
      http.closeAllConnections();
      http.close();
      await handler.close({ graceMs: 0 });
    },
  };
}

/** Runs the doctor behind a proxy with a mistake, and checks what it finds. */
async function examine(proxy: Proxy, mistake: Mistake): Promise<void> {
  let endpoint: Awaited<ReturnType<typeof startEndpoint>> | undefined;
  const front = await startProxy(proxy, async (port) => {
    const publicUrl = `http://127.0.0.1:${port}/mcp`;
    endpoint = await startEndpoint(mistake.guarded === true ? publicUrl : undefined, mistake);
    return configured(proxy, mistake, endpoint.host, port);
  });
  try {
    const { args = [], step, outcome = "failed", whose, says, fix } = mistake;
    const given = args.flatMap((arg) =>
      arg === "--direct" ? [arg, `http://${endpoint?.host}/mcp`] : [arg]
    );
    const { out } = await runHere(["doctor", front.url, "--json", ...given], { TOKEN });
    const { steps } = JSON.parse(out);
    const shown = JSON.stringify(steps, undefined, 2);
    if (step === undefined) {
      assert.ok(steps.every((one: { outcome: string }) => one.outcome !== "failed"), shown);
      return;
    }
    const found = steps.find((one: { step: string }) => one.step === step);
    assert.deepEqual([found?.outcome, found?.whose], [outcome, whose], shown);
    assert.match(found.says, says ?? /./);
    assert.match(found.fix, fix ?? /./);
    assert.doesNotMatch(out, /s3cret/);
  } finally {
    await front.kill();
    await endpoint?.close();
  }
}

for (const proxy of PROXIES) {
  const skip = isInstalled(proxy) ? false : `There is no ${proxy.program}`;
  describe(`mooring doctor behind ${proxy.program}`, { skip }, () => {
    const isNginx = proxy.program === "nginx";
    for (const [name, mistake] of Object.entries(isNginx ? NGINX : CADDY)) {
      test(`[CMD-30] ${name}`, () => examine(proxy, mistake));
    }
    const removed = isNginx
      ? {
        session: "proxy_hide_header Mcp-Session-Id;",
        challenge: "proxy_hide_header WWW-Authenticate;",
      }
      : {
        session: "header_down -Mcp-Session-Id",
        challenge: "header_down -WWW-Authenticate",
      };
    for (const [name, mistake] of Object.entries(removals(removed))) {
      test(`[CMD-33] ${name}`, () => examine(proxy, mistake));
    }
  });
}
