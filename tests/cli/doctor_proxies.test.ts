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
  /** The paths that are passed on. */
  readonly path?: string;
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
    whose: "the server",
    says: /clients end there/,
    fix: /Mcp-Session-Id/,
  },
  "a session's header that is removed from responses": {
    proxied: "proxy_hide_header Mcp-Session-Id;",
    step: "initialized",
    whose: "the server",
    says: /clients end there/,
    fix: /Mcp-Session-Id/,
  },
  "a challenge that is removed": {
    guarded: true,
    proxied: "proxy_hide_header WWW-Authenticate;",
    step: "challenge",
    whose: "the server",
    says: /WWW-Authenticate/,
    fix: /WWW-Authenticate|resource_metadata/,
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
    whose: "the server",
    says: /CORS/,
    fix: /Allow the origin/,
  },
};

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
    whose: "the server",
    says: /clients end there/,
    fix: /Mcp-Session-Id/,
  },
  "a challenge that is removed": {
    guarded: true,
    proxied: "header_down -WWW-Authenticate",
    step: "challenge",
    whose: "the server",
    says: /WWW-Authenticate/,
    fix: /WWW-Authenticate|resource_metadata/,
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

/** An endpoint, open or with tokens for a public URL. */
async function startEndpoint(publicUrl: string | undefined) {
  const handler = createMcpHandler(slowServer(), {
    path: "/mcp",
    allowedOrigins: ["https://claude.ai"],
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
  const http = createServer(toNodeHandler(handler));
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

for (const proxy of PROXIES) {
  const skip = isInstalled(proxy) ? false : `There is no ${proxy.program}`;
  describe(`mooring doctor behind ${proxy.program}`, { skip }, () => {
    for (const [name, mistake] of Object.entries(proxy.program === "nginx" ? NGINX : CADDY)) {
      test(`[CMD-30] ${name}`, async () => {
        let endpoint: Awaited<ReturnType<typeof startEndpoint>> | undefined;
        const front = await startProxy(proxy, async (port) => {
          const publicUrl = `http://127.0.0.1:${port}/mcp`;
          endpoint = await startEndpoint(mistake.guarded === true ? publicUrl : undefined);
          return configured(proxy, mistake, endpoint.host, port);
        });
        try {
          const { args = [], step, outcome = "failed", whose, says, fix } = mistake;
          const { out } = await runHere(["doctor", front.url, "--json", ...args], { TOKEN });
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
      });
    }
  });
}
