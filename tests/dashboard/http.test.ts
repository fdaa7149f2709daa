/**
 * The dashboard over HTTP: who may see and act, what every response carries, and what watchers get.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  type ActRow,
  createDashboard,
  type DashboardOptions,
  oneTimeLinks,
  operatorTokens,
} from "../../src/dashboard/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { endpointOf } from "../../src/handler/endpoint_of.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { settle } from "../support/settle.ts";
import { Events, initialize, Stub, text } from "../support/wire.ts";

const BASE = "http://127.0.0.1:8001";

/** A dashboard, and requests to it. */
function bench(options: Partial<DashboardOptions> = {}) {
  const clock = new FakeClock();
  const events = new Events();
  const acts: ActRow[] = [];
  const links = oneTimeLinks({ clock, token: "a fixed token for scripts" });
  const handler = createMcpHandler(new Stub({ hello: () => text("Hello") }), {
    clock,
    onEvent: events.onEvent,
  });
  const dashboard = createDashboard(handler, {
    authenticate: links,
    clock,
    node: "one",
    onAct: (act) => void acts.push(act),
    ...options,
  });
  const send = (method: string, path: string, headers: HeadersInit = {}, body?: unknown) =>
    dashboard(
      new Request(`${BASE}${path}`, {
        method,
        headers,
        ...body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) },
      }),
    );
  return {
    acts,
    clock,
    dashboard,
    events,
    handler,
    links,
    send,
    /** Signs in with a new link, and returns the headers of a page's requests. */
    async signIn() {
      const headers = { "content-type": "application/json", origin: BASE };
      const response = await send("POST", "/session", headers, { link: links.issue() });
      assert.equal(response.status, 204);
      const cookie = (response.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
      const session = await (await send("GET", "/session", { cookie })).json();
      return {
        cookie: { cookie },
        act: { ...headers, cookie, "x-mooring-operator": String(session.token) },
      };
    },
    async close() {
      await dashboard.close();
      await handler.close({ graceMs: 0 });
    },
  };
}

/** Reads the events of a stream. */
class EventReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor(response: Response) {
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    this.#reader = response.body?.getReader() ?? assert.fail();
  }

  /** The next event; `undefined` at the end. */
  async next(): Promise<{ readonly name: string; readonly data: JsonObject } | undefined> {
    while (!this.#text.includes("\n\n")) {
      const { done, value } = await this.#reader.read();
      if (done) return undefined;
      this.#text += this.#decoder.decode(value, { stream: true });
    }
    const [frame = "", ...rest] = this.#text.split("\n\n");
    this.#text = rest.join("\n\n");
    const [, name = "", data = ""] = /^event: (\w+)\ndata: (.*)$/s.exec(frame) ?? [];
    const parsed: unknown = JSON.parse(data);
    return { name, data: isObject(parsed) ? parsed : assert.fail() };
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }
}

describe("dashboard: who is let in", () => {
  test("[OPR-6] a link works once, within its time, and becomes a cookie that pages can't read", async () => {
    const { clock, close, links, send } = bench();
    const headers = { "content-type": "application/json", origin: BASE };
    const link = links.issue();
    const late = links.issue();
    const used = await send("POST", "/session", headers, { link });
    const cookie = used.headers.get("set-cookie") ?? "";
    assert.match(
      cookie,
      /^mooring_operator_8001=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    assert.ok(!cookie.includes(link));
    assert.equal((await send("POST", "/session", headers, { link })).status, 401);
    await clock.advance(600_000);
    assert.equal((await send("POST", "/session", headers, { link: late })).status, 401);
    for (const wrong of ["", "x", 1, null, { link: {} }, "__proto__"]) {
      assert.equal((await send("POST", "/session", headers, { link: wrong })).status, 401);
    }
    const page = await send("GET", "/", { cookie: cookie.split(";")[0] ?? "" });
    assert.equal(page.status, 200);
    assert.match(await page.text(), /role="tablist"/);
    await clock.advance(43_200_000);
    assert.equal((await send("GET", "/", { cookie: cookie.split(";")[0] ?? "" })).status, 401);
    await close();
  });

  test("[OPR-6] nobody else sees anything, and every response has the strict headers", async () => {
    const { close, send } = bench();
    const paths = ["/", "/session", "/snapshot", "/events", "/act", "/assets/page.js", "/x"];
    for (const path of paths) {
      for (const method of ["GET", "POST"]) {
        const response = await send(method, path, {}, method === "POST" ? {} : undefined);
        const open = path.startsWith("/assets/") && method === "GET";
        const status = open ? [200] : [401, 404];
        assert.ok(status.includes(response.status), `${method} ${path}: ${response.status}`);
        const policy = response.headers.get("content-security-policy") ?? "";
        assert.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; /);
        assert.ok(!/unsafe|\*|data:|https?:/.test(policy));
        assert.equal(response.headers.get("x-frame-options"), "DENY");
        assert.equal(response.headers.get("x-content-type-options"), "nosniff");
        assert.equal(response.headers.get("referrer-policy"), "no-referrer");
        const content = await response.text();
        assert.ok(open || !content.includes("nodes"), content);
      }
    }
    assert.equal((await send("GET", "/assets/__proto__")).status, 404);
    await close();
  });

  test("[OPR-6] the page has no inline script or style, and names no other host", async () => {
    const { close, send, signIn } = bench();
    const { cookie } = await signIn();
    for (const headers of [cookie, {}]) {
      const page = await (await send("GET", "/", headers)).text();
      assert.ok(!/<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=|javascript:/i.test(page), page);
      assert.ok(!/(?:src|href)="(?!assets\/|#)/.test(page), page);
    }
    const script = await (await send("GET", "/assets/page.js")).text();
    assert.ok(!/innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(/.test(script));
    await close();
  });

  test("[OPR-6] hosts, origins and sites that aren't the dashboard's own are refused", async () => {
    const { close, dashboard, handler, send, signIn } = bench();
    const { cookie, act } = await signIn();
    const drain = { act: "drain-cluster", on: true };
    const foreign: HeadersInit[] = [
      { origin: "https://evil.example" },
      { origin: "null" },
      { origin: "http://127.0.0.1:9999" },
      { origin: "http://localhost:8001" },
      { "sec-fetch-site": "cross-site" },
      { "sec-fetch-site": "same-site" },
    ];
    for (const headers of foreign) {
      const response = await send("POST", "/act", { ...act, ...headers }, drain);
      assert.equal(response.status, 403, JSON.stringify(headers));
      const seen = await send("GET", "/snapshot", { ...cookie, ...headers });
      assert.equal(seen.status, 403);
    }
    // What a form of another page can send
    const { "x-mooring-operator": token, ...withoutToken } = act;
    for (
      const headers of [
        withoutToken,
        { ...withoutToken, "x-mooring-operator": `${token}x` },
        { ...withoutToken, "content-type": "text/plain" },
      ]
    ) {
      assert.equal((await send("POST", "/act", headers, drain)).status, 403);
    }
    assert.equal(
      (await send("POST", "/act", { ...act, "content-type": "text/plain" }, drain)).status,
      400,
    );
    assert.equal(handler.stats().draining, undefined);
    // DNS rebinding: the browser believes that it is the attacker's own host
    for (const host of ["evil.example", "evil.example:8001", "127.0.0.1.evil.example"]) {
      const request = new Request(`http://${host}/`, { headers: cookie });
      assert.equal((await dashboard(request)).status, 403);
    }
    assert.equal((await send("POST", "/act", act, drain)).status, 200);
    assert.equal(handler.stats().draining, 1);
    await close();
  });

  test("[OPR-6] a function of one's own decides, under hosts of one's own", async () => {
    const errors: unknown[] = [];
    const { close, dashboard } = bench({
      path: "/ops",
      allowedHosts: [".example"],
      onError: (error) => errors.push(error),
      authenticate({ headers }) {
        const user = headers.get("x-forwarded-user");
        if (user === "boom") throw new Error("no");
        return user === "ada" ? { id: user } : undefined;
      },
    });
    const get = async (url: string, user: string) =>
      (await dashboard(new Request(url, { headers: { "x-forwarded-user": user } }))).status;
    assert.equal(await get("https://ops.example/ops/", "ada"), 200);
    assert.equal(await get("https://ops.example/ops", "ada"), 308);
    assert.equal(await get("https://ops.example/ops/snapshot", "eve"), 401);
    assert.equal(await get("https://ops.example/ops/snapshot", "boom"), 401);
    assert.equal(errors.length, 1);
    assert.equal(await get("http://127.0.0.1/ops/", "ada"), 403);
    assert.equal(await get("https://ops.example/", "ada"), 404);
    await close();
    const handler = createMcpHandler(new Stub({}));
    assert.throws(() => createDashboard(handler, {} as never), /as "authenticate"/);
    assert.throws(() => createDashboard(handler, undefined as never), /as "authenticate"/);
    const authenticate = () => undefined;
    assert.throws(() => createDashboard(handler, { authenticate, path: "x" }), /begins with/);
    assert.throws(() => createDashboard(handler, { authenticate, allowedHosts: ["/"] }), TypeError);
    assert.throws(() => oneTimeLinks({ token: "short" }), RangeError);
    await handler.close();
  });

  test("[OPR-6, OPR-8] a fixed token works for scripts; links and sign-ins are limited", async () => {
    const { close, links, send } = bench();
    const bearer = { authorization: "Bearer a fixed token for scripts" };
    assert.equal((await send("GET", "/snapshot", bearer)).status, 200);
    for (const wrong of ["Bearer a fixed token for script", "Bearer ", "Basic a", "Bearer x"]) {
      assert.equal((await send("GET", "/snapshot", { authorization: wrong })).status, 401);
    }
    const first = links.issue();
    for (let i = 0; i < 100; i++) links.issue();
    assert.equal(links.exchange(first), undefined);
    const kept = links.exchange(links.issue());
    for (let i = 0; i < 100; i++) links.exchange(links.issue());
    const cookie = `mooring_operator_8001=${kept?.secret}`;
    assert.equal((await send("GET", "/snapshot", { cookie })).status, 401);
    await close();
  });
});

describe("dashboard: operators with names", () => {
  const ADA = "the token of ada";
  const GRACE = "the token of grace";

  test("[OPR-15] a token signs in under its name, on the page and for scripts, and each act has it", async () => {
    const clock = new FakeClock();
    const { acts, close, events, send } = bench({
      authenticate: operatorTokens({ operators: { ada: ADA, "grace hopper": GRACE }, clock }),
    });
    const page = await send("GET", "/");
    assert.equal(page.status, 401);
    assert.match(await page.text(), /<input type="password" name="token"/);
    const headers = { "content-type": "application/json", origin: BASE };
    const signIn = (body: unknown) => send("POST", "/session", headers, body);
    for (const wrong of ["", "the token of adb", `${ADA} `, "ada", 1, null, { token: ADA }]) {
      const refused = await signIn({ token: wrong });
      assert.equal(refused.status, 401);
      assert.match(await refused.text(), /^This is no operator's token/);
      assert.equal(refused.headers.get("set-cookie"), null);
    }
    // A token is no link.
    assert.equal((await signIn({ link: ADA })).status, 401);
    const entered = await signIn({ token: ADA });
    assert.equal(entered.status, 204);
    const [cookie = ""] = (entered.headers.get("set-cookie") ?? "").split(";");
    assert.match(cookie, /^mooring_operator_8001=[\w-]{43}$/);
    const hello = async (sender: Record<string, string>) =>
      await (await send("GET", "/session", sender)).json();
    const ada = await hello({ cookie });
    assert.deepEqual([ada.operator, ada.links], ["ada", false]);
    const bearer = { authorization: `Bearer ${GRACE}` };
    const grace = await hello(bearer);
    assert.equal(grace.operator, "grace hopper");
    assert.notEqual(ada.token, grace.token);
    const act = async (sender: Record<string, string>, token: string, on: boolean) => {
      const more = { ...headers, ...sender, "x-mooring-operator": token };
      return (await send("POST", "/act", more, { act: "drain-cluster", on })).status;
    };
    assert.equal(await act({ cookie }, ada.token, true), 200);
    assert.equal(await act(bearer, grace.token, false), 200);
    // The token of the page of one operator is of no use to another.
    assert.equal(await act(bearer, ada.token, true), 403);
    const expected = [["drain-cluster", "ada"], ["undrain-cluster", "grace hopper"]];
    assert.deepEqual(acts.map(({ act, operator }) => [act, operator]), expected);
    const told = events.of("operator-act").map(({ act, operator }) => [act, operator]);
    assert.deepEqual(told, expected);
    const snapshot = await send("GET", "/snapshot", bearer);
    assert.deepEqual(
      (await snapshot.json()).acts.map(({ operator }: ActRow) => operator),
      ["ada", "grace hopper"],
    );
    const link = await send("POST", "/act", {
      ...headers,
      cookie,
      "x-mooring-operator": ada.token,
    }, { act: "new-link" });
    assert.equal(link.status, 400);
    await clock.advance(43_200_000);
    assert.equal((await send("GET", "/snapshot", { cookie })).status, 401);
    await close();
  });

  test("[OPR-15] operators, names, tokens and sign-ins are bounded, and no two tokens are the same", () => {
    const many = Object.fromEntries(
      Array.from({ length: 101 }, (_, index) => [`o${index}`, `a token of number ${index}`]),
    );
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /Give an object from names to tokens as "operators"/],
      [{}, /Give 1 to 100 "operators": 0/],
      [many, /Give 1 to 100 "operators": 101/],
      [{ "": ADA }, /names of 1 to 100 characters/],
      [{ ["x".repeat(101)]: ADA }, /names of 1 to 100 characters/],
      [{ ada: 1 }, /Give a string as the token of "ada": number/],
      [{ ada: "too short" }, /Give "ada" a token of 16 characters or more/],
      [{ ada: ADA, grace: ADA }, /Give "grace" a token of its own/],
    ];
    for (const [operators, message] of wrong) {
      assert.throws(() => operatorTokens({ operators } as never), (error: Error) => {
        assert.match(error.message, message);
        assert.ok(!error.message.includes(ADA));
        return true;
      });
    }
    const way = operatorTokens({ operators: { ada: ADA } });
    const first = way.exchange(ADA)?.secret;
    const request = new Request(BASE, { headers: { cookie: `mooring_operator_8001=${first}` } });
    assert.deepEqual(way.authenticate(request), { id: "ada" });
    for (let count = 0; count < 1_000; count++) way.exchange(ADA);
    assert.equal(way.authenticate(request), undefined);
    way.signOut(request);
    assert.deepEqual(way.names, ["ada"]);
  });
});

describe("dashboard: acts", () => {
  test("[OPR-5, OPR-7] each is recorded, with the operator, also one that fails", async () => {
    const { acts, close, events, handler, send, signIn } = bench();
    const { act } = await signIn();
    const peer = await initialize(handler);
    const post = async (body: unknown) => {
      const response = await send("POST", "/act", act, body);
      return { status: response.status, body: await response.text() };
    };
    const { sessions } = await (await send("GET", "/snapshot", act)).json();
    const { session } = sessions[0];
    assert.equal((await post({ act: "end-session", session })).status, 200);
    await post({ act: "end-session", session });
    await post({ act: "end-session", session, endpoint: "nowhere" });
    const made = JSON.parse((await post({ act: "new-link" })).body);
    assert.match(made.link, /^[\w-]{43}$/);
    const told = acts.map(({ act, operator, target, outcome }) => [act, target, outcome, operator]);
    const operator = told[0]?.[3];
    assert.match(operator ?? "", /^operator-[\w-]{4}$/);
    assert.deepEqual(told, [
      ["end-session", session, "done", operator],
      ["end-session", session, "failed", operator],
      ["end-session", session, "failed", operator],
      ["new-link", "", "done", operator],
    ]);
    assert.equal(events.of("operator-act").length, 2);
    const snapshot = await (await send("GET", "/snapshot", act)).text();
    const written = snapshot + JSON.stringify(acts) + JSON.stringify(events.all);
    const secrets = [peer.sessionId ?? "?", made.link, act.cookie.split("=")[1] ?? "?"];
    for (const secret of [...secrets, act["x-mooring-operator"]]) {
      assert.ok(!written.includes(secret));
    }
    await close();
  });

  test("[OPR-8] malformed and large requests are refused, and nothing happens", async () => {
    const { acts, close, send, signIn } = bench();
    const { act } = await signIn();
    const bodies: unknown[] = [
      "",
      "{",
      "[]",
      "null",
      '"x"',
      { act: "__proto__" },
      { act: "toString" },
      { act: "end-session" },
      { act: "end-session", session: 1 },
      { act: "cancel-call", node: "one", id: "1" },
      { act: "cancel-call", node: "one", id: 1.5 },
      { act: "drain-cluster", on: "yes" },
      { act: "drain-node", node: "x".repeat(1_001), on: true },
      { act: "end-principal", principal: "a", endpoint: {} },
      { act: "end-session", session: "x", padding: "x".repeat(9_000) },
    ];
    for (const body of bodies) {
      const response = await send("POST", "/act", act, body);
      assert.equal(response.status, 400, JSON.stringify(body));
    }
    assert.deepEqual(acts, []);
    await close();
  });

  test("[OPR-8] a body that never ends is given up, before and after sign-in", async () => {
    const { clock, close, dashboard, signIn } = bench();
    const { act } = await signIn();
    for (const [path, status] of [["/session", 401], ["/act", 400]] as const) {
      let cancelled = false;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new TextEncoder().encode("{")),
        cancel: () => void (cancelled = true),
      });
      const init = { method: "POST", headers: act, body, duplex: "half" };
      const pending = dashboard(new Request(`${BASE}${path}`, init));
      let answered = false;
      void pending.then(() => answered = true);
      // The time limit begins once the token of an act was checked, on another thread.
      for (let i = 0; i < 100 && !answered; i++) {
        await settle();
        await clock.advance(1_000);
      }
      assert.ok(answered, "It waits for the body");
      assert.equal((await pending).status, status);
      assert.ok(cancelled);
    }
    await close();
  });
});

describe("dashboard: what watchers get", () => {
  test("[OPR-8] everything once, then changes only, and nothing is taken while nobody watches", async () => {
    const { clock, close, handler, send, signIn } = bench();
    const { cookie } = await signIn();
    assert.equal(clock.pending, 0);
    const reader = new EventReader(await send("GET", "/events", cookie));
    const hello = await reader.next();
    assert.equal(hello?.name, "hello");
    await clock.advance(0);
    const first = await reader.next();
    assert.deepEqual([first?.name, first?.data.reset], ["changes", true]);
    const set = (event: typeof first) =>
      Object.keys(isObject(event?.data.set) ? event.data.set : {});
    assert.deepEqual(set(first).sort(), ["history", "limits", "nodes"]);
    await clock.advance(1_000);
    const second = await reader.next();
    assert.deepEqual([second?.data.reset, set(second), second?.data.del], [false, [], {}]);
    const peer = await initialize(handler);
    await clock.advance(1_000);
    assert.ok(set(await reader.next()).includes("sessions"));
    await peer.delete();
    await clock.advance(1_000);
    const gone = await reader.next();
    assert.ok(isObject(gone?.data.del) && Array.isArray(gone.data.del.sessions));
    await reader.cancel();
    await clock.advance(2_000);
    await settle();
    const { store } = endpointOf(handler).components.sessions;
    let lists = 0;
    Object.assign(store, { uses: () => (lists++, []) });
    await clock.advance(10_000);
    assert.equal(lists, 0);
    await send("GET", "/snapshot", cookie);
    assert.equal(lists, 1);
    await close();
  });

  test("[OPR-8] a slow reader's changes don't pile up; too many watchers are refused", async () => {
    const { clock, close, handler, send, signIn } = bench({ watchers: 2 });
    const { cookie } = await signIn();
    const slow = await send("GET", "/events", cookie);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 150; i++) await handler.sessions.open();
      await clock.advance(1_000);
      await flush();
    }
    const other = await send("GET", "/events", cookie);
    assert.equal((await send("GET", "/events", cookie)).status, 503);
    const reader = new EventReader(slow);
    await reader.next();
    const known = new Set<string>();
    let bytes = 0;
    let events = 0;
    const take = (data: JsonObject) => {
      bytes += JSON.stringify(data).length;
      events += 1;
      const { sessions } = data.set as { sessions?: { key: string }[] };
      for (const { key } of sessions ?? []) known.add(key);
    };
    // What was buffered while nobody read, and then the sum of the rest
    while (known.size < 3_000) {
      const read = reader.next();
      await clock.advance(1_000);
      const event = await read;
      take(event?.data ?? assert.fail("the stream ended"));
      assert.ok(events < 30);
    }
    // Less than one for each of the twenty updates: the buffer was full before
    assert.ok(events < 15, `${events}`);
    assert.equal(known.size, handler.sessions.size);
    assert.ok(bytes < 1_200_000, `${bytes}`);
    await reader.cancel();
    await other.body?.cancel();
    assert.equal((await send("GET", "/events", cookie)).status, 200);
    await close();
  });

  test("[OPR-8] who is signed out, or whose dashboard closes, stops seeing", async () => {
    const { clock, close, links, send, signIn } = bench();
    const { cookie } = await signIn();
    const reader = new EventReader(await send("GET", "/events", cookie));
    links.signOut(new Request(`${BASE}/`, { headers: cookie }));
    let seen = 0;
    for (let event = await reader.next(); event !== undefined;) {
      seen += 1;
      assert.ok(seen < 14);
      const next = reader.next();
      await clock.advance(1_000);
      event = await next;
    }
    const { cookie: again } = await signIn();
    const open = new EventReader(await send("GET", "/events", again));
    await open.next();
    await close();
    assert.equal(await open.next(), undefined);
    assert.equal((await send("GET", "/events", again)).status, 503);
  });
});
