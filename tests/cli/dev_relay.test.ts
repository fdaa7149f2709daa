/**
 * What stands between clients and the versions of a server, with versions that the test makes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { DevFailure } from "../../src/cli/dev/failure.ts";
import type { DevVersion } from "../../src/cli/dev/launch.ts";
import { DevPage } from "../../src/cli/dev/page.ts";
import { Relay } from "../../src/cli/dev/relay.ts";
import { Trace } from "../../src/cli/dev/trace.ts";
import { Versions } from "../../src/cli/dev/versions.ts";
import { systemClock } from "../../src/internal/clock.ts";

type Answer = (init: RequestInit, path: string) => Response | Promise<Response>;

/** A relay whose next version is what the test gives. */
async function relaying(first: Answer) {
  let answer = first;
  const requests: { version: number; headers: Headers; body: string }[] = [];
  const ends: ((failure: DevFailure) => void)[] = [];
  const versions = new Versions({
    launch: ({ number }) => {
      const own = answer;
      const { promise, resolve } = Promise.withResolvers<DevFailure>();
      let isOver = false;
      ends.push((failure) => {
        isOver = true;
        resolve(failure);
      });
      return Promise.resolve(
        {
          number,
          fetch: async (path, init) => {
            const headers = new Headers(init.headers);
            requests.push({ version: number, headers, body: String(init.body ?? "") });
            return await own(init, path);
          },
          path: undefined,
          isFixed: false,
          ended: promise,
          hasEnded: () => isOver,
          close: () => Promise.resolve(),
        } satisfies DevVersion,
      );
    },
    stamps: undefined,
    clock: systemClock,
    waitMs: 10_000,
    graceMs: 10_000,
    report: () => {},
  });
  await versions.start();
  const trace = new Trace(Date.now);
  const relay = new Relay(versions, trace);
  return {
    relay,
    trace,
    requests,
    versions,
    next: async (other: Answer = answer) => {
      answer = other;
      await versions.start();
    },
    end: (version: number) =>
      ends[version - 1]?.({ message: "Boom", file: "a.ts", line: 3, output: "" }),
    post: (message: object, headers: Record<string, string> = {}, path = "/mcp") =>
      relay.fetch(
        new Request(`http://127.0.0.1:8000${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", ...headers },
          body: JSON.stringify({ jsonrpc: "2.0", ...message }),
        }),
      ),
  };
}

const json = (value: unknown, headers: Record<string, string> = {}, status = 200) =>
  new Response(JSON.stringify(value), {
    status,
    headers: { "content-type": "application/json", ...headers },
  });

const INITIALIZE = { id: 0, method: "initialize", params: { protocolVersion: "2025-11-25" } };

/** A server that gives each session an id of its own. */
function server(prefix: string, capabilities: object = { tools: {} }): Answer {
  let count = 0;
  return ({ body }) => {
    const { id, method } = JSON.parse(String(body));
    if (method === "initialize") {
      return json({ jsonrpc: "2.0", id, result: { protocolVersion: "2025-11-25", capabilities } }, {
        "mcp-session-id": `${prefix}-${++count}`,
      });
    }
    if (id === undefined) return new Response(null, { status: 202 });
    return json({ jsonrpc: "2.0", id, result: { from: prefix } });
  };
}

describe("the relay of mooring dev", () => {
  test("[DEV-1] a session is opened again once, however many requests come, with what its client said and set", async () => {
    const { post, next, requests } = await relaying(server("old"));
    const opened = await post(INITIALIZE, { authorization: "Bearer a" });
    const id = opened.headers.get("mcp-session-id") ?? "";
    assert.equal(id, "old-1");
    await post({ id: 1, method: "logging/setLevel", params: { level: "debug" } }, {
      "mcp-session-id": id,
    });
    for (const uri of ["a:1", "a:2"]) {
      await post({ id: 2, method: "resources/subscribe", params: { uri } }, {
        "mcp-session-id": id,
      });
    }
    await post({ id: 3, method: "resources/unsubscribe", params: { uri: "a:1" } }, {
      "mcp-session-id": id,
    });
    await next(server("new"));
    requests.length = 0;
    const answers = await Promise.all(
      [5, 6, 7].map((number) =>
        post({ id: number, method: "ping" }, { "mcp-session-id": id, authorization: "Bearer b" })
      ),
    );
    for (const answer of answers) assert.match(await answer.text(), /"from":"new"/);
    const methods = requests.map(({ body }) => JSON.parse(body).method);
    assert.deepEqual(methods, [
      ...["initialize", "notifications/initialized", "logging/setLevel", "resources/subscribe"],
      ...["ping", "ping", "ping"],
    ]);
    assert.match(requests[3]?.body ?? "", /a:2/);
    // By the rights of the request that needs it, under the new id
    assert.equal(requests[0]?.headers.get("authorization"), "Bearer b");
    assert.equal(requests[0]?.headers.get("mcp-session-id"), null);
    assert.equal(requests[6]?.headers.get("mcp-session-id"), "new-1");
  });

  test("[DEV-1] a client that isn't let in again gets the refusal, and another try with another token", async () => {
    const { post, next } = await relaying(server("old"));
    const id = (await post(INITIALIZE)).headers.get("mcp-session-id") ?? "";
    const inner = server("new");
    await next((init, path) =>
      new Headers(init.headers).get("authorization") === "Bearer good"
        ? inner(init, path)
        : json({}, { "www-authenticate": "Bearer" }, 401)
    );
    const refused = await post({ id: 1, method: "ping" }, { "mcp-session-id": id });
    assert.deepEqual([refused.status, refused.headers.get("www-authenticate")], [401, "Bearer"]);
    const let_in = await post({ id: 2, method: "ping" }, {
      "mcp-session-id": id,
      authorization: "Bearer good",
    });
    assert.match(await let_in.text(), /"from":"new"/);
  });

  test("[DEV-3] a stream goes on with the next version: whole events alone, and what may have changed", async () => {
    const encoder = new TextEncoder();
    const inner = server("old", { tools: {}, prompts: {} });
    const sends: ReadableStreamDefaultController<Uint8Array>[] = [];
    const listening: Answer = (init, path) => {
      if (init.method !== "GET") return inner(init, path);
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => void sends.push(controller),
      });
      return new Response(body, { headers: { "content-type": "text/event-stream" } });
    };
    const { post, relay, next, trace } = await relaying(listening);
    const id = (await post(INITIALIZE)).headers.get("mcp-session-id") ?? "";
    const stream = await relay.fetch(
      new Request("http://127.0.0.1:8000/mcp", { headers: { "mcp-session-id": id } }),
    );
    const reader = (stream.body ?? assert.fail()).pipeThrough(new TextDecoderStream()).getReader();
    const event = (method: string) => `data: {"jsonrpc":"2.0","method":"${method}"}\n\n`;
    sends[0]?.enqueue(encoder.encode(`${event("one")}data: {"jsonrpc"`));
    assert.equal((await reader.read()).value, event("one"));
    const read = reader.read();
    await next();
    assert.equal(
      (await read).value,
      event("notifications/tools/list_changed") + event("notifications/prompts/list_changed"),
    );
    const after = reader.read();
    assert.equal(sends.length, 2);
    sends[1]?.enqueue(encoder.encode(event("two")));
    assert.equal((await after).value, event("two"));
    await reader.cancel();
    const methods = trace.after(0, 100).map(({ method }) => method);
    assert.deepEqual(methods.slice(-4), [
      ...["one", "notifications/tools/list_changed", "notifications/prompts/list_changed", "two"],
    ]);
  });

  test("[DEV-8] a call whose version ends has an error with the place, on its stream and without one", async () => {
    const { promise: broken, reject } = Promise.withResolvers<Response>();
    broken.catch(() => {});
    let cut: (() => void) | undefined;
    const { post, end } = await relaying(({ body }) => {
      if (String(body).includes('"id":1')) return broken;
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => void (cut = () => controller.error(new Error("reset"))),
      });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    });
    const call = post({ id: 1, method: "tools/call" });
    const streamed = await post({ id: 2, method: "tools/call" });
    const text = streamed.text();
    end(1);
    reject(new Error("reset"));
    cut?.();
    assert.match(await (await call).text(), /"id":1,"error":.*a\.ts:3: It ended: Boom/);
    assert.match(await text, /^data: .*"id":2,"error":.*It ended: a\.ts:3: Boom/);
  });

  test("[DEV-11] each message of a batch is kept, and nothing that is no message", async () => {
    const { relay, trace } = await relaying(() => json({ access_token: "5ecret" }));
    const post = (body: string) =>
      relay.fetch(new Request("http://127.0.0.1/x", { method: "POST", body }));
    await post('[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","method":"note"}, 5]');
    await post("code=5ecret&client_secret=5ecret");
    await post('{"password":"5ecret"}');
    await post("[nonsense");
    assert.deepEqual(trace.after(0, 10).map(({ method }) => method), ["ping", "note"]);
  });

  test("[DEV-12] a thousand sessions are kept; a request of more than 16 MiB is refused", async () => {
    const { post, relay } = await relaying(server("s"));
    for (let count = 0; count < 1_005; count++) await post(INITIALIZE);
    assert.equal(relay.sessions, 1_000);
    const response = await relay.fetch(
      new Request("http://127.0.0.1/mcp", {
        method: "POST",
        body: "x".repeat(16 * 1024 * 1024 + 1),
      }),
    );
    assert.equal(response.status, 413);
  });

  test("[DEV-7] twenty links are kept, and ten pages watch at a time", async () => {
    const trace = new Trace(Date.now);
    const state = { url: "", what: "", version: 1, failure: undefined, sessions: 0 };
    const page = new DevPage({
      trace,
      state: () => state,
      onState: () => () => {},
      onOpened: () => {},
    });
    const links = Array.from({ length: 25 }, () => page.link());
    const get = (path: string, headers: Record<string, string> = {}) =>
      page.fetch(
        new Request(`http://127.0.0.1:8001${path}`, {
          headers: { host: "127.0.0.1:8001", ...headers },
        }),
      );
    assert.equal((await get(links[0] ?? "")).status, 401);
    const opened = await get(links[24] ?? "");
    assert.equal(opened.status, 303);
    const [cookie = ""] = (opened.headers.get("set-cookie") ?? "").split(";");
    const pages = await Promise.all(
      Array.from({ length: 11 }, () => get("/events", { cookie })),
    );
    assert.deepEqual(pages.map(({ status }) => status), [...Array(10).fill(200), 503]);
    await pages[0]?.body?.cancel();
    const again = await get("/events", { cookie });
    assert.equal(again.status, 200);
    page.close();
    assert.match(await again.text(), /^(id: 0\ndata: .*\n\n)?$/);
  });
});
