import assert from "node:assert/strict";
import { test } from "node:test";
import { http } from "../../src/gateway/upstreams/http.ts";
import type { HttpOptions } from "../../src/gateway/upstreams/http.ts";
import { UpstreamError } from "../../src/gateway/shared/upstream_error.ts";
import { McpError } from "../../src/protocol/errors.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { FakeClock } from "../support/clock.ts";
import { Session, textOf } from "./session.ts";

const URL_HERE = "https://upstream.example/mcp";

/** One request as the upstream got it. */
interface Got {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly message: JsonObject;
  readonly signal: AbortSignal;
}

type Answer = (got: Got) => Response | Promise<Response> | undefined;

/** An upstream of the 2025 era that answers what `answer` leaves to it, and all that it got. */
function older(answer: Answer = () => undefined) {
  const got: Got[] = [];
  const fetch = async (url: string, init: RequestInit): Promise<Response> => {
    const headers = new Headers(init.headers);
    const message = typeof init.body === "string" ? JSON.parse(init.body) : {};
    const signal = init.signal ?? new AbortController().signal;
    const request = { method: init.method ?? "GET", url, headers, message, signal };
    got.push(request);
    signal.throwIfAborted();
    const own = await answer(request);
    if (own !== undefined) return own;
    if (request.method !== "POST") return new Response(null, { status: 405 });
    const { id, method } = message;
    if (id === undefined || method === undefined) return new Response(null, { status: 202 });
    if (method === "initialize") {
      const serverInfo = { name: "older", version: "1.0.0" };
      const capabilities = { tools: { listChanged: true } };
      const result = { protocolVersion: "2025-11-25", serverInfo, capabilities };
      return Response.json({ jsonrpc: "2.0", id, result }, {
        headers: { "mcp-session-id": "session-1" },
      });
    }
    return json(id, { content: [{ type: "text", text: "fine" }] });
  };
  const open = (options: Partial<HttpOptions> = {}, over = {}) =>
    Session.open(http({ url: URL_HERE, versions: ["2025-11-25"], fetch, ...options }), over);
  return { got, fetch, open };
}

function json(id: unknown, result: object, init?: ResponseInit): Response {
  return Response.json({ jsonrpc: "2.0", id, result }, init);
}

/** A stream of events, each an id and a message. It stays open if asked to. */
function events(
  all: readonly (readonly [string | undefined, unknown])[],
  { open = false, retry }: { open?: boolean; retry?: number } = {},
): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (retry !== undefined) controller.enqueue(encoder.encode(`retry: ${retry}\n`));
      for (const [id, message] of all) {
        const data = typeof message === "string" ? message : JSON.stringify(message);
        const head = id === undefined ? "" : `id: ${id}\n`;
        controller.enqueue(encoder.encode(`${head}data: ${data}\n\n`));
      }
      if (!open) controller.close();
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream; charset=utf-8" } });
}

function isUpstream(kind: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpstreamError, String(error));
    assert.equal(error.kind, kind);
    assert.doesNotMatch(`${error} ${JSON.stringify(error)}`, /hush/);
    return true;
  };
}

const call = ({ message }: Got) => message.method === "tools/call";

test("[GTW-4] options are checked when the upstream is made, and its identity is sealed", () => {
  const url = URL_HERE;
  const wrong: [unknown, RegExp][] = [
    [{}, /"url"/],
    [{ url: "/mcp" }, /"url"/],
    [{ url: "ftp://a/" }, /http: or https:/],
    [{ url: "file:///etc/passwd" }, /http: or https:/],
    [{ url: "https://user:hush@a/" }, /not in the "url"/],
    [{ url: "https://:hush@a/" }, /not in the "url"/],
    [{ url, headers: { "a b": "c" } }, /"headers"/],
    [{ url, headers: { a: "b\r\nc: hush" } }, /"a"/],
    [{ url, headers: { a: "x".repeat(4097) } }, /"a"/],
    [{ url, headers: { host: "a" } }, /host/],
    [{ url, headers: { "mcp-session-id": "a" } }, /mcp-session-id/],
    [{ url, headers: { "content-type": "a" } }, /content-type/],
    [{ url, auth: "" }, /"auth"/],
    [{ url, auth: "hush hush" }, /"auth"/],
    [{ url, auth: {} }, /"auth"/],
    [{ url, auth: "a", headers: { Authorization: "b" } }, /either "auth"/],
    [{ url, auth: "a", forwardHeaders: { authorization: "authorization" } }, /either "auth"/],
    [{ url, forwardHeaders: ["authorization"] }, /authorization/],
    [{ url, forwardHeaders: ["cookie"] }, /cookie/],
    [{ url, fetch: 1 }, /"fetch"/],
    [{ url, timeoutMs: 0 }, /"timeoutMs"/],
    [{ url, timeoutMs: 2 ** 40 }, /"timeoutMs"/],
    [{ url, timeoutMs: "1" }, /"timeoutMs"/],
    [{ url, probeTimeoutMs: 1.5 }, /"probeTimeoutMs"/],
    [{ url, versions: ["1"] }, /"versions"/],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => http(options as HttpOptions), (error) => {
      assert.match(String(error), message);
      assert.doesNotMatch(String(error), /hush/);
      return true;
    });
  }
  const token = () => "a";
  const headers: Record<string, string> = { "x-a": "1" };
  const upstream = http({ url, headers, auth: token });
  const { identity } = upstream;
  headers["x-a"] = "2";
  assert.equal(upstream.identity, identity);
  assert.equal(http({ url, headers: { "X-A": "1" }, auth: token }).identity, identity);
  assert.notEqual(http({ url, headers, auth: token }).identity, identity);
  assert.notEqual(http({ url, headers: { "x-a": "1" }, auth: () => "a" }).identity, identity);
  assert.notEqual(
    http({ url: `${url}?a`, headers: { "x-a": "1" }, auth: token }).identity,
    identity,
  );
});

test("[GTW-5] only named headers of the client's own request go on, cleaned, with each call", async () => {
  const { got, open } = older();
  const session = await open({
    forwardHeaders: { "X-Trace": "x-trace", "x-user": "x-upstream-user" },
  });
  const request = new Request("https://gateway.example/mcp", {
    headers: {
      "x-trace": "t".repeat(5000),
      "x-user": "ada",
      "x-other": "no",
      "cookie": "hush",
      "authorization": "Bearer hush",
      "mcp-session-id": "hush",
      "x-forwarded-for": "1.2.3.4",
      "mooring-hops": "2",
    },
  });
  await session.request("tools/call", { name: "a" }, { request });
  const { headers } = got.find(call) ?? assert.fail();
  assert.equal(headers.get("x-trace"), "t".repeat(4096));
  assert.equal(headers.get("x-upstream-user"), "ada");
  for (const name of ["x-other", "cookie", "authorization", "x-forwarded-for", "x-user"]) {
    assert.equal(headers.get(name), null, name);
  }
  assert.equal(headers.get("mcp-session-id"), "session-1");
  assert.equal(headers.get("mcp-protocol-version"), "2025-11-25");
  assert.equal(headers.get("mooring-hops"), "3");
  await session.session.close();
  const last = got.at(-1);
  assert.equal(last?.method, "DELETE");
  assert.equal(last?.headers.get("mcp-session-id"), "session-1");
});

test("[GTW-5] the client's login goes on only where it is mapped on purpose", async () => {
  const request = new Request("https://a.example/", { headers: { authorization: "Bearer own" } });
  for (const mapped of [false, true]) {
    const { got, open } = older();
    const forwardHeaders = mapped ? { authorization: "authorization" } : undefined;
    const session = await open({ forwardHeaders }, { request });
    await session.request("tools/call", { name: "a" }, { request });
    const expected = mapped ? "Bearer own" : null;
    for (const { headers } of got) assert.equal(headers.get("authorization"), expected);
  }
});

test("[GTW-6] a request that came through too many gateways is refused, and the session lives", async () => {
  const { open } = older();
  const session = await open();
  const request = new Request("https://a.example/", { headers: { "mooring-hops": "5" } });
  await assert.rejects(session.request("tools/call", {}, { request }), McpError);
  assert.equal(textOf(await session.call("a")), "fine");
});

test("[GTW-5] tokens: fixed, per request and principal, and tried once more when refused", async () => {
  const fixed = older();
  await (await fixed.open({ auth: "fixed" })).call("a");
  for (const { headers } of fixed.got) assert.equal(headers.get("authorization"), "Bearer fixed");

  let count = 0;
  const fresh = older((got) =>
    got.headers.get("authorization") === "Bearer alice-2" && call(got)
      ? new Response(null, { status: 401 })
      : undefined
  );
  const session = await fresh.open({
    auth: ({ principal }) => `${principal.id}-${count}`,
  });
  count = 2;
  const stale = session.call("a");
  await Promise.resolve();
  count = 3;
  assert.equal(textOf(await stale), "fine");
  const tokens = fresh.got.filter(call).map(({ headers }) => headers.get("authorization"));
  assert.deepEqual(tokens, ["Bearer alice-2", "Bearer alice-3"]);
});

test("[GTW-5] a provider of the official client is asked for tokens, and told when one is refused", async () => {
  let token = "old";
  let refused = 0;
  const { got, open } = older((one) =>
    one.headers.get("authorization") === "Bearer new"
      ? undefined
      : new Response(null, { status: 401 })
  );
  const auth = {
    token: async () => token,
    onUnauthorized: async ({ serverUrl }: { serverUrl: URL }) => {
      assert.equal(serverUrl.href, URL_HERE);
      refused++;
      token = "new";
    },
  };
  const session = await open({ auth });
  assert.equal(textOf(await session.call("a")), "fine");
  assert.equal(refused, 1);
  assert.equal(got[0]?.headers.get("authorization"), "Bearer old");
});

test("[GTW-5] an OAuth provider's tokens are used, and the official client signs in again on 401", async () => {
  const auth = {
    redirectUrl: undefined,
    clientMetadata: { redirect_uris: [] },
    clientInformation: () => undefined,
    tokens: () => ({ access_token: "from-oauth", token_type: "bearer" }),
    saveTokens() {},
    redirectToAuthorization() {},
    saveCodeVerifier() {},
    codeVerifier: () => "v",
  };
  const { got, open } = older();
  await (await open({ auth })).call("a");
  for (const { headers } of got) assert.equal(headers.get("authorization"), "Bearer from-oauth");
  const refusing = older(() => new Response("hush", { status: 401 }));
  await assert.rejects(refusing.open({ auth }), isUpstream("unauthorized"));
});

const STATUSES: readonly (readonly [number, string])[] = [
  [401, "unauthorized"],
  [403, "forbidden"],
  [404, "not-found"],
  [400, "rejected"],
  [418, "rejected"],
  [500, "upstream"],
  [503, "upstream"],
  [504, "timeout"],
];

for (const [status, kind] of STATUSES) {
  test(`[GTW-4] the status ${status} is the failure "${kind}"`, async () => {
    const refuse = () => new Response("hush", { status });
    await assert.rejects(older(refuse).open({ auth: "hush-token" }), isUpstream(kind));
    const { open } = older((got) => call(got) ? refuse() : undefined);
    const session = await open({ auth: "hush-token" });
    await assert.rejects(session.call("a"), isUpstream(kind));
    // Whatever failed in this way ends the session.
    assert.equal(session.recorder.ends.length, 1);
    await assert.rejects(session.call("a"), isUpstream(kind));
  });
}

test("[GTW-2] an error of the upstream's own with an error status is an answer", async () => {
  const { open } = older((got) => {
    if (!call(got)) return undefined;
    const error = { code: -32000, message: "Server busy", data: { own: true } };
    return Response.json({ jsonrpc: "2.0", id: got.message.id, error }, { status: 503 });
  });
  const session = await open();
  await assert.rejects(session.call("a"), (error) => {
    assert.ok(error instanceof McpError);
    assert.deepEqual([error.code, error.message, error.data], [-32000, "Server busy", {
      own: true,
    }]);
    return true;
  });
  assert.deepEqual(session.recorder.ends, []);
});

test("[GTW-2] a session that the upstream doesn't know any more is over", async () => {
  let gone = false;
  const { open } = older((got) => {
    if (!gone || got.method !== "POST") return undefined;
    const error = { code: -32001, message: "Session not found" };
    return Response.json({ jsonrpc: "2.0", id: got.message.id, error }, { status: 404 });
  });
  const session = await open();
  gone = true;
  await assert.rejects(session.call("a"), isUpstream("not-found"));
  assert.equal(session.recorder.ends.length, 1);
});

test("[GTW-4] redirects are followed within the origin alone, and only those that keep the body", async () => {
  const inside = older(({ url }) =>
    url === URL_HERE
      ? new Response(null, { status: 307, headers: { location: "/mcp/" } })
      : undefined
  );
  const session = await inside.open({ auth: "hush" });
  await session.call("a");
  assert.equal(inside.got.filter(({ url }) => url === URL_HERE).length, 1);
  assert.equal(inside.got.at(-1)?.url, `${URL_HERE}/`);
  const elsewhere = [
    [307, "https://evil.example/mcp"],
    [308, "http://upstream.example/mcp"],
    [307, "//evil.example/"],
    [302, "/other"],
    [303, "/other"],
    [307, URL_HERE],
  ] as const;
  for (const [status, location] of elsewhere) {
    const { got, open } = older(() => new Response(null, { status, headers: { location } }));
    await assert.rejects(open({ auth: "hush" }), isUpstream("rejected"));
    assert.ok(got.every(({ url }) => new URL(url).origin === "https://upstream.example"));
    assert.ok(got.length <= 4);
  }
});

test("[GTW-4] requests that are redirected at once go to one place", async () => {
  let moved = false;
  const inside = older(({ url }) =>
    moved && url === URL_HERE
      ? new Response(null, { status: 307, headers: { location: "v2/mcp" } })
      : undefined
  );
  const session = await inside.open();
  moved = true;
  await Promise.all([1, 2, 3].map(() => session.call("a")));
  const urls = new Set(inside.got.map(({ url }) => url));
  assert.deepEqual([...urls], [URL_HERE, new URL("v2/mcp", URL_HERE).href]);
});

test("[GTW-8] JSON and streams pass unchanged, with what belongs to the call before its answer", async () => {
  const odd = { content: [], own: { deep: [null, 1e300, "\u2028"] }, _meta: { "x/y": 1 } };
  const { got, open } = older((one) => {
    if (!call(one)) return undefined;
    const { id } = one.message;
    const params = { level: "info", data: { own: "kept" }, own: 1 };
    return events([
      [undefined, { jsonrpc: "2.0", method: "notifications/message", params }],
      [undefined, "no JSON"],
      [undefined, { jsonrpc: "2.0", id: "another's", result: {} }],
      [undefined, { jsonrpc: "2.0", id, result: odd }],
      [undefined, { jsonrpc: "2.0", id, result: { content: "late" } }],
    ]);
  });
  const session = await open();
  const order: unknown[] = [];
  const notify = (notification: unknown) => order.push(notification);
  const result = await session.call("a", { own: [1] }, { own: "meta" }, { notify });
  assert.deepEqual(result, odd);
  assert.deepEqual(order, [{
    method: "notifications/message",
    params: { level: "info", data: { own: "kept" }, own: 1 },
  }]);
  const { message: { params } } = got.find(call) ?? assert.fail();
  assert.deepEqual(params, { name: "a", arguments: { own: [1] }, _meta: { own: "meta" } });
});

test("[GTW-8] a question on a call's stream belongs to that call, and the answer is posted", async () => {
  const { got, open } = older((one) => {
    if (!call(one)) return undefined;
    const ask = { jsonrpc: "2.0", id: "q", method: "elicitation/create", params: { own: 1 } };
    return events([[undefined, ask]], { open: true });
  });
  const session = await open();
  session.recorder.answer = () => ({ action: "decline" });
  const stop = new AbortController();
  const waiting = session.call("a", {}, undefined, { signal: stop.signal });
  const answered = () => got.some(({ message }) => message.id === "q");
  await session.recorder.until(answered, "the answer");
  assert.deepEqual(session.recorder.questions, [{
    method: "elicitation/create",
    params: { own: 1 },
  }]);
  assert.deepEqual(got.find(({ message }) => message.id === "q")?.message, {
    jsonrpc: "2.0",
    id: "q",
    result: { action: "decline" },
  });
  stop.abort(new Error("Enough"));
  await assert.rejects(waiting, /Enough/);
  const told = () => got.some(({ message }) => message.method === "notifications/cancelled");
  await session.recorder.until(told, "the cancellation");
  assert.ok(got.find(call)?.signal.aborted);
});

test("[GTW-8] a stream that breaks before its answer is gone on with, each message once", async () => {
  const { got, open } = older((one) => {
    const { id } = one.message;
    const say = (data: number) => ({
      jsonrpc: "2.0",
      method: "notifications/message",
      params: { data },
    });
    if (call(one)) return events([["s.0", ""], ["s.1", say(1)]], { retry: 10 });
    const from = one.headers.get("last-event-id");
    if (from === "s.1") return events([["s.2", say(2)]]);
    const asked = got.find(call)?.message.id;
    if (from === "s.2") return events([["s.3", { jsonrpc: "2.0", id: asked, result: { n: 3 } }]]);
    assert.equal(from, null);
    return id === undefined && one.method === "GET"
      ? new Response(null, { status: 405 })
      : undefined;
  });
  const clock = new FakeClock();
  const session = await open({}, { clock });
  const seen: unknown[] = [];
  const result = session.call("a", {}, undefined, {
    notify: ({ params }) => seen.push(params?.data),
  });
  await clock.advance(3_000);
  assert.deepEqual(await result, { n: 3 });
  assert.deepEqual(seen, [1, 2]);
});

test("[GTW-2] a stream that ends without an answer, and can't be gone on with, ends the session", async () => {
  for (const id of [undefined, "s.1"]) {
    const { open } = older((one) => {
      if (call(one)) {
        return events([[id, { jsonrpc: "2.0", method: "notifications/x" }]], { retry: 1 });
      }
      const resuming = one.headers.has("last-event-id");
      return resuming ? new Response(null, { status: 404 }) : undefined;
    });
    const session = await open();
    await assert.rejects(session.call("a"), isUpstream(id === undefined ? "closed" : "not-found"));
    assert.equal(session.recorder.ends.length, 1);
  }
});

test("[GTW-2] going on with a stream in vain is given up", async () => {
  const clock = new FakeClock();
  let tries = 0;
  const { open } = older((one) => {
    if (call(one)) return events([["s.1", ""]]);
    if (!one.headers.has("last-event-id")) return undefined;
    tries++;
    return events([]);
  });
  const session = await open({}, { clock });
  const failed = assert.rejects(session.call("a"), isUpstream("closed"));
  await clock.advance(200_000);
  await failed;
  assert.equal(tries, 6);
  await session.session.close();
  assert.equal(clock.pending, 0);
});

const HOSTILE: readonly (readonly [string, (id: unknown) => Response])[] = [
  ["no JSON", () => new Response("<html>", { headers: { "content-type": "application/json" } })],
  [
    "neither JSON nor a stream",
    () => new Response("hi", { headers: { "content-type": "text/html" } }),
  ],
  ["nothing", () => new Response(null, { status: 202 })],
  ["another's answer", () => json(4711, {})],
  ["its id as another type", (id) => json(String(id), {})],
  [
    "both a result and an error",
    (id) => Response.json({ jsonrpc: "2.0", id, result: {}, error: { code: 1, message: "" } }),
  ],
  ["an empty stream", () => events([])],
  ["a declared length over the bound", () =>
    new Response("{}", {
      headers: { "content-type": "application/json", "content-length": String(2 ** 40) },
    })],
];

for (const [what, answer] of HOSTILE) {
  test(`[GTW-2] an upstream that answers with ${what} fails the call and the session`, async () => {
    const { open } = older((got) => call(got) ? answer(got.message.id) : undefined);
    const session = await open();
    await assert.rejects(session.call("a"), (error) => {
      assert.ok(error instanceof UpstreamError);
      assert.match(error.kind, /^(protocol|closed)$/);
      return true;
    });
    assert.equal(session.recorder.ends.length, 1);
  });
}

test("[GTW-2] a stream that nobody answers for is given up in its time", async () => {
  const clock = new FakeClock();
  const { got, open } = older(({ headers, message, signal }) => {
    if (message.method === "tools/call") return events([["one", ""]], { retry: 0 });
    if (!headers.has("last-event-id")) return undefined;
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  });
  const session = await open({}, { clock });
  const failed = assert.rejects(session.call("a"), isUpstream("closed"));
  const resuming = () => got.filter(({ headers }) => headers.has("last-event-id"));
  for (let n = 1; n <= 6; n++) {
    await clock.advance(Math.min(1_000 * 2 ** (n - 1), 30_000) - 101);
    assert.equal(resuming().length, n - 1);
    // The delay is up to a quarter longer; then each attempt has 10 s.
    for (let tries = 0; resuming().at(n - 1)?.signal.aborted !== true; tries++) {
      assert.ok(tries < 200);
      await clock.advance(100);
    }
    assert.equal(resuming().length, n);
  }
  await failed;
  assert.ok(resuming().every(({ signal }) => signal.aborted));
});

test("[GTW-2] a body and an event over 16 MiB are cut off while they arrive", async () => {
  for (const type of ["application/json", "text/event-stream"]) {
    let sent = 0;
    let cancelled = false;
    const chunk = new TextEncoder().encode("x".repeat(1024 * 1024));
    const { open } = older((got) => {
      if (!call(got)) return undefined;
      const body = new ReadableStream<Uint8Array>({
        pull(controller) {
          sent++;
          controller.enqueue(chunk);
        },
        cancel: () => void (cancelled = true),
      });
      return new Response(body, { headers: { "content-type": type } });
    });
    const session = await open();
    await assert.rejects(session.call("a"), isUpstream("protocol"));
    assert.ok(sent < 30, `${sent} MiB were read`);
    await session.recorder.until(() => cancelled, "the end of the body");
  }
});

test("[GTW-2] a body that breaks off fails the call and the session, without its own words", async () => {
  const { open } = older((got) => {
    if (!call(got)) return undefined;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        controller.error(new TypeError("terminated: hush"));
      },
    });
    return new Response(body, { headers: { "content-type": "application/json" } });
  });
  const session = await open();
  await assert.rejects(session.call("a"), isUpstream("closed"));
  assert.equal(session.recorder.ends.length, 1);
});

test("[GTW-4] a call that nothing is heard of times out, and the session lives", async () => {
  const clock = new FakeClock();
  const { got, open } = older((one) =>
    call(one)
      ? new Promise<Response>((_, reject) => {
        one.signal.addEventListener("abort", () => reject(one.signal.reason));
      })
      : undefined
  );
  const session = await open({ timeoutMs: 1000 }, { clock });
  const failed = assert.rejects(session.call("a"), /timed out/);
  await clock.advance(1001);
  await failed;
  assert.ok(got.find(call)?.signal.aborted);
  assert.deepEqual(session.recorder.ends, []);
  assert.deepEqual(await session.request("tools/list"), {
    content: [{ type: "text", text: "fine" }],
  });
  await session.session.close();
  assert.equal(clock.pending, 0);
});

test("[GTW-8] the upstream's own stream is listened to, and promised only where it is there", async () => {
  const changed = { jsonrpc: "2.0", method: "notifications/tools/list_changed" };
  const listening = older((one) =>
    one.method === "GET" ? events([[undefined, changed]], { open: true }) : undefined
  );
  const session = await listening.open();
  assert.deepEqual(session.session.facts.capabilities, { tools: { listChanged: true } });
  await session.recorder.until(() => session.recorder.notifications.length === 1, "the message");
  await session.session.close();
  assert.ok(listening.got.find(({ method }) => method === "GET")?.signal.aborted);

  const deaf = await older().open();
  assert.deepEqual(deaf.session.facts.capabilities, { tools: {} });
});

test("[GTW-8] when the upstream's own stream broke, what may have been missed is told", async () => {
  const clock = new FakeClock();
  let gets = 0;
  const { open } = older((one) =>
    one.method === "GET" ? events([], { open: ++gets > 1 }) : undefined
  );
  const session = await open({}, { clock });
  await clock.advance(1250);
  assert.equal(gets, 2);
  assert.deepEqual(session.recorder.notifications, [{
    method: "notifications/tools/list_changed",
  }]);
  await session.session.close();
});

test("[GTW-3] closing ends the upstream's session, and waits for it no longer than it may", async () => {
  const clock = new FakeClock();
  const { got, open } = older((one) =>
    one.method === "DELETE"
      ? new Promise<Response>((_, reject) => {
        one.signal.addEventListener("abort", () => reject(one.signal.reason));
      })
      : undefined
  );
  const session = await open({}, { clock });
  const closing = session.session.close();
  await clock.advance(2001);
  await closing;
  assert.equal(got.filter(({ method }) => method === "DELETE").length, 1);
  assert.equal(clock.pending, 0);
  assert.deepEqual(session.recorder.ends, []);
});

test("[GTW-4] opening is given up when the signal aborts", async () => {
  const stop = new AbortController();
  const { open } = older((one) =>
    new Promise<Response>((_, reject) => {
      one.signal.addEventListener("abort", () => reject(one.signal.reason));
      stop.abort(new Error("Not wanted"));
    })
  );
  await assert.rejects(open({}, { signal: stop.signal }), /Not wanted/);
});
