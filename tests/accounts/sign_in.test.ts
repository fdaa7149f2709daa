import assert from "node:assert/strict";
import { test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { accounts } from "../../src/accounts/mod.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import { signIn } from "../../src/signin/mod.ts";
import { ChosenProvider, KEYS } from "../signin/front.ts";
import { initialize, textOf } from "../support/wire.ts";
import { linkOf, World } from "./world.ts";

const BASE = "https://mcp.example";

test("[UPA-31] the users of signIn open their links after a login in the browser", async () => {
  const world = new World({ nodes: 0 });
  const { service, clock } = world;
  const provider = new ChosenProvider();
  const front = signIn({
    ...{ issuer: BASE, resource: `${BASE}/mcp`, provider, keys: KEYS, clock },
    scopes: ["mcp"],
    allow: ({ subject }) => subject !== "mallory",
  });
  const reasons: string[] = [];
  const own = accounts({
    ...{ url: BASE, browser: front.browser, keys: KEYS, clock },
    fetch: (url, init) => world.fetch(url, init),
    onEvent: ({ step, reason }) => reasons.push(`${step} ${reason}`),
  });
  const fetch = (url: string, init: RequestInit) => world.fetch(new URL(url), init);
  const gw = gateway({
    upstreams: { notes: http({ url: service.url, auth: own.auth(), fetch }) },
  });
  // As the tokens of signIn say it: the provider's subject and issuer, and a client
  const handler = createMcpHandler(gw, {
    path: "/mcp",
    authenticate: () => ({ id: "ada", issuer: "https://login.example", clientId: "editor" }),
  });
  const jar = new Map<string, string>();
  const open = async (to: string | URL, init: RequestInit = {}): Promise<Response> => {
    const cookie = [...jar].map((pair) => pair.join("=")).join("; ");
    const headers = { ...init.headers as Record<string, string>, cookie };
    const request = new Request(new URL(to, BASE), { redirect: "manual", ...init, headers });
    const response = await own.routes(request) ?? await front.routes(request);
    assert.ok(response, String(to));
    for (const set of response.headers.getSetCookie()) {
      const [pair = ""] = set.split(";");
      const at = pair.indexOf("=");
      if (pair.slice(at + 1) === "") jar.delete(pair.slice(0, at));
      else jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  };
  const login = async (link: string, user: string): Promise<Response> => {
    const sent = await open(link);
    assert.equal(sent.status, 303);
    const at = new URL(sent.headers.get("location") ?? "");
    assert.equal(at.origin, "https://login.example");
    const state = at.searchParams.get("state") ?? "";
    return await open(`/signin/callback?state=${encodeURIComponent(state)}&user=${user}`);
  };
  try {
    const peer = await initialize(handler, { capabilities: { elicitation: { url: {} } } });
    const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
    // Who may not enter, and another user
    assert.equal((await login(url, "mallory")).status, 403);
    assert.equal((await open((await login(url, "eve")).headers.get("location") ?? "")).status, 400);
    assert.equal(reasons.at(-1), "open another-user");
    jar.clear();
    const back = await login(url, "ada");
    assert.equal(new URL(back.headers.get("location") ?? "", BASE).href, url);
    const html = await (await open(url)).text();
    const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)]
      .map(([, name = "", value = ""]) => [name, value]);
    const sent = await open("/accounts/connect", {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams([...fields, ["answer", "connect"]]).toString(),
    });
    const at = new URL(sent.headers.get("location") ?? "");
    assert.equal((await open(service.authorize(at, "ada"))).status, 200);
    assert.equal(textOf(await peer.result(await peer.call(2, "notes__who"))), "ada@notes");
    // A browser is known for an hour, and nobody is sent to another site
    await clock.advance(3_600_000);
    assert.equal(await front.browser.principal(new Request(BASE)), undefined);
    assert.equal((await open("/accounts")).status, 303);
    await assert.rejects(front.browser.login(new Request(BASE), "//evil.example"), /path/);
    await assert.rejects(front.browser.login(new Request(BASE), "https://evil.example"), /path/);
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    own.close();
    await front.close();
    await world.close();
  }
});
