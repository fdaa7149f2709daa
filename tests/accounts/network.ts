/**
 * Upstreams and browsers of the tests that use real connections.
 *
 * @module
 */
import assert from "node:assert/strict";
import { McpServer } from "../../mod.ts";
import { jwt, protectedResource } from "../../src/auth/mod.ts";
import type { AuthorizationServer } from "../auth/authorization_server.ts";
import { serve } from "../runtimes/runtime.ts";
import { freePort } from "../support/redis.ts";

/** Starts a server that takes tokens of an authorization server of the tests, and says whose they are. */
export async function startUpstream({ issuer }: AuthorizationServer) {
  const port = await freePort();
  const resource = `http://127.0.0.1:${port}/mcp`;
  const server = new McpServer({ name: "upstream", version: "1.0.0" });
  server.registerTool("who", {}, (_args, ctx) => `${ctx.principal.id} at ${ctx.principal.issuer}`);
  const running = await serve(server, {
    port,
    signals: false,
    path: "/mcp",
    authenticate: jwt({
      ...{ issuer, jwksUri: `${issuer}/jwks`, audience: resource, allowHttp: true },
    }),
    resource: protectedResource({ resource, authorizationServers: [issuer], scopes: ["read"] }),
  });
  return { resource, close: () => running.close() };
}

/** A browser of a user that keeps cookies, follows redirects, and stops at the first page. */
export class PageBrowser {
  readonly #user: string;
  readonly #send: (url: URL, init: RequestInit) => Promise<Response>;
  readonly #cookies = new Map<string, string>();

  /**
   * @param user The user, for pages that believe a header
   * @param send Sends a request. By default `fetch` does
   */
  constructor(user = "ada", send = (url: URL, init: RequestInit) => fetch(url, init)) {
    this.#user = user;
    this.#send = send;
  }

  async open(url: string, init: RequestInit = {}): Promise<{ url: string; page: Response }> {
    let next = new URL(url);
    let request = init;
    for (let turns = 0; turns < 20; turns++) {
      const cookie = [...this.#cookies].filter(([key]) => key.startsWith(next.origin))
        .map(([key, value]) => `${key.slice(next.origin.length + 1)}=${value}`).join("; ");
      const own = { "x-user": this.#user, cookie };
      const headers = { ...request.headers as Record<string, string>, ...own };
      const page = await this.#send(next, { ...request, redirect: "manual", headers });
      for (const set of page.headers.getSetCookie()) {
        const [pair = ""] = set.split(";");
        const at = pair.indexOf("=");
        this.#cookies.set(`${next.origin} ${pair.slice(0, at)}`, pair.slice(at + 1));
      }
      const location = page.headers.get("location");
      if (location === null) return { url: next.href, page };
      await page.body?.cancel();
      next = new URL(location, next);
      request = {};
    }
    throw new Error("Sent around in circles");
  }

  /** Opens a link, continues, and signs in. Returns the page at the end. */
  async connect(link: string): Promise<string> {
    const { url, page } = await this.open(link);
    const html = await page.text();
    assert.equal(page.status, 200, html);
    const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
      .map(([, name = "", value = ""]) => [name, value]);
    const sent = await this.open(new URL("/accounts/connect", url).href, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams([...fields, ["answer", "connect"]]).toString(),
    });
    return await sent.page.text();
  }
}
